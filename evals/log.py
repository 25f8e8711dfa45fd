"""The log of answers given in use, and of what people said about them: JSON Lines, append-only.

Two kinds of lines, told apart by their keys: an answer (``id``, ``time``, ``output`` ...) and feedback on one
(``inference_id``, ``kind``, ``value``: :class:`understudy.core.records.Feedback`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.core.errors import BadInput, first_fault
from understudy.core.records import Feedback

__all__ = ["Inference", "Log", "read_log"]

_LOWEST_GOOD_RATING = 3
"""Of one to five stars."""


class Inference(BaseModel):
    """One answer given in use. Keys that are not listed are left alone: a server may log more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    time: datetime
    model: str = ""
    """Version id, never an alias: an alias moves."""
    arm: str = ""
    """Of an A/B test; empty outside of one."""
    unit: str = ""
    """What an A/B test assigns as a whole: a pull request, a repository."""
    output: dict[str, Any] | None = None
    valid: bool = True
    finish_reason: Literal["stop", "length", "none"] = "stop"
    abstained: bool = False
    confidence: float | None = Field(default=None, ge=0, le=1)
    prompt_tokens: int | None = Field(default=None, ge=0)
    retrieval_score: float | None = Field(default=None, allow_inf_nan=False)
    seconds: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Log:
    """Answers in order of time, each with what was said about it."""

    answers: tuple[Inference, ...]
    feedback: Mapping[str, tuple[Feedback, ...]]
    """By the answer's id."""
    torn: bool
    """Whether the last line was cut off, as a crash leaves it; it is not counted."""

    def negative(self, answer: Inference) -> bool | None:
        """Return whether what people said about an answer is mostly bad; None when nobody judged it."""
        votes = [vote for one in self.feedback.get(answer.id, ()) if (vote := _is_negative(one)) is not None]
        return 2 * sum(votes) >= len(votes) if votes else None


def read_log(path: Path) -> Log:
    """Return the log in ``path``.

    Raises:
        BadInput: the file is missing or empty, or a line other than a cut-off last one is neither an answer nor
            feedback; the message names it.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    answers: list[Inference] = []
    feedback: dict[str, list[Feedback]] = {}
    torn = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if isinstance(value, dict) and "inference_id" in value:
                said = Feedback.model_validate(value)
                feedback.setdefault(said.inference_id, []).append(said)
            else:
                answers.append(Inference.model_validate(value))
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not isinstance(error, ValidationError):
                torn = True
                continue
            reason = first_fault(error) if isinstance(error, ValidationError) else "it is no JSON"
            raise BadInput(f"{path}, line {number} is neither an answer nor feedback: {reason}") from None
    if not answers:
        raise BadInput(f"{path} holds no answer; give the log that a server wrote")
    aware = {answer.time.tzinfo is not None for answer in answers}
    if len(aware) > 1:
        raise BadInput(f"{path} mixes times with and without a time zone; write all with one")
    answers.sort(key=lambda answer: answer.time)
    return Log(tuple(answers), {key: tuple(said) for key, said in feedback.items()}, torn)


def _is_negative(said: Feedback) -> bool | None:
    if said.kind == "bool":
        return not said.value
    if said.kind == "rating" and isinstance(said.value, int | float):
        return said.value < _LOWEST_GOOD_RATING
    return True if said.kind in ("correction", "label") else None
