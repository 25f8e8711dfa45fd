"""Tuning on pairs with a tiny random model: everything is real but the size."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core._references import References
from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base
from understudy.core.dpo import _collator, _config, _dataset, _trainer_class, train_dpo
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.preferences import PairRow
from understudy.core.settings import LoraSettings, PreferenceSettings, TrainSettings
from understudy.core.sft import Event, Outcome
from understudy.core.starts import Start
from understudy.core.tuning import adapter_config

from .tiny import losses, same_weights, tiny_base, weights

CPU = Hardware("cpu", False, 1, ())
LORA = LoraSettings(rank=4, alpha=8, dropout=0.1)
QUICK = TrainSettings(batch_size=4, max_length=128, early_stopping_patience=0)
PREFER = PreferenceSettings(epochs=2, learning_rate=1e-3)


def pairs(count: int, seed: int) -> list[PairRow]:
    rng = random.Random(seed)

    def some(low: int, high: int) -> list[int]:
        return [rng.randrange(3, 5000) for _ in range(rng.randrange(low, high))]

    return [PairRow(f"p{seed}-{n}", some(20, 50), [*some(2, 9), 2], [*some(2, 9), 2]) for n in range(count)]


ROWS = pairs(12, 1), pairs(5, 2)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    return {kind: resolve_base(str(tiny_base(tmp_path_factory.mktemp(kind), kind))) for kind in ("qwen3", "lfm2")}


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def run(bases: dict[str, Base]) -> Run:
    def train(
        folder: Path,
        *,
        kind: str = "qwen3",
        start: Start | None = None,
        method: Any = "full",
        on_event: Callable[[Event], None] = lambda event: None,
        rows: tuple[list[PairRow], list[PairRow]] = ROWS,
        references: Path | None = None,
        **changes: Any,
    ) -> Outcome:
        begin = start or Start(bases[kind])
        settings = QUICK.model_copy(update={"method": method} | ({"lora": LORA} if method == "lora" else {}))
        prefer = PREFER.model_copy(update=changes)
        kept = references or folder / "references"
        return train_dpo(begin, load_tokenizer(begin.base), *rows, settings, prefer, CPU, folder, kept, on_event)

    return train


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("loss", ["sigmoid", "sigmoid_norm", "ipo", "smoothed"])
@pytest.mark.parametrize(
    ("kind", "method", "shared"), [("qwen3", "lora", True), ("qwen3", "full", True), ("lfm2", "full", False)]
)
def test_loss_and_gradients_are_stock_trl_s(
    loss: str, kind: str, method: Any, shared: bool, bases: dict[str, Base], tmp_path: Path
) -> None:
    import torch
    from trl import DPOTrainer

    smoothed = {"label_smoothing": 0.2} if loss == "smoothed" else {"loss": loss}
    settings = QUICK.model_copy(update={"method": method, "lora": LORA})
    prefer, tokenizer = PREFER.model_copy(update=smoothed), load_tokenizer(bases[kind])
    rows = [*ROWS[0], *ROWS[1]]
    store = References(tmp_path, "r", kind)
    config = _config(settings, prefer, CPU, tmp_path, len(ROWS[0]))

    def measure(ours: bool) -> tuple[float, list[Any]]:
        collate = _collator(rows, int(tokenizer.pad_token_id))
        common: dict[str, Any] = {
            "model": load_model(bases[kind], dtype="float32"),
            "data_collator": collate,
            "train_dataset": _dataset(rows, range(12), store),
            "eval_dataset": _dataset(rows, range(12, 17), store),
            "processing_class": tokenizer,
            "peft_config": adapter_config(settings),
        }
        if ours:
            trainer = _trainer_class()(rows, store, shared, tmp_path, args=config, **common)
        else:
            reference = None if method == "lora" else load_model(bases[kind], dtype="float32")
            stock = dataclasses.replace(config, precompute_ref_log_probs=False)
            trainer = DPOTrainer(args=stock, ref_model=reference, **common)
        torch.manual_seed(9)
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.02 * torch.randn_like(parameter)
        trainer.model.train()
        batch = collate([trainer.train_dataset[n] for n in range(4)])
        if not ours:
            del batch["row"]
        found = trainer.compute_loss(trainer.model, batch)
        found.backward()
        return found.item(), [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]

    mine, theirs = measure(True), measure(False)
    assert mine[0] == pytest.approx(theirs[0], rel=1e-5)
    assert len(mine[1]) == len(theirs[1]) > 0
    for one, other in zip(mine[1], theirs[1], strict=True):
        torch.testing.assert_close(one, other, atol=2e-5 * float(other.abs().max() + 1), rtol=1e-3)


def test_a_run_learns_to_prefer_and_says_how_prompts_were_read(plain: Outcome, run: Run, tmp_path: Path) -> None:
    first, *_, last = [event for event in plain.events if event.validation_loss is None]
    assert first.loss == pytest.approx(0.6931, abs=1e-4), "before the first step nothing is preferred"
    assert last.loss is not None and last.loss < 0.6 and last.accuracy == 1 and last.margin and last.margin > 0
    assert plain.kind == "full" and plain.notes == ("each prompt is read once",)
    assert run(plain.folder.parent) == plain, "a finished run returns at once"
    seedling_like = run(tmp_path, kind="lfm2", epochs=0.5)
    assert "read twice" in seedling_like.notes[0] and "across the border" in seedling_like.notes[0]


def test_shared_prefixes_change_the_speed_and_nothing_else(plain: Outcome, run: Run, tmp_path: Path) -> None:
    apart = run(tmp_path, share_prefixes=False)
    assert "share_prefixes is off" in apart.notes[0]
    for one, other in zip(apart.events, plain.events, strict=True):
        mine, theirs = one.loss or one.validation_loss, other.loss or other.validation_loss
        assert one.step == other.step and mine == pytest.approx(theirs, rel=1e-3)


def test_the_reference_is_scored_once_and_read_back_bit_for_bit(
    plain: Outcome, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.core import dpo

    kept = plain.folder.parent / "references"
    (file,) = kept.glob("*.json")
    before = file.read_bytes()
    assert len(json.loads(before)) == 17
    scored = []
    real = dpo.Scorer

    class Counting(real):  # type: ignore[valid-type, misc]
        def __call__(self, **inputs: Any) -> Any:
            import torch

            scored.append(torch.is_grad_enabled())
            return super().__call__(**inputs)

    monkeypatch.setattr(dpo, "Scorer", Counting)
    again = run(tmp_path, references=kept, epochs=1)
    assert scored.count(True) == 3 and scored.count(False) == 2, "three steps and two validation batches, no more"
    assert file.read_bytes() == before
    assert again.events[0].loss == plain.events[0].loss
    other = [PairRow(row.id, row.prompt, row.rejected, row.chosen) for row in ROWS[0]]
    run(tmp_path / "other", references=kept, epochs=1, rows=(other, ROWS[1]))
    assert len(json.loads(file.read_text())) == 29, "other tokens are other rows"


_KILLED = """
import json, os, signal, sys
from pathlib import Path
from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.dpo import train_dpo
from understudy.core.hardware import Hardware
from understudy.core.preferences import PairRow
from understudy.core.settings import PreferenceSettings, TrainSettings
from understudy.core.starts import Start

