"""A storm of deliveries on the real server and worker: doubled, forged, and with the worker killed in the middle."""

from __future__ import annotations

import random
import sqlite3
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from understudy.integrations.github.marker import read_marker

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import BOT, PullFile
from ..conftest import FAILED
from .serving import WEBHOOK_SECRET, Delivery, Payloads, Server, private_key, signed, wait_for

SECRETS = ["AKIAQ3EGUZ7BQ4YHRWTX", "ghp_ab_cdefghijklmnopqrstuvwxyzAB12345678", "hunter2-hunter2-hunter2"]
_PATCH = "@@ -1,2 +1,4 @@\n a\n+if x == None: pass\n+# password = 'hunter2-hunter2-hunter2' {0}\n c"
_SETTINGS = "serve: {{workers: {0}}}\n"


@dataclass
class Verdict:
    """What the storm left."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Time of every answer."""
    drained: float = 0.0
    """Seconds from the first delivery until nothing was left to do."""

    def quantile(self, share: float) -> float:
        """Return a quantile of the answer times."""
        return statistics.quantiles(self.seconds, n=1000, method="inclusive")[round(1000 * share) - 1]


class Storm:
    """One storm: as many deliveries as asked for, doubles and forgeries among them."""

    def __init__(self, fake: FakeGitHub, total: int, packs: float, seed: int = 7) -> None:
        """Make the deliveries.

        Args:
            fake: with the App installed.
            total: deliveries that are sent.
            packs: share of the genuine ones that ask a pack; the others are commands that only get an answer.
            seed: of their order.
        """
        self.fake, self._say, self._rng = fake, Payloads(fake), random.Random(seed)
        forged, doubled = total * 5 // 100, total * 10 // 100
        self.genuine = [self._delivery(number, packs) for number in range(total - forged - doubled)]
        self.sent = [(one, signed(one.body)) for one in self.genuine]
        self.sent += [(one, signed(one.body)) for one in self._rng.sample(self.genuine, doubled)]
        self.sent += [self._forged(number) for number in range(forged)]
        self._rng.shuffle(self.sent)

    def _delivery(self, number: int, packs: float) -> Delivery:
        """Every delivery is about a pull request of its own, so that its effect can be told."""
        repo = self.fake.repo
        title = f"Change {number}, key {SECRETS[0]}, {SECRETS[1]}"
        pull = repo.open_pull([PullFile("a.py", patch=_PATCH.format(SECRETS[0]))], title)
        if self._rng.random() >= packs:
            return self._say.comment(pull.number, f"My key is {SECRETS[0]}\n/understudy apply")
        if self._rng.random() < 0.5:
            return self._say.pull(pull.number)
        run = repo.add_run(head_sha=pull.head, pulls=[pull.number])
        repo.add_job(run, "build", "failure", FAILED.replace(b"assert 41", f"{SECRETS[0]} assert 41".encode()))
        return self._say.run(run.id)

    def _forged(self, number: int) -> tuple[Delivery, str]:
        pull = self.fake.repo.open_pull([PullFile("a.py", patch=_PATCH)], "forged")
        one = self._say.pull(pull.number)
        right = signed(one.body)
        wrong = [
            signed(one.body, "another secret"),
            "",
            right[:-1],
            right.replace("sha256", "sha1"),
            f"{right}, {right}",
        ]
        return one, wrong[number % len(wrong)]

    def rage(self, folder: Path, seconds: float, workers: int, patience: float) -> Verdict:
        """Send everything within ``seconds``, kill the worker half-way, and wait until all is done."""
        (folder / "understudy.yaml").write_text(_SETTINGS.format(workers))
        verdict = Verdict()
        with Server(self.fake, folder) as server:
            began = time.monotonic()
            killer = threading.Timer(seconds / 2, self._kill_at_work, (folder, server))
            killer.start()
            with ThreadPoolExecutor(16) as pool:
                for number, (delivery, signature) in enumerate(self.sent):
                    time.sleep(max(0.0, began + seconds * number / len(self.sent) - time.monotonic()))
                    pool.submit(self._send, server, delivery, signature, verdict)
            killer.join()
            verdict.counts["seconds of sending"] = round(time.monotonic() - began)
            wait_for(lambda: self._ended(folder) == len(self.genuine), patience, server.text)
            verdict.drained = time.monotonic() - began
            replayed = Delivery(self.genuine[0].event, {})
            replayed.body = self.genuine[0].body
            verdict.counts["replays under another id taken"] += server.deliver(replayed) == "queued"
            with Server(self.fake, folder) as restarted:
                verdict.counts["doubles taken by a fresh server"] += restarted.deliver(self.genuine[0]) == "queued"
            text = server.text()
        self._judge(folder, text, verdict)
        return verdict

    def _send(self, server: Server, delivery: Delivery, signature: str, verdict: Verdict) -> None:
        headers = delivery.headers() | {"X-Hub-Signature-256": signature}
        if not signature:
            del headers["X-Hub-Signature-256"]
        began = time.monotonic()
        status, _ = server.ask("POST", "/github", delivery.body, headers)
        verdict.seconds.append(time.monotonic() - began)
        verdict.counts[f"answers {status}"] += 1
        if (status == 401) != (signature != signed(delivery.body)):
            verdict.wrong.append(f"a delivery was answered with {status}")

    @staticmethod
    def _kill_at_work(folder: Path, server: Server) -> None:
        """Kill the worker in the middle of a delivery that takes it a while."""
        query = "SELECT 1 FROM deliveries WHERE state = 'running' AND command != 'apply' AND started > ?"
        with sqlite3.connect(folder / ".understudy" / "serve" / "queue.db") as base:
            wait_for(lambda: base.execute(query, (time.time() - 0.2,)).fetchone(), 60, server.text)
        server.kill_worker()

    @staticmethod
    def _ended(folder: Path) -> int:
        with sqlite3.connect(folder / ".understudy" / "serve" / "queue.db") as base:
            return int(base.execute("SELECT COUNT(*) FROM deliveries WHERE state IN ('done', 'failed')").fetchone()[0])

    def _judge(self, folder: Path, log: str, verdict: Verdict) -> None:
        repo, wrong = self.fake.repo, verdict.wrong
        for delivery in self.genuine:
            if log.count(f"{delivery.id} ") < 2:
                wrong.append("a delivery without a word in the log")
        expected = {"apply": "answer", "review": "review", "explain": "explain:7"}
        with sqlite3.connect(folder / ".understudy" / "serve" / "queue.db") as base:
            rows = base.execute("SELECT job, command, state, tries FROM deliveries").fetchall()
        verdict.counts["tried again after the kill"] = sum(tries > 1 for *_, tries in rows)
        wrong += [f"a {command} that failed" for _, command, state, _ in rows if state != "done"]
        wrong += ["a delivery in the ledger that nobody sent"] * max(0, len(rows) - len(self.genuine))
        wrong += ["a delivery lost"] * max(0, len(self.genuine) - len(rows))
        kinds: dict[int, Counter[str]] = {}
        for comment in repo.comments:
            marker = read_marker({"user": {"login": comment.user}, "body": comment.body}, BOT)
            if marker is not None:
                kinds.setdefault(comment.number, Counter())[str(marker["kind"])] += 1
        wrong += ["an effect that came twice"] * sum(count - 1 for found in kinds.values() for count in found.values())
        effects = Counter(kind for found in kinds.values() for kind in found)
        for command, kind in expected.items():
            verdict.counts[f"{command} done"] = effects[kind]
            if effects[kind] != sum(row[1] == command for row in rows):
                wrong.append(f"{effects[kind]} effects of {command}")
        reviewed = Counter(one.number for one in repo.review_comments)
        per_pull = max(reviewed.values(), default=0)
        wrong += ["review comments that are not each there once"] * sum(one != per_pull for one in reviewed.values())
        if len(reviewed) != effects["review"]:
            wrong.append("a review without its comments")
        everything = log.encode() + b"".join(path.read_bytes() for path in (folder / ".understudy").rglob("*.db*"))
        planted = [*SECRETS, WEBHOOK_SECRET, *private_key().split("\n")[1:-2], *self.fake.routes.issued]
        wrong += ["a secret in a log line or the database"] * sum(one.encode() in everything for one in planted)
        bodies = "".join(str(asked.body) for asked in self.fake.asked if asked.body is not None)
        wrong += ["a secret in a request"] * sum(secret in bodies for secret in planted)
        wrong += [f"not as GitHub describes its API: {one}" for one in self.fake.violations]
