"""From a recipe to a case: its steps as one log in GitHub Actions' shape, with the truth checked against it."""

from __future__ import annotations

import random
import shutil
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from understudy.templates.log_triage.foundry._recipe import Fault, Recipe, RecipeError
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.schema import Category, Origin

__all__ = ["Case", "make_case", "stamped"]

_MAX_EVIDENCE = 4
_MAX_SENTENCE = 160
_EPOCH = datetime(2026, 1, 5, 6, 0, tzinfo=timezone.utc)


class Case(BaseModel):
    """One failed (or green) job whose cause is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    recipe: str
    tool: str
    category: Category
    origin: Origin
    transient: bool
    evidence: list[int]
    """1-based line numbers in ``log``."""
    subject: str
    cause: str
    fix: str
    started: datetime
    log: str
    """Lines joined by LF, without timestamps; :func:`stamped` puts them back as a runner writes them."""


def stamped(case: Case) -> str:
    """Return the log as the runner's file: every line behind a timestamp, deterministic for one case."""
    rng = random.Random(case.id)
    moment = case.started
    lines = []
    for line in case.log.split("\n"):
        moment += timedelta(milliseconds=rng.expovariate(1 / 40))
        lines.append(f"{moment:%Y-%m-%dT%H:%M:%S.%f}{rng.randrange(10)}Z {line}")
    return "\n".join(lines) + "\n"


def make_case(recipe: Recipe, seed: int, bank: list[Step]) -> Case:
    """Run ``recipe`` once and return its case; ``bank`` holds passing steps of other tools to surround it with.

    Raises:
        RecipeError: the tool passed, the claimed evidence or subject is not in the log, or a sentence is too long.
    """
    folder = Path(tempfile.mkdtemp(prefix="foundry-"))
    try:
        shop = Workshop(folder, f"{recipe.name}-{seed}")
        fault = recipe.make(shop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rng = random.Random(f"{recipe.name}-{seed}-log")
    before = rng.sample(bank, min(len(bank), rng.randint(1, 4))) + shop.passed
    lines: list[str] = []
    for step in before:
        lines += _shown(step)
    evidence: list[int] = []
    if fault.step is not None:
        start = len(lines) + len(_header(fault.step))
        lines += [*_shown(fault.step), f"##[error]Process completed with exit code {_exit_code(fault.step)}."]
        evidence = _evidence(fault, start)
    lines += _post_job(rng)
    _verify(recipe, fault, lines, evidence)
    return Case(
        id=f"{recipe.name}-{seed}",
        recipe=recipe.name,
        tool=recipe.tool,
        category=recipe.category,
        origin=recipe.origin,
        transient=recipe.transient,
        evidence=evidence,
        subject=fault.subject,
        cause=fault.cause,
        fix=fault.fix,
        started=_EPOCH + timedelta(minutes=rng.randrange(400_000)),
        log="\n".join(lines),
    )


def _header(step: Step) -> list[str]:
    first, *rest = step.command.split("\n")
    return [f"##[group]Run {first}", first, *rest, "shell: /usr/bin/bash -e {0}", "##[endgroup]"]


def _shown(step: Step) -> list[str]:
    return [*_header(step), *step.output]


def _exit_code(step: Step) -> int:
    return step.exit_code if step.exit_code > 0 else 128 - step.exit_code


def _post_job(rng: random.Random) -> list[str]:
    lines = ["Post job cleanup.", "[command]/usr/bin/git version", "git version 2.39.5", "Cleaning up orphan processes"]
    return lines[rng.randrange(4) :]


def _evidence(fault: Fault, start: int) -> list[int]:
    assert fault.step is not None
    numbers = set()
    for piece in fault.evidence:
        for offset, line in enumerate(fault.step.output):
            if piece in line:
                numbers.add(start + offset + 1)
                break
        else:
            raise RecipeError(f"claimed evidence {piece!r} is not in the output:\n" + "\n".join(fault.step.output))
    return sorted(numbers)


def _verify(recipe: Recipe, fault: Fault, lines: list[str], evidence: list[int]) -> None:
    if recipe.category == "unknown":
        if fault.evidence or fault.subject:
            raise RecipeError(f"{recipe.name}: an unknown cause has neither evidence nor subject")
        return
    if not 1 <= len(evidence) <= _MAX_EVIDENCE:
        raise RecipeError(f"{recipe.name}: {len(evidence)} evidence lines, 1 to {_MAX_EVIDENCE} are allowed")
    quotes = "\n".join(lines[number - 1] for number in evidence)
    if fault.subject not in quotes:
        raise RecipeError(f"{recipe.name}: subject {fault.subject!r} stands in no evidence line:\n{quotes}")
    if f"`{fault.subject}`" not in fault.cause:
        raise RecipeError(f"{recipe.name}: the cause does not name `{fault.subject}` in backquotes: {fault.cause}")
    for name in fault.cause.split("`")[1::2]:
        if name not in quotes:
            raise RecipeError(f"{recipe.name}: the cause names {name!r}, which stands in no evidence line:\n{quotes}")
    for name in fault.fix.split("`")[1::2]:
        if name not in quotes:
            raise RecipeError(f"{recipe.name}: the fix names {name!r}, which stands in no evidence line:\n{quotes}")
    if max(len(fault.cause), len(fault.fix)) > _MAX_SENTENCE:
        raise RecipeError(f"{recipe.name}: a sentence is longer than {_MAX_SENTENCE} characters")
