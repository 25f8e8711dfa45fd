"""The output schema narrowed to one ticket: the groups asked, and in each only its labels."""

from __future__ import annotations

from typing import Any

from understudy.templates.bug_classification.schema import Question, Ticket, in_answer_order

__all__ = ["narrowed_schema"]


def narrowed_schema(ticket: Ticket) -> dict[str, Any]:
    """Return the JSON schema of :class:`~understudy.templates.bug_classification.schema.Labels` for this ticket."""
    asked = in_answer_order(ticket.questions)
    return _object({"labels": _object({question.group: _values(question) for question in asked})})


def _values(question: Question) -> dict[str, Any]:
    if question.mode == "single":
        return {"enum": list(question.labels)}
    return _object({label: {"type": "boolean"} for label in question.labels})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
