"""A pack's reference and the tuned model answering together: one more arm, and whether it may replace the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.pack import Stacked, Stacks
from understudy.core.records import Example, Prediction
from understudy.evals.compare import compare
from understudy.evals.gate import GateSettings, apply_gate
from understudy.evals.results import Identity, Report, Serving

if TYPE_CHECKING:
    from understudy.evals.cache import CachedEngine
    from understudy.integrations.evaluation import Plan

__all__ = ["JudgedStack", "judged_stack"]

_STACK, _REFERENCE = "stack", "reference"


@dataclass(frozen=True)
class JudgedStack:
    """The stack's answers, and the report on them against the reference alone."""

    stacked: Stacked
    arms: Mapping[str, list[Prediction]]
    """One of them is the stack."""
    report: Report

    @property
    def serving(self) -> Serving:
        """Who answers from now on."""
        assert self.report.gate is not None
        return Serving(arm=_STACK, comparison=self.report.comparison(_REFERENCE), gate=self.report.gate)


def judged_stack(
    plan: Plan,
    engine: CachedEngine,
    samples: Sequence[Example],
    predictions: Mapping[str, Sequence[Prediction]],
    identity: Identity,
) -> JudgedStack | None:
    """Judge the stack by the gate of the settings and keep whether it may answer.

    Its report is on another model than the tuned one, so that its ``pass`` promotes nothing.

    Args:
        plan: the evaluation.
        engine: the tuned model.
        samples: what the arms answered.
        predictions: by arm; the stack's arms read the prompts of ``tuned``.
        identity: of the evaluation.

    Returns:
        None when the pack has no stack, or the reference is not among the arms.
    """
    own, gate = plan.own, plan.settings.gate
    if not isinstance(own, Stacks) or _REFERENCE not in predictions:
        return None
    stacked = own.stacked(plan.dataset, plan.splits, samples, plan.settings.taxonomy, identity.model, engine)
    arms = {
        name: [
            one.model_copy(update={"prompt_tokens": read.prompt_tokens})
            for one, read in zip(made, predictions["tuned"], strict=True)
        ]
        for name, made in stacked.arms.items()
    }
    both = {
        "model": f"stack of {_REFERENCE} and {identity.model}",
        "model_digest": sha256_bytes(canonical_json([plan.dataset.digest, identity.model_digest]).encode()),
    }
    report = compare(
        plan.pack,
        samples,
        {_STACK: arms[_STACK], _REFERENCE: predictions[_REFERENCE]},
        identity=identity.model_copy(update=both),
        candidate=_STACK,
        baseline=_REFERENCE,
        alpha=gate.alpha,
        seed=plan.chosen.seed,
    )
    judged = JudgedStack(
        stacked, arms, apply_gate(report, GateSettings(**gate.model_dump() | {"baseline": _REFERENCE}))
    )
    verdict = judged.serving.gate
    stacked.keep(Path(plan.settings.registry), served=verdict.verdict == "pass", verdict="; ".join(verdict.reasons))
    return judged
