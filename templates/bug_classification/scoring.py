"""The language model's side: labels scored against each other, never written, so no text can bring in another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from understudy.core.calibration import contextual
from understudy.core.records import Message
from understudy.core.scoring import ClosedQuestion, Interview
from understudy.templates.bug_classification import prompt
from understudy.templates.bug_classification.schema import Question, Ticket, in_answer_order

__all__ = ["Scorer", "content_free", "score_tickets", "without_prior"]

Probabilities = dict[str, dict[str, float]]
"""By group, by label."""


class Scorer(Protocol):
    """The part of :class:`understudy.core.engines.LocalEngine` that is needed."""

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        interviews: Sequence[Interview[Probabilities]],
        progress: Callable[[int], None] | None = None,
    ) -> list[Probabilities]:
        """Return what each prompt's interview returns."""
        ...


def score_tickets(
    engine: Scorer, tickets: Sequence[Ticket], progress: Callable[[int], None] | None = None
) -> list[Probabilities]:
    """Return for each ticket the probability of every label that is asked.

    Args:
        engine: the language model.
        tickets: with their questions, which may differ from ticket to ticket.
        progress: called with the number of tickets just finished.
    """
    prompts = [prompt.messages(ticket) for ticket in tickets]
    return engine.score(prompts, [_interview(in_answer_order(ticket.questions)) for ticket in tickets], progress)


def _interview(questions: Sequence[Question]) -> Interview[Probabilities]:
    """Ask for one group a turn.

    The answer is the compact JSON of training. A ``single`` group's labels are compared where its value begins, after
    the values chosen for the groups before it, as greedy generation would have written them. Each label of a ``multi``
    group is a yes or no of its own, asked as if all before it were no: the labels do not compete, and one pass reads
    them all.
    """
    found: Probabilities = {}
    written = '{"labels":{'
    for turn, question in enumerate(questions):
        values = yield _closed(question, written, _follows(questions, turn))
        own = [row[0] for row in values] if question.mode == "multi" else values[0]
        found[question.group] = dict(zip(question.labels, own, strict=True))
        written += _written(question, found[question.group]) + _follows(questions, turn)
    return found


def _closed(question: Question, before: str, follows: str) -> list[ClosedQuestion]:
    """Return what is asked of one group; a label is followed by all that stands between it and the next value."""
    begin = f"{before}{_text(question.group)}:"
    if question.mode == "single":
        return [ClosedQuestion(begin + '"', tuple(_text(label)[1:] + follows for label in question.labels))]
    asked = []
    for at, label in enumerate(question.labels):
        earlier = "".join(f"{_text(name)}:false," for name in question.labels[:at])
        ends = "," if at + 1 < len(question.labels) else "}" + follows
        asked.append(ClosedQuestion(f"{begin}{{{earlier}{_text(label)}:", (f"true{ends}", f"false{ends}")))
    return asked


def _follows(questions: Sequence[Question], turn: int) -> str:
    return "," if turn + 1 < len(questions) else "}}"


def _written(question: Question, known: Mapping[str, float]) -> str:
    if question.mode == "single":
        value = _text(max(question.labels, key=lambda label: known[label]))
    else:
        value = "{" + ",".join(f"{_text(label)}:{'true' if known[label] >= 0.5 else 'false'}" for label in known) + "}"
    return f"{_text(question.group)}:{value}"


def _text(value: str) -> str:
    """Return a JSON string as training targets have it."""
    return json.dumps(value, ensure_ascii=False)


def content_free(engine: Scorer, repository: str, questions: Sequence[Question]) -> Probabilities:
    """Return what the model answers to a ticket without content: the wording of the labels, and nothing else."""
    return score_tickets(engine, [Ticket(repository=repository, title="N/A", body="", questions=list(questions))])[0]


def without_prior(found: Probabilities, prior: Probabilities, modes: Mapping[str, str]) -> Probabilities:
    """Return probabilities divided by the content-free answer (contextual calibration), group by group."""
    result: Probabilities = {}
    for group, known in found.items():
        base = prior.get(group)
        if not base or base.keys() != known.keys():
            result[group] = dict(known)
        elif modes.get(group) == "multi":
            result[group] = {label: _binary(p, base[label]) for label, p in known.items()}
        else:
            row = contextual(np.array([list(known.values())]), np.array([base[label] for label in known]))[0]
            result[group] = dict(zip(known, row.tolist(), strict=True))
    return result


def _binary(p: float, prior: float) -> float:
    return float(contextual(np.array([[p, 1 - p]]), np.array([prior, 1 - prior]))[0, 0])
