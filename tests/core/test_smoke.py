"""The first answer of a model that was just trained, and what the events say of overfitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from understudy.core._watching import Event, overfitting
from understudy.core.engines import Generation, Request
from understudy.core.pack import Pack
from understudy.core.smoke import smoke


class Saying:
    """An engine that says one thing, and must not be helped by a grammar."""

    def __init__(self, text: str, finish_reason: Any = "stop") -> None:
        self._answer = Generation(text, finish_reason, 5, 5, -1.0, None, 0.1)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        assert [request.schema for request in requests] == [None]
        return [self._answer]


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Saying('{"label":"bug","why":""}'), ""),
        (Saying('{"label":"bug","why":""}', "length"), "asked e1, it did not stop by itself within 40 tokens"),
        (Saying('{"label":"bug"'), "asked e1, it stopped, but the answer: invalid json"),
        (Saying('{"label":"cat","why":""}'), "asked e1, it stopped, but label: "),
        (Saying('{"label":"bug","why":"refuse me"}'), "asked e1, its why: was told to be refused"),
    ],
)
def test_an_answer_must_stop_by_itself_and_pass_the_checks(
    engine: Any, words: str, toy: Pack, toy_example: Callable[..., Any]
) -> None:
    said = smoke(engine, toy, toy_example("e1", "it crashes"), 40)
    assert said.startswith(words) and bool(said) == bool(words)


def events(*losses: tuple[float, float]) -> tuple[Event, ...]:
    """Two events an epoch: (training loss, validation loss)."""
    made = []
    for epoch, (loss, validation) in enumerate(losses, start=1):
        made.append(Event(epoch, len(losses), epoch, 1.0, loss=loss))
        made.append(Event(epoch, len(losses), epoch, 1.0, validation_loss=validation))
    return tuple(made)


def test_overfitting_is_told_only_where_validation_rises_while_training_falls() -> None:
    (notice,) = overfitting(events((2.0, 2.0), (1.5, 1.6), (0.9, 1.8), (0.4, 2.1)))
    assert "since epoch 2.0 validation loss rose from 1.600 to 2.100 while training loss fell" in notice
    assert not overfitting(events((2.0, 2.0), (1.5, 1.6), (0.9, 1.3)))
    assert not overfitting(events((2.0, 2.0), (1.5, 1.6), (1.2, 1.65))), "a little is noise"
    assert not overfitting(events((2.0, 2.0), (1.5, 1.6), (1.9, 2.2))), "both rise: that is another trouble"
