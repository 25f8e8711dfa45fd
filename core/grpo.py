"""Group-relative policy optimisation (arXiv 2402.03300): TRL's trainer, rewarded by the pack's own checks and metric.

The model answers each prompt several times, freely, as it would without a grammar, and learns from the answers that
earned more than their neighbours. Loss, sampling and the loop are TRL's. Ours are the prompts (token for token those of
generation), the rewards (:mod:`understudy.core.rewards`), where the head looks, and the model it is compared with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._prefix_sharing import Scorer
from understudy.core._references import as_it_began
from understudy.core._running import Outcome, callbacks, conclude, finished_outcome, run, run_arguments
from understudy.core._watching import Event, check_finite, check_learnt
from understudy.core.engines import Request, borrowed_engine, conversation, prompt_ids, stop_ids
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.pack import Pack
from understudy.core.preflight import check_rows
from understudy.core.records import Example, Message
from understudy.core.rewards import Verdict, judged
from understudy.core.rows import Row, TooLong, answer_row, completion_text, fit_examples
from understudy.core.runs import stage_settings
from understudy.core.settings import Overflow, RewardSettings, TrainSettings
from understudy.core.starts import Start, prepared_model
from understudy.core.tuning import widen

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Prompt", "check_groups", "make_prompts", "train_grpo"]

RATE = "reward.learning_rate"
"""The setting to lower when the loss runs away."""


@dataclass(frozen=True)
class Prompt:
    """A question to be answered, and the row that its right answer would be."""

    example: Example
    messages: Sequence[Message]
    row: Row


def make_prompts(
    pack: Pack,
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    max_new_tokens: int,
    on_overflow: Overflow,
) -> tuple[list[Prompt], tuple[str, ...]]:
    """Return (prompts, a sentence for each kind of change made to fit ``max_length`` with ``max_new_tokens``).

    Raises:
        BadInput: a prompt is too long and must not be, or a right answer is longer than an answer may be.
    """

    def make(example: Example) -> Prompt:
        messages = pack.messages(pack.Input.model_validate(example.input))
        prompt = prompt_ids(tokenizer, messages)
        text = completion_text(pack.Output.model_validate(example.output))
        answer = [*tokenizer(text, add_special_tokens=False)["input_ids"], int(tokenizer.eos_token_id)]
        if len(answer) > max_new_tokens:
            raise BadInput(
                f"the right answer of example {example.id} has {len(answer)} tokens and reward.max_new_tokens is "
                f"{max_new_tokens}, so it could never be given: raise it"
            )
        if len(prompt) + max_new_tokens > max_length:
            raise TooLong(
                f"needs {len(prompt) + max_new_tokens} tokens with an answer of reward.max_new_tokens and "
                f"train.max_length is {max_length}"
            )
        return Prompt(example, messages, answer_row(prompt, answer, example.id))

    return fit_examples(pack, examples, make, max_length, on_overflow)


def train_grpo(
    start: Start,
    tokenizer: PreTrainedTokenizerBase,
    pack: Pack,
    training: Sequence[Prompt],
    validation: Sequence[Prompt],
    train: TrainSettings,
    reward: RewardSettings,
    hardware: Hardware,
    folder: Path,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Tune ``start`` towards answers that earn more and return the checkpoint that earned most on ``validation``.

    Resumes, ends early and returns at once when finished as :func:`understudy.core.sft.train_sft` does. A loss of an
    event is the share of the reward that was missed: the value of the objective itself says nothing.

    Args:
        start: the weights; they are the reference as well.
        tokenizer: of ``start``.
        pack: the task, whose checks and primary metric decide on rewards.
        training: prompts to answer and learn from.
        validation: prompts to watch.
        train: method, batch, length and seed; epochs and learning rate come from ``reward``.
        reward: how answers are drawn and what they earn.
        hardware: where to run.
        folder: of this run, see :mod:`understudy.core.runs`.
        on_event: called with every event.

    Raises:
        BadInput: no prompts, batches that do not hold whole groups, or the loss is no longer a number.
        NothingLearnt: all answers to a prompt earned the same, every time.
    """
    check_groups(training, validation, train, reward)
    done = finished_outcome(folder)
    if done is not None:
        check_learnt(done.events)
        return done
    from transformers import set_seed

    settings = stage_settings(train, reward)
    set_seed(settings.seed)
    model, adapter = prepared_model(start, settings, hardware)
    check_rows([prompt.row for prompt in (*training, *validation)], model, tokenizer, settings.max_length)
    args = _config(settings, reward, hardware, folder, len(training))
    prompts = _whole_batches(training, args.generation_batch_size // reward.generations, settings.seed)
    trainer = _trainer_class()(
        _Judge(pack, prompts, tokenizer, stop_ids(model, tokenizer), reward),
        validation,
        folder,
        model=model,
        args=args,
        train_dataset=_dataset(prompts, tokenizer),
        eval_dataset=_dataset(validation, tokenizer),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(settings, folder, on_event, RATE),
    )
    trained = run(trainer, tokenizer, folder, validation[0].row)
    del trainer, model  # so that there is room to load what was saved
    outcome = conclude(trained, start, settings, hardware, folder)
    check_learnt(outcome.events)
    return outcome


def check_groups(
    training: Sequence[Prompt], validation: Sequence[Prompt], train: TrainSettings, reward: RewardSettings
) -> None:
    """Refuse too few prompts, and batches that do not hold whole groups of answers.

    Raises:
        BadInput: naming the settings to change.
    """
    if not training or not validation:
        raise BadInput(f"grpo needs prompts: {len(training)} to train on, {len(validation)} to validate on")
    answers = train.batch_size * train.gradient_accumulation
    if answers % reward.generations:
        raise BadInput(
            f"grpo compares {reward.generations} answers to a prompt (reward.generations), and {answers}, "
            "train.batch_size times train.gradient_accumulation, is no multiple of that: change one of the three"
        )


def _whole_batches(prompts: Sequence[Prompt], size: int, seed: int) -> list[Prompt]:
    """Return the prompts in an order drawn once, filled up with the first ones to whole batches of ``size``.

    TRL would draw it anew each epoch, which a resumed run cannot repeat, and leave out what fills no batch.
    """
    order = list(prompts)
    random.Random(seed).shuffle(order)
    return list(islice(cycle(order), -(-len(order) // size) * size))


def _config(settings: TrainSettings, reward: RewardSettings, hardware: Hardware, folder: Path, prompts: int) -> Any:
    from trl import GRPOConfig

    return GRPOConfig(
        **run_arguments(settings, hardware, folder, prompts * reward.generations)
        | {"include_num_input_tokens_seen": "no"},  # TRL counts by itself what it has drawn
        num_generations=reward.generations,
        num_generations_eval=1,
        temperature=reward.temperature,
        max_completion_length=reward.max_new_tokens,
        shuffle_dataset=False,
        disable_dropout=True,  # answers are drawn from the very model that is tuned
        beta=0.0,  # TRL's reference is the base of the weights' folder; ours is where this stage starts
    )


def _dataset(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase) -> Any:
    from datasets import Dataset

    turns = [conversation(tokenizer, prompt.messages) for prompt in prompts]
    return Dataset.from_dict({"prompt": turns, "row": list(range(len(prompts)))})


class _Judge:
    """TRL's reward function: what each answer earned, with its parts logged."""

    __name__ = "reward"

    def __init__(
        self,
        pack: Pack,
        prompts: Sequence[Prompt],
        tokenizer: PreTrainedTokenizerBase,
        stops: Sequence[int],
        settings: RewardSettings,
    ) -> None:
        self.pack, self.settings, self.tokenizer = pack, settings, tokenizer
        self._prompts, self._stops = prompts, stops

    def __call__(
        self, completion_ids: list[list[int]], row: list[int], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        """Return the reward of each answer; ``row`` is the number of its prompt."""
        stopped = [bool(ids) and ids[-1] in self._stops for ids in completion_ids]
        texts = [
            str(
                self.tokenizer.decode(
                    ids[:-1] if ended else ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
                )
            )
            for ids, ended in zip(completion_ids, stopped, strict=True)
        ]
        verdicts = judged(self.pack, [self._prompts[number].example for number in row], texts, stopped)
        for name, value in _means(verdicts).items():
            log_metric(name, value)
        return [verdict.reward(self.settings) for verdict in verdicts]


def _means(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return the means of valid, passed and mark over answers."""
    return {name: sum(getattr(one, name) for one in verdicts) / len(verdicts) for name in ("valid", "passed", "mark")}


class _Beginning:
    """The model as it was before the first step, answering in TRL's form.

    A new adapter is switched off; anything else has its first weights put back for the moment, so that a continued
    adapter, a merged one and a whole model are each compared with exactly what they started from.
    """

    def __init__(self, model: Any, temperature: float, *, fresh: bool) -> None:
        self._model, self._temperature, self._fresh = model, temperature, fresh
        trained = [] if fresh else [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._kept = [(parameter, parameter.detach().clone()) for parameter in trained]

    def __call__(self, **inputs: Any) -> Any:
        with as_it_began(self._model, fresh=self._fresh), self._put_back():
            return Scorer(self._model, temperature=self._temperature)(**inputs)

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        now = [parameter.data for parameter, _ in self._kept]
        for parameter, first in self._kept:
            parameter.data = first
        try:
            yield
        finally:
            for (parameter, _), data in zip(self._kept, now, strict=True):
                parameter.data = data


def _trainer_class() -> Any:
    """Return the trainer; a class inside a function, because importing TRL takes seconds."""
    from transformers.trainer_utils import EvalLoopOutput
    from trl import GRPOTrainer

    class RewardTrainer(GRPOTrainer):
        """GRPOTrainer that scores answer tokens only, and is watched by what answers without drawing earn."""

        def __init__(self, judge: _Judge, watched: Sequence[Prompt], folder: Path, **arguments: Any) -> None:
            self._judge, self._watched, self._folder = judge, watched, folder
            super().__init__(reward_funcs=judge, **arguments)
            tuned: Any = self.model
            widen(tuned)
            if judge.settings.beta:
                fresh = arguments["peft_config"] is not None
                reference: Any = _Beginning(tuned, self.temperature, fresh=fresh)
                self.beta, self.ref_model = judge.settings.beta, reference

        def evaluation_loop(self, *arguments: Any, **named: Any) -> Any:
            """Answer every watched prompt as in use, and return the share of the reward that was missed as the loss."""
            settings, size = self._judge.settings, self.args.per_device_eval_batch_size
            requests = [Request(prompt.messages, None, settings.max_new_tokens) for prompt in self._watched]
            model = self.accelerator.unwrap_model(self.model)
            with borrowed_engine(model, self._judge.tokenizer, size) as engine:
                answers = engine.generate(requests)
            texts, stopped = [one.text for one in answers], [one.finish_reason == "stop" for one in answers]
            verdicts = judged(self._judge.pack, [prompt.example for prompt in self._watched], texts, stopped)
            reward = sum(verdict.reward(settings) for verdict in verdicts) / len(verdicts)
            found = {"loss": 1 - reward, "reward": reward, **_means(verdicts)}
            metrics = {f"eval_{name}": value for name, value in found.items()}
            nothing: Any = None
            return EvalLoopOutput(predictions=nothing, label_ids=None, metrics=metrics, num_samples=len(verdicts))

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Return TRL's loss; equal to that of stock TRL to rounding."""
            stock = self.aux_loss_enabled or self.args.device.type == "cuda"
            chosen = model if stock else Scorer(model, temperature=self.temperature)
            loss = super().compute_loss(chosen, inputs, return_outputs, num_items_in_batch)
            check_finite(loss, self.state.global_step + 1, self._folder, RATE)
            return loss

    return RewardTrainer
