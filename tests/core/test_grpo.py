"""Tuning on rewards with a tiny random model: everything is real but the size, and what is rewarded where said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from understudy.core import grpo
from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base
from understudy.core.engines import prompt_ids
from understudy.core.errors import BadInput, NothingLearnt
from understudy.core.grpo import Prompt, make_prompts, train_grpo
from understudy.core.hardware import Hardware
from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.core.registry import Registry
from understudy.core.rewards import Verdict, judged
from understudy.core.settings import LoraSettings, RewardSettings, TrainSettings
from understudy.core.sft import Event, Outcome
from understudy.core.starts import Start, start_from

from .tiny import same_weights, tiny_base, vowels

CPU = Hardware("cpu", False, 1, ())
LORA = LoraSettings(rank=4, alpha=8)
QUICK = TrainSettings(batch_size=4, max_length=128, early_stopping_patience=0)
REWARD = RewardSettings(generations=4, max_new_tokens=24, epochs=2, learning_rate=3e-3)
Examples = Callable[..., Example]
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    return {kind: resolve_base(str(tiny_base(tmp_path_factory.mktemp(kind), kind))) for kind in ("qwen3", "lfm2")}


@pytest.fixture(scope="module")
def prompts(bases: dict[str, Base], toy: Pack, toy_example: Examples) -> list[Prompt]:
    examples = [toy_example(f"e{n}", f"it <|im_end|> crashed {n} " * (1 + n % 3)) for n in range(6)]
    return make_prompts(toy, examples, load_tokenizer(bases["qwen3"]), 128, REWARD.max_new_tokens, "error")[0]


@pytest.fixture(scope="module")
def run(bases: dict[str, Base], prompts: list[Prompt], toy: Pack) -> Iterator[Run]:
    def train(
        folder: Path,
        *,
        kind: str = "qwen3",
        start: Start | None = None,
        settings: TrainSettings = QUICK,
        on_event: Callable[[Event], None] = lambda event: None,
        training: Sequence[Prompt] = prompts[:4],
        **changes: Any,
    ) -> Outcome:
        begin = start or Start(bases[kind])
        reward, tokenizer = REWARD.model_copy(update=changes), load_tokenizer(begin.base)
        return train_grpo(begin, tokenizer, toy, training, prompts[4:], settings, reward, CPU, folder, on_event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "judged", vowels)
        yield train


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("plain"), epochs=1)


def test_a_verdict_is_the_pack_s_own_and_half_an_answer_earns_nothing(toy: Pack, toy_example: Examples) -> None:
    examples = [toy_example(f"e{n}", "crash") for n in range(5)]
    right = '{"label":"bug","why":""}'
    refused = '{"label":"bug","why":"refuse me"}'
    texts = [right, refused, '{"label":"feature","why":""}', f"```{right}```", right]
    verdicts = judged(toy, examples, texts, [True, True, True, True, False])
    assert verdicts == [Verdict(1, 1, 1), Verdict(1, 0, 0), Verdict(1, 1, 0), Verdict(0, 0, 0), Verdict(0, 0, 0)]
    assert [one.reward(RewardSettings()) for one in verdicts] == [1, 0.25, 0.5, 0, 0]
    uneven = RewardSettings(valid_weight=3, checks_weight=1, task_weight=0)
    assert [one.reward(uneven) for one in verdicts] == [1, 0.75, 1, 0, 0]
    with pytest.raises(ValueError, match="must not all be 0"):
        RewardSettings(valid_weight=0, checks_weight=0, task_weight=0)


@pytest.mark.parametrize(("kind", "method"), [("qwen3", "full"), ("qwen3", "lora"), ("lfm2", "full")])
def test_loss_and_gradients_are_stock_trl_s_and_prompts_those_of_generation(
    kind: str, method: Any, bases: dict[str, Base], prompts: list[Prompt], toy: Pack, tmp_path: Path
) -> None:
    """With the model moved away from its reference, and prompts of unlike length, so that rows are padded in front."""
    import torch
    from trl import GRPOTrainer

    settings = QUICK.model_copy(update={"method": method, "lora": LORA})
    tokenizer = load_tokenizer(bases[kind])
    reward = REWARD.model_copy(update={"temperature": 0.7, "beta": 0.3})
    judge = grpo._Judge(toy, prompts, tokenizer, (2,), reward)

    def measure(ours: bool) -> tuple[float, list[Any], Any]:
        config = grpo._config(settings, reward, CPU, tmp_path, 4)
        common: dict[str, Any] = {
            "model": load_model(bases[kind], dtype="float32"),
            "args": config,
            "train_dataset": grpo._dataset(prompts, tokenizer),
            "processing_class": tokenizer,
            "peft_config": grpo.prepared_model(Start(bases[kind]), settings, CPU)[1],
        }
        torch.manual_seed(4)
        if ours:
            trainer = grpo._trainer_class()(judge, prompts, tmp_path, eval_dataset=common["train_dataset"], **common)
        else:
            config.beta = reward.beta
            config.eval_strategy = "no"
            trainer = GRPOTrainer(reward_funcs=lambda completions, **_: [0.0] * len(completions), **common)
        torch.manual_seed(9)
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.02 * torch.randn_like(parameter)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        batch = trainer._generate_and_score_completions([trainer.train_dataset[n] for n in (0, 0, 1, 1, 2, 2, 3, 3)])
        batch["advantages"] = torch.linspace(-1, 1, 8)
        found = trainer.compute_loss(trainer.model, batch)
        found.backward()
        ids = trainer._tokenize_prompts(trainer.train_dataset["prompt"][:])[0]
        return found.item(), [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None], ids

    mine, theirs = measure(True), measure(False)
    assert mine[2] == theirs[2] == [prompt_ids(tokenizer, prompt.messages) for prompt in prompts]
    assert mine[0] == pytest.approx(theirs[0], rel=1e-4)
    assert len(mine[1]) == len(theirs[1]) > 0
    for one, other in zip(mine[1], theirs[1], strict=True):
        torch.testing.assert_close(one, other, atol=2e-5 * float(other.abs().max() + 1), rtol=1e-3)


def test_a_run_earns_more_and_more_and_says_what(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path, epochs=8, beta=0.01, learning_rate=3e-2)
    drawn = [event.reward for event in outcome.events if event.loss is not None and event.reward is not None]
    assert sum(drawn[-8:]) / 8 > sum(drawn[:8]) / 8 + 0.01
    first, watched = outcome.events[0], [event for event in outcome.events if event.validation_loss is not None]
    assert (first.valid, first.passed, first.divergence) == (1, 0.5, pytest.approx(0, abs=1e-6))
    assert first.loss == pytest.approx(1 - (first.reward or 0)) and first.gradient_norm
    assert outcome.events[-2].divergence and outcome.events[-2].divergence > 1e-3
    assert outcome.best_validation_loss == min(event.validation_loss or 1 for event in watched)
    assert watched[0].reward == pytest.approx(1 - (watched[0].validation_loss or 0))
    seen: list[Event] = []
    assert run(tmp_path, on_event=seen.append) == outcome and not seen, "a finished run returns at once"


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_cut_off_goes_on_to_the_same_weights(method: Any, run: Run, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def interrupt(event: Event) -> None:
        if event.step == 6:
            raise Enough

    settings = QUICK.model_copy(update={"method": method, "lora": LORA})
    with pytest.raises(Enough):
        run(tmp_path / "cut", settings=settings, on_event=interrupt)
    steps: list[int] = []
    resumed = run(tmp_path / "cut", settings=settings, on_event=lambda event: steps.append(event.step))
    whole = run(tmp_path / "whole", settings=settings)
    assert min(steps) == 5, "it went on after the first epoch's four steps"
    assert same_weights(resumed, whole) and resumed.events[-1].reward == whole.events[-1].reward


def test_what_it_is_compared_with_is_where_it_started_also_from_a_merged_adapter(
    run: Run, bases: dict[str, Base], tmp_path: Path
) -> None:
    """TRL would load the reference from the base's folder, which is not the merged model."""
    lora = QUICK.model_copy(update={"method": "lora", "lora": LORA})
    first = run(tmp_path / "first", settings=lora, learning_rate=3e-2)
    registry, base = Registry(tmp_path / "registry"), bases["qwen3"]
    version = registry.register(
        first.folder,
        pack="toy",
        kind="adapter",
        base=base.name,
        base_revision=base.revision,
        dataset="d",
        dataset_digest="0",
        settings={"train": lora.model_dump(mode="json")},
    )
    start = start_from(registry, version)
    for settings in (QUICK, lora):
        again = run(tmp_path / settings.method, start=start, settings=settings, epochs=1)
        assert again.events[0].divergence == pytest.approx(0, abs=1e-6)
        assert not same_weights(again, first)


