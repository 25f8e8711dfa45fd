"""A review as SARIF 2.1.0 (OASIS), the form code-scanning services take.

SARIF speaks of the files as they are now. A comment on a removed line therefore has the file as its place and no
region, and its message names the old line.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from understudy.templates.code_review.review import Comment, ReviewReport
from understudy.templates.code_review.schema import CATEGORIES, Severity

__all__ = ["sarif"]

_LEVELS: dict[Severity, str] = {"critical": "error", "major": "error", "minor": "warning", "nit": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(report: ReviewReport) -> dict[str, Any]:
    """Return the log of one run; files that were not reviewed are notifications of its invocation."""
    skipped = [
        {
            "level": "note",
            "message": {"text": f"not reviewed: {one.reason}"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(one.path)}}}],
        }
        for one in report.skipped
    ]
    driver = {
        "name": "understudy",
        "semanticVersion": version("understudy"),
        "rules": [
            {"id": f"code-review/{name}", "name": name, "shortDescription": {"text": f"A review comment about {name}."}}
            for name in CATEGORIES
        ],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": skipped}],
                "results": [_result(comment) for comment in report.comments],
                "properties": {"summary": report.summary, "model": report.model},
            }
        ],
    }


def _result(comment: Comment) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(comment.path)}}
    text = comment.message
    if comment.side == "RIGHT":
        place["region"] = _region(comment)
    else:
        text = f"Removed line {comment.line}: {text}"
    result: dict[str, Any] = {
        "ruleId": f"code-review/{comment.category}",
        "ruleIndex": CATEGORIES.index(comment.category),
        "level": _LEVELS[comment.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"understudy/v1": comment.fingerprint},
        "properties": {"severity": comment.severity, "side": comment.side, "necessity": comment.necessity},
    }
    if comment.suggestion is not None:
        result["fixes"] = [
            {
                "description": {"text": "Take the suggestion."},
                "artifactChanges": [
                    {
                        "artifactLocation": {"uri": _uri(comment.path)},
                        "replacements": [_replacement(comment, comment.suggestion)],
                    }
                ],
            }
        ]
    return result


def _region(comment: Comment) -> dict[str, int]:
    """Return whole lines, their last line end left out (SARIF 2.1.0, 3.30.5)."""
    return {"startLine": comment.start_line or comment.line, "endLine": comment.line}


def _replacement(comment: Comment, suggestion: str) -> dict[str, Any]:
    region = _region(comment)
    if not suggestion:  # the lines go with their line ends
        region = {"startLine": region["startLine"], "startColumn": 1, "endLine": comment.line + 1, "endColumn": 1}
    return {"deletedRegion": region, "insertedContent": {"text": suggestion}}


def _uri(path: str) -> str:
    """Return a path as a relative reference; a first folder with a colon must not read as a scheme."""
    return quote(path, safe="/")
