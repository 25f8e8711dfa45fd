"""How numbers and outside text are shown, the same in the page and in the terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["number", "p_value", "signed", "visible"]

_HIDING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of control, format, surrogate and private characters and of line and paragraph separators."""


def visible(text: object) -> str:
    """Return ``text`` with characters that would hide or reorder others written out by their code point.

    Line feeds and tabs stay. Escaping for HTML is the template's business.
    """
    return "".join(_written_out(char) for char in str(text))


def number(value: float) -> str:
    """Return a number with the digits that matter: three decimals for rates, none for large counts."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def signed(value: float) -> str:
    """Return a difference with its sign; one that rounds to zero has none."""
    text = number(abs(value))
    sign = "+" if value > 0 else "\N{MINUS SIGN}"
    return text if float(text.replace(",", "")) == 0 else sign + text


def p_value(value: float) -> str:
    """Return a p-value as papers print it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _written_out(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in _HIDING:
        return char
    return f"\\u{ord(char):04x}"
