"""Examples from and to the JSON Lines forms that people and hosted services use.

Read, by the keys of a line:

=====================================  ==========================================================================
our own ``Example`` or ``Preference``  taken as it is
``{"input", "output"}``                the pack's fields, as objects or as JSON in a string
``{"prompt", "completion"}``           the same, under the names trainers use; either may be a list of messages
``{"instruction", "input", "output"}`` the input is the question and the instruction, which is the pack's to give, is
                                       kept in ``meta``; where the input is empty or missing, the instruction is asked
``{"messages": [...]}``                the last, from the assistant, is the output; the one from the user the input
``{"prompt", "chosen", "rejected"}``   a preference (``input`` may stand for ``prompt``)
=====================================  ==========================================================================

A prompt that is plain text, not the pack's fields, is kept as ``{"prompt": text}`` if the pack's ``Input`` has such a
field, and refused otherwise: the prompt a model sees is always made by the pack, so a ready-made one cannot be taken
apart again. System messages are left out for the same reason. A completion that is plain text is treated likewise.

Any of these forms may also have ``id``, ``group``, ``stratum``, ``source`` and ``meta``; further keys are kept in
``meta``. Without an ``id`` the content names the example, without a ``group`` equal inputs are one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from understudy.core._json_lines import read_json_lines, read_numbered_lines
from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer, canonical_json, sha256_bytes
from understudy.core.pack import Pack
from understudy.core.records import Example, Judgement, Preference, Source
from understudy.core.rows import completion_text

__all__ = [
    "EXPORT_FORMS",
    "ExportForm",
    "export_examples",
    "judgements_of",
    "read_examples",
    "read_judgements",
    "read_preferences",
]

T = TypeVar("T", bound=BaseModel)

ExportForm = Literal["records", "input-output", "prompt-completion", "messages", "hosted", "preferences"]
"""``records``: our own lines, nothing lost. ``hosted``: ``{"messages"}`` alone, as hosted fine-tuning APIs take it.
``preferences``: ``{"prompt", "chosen", "rejected"}`` for preference trainers."""
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)

_COMMON = ("id", "group", "stratum", "source", "meta")


def read_examples(path: Path, pack: Pack) -> Iterator[Example]:
    """Return the examples in a file; the whole file is checked before the first is given.

    Raises:
        BadInput: a line is broken, does not fit the pack, or is a preference.
    """
    return iter(read_json_lines(path, lambda line: _only(_record(line, pack), Example)))


def read_preferences(
    path: Path, pack: Pack, refine: Callable[[Preference, int], Preference] = lambda record, number: record
) -> Iterator[Preference]:
    """Return the preferences in a file; the whole file is checked before the first is given.

    ``refine`` gets every preference with the number of its line and returns what to keep of it, or raises a
    ``ValueError`` with a sentence.

    Raises:
        BadInput: a line is broken, does not fit the pack, or has no rejected answer.
    """
    return iter(read_numbered_lines(path, lambda line, number: refine(_only(_record(line, pack), Preference), number)))


def read_judgements(
    path: Path, pack: Pack, refine: Callable[[Judgement, int], Judgement] = lambda record, number: record
) -> Iterator[Judgement]:
    """Return the judgements in a file: an answer each, with ``label`` true or false; ``refine`` as for preferences.

    A line with a chosen and a rejected answer is one judgement of each.

    Raises:
        BadInput: a line is broken, does not fit the pack, or has no verdict.
    """

    def convert(line: dict[str, Any], number: int) -> list[Judgement]:
        return [refine(record, number) for record in _judgements(line, pack)]

    return (record for records in read_numbered_lines(path, convert) for record in records)


def _only(record: Example | Preference, wanted: type[Any]) -> Any:
    if not isinstance(record, wanted):
        kind = "a preference (chosen and rejected)" if isinstance(record, Preference) else "an example without a choice"
        raise ValueError(f"is {kind}, which cannot be used here; put such lines into a file of their own")
    return record


def _record(line: dict[str, Any], pack: Pack) -> Example | Preference:
    """Return what one line says; a sentence in a ValueError when it does not fit."""
    keys = line.keys()
    if keys & {"chosen", "rejected"} and not line.get("prompt") and not line.get("input"):
        raise ValueError("has no prompt: a pair needs prompt (or input), chosen and rejected")
    if {"id", "pack", "group", "input", "source"} <= keys:
        return _own(line, pack)
    if {"chosen", "rejected"} <= keys and keys & {"prompt", "input"}:
        return _preference(line, pack)
    if {"instruction", "output"} <= keys and not line.get("input"):
        return _example(line, pack, line["instruction"], line["output"], ("instruction", "input", "output"))
    for question, answer in (("input", "output"), ("prompt", "completion")):
        if {question, answer} <= keys:
            return _example(line, pack, line[question], line[answer], (question, answer))
    if "messages" in keys:
        messages = line["messages"]
        if not isinstance(messages, list) or not messages:
            raise ValueError("messages must be a list of messages, the last one from the assistant")
        return _example(line, pack, messages[:-1], messages[-1:], ("messages",))
    raise ValueError(
        f"has the keys {', '.join(sorted(keys)) or '(none)'}; known are input and output, prompt and completion, "
        "instruction, input and output, messages, or prompt, chosen and rejected"
    )


def _own(line: dict[str, Any], pack: Pack) -> Example | Preference:
    record: Example | Preference = _fit(Preference, line, "") if "chosen" in line else _fit(Example, line, "")
    if record.pack != pack.name:
        raise ValueError(f"belongs to the pack {record.pack!r}, not {pack.name!r}")
    _fit(pack.Input, record.input, "input")
    for name in ("chosen", "rejected") if isinstance(record, Preference) else ("output",):
        _fit(pack.Output, getattr(record, name), name)
    if isinstance(record, Preference) and record.chosen == record.rejected:
        raise ValueError("chosen and rejected are the same answer")
    return record


def judgements_of(pair: Preference) -> list[Judgement]:
    """Return a judgement of each of a pair's answers."""
    return [
        Judgement(
            id=f"{pair.id}-{'good' if good else 'bad'}",
            pack=pair.pack,
            group=pair.group,
            input=pair.input,
            output=output,
            good=good,
            reason=pair.reason,
            source=pair.source,
        )
        for output, good in ((pair.chosen, True), (pair.rejected, False))
    ]


