"""Tuning on lone verdicts with a tiny random model: everything is real but the size."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core._references import References
from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.kto import _collator, _config, _dataset, _neighbours, _trainer_class, train_kto
from understudy.core.preferences import ThumbRow
from understudy.core.settings import LoraSettings, PreferenceSettings, TrainSettings
from understudy.core.sft import Event, Outcome
from understudy.core.starts import Start
from understudy.core.tuning import adapter_config

from .tiny import same_weights, tiny_base

CPU = Hardware("cpu", False, 1, ())
LORA = LoraSettings(rank=4, alpha=8)
QUICK = TrainSettings(batch_size=4, max_length=128, early_stopping_patience=0)
PREFER = PreferenceSettings(epochs=2, learning_rate=3e-3)


def thumbs(count: int, seed: int) -> list[ThumbRow]:
    rng = random.Random(seed)

    def some(low: int, high: int) -> list[int]:
        return [rng.randrange(3, 5000) for _ in range(rng.randrange(low, high))]

    return [ThumbRow(f"t{seed}-{n}", some(20, 50), [*some(2, 9), 2], n % 2 == 0) for n in range(count)]


ROWS = thumbs(13, 1), thumbs(5, 2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return resolve_base(str(tiny_base(tmp_path_factory.mktemp("base"))))


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def run(base: Base) -> Run:
    def train(
        folder: Path,
        rows: tuple[list[ThumbRow], list[ThumbRow]] = ROWS,
        settings: TrainSettings = QUICK,
        on_event: Callable[[Event], None] = lambda event: None,
        **changes: Any,
    ) -> Outcome:
        prefer = PREFER.model_copy(update=changes)
        kept = folder / "references"
        return train_kto(Start(base), load_tokenizer(base), *rows, settings, prefer, CPU, folder, kept, on_event)

    return train


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("plain"))


def test_answers_are_borrowed_from_neighbours_in_the_same_batch_and_never_one_s_own() -> None:
    assert _neighbours(7, 3) == [2, 0, 1, 5, 3, 4, 5]
    assert _neighbours(4, 2) == [1, 0, 3, 2]
    for count in range(2, 20):
        for size in range(2, 6):
            assert all(row != other for row, other in enumerate(_neighbours(count, size)))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_loss_and_gradients_are_stock_trl_s(method: Any, base: Base, tmp_path: Path) -> None:
    import torch
    from trl import KTOTrainer

    settings, tokenizer = QUICK.model_copy(update={"method": method, "lora": LORA}), load_tokenizer(base)
    rows, others = [*ROWS[0], *ROWS[1]], [*_neighbours(13, 4), *(13 + n for n in _neighbours(5, 4))]
    store, config = References(tmp_path, "r", "kto"), _config(settings, PREFER, CPU, tmp_path, 13)

    def measure(ours: bool) -> tuple[float, list[Any]]:
        collate = _collator(rows, others, int(tokenizer.pad_token_id))
        common: dict[str, Any] = {
            "model": load_model(base, dtype="float32"),
            "data_collator": collate,
            "train_dataset": _dataset(rows, others, range(13), store),
            "eval_dataset": _dataset(rows, others, range(13, 18), store),
            "processing_class": tokenizer,
            "peft_config": adapter_config(settings),
        }
        if ours:
            trainer = _trainer_class()(rows, others, store, tmp_path, args=config, **common)
        else:
            reference = None if method == "lora" else load_model(base, dtype="float32")
            stock = dataclasses.replace(config, precompute_ref_log_probs=False)
            trainer = KTOTrainer(args=stock, ref_model=reference, **common)
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


def test_a_run_learns_what_was_liked(plain: Outcome, run: Run) -> None:
    first, *_, last = [event for event in plain.events if event.validation_loss is None]
    assert first.loss == pytest.approx(0.5, abs=1e-4), "before the first step nothing is preferred"
    assert last.loss is not None and last.loss < 0.45
    assert max(event.margin for event in plain.events if event.margin is not None) > 0
    assert run(plain.folder.parent) == plain


def test_a_run_cut_off_goes_on_to_the_same_weights(plain: Outcome, run: Run, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def interrupt(event: Event) -> None:
        if event.step == 6:
            raise Enough

    with pytest.raises(Enough):
        run(tmp_path, on_event=interrupt)
    steps: list[int] = []
    assert same_weights(run(tmp_path, on_event=lambda event: steps.append(event.step)), plain)
    assert min(steps) == 5


@pytest.mark.parametrize("change", [{"beta": 0.9}, {"desirable_weight": 3.0}, {"undesirable_weight": 3.0}], ids=str)
def test_every_option_changes_the_weights(change: dict[str, Any], plain: Outcome, run: Run, tmp_path: Path) -> None:
    assert not same_weights(run(tmp_path, **change), plain)


def test_verdicts_that_are_all_alike_and_lonely_batches_are_refused(run: Run, tmp_path: Path) -> None:
    liked = [row for row in ROWS[0] if row.good]
    with pytest.raises(BadInput, match="7 and 0 to train on, 5 to validate on"):
        run(tmp_path, (liked, ROWS[1]))
    with pytest.raises(BadInput, match=r"train\.batch_size must be at least 2"):
        run(tmp_path, settings=QUICK.model_copy(update={"batch_size": 1}))
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_no_number_names_the_batch(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.core import kto

    class Breaking(kto.Scorer):
        def __call__(self, **inputs: Any) -> Any:
            import torch

            out = super().__call__(**inputs)
            if torch.is_grad_enabled():
                out.log_probs = out.log_probs * float("nan")
            return out

    monkeypatch.setattr(kto, "Scorer", Breaking)
    with pytest.raises(BadInput, match=r"the loss is nan at step 1 in the batch that begins with t1-\d+; lower pref"):
        run(tmp_path)