base, folder, rows, settings, prefer, at = sys.argv[1:]
start = Start(resolve_base(base))
rows = [[PairRow(*row) for row in part] for part in json.loads(Path(rows).read_text())]

def die(event):
    if event.step == int(at):
        os.kill(os.getpid(), signal.SIGKILL)

train_dpo(start, load_tokenizer(start.base), *rows, TrainSettings.model_validate_json(settings),
          PreferenceSettings.model_validate_json(prefer), Hardware("cpu", False, 1, ()), Path(folder),
          Path(folder) / "references", die)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_killed_in_the_middle_ends_as_if_nothing_had_happened(
    method: Any, run: Run, bases: dict[str, Base], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"method": method} | ({"lora": LORA} if method == "lora" else {}))
    prefer = PREFER.model_copy(update={"epochs": 3})
    (tmp_path / "rows.json").write_text(
        json.dumps([[(r.id, r.prompt, r.chosen, r.rejected) for r in part] for part in ROWS])
    )
    name, killed = bases["qwen3"].name, tmp_path / "killed"
    arguments = [
        name,
        str(killed),
        str(tmp_path / "rows.json"),
        settings.model_dump_json(),
        prefer.model_dump_json(),
        "5",
    ]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (killed / "outcome.json").exists()
    steps: list[int] = []
    resumed = run(killed, method=method, epochs=3, on_event=lambda event: steps.append(event.step))
    whole = run(tmp_path / "whole", method=method, epochs=3)
    assert min(steps) == 4, "it went on after the first epoch's three steps, not from the start"
    assert same_weights(resumed, whole)
    assert losses(resumed) == losses(whole)