@pytest.mark.parametrize(
    "change",
    [{"beta": 0.0}, {"temperature": 0.5}, {"generations": 2}, {"max_new_tokens": 20}, {"valid_weight": 9.0}],
    ids=str,
)
def test_every_option_changes_the_weights(change: dict[str, Any], plain: Outcome, run: Run, tmp_path: Path) -> None:
    assert not same_weights(run(tmp_path, epochs=1, **change), plain)


def test_a_run_from_which_nothing_could_be_learnt_is_refused_now_and_when_asked_again(
    bases: dict[str, Base], prompts: list[Prompt], toy: Pack, tmp_path: Path
) -> None:
    """With the toy pack's own checks: a random model never gives a valid answer."""
    start, reward = Start(bases["qwen3"]), REWARD.model_copy(update={"epochs": 1})
    steps: list[tuple[float | None, ...]] = []

    def told(event: Event) -> None:
        if event.loss is not None:
            steps.append((event.reward, event.valid, event.alike))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "judged", judged)
        for _ in range(2):
            with pytest.raises(NothingLearnt, match=r"no version .* \(reward 0.000 on average, 0% of them valid"):
                train_grpo(
                    start, load_tokenizer(start.base), toy, prompts[:4], prompts[4:], QUICK, reward, CPU, tmp_path, told
                )
    assert steps == [(0, 0, 1)] * 4


