"""A log and, where there is one, a model: the explanation that people and tools read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from understudy.core.engines import Generation, Request
from understudy.core.pack import RULES, TokenCounter
from understudy.core.records import Problem
from understudy.core.redaction import redact_lines
from understudy.templates.log_triage import checks, grammar, prompt, rules
from understudy.templates.log_triage.schema import Category, LogInput, Origin, RootCause
from understudy.templates.log_triage.select import Selection, pack_lines

__all__ = ["RULES", "Evidence", "Explanation", "Model", "explain", "log_input", "redacted"]

Model = Callable[[Request], Generation]

_ANSWER_TOKENS = 400


class Evidence(BaseModel):
    """A quoted line or run of lines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    line_start: int
    line_end: int
    quote: str
    """The lines as they stand in the log, without colours and timestamps, secrets redacted."""


class Explanation(BaseModel):
    """The ``explain`` shape of the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Category
    origin: Origin
    transient: bool
    root_cause: str
    fix: str
    confidence: float | None
    """Probability the model gave the category, 0..1; None for rules."""
    abstained: bool
    evidence: list[Evidence]
    """Where the log shows the cause; of an unknown one, the most suspicious lines."""
    model: str
    """Id of the model version, or ``rules``."""
    problems: list[Problem]
    """What the checks found wrong with the answer."""
    finish: Literal["stop", "length", "none"] = "none"


def log_input(selection: Selection, budget: int, count_tokens: TokenCounter) -> LogInput:
    """Return the selection as the model reads it: secrets redacted, then packed into ``budget`` tokens."""
    texts = redacted(selection)
    lines = [replace(line, text=texts[line.number]) for line in selection.lines]
    return pack_lines(replace(selection, lines=lines), budget, count_tokens)


def redacted(selection: Selection) -> dict[int, str]:
    """Return line number to text, redacted as one text: a key block or a password is known by its neighbours."""
    texts = redact_lines([line.text for line in selection.lines])
    return {line.number: text for line, text in zip(selection.lines, texts, strict=True)}


def explain(
    name: str, selection: Selection, log: LogInput, model: Model | None, model_id: str, *, min_confidence: float = 0.5
) -> Explanation:
    """Explain one log.

    Without a model the rules answer. A log in which nothing points at a failure is not shown to the model at all. A
    model's answer that fails a check is replaced by the rules' verdict, and the problems say so; a cut-off answer too.
    Where the model confirms the rules' reading, category and a line of evidence, it is told in the rules' words: their
    names are filled in from the log by code, and a small model may miscopy one.

    Args:
        name: the log's name, for the evidence.
        selection: chosen lines, from :func:`understudy.templates.log_triage.select.select`.
        log: the same, packed by :func:`log_input`.
        model: asks the promoted model; None for rules only.
        model_id: the model's version id.
        min_confidence: below this probability of the category the explanation abstains; what the model thought stays
            visible.
    """
    if not any(line.anchor > 0 for line in selection.lines):
        return _abstention(model_id if model else RULES)
    reading = rules.diagnose(log)
    if model is None:
        return _shaped(name, selection, log, reading, RULES, None, [], 0.0)
    generation = model(Request(prompt.messages(log), grammar.narrowed_schema(log), _ANSWER_TOKENS))
    if generation.finish_reason == "length":
        problems = [
            Problem(
                field="root_cause", message=f"the model's answer was cut at {_ANSWER_TOKENS} tokens; rules answered"
            )
        ]
        return _shaped(name, selection, log, reading, RULES, None, problems, 0.0)
    answer = RootCause.model_validate_json(generation.text)
    problems = checks.check(log, answer)
    if problems:
        return _shaped(name, selection, log, reading, RULES, None, problems, 0.0)
    if reading.category == answer.category and not set(reading.evidence).isdisjoint(answer.evidence):
        answer = answer.model_copy(update={"root_cause": reading.root_cause, "fix": reading.fix})
    if answer.category == "unknown":  # healthy logs taught the model to say that nothing need be done
        answer = answer.model_copy(update={"root_cause": rules.NO_CAUSE, "fix": rules.NO_FIX})
    return _shaped(name, selection, log, answer, model_id, generation.confidence, [], min_confidence)


def _abstention(model_id: str) -> Explanation:
    return Explanation(
        category="unknown",
        origin="code",
        transient=False,
        root_cause="No failure is shown in this log.",
        fix="Give the log of the step that failed.",
        confidence=None,
        abstained=True,
        evidence=[],
        model=model_id,
        problems=[],
    )


def _shaped(
    name: str,
    selection: Selection,
    log: LogInput,
    answer: RootCause,
    model_id: str,
    confidence: float | None,
    problems: list[Problem],
    min_confidence: float,
) -> Explanation:
    unsure = confidence is not None and confidence < min_confidence
    return Explanation(
        category=answer.category,
        origin=answer.origin,
        transient=answer.transient,
        root_cause=answer.root_cause,
        fix=answer.fix,
        confidence=None if confidence is None else round(confidence, 4),
        abstained=answer.category == "unknown" or unsure,
        evidence=_quotes(name, selection, log, answer),
        model=model_id,
        problems=problems,
        finish="none" if model_id == RULES else "stop",
    )


def _quotes(name: str, selection: Selection, log: LogInput, answer: RootCause) -> list[Evidence]:
    """Fill the quotes from the log, neighbouring lines as one; where no cause is named, those most like one."""
    texts = redacted(selection)
    quotes: list[Evidence] = []
    for number in sorted({log.lines[position - 1].number for position in answer.evidence or rules.suspects(log)}):
        text = texts[number]
        if quotes and quotes[-1].line_end == number - 1:
            last = quotes.pop()
            quotes.append(last.model_copy(update={"line_end": number, "quote": f"{last.quote}\n{text}"}))
        else:
            quotes.append(Evidence(file=name, line_start=number, line_end=number, quote=text))
    return quotes
