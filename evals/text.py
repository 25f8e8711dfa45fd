"""How numbers are shown, the same in the page and in the terminal."""

from __future__ import annotations

__all__ = ["number", "p_value", "signed"]


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
