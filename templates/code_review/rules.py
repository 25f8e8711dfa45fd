"""The answer without a model: a few patterns that are wrong nearly everywhere, looked for on added lines alone.

They are what `understudy review` says until a model is promoted, and the `reference` arm that a model is compared with.
Nothing here knows what code means; a linter finds more. Each rule names its line and, where one line mends it, the fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from understudy.templates.code_review.checks import check_remark
from understudy.templates.code_review.numbered import numbered
from understudy.templates.code_review.schema import MAX_COMMENTS, Category, Remark, Review, ReviewInput, Severity

__all__ = ["answer"]

_PYTHON = (".py", ".pyi")
_ANY: tuple[str, ...] = ("",)
_LONGEST = 1000


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    suffixes: tuple[str, ...]
    severity: Severity
    category: Category
    message: str
    """``{0}`` stands for what the first group matched."""
    fix: Callable[[str], str] | None = None


def _python(
    pattern: str, severity: Severity, category: Category, message: str, fix: Callable[[str], str] | None = None
) -> _Rule:
    return _Rule(re.compile(pattern), _PYTHON, severity, category, message, fix)


_RULES = (
    _Rule(re.compile(r"^(?:<{7} |>{7} |={7}$)"), _ANY, "critical", "bug", "A merge conflict marker was left in."),
    _Rule(
        re.compile(r"\[REDACTED:(?!email|phone|person)"),
        _ANY,
        "critical",
        "security",
        "A secret stands in the code. Read it from the environment or a secret store, and revoke this one.",
    ),
    _python(
        r"\b(shell)\s*=\s*True\b", "major", "security", "With `{0}` a shell interprets whatever is in the command."
    ),
    _python(
        r"\b(yaml)\.load\((?!.*Loader)",
        "critical",
        "security",
        "`{0}.load` without a safe loader builds any object the text asks for.",
        lambda line: line.replace("yaml.load(", "yaml.safe_load("),
    ),
    _python(
        r"\b(verify)\s*=\s*False\b",
        "major",
        "security",
        "With `{0}` off, nobody checks whose certificate it is.",
        lambda line: re.sub(r"\bverify\s*=\s*False\b", "verify=True", line),
    ),
    _python(
        r"\b(execute(?:many)?)\(\s*(?:f[\"']|[\"'][^\"']*[\"']\s*(?:%|\+|\.format\())",
        "critical",
        "security",
        "A statement for `{0}` is put together from text; pass the values as parameters instead.",
    ),
    _python(r"\b(eval|exec)\((?![\"'])", "critical", "security", "`{0}` runs whatever code the text holds."),
    _python(
        r"\bdef \w+\(.*?\b(\w+)(?:\s*:[^=,]+)?\s*=\s*(?:\[\]|\{\}|set\(\))",
        "major",
        "bug",
        "The default of `{0}` is made once and shared by all calls.",
    ),
    _python(
        r"[^=!<>](==|!=) None\b",
        "minor",
        "style",
        "Compare with `None` by identity.",
        lambda line: re.sub(r"!= None\b", "is not None", re.sub(r"== None\b", "is None", line)),
    ),
    _python(
        r"\b(is)\s+(?:not\s+)?(?:[\"']|-?\d)",
        "major",
        "bug",
        "`{0}` compares identity, which differs between equal values; compare with equality.",
    ),
    _python(r"^\s*assert\s*(\()[^()]*,[^()]*\)\s*$", "major", "test", "This asserts a tuple, which is always true."),
    _python(r"\b(breakpoint)\(\)|\bpdb\.set_trace\(\)", "major", "maintainability", "A debugger call was left in."),
    _python(r"^\s*except\s*:\s*(pass)\s*$", "major", "bug", "Every error is dropped here without a trace."),
    _python(
        r"\brequests\.(get|post|put|patch|delete|head)\((?!.*\btimeout\b).*\)\s*$",
        "minor",
        "bug",
        "`{0}` has no timeout and waits for ever when the other side does.",
    ),
)


def answer(piece: ReviewInput) -> Review:
    """Return what the rules say of a piece, at most one comment a line; findings that fail a check are left out."""
    remarks: list[Remark] = []
    for shown in numbered(piece):
        if shown.line.mark != "+" or len(shown.line.text) > _LONGEST:
            continue
        remark = _first(piece, str(shown.position), shown.line.text)
        if remark is not None:
            remarks.append(remark)
    return Review(comments=remarks[:MAX_COMMENTS])


def _first(piece: ReviewInput, lines: str, text: str) -> Remark | None:
    for rule in _RULES:
        found = rule.pattern.search(text) if piece.path.endswith(rule.suffixes) else None
        if found is None:
            continue
        remark = Remark(
            lines=lines,
            severity=rule.severity,
            category=rule.category,
            message=rule.message.format(*(found.groups() or ("",))),
            suggestion=None if rule.fix is None else rule.fix(text),
        )
        if not check_remark(piece, remark):
            return remark
    return None
