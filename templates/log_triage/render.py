"""An explanation for people: Markdown for a comment or a step summary. Everything from the log is escaped."""

from __future__ import annotations

import re

from understudy.templates.log_triage.explain import RULES, Explanation

__all__ = ["HEADINGS", "SUSPICIOUS", "fenced", "markdown", "plain", "prose"]

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

_SPECIAL = re.compile(r"([\\*_{}\[\]()#+!|<>~$&-])")
_LINKED = re.compile(r"@|#|(?i:www)(?=\.)|:(?=//)")
"""Where GitHub makes mentions, references and links of plain text; it does so after Markdown, so no backslash helps."""
_COMMAND = re.compile(r"(?m)^([ \t]*):(?=:)|#(?=#\w*\[)")
"""Where a CI runner would take a printed line for a command: ``::error::``, ``##[error]``, ``##vso[...]``."""


def plain(text: str) -> str:
    """Return text from outside with control characters (also bidirectional ones) and runner commands made visible."""
    shown = "".join(c if c == "\n" or c == "\t" or _printable(c) else f"\\x{ord(c):02x}" for c in text)
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", shown)


def _printable(character: str) -> bool:
    return (
        character.isprintable()
        and character not in "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def markdown(explanation: Explanation) -> str:
    """Return GitHub-flavoured Markdown; no mention, link, HTML or fence of the log's own survives in it."""
    parts = [f"### {HEADINGS[explanation.category]}", "", prose(explanation.root_cause)]
    if explanation.fix:
        parts += ["", f"**Fix:** {prose(explanation.fix)}"]
    if explanation.category == "unknown" and explanation.evidence:
        parts += ["", SUSPICIOUS]
    for quote in explanation.evidence:
        lines = str(quote.line_start) if quote.line_start == quote.line_end else f"{quote.line_start}-{quote.line_end}"
        parts += ["", f"{prose(quote.file)}, line {lines}:", fenced(plain(quote.quote), "text")]
    sure = "" if explanation.confidence is None else f", {explanation.confidence:.0%} sure of the category"
    source = "rules, no model" if explanation.model == RULES else explanation.model
    doubt = " It abstains: treat this as a guess." if explanation.abstained else ""
    return "\n".join(
        [*parts, "", f"<sub>{explanation.category}, {explanation.origin}{sure}; by {source}.{doubt}</sub>", ""]
    )


def fenced(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any run of backquotes in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def prose(text: str) -> str:
    """Escape Markdown outside backquotes; what stands in backquotes becomes code."""
    pieces = plain(text).replace("\n", " ").split("`")
    return "".join(
        f"`{piece}`"
        if piece and index % 2 and index < len(pieces) - 1
        else _LINKED.sub(r"\g<0>&#8203;", _SPECIAL.sub(r"\\\1", piece))
        for index, piece in enumerate(pieces)
    )
