"""A review as rdjson, reviewdog's Diagnostic Format (https://github.com/reviewdog/reviewdog/tree/master/proto/rdf).

The format knows no sides: a comment on a removed line has the file alone as its place, and its message names the line.
"""

from __future__ import annotations

from typing import Any

from understudy.templates.code_review.review import Comment, ReviewReport
from understudy.templates.code_review.schema import Severity

__all__ = ["rdjson"]

_SEVERITIES: dict[Severity, str] = {"critical": "ERROR", "major": "ERROR", "minor": "WARNING", "nit": "INFO"}


def rdjson(report: ReviewReport) -> dict[str, Any]:
    """Return the ``DiagnosticResult`` of a review."""
    return {
        "source": {"name": "understudy"},
        "diagnostics": [_diagnostic(comment) for comment in report.comments],
    }


def _diagnostic(comment: Comment) -> dict[str, Any]:
    place: dict[str, Any] = {"path": comment.path}
    message = comment.message
    if comment.side == "RIGHT":
        place["range"] = _range(comment)
    else:
        message = f"Removed line {comment.line}: {message}"
    found: dict[str, Any] = {
        "message": message,
        "location": place,
        "severity": _SEVERITIES[comment.severity],
        "code": {"value": comment.category},
    }
    if comment.suggestion is not None:
        found["suggestions"] = [{"range": _range(comment), "text": comment.suggestion}]
    return found


def _range(comment: Comment) -> dict[str, Any]:
    """Return whole lines: a range without columns."""
    return {"start": {"line": comment.start_line or comment.line}, "end": {"line": comment.line}}
