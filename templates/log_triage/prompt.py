"""What the model is told: the same messages in training, evaluation and serving."""

from __future__ import annotations

from understudy.core.records import Message
from understudy.templates.log_triage.schema import LogInput

__all__ = ["messages"]

_INSTRUCTION = (
    "Find the root cause of this failed CI log. Answer in JSON: category, origin, transient, evidence (line numbers), "
    "root_cause, fix. Put names from the log in backquotes."
)


def messages(log: LogInput) -> list[Message]:
    """Return the prompt: one instruction, then the selected lines under their positions, gaps marked by three dots.

    Positions (1, 2, 3 ...) stand for source line numbers: they cost one or two tokens whatever the size of the log,
    and code maps them back.
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
    return [Message(role="system", content=_INSTRUCTION), Message(role="user", content="\n".join(shown))]