def _judgements(line: dict[str, Any], pack: Pack) -> list[Judgement]:
    if line.keys() & {"chosen", "rejected"}:
        return judgements_of(_only(_record(line, pack), Preference))
    own = "good" in line
    verdict = line.get("good") if own else line.get("label")
    if not isinstance(verdict, bool):
        raise ValueError("has no verdict: label must be true or false")
    rest = {key: value for key, value in line.items() if key not in ("good", "label", "reason")}
    example: Example = _only(_record(rest, pack), Example)
    known = example.model_dump(exclude={"stratum", "meta"})
    return [_fit(Judgement, known | {"good": verdict, "reason": line.get("reason", "")}, "")]


def _example(line: dict[str, Any], pack: Pack, question: Any, answer: Any, used: tuple[str, ...]) -> Example:
    fields = {
        "input": _fields(question, pack.Input, "prompt", pack.name),
        "output": _fields(answer, pack.Output, "completion", pack.name),
    }
    return _fit(Example, _identity(line, pack, fields, used) | fields, "")


def _preference(line: dict[str, Any], pack: Pack) -> Preference:
    question = "prompt" if "prompt" in line else "input"
    fields = {
        "input": _fields(line[question], pack.Input, "prompt", pack.name),
        "chosen": _fields(line["chosen"], pack.Output, "completion", pack.name),
        "rejected": _fields(line["rejected"], pack.Output, "completion", pack.name),
    }
    if fields["chosen"] == fields["rejected"]:
        raise ValueError("chosen and rejected are the same answer")
    common = _identity(line, pack, fields, (question, "chosen", "rejected", "reason"))
    kept = {key: common[key] for key in ("id", "pack", "group", "source")}
    return _fit(Preference, kept | fields | {"reason": line.get("reason", "")}, "")


