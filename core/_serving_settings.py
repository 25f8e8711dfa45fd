"""The settings of ``understudy serve``: what it answers to. What is secret stands in the environment, never here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.core._section import Count, Section, Text

__all__ = ["GitHubAppSettings", "ServeSettings"]


class GitHubAppSettings(Section):
    """The GitHub App behind ``understudy serve --github``."""

    app_id: Count | None = None
    """Id of the App, as its page on GitHub shows it; ``$UNDERSTUDY_GITHUB_APP_ID`` where it is not set here."""
    answers: tuple[Literal["review", "label", "explain", "commands"], ...] = ("review", "label", "explain", "commands")
    """What it does by itself: review opened and pushed-to pull requests, label new issues, explain failed runs on their
    pull request, and obey ``/understudy`` commands in comments."""
    writes: Literal["at once", "when told"] = "at once"
    """``when told`` only shows what it would write, until somebody comments ``/understudy apply``."""
    protected: tuple[Text, ...] = ()
    """Labels that are never written."""


class ServeSettings(Section):
    """The server and its workers."""

    workers: Count = 2
    """Deliveries handled at the same time by one process."""
    attempts: Count = 5
    """How often a delivery is tried that fails for reasons that may pass: 30 s later, then four times as long each."""
    answer_seconds: float = Field(default=900.0, gt=0)
    """Seconds a pack may take for one diff, log or ticket."""
    stop_seconds: float = Field(default=25.0, gt=0)
    """Seconds that work in hand has to finish when the server is told to stop; it is done anew after the next start."""
    github: GitHubAppSettings = GitHubAppSettings()
    """The GitHub App."""
