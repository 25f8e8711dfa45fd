"""An explanation for people: Markdown for a comment or a step summary. Everything from the log is escaped."""

from __future__ import annotations

from understudy.core.outside import fenced, plain, prose
from understudy.templates.log_triage.explain import RULES, Explanation

__all__ = ["HEADINGS", "SUSPICIOUS", "markdown", "plain"]

HEADINGS: dict[str, str] = {
    "test_assertion": "A test failed",
    "compile_error": "The code does not compile",
    "type_error": "Types do not match",
    "lint_failure": "A lint rule is violated",
    "formatting_failure": "A file is not formatted",
    "dependency_install": "A dependency is missing",
    "docker_build": "The image build failed",
    "github_actions_config": "The workflow file is invalid",
    "permission_or_secret": "A permission or secret is missing",
    "network_or_flaky": "The network or a flaky test failed",
    "timeout_or_oom": "Time or memory ran out",
    "other": "The job failed",
    "unknown": "No cause found",
}
"""Category to heading."""

SUSPICIOUS = "These lines look most like a cause:"
"""Said above the evidence of an unknown cause."""


def markdown(explanation: Explanation) -> str:
    """Return GitHub-flavoured Markdown; no mention, link, HTML or fence of the log's own survives in it."""
    parts = [f"### {HEADINGS[explanation.category]}", "", prose(explanation.root_cause)]
    if explanation.fix:
        parts += ["", f"**Fix:** {prose(explanation.fix)}"]
    if explanation.category == "unknown" and explanation.evidence:
        parts += ["", SUSPICIOUS]
    for quote in explanation.evidence:
        lines = str(quote.line_start) if quote.line_start == quote.line_end else f"{quote.line_start}-{quote.line_end}"
        parts += ["", f"{prose(quote.file)}, line {lines}:", fenced(quote.quote, "text")]
    sure = "" if explanation.confidence is None else f", {explanation.confidence:.0%} sure of the category"
    source = "rules, no model" if explanation.model == RULES else explanation.model
    doubt = " It abstains: treat this as a guess." if explanation.abstained else ""
    return "\n".join(
        [*parts, "", f"<sub>{explanation.category}, {explanation.origin}{sure}; by {source}.{doubt}</sub>", ""]
    )
