"""A review for people: Markdown for a comment or a step summary. Everything from the patch is escaped."""

from __future__ import annotations

from understudy.core.outside import fenced, plain, prose
from understudy.templates.code_review.review import RULES, Comment, ReviewReport

__all__ = ["comment_body", "markdown", "place_text"]


def comment_body(comment: Comment) -> str:
    """Return one comment as GitHub-flavoured Markdown: ``**[CRITICAL]** SQL injection ...``, then its suggestion.

    A suggestion with characters that do not show (bidirectional ones, for instance) is left out: nobody could see what
    is accepted.
    """
    body = f"**[{comment.severity.upper()}]** {prose(comment.message)}"
    if comment.suggestion is not None and plain(comment.suggestion) == comment.suggestion:
        body += f"\n\n{fenced(comment.suggestion, 'suggestion')}"
    return body


def place_text(comment: Comment) -> str:
    """Return where a comment stands, for people: path, lines, and whether they were removed."""
    lines = str(comment.line) if comment.start_line is None else f"{comment.start_line}-{comment.line}"
    return f"{comment.path}, line{'s' * (comment.start_line is not None)} {lines}" + (
        " (removed)" if comment.side == "LEFT" else ""
    )


def markdown(report: ReviewReport) -> str:
    """Return a whole review; no mention, link, HTML or fence of the patch's own survives in it."""
    parts = ["### Code review", "", prose(report.summary)]
    for comment in report.comments:
        parts += ["", f"{prose(place_text(comment))} · {comment.category}", "", comment_body(comment)]
    if report.skipped:
        parts += ["", "Not reviewed:", ""]
        parts += [f"- {prose(one.path)}: {prose(one.reason)}" for one in report.skipped]
    source = "rules, no model" if report.model == RULES else prose(report.model)
    held = f"; {report.withheld} withheld as not necessary enough" if report.withheld else ""
    return "\n".join([*parts, "", f"<sub>by {source}{held}</sub>", ""])
