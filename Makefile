# Every target makes .venv first if it is missing; all are safe to repeat.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench
demo: .venv/installed
	$(BIN)/understudy demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python -m benchmarks

# torch is named first and alone: from an index of CPU builds it stays the CPU build, whatever later packages ask for.
# .venv/lib-link holds one link a folder, so that new files are seen by Python, mypy and editors without installing again.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]' --config-settings editable_mode=strict
	$(BIN)/python -c "import pathlib, sysconfig; \
	site = pathlib.Path(sysconfig.get_paths()['purelib']); \
	[path.unlink() for path in site.glob('__editable__.understudy*')]; \
	links = pathlib.Path('.venv/lib-link/understudy'); links.mkdir(parents=True, exist_ok=True); \
	[(links / name).is_symlink() or (links / name).symlink_to(pathlib.Path(name).resolve()) for name in ('core', 'templates', 'evals', 'integrations')]; \
	(site / 'understudy-checkout.pth').write_text(str(links.parent.resolve()))"
	rm -rf build understudy.egg-info
	touch $@