def test_prompts_fill_whole_batches_in_an_order_drawn_once(prompts: list[Prompt]) -> None:
    filled = grpo._whole_batches(prompts[:5], 4, 1)
    assert len(filled) == 8 and filled[5:] == filled[:3] and set(map(id, filled)) == set(map(id, prompts[:5]))
    assert filled == grpo._whole_batches(prompts[:5], 4, 1) != grpo._whole_batches(prompts[:5], 4, 2)


def test_what_cannot_work_is_refused_by_name(
    run: Run, toy: Pack, toy_example: Examples, bases: dict[str, Base], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="0 to train on, 2 to validate on"):
        run(tmp_path, training=[])
    with pytest.raises(BadInput, match=r"compares 3 answers to a prompt .* and 4, train\.batch_size times"):
        run(tmp_path, generations=3)
    assert not list(tmp_path.iterdir())
    tokenizer, long = load_tokenizer(bases["qwen3"]), [toy_example("long", "crash " * 200), toy_example("e", "crash")]
    with pytest.raises(BadInput, match=r"example long needs \d+ tokens with an answer of reward\.max_new_tokens and"):
        make_prompts(toy, long, tokenizer, 128, 24, "error")
    kept, notes = make_prompts(toy, long, tokenizer, 128, 24, "drop")
    assert [prompt.example.id for prompt in kept] == ["e"] and "1 of 2 examples left out" in notes[0]
    with pytest.raises(BadInput, match=r"right answer of example e has \d+ tokens and reward\.max_new_tokens is 5"):
        make_prompts(toy, long[1:], tokenizer, 128, 5, "error")


def test_a_loss_that_is_no_number_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(grpo.Scorer):
        def __call__(self, **inputs: Any) -> Any:
            out = super().__call__(**inputs)
            out.log_probs = out.log_probs * float("nan")
            return out

    monkeypatch.setattr(grpo, "Scorer", Breaking)
    with pytest.raises(BadInput, match=r"the loss is nan at step 1; lower reward\.learning_rate"):
        run(tmp_path)
