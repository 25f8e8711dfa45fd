"""Training with a tiny random model: everything is real but the size."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base, template_digest
from understudy.core.curve import draw_curve
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.models import version_engine
from understudy.core.pack import Pack
from understudy.core.registry import Registry
from understudy.core.reporters import check_reporter
from understudy.core.rows import IGNORE, Row, make_rows
from understudy.core.settings import AdapterSettings, LoraSettings, TrainSettings
from understudy.core.sft import Event, Outcome, _config, _dataset, _trainer_class, train_sft
from understudy.core.starts import Start
from understudy.core.tuning import adapter_config

from .tiny import losses, needs_bitsandbytes, same_weights, tiny_base, tiny_model, weights

CPU = Hardware("cpu", False, 1, ())
LORA = LoraSettings(rank=4, alpha=8)
QUICK = TrainSettings(epochs=2, learning_rate=3e-3, batch_size=4, max_length=128, early_stopping_patience=0)
Examples = Callable[..., Any]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return resolve_base(str(tiny_base(tmp_path_factory.mktemp("base"))))


@pytest.fixture(scope="module")
def rows(base: Base, toy: Pack, toy_example: Examples) -> tuple[list[Row], list[Row]]:
    words = ("crash", "please add", "how do I")
    made = [
        toy_example(f"e{n}", f"{words[n % 3]} thing {n} " * (1 + n % 4), label=("bug", "feature", "question")[n % 3])
        for n in range(20)
    ]
    found = make_rows(toy, made, load_tokenizer(base), QUICK.max_length)
    return found[:12], found[12:]


@pytest.fixture(scope="module")
def run(base: Base, rows: tuple[list[Row], list[Row]]) -> Callable[..., Outcome]:
    def train(
        folder: Path,
        settings: TrainSettings = QUICK,
        on_event: Callable[[Event], None] = lambda event: None,
        start: Base = base,
        training: list[Row] = rows[0],
        task: Callable[[Any], float] | None = None,
        **changes: Any,
    ) -> Outcome:
        chosen = settings.model_copy(update=changes)
        return train_sft(Start(start), load_tokenizer(start), training, rows[1], chosen, CPU, folder, on_event, task)

    return train


@pytest.fixture(scope="module")
def plain(run: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_our_loss_and_its_gradient_are_stock_trl_s(
    method: Any, base: Base, rows: tuple[list[Row], list[Row]], tmp_path: Path
) -> None:
    import torch
    from trl import SFTTrainer

    settings = QUICK.model_copy(update={"method": method, "lora": LORA})

    def measure(trainer_class: Any) -> tuple[float, float, float, list[Any]]:
        torch.manual_seed(5)
        args = _config(settings, CPU, tmp_path, len(rows[0]))
        args.per_device_eval_batch_size = len(rows[1])  # TRL's is a mean over batches, ours is one over tokens
        trainer = trainer_class(
            model=load_model(base, dtype="float32"),
            args=args,
            train_dataset=_dataset(rows[0]),
            eval_dataset=_dataset(rows[1]),
            processing_class=load_tokenizer(base),
            peft_config=adapter_config(settings),
        )
        batch = trainer.data_collator([{"input_ids": r.input_ids, "labels": r.labels} for r in rows[0][:4]])
        trainer.model.train()
        mean = trainer.compute_loss(trainer.model, dict(batch))
        counted = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=torch.tensor(37))
        counted.backward()
        gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
        return mean.item(), counted.item(), trainer.evaluate()["eval_loss"], gradients

    ours, stock = measure(_trainer_class()), measure(SFTTrainer)
    assert ours[:3] == pytest.approx(stock[:3], abs=1e-5)
    assert ours[0] != pytest.approx(ours[1], abs=1e-3), "the given number of items is what divides"
    assert len(ours[3]) == len(stock[3]) > 0
    for mine, theirs in zip(ours[3], stock[3], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_the_loss_looks_at_completions_only(base: Base, rows: tuple[list[Row], list[Row]], tmp_path: Path) -> None:
    import torch

    trainer = _trainer_class()(
        model=load_model(base, dtype="float32"),
        args=_config(QUICK, CPU, tmp_path, 1),
        train_dataset=_dataset(rows[0]),
        eval_dataset=_dataset(rows[1]),
        processing_class=load_tokenizer(base),
    )
    row = rows[0][0]
    batch = trainer.data_collator([{"input_ids": row.input_ids, "labels": row.labels}])
    begin = row.labels.count(IGNORE)
    with torch.inference_mode():
        logits = trainer.model(torch.tensor([row.input_ids]), use_cache=False).logits[0, begin - 1 : -1]
        by_hand = torch.nn.functional.cross_entropy(logits, torch.tensor(row.input_ids[begin:]))
        assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert row.labels[-1] == load_tokenizer(base).eos_token_id


def test_a_run_learns_keeps_its_best_checkpoint_and_writes_every_event_down(
    plain: Outcome, base: Base, rows: tuple[list[Row], list[Row]], tmp_path: Path
) -> None:
    validations = [event.validation_loss for event in plain.events if event.validation_loss is not None]
    assert len(validations) == 2 and validations[1] < validations[0]
    assert plain.best_validation_loss == min(validations)
    assert (plain.kind, plain.stopped_early, plain.trainable) == ("full", False, plain.parameters)
    training = [event for event in plain.events if event.loss is not None]
    assert [event.step for event in training] == [1, 2, 3, 4, 5, 6]
    assert all(event.steps == 6 and event.gradient_norm for event in training)
    read = sum(len(row.input_ids) for row in rows[0])
    assert (training[2].tokens, training[-1].tokens) == (read, 2 * read), "padding is not counted"
    assert all(event.tokens_per_second and event.peak_bytes > 50 << 20 for event in training)
    assert template_digest(load_tokenizer(resolve_base(str(plain.folder)))) == template_digest(load_tokenizer(base))
    draw_curve(plain.events, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_returns_at_once_with_the_same_outcome(plain: Outcome, run: Callable[..., Outcome]) -> None:
    seen: list[Event] = []
    again = run(plain.folder.parent, on_event=seen.append)
    assert again == plain and not seen


def test_a_finished_run_whose_last_word_was_lost_to_a_kill_comes_to_the_same_end(
    plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(plain.folder.parent, folder, ignore=shutil.ignore_patterns("best", "outcome.json"))
    again = run(folder)
    assert same_weights(again, plain) and losses(again) == losses(plain)


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(plain.folder.parent, folder, ignore=shutil.ignore_patterns("best", "outcome.json"))
    (last,) = folder.glob("checkpoint-6")
    (last / "trainer_state.json").write_text('{"global_step": 6, "epo')
    (last / "optimizer.pt").unlink()
    again = run(folder)
    assert same_weights(again, plain) and losses(again) == losses(plain)


def test_an_event_torn_by_a_kill_costs_neither_its_neighbours_nor_the_run(
    plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(plain.folder.parent, folder, ignore=shutil.ignore_patterns("best", "outcome.json", "checkpoint-6"))
    lines = (folder / "events.jsonl").read_text().split("\n")
    (folder / "events.jsonl").write_text("\n".join(lines[:4]) + "\n" + lines[4][:25])
    again = run(folder)
    assert losses(again) == losses(plain)


_KILLED = """
import json, os, signal, sys
from pathlib import Path
from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.hardware import Hardware
from understudy.core.rows import Row
from understudy.core.settings import TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start

