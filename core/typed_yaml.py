"""YAML into a pydantic model, with errors that name the file, the line, the section and the nearest valid key.

The YAML is read twice over one node tree: once for values, once for the line each key and value stands in.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from understudy.core.errors import BadInput

__all__ = ["load_yaml_model", "parse_yaml", "validate_model"]

Path_ = tuple[Any, ...]
"""Where a value stands: keys and list positions from the root."""
Lines = dict[Path_, int]
"""1-based line of every key (for a list: of every item), by its path."""
ModelT = TypeVar("ModelT", bound=BaseModel)

_MAX_DEPTH = 20
_PLAIN = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


def load_yaml_model(path: Path, model: type[ModelT]) -> ModelT:
    """Return ``model`` filled from the YAML file at ``path``; an empty file gives the defaults.

    Raises:
        BadInput: the file cannot be read, is not UTF-8 or not YAML, repeats a key, or does not fit the model.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: is not UTF-8 text; save the file as UTF-8") from error
    value, lines = parse_yaml(text, str(path))
    return validate_model({} if value is None else value, model, str(path), lines)


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """Return the value of one YAML document and the line of each of its keys.

    Args:
        text: the document.
        name: what to call it in errors, usually the file's path.

    Raises:
        BadInput: the text is not one YAML document, or a mapping repeats a key.
    """
    # SafeLoader builds only plain values; a tag such as !!python/object is an error, not a call.
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return (None, {}) if node is None else _Reader(loader, name).read(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(f"{name}{where}: is not valid YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadInput(f"{name}, line {line}: is not valid YAML: {error.reason}") from error
    finally:
        if loader is not None:
            loader.dispose()


class _Reader:
    """Turns a node tree into values while noting lines; one use."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._lines: Lines = {}

    def read(self, node: yaml.Node) -> tuple[Any, Lines]:
        """Return the value of ``node`` and the lines of all keys below it."""
        return self._value(node, ()), self._lines

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        if len(path) > _MAX_DEPTH:  # also ends an alias that contains itself
            raise self._error(node, f"is nested more than {_MAX_DEPTH} levels deep")
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN:
            raise self._error(node, f"the tag {_short(node.tag)} is not allowed; write a plain value")
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, position)) for position, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise self._error(key_node, "a key must be a plain word")
            if key in values:
                first = self._lines[(*path, key)]
                raise self._error(
                    key_node, f"{_dotted((*path, key))} is already set in line {first}; keep one of the two"
                )
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError as error:  # a date that does not exist, a number of thousands of digits
            raise self._error(
                node, f"{_short(node.value)} is not a valid value ({error}); put text in quotes"
            ) from error

    def _error(self, node: yaml.Node, message: str) -> BadInput:
        return BadInput(f"{self._name}, line {node.start_mark.line + 1}: {message}")


def validate_model(value: Any, model: type[ModelT], name: str, lines: Mapping[Path_, int] | None = None) -> ModelT:
    """Return ``model`` filled from ``value``.

    Args:
        value: parsed YAML or JSON.
        model: what it must fit.
        name: what to call the source in errors: a file, an option.
        lines: line of each key, as :func:`parse_yaml` gives them; None when the source has no lines.

    Raises:
        BadInput: it does not fit; every misfit is named with its line, its section and the nearest valid key.
    """
    if not isinstance(value, dict):
        raise BadInput(f"{name}: must be a list of 'key: value' lines, not {_short(value)}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found: dict[Path_, list[ErrorDetails]] = {}
        for detail in error.errors():
            # A union reports each member with its name as the last step of the path; one place is one problem.
            found.setdefault(_existing(detail, value), []).append(detail)
        problems = []
        for path in sorted(found, key=lambda path: _line(path, lines or {})):
            line = _line(path, lines or {})
            where = f"{name}, line {line}" if line else name
            problems.append(f"{where}: {_problem(path, found[path], model)}")
        if len(problems) == 1:
            raise BadInput(problems[0]) from error
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise BadInput(f"{name} has {len(problems)} problems:\n{listed}") from error


def _existing(detail: ErrorDetails, value: Any) -> Path_:
    """Return the longest part of an error's path that exists in the data (a missing key's own step included)."""
    path: Path_ = ()
    for step in detail["loc"]:
        held = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
        if step not in held:
            return (*path, step) if detail["type"] == "missing" else path
        value = held[step]
        path = (*path, step)
    return path


def _line(path: Path_, lines: Mapping[Path_, int]) -> int:
    """Return the line of ``path`` or of the nearest section around it; 0 when the source has no lines."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _problem(path: Path_, details: Sequence[ErrorDetails], model: type[BaseModel]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, model)
    if first["type"] == "missing":
        return f"{_dotted(path)} is missing; add it"
    if first["type"] == "value_error":  # one of our own sentences, complete as it is
        return f"{_dotted(path)}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in details))
    return f"{_dotted(path)} must be {wanted}, not {_short(first['input'])}"


_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a section of 'key: value' lines",
    "string_type": "text (put it in quotes)",
    "tuple_type": "a list",
}
"""Pydantic's error types in words for people who do not program in Python."""


def _wanted(detail: ErrorDetails) -> str:
    message = _WANTED.get(detail["type"]) or detail["msg"].removeprefix("Input should be ")
    return message.removeprefix("a valid ")


def _unknown_key(path: Path_, model: type[BaseModel]) -> str:
    *section, key = path
    valid = _keys(model, section)
    place = f"section {_dotted(tuple(section))}" if section else "the top level"
    message = f"{_dotted(path)} is not a setting of {place}"
    near = difflib.get_close_matches(str(key), valid, n=1, cutoff=0.6)
    if near:
        return f"{message}; did you mean {near[0]!r}?"
    homes = [_dotted((*home, key)) for home, keys in _sections(model) if key in keys]
    if homes:
        return f"{message}; it belongs at {' or '.join(homes)}"
    return f"{message}; its keys are {', '.join(valid)}"


def _keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Return the keys of the section at ``path`` of ``model``."""
    current: type[BaseModel] | None = model
    for step in path:
        if isinstance(step, int):  # an item of a list: the field before it already gave the item's model
            continue
        field = current.model_fields.get(str(step)) if current else None
        current = _model_of(field.annotation) if field else None
    return list(current.model_fields) if current else []


def _sections(model: type[BaseModel], home: Path_ = ()) -> Iterator[tuple[Path_, list[str]]]:
    yield home, list(model.model_fields)
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None:
            yield from _sections(inner, (*home, name))


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, tuple, Union, types.UnionType):
        return next(filter(None, map(_model_of, get_args(annotation))), None)
    return None


def _dotted(path: Path_) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{_word(step)}" if text else _word(step)
    return text


def _word(key: Any) -> str:
    """Return a key for a message; one from outside is shortened and made printable."""
    text = str(key)
    return text if text.isidentifier() and len(text) <= 60 else _short(text)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
