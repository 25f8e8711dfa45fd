"""A diagnosis without a model: the last, most specific known message of a tool wins.

The table of messages is in ``rule_table.py``. Rules look at cleaned lines one by one; a rule may add a companion line
(the test's name beside the reason) whose named groups complete the sentence.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import Formatter

from understudy.templates.log_triage import signals
from understudy.templates.log_triage.rule_table import RULES, Rule
from understudy.templates.log_triage.schema import LogInput, LogLine, RootCause

__all__ = ["NO_CAUSE", "NO_FIX", "diagnose", "suspects"]

NO_CAUSE = "No known cause is shown in this log."
NO_FIX = "Let the failing step print what went wrong."
_MAX_TEXT = 600
"""Characters of a line that rules look at, so that no pattern can take long."""
_MAX_NAME = 90
_COMPANION_LINES = 60
_BELOW = 30
"""Source lines; a traceback fits in between."""
_HEADING = re.compile(r"^\W*(?:\d+ )?(?:[Ff]ailures?|FAIL(?:ED|URES)|failing|ERRORS?|[Ee]rrors?)\W*$")
_FAINT = 30.0
"""A line that weighs less is no suspect: successes that speak of errors weigh up to 26."""
_SUSPECTS = 2
"""With two lines three quarters of the causes that no rule knows are among them, with one half."""


def diagnose(lines: LogInput) -> RootCause:
    """Return what the rules say about the selected lines of a log.

    ``evidence`` holds 1-based positions in ``lines.lines``. Where no rule matches, the category is ``unknown`` and
    there is no evidence.
    """
    best: tuple[float, int, Rule, re.Match[str]] | None = None
    for position, line in enumerate(lines.lines):
        text = line.text[:_MAX_TEXT]
        if signals.is_boilerplate(text):
            continue
        found = _first(text)
        if found is None:
            continue
        rule, match = found
        rank = rule.rank - (1.5 if signals.recovers(text) and not rule.certain else 0.0)
        # Of a compiler's errors the first is the cause of the others; of everything else the last is what stopped it.
        if best is None or rank > best[0] or (rank == best[0] and not (rule.first and best[2].first)):
            best = (rank, position, rule, match)
    if best is None:
        return RootCause(
            category="unknown",
            origin="code",
            transient=False,
            evidence=[],
            root_cause=NO_CAUSE,
            fix=NO_FIX,
        )
    _, position, rule, match = best
    return _answer(lines.lines, position, rule, match)


def suspects(log: LogInput) -> list[int]:
    """Return the 1-based positions of the lines that look most like a cause, at most two, in order of weight.

    Of two lines that weigh the same the first counts: what follows is mostly its consequence.
    """
    weights = [signals.weigh(line.text[:_MAX_TEXT]) for line in log.lines]
    for position in range(len(weights) - 1, 0, -1):  # "Failures:" says nothing itself, but that the next line does
        if _HEADING.match(log.lines[position - 1].text[:_MAX_TEXT]):
            weights[position - 1 : position + 1] = [0.0, max(weights[position - 1 : position + 1])]
    order = sorted(range(len(weights)), key=lambda position: -weights[position])
    return [position + 1 for position in order[:_SUSPECTS] if weights[position] >= _FAINT]


@lru_cache(maxsize=8192)  # prompt, reference and shots of an evaluation ask for the same lines again
def _first(text: str) -> tuple[Rule, re.Match[str]] | None:
    for rule in RULES:
        match = rule.pattern.search(text)
        if match:
            return rule, match
    return None


def _answer(lines: list[LogLine], position: int, rule: Rule, match: re.Match[str]) -> RootCause:
    names = _names(match)
    evidence = [position]
    if rule.companion is not None:
        for near in _around(position, lines, rule.companion_below):
            other = rule.companion.search(lines[near].text[:_MAX_TEXT])
            if other:
                evidence.append(near)
                names = {**_names(other), **names}
                break
    return RootCause(
        category=rule.category,
        origin=rule.origin,
        transient=rule.transient,
        evidence=[near + 1 for near in sorted(evidence)],
        root_cause=_sentence(rule.cause, names),
        fix=_sentence(rule.fix, names),
    )


def _around(position: int, lines: list[LogLine], below: bool) -> list[int]:
    above = list(range(position - 1, max(-1, position - _COMPANION_LINES), -1))
    after = list(range(position + 1, min(len(lines), position + _COMPANION_LINES)))
    if below:  # what explains a line from below stands right there; further away it explains another one
        return [near for near in after if lines[near].number - lines[position].number <= _BELOW]
    return above + after


def _names(match: re.Match[str]) -> dict[str, str]:
    return {name: value.strip() for name, value in match.groupdict().items() if value and value.strip()}


def _sentence(template: str, names: dict[str, str]) -> str:
    """Fill the first of the ``|``-separated variants whose names are all known; names stand in backquotes."""
    for variant in template.split("|"):
        wanted = [name for _, name, _, _ in Formatter().parse(variant) if name]
        if all(name in names for name in wanted):
            shown = {name: f"`{names[name].replace('`', '')[:_MAX_NAME]}`" for name in wanted}
            return variant.format_map(shown)[:240]
    return template.split("|")[-1][:240]
