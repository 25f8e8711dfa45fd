"""What the model is told: the same messages in training, evaluation and serving."""

from __future__ import annotations

from understudy.core.records import Message
from understudy.templates.log_triage import rules
from understudy.templates.log_triage.schema import LogInput

__all__ = ["messages"]

_INSTRUCTION = (
    "Find the root cause of this failed CI log. Answer in JSON: category, origin, transient, evidence (line numbers), "
    "root_cause, fix. Put names from the log in backquotes. The rules' reading at the end may be wrong."
)


def messages(log: LogInput) -> list[Message]:
    """Return the prompt: one instruction, the selected lines under their positions, and what the rules make of them.

    Positions (1, 2, 3 ...) stand for source line numbers: they cost one or two tokens whatever the size of the log,
    and code maps them back. Gaps are marked by three dots. The rules' reading (``rules.py``) comes last, next to the
    answer: a small model is far better at judging and wording a reading than at making one up. Where no rule knows
    the failure, the lines that look most like one are named instead.
    """
    shown = []
    previous = 0
    for position, line in enumerate(log.lines, start=1):
        if line.number > previous + 1:
            shown.append("...")
        shown.append(f"{position}: {line.text}")
        previous = line.number
    if previous < log.total_lines:
        shown.append("...")
    shown.append(_reading(log))
    return [Message(role="system", content=_INSTRUCTION), Message(role="user", content="\n".join(shown))]


def _reading(log: LogInput) -> str:
    answer = rules.diagnose(log)
    if not answer.evidence:
        return f"Rules: none. Suspicious lines: {' '.join(map(str, rules.suspects(log))) or 'none'}."
    lines = " ".join(map(str, answer.evidence))
    again = "transient" if answer.transient else "lasting"
    return f"Rules: {answer.category}, {answer.origin}, {again}, lines {lines}. {answer.root_cause}"
