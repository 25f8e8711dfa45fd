"""How often the gate passes a model that is no better, and one that is ten points better.

Run ``python benchmarks/evals_gate.py`` (about three minutes). Every simulated evaluation goes through the real
comparison and the real gate with their default settings: 155 samples, two arms that disagree on 20 % of them.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from pydantic import BaseModel

from understudy.core.pack import Metric
from understudy.core.records import Example, Message, Prediction, Source
from understudy.evals.compare import compare
from understudy.evals.gate import GateSettings, decide
from understudy.evals.results import Identity

SAMPLES = 155
DISCORDANT = 0.2
SIMULATIONS = 2_000
IDENTITY = Identity(model="simulated", model_digest="0" * 64)


class Ask(BaseModel):
    """An empty question."""

    text: str


class Answer(BaseModel):
    """Right or wrong."""

    right: bool


def _score(examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    right = [float(bool(made.output and made.output["right"])) for made in predictions]
    return {"correct": Metric(sum(right) / len(right), per_sample=right)}


PACK = SimpleNamespace(
    name="simulated",
    Input=Ask,
    Output=Answer,
    primary="correct",
    score=_score,
    messages=lambda value: [Message(role="user", content=value.text)],
)


def _predictions(examples: Sequence[Example], arm: str, right: Sequence[bool]) -> list[Prediction]:
    return [
        Prediction(example_id=one.id, arm=arm, text="", output={"right": bool(is_right)}, finish_reason="stop")
        for one, is_right in zip(examples, right, strict=True)
    ]


def simulate(gain: float, rules: GateSettings, simulations: int = SIMULATIONS, seed: int = 1) -> Counter[str]:
    """Count the verdicts over evaluations whose true difference is ``gain``."""
    rng = np.random.default_rng(seed)
    source = Source(origin="simulated")
    examples = [
        Example(
            id=f"{at:04d}", pack="simulated", group=f"g{at}", input={"text": "x"}, output={"right": True}, source=source
        )
        for at in range(SAMPLES)
    ]
    verdicts: Counter[str] = Counter()
    for _ in range(simulations):
        draw = rng.random(SAMPLES)
        only_ours = draw < (DISCORDANT + gain) / 2
        only_theirs = (draw >= (DISCORDANT + gain) / 2) & (draw < DISCORDANT)
        arms = {
            "tuned": _predictions(examples, "tuned", (~only_theirs).tolist()),
            "few-shot": _predictions(examples, "few-shot", (~only_ours).tolist()),
        }
        report = compare(PACK, examples, arms, identity=IDENTITY, resamples=1_000)  # type: ignore[arg-type]
        verdicts[decide(report, rules).verdict] += 1
    return verdicts


def main() -> None:
    failed = False
    for name, rules in (("exact", GateSettings()), ("mid-p", GateSettings(mid_p=True))):
        for gain, what, wanted in (
            (0.0, "level, no difference", "at most .03"),
            (0.1, "power, 10 points", "at least .75"),
        ):
            started = time.monotonic()
            verdicts = simulate(gain, rules)
            passed = verdicts["pass"] / SIMULATIONS
            reached = passed <= 0.03 if gain == 0 else passed >= 0.75
            failed |= not reached
            share = {verdict: count / SIMULATIONS for verdict, count in verdicts.items()}
            print(
                f"{name:<6} {what:<21} passes {passed:.4f}, wanted {wanted}: {'reached' if reached else 'falls short'}"
            )
            print(
                f"       {share}, n = {SAMPLES}, {SIMULATIONS:,} times, {time.monotonic() - started:.0f} s", flush=True
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
