"""The ledger on Redis, for several machines. Every method reads under one lock and writes in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisError
from redis.client import Pipeline

from understudy.core.errors import Unavailable
from understudy.integrations.server.github import Job
from understudy.integrations.server.ledger import SILENT, End, Figures

__all__ = ["RedisLedger"]

_LOCK_SECONDS = 30.0
"""A lock whose holder died is free again after this time."""
_QUEUED, _RUNNING, _COUNTS, _SECONDS, _WORKERS = (
    f"understudy:{name}" for name in ("queued", "running", "counts", "seconds", "workers")
)


class RedisLedger:
    """See :class:`understudy.integrations.server.ledger.Ledger`; Redis must be told to keep its data (AOF)."""

    def __init__(self, client: Redis) -> None:
        """Use a connected client."""
        self._redis: Any = client  # its methods are typed for both its synchronous and its asynchronous kind

    @contextmanager
    def _begun(self) -> Iterator[Pipeline]:
        """The lock, and the transaction that ends it."""
        try:
            with self._redis.lock("understudy:lock", timeout=_LOCK_SECONDS, blocking_timeout=_LOCK_SECONDS, sleep=0.01):
                writes = self._redis.pipeline(transaction=True)
                yield writes
                writes.execute()
        except RedisError as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})") from error

    def _entry(self, delivery: str) -> dict[str, str]:
        held = self._redis.hgetall(_key(delivery))
        return {key.decode(): value.decode() for key, value in held.items()}

    def _ids(self, key: str) -> list[str]:
        return [one.decode() for one in self._redis.zrange(key, 0, -1)]

    @staticmethod
    def _turn(writes: Any, delivery: str, entry: dict[str, str], state: str, **fields: object) -> None:
        """Give a delivery another state, and count it there."""
        for key, name in ((_QUEUED, "queued"), (_RUNNING, "running")):
            if state == name:
                writes.zadd(key, {delivery: float(entry["received"])})
            else:
                writes.zrem(key, delivery)
        if "state" in entry:
            writes.hincrby(_COUNTS, f"{entry['command']} {entry['state']}", -1)
        writes.hincrby(_COUNTS, f"{entry['command']} {state}", 1)
        writes.hset(_key(delivery), mapping={"state": state, **{key: str(one) for key, one in fields.items()}})

    def accept(self, delivery: str, digest: str, event: str, job: Job) -> bool:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as writes:
            known, owner = self._entry(delivery), self._redis.get(f"understudy:digest:{digest}")
            if known and known["state"] == "failed" and owner is not None and owner.decode() == delivery:
                self._turn(writes, delivery, known, "queued", tries=0, due=now, sent=0, note="")
                return True
            if known or owner is not None:
                return False
            entry = {"command": job.command, "received": str(now)}
            rest = {"digest": digest, "event": event, "target": job.target, "job": job.model_dump_json()}
            self._turn(writes, delivery, entry, "queued", **entry, **rest, tries=0, due=now, sent=0, seconds=0)
            writes.set(f"understudy:digest:{digest}", delivery)
        return True

    def due(self) -> list[str]:
        """See :class:`Ledger`."""
        found = []
        with self._begun() as writes:
            for delivery in self._ids(_QUEUED):
                sent, due = self._redis.hmget(_key(delivery), "sent", "due")
                if sent == b"0" and float(due) <= time.time():
                    found.append(delivery)
                    writes.hset(_key(delivery), "sent", 1)
        return found

    def unsend(self) -> None:
        """See :class:`Ledger`."""
        with self._begun() as writes:
            for delivery in self._ids(_QUEUED):
                writes.hset(_key(delivery), "sent", 0)

    def claim(self, delivery: str, worker: str, most: int) -> tuple[Job, int] | None:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as writes:
            entry = self._entry(delivery)
            if not entry or entry["state"] != "queued" or float(entry["due"]) > now:
                return None
            if any(self._redis.hget(_key(one), "target") == entry["target"].encode() for one in self._ids(_RUNNING)):
                return None
            tries = int(entry["tries"])
            if tries >= most:
                self._turn(writes, delivery, entry, "failed", note=f"its worker died each of {most} times")
                return None
            self._turn(writes, delivery, entry, "running", tries=tries + 1, holder=worker, started=now)
        return Job.model_validate_json(entry["job"]), tries + 1

    def end(self, delivery: str, worker: str, state: End, note: str, after: float = 0) -> None:
        """See :class:`Ledger`."""
        now = time.time()
        with self._begun() as writes:
            entry = self._entry(delivery)
            if entry.get("state") == "running" and entry["holder"] == worker:
                spent = float(entry["seconds"]) + now - float(entry["started"])
                self._turn(writes, delivery, entry, state, note=note, due=now + after, sent=0, seconds=spent)
                if state != "queued":
                    writes.hincrbyfloat(_SECONDS, entry["command"], spent)
            for other in self._ids(_QUEUED):
                if self._redis.hget(_key(other), "target") == entry.get("target", "").encode():
                    writes.hset(_key(other), "sent", 0)

    def recover(self, worker: str) -> int:
        """See :class:`Ledger`."""
        found = 0
        with self._begun() as writes:
            alive = self._alive()
            for delivery in self._ids(_RUNNING):
                entry = self._entry(delivery)
                if entry["holder"] == worker or entry["holder"] not in alive:
                    found += 1
                    self._turn(writes, delivery, entry, "queued", sent=0, due=time.time())
        return found

    def beat(self, worker: str) -> None:
        """See :class:`Ledger`."""
        self._redis.hset(_WORKERS, worker, time.time())

    def _alive(self) -> set[str]:
        seen = self._redis.hgetall(_WORKERS)
        return {name.decode() for name, when in seen.items() if float(when) > time.time() - SILENT}

    def keep_plan(self, target: str, command: str, plan: str) -> None:
        """See :class:`Ledger`."""
        self._redis.hset(f"understudy:plans:{target}", command, plan)

    def take_plans(self, target: str) -> list[str]:
        """See :class:`Ledger`."""
        return [plan.decode() for plan in self._redis.hvals(f"understudy:plans:{target}")]

    def drop_plans(self, target: str) -> None:
        """See :class:`Ledger`."""
        self._redis.delete(f"understudy:plans:{target}")

    def figures(self) -> Figures:
        """See :class:`Ledger`."""
        states: dict[tuple[str, str], int] = {}
        for name, count in self._redis.hgetall(_COUNTS).items():
            command, _, state = name.decode().partition(" ")
            if int(count):
                states[command, state] = int(count)
        seconds = {name.decode(): float(spent) for name, spent in self._redis.hgetall(_SECONDS).items()}
        ended = {
            command: sum(states.get((command, state), 0) for state in ("done", "failed"))
            for command in {command for command, _ in states}
        }
        known = {command: (count, seconds.get(command, 0.0)) for command, count in ended.items() if count}
        return Figures(states, known, len(self._alive()))


def _key(delivery: str) -> str:
    return f"understudy:delivery:{delivery}"