base, folder, rows, settings, at = sys.argv[1:]
base = resolve_base(base)
training, validation = ([Row(*pair) for pair in part] for part in json.loads(Path(rows).read_text()))

def die(event):
    if event.step == int(at):
        os.kill(os.getpid(), signal.SIGKILL)

train_sft(Start(base), load_tokenizer(base), training, validation, TrainSettings.model_validate_json(settings),
          Hardware("cpu", False, 1, ()), Path(folder), die)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        "full",
        "lora",
        pytest.param("qlora", marks=needs_bitsandbytes),
        "prefix",
        "adapter",
        "ia3",
    ],
)
def test_a_run_killed_in_the_middle_ends_as_if_nothing_had_happened(
    method: Any,
    base: Base,
    rows: tuple[list[Row], list[Row]],
    run: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    shape: dict[str, Any] = {
        "lora": {"lora": LORA.model_copy(update={"dropout": 0.1})},
        "adapter": {"adapter": AdapterSettings(width=8, dropout=0.1)},
    }
    shape["qlora"] = shape["lora"]
    changes = {"method": method, "epochs": 3, "early_stopping_patience": 2, **shape.get(method, {})}
    settings = QUICK.model_copy(update=changes)
    (tmp_path / "rows.json").write_text(json.dumps([[(r.input_ids, r.labels) for r in part] for part in rows]))
    arguments = [base.name, str(tmp_path / "killed"), str(tmp_path / "rows.json"), settings.model_dump_json(), "5"]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "killed" / "outcome.json").exists()
    steps: list[int] = []
    resumed = run(tmp_path / "killed", settings, lambda event: steps.append(event.step))
    whole = run(tmp_path / "whole", settings)
    assert min(steps) == 4, "it went on after the first epoch's three steps, not from the start"
    assert same_weights(resumed, whole)
    assert losses(resumed) == losses(whole)
    assert resumed.best_validation_loss == whole.best_validation_loss


