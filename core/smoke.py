"""After training: one real answer from the model as it was registered, before anybody relies on it."""

from __future__ import annotations

from pydantic import ValidationError

from understudy.core.engines import LocalEngine, Request
from understudy.core.pack import Pack
from understudy.core.records import Example

__all__ = ["smoke"]


def smoke(engine: LocalEngine, pack: Pack, example: Example, max_new_tokens: int) -> str:
    """Let the model answer ``example`` freely, without a grammar, and say in a sentence what is wrong, if anything is.

    It must stop by itself and its answer must pass the pack's schema and checks. A model that has learnt little fails
    here and may yet be usable under the grammar: whether it is good enough is for the gate to say.
    """
    value = pack.Input.model_validate(example.input)
    (answer,) = engine.generate([Request(pack.messages(value), None, max_new_tokens)])
    if answer.finish_reason != "stop":
        return f"asked {example.id}, it did not stop by itself within {max_new_tokens} tokens"
    try:
        output = pack.Output.model_validate_json(answer.text, strict=True)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "the answer"
        return f"asked {example.id}, it stopped, but {place}: {error.errors()[0]['msg'].lower()}"
    problems = pack.check(value, output)
    return f"asked {example.id}, its {problems[0].field}: {problems[0].message}" if problems else ""
