"""The real server and its worker in processes of their own, for a fake GitHub that has the App installed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import Comment
from ..conftest import COMMAND, environment

WEBHOOK_SECRET = "planted-webhook-" + "S3cr3tOfTheHook"
INSTALLATION = 99


@cache
def private_key() -> str:
    """A key of the App; made once, because that takes a while."""
    key = rsa.generate_private_key(65537, 2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def install(fake: FakeGitHub) -> None:
    """Install the App on the fake's repository."""
    key = serialization.load_pem_private_key(private_key().encode(), None).public_key()
    encoded = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    fake.routes.app_key = encoded.decode()
    fake.routes.installations[INSTALLATION] = {fake.repo.full_name.partition("/")[2]}


def variables(fake: FakeGitHub) -> dict[str, str]:
    return {
        **environment(),
        "GITHUB_API_URL": fake.url,
        "UNDERSTUDY_GITHUB_APP_ID": str(fake.routes.app_id),
        "UNDERSTUDY_GITHUB_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "UNDERSTUDY_GITHUB_PRIVATE_KEY": private_key(),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def signed(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Delivery:
    """One delivery as GitHub sends it."""

    def __init__(self, event: str, payload: dict[str, Any], identity: str | None = None) -> None:
        self.event, self.id = event, identity or str(uuid.uuid4())
        self.body = json.dumps(payload).encode()

    def headers(self, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.id,
            "X-Hub-Signature-256": signed(self.body, secret),
        }


class Payloads:
    """What GitHub says about a fake repository."""

    def __init__(self, fake: FakeGitHub) -> None:
        self.fake = fake

    def _about(self, action: str, sender: str, **parts: Any) -> dict[str, Any]:
        shapes = self.fake.routes.shapes
        frame = {"repository": shapes.repository(), "sender": shapes.user(sender), "installation": {"id": INSTALLATION}}
        return {"action": action, **frame, **parts}

    def pull(self, number: int, action: str = "opened", sender: str = "ann") -> Delivery:
        shapes, pull = self.fake.routes.shapes, self.fake.repo.pulls[number]
        return Delivery("pull_request", self._about(action, sender, number=number, pull_request=shapes.pull(pull)))

    def issue(self, number: int, action: str = "opened", sender: str = "ann") -> Delivery:
        shown = self.fake.routes.shapes.issue(self.fake.repo.issues[number])
        return Delivery("issues", self._about(action, sender, issue=shown))

    def run(self, run: int, action: str = "completed") -> Delivery:
        shown = self.fake.routes.shapes.run(self.fake.repo.runs[run])
        return Delivery("workflow_run", self._about(action, "ann", workflow_run=shown))

    def comment(self, number: int, body: str, user: str = "ann", action: str = "created") -> Delivery:
        """Somebody comments."""
        repo, shapes = self.fake.repo, self.fake.routes.shapes
        comment = Comment(repo.new_id(), number, user, body, repo.tick())
        repo.comments.append(comment)
        parts = {"issue": shapes.issue(repo.issues[number]), "comment": shapes.comment(comment)}
        return Delivery("issue_comment", self._about(action, user, **parts))


class Server:
    """``understudy serve --github`` in a folder; use as a context manager."""

    def __init__(self, fake: FakeGitHub, folder: Path, *arguments: str, **changes: str) -> None:
        self.port, self._arguments = free_port(), [*arguments]
        self._variables = {**variables(fake), **changes}
        self._folder = folder
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        with self.log.open("ab") as log:
            command = [*COMMAND, "serve", "--github", "--port", str(self.port), *self._arguments]
            self.process = subprocess.Popen(
                command, cwd=self._folder, env=self._variables, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for(lambda: self.healthy(), 60, self.text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def says(self, sentence: str, times: int = 1) -> None:
        """Wait for the log to hold a sentence; a delivery's end is noted in the ledger first, then in the log."""
        wait_for(lambda: self.text().count(sentence) >= times, 60, self.text)

    def healthy(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        return self.ask("GET", path, b"", {})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def deliver(self, delivery: Delivery, secret: str = WEBHOOK_SECRET) -> str:
        """Send a delivery; return the result that the server answers."""
        status, answer = self.ask("POST", "/github", delivery.body, delivery.headers(secret))
        assert status < 500, answer
        return str(json.loads(answer)["result"])

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels that match, for example ``understudy_jobs{state="done"}``."""
        name, _, label = name.partition("{")
        lines = self.get("/metrics")[1].decode().split("\n")
        found = [line for line in lines if re.match(rf"{name}[{{ ]", line) and label.rstrip("}") in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def settle(self, seconds: float = 60) -> None:
        """Wait until nothing is left to do."""
        open_states = ('understudy_jobs{state="queued"}', 'understudy_jobs{state="running"}')
        wait_for(lambda: not any(map(self.metric, open_states)), seconds, self.text)

    def workers(self) -> list[int]:
        """Process ids of the worker: one, or none just after its end."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = []
        for one in children:
            with suppress(FileNotFoundError):
                if b"server.worker" in Path(f"/proc/{one}/cmdline").read_bytes():
                    found.append(int(one))
        return found

    def worker(self) -> int:
        """The worker's process id."""
        wait_for(self.workers, 60, self.text)
        return self.workers()[0]

    def kill_worker(self) -> None:
        os.kill(self.worker(), signal.SIGKILL)

    def kill(self) -> None:
        """Kill the server itself, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def wait_for(true: Callable[[], object], seconds: float, text: Callable[[], str]) -> None:
    """Wait until something is true; fail with the log when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s:\n{text()[-3000:]}"
        time.sleep(0.05)