def test_early_stopping_counts_on_after_a_resumption(
    plain: Outcome, run: Callable[..., Outcome], rows: tuple[list[Row], list[Row]], tmp_path: Path
) -> None:
    """Taught to stop at every token, a model is best after one epoch, and the second bad one after it ends the run."""
    nonsense = [Row(r.input_ids, [x if x == IGNORE else r.labels[-1] for x in r.labels]) for r in rows[0]]
    settings = QUICK.model_copy(update={"epochs": 6, "warmup": 0.0, "early_stopping_patience": 2})
    bad: dict[str, Any] = {"start": resolve_base(str(plain.folder)), "training": nonsense}
    whole = run(tmp_path / "whole", settings, **bad)
    validations = [event.validation_loss for event in whole.events if event.validation_loss is not None]
    assert validations == sorted(validations), "the scene is set: every epoch is worse than the one before"
    assert whole.stopped_early and len(validations) == 3
    assert whole.best_validation_loss == validations[0]
    kept = _validation_loss(whole, run, tmp_path)
    assert kept == pytest.approx(whole.best_validation_loss, abs=1e-4), "the best epoch's weights were kept"

    class Enough(Exception):
        pass

    def interrupt(event: Event) -> None:
        if event.step == 7:
            raise Enough

    with pytest.raises(Enough):
        run(tmp_path / "cut", settings, interrupt, **bad)
    assert losses(run(tmp_path / "cut", settings, **bad)) == losses(whole)
    patient = run(tmp_path / "patient", settings, early_stopping_patience=0, **bad)
    assert not patient.stopped_early and max(event.step for event in patient.events) == 18


def _validation_loss(outcome: Outcome, run: Callable[..., Outcome], tmp_path: Path) -> float:
    """Return the first validation loss of a run that starts from ``outcome`` and changes next to nothing."""
    start = resolve_base(str(outcome.folder))
    return run(tmp_path / "still", start=start, learning_rate=1e-12, epochs=1).best_validation_loss


