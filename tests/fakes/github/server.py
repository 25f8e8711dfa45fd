"""The fake GitHub as a real HTTP server on loopback, with faults at any request.

Every request and response is held against GitHub's published description where that was fetched; what does not fit is
collected in ``FakeGitHub.violations``.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt

from . import actions_routes, app_routes
from .openapi import published
from .routes import Answer, Asked, Routes
from .state import Repo

__all__ = ["TOKEN", "FakeGitHub", "Fault"]

assert actions_routes is not None and app_routes is not None  # imported for their routes

TOKEN = "ghs_" + "R4nd0mT0k3n" * 3 + "xyz"

Fault = Literal[
    "500", "502 before", "502 after", "hang before", "hang after", "drop before", "drop after",
    "403 primary", "403 secondary", "429", "html",
]  # fmt: skip
"""What goes wrong with a request; ``after`` means that its work was done all the same."""

Chance = Callable[[Asked], "Fault | None"]


class FakeGitHub:
    """Use as a context manager; ``url`` is the API's address."""

    def __init__(self, repo: Repo | None = None) -> None:
        self.repo = repo or Repo()
        self.violations: list[str] = []
        self.asked: list[Asked] = []
        self.leaks: list[str] = []
        """Requests for a signed link that carried the token."""
        self.chance: Chance = lambda asked: None
        """Decides about each request's fault; it may also change the repository, as people do at any moment."""
        self.hang_seconds = 1.0
        self.reset_in = 1
        """Seconds from now to the end of a primary rate limit."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.routes = Routes(self.repo, self.url)

    def __enter__(self) -> FakeGitHub:
        # A short poll: the default of half a second is what most of a test's time would be.
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def break_once(self, method: str, ending: str, fault: Fault, times: int = 1) -> None:
        """Let the next ``times`` requests whose path ends like this fail."""
        left = [times]

        def chance(asked: Asked) -> Fault | None:
            if asked.method == method and asked.path.endswith(ending) and left[0]:
                left[0] -= 1
                return fault
            return None

        self.chance = chance

    def before(self, method: str, ending: str, act: Callable[[], object]) -> None:
        """Let something happen just before the first such request is answered."""
        done: list[bool] = []

        def chance(asked: Asked) -> Fault | None:
            if asked.method == method and asked.path.endswith(ending) and not done:
                done.append(True)
                act()
            return None

        self.chance = chance

    def knows(self, authorization: str, path: str) -> bool:
        """Whether a request comes with the right to ask: the App's signature, or a token that is good for it."""
        kind, _, token = authorization.partition(" ")
        if path.startswith("/app"):
            try:
                claims = jwt.decode(token, self.routes.app_key, ["RS256"], options={"require": ["exp", "iat"]})
            except (jwt.PyJWTError, ValueError):
                return False
            return kind == "Bearer" and claims["iss"] == str(self.routes.app_id) and claims["exp"] - claims["iat"] < 601
        repos = self.routes.issued.get(token)
        if repos is not None and path.startswith("/repos/"):
            return "/".join(path.split("/")[2:4]) in repos
        return token == TOKEN or repos is not None

    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method != "GET"]

    def respond(self, asked: Asked) -> tuple[Answer, Fault | None]:
        """Answer one request, with the fault that befalls it."""
        with self._lock:
            self.asked.append(asked)
            fault = self.chance(asked)
            if fault in ("500", "502 before"):
                return Answer(int(fault[:3]), {"message": "Server Error"}), None
            if fault == "html":
                return Answer(503, raw=b"<html>Unicorn!</html>", headers={"Content-Type": "text/html"}), None
            if fault is not None and fault[:3] in ("403", "429"):
                return self._limited(fault), None
            if fault in ("hang before", "drop before"):
                return Answer(), fault
            answer = self._checked(asked)
            if fault == "502 after":
                return Answer(502, {"message": "Server Error"}), None
            return answer, fault

    def _limited(self, fault: Fault) -> Answer:
        if fault == "403 primary":
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + self.reset_in)}
            return Answer(403, {"message": "API rate limit exceeded for installation ID 1."}, headers=headers)
        message = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
        if fault == "429":
            return Answer(429, message, headers={"Retry-After": "1"})
        return Answer(403, message)

    def _checked(self, asked: Asked) -> Answer:
        answer = self.routes.answer(asked)
        description = published()
        if description is None or not asked.template or asked.template == "/graphql":
            return self._with_tag(asked, answer)
        problems = description.problems_of_request(asked.method, asked.template, asked.query, asked.body)
        if answer.raw is None:
            answer.value = description.filled(asked.method, asked.template, answer.status, answer.value)
            problems += description.problems_of_response(asked.method, asked.template, answer.status, answer.value)
        self.violations += problems
        return self._with_tag(asked, answer)

    @staticmethod
    def _with_tag(asked: Asked, answer: Answer) -> Answer:
        if asked.method != "GET" or answer.raw is not None or answer.status != 200:
            return answer
        tag = f'"{hashlib.sha1(json.dumps(answer.value).encode()).hexdigest()}"'
        if asked.headers.get("if-none-match") == tag:
            return Answer(304, raw=b"", headers={"ETag": tag})
        answer.headers["ETag"] = tag
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                headers = {key.lower(): value for key, value in self.headers.items()}
                length = int(headers.get("content-length", 0))
                data = self.rfile.read(length)
                if parts.path.startswith("/blobs/"):
                    return self._blob(parts.path, headers)
                body = json.loads(data) if data else None
                path = unquote(parts.path)
                asked = Asked(self.command, path, dict(parse_qsl(parts.query)), body, headers)
                if not fake.knows(headers.get("authorization", ""), path):
                    return self._send(Answer(401, {"message": "Bad credentials"}))
                answer, fault = fake.respond(asked)
                if fault in ("hang before", "hang after"):
                    time.sleep(fake.hang_seconds)
                if fault in ("hang before", "hang after", "drop before", "drop after"):
                    self.close_connection = True
                    return None
                return self._send(answer)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

            def _blob(self, path: str, headers: dict[str, str]) -> None:
                if "authorization" in headers:
                    fake.leaks.append(path)
                data = fake.routes.links.pop(path.removeprefix("/blobs/"), None)
                answer = Answer(404, {"message": "BlobNotFound"}) if data is None else Answer(200, raw=data)
                self._send(answer)

            def _send(self, answer: Answer) -> None:
                raw = json.dumps(answer.value).encode() if answer.raw is None else answer.raw
                self.send_response(answer.status)
                kept: dict[str, Any] = {"Content-Type": "application/json"} | answer.headers
                for name, value in (kept | {"Content-Length": str(len(raw))}).items():
                    self.send_header(name, value)
                # A client that stopped waiting is one of the things that happen here.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.end_headers()
                    self.wfile.write(raw)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler
