"""Text from outside, made safe to show: in a terminal, in a CI log, and as GitHub-flavoured Markdown."""

from __future__ import annotations

import re

__all__ = ["fenced", "plain", "prose"]

_SPECIAL = re.compile(r"([\\*_{}\[\]()#+!|<>~$&-])")
_LINKED = re.compile(r"@|#|(?i:www)(?=\.)|:(?=//)")
"""Where GitHub makes mentions, references and links of plain text; it does so after Markdown, so no backslash helps."""
_COMMAND = re.compile(r"(?m)^([ \t]*):(?=:)|#(?=#\w*\[)")
"""Where a CI runner would take a printed line for a command: ``::error::``, ``##[error]``, ``##vso[...]``."""


def plain(text: str) -> str:
    """Return text from outside with control characters (also bidirectional ones) and runner commands made visible."""
    shown = "".join(c if c == "\n" or c == "\t" or _printable(c) else f"\\x{ord(c):02x}" for c in text)
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", shown)


def _printable(character: str) -> bool:
    return (
        character.isprintable()
        and character not in "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def fenced(text: str, language: str = "") -> str:
    """Return text as a fenced code block; the fence is longer than any run of backquotes in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{plain(text)}\n{fence}"


def prose(text: str) -> str:
    """Return one paragraph of Markdown: escaped outside backquotes; what stands in them becomes code."""
    pieces = plain(text).replace("\n", " ").split("`")
    return "".join(
        f"`{piece}`"
        if piece and index % 2 and index < len(pieces) - 1
        else _LINKED.sub(r"\g<0>&#8203;", _SPECIAL.sub(r"\\\1", piece))
        for index, piece in enumerate(pieces)
    )
