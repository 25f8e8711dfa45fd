"""What is published: source distribution and wheel hold everything, and the wheel works where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("core", "templates", "evals", "integrations")
_PACK = "understudy/templates/log_triage"
_TICKETS = "understudy/templates/bug_classification"
_REVIEW = "understudy/templates/code_review"
_NEEDED = [
    *(f"understudy/{folder}/{name}" for folder in _FOLDERS for name in ("__init__.py", "py.typed")),
    "understudy/core/seedling/config.json",
    "understudy/core/seedling/model.safetensors",
    "understudy/core/seedling/tokenizer.json",
    "understudy/evals/report.html.j2",
    *(f"understudy/integrations/launch/{name}.yaml" for name in ("cpu", "ddp", "fsdp2", "zero2", "zero3")),
    *(f"understudy/evals/suites/{name}.jsonl" for name in ("choices", "instructions", "harmful", "benign")),
    *(f"{_PACK}/{name}" for name in ("understudy.yaml", "workflow.yml", "README.md")),
    f"{_PACK}/seed/cases.jsonl.xz",
    f"{_PACK}/seed/failed.log",
    *(f"{_TICKETS}/{name}" for name in ("understudy.yaml", "workflow.yml", "README.md", "seed/tickets.jsonl")),
    *(f"{_REVIEW}/{name}" for name in ("understudy.yaml", "workflow.yml", "README.md")),
    *(
        f"{_REVIEW}/seed/{name}"
        for name in ("handwritten.jsonl", "specimens.jsonl.xz", "held_out.jsonl.xz", "reader.json.xz", "example.diff")
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel made from it, built from a copy, so that no build folder is left here."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in _FOLDERS:
        shutil.copytree(_ROOT / name, source / name)  # with __pycache__: it must not get into the distributions
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(_ROOT / name, source)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (wheel,) = built.glob("*.whl")
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True)
    return folder / "bin"


def test_the_wheel_holds_everything_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert [name for name in _NEEDED if name not in names] == []
    modules = {
        f"understudy/{path.relative_to(_ROOT).as_posix()}"
        for folder in _FOLDERS
        for path in (_ROOT / folder).rglob("*.py")
    }
    assert modules - names == set()
    strangers = [n for n in names if not n.startswith(("understudy/", "understudy-")) or "__pycache__" in n]
    assert strangers == []
    assert "understudy/__init__.py" not in names, "understudy is a namespace package"


def test_the_source_distribution_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        *(name.removeprefix("understudy/") for name in _NEEDED),
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
    }
    assert needed - names == set()


def _run(command: list[str | Path], folder: Path) -> str:
    """Run something of the fresh environment; what it depends on is borrowed from the one of the tests."""
    variables = os.environ | {"PYTHONPATH": sysconfig.get_paths()["purelib"], "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_command_works_and_uses_the_installed_files(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "build.log").write_text("compiling\nERROR: the linker gave up\n")
    assert "Commands:" in _run([installed / "understudy", "--help"], tmp_path)
    assert "the linker gave up" in _run([installed / "understudy", "select", "build.log"], tmp_path)
    _run([installed / "understudy", "init", "log-triage", "mine"], tmp_path)
    assert len(list((tmp_path / "mine").iterdir())) == 3
    for folder in _FOLDERS:
        place = _run([installed / "python", "-c", f"import understudy.{folder} as p; print(p.__file__)"], tmp_path)
        assert Path(place.strip()).is_relative_to(installed.parent)


def test_the_installed_base_and_template_are_found(installed: Path, tmp_path: Path) -> None:
    script = (
        "from importlib.resources import files\n"
        "from understudy.core.bases import resolve_base\n"
        "print(resolve_base('seedling').location)\n"
        "print(files('understudy.evals') / 'report.html.j2')\n"
    )
    for line in _run([installed / "python", "-c", script], tmp_path).split():
        assert Path(line).exists()
        assert Path(line).is_relative_to(installed.parent)
