"""The labels of a labelling task: groups of labels, as ``understudy.yaml`` lists them under ``taxonomy``.

A name is read in any case, and an alias stands for its label. Everything wrong in a taxonomy is said with the line it
stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from understudy.core._section import Section

__all__ = ["TEMPLATES", "Group", "Label", "Taxonomy"]

Name = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")
]
"""A label as a platform shows it: blanks, slashes and emoji inside are fine, line ends and outer blanks are not."""
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

TEMPLATES: dict[str, dict[str, Any]] = {
    "type": {"name": "type", "labels": ["bug", "feature", "question"]},
    "triage": {"name": "triage", "mode": "multi", "labels": ["critical", "security", "performance", "ui"]},
    "severity": {"name": "severity", "labels": ["critical", "major", "minor", "trivial"]},
}
"""Groups that many projects have; ``template: type`` in a group takes one over, other keys change it."""


class Label(Section):
    """One label; in YAML a bare word, or ``name:`` with more."""

    name: Name
    description: str = ""
    """What it means; shown to the language model."""
    aliases: tuple[Name, ...] = ()
    """Other names that data use for it."""
    parent: Name | None = None
    """The label of the same group it is a part of; a ticket torn between parts gets the parent."""
    protected: bool = False
    """Whether people alone set it: it may be suggested, it is never applied."""
    min_precision: Share | None = None
    """Instead of the group's."""
    min_support: Count | None = None
    """Instead of the group's."""

    @model_validator(mode="before")
    @classmethod
    def _bare_word(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class Group(Section):
    """Labels that answer one question about a ticket."""

    name: Name
    mode: Literal["single", "multi"] = "single"
    """``single``: one label a ticket; ``multi``: any number, each judged for itself."""
    labels: tuple[Label, ...] = Field(min_length=1)
    min_precision: Share = 0.9
    """A label is applied only from a probability on that was right this often on tickets not learnt from."""
    min_support: Count = 10
    """Tickets of a label below which it is only ever suggested."""

    @model_validator(mode="before")
    @classmethod
    def _from_template(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "template" not in data:
            return data
        chosen = data["template"]
        if chosen not in TEMPLATES:
            known = ", ".join(TEMPLATES)
            raise ValueError(f"template: there is no group template {str(chosen)[:60]!r}; there are: {known}")
        return TEMPLATES[chosen] | {key: value for key, value in data.items() if key != "template"}

    @model_validator(mode="after")
    def _names_fit(self) -> Group:
        names: dict[str, int] = {}
        problems = []
        for at, label in enumerate(self.labels):
            for word in (label.name, *label.aliases):
                first = names.setdefault(word.casefold(), at)
                if first != at:
                    problems.append(
                        (at, f"the label {word!r} is already in the group {self.name!r}; keep one of the two")
                    )
        known = {label.name: label.parent for label in self.labels}
        for at, label in enumerate(self.labels):
            if label.parent is not None and label.parent not in known:
                problems.append((at, f"parent: the group {self.name!r} has no label {label.parent!r}; add it"))
            elif label.parent is not None and known[label.parent] is not None:
                problems.append((at, f"parent: {label.parent!r} is itself a part; one level of parents is enough"))
            elif label.parent == label.name:
                problems.append((at, f"parent: the label {label.name!r} cannot be a part of itself"))
        if any(label.parent for label in self.labels) and self.mode == "multi":
            problems.append(
                (0, f"the group {self.name!r} is multi, where every label is judged alone; drop the parents")
            )
        _complain("Group", [(("labels", at), message) for at, message in problems])
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names in order."""
        return tuple(label.name for label in self.labels)

    def find(self, word: str) -> Label | None:
        """Return the label that a name or alias stands for, in any case; None when there is none."""
        wanted = word.strip().casefold()
        return next(
            (one for one in self.labels if wanted in {name.casefold() for name in (one.name, *one.aliases)}), None
        )

    def precision_of(self, label: str) -> float:
        """Return the precision a label must reach to be applied."""
        found = self.find(label)
        return self.min_precision if found is None or found.min_precision is None else found.min_precision

    def support_of(self, label: str) -> int:
        """Return how many tickets a label needs to be applied at all."""
        found = self.find(label)
        return self.min_support if found is None or found.min_support is None else found.min_support


class Taxonomy(Section):
    """All groups of a project."""

    groups: tuple[Group, ...] = ()
    """Empty: the groups ``type`` and ``severity`` of :data:`TEMPLATES`."""
    bots: tuple[Name, ...] = ()
    """Accounts whose labels teach nothing, besides those that GitHub marks as bots: many bots are ordinary users."""
    min_words: int = Field(default=4, ge=0)
    """Words of its own below which a ticket needs more information before anybody could label it."""

    @model_validator(mode="after")
    def _groups_differ(self) -> Taxonomy:
        seen: set[str] = set()
        problems = []
        for at, group in enumerate(self.groups):
            if group.name.casefold() in seen:
                problems.append((("groups", at), f"the group {group.name!r} is listed twice; keep one of the two"))
            seen.add(group.name.casefold())
        _complain("Taxonomy", problems)
        return self

    @property
    def effective(self) -> tuple[Group, ...]:
        """The groups, or the usual ones when none are listed."""
        return self.groups or tuple(Group.model_validate(TEMPLATES[name]) for name in ("type", "severity"))

    def group(self, name: str) -> Group | None:
        """Return the group of that name in any case, or None."""
        return next((one for one in self.effective if one.name.casefold() == name.strip().casefold()), None)


def _complain(title: str, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
    """Raise what is wrong at the place it is wrong, so that the line of the label is named and not of its group."""
    if problems:
        raise ValidationError.from_exception_data(
            title,
            [
                InitErrorDetails(
                    type=PydanticCustomError("value_error", "{what}", {"what": what}), loc=place, input=None
                )
                for place, what in problems
            ],
        )
