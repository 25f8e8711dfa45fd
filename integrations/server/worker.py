"""The worker: a process that takes deliveries from the queue and carries them out, several at a time.

It gets what it needs, private key included, as one line of JSON on standard input, so that nothing secret stands in its
environment or in that of the processes it asks. When that input ends, the server is gone, and it stops, too.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.errors import BadInput, Unavailable
from understudy.core.redaction import redact
from understudy.core.settings import Settings
from understudy.integrations.github.ask import Asking, ask
from understudy.integrations.server.credentials import App
from understudy.integrations.server.github import Ignored
from understudy.integrations.server.jobs import Jobs
from understudy.integrations.server.logs import log, log_to_stderr
from understudy.integrations.server.queue import Queue

__all__ = ["Order", "Worker"]

_FIRST_WAIT = 30.0
"""Seconds before the second try."""
_PUMP = 1.0
_BEAT = 5.0
_AGAIN = 30.0
"""Seconds between looks for deliveries that the queue lost."""


class Order(BaseModel):
    """What a worker is told at its start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Under which it holds deliveries; the worker started in its place has the same one."""
    app_id: int
    private_key: str = Field(repr=False)
    url: str
    queue: str = Field(repr=False)
    """Its place; an address of Redis may hold a password."""
    settings: Settings
    arguments: tuple[str, ...]
    """Options by which the packs read the same settings."""


class Worker:
    """One process's work on the queue."""

    def __init__(self, order: Order) -> None:
        """Open the queue; nothing runs yet."""
        self._name, self._serve = order.name, order.settings.serve
        self._queue = Queue(order.queue, self.handle)
        self._app = App(order.app_id, order.private_key, order.url)
        asking = Asking(settings=order.arguments, ask=partial(ask, seconds=self._serve.answer_seconds, quiet=True))
        self._jobs = Jobs(self._app.client, asking, self._serve.github, self._queue.ledger)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Work until told to stop, then finish what is in hand, or leave it to the next worker."""
        again = self._queue.ledger.recover(self._name)
        if again:
            log.info("%d deliveries were in hand when a worker ended; they are done anew", again)
        self._queue.ledger.unsend()
        self._queue.ledger.beat(self._name)
        threading.Thread(target=self._tend, daemon=True).start()
        consumer = self._queue.huey.create_consumer(
            workers=self._serve.workers,
            periodic=False,
            initial_delay=0.05,
            max_delay=0.5,
            shutdown_timeout=self._serve.stop_seconds,
            graceful_signal="TERM",
        )
        consumer.run()
        self._stopped.set()
        with suppress(Unavailable):  # then others recover what was in hand, once this worker has been silent
            self._queue.ledger.recover(self._name)
        if os.getpgrp() == os.getpid():  # packs that still answer would do so to nobody
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)
        os._exit(0)  # what did not finish in time must not write any more

    def handle(self, delivery: str) -> None:
        """Carry out one delivery, if nobody did or does."""
        ledger = self._queue.ledger
        claimed = ledger.claim(delivery, self._name, self._serve.attempts)
        if claimed is None:
            return
        job, attempt = claimed
        about = f"{delivery} {job.command} {job.repo}#{job.number or f'run {job.run}'}"
        began = time.monotonic()
        passing = False
        try:
            note, state = self._jobs.do(job), "done"
        except Ignored as why:
            note, state = f"nothing: {why}", "done"
        except (BadInput, Unavailable) as error:
            note, state, passing = str(error), "failed", getattr(error, "passing", isinstance(error, Unavailable))
            if getattr(error, "status", 0) == 401:
                self._app.forget(job.installation, job.repo)
                passing = True
        except Exception as error:  # a bug: its message may hold what strangers wrote, its place does not
            note, state, passing = f"{type(error).__name__} at {_place(error)}", "failed", True
        note = " ".join(redact(note)[0].split())[:500]
        if passing and attempt < self._serve.attempts:
            wait = _FIRST_WAIT * 4 ** (attempt - 1)
            ledger.end(delivery, self._name, "queued", note, wait)
            log.warning("%s: try %d failed, again in %.0f s: %s", about, attempt, wait, note)
        else:
            ledger.end(delivery, self._name, "done" if state == "done" else "failed", note)
            level = logging.INFO if state == "done" else logging.ERROR
            log.log(level, "%s: %s in %.1f s: %s", about, state, time.monotonic() - began, note)
        self._queue.pump()

    def _tend(self) -> None:
        """Send what is due, give signs of life, and look after what other workers or the queue lost."""
        beat = again = time.monotonic()
        while not self._stopped.wait(_PUMP):
            try:
                now = time.monotonic()
                if now - beat >= _BEAT:
                    beat = now
                    self._queue.ledger.beat(self._name)
                if now - again >= _AGAIN:
                    again = now
                    self._queue.ledger.recover("")
                    if not self._queue.size():
                        self._queue.ledger.unsend()
                self._queue.pump()
            except Unavailable as error:
                log.error("%s", error)
            except Exception as error:
                log.error("the queue cannot be used (%s at %s)", type(error).__name__, _place(error))


def _place(error: BaseException) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else "?"


def _stop_with_server() -> None:
    """End this process when standard input does."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Read the order and work."""
    order = Order.model_validate_json(sys.stdin.buffer.readline())
    log_to_stderr(order.private_key, urlsplit(order.queue).password or "")
    threading.Thread(target=_stop_with_server, daemon=True).start()
    try:
        Worker(order).run()
    except Unavailable as error:
        log.error("the worker ends: %s", error)
        os._exit(error.exit_code)  # an ordinary end would wait for the thread that reads standard input


if __name__ == "__main__":
    main()
