"""Format validators: what the JSON schema cannot say. They never raise and never repair."""

from __future__ import annotations

from understudy.core.records import Problem
from understudy.templates.log_triage.schema import LogInput, RootCause

__all__ = ["check"]


def check(log: LogInput, answer: RootCause) -> list[Problem]:
    """Return what is wrong with ``answer`` for ``log``, in field order.

    A cited position must exist, a cause must be shown unless it is unknown, and every name in backquotes must stand
    in the lines the model was shown.
    """
    problems = []
    missing = [position for position in answer.evidence if not 1 <= position <= len(log.lines)]
    if missing:
        problems.append(Problem(field="evidence", message=f"line {missing[0]} is not among the {len(log.lines)} shown"))
    if answer.category == "unknown" and answer.evidence:
        problems.append(Problem(field="evidence", message="an unknown cause cannot have evidence"))
    if answer.category != "unknown" and not answer.evidence:
        problems.append(Problem(field="evidence", message=f"{answer.category} is claimed without a line that shows it"))
    text = "\n".join(line.text for line in log.lines)
    for field, sentence in (("root_cause", answer.root_cause), ("fix", answer.fix)):
        if not sentence.strip():
            problems.append(Problem(field=field, message="is empty"))
        parts = sentence.split("`")
        if len(parts) % 2 == 0:
            problems.append(Problem(field=field, message="has an unclosed backquote"))
        for name in parts[1::2]:
            if name not in text:
                problems.append(Problem(field=field, message=f"names {name!r}, which is not in the log"))
    return problems