def test_a_loss_that_is_no_number_is_refused_with_a_sentence(
    base: Base, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    import torch

    broken = load_model(base, dtype="float32")
    with torch.no_grad():
        next(iter(broken.parameters()))[7] = float("nan")
        for parameter in broken.parameters():
            parameter[0] = float("nan")
    broken.save_pretrained(tmp_path / "base")
    load_tokenizer(base).save_pretrained(tmp_path / "base")
    with pytest.raises(BadInput, match=r"the loss is nan at step 1 in row (e\d+, ){3}e\d+; lower train.learning_rate"):
        run(tmp_path / "run", start=resolve_base(str(tmp_path / "base")))
    assert not (tmp_path / "run" / "outcome.json").exists()


def test_the_rows_of_a_loss_that_is_no_number_are_named_and_the_last_good_checkpoint_is_kept(
    base: Base, rows: tuple[list[Row], list[Row]], run: Callable[..., Outcome], tmp_path: Path
) -> None:
    """One row has a token whose embedding is broken; embedding and head are apart, so that it breaks no other row."""
    import torch

    model = tiny_model("lfm2", tie_word_embeddings=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[4999] = float("nan")
    model.save_pretrained(tmp_path / "base")
    load_tokenizer(base).save_pretrained(tmp_path / "base")
    start = resolve_base(str(tmp_path / "base"))
    run(tmp_path / "run", start=start, epochs=1)
    (tmp_path / "run" / "outcome.json").unlink()
    bad = Row([4999, *rows[0][5].input_ids[1:]], rows[0][5].labels, "e5")
    training = [*rows[0][:5], bad, *rows[0][6:]]
    with pytest.raises(BadInput, match=r"the loss is nan at step [456] in row e5; lower train.learning_rate") as told:
        run(tmp_path / "run", start=start, training=training, epochs=2)
    assert f"the last good checkpoint is kept in {tmp_path / 'run' / 'checkpoint-3'}" in str(told.value)


def test_small_batches_added_up_are_one_large_batch(
    plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Of validation this holds nearly: the trainer averages over its batches, whose rows teach unlike many tokens."""
    added = run(tmp_path, batch_size=1, gradient_accumulation=4)
    for one, other in zip(added.events, plain.events, strict=True):
        assert one.step == other.step
        assert one.loss == pytest.approx(other.loss, abs=2e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=2e-2)


def test_the_task_s_score_chooses_the_checkpoint_where_examples_are_watched(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The score falls while the loss falls too, so only the score can have chosen the first epoch."""
    from safetensors.torch import load_file

    scores = iter([0.9, 0.5])
    outcome = run(tmp_path, epochs=2, task=lambda model: next(scores))
    first, last = (event for event in outcome.events if event.validation_loss is not None)
    assert (first.task, last.task) == (0.9, 0.5) and last.validation_loss < first.validation_loss
    kept = load_file(tmp_path / "checkpoint-3" / "model.safetensors")
    assert all((tensor == kept[name]).all() for name, tensor in weights(outcome).items())


def test_the_best_and_the_last_checkpoint_are_both_kept(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """A score that falls from the first epoch on makes that one the best; the ones between it and the last go."""
    scores = iter([0.9, 0.5, 0.4, 0.3])
    run(tmp_path, epochs=4, task=lambda model: next(scores))
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-12", "checkpoint-3"]


def test_after_ten_steps_the_time_that_is_left_is_told(run: Callable[..., Outcome], tmp_path: Path) -> None:
    seen: list[Event] = []
    run(tmp_path, epochs=4, on_event=seen.append)
    left = [(event.step, event.seconds_left) for event in seen if event.seconds_left is not None]
    assert [step for step, _ in left] == [10, 11, 12] and left[0][1] and left[-1][1] == 0


def test_activations_computed_twice_change_no_weight(
    plain: Outcome, rows: tuple[list[Row], list[Row]], base: Base, tmp_path: Path
) -> None:
    scarce = Hardware("cpu", False, 1, (), recompute=True)
    again = train_sft(Start(base), load_tokenizer(base), *rows, QUICK, scarce, tmp_path)
    assert same_weights(again, plain)


def test_a_single_step_is_none_of_the_warm_up(run: Callable[..., Outcome], base: Base, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    only = run(tmp_path, epochs=1, batch_size=12)
    before = load_file(Path(base.location) / "model.safetensors")
    assert any(not weights(only)[name].equal(one) for name, one in before.items())


def test_figures_go_to_tensorboard_too_and_a_library_that_is_not_there_is_named(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    run(tmp_path, report_to="tensorboard", epochs=1)
    (written,) = tmp_path.glob("runs/*/events.out.tfevents.*")
    assert b"train/grad_norm" in written.read_bytes()
    check_reporter(QUICK)
    with pytest.raises(BadInput, match="report_to is mlflow, which needs `pip install mlflow`"):
        check_reporter(QUICK.model_copy(update={"report_to": "mlflow"}))


def test_training_without_rows_is_refused(base: Base, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="0 to train on, 0 to validate on"):
        train_sft(Start(base), load_tokenizer(base), [], [], QUICK, CPU, tmp_path)


def test_an_adapter_is_registered_and_served_with_the_logits_it_was_trained_to(
    base: Base, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel

    outcome = run(tmp_path / "run", method="lora", lora=LORA, learning_rate=2e-2)
    assert outcome.kind == "adapter" and 0 < outcome.trainable < outcome.parameters / 2
    registry = Registry(tmp_path / "registry")
    about: dict[str, Any] = {
        "pack": "toy",
        "base": base.name,
        "base_revision": base.revision,
        "dataset": "toy-1",
        "dataset_digest": "0",
        "settings": {},
        "template_digest": template_digest(load_tokenizer(base)),
    }
    version = registry.register(outcome.folder, kind="adapter", **about)
    served = version_engine(registry, version, CPU)._model
    bare = load_model(base, dtype="float32")
    bare.set_attn_implementation("eager")  # as the engine does on a CPU: logits can then be equal to the last bit
    trained = PeftModel.from_pretrained(bare, str(outcome.folder)).eval()
    ids = torch.arange(10, 40)[None]
    with torch.inference_mode():
        assert torch.equal(served(ids).logits, trained(ids).logits)
        assert (served(ids).logits - load_model(base, dtype="float32")(ids).logits).abs().max() > 1e-3
    moved = version.model_copy(update={"base_revision": "sha256:" + "0" * 64})
    with pytest.raises(BadInput, match="restore it or train again"):
        version_engine(registry, moved, CPU)
    other = version.model_copy(update={"template_digest": "0" * 64})
    with pytest.raises(BadInput, match="another chat template"):
        version_engine(registry, other, CPU)


def test_a_full_version_is_served_with_its_own_weights(plain: Outcome, base: Base, tmp_path: Path) -> None:
    import torch

    registry = Registry(tmp_path)
    version = registry.register(
        plain.folder,
        pack="toy",
        kind="full",
        base=base.name,
        base_revision=base.revision,
        dataset="toy-1",
        dataset_digest="0",
        settings={},
    )
    ids = torch.arange(10, 40)[None]
    trained = load_model(resolve_base(str(plain.folder)))
    trained.set_attn_implementation("eager")
    with torch.inference_mode():
        assert torch.equal(version_engine(registry, version, CPU)._model(ids).logits, trained(ids).logits)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3},
        {"batch_size": 2},
        {"gradient_accumulation": 2},
        {"warmup": 0.6},
        {"weight_decay": 0.5},
        {"seed": 8},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_number_of_the_settings_changes_the_weights(
    change: dict[str, Any], plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert not same_weights(run(tmp_path, **change), plain)


def test_the_same_settings_give_the_same_weights_and_epochs_may_be_a_fraction(
    plain: Outcome, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert same_weights(run(tmp_path / "again"), plain)
    half = run(tmp_path / "half", epochs=0.5)
    assert max(event.step for event in half.events) == 2
    assert half.best_validation_loss > plain.best_validation_loss


def test_every_option_of_an_adapter_reaches_peft() -> None:
    assert adapter_config(QUICK) is None
    lora = LoraSettings(rank=5, alpha=7, dropout=0.25, rslora=True, dora=True, target_modules=("q_proj", "w1"))
    made = adapter_config(QUICK.model_copy(update={"method": "lora", "lora": lora}))
    found = (made.r, made.lora_alpha, made.lora_dropout, made.use_rslora, made.use_dora, set(made.target_modules))
    assert found == (5, 7, 0.25, True, True, {"q_proj", "w1"})
    assert adapter_config(QUICK.model_copy(update={"method": "lora"})).target_modules == "all-linear"


def test_an_adapter_s_alpha_is_not_rounded() -> None:
    made = adapter_config(QUICK.model_copy(update={"method": "lora", "lora": LoraSettings(rank=4, alpha=0.5)}))
    assert made.lora_alpha == 0.5
