"""Text from outside, made safe to show: in a terminal, in a CI log, and as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fenced", "plain", "prose", "visible"]

_HIDING = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories of all that is no letter, mark, number, sign or space."""

_SPECIAL = re.compile(r"([\\*_{}\[\]()#+!|<>~$&-])")
_LINKED = re.compile(r"@|#|(?i:www)(?=\.)|:(?=//)")
"""Where GitHub makes mentions, references and links of plain text; it does so after Markdown, so no backslash helps."""
_COMMAND = re.compile(r"(?m)^([ \t]*):(?=:)|#(?=#\w*\[)")
"""Where a CI runner would take a printed line for a command: ``::error::``, ``##[error]``, ``##vso[...]``."""


def visible(text: str) -> str:
    r"""Return text with characters that would hide or reorder others written out: ``\x1b``, ``\u202e``.

    Line feeds and tabs stay. Escaping for HTML or Markdown is another matter.
    """
    return text if text.isprintable() else "".join(_written_out(character) for character in text)


def _written_out(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDING:
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def plain(text: str) -> str:
    """Return text that is safe in a terminal and in a CI log: :func:`visible`, and runner commands as mere words."""
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", visible(text))


def fenced(text: str, language: str = "") -> str:
    """Return text as a fenced code block; the fence is longer than any run of backquotes in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{plain(text)}\n{fence}"


def prose(text: str) -> str:
    """Return one paragraph of Markdown: escaped outside backquotes; what stands in them becomes code."""
    pieces = re.sub(r"[\t\n]", " ", plain(text)).lstrip(" ").split("`")  # an indented line would be code
    return "".join(
        f"`{piece}`"
        if piece and index % 2 and index < len(pieces) - 1
        else _LINKED.sub(r"\g<0>&#8203;", _SPECIAL.sub(r"\\\1", piece))
        for index, piece in enumerate(pieces)
    )
