"""Workflow commands: the lines by which a step talks to its runner, and the guard against a log's own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["annotation", "stopped"]


def annotation(level: str, title: str, message: str) -> str:
    """Return the command that shows an annotation, escaped as in GitHub's own toolkit (command.ts)."""
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


@contextmanager
def stopped(out: TextIO) -> Iterator[None]:
    """Let nothing that is printed inside the block act as a command; the word that ends it cannot be guessed."""
    word = secrets.token_hex(16)
    print(f"::stop-commands::{word}", file=out, flush=True)
    try:
        yield
    finally:
        print(f"\n::{word}::", file=out, flush=True)
