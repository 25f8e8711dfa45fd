"""The processes of ``understudy serve``: this one answers HTTP, and keeps one worker running beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from understudy.integrations.github.ask import without_secrets
from understudy.integrations.server.logs import log
from understudy.integrations.server.queue import QUEUE_URL
from understudy.integrations.server.worker import Order

__all__ = ["Keeper", "serve"]

_QUIET = 60.0
"""Seconds after which a worker that ended counts as having worked: the next one starts without delay."""
_LONGEST_WAIT = 30.0


class Keeper:
    """Starts the worker, and another one whenever it ends without having been told to."""

    def __init__(self, order: Order) -> None:
        """Nothing runs yet."""
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether there is a worker."""
        return self._process is not None and self._process.returncode is None

    async def keep(self) -> None:
        """Keep a worker running until :meth:`stop`."""
        loop, wait = asyncio.get_running_loop(), 0.0
        while not self._stopping:
            began = loop.time()
            code = await self._run()
            if self._stopping:
                break
            wait = 0.0 if loop.time() - began > _QUIET else min(_LONGEST_WAIT, max(0.2, 2 * wait))
            log.error("the worker ended (%s); the next one starts in %.1f s", code, wait)
            await asyncio.sleep(wait)

    async def _run(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "understudy.integrations.server.worker",
            stdin=asyncio.subprocess.PIPE,
            env={name: value for name, value in without_secrets(os.environ).items() if name != QUEUE_URL},
            start_new_session=True,  # Ctrl-C is for the server, which tells the worker
        )
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.write(self._order.model_dump_json().encode() + b"\n")
            await process.stdin.drain()
        return await process.wait()

    async def stop(self) -> None:
        """Let the worker finish what is in hand, within the settings' time."""
        self._stopping = True
        process, seconds = self._process, self._order.settings.serve.stop_seconds
        if process is None or process.returncode is not None:
            return
        log.info("told to stop: no delivery is taken any more, and what is in hand has %g s to end", seconds)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), seconds + 5)
        except asyncio.TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class _Server(uvicorn.Server):
    """uvicorn that ends in peace when told to, instead of raising the signal again once it is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(app: FastAPI, keeper: Keeper, host: str, port: int) -> None:
    """Answer until told to stop; new connections are refused first, then the worker is stopped."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=5,
        lifespan="off",
    )
    asyncio.run(_both(_Server(config), keeper))


async def _both(server: uvicorn.Server, keeper: Keeper) -> None:
    keeping = asyncio.create_task(keeper.keep())
    try:
        await server.serve()
    finally:
        await keeper.stop()
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        log.info("stopped")