def test_a_loss_that_is_no_number_names_the_pair_and_keeps_the_last_good_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second epoch one pair's log-probability is broken, as an overflow would."""
    from understudy.core import dpo

    real, bad = dpo.Scorer, ROWS[0][7]
    steps = [0]

    class Breaking(real):  # type: ignore[valid-type, misc]
        def __call__(self, *, input_ids: Any, **inputs: Any) -> Any:
            import torch

            out = super().__call__(input_ids=input_ids, **inputs)
            steps[0] += torch.is_grad_enabled()
            if steps[0] > 3 and torch.is_grad_enabled():
                for n, ids in enumerate(input_ids.tolist()):
                    if ids[: len(bad.prompt)] == bad.prompt:
                        out.log_probs = out.log_probs.clone()
                        out.log_probs[n] = float("nan")
                self.sums = out.log_probs.detach().sum(dim=1)
            return out

    monkeypatch.setattr(dpo, "Scorer", Breaking)
    with pytest.raises(
        BadInput, match=r"the loss is nan at step [456] in the pair p1-7; lower preference.learning_rate"
    ) as told:
        run(tmp_path)
    assert str(tmp_path / "checkpoint-3") in str(told.value)
    assert (tmp_path / "checkpoint-3" / "model.safetensors").exists() and not (tmp_path / "outcome.json").exists()
    monkeypatch.undo()
    assert run(tmp_path).events[-1].step == 6, "it goes on from there when the cause is gone"


def test_without_pairs_it_says_so(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="0 to train on, 5 to validate on"):
        run(tmp_path, rows=([], ROWS[1]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 1},
        {"learning_rate": 3e-4},
        {"loss": "ipo"},
        {"loss": "sigmoid_norm"},
        {"beta": 0.5},
        {"label_smoothing": 0.3},
    ],
    ids=str,
)
def test_every_option_changes_the_weights(change: dict[str, Any], plain: Outcome, run: Run, tmp_path: Path) -> None:
    assert not same_weights(run(tmp_path, references=plain.folder.parent / "references", **change), plain)


def test_an_adapter_learns_on_as_the_same_adapter(run: Run, bases: dict[str, Base], tmp_path: Path) -> None:
    import torch

    from understudy.core.registry import Registry
    from understudy.core.starts import prepared_model, start_from

    registry, base = Registry(tmp_path / "registry"), bases["qwen3"]
    settings = QUICK.model_copy(update={"method": "lora", "lora": LORA})

    def register(outcome: Outcome, start: Start) -> Any:
        root = start.root("adapter")
        return registry.register(
            outcome.folder,
            pack="toy",
            kind="adapter",
            base=root.name,
            base_revision=root.revision,
            dataset="d",
            dataset_digest="0",
            settings={"train": settings.model_dump(mode="json")},
            parent=start.version.id if start.version else None,
        )

    first = run(tmp_path / "first", method="lora")
    start = start_from(registry, register(first, Start(base)))
    second = run(tmp_path / "second", method="lora", start=start, epochs=1)
    assert second.kind == "adapter" and not (second.folder / "ref").exists()
    assert weights(second).keys() == weights(first).keys() and not same_weights(first, second)
    assert second.events[0].loss == pytest.approx(0.6931, abs=1e-4), "the reference is the adapter, not the bare base"
    version = register(second, start)
    assert (version.base, version.parent) == (base.name, start.version.id if start.version else "")
    merged, none = prepared_model(start, settings.model_copy(update={"method": "full"}), CPU)
    kept, _ = prepared_model(start, settings, CPU)
    ids = torch.arange(10, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, kept.eval()(ids).logits, atol=1e-3, rtol=1e-3)
    assert none is None and not hasattr(merged, "peft_config")
    assert all(parameter.requires_grad for parameter in merged.parameters())
    with pytest.raises(BadInput, match=r"set train.method and its section as they were, or train.method to full"):
        prepared_model(start, settings.model_copy(update={"lora": LoraSettings(rank=2)}), CPU)
