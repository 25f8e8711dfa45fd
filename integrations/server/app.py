"""The HTTP side: ``/github`` for deliveries, ``/health``, ``/metrics``. An answer waits for the ledger's disk only."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from understudy.core.errors import Unavailable
from understudy.core.settings import GitHubAppSettings
from understudy.integrations.server.github import Ignored, Malformed, genuine, job_of
from understudy.integrations.server.logs import log
from understudy.integrations.server.metrics import Metrics
from understudy.integrations.server.queue import Queue

__all__ = ["Identity", "make_app"]

_MOST = 25 << 20
"""Bytes of a body; GitHub sends no more."""
_SHORT = 1 << 20
"""Bytes of a body that are always taken: nearly all deliveries are shorter, and no stranger's long ones stop them."""
_MOST_TOGETHER = 128 << 20
"""Bytes beyond that of all bodies that are being read."""
_READING = 10.0
"""Seconds a body may take to come; GitHub waits no longer for an answer."""
_EVENT = re.compile(rb"[a-z_]{1,40}")
_DELIVERY = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Identity:
    """What the server must know of the App."""

    secret: bytes
    """The webhook's."""
    app_id: int
    login: str


class _Refused(Exception):
    """A request that gets no further."""

    def __init__(self, status: int, result: str, why: str) -> None:
        super().__init__(why)
        self.status, self.result = status, result


def make_app(
    identity: Identity, settings: GitHubAppSettings, queue: Queue, metrics: Metrics, ready: Callable[[], bool]
) -> FastAPI:
    """Return the application; ``ready`` says whether somebody works on the queue."""
    app = FastAPI(openapi_url=None)
    reader = _Reader()

    @app.post("/github")
    async def deliver(request: Request) -> Response:
        began = time.monotonic()
        event = "other"
        try:
            body = await reader.read(request)
            event, delivery = await run_in_threadpool(_named, request, body, identity.secret)
            status, result, why = await run_in_threadpool(_take, identity, settings, queue, event, delivery, body)
        except _Refused as refusal:
            delivery, status, result, why = "-", refusal.status, refusal.result, str(refusal)
        metrics.answered(event, result, time.monotonic() - began)
        log.info("%s %s: %s%s", delivery, event, result, f": {why}" if why else "")
        # Once it is in the ledger it is safe: the answer does not wait for the queue.
        sending = BackgroundTask(queue.pump) if result == "queued" else None
        return JSONResponse({"result": result, "why": why}, status, background=sending)

    @app.get("/health")
    async def health() -> Response:
        try:
            await run_in_threadpool(queue.size)
            await run_in_threadpool(queue.ledger.figures)
        except Exception as error:
            return JSONResponse({"status": "the queue cannot be used", "why": type(error).__name__}, 503)
        if not ready():
            return JSONResponse({"status": "no worker"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def figures() -> Response:
        return Response(await run_in_threadpool(metrics.page), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


class _Reader:
    """Reads bodies within the limits on one, on all together, and on time."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """Return the body.

        Raises:
            _Refused: it is too long, too slow, or too many come at once.
        """
        stated = request.headers.get("content-length", "0")
        if not stated.isascii() or not stated.isdigit() or int(stated) > _MOST:
            raise _Refused(413, "too large", f"the body is longer than {_MOST >> 20} MiB")
        pieces, ours = bytearray(), 0
        try:
            with anyio.fail_after(_READING):
                async for piece in request.stream():
                    pieces += piece
                    more = max(0, len(pieces) - _SHORT) - ours
                    ours, self._held = ours + more, self._held + more
                    if len(pieces) > _MOST:
                        raise _Refused(413, "too large", f"the body is longer than {_MOST >> 20} MiB")
                    if more and self._held > _MOST_TOGETHER:
                        raise _Refused(503, "busy", "too many long bodies at once")
        except TimeoutError:
            raise _Refused(408, "too slow", f"the body did not come within {_READING:.0f} s") from None
        except ClientDisconnect:
            raise _Refused(400, "broken off", "the sender hung up") from None
        finally:
            self._held -= ours
        return bytes(pieces)


def _named(request: Request, body: bytes, secret: bytes) -> tuple[str, str]:
    """Return event and delivery id of a genuine delivery; of any other nothing is looked at but its signature."""
    if not genuine(secret, body, _all(request, b"x-hub-signature-256")):
        raise _Refused(401, "forged", "the signature is not that of this webhook's secret")
    events, deliveries = _all(request, b"x-github-event"), _all(request, b"x-github-delivery")
    if len(events) != 1 or not _EVENT.fullmatch(events[0]):
        raise _Refused(400, "malformed", "X-GitHub-Event must be there once and name an event")
    if len(deliveries) != 1 or not _DELIVERY.fullmatch(deliveries[0]):
        raise _Refused(400, "malformed", "X-GitHub-Delivery must be there once and hold an id")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refused(415, "malformed", "set the webhook's content type to application/json")
    return events[0].decode(), deliveries[0].decode().lower()


def _all(request: Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.scope["headers"] if key == name]


def _take(
    identity: Identity, settings: GitHubAppSettings, queue: Queue, event: str, delivery: str, body: bytes
) -> tuple[int, str, str]:
    """Read a genuine delivery, and note what it asks for; return status, result and why."""
    try:
        job = job_of(event, body, identity.login, identity.app_id, settings)
    except Ignored as why:
        return 200, "ignored", str(why)
    except Malformed as why:
        return 400, "malformed", str(why)
    try:
        if not queue.ledger.accept(delivery, hashlib.sha256(body).hexdigest(), event, job):
            return 200, "double", "it was here before"
    except Unavailable as error:
        return 503, "not noted", f"{error}; redeliver it"
    return 202, "queued", ""
