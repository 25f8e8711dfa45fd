"""The queue: huey on SQLite, or on Redis for several machines. It holds delivery ids, the ledger what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huey import RedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.server.ledger import Ledger, SqliteLedger

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["QUEUE_URL", "Queue", "place_of"]

QUEUE_URL = "UNDERSTUDY_QUEUE_URL"
"""Environment variable with the address of Redis, which may hold a password."""

_NAME = "understudy"
_PATIENCE = 5.0
"""Seconds after which Redis is taken to be away; GitHub waits ten for an answer."""
_RETRIES = 5
"""A connection that Redis closed, for idleness or a change of its leader, is opened again so often, over 1.5 s."""


class _Json(Serializer):  # type: ignore[misc]
    """Messages as JSON: huey's own are pickles, by which whoever writes to the queue runs code in the worker."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: Any) -> Message:
        return Message(*json.loads(bytes(data)))


class Queue:
    """Deliveries that wait for a worker."""

    def __init__(self, place: str, work: Callable[[str], None] | None = None) -> None:
        """Open the queue.

        Args:
            place: address of Redis, or path of a database file, which is made when missing.
            work: what a worker does with a delivery's id; None for who only sends.

        Raises:
            Unavailable: Redis cannot be reached.
        """
        self.ledger: Ledger
        if "://" in place:
            from understudy.integrations.server.redis_ledger import RedisLedger

            client = _redis(place)
            self.ledger = RedisLedger(client)
            self.huey = RedisHuey(_NAME, connection_pool=client.connection_pool, results=False, serializer=_Json())
        else:
            Path(place).parent.mkdir(0o700, parents=True, exist_ok=True)  # plans that wait hold what models wrote
            self.ledger = SqliteLedger(Path(place))
            self.huey = SqliteHuey(_NAME, filename=place, timeout=30, results=False, serializer=_Json())

        def deliver(delivery: str) -> None:  # huey knows a task by name and module, so both sides make it here
            if work is not None:
                work(delivery)

        self._task = self.huey.task(name="deliver")(deliver)

    def pump(self) -> None:
        """Send what is due."""
        for delivery in self.ledger.due():
            self._task(delivery)

    def size(self) -> int:
        """Return how many messages wait."""
        return int(self.huey.storage.queue_size())


def _redis(url: str) -> Redis:
    from redis import ConnectionError as Unreached
    from redis import Redis, TimeoutError
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    try:
        client = Redis.from_url(
            url, socket_timeout=_PATIENCE, retry=Retry(ExponentialBackoff(cap=1, base=0.05), _RETRIES)
        )
        client.ping()
    except ValueError as error:
        raise BadInput(f"UNDERSTUDY_QUEUE_URL is no address of Redis: {error}") from None
    except (Unreached, TimeoutError):
        raise Unavailable("Redis cannot be reached at UNDERSTUDY_QUEUE_URL") from None
    return client


def place_of(registry: Path, environment: Mapping[str, str]) -> str:
    """Return where the queue is: ``UNDERSTUDY_QUEUE_URL``, else a file below the registry.

    Raises:
        BadInput: the variable holds no address.
    """
    url = environment.get(QUEUE_URL)
    if url and "://" not in url:
        raise BadInput(f"{QUEUE_URL} is no address of Redis, such as redis://127.0.0.1:6379/0")
    return url or str(registry.resolve() / "serve" / "queue.db")
