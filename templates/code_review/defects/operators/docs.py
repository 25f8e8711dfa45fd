"""Words that no longer fit the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_WORD = re.compile(r"\b[a-z]{7,12}\b")
_SYNONYMS = {
    "filename": "path",
    "name": "label",
    "path": "location",
    "value": "item",
    "key": "lookup_key",
    "data": "payload",
    "func": "callback",
    "obj": "target",
    "object": "target",
    "timeout": "deadline",
    "encoding": "charset",
    "default": "fallback",
    "string": "text",
    "file": "stream",
    "msg": "message",
    "size": "length",
    "args": "arguments",
    "url": "address",
}


def _docstring(unit: Unit) -> Any:
    body = unit.body(unit.function) if unit.function else []
    return body[0] if len(body) > 1 and unit.is_docstring(body[0]) else None


@defect(
    "stale_parameter_in_docstring",
    "docs",
    "minor",
    r"^\s+r?(\"\"\"|''')",
    "The docstring still speaks of `{old}`; the parameter is called `{new}` now.",
    "`{old}` was renamed to `{new}` in the signature but not here.",
    "Stale documentation: there is no parameter `{old}` any more.",
    shapes=("edit", "beside", "function"),
)
def stale_parameter_in_docstring(unit: Unit, rng: Random) -> Iterator[Change]:
    """A parameter is renamed and its documentation is not."""
    text = _docstring(unit)
    if text is None:
        return
    start, end = unit.start(text), unit.end(text)
    for old in unit.params:
        words = unit.text[start:end]
        found = re.search(rf"(?<![\w.]){old}\b", words)
        marked = "_" in old or re.search(rf"[`*'\"]{old}[`*'\"]|:param {old}:|^ *{old}(:| --)", words, re.MULTILINE)
        new = _SYNONYMS.get(old, f"new_{old}")
        splices = unit.rename(old, new)
        if not found or not marked or new in unit.text or not splices or re.search(rf"[\"'{{]{old}\b", unit.text[end:]):
            continue
        mentions = [
            Splice(start + one.start(), start + one.end(), new)
            for one in re.finditer(rf"(?<![\w.]){old}\b", unit.text[start:end])
        ]
        good = tuple(sorted({*splices, *mentions})) if rng.random() < 0.5 else ()
        yield Change(splices, {"old": old, "new": new}, good=good, anchor=start + found.start(), fresh=True)


@defect(
    "stale_raises_in_docstring",
    "docs",
    "minor",
    r"^\s+raise \w+Error",
    "The docstring promises `{old}`, but the function raises `{new}` now.",
    "Document the change: callers that catch `{old}` as the docstring says will miss `{new}`.",
    "`{new}` does not fit the documentation, which names `{old}`.",
)
def stale_raises_in_docstring(unit: Unit, rng: Random) -> Iterator[Change]:
    """Another exception is raised than the documentation says."""
    text = _docstring(unit)
    for node in unit.all("Raise") if text is not None else []:
        found = re.match(r"raise (\w+Error)\b", unit.code(node))
        if found and found[1] in unit.code(text):
            new = rng.choice([one for one in ("ValueError", "RuntimeError", "KeyError", "OSError") if one != found[1]])
            start = unit.start(node) + len("raise ")
            if new not in unit.code(text):
                yield Change((Splice(start, start + len(found[1]), new),), {"old": found[1], "new": new})


@defect(
    "removed_docstring",
    "docs",
    "nit",
    r"^\s+r?(\"\"\"|''')",
    "`{name}` is public and has lost its docstring.",
    "Why remove the documentation of `{name}`? Its callers need it.",
    "`{name}` has no documentation any more.",
    shapes=("edit", "beside"),
)
def removed_docstring(unit: Unit, rng: Random) -> Iterator[Change]:
    """A public function's documentation is deleted."""
    text = _docstring(unit)
    if text is not None and not unit.piece.name.startswith(("_", "test")):
        yield Change((unit.cut(text),), {"name": unit.piece.name}, anchor=unit.start(unit.function.name))


@defect(
    "misspelling",
    "docs",
    "nit",
    r"(#|\"\"\").*[a-z]{7}",
    "`{new}` is misspelt: {old}.",
    "Typo: `{new}` should read {old}.",
    "Spelling: {old}, not `{new}`.",
)
def misspelling(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two letters of a word change places, or one is lost or doubled."""
    texts = [one for one in (_docstring(unit), *unit.all("Comment")) if one is not None]
    for node in texts:
        for found in _WORD.finditer(unit.code(node)):
            word = found[0]
            at = rng.randrange(2, len(word) - 2)
            if word in unit.params or unit.text.count(word) > 1 or word[at] == word[at + 1]:
                continue
            swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            new = rng.choice((swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:]))
            start = unit.start(node) + found.start()
            yield Change((Splice(start, start + len(word), new),), {"old": word, "new": new})


@defect(
    "stale_comment",
    "docs",
    "minor",
    r"^\s+# .*\b\w+_\w+|^\s+# .*['`\"]\w+",
    "The comment still says `{old}`; the variable is `{new}` now.",
    "`{old}` does not exist any more: adapt the comment to `{new}`.",
    "Stale comment: it explains `{old}`, which was renamed to `{new}`.",
)
def stale_comment(unit: Unit, rng: Random) -> Iterator[Change]:
    """A variable is renamed and the comment about it is not."""
    for old in [*unit.locals(), *unit.params]:
        mentioned = rf"(?<![\w.]){old}\b" if "_" in old else rf"['`\"]{old}['`\"]"
        comments = [one for one in unit.all("Comment") if re.search(mentioned, one.value)]
        new = f"new_{old}" if len(old) < 8 else f"{old}_value"
        splices = unit.rename(old, new)
        if len(comments) != 1 or not splices or new in unit.text:
            continue
        code = unit.text.replace(comments[0].value, "")
        if re.search(rf"\.{old}\b|[\"'{{]{old}\b", code):
            continue
        start = unit.start(comments[0])
        mention = re.search(rf"(?<![\w.]){old}\b", comments[0].value)
        if mention:
            there = Splice(start + mention.start(), start + mention.end(), new)
            good = (*splices, there) if rng.random() < 0.5 else ()
            yield Change(splices, {"old": old, "new": new}, good=good, anchor=start, fresh=True)
