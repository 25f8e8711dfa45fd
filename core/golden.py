"""A golden prompt: a conversation whose token ids are kept with a model and must come out again wherever it is loaded.

A chat template or a tokenizer that changed on the way, by an upgrade of a library for instance, changes every prompt
and raises no error; answers only get worse.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.engines import prompt_ids
from understudy.core.errors import BadInput
from understudy.core.files import write_json
from understudy.core.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["check_golden", "write_golden"]

_FILE = "golden_prompt.json"
_MESSAGES = (
    Message(role="system", content="Answer in JSON."),
    Message(role="user", content="  12: naïve\tE501 — 行 \u2028 <|im_end|>\n\n\x1b[31mexit 1\x1b[0m  "),
)
"""What tokenizers differ in: blanks at the ends, digits, scripts, control characters and a control token's text."""


def write_golden(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep the golden prompt's token ids in a model folder."""
    ids = prompt_ids(tokenizer, _MESSAGES)
    write_json(folder / _FILE, {"messages": [message.model_dump() for message in _MESSAGES], "ids": ids})


def check_golden(folder: Path, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Compare the ids kept in a model folder, if there are any, with those that ``tokenizer`` gives.

    Raises:
        BadInput: they differ, so that the model called ``name`` would read other prompts than it was trained on.
    """
    path = folder / _FILE
    if not path.exists():  # registered before there were golden prompts
        return
    try:
        kept = json.loads(path.read_text("utf-8"))
        messages = [Message.model_validate(message) for message in kept["messages"]]
        trained = list(kept["ids"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} cannot be read; restore it: understudy models verify") from error
    ids = prompt_ids(tokenizer, messages)
    if ids != trained:
        at = next((at for at, pair in enumerate(zip(ids, trained, strict=False)) if pair[0] != pair[1]), len(trained))
        raise BadInput(
            f"model {name} was trained on other token ids than its tokenizer gives now (from token {at} of the golden "
            "prompt on): install the versions it was trained with (understudy models show), or train again"
        )
