"""``understudy serve``: a GitHub App of your own that reviews, labels and explains."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import SetOption, SettingsOption, read_settings, stderr
from understudy.integrations.cli._github import settings_arguments

if TYPE_CHECKING:
    from understudy.core.settings import Settings

__all__ = ["serve"]


def serve(
    github: Annotated[bool, typer.Option("--github", help="Answer the webhooks of a GitHub App")] = False,
    host: Annotated[str, typer.Option("--host", help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on")] = 8000,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Answer GitHub by itself: review pull requests, label issues, explain failed runs, obey comments.

    Deliveries come to /github; /health and /metrics tell how it goes. The App's id, webhook secret and private key come
    from the environment (UNDERSTUDY_GITHUB_APP_ID, ..._WEBHOOK_SECRET, ..._PRIVATE_KEY, or the last two with _FILE),
    the queue is a file below the registry unless UNDERSTUDY_QUEUE_URL names a Redis.
    """
    if not github:
        raise BadInput("say what to serve: --github")
    _check_extra()
    _serve_github(read_settings(settings, overrides), settings_arguments(settings, overrides), host, port)


def _check_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "huey", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise BadInput(f"{', '.join(missing)} not installed: run `pip install 'understudy[serve]'`")


def _serve_github(settings: Settings, arguments: list[str], host: str, port: int) -> None:
    from understudy.integrations.server.app import Identity, make_app
    from understudy.integrations.server.credentials import App, read_credentials
    from understudy.integrations.server.logs import log_to_stderr
    from understudy.integrations.server.metrics import Metrics
    from understudy.integrations.server.process import Keeper, serve
    from understudy.integrations.server.queue import Queue, place_of
    from understudy.integrations.server.worker import Order

    known = read_credentials(settings.serve.github.app_id, os.environ)
    _check_port(host, port)
    place = place_of(Path(settings.registry), os.environ)
    log_to_stderr(known.private_key, known.webhook_secret, urlsplit(place).password or "")
    queue = Queue(place)
    login = App(known.app_id, known.private_key, known.url).login
    order = Order(
        name=f"{socket.gethostname()}:{port}",
        app_id=known.app_id,
        private_key=known.private_key,
        url=known.url,
        queue=place,
        settings=settings,
        arguments=tuple(arguments),
    )
    keeper = Keeper(order)
    identity = Identity(known.webhook_secret.encode(), known.app_id, login)
    app = make_app(identity, settings.serve.github, queue, Metrics(queue), lambda: keeper.running)
    stderr().print(f"[dim]{login} listens on http://{host}:{port}/github[/dim]", soft_wrap=True)
    serve(app, keeper, host, port)


def _check_port(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise BadInput(f"--host {host} --port {port} cannot be listened on: {error.strerror}") from None
