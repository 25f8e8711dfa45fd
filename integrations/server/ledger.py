"""The ledger: every delivery that asked for something, once, and how far it came.

The queue only says that there is work; the ledger says which. A delivery is ``queued``, ``running``, ``done`` or
``failed``. A worker claims it before it works and notes the end after, so that a kill in between leaves it ``running``:
the next worker of the same name makes it ``queued`` again at its start, any other one as soon as that worker has been
silent for a while. Doing it again is harmless, because plans are made anew and their writes know themselves by marker.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from understudy.core.errors import Unavailable
from understudy.integrations.server.github import Job

__all__ = ["SILENT", "End", "Figures", "Ledger", "SqliteLedger"]

SILENT = 60.0
"""Seconds without a sign of life after which a worker's deliveries are given to others."""
End = Literal["done", "failed", "queued"]

_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, event TEXT NOT NULL, command TEXT NOT NULL, target TEXT NOT NULL,
  job TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, sent INTEGER NOT NULL,
  holder TEXT, received REAL NOT NULL, started REAL, ended REAL, seconds REAL NOT NULL DEFAULT 0, note TEXT);
CREATE INDEX IF NOT EXISTS deliveries_state ON deliveries (state, target, due);
CREATE TABLE IF NOT EXISTS workers (name TEXT PRIMARY KEY, seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS plans (target TEXT, command TEXT, plan TEXT NOT NULL, PRIMARY KEY (target, command));
"""


@dataclass(frozen=True)
class Figures:
    """Counts for the metrics."""

    states: dict[tuple[str, str], int]
    """Command and state to deliveries."""
    seconds: dict[str, tuple[int, float]]
    """Command to how many were tried to an end and how many seconds that took."""
    workers: int
    """Workers that gave a sign of life lately."""


class Ledger(Protocol):
    """What the server and its workers need; every method is one transaction that is on disk when it ends.

    Those about deliveries raise ``Unavailable`` when it cannot be written.
    """

    def accept(self, delivery: str, digest: str, event: str, job: Job) -> bool:
        """Note a delivery as queued; False if its id or body was here before, unless that one failed.

        Args:
            delivery: its id.
            digest: SHA-256 of its body.
            event: its name.
            job: what it asks for.
        """

    def due(self) -> list[str]:
        """Return queued deliveries whose time has come and that were not sent to the queue; they count as sent now."""

    def unsend(self) -> None:
        """Let all queued deliveries be sent again: what the queue lost, a kill of its reader for instance."""

    def claim(self, delivery: str, worker: str, most: int) -> tuple[Job, int] | None:
        """Return a queued delivery's job, running from now on, and which try it is.

        None if it is not queued, not due, or another one runs on the same target: then it is sent again when that ends.
        One that was tried ``most`` times already, which means that it took its workers with it, fails instead.
        """

    def end(self, delivery: str, worker: str, state: End, note: str, after: float = 0) -> None:
        """Note how a delivery ended that this worker runs; ``queued`` means that it is due again ``after`` seconds."""

    def recover(self, worker: str) -> int:
        """Make queued again what ran under this worker's name, or under that of a silent one; return how many."""

    def beat(self, worker: str) -> None:
        """Give a sign of life."""

    def keep_plan(self, target: str, command: str, plan: str) -> None:
        """Keep a plan until it is applied or replaced."""

    def take_plans(self, target: str) -> list[str]:
        """Return the plans that wait for a target."""

    def drop_plans(self, target: str) -> None:
        """Forget them."""

    def figures(self) -> Figures:
        """Count."""


class SqliteLedger:
    """A ledger in the database file of the queue, for one machine."""

    def __init__(self, path: Path) -> None:
        """Open or make it."""
        self._path, self._held = path, threading.local()
        with self._begun() as base:
            for statement in _TABLES.split(";"):
                base.execute(statement)

    @contextmanager
    def _begun(self) -> Iterator[sqlite3.Connection]:
        """One transaction; each thread has a connection of its own."""
        try:
            base = self._connection()
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.rollback()
                raise
            base.commit()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        base: sqlite3.Connection | None = getattr(self._held, "base", None)
        if base is None:
            base = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=FULL")
            self._held.base = base
        return base

    def accept(self, delivery: str, digest: str, event: str, job: Job) -> bool:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as base:
            known = base.execute(
                "SELECT id, digest, state FROM deliveries WHERE id = ? OR digest = ?", (delivery, digest)
            ).fetchall()
            if known == [(delivery, digest, "failed")]:
                base.execute(
                    "UPDATE deliveries SET state = 'queued', tries = 0, due = ?, sent = 0, note = NULL WHERE id = ?",
                    (now, delivery),
                )
            elif known:
                return False
            else:
                values = (delivery, digest, event, job.command, job.target, job.model_dump_json(), now, now)
                base.execute(
                    "INSERT INTO deliveries (id, digest, event, command, target, job, state, due, sent, received) "
                    "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, 0, ?)",
                    values,
                )
        return True

    def due(self) -> list[str]:
        """See :class:`Ledger`."""
        with self._begun() as base:
            query = "SELECT id FROM deliveries WHERE state = 'queued' AND sent = 0 AND due <= ? ORDER BY received"
            found = [row[0] for row in base.execute(query, (time.time(),))]
            base.executemany("UPDATE deliveries SET sent = 1 WHERE id = ?", [(one,) for one in found])
        return found

    def unsend(self) -> None:
        """See :class:`Ledger`."""
        with self._begun() as base:
            base.execute("UPDATE deliveries SET sent = 0 WHERE state = 'queued'")

    def claim(self, delivery: str, worker: str, most: int) -> tuple[Job, int] | None:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as base:
            row = base.execute(
                "SELECT job, tries, target FROM deliveries WHERE id = ? AND state = 'queued' AND due <= ?",
                (delivery, now),
            ).fetchone()
            if row is None:
                return None
            if base.execute("SELECT 1 FROM deliveries WHERE state = 'running' AND target = ?", row[2:]).fetchone():
                return None
            if row[1] >= most:
                note = f"its worker died each of {most} times"
                base.execute("UPDATE deliveries SET state = 'failed', note = ? WHERE id = ?", (note, delivery))
                return None
            base.execute(
                "UPDATE deliveries SET state = 'running', tries = tries + 1, holder = ?, started = ? WHERE id = ?",
                (worker, now, delivery),
            )
        return Job.model_validate(json.loads(row[0])), row[1] + 1

    def end(self, delivery: str, worker: str, state: End, note: str, after: float = 0) -> None:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as base:
            base.execute(
                "UPDATE deliveries SET state = ?, note = ?, due = ?, sent = 0, ended = ?, "
                "seconds = seconds + ? - started WHERE id = ? AND state = 'running' AND holder = ?",
                (state, note, now + after, now, now, delivery, worker),
            )
            base.execute(
                "UPDATE deliveries SET sent = 0 WHERE state = 'queued' AND target = "
                "(SELECT target FROM deliveries WHERE id = ?)",
                (delivery,),
            )

    def recover(self, worker: str) -> int:
        """See :class:`Ledger`."""
        with self._begun() as base:
            return base.execute(
                "UPDATE deliveries SET state = 'queued', sent = 0, due = ? WHERE state = 'running' AND (holder = ? OR "
                "holder NOT IN (SELECT name FROM workers WHERE seen > ?))",
                (time.time(), worker, time.time() - SILENT),
            ).rowcount

    def beat(self, worker: str) -> None:
        """See :class:`Ledger`."""
        with self._begun() as base:
            base.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (worker, time.time()))

    def keep_plan(self, target: str, command: str, plan: str) -> None:
        """See :class:`Ledger`."""
        with self._begun() as base:
            base.execute("INSERT OR REPLACE INTO plans VALUES (?, ?, ?)", (target, command, plan))

    def take_plans(self, target: str) -> list[str]:
        """See :class:`Ledger`."""
        with self._begun() as base:
            return [row[0] for row in base.execute("SELECT plan FROM plans WHERE target = ?", (target,))]

    def drop_plans(self, target: str) -> None:
        """See :class:`Ledger`."""
        with self._begun() as base:
            base.execute("DELETE FROM plans WHERE target = ?", (target,))

    def figures(self) -> Figures:
        """See :class:`Ledger`."""
        with self._begun() as base:
            rows = base.execute("SELECT command, state, COUNT(*) FROM deliveries GROUP BY command, state").fetchall()
            spent = base.execute(
                "SELECT command, COUNT(*), SUM(seconds) FROM deliveries WHERE state IN ('done', 'failed') "
                "GROUP BY command"
            ).fetchall()
            alive = base.execute("SELECT COUNT(*) FROM workers WHERE seen > ?", (time.time() - SILENT,)).fetchone()
        return Figures(
            {(command, state): count for command, state, count in rows},
            {command: (count, seconds) for command, count, seconds in spent},
            alive[0],
        )