def _identity(line: dict[str, Any], pack: Pack, fields: dict[str, Any], used: tuple[str, ...]) -> dict[str, Any]:
    """Return an example's fields besides input and output, made from the content where the line has none."""
    meta = line.get("meta", {})
    if not isinstance(meta, dict):
        raise ValueError("meta must be an object")
    others = {key: value for key, value in line.items() if key not in (*used, *_COMMON)}
    return {
        "id": line.get("id", f"jsonl-{_short_digest(fields)}"),
        "pack": pack.name,
        "group": line.get("group", f"jsonl-{_short_digest(fields['input'])}"),
        "stratum": line.get("stratum", ""),
        "meta": others | meta,
        "source": line.get("source", Source(origin="jsonl").model_dump()),
    }


def _short_digest(value: Any) -> str:
    return sha256_bytes(canonical_json(value).encode("utf-8"))[:16]


def _fields(value: Any, model: type[BaseModel], wrapper: str, pack: str) -> dict[str, Any]:
    """Return a question or an answer as the pack's fields, from an object, JSON in a string, or messages."""
    if isinstance(value, list):
        value = _content(value, "user" if wrapper == "prompt" else "assistant")
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            if wrapper in model.model_fields:
                parsed = {wrapper: value}
            else:
                names = ", ".join(model.model_fields)
                raise ValueError(
                    f"the {wrapper} is plain text, but the pack {pack} needs the fields {names}: give them as an "
                    'object in {"input": {...}, "output": {...}}'
                )
        value = parsed
    if not isinstance(value, dict):
        raise ValueError(f"the {wrapper} must be an object, text or a list of messages")
    _fit(model, value, wrapper)
    return value


def _content(messages: list[Any], role: str) -> str:
    """Return the text of the only message of ``role``; system messages do not count."""
    texts = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ValueError("each message must be an object with a role and a content of text")
        if message.get("role") == role:
            texts.append(message["content"])
        elif message.get("role") not in ("system", "developer"):
            raise ValueError(f"a message of {message.get('role')!r} stands where one of {role!r} is expected")
    if len(texts) != 1:
        raise ValueError(f"{len(texts)} messages are from {role!r}; tasks have one question and one answer")
    return str(texts[0])


def _fit(model: type[T], value: Any, name: str) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, [*([name] if name else []), *first["loc"]]))
        raise ValueError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}") from error


def export_examples(records: Iterable[Example | Preference], pack: Pack, path: Path, form: ExportForm) -> int:
    """Write records as JSON Lines, whole or not at all, and return how many lines.

    Prompts are the pack's messages, completions compact JSON in schema order: what training sees.

    Args:
        records: examples for all forms but ``preferences``, which takes preferences; ``records`` takes both.
        pack: the task they belong to.
        path: the file to replace.
        form: see :data:`ExportForm`. ``prompt-completion`` and ``preferences`` keep prompts as lists of messages.

    Raises:
        BadInput: a record cannot be written in this form, or the form is not known.
    """
    if form not in EXPORT_FORMS:
        raise BadInput(f"{form!r} is not a form to export; known are {', '.join(EXPORT_FORMS)}")
    count = 0
    with atomic_writer(path) as out:
        for record in records:
            line = json.dumps(_exported(record, pack, form), ensure_ascii=False, allow_nan=False)
            out.write(line.encode("utf-8") + b"\n")
            count += 1
    return count


def _exported(record: Example | Preference, pack: Pack, form: ExportForm) -> dict[str, Any]:
    if form == "records":
        return record.model_dump(mode="json")
    if isinstance(record, Preference) != (form == "preferences"):
        raise BadInput(
            f"{record.id!r} is {'a preference' if form != 'preferences' else 'not a preference'}, "
            f"which cannot be exported as {form}"
        )
    prompt = [message.model_dump() for message in pack.messages(pack.Input.model_validate(record.input))]
    if isinstance(record, Preference):
        return {
            "prompt": prompt,
            "chosen": _answer(pack, record.chosen),
            "rejected": _answer(pack, record.rejected),
        }
    answer = _answer(pack, record.output)
    known = {"id": record.id, "group": record.group}
    if form == "input-output":
        return known | {"input": record.input, "output": record.output}
    if form == "prompt-completion":
        return known | {"prompt": prompt, "completion": answer}
    return {"messages": prompt + answer} if form == "hosted" else known | {"messages": prompt + answer}


def _answer(pack: Pack, output: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": completion_text(pack.Output.model_validate(output))}]
