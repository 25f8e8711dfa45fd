"""Format validators: labels of the taxonomy, and as many as their group allows. They never raise and never repair."""

from __future__ import annotations

from understudy.core.records import Problem
from understudy.templates.bug_classification.schema import Labels, Ticket

__all__ = ["check"]


def check(ticket: Ticket, answer: Labels) -> list[Problem]:
    """Return what is wrong with ``answer`` for ``ticket``: groups not asked or missing, labels that do not exist."""
    asked = {question.group: question for question in ticket.questions}
    problems = [
        Problem(field=f"labels.{name}", message=f"the group {name!r} was not asked; there are: {', '.join(asked)}")
        for name in answer.labels
        if name not in asked
    ]
    for name, question in asked.items():
        given = answer.labels.get(name)
        field = f"labels.{name}"
        if given is None:
            problems.append(Problem(field=field, message="is missing"))
        elif question.mode == "single" and not isinstance(given, str):
            problems.append(Problem(field=field, message="must be one label, since the group is single"))
        elif question.mode == "multi" and isinstance(given, str):
            problems.append(Problem(field=field, message="must be yes or no for each label, since the group is multi"))
        else:
            words = [given] if isinstance(given, str) else list(given)
            problems += [
                Problem(field=field, message=f"{word!r} is no label of the group {name!r}")
                for word in words
                if word not in question.labels
            ]
            if not isinstance(given, str):
                missing = [label for label in question.labels if label not in given]
                problems += [Problem(field=field, message=f"{label!r} is not judged") for label in missing]
    return problems
