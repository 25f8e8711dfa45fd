"""Randomised days of a bot on the fake GitHub: anything fails at any request, people act at any moment.

Every scenario runs one command several times, as CI does, through the real command line. What must never happen is
counted; what was asked for and is not there must have shown in the exit code.
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.integrations.github.marker import read_marker
from understudy.integrations.github.plan import CommentStep, LabelStep, Plan, ResolveStep, ReviewStep

from ...fakes.github.routes import Asked
from ...fakes.github.server import TOKEN, FakeGitHub, Fault
from ...fakes.github.state import BOT, PullFile
from ..conftest import FAILED, Ran
from .running import run_cli

SECRETS = ["AKIAQ3EGUZ7BQ4YHRWTX", "ghp_ab_cdefghijklmnopqrstuvwxyzAB12345678", "correct horse battery", TOKEN]
FAULTS: list[Fault] = [
    "500", "502 before", "502 after", "drop before", "drop after", "403 primary", "403 secondary", "429", "html",
]  # fmt: skip
WORDS = ["alpha", "beta", "gamma", "delta", "value", "total", "return x", "call()", "}", ""]


@dataclass
class Verdict:
    """What went wrong in a scenario, and how busy it was."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Scenario:
    """One seeded day of one of the three commands."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng, self.folder = random.Random(seed), folder
        self.kind = ("review", "label", "explain")[seed % 3]
        self.fake = FakeGitHub()
        self.fake.hang_seconds = 3.3
        self.faulty = self.rng.choice([0.05, 0.1, 0.2, 0.35])
        self.hanging = self.rng.random() < 0.05
        if self.hanging:  # each costs the client's whole patience
            self.faulty = 0.02
        self.busy = self.rng.choice([0.0, 0.05, 0.15])
        self.verdict = Verdict()
        self.calm = False
        self.removed: set[str] = set()

    def run(self) -> Verdict:
        """Play the day; the last run is calm, and must leave nothing undone unless people closed the matter."""
        records: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with self.fake:
                self._prepare()
                self.fake.chance = self._chance
                for turn in range(self.rng.randint(2, 4)):
                    self.calm = False
                    self._turn(turn)
                self.calm = True
                self._turn(9)
                self._never(records)
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        return self.verdict

    def _prepare(self) -> None:
        repo = self.fake.repo
        repo.add_label_names(*(f"label {number}" for number in range(self.rng.randint(0, 130))), "bug", "feature", "ui")
        if self.kind == "label":
            for number in range(self.rng.randint(1, 4)):
                repo.open_issue(f"Ticket {number} {SECRETS[0]}", f"{SECRETS[1]} @ann")
        else:
            repo.open_pull(self._files(), fork=self.rng.random() < 0.5)

    def _files(self) -> list[PullFile]:
        return [PullFile(f"src/file {number}.py", patch=self._patch()) for number in range(self.rng.randint(1, 4))]

    def _patch(self) -> str:
        parts, old, new = [], 1, 1
        for _ in range(self.rng.randint(1, 3)):
            marks = [self.rng.choice("++- ") for _ in range(self.rng.randint(1, 8))] + ["+"]
            lines = [mark + self.rng.choice([*WORDS, SECRETS[0]]) for mark in marks]
            a, b = sum(mark != "+" for mark in marks), sum(mark != "-" for mark in marks)
            parts.append(f"@@ -{old - (a == 0)},{a} +{new},{b} @@\n" + "\n".join(lines))
            old, new = old + a + 20, new + b + 20
        return "\n".join(parts)

    def _chance(self, asked: Asked) -> Fault | None:
        if self.calm:
            return None
        # Between the last look at the head and the write nobody can look again, so people act before reads.
        if asked.method == "GET" and self.rng.random() < self.busy:
            self.verdict.counts["acts of people"] += 1
            self._act()
        if self.rng.random() < self.faulty:
            self.verdict.counts["faults"] += 1
            return self.rng.choice(["hang before", "hang after"] if self.hanging else FAULTS)  # type: ignore[arg-type]
        return None

    def _act(self) -> None:
        repo, number = self.fake.repo, self.rng.choice(list(self.fake.repo.issues))
        issue = repo.issues[number]
        if self.kind == "label":
            act = self.rng.choice(["label", "unlabel", "lock", "delete label", "move"])
            if act == "label":
                repo.label(number, self.rng.choice(["bug", "feature", "ui"]), "ann")
            elif act == "unlabel" and issue.labels:
                name = self.rng.choice(issue.labels)
                self.removed.add(f"{number} {name.lower()}")
                repo.unlabel(number, name, "ann")
            elif act == "delete label":
                repo.labels.pop(self.rng.choice(["bug", "feature", "ui"]), None)
            elif act == "move" and self.rng.random() < 0.2:
                issue.moved_to = "other/app"
            return
        act = self.rng.choice(["push", "push", "force", "reply", "close", "reopen", "lock"])
        if act in ("push", "force"):
            repo.push(number, self._files() if self.rng.random() < 0.5 else None, act == "force")
        elif act == "reply" and repo.review_comments:
            repo.reply(self.rng.choice(repo.review_comments).id, "ann", "No.")
        elif act == "lock":
            issue.locked = not issue.locked
        else:
            issue.state = "closed" if act == "close" and self.rng.random() < 0.3 else "open"

    def _turn(self, turn: int) -> None:
        """Ask for one thing, and compare what the exit code says with what is there."""
        if self.calm:
            for issue in self.fake.repo.issues.values():
                issue.state, issue.locked, issue.moved_to = "open", False, None
        plan_file, waits = self.folder / "plan.json", list[float]()
        plan_file.unlink(missing_ok=True)
        arguments = [*self._arguments(turn), "--plan", "plan.json", "--apply"]
        page = self.folder / "summary.md"
        variables = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": self.fake.url,
            "GITHUB_REPOSITORY": "team/app",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(page),
            "SIGNING_KEY": SECRETS[2],
        }
        ran = run_cli(arguments, self.folder, variables, waits)
        self.verdict.counts[f"runs that ended with {ran.code}"] += 1
        self.verdict.counts["waits"] += len(waits)
        texts = [ran.out, ran.err]
        plan = None
        if plan_file.exists():
            texts.append(plan_file.read_text())
            plan = Plan.model_validate_json(texts[-1])
        if any(secret in text for secret in SECRETS for text in texts):
            self.verdict.wrong.append("a secret in a plan or on a console")
        self._judge(ran, plan)

    def _arguments(self, turn: int) -> list[str]:
        repo = self.fake.repo
        if self.kind == "review":
            found = {"comments": self._findings(), "summary": "", "reviewed": [], "skipped": [], "model": "m-1"}
            (self.folder / "found.json").write_text(json.dumps(found))
            return ["review", "team/app#1", "--findings", "found.json"]
        if self.kind == "label":
            rows = []
            for number in repo.issues:
                chosen = self.rng.sample(["bug", "feature", "ui", "invented"], self.rng.randint(1, 2))
                groups = {"bug": "type", "feature": "type", "ui": "area", "invented": "area"}
                labels = [{"group": groups[one], "label": one, "probability": 0.9, "applied": True} for one in chosen]
                tables = [{"group": "type", "table": {"bug": 0.9, "feature": 0.1}}]
                rows.append({"id": str(number), "labels": labels, "abstained": False, "model": "m-1", "groups": tables})
            (self.folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            number = self.rng.choice(list(repo.issues))
            return ["label", f"team/app#{number}", "--answers", "answers.jsonl", "--protected", "feature"]
        run = repo.add_run(head_sha=repo.pulls[1].head, pulls=[1])
        log = FAILED.replace(b"assert 41", f"{SECRETS[0]} {SECRETS[2]} assert 41".encode())
        for number in range(self.rng.randint(1, 5)):
            job = repo.add_job(run, f"build {number}", "failure", log, "Run tests")
            job.gone = self.rng.random() < 0.1
        return ["explain", str(run.id), "--comment", "--model", "rules"]

    def _findings(self) -> list[dict[str, Any]]:
        made = []
        for _ in range(self.rng.randint(0, 8)):
            path, (side, line) = f"src/file {self.rng.randint(0, 4)}.py", ("RIGHT", self.rng.randint(1, 60))
            if self.rng.random() < 0.7:  # a place that there is
                file = self.rng.choice(self.fake.repo.pulls[1].files)
                path, (side, line) = file.filename, self.rng.choice(sorted(self.rng.choice(file.places())))
            made.append(
                {
                    "path": path,
                    "line": line,
                    "start_line": self.rng.choice([None, None, max(1, line - self.rng.randint(0, 3))]),
                    "side": side,
                    "severity": self.rng.choice(["critical", "major", "minor", "nit"]),
                    "category": self.rng.choice(["bug", "style"]),
                    "message": f"@ann {self.rng.choice(SECRETS)} <!-- --> ``` {self.rng.random()}",
                    "suggestion": self.rng.choice([None, "x = 1", f"k = '{SECRETS[0]}'"]),
                }
            )
        return made

    def _judge(self, ran: Ran, plan: Plan | None) -> None:
        wrong = self.verdict.wrong
        if "Traceback" in ran.err or ran.code not in (0, 2, 4):
            wrong.append(f"exit code {ran.code}: {ran.err[-300:]}")
        missing = [] if plan is None else [step.do for step in plan.steps if not self._there(step)]
        if plan is not None and ran.code == 0 and (missing or plan.failed):
            wrong.append(f"exit code 0 although {', '.join(missing)} is not there")
        if plan is None and ran.code == 0:
            wrong.append("exit code 0 without a plan")
        if self.calm and ran.code != 0 and not (self.kind == "explain" and "expired" in ran.err):
            wrong.append(f"a calm run ended with {ran.code}: {ran.err[-300:]}")
        if plan is not None:
            self.verdict.counts["steps planned"] += len(plan.steps)

    def _there(self, step: object) -> bool:
        repo = self.fake.repo
        if isinstance(step, ReviewStep):
            there = {remark.body for remark in step.remarks} - {one.body for one in repo.review_comments}
            # Another run may have said it of the same lines at an older head.
            return not there or {one.fingerprint for one in step.remarks} <= set(self._fingerprints())
        if isinstance(step, CommentStep):
            return any(one.user == BOT and one.body == step.body for one in repo.comments)
        if isinstance(step, ResolveStep):
            root = next(one for one in repo.review_comments if one.id == step.comment)
            answered = any(one.in_reply_to_id == root.id and one.user != BOT for one in repo.review_comments)
            return root.resolved or answered
        if isinstance(step, LabelStep):
            # Somebody may have taken it off again by now; that it was put there stands in the events.
            done = [one for one in repo.events if one.number == step.number and one.label.lower() == step.label.lower()]
            return any(one.event == "labeled" for one in done)
        return True

    def _fingerprints(self) -> list[str]:
        found = []
        for one in self.fake.repo.review_comments:
            marker = read_marker({"user": {"login": one.user}, "body": one.body}, BOT)
            if marker is not None:
                found.append(str(marker["fp"]))
        return found

    def _never(self, records: list[str]) -> None:
        """Count what must never happen."""
        fake, wrong = self.fake, self.verdict.wrong
        known = self._fingerprints()
        wrong += ["a duplicate comment"] * (len(known) - len(set(known)))
        kinds = [read_marker({"user": {"login": one.user}, "body": one.body}, BOT) for one in fake.repo.comments]
        wrong += ["a duplicate summary comment"] * max(0, len(kinds) - 1)
        wrong += [f"422: {one}" for one in fake.routes.unprocessable]
        wrong += [f"old head: {one}" for one in fake.routes.stale_writes]
        wrong += [f"not as described: {one}" for one in fake.violations]
        wrong += ["the token went to a download link"] * len(fake.leaks)
        bodies = [json.dumps(asked.body) for asked in fake.asked if asked.body is not None]
        if any(secret in text for secret in SECRETS for text in [*bodies, *records]):
            wrong.append("a secret in a request or a log line")
        ours = [one for one in fake.repo.events if one.actor == BOT]
        wrong += ["an invented label"] * sum(one.label == "invented" for one in ours)
        wrong += ["a protected label"] * sum(one.label == "feature" for one in ours)
        for one in ours:
            before = [other for other in fake.repo.events if other.number == one.number and other.id < one.id]
            if any(other.event == "unlabeled" and other.label.lower() == one.label.lower() for other in before):
                wrong.append("a label that somebody had removed")
        self.verdict.counts["requests"] += len(fake.asked)
        self.verdict.counts["writes"] += len(fake.writes())


def play(seed: int, folder: Path) -> Verdict:
    """Play one scenario in an empty folder."""
    return Scenario(seed, folder).run()
