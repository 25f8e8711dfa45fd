"""What a fault recipe is, and the registry of all of them.

A recipe makes a small real project, breaks one thing, runs the real tool and says what broke. It is a function::

    @recipe("pytest.wrong-sum", tool="pytest", category="test_assertion", origin="code")
    def wrong_sum(shop: Workshop) -> Fault:
        ...

The function body decides every name and number with ``shop.rng`` / ``shop.names``, so one seed gives one project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from understudy.templates.log_triage.schema import Category, Origin

if TYPE_CHECKING:
    from understudy.templates.log_triage.foundry._workshop import Step, Workshop

__all__ = ["Fault", "Recipe", "RecipeError", "all_recipes", "recipe"]


class RecipeError(Exception):
    """A recipe did not do what it claims: the tool passed, or the claimed evidence is not in its output."""


@dataclass(frozen=True)
class Fault:
    """The truth about one sample, known because the recipe made it."""

    step: Step | None
    """The step that failed; None for a green log (category ``unknown``, like a failure that shows no cause)."""
    evidence: tuple[str, ...]
    """Literal pieces of text; the first line of the failing step that contains each one is an evidence line."""
    subject: str
    """The name a right root cause must mention: it stands, verbatim, in an evidence line."""
    cause: str
    """One sentence of at most 160 characters; names from the log in backquotes."""
    fix: str
    """One imperative sentence of at most 160 characters."""


@dataclass(frozen=True)
class Recipe:
    """One registered fault."""

    name: str
    """``tool.fault``, unique; it is the example's group."""
    tool: str
    category: Category
    origin: Origin
    transient: bool
    requires: tuple[str, ...]
    """Programs that must be on PATH; the recipe is skipped, with a word, where one is missing."""
    make: Callable[[Workshop], Fault]


_RECIPES: dict[str, Recipe] = {}


def recipe(
    name: str,
    *,
    tool: str,
    category: Category,
    origin: Origin,
    transient: bool = False,
    requires: tuple[str, ...] = (),
) -> Callable[[Callable[[Workshop], Fault]], Callable[[Workshop], Fault]]:
    """Register the decorated function as a recipe.

    Raises:
        ValueError: the name is taken.
    """

    def register(make: Callable[[Workshop], Fault]) -> Callable[[Workshop], Fault]:
        if name in _RECIPES:
            raise ValueError(f"two recipes are called {name!r}")
        _RECIPES[name] = Recipe(name, tool, category, origin, transient, requires, make)
        return make

    return register


def all_recipes() -> dict[str, Recipe]:
    """Return every recipe by name, after importing the modules that define them."""
    from understudy.templates.log_triage.foundry import recipes

    recipes.load()
    return dict(sorted(_RECIPES.items()))
