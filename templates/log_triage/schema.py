"""The task in types: numbered lines of a failed CI log in, a grounded root cause out."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CATEGORIES", "ORIGINS", "Category", "LogInput", "LogLine", "Origin", "RootCause"]

Category = Literal[
    "test_assertion",
    "compile_error",
    "type_error",
    "lint_failure",
    "formatting_failure",
    "dependency_install",
    "docker_build",
    "github_actions_config",
    "permission_or_secret",
    "network_or_flaky",
    "timeout_or_oom",
    "other",
    "unknown",
]
"""LogDx-CI's thirteen categories (arXiv 2605.28876)."""

Origin = Literal["code", "test", "infra", "dependency", "config", "external"]
"""Whose change would fix it."""

CATEGORIES: tuple[Category, ...] = get_args(Category)
ORIGINS: tuple[Origin, ...] = get_args(Origin)


class LogLine(BaseModel):
    """One selected line, cleaned of colours and timestamps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    """1-based number in the log it came from; a line ends at LF."""
    text: str


class LogInput(BaseModel):
    """What the model is shown of a log: the selected lines, in order, within a token budget."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: list[LogLine]
    total_lines: int = Field(ge=0)


class RootCause(BaseModel):
    """The model's answer. ``evidence`` holds positions in the prompt; code turns them into quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Category
    origin: Origin
    transient: bool
    """True when running the same commit again may well pass."""
    evidence: list[int] = Field(max_length=4)
    """1-based positions in ``LogInput.lines`` of the lines that show the cause; empty when abstaining."""
    root_cause: str = Field(max_length=240)
    """One sentence; names taken from the log stand in backquotes."""
    fix: str = Field(max_length=240)
    """One sentence."""
