"""The real server and its worker: what they answer, what they do, what they refuse, and how they end."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from understudy.core.errors import BadInput
from understudy.integrations.server.credentials import read_credentials

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import BOT, Pull, PullFile
from ..conftest import COMMAND, FAILED, environment
from .serving import (
    INSTALLATION,
    WEBHOOK_SECRET,
    Delivery,
    Payloads,
    Server,
    free_port,
    install,
    private_key,
    variables,
    wait_for,
)

PATCH = "@@ -1,2 +1,3 @@\n a\n+if x == None: pass\n c"


@pytest.fixture(scope="module")
def shared() -> Iterator[FakeGitHub]:
    with FakeGitHub() as running:
        install(running)
        running.repo.permissions |= {"ann": "write", "root": "admin", "bob": "read"}
        yield running
        assert running.violations == []


@pytest.fixture(scope="module")
def server(shared: FakeGitHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "understudy.yaml").write_text("serve: {github: {protected: [Critical]}}\n")
    with Server(shared, folder) as running:
        yield running
        assert "Traceback" not in running.text()


@pytest.fixture
def tell(shared: FakeGitHub) -> Payloads:
    return Payloads(shared)


def opened(fake: FakeGitHub) -> Pull:
    return fake.repo.open_pull([PullFile("a.py", patch=PATCH)])


def ours(fake: FakeGitHub, number: int) -> list[str]:
    return [one.body for one in fake.repo.comments if one.number == number and one.user == BOT]


def test_a_pull_request_is_reviewed_and_a_double_is_dropped(shared: FakeGitHub, server: Server, tell: Payloads) -> None:
    pull = opened(shared)
    delivery = tell.pull(pull.number)
    assert server.deliver(delivery) == "queued"
    assert server.deliver(delivery) == "double"
    again = Delivery(delivery.event, json.loads(delivery.body))
    assert again.body == delivery.body
    assert server.deliver(again) == "double"  # the same signed body under another id
    server.settle()
    assert len([one for one in shared.repo.review_comments if one.number == pull.number]) == 1
    assert [body.split("\n")[0] for body in ours(shared, pull.number)] == ["### understudy review"]
    push = shared.repo.push(pull.number)
    assert server.deliver(tell.pull(pull.number, "synchronize")) == "queued"
    server.settle()
    assert len([one for one in shared.repo.review_comments if one.number == pull.number]) == 1
    assert push[:12] in ours(shared, pull.number)[0]


def test_a_failed_run_is_explained_on_its_pull_request(shared: FakeGitHub, server: Server, tell: Payloads) -> None:
    pull = opened(shared)
    run = shared.repo.add_run(head_sha=pull.head, pulls=[pull.number])
    shared.repo.add_job(run, "build", "failure", FAILED, "Run pytest")
    alone = shared.repo.add_run()
    shared.repo.add_job(alone, "build", "failure", FAILED, "Run pytest")
    before = len(shared.repo.comments)
    assert server.deliver(tell.run(run.id)) == server.deliver(tell.run(alone.id)) == "queued"
    server.settle()
    assert len(shared.repo.comments) == before + 1
    assert "expected `42`, got `41`" in ours(shared, pull.number)[0]
    server.says("there is no place to explain it")


@pytest.mark.parametrize("who", ["ann", "root"])
def test_who_may_write_may_command(shared: FakeGitHub, server: Server, tell: Payloads, who: str) -> None:
    pull = opened(shared)
    assert server.deliver(tell.comment(pull.number, "/understudy explain", who)) == "queued"
    assert server.deliver(tell.comment(pull.number, "/understudy apply", who)) == "queued"
    server.settle()
    answers = ours(shared, pull.number)
    assert len(answers) == 1  # one comment for all answers, edited in place
    assert re.search("no failed run of the head|no plan waits here", answers[0])


def test_who_may_not_write_may_not_command(shared: FakeGitHub, server: Server, tell: Payloads) -> None:
    pull = opened(shared)
    deleted = tell.comment(pull.number, "/understudy review")
    shared.repo.comments.pop()
    changed = tell.comment(pull.number, "/understudy review")
    shared.repo.comments[-1].body = "Never mind."
    outsider = tell.comment(pull.number, "/understudy review", "bob")
    stranger = tell.comment(pull.number, "/understudy review", "eve")
    claims = tell.comment(pull.number, "/understudy review", "mallory")
    payload = json.loads(claims.body)
    payload["comment"]["author_association"] = "OWNER"
    claims = Delivery(claims.event, payload)
    writes = len(shared.writes())
    for delivery in (deleted, changed, outsider, stranger, claims):
        assert server.deliver(delivery) == "queued"
    server.settle()
    made = [asked.path for asked in shared.writes()[writes:]]
    assert all(path.endswith("/access_tokens") for path in made)
    server.says("who asked may not write", times=3)


def test_an_edited_comment_a_bots_and_our_own_ask_for_nothing(
    shared: FakeGitHub, server: Server, tell: Payloads
) -> None:
    pull = opened(shared)
    for delivery in (
        tell.comment(pull.number, "/understudy review", action="edited"),
        tell.comment(pull.number, "/understudy review", "helper[bot]"),
        tell.comment(pull.number, "/understudy review", BOT),
        tell.issue(pull.number, sender=BOT),
        Delivery("ping", {"zen": "Speak like a human."}),
    ):
        assert server.deliver(delivery) == "ignored"


def test_a_repository_that_is_not_installed_and_a_removed_installation_fail_with_a_sentence(
    shared: FakeGitHub, server: Server, tell: Payloads
) -> None:
    pull = opened(shared)
    shared.routes.installations[INSTALLATION + 1] = set()
    for installation, name, sentence in [
        (INSTALLATION, "other", f"installation {INSTALLATION} of the App does not include team/other"),
        (INSTALLATION + 1, "app", f"installation {INSTALLATION + 1} of the App is suspended"),
        (INSTALLATION + 2, "app", "the App is not installed there any more"),
    ]:
        payload = json.loads(tell.pull(pull.number).body)
        payload["installation"]["id"] = installation
        payload["repository"]["full_name"] = f"team/{name}"
        assert server.deliver(Delivery("pull_request", payload)) == "queued"
        server.settle()
        server.says(sentence)


def send(server: Server, body: bytes, headers: list[tuple[str, str | bytes]]) -> tuple[int, dict[str, str]]:
    """Send any headers at all, also twice."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/github", skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 202),
        ({"X-Hub-Signature-256": None}, 401),
        ({"X-Hub-Signature-256": ""}, 401),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401),
        ({"X-Hub-Signature-256": "sha256=\xe9\xff".encode("latin-1")}, 401),
        ({"X-Hub-Signature-256": "sha256=" + "\u0661" * 32}, 401),
        ({"X-Hub-Signature": "sha1=0"}, 202),
        ({"X-GitHub-Event": None}, 400),
        ({"X-GitHub-Event": "pull_request\u0661"}, 400),
        ({"X-GitHub-Event": "../../etc"}, 400),
        ({"X-GitHub-Delivery": None}, 400),
        ({"X-GitHub-Delivery": "1; DROP TABLE deliveries"}, 400),
        ({"X-GitHub-Delivery": "a" * 5000}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 202),
        ({"Content-Type": None}, 415),
    ],
)
def test_odd_headers(
    shared: FakeGitHub, server: Server, tell: Payloads, change: dict[str, str | bytes | None], status: int
) -> None:
    delivery = tell.pull(opened(shared).number)
    known: dict[str, str | bytes | None] = {**delivery.headers(), **change}
    headers: list[tuple[str, str | bytes]] = [("Content-Length", str(len(delivery.body)))]
    for name, value in known.items():
        if value is not None:
            headers.append((name, value.encode() if isinstance(value, str) else value))
    assert send(server, delivery.body, headers)[0] == status


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery"])
def test_a_header_that_comes_twice_is_refused(shared: FakeGitHub, server: Server, tell: Payloads, name: str) -> None:
    delivery = tell.pull(opened(shared).number)
    known = delivery.headers()
    headers = [("Content-Length", str(len(delivery.body))), *known.items(), (name.lower(), known[name])]
    assert send(server, delivery.body, headers)[0] in (400, 401)  # type: ignore[arg-type]


def test_bodies_that_are_too_long_however_they_come_are_refused_unread(server: Server) -> None:
    known = Delivery("ping", {}).headers()
    assert send(server, b"", [("Content-Length", str((25 << 20) + 1)), *known.items()])[0] == 413
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(b"POST /github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        try:
            for _ in range(40):
                raw.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        raw.settimeout(10)
        answer = raw.recv(200)
    assert answer.startswith(b"HTTP/1.1 413")
    both = b"POST /github HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(both + b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.settimeout(10)
        assert raw.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 401")
    assert server.healthy()


def test_a_genuine_body_may_be_chunked_and_is_read_only_as_what_it_is(
    shared: FakeGitHub, server: Server, tell: Payloads
) -> None:
    delivery = tell.issue(opened(shared).number, "edited")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/github", iter([delivery.body[:9], delivery.body[9:]]), delivery.headers())
    assert json.loads(connection.getresponse().read())["result"] == "ignored"
    connection.close()
    for body in (b"[" * 200_000, b"{}", b"\xff", b'{"action": "opened"}'):
        broken = Delivery("pull_request", {})
        broken.body = body
        assert server.deliver(broken) == "malformed"


def test_other_paths_and_methods_are_nothing(server: Server) -> None:
    for method, path in [("GET", "/github"), ("POST", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/..")]:
        assert server.ask(method, path, b"", {})[0] in (404, 405)


def test_figures_hold_no_names_and_no_stranger_makes_new_ones(server: Server) -> None:
    page = server.get("/metrics")[1].decode()
    assert "understudy_answer_seconds_bucket" in page
    assert 'understudy_deliveries_total{event="other",result="forged"}' in page
    assert "team/app" not in page
    wait_for(lambda: server.metric("understudy_workers") == 1, 60, server.text)  # it may have started a moment ago


def test_when_told_the_plan_is_shown_first_and_applied_on_command(fake: FakeGitHub, tmp_path: Path) -> None:
    say, pull = Payloads(fake), opened(fake)
    with Server(fake, tmp_path, "--set", "serve.github.writes=when told") as server:
        server.deliver(say.pull(pull.number))
        server.settle()
        assert fake.repo.review_comments == []
        shown = ours(fake, pull.number)
        assert len(shown) == 1
        assert "understudy would review" in shown[0]
        assert "Compare with `None`" in shown[0]
        server.deliver(say.comment(pull.number, "/understudy apply", "bob"))
        server.settle()
        assert fake.repo.review_comments == []
        server.deliver(say.comment(pull.number, "/understudy apply"))
        server.settle()
    assert len(fake.repo.review_comments) == 1
    assert "The plan was carried out." in ours(fake, pull.number)[0]


def test_told_to_stop_it_finishes_what_is_in_hand_and_a_power_cut_loses_nothing(
    fake: FakeGitHub, tmp_path: Path
) -> None:
    say = Payloads(fake)
    pulls = [opened(fake) for _ in range(4)]
    with Server(fake, tmp_path) as server:
        for pull in pulls[:2]:
            server.deliver(say.pull(pull.number))
        wait_for(lambda: server.metric('understudy_jobs{state="running"}') == 2, 30, server.text)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        assert "told to stop" in server.text() and server.text().rstrip().endswith("stopped")
    (kept,) = tmp_path.rglob("queue.db")
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert {one.number for one in fake.repo.review_comments} == {1, 2}
    with Server(fake, tmp_path) as server:
        for pull in pulls[2:]:
            server.deliver(say.pull(pull.number))
        worker = server.worker()
        server.kill()
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), 60, server.text)  # it ends when its server does
    with Server(fake, tmp_path) as server:
        server.settle()
    assert sorted(one.number for one in fake.repo.review_comments) == [1, 2, 3, 4]
    assert len(fake.repo.comments) == 4


def test_what_fails_for_now_is_tried_again_and_says_so(fake: FakeGitHub, tmp_path: Path) -> None:
    say, pull = Payloads(fake), opened(fake)
    fake.reset_in = 3600
    fake.chance = lambda asked: "403 primary" if asked.path.endswith("/files") else None
    with Server(fake, tmp_path) as server:
        server.deliver(say.pull(pull.number))
        server.says("try 1 failed, again in 30 s")
        assert server.metric('understudy_jobs{state="queued"}') == 1
        assert server.healthy()


def serve(folder: Path, given: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in {**environment(), **given}.items() if value}
    command = [*COMMAND, "serve", *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"UNDERSTUDY_GITHUB_APP_ID": ""}, "set UNDERSTUDY_GITHUB_APP_ID or"),
        ({"UNDERSTUDY_GITHUB_APP_ID": "me"}, "set UNDERSTUDY_GITHUB_APP_ID or"),
        ({"UNDERSTUDY_GITHUB_WEBHOOK_SECRET": ""}, "set UNDERSTUDY_GITHUB_WEBHOOK_SECRET, or"),
        ({"UNDERSTUDY_GITHUB_WEBHOOK_SECRET": "short"}, "make a longer one"),
        (
            {"UNDERSTUDY_GITHUB_PRIVATE_KEY": ""},
            "set UNDERSTUDY_GITHUB_PRIVATE_KEY, or UNDERSTUDY_GITHUB_PRIVATE_KEY_FILE",
        ),
        ({"UNDERSTUDY_GITHUB_PRIVATE_KEY": "-----BEGIN JUNK-----"}, "no RSA private key"),
        (
            {"UNDERSTUDY_GITHUB_PRIVATE_KEY": "", "UNDERSTUDY_GITHUB_PRIVATE_KEY_FILE": "no.pem"},
            "which cannot be read",
        ),
        ({"UNDERSTUDY_GITHUB_PRIVATE_KEY_FILE": "key.pem"}, "set only one of"),
    ],
)
def test_what_is_missing_is_named_and_nothing_secret_is_shown(
    fake: FakeGitHub, change: dict[str, str], named: str
) -> None:
    with pytest.raises(BadInput, match=named) as caught:
        read_credentials(None, {**variables(fake), **change})
    assert caught.value.exit_code == 2
    for secret in (WEBHOOK_SECRET, private_key().split("\n")[5]):
        assert secret not in str(caught.value)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    done = serve(tmp_path, {}, "--github")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for name in ("APP_ID", "WEBHOOK_SECRET", "PRIVATE_KEY"):
        assert f"UNDERSTUDY_GITHUB_{name}" in done.stderr
    assert serve(tmp_path, {}).returncode == 2


def test_a_taken_port_an_unknown_app_and_no_network_end_it_at_once(fake: FakeGitHub, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve(tmp_path, variables(fake), "--github", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "cannot be listened on" in done.stderr) == (2, True)
    fake.routes.app_id = 5
    given = {**variables(fake), "UNDERSTUDY_GITHUB_APP_ID": "6"}
    done = serve(tmp_path, given, "--github", "--port", str(free_port()))
    assert (done.returncode, "does not know the App 6 by this private key" in done.stderr) == (4, True)
    given = {**variables(fake), "GITHUB_API_URL": f"{fake.url}/nowhere"}
    done = serve(tmp_path, given, "--github", "--port", str(free_port()))
    assert (done.returncode, "nowhere must be the root of GitHub's API" in done.stderr) == (4, True)
    given["UNDERSTUDY_QUEUE_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    done = serve(tmp_path, given, "--github", "--port", str(free_port()))
    assert (done.returncode, "Redis cannot be reached" in done.stderr) == (4, True), "before GitHub is asked"


def test_the_key_may_come_from_a_file(fake: FakeGitHub, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(private_key())
    changes = {"UNDERSTUDY_GITHUB_PRIVATE_KEY": "", "UNDERSTUDY_GITHUB_PRIVATE_KEY_FILE": str(tmp_path / "key.pem")}
    with Server(fake, tmp_path, **changes) as server:
        process = Path(f"/proc/{server.worker()}")
        # Neither the worker's environment nor its command line gives away anything.
        shown = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        assert WEBHOOK_SECRET.encode() not in shown
        assert b"PRIVATE_KEY" not in shown
        before = server.worker()
        server.kill_worker()
        wait_for(lambda: server.workers() not in ([], [before]), 60, server.text)
        wait_for(server.healthy, 60, server.text)


def test_on_redis_a_delivery_is_handled_once_and_none_is_promised_while_it_is_away(
    fake: FakeGitHub, tmp_path: Path
) -> None:
    say, pull = Payloads(fake), opened(fake)
    redis = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    threading.Thread(target=redis.serve_forever, daemon=True).start()
    place = f"redis://127.0.0.1:{redis.server_address[1]}/0"
    try:
        with Server(fake, tmp_path, UNDERSTUDY_QUEUE_URL=place) as server:
            delivery = say.pull(pull.number)
            assert [server.deliver(delivery), server.deliver(delivery)] == ["queued", "double"]
            server.settle()
            assert server.metric('understudy_jobs{state="done"}') == 1
            assert b"UNDERSTUDY_QUEUE_URL" not in Path(f"/proc/{server.worker()}/environ").read_bytes()
            redis.shutdown()
            redis.server_close()
            status, answer = server.ask("POST", "/github", delivery.body, delivery.headers())
            assert (status, json.loads(answer)["result"]) == (503, "not noted")
    finally:
        redis.shutdown()
        redis.server_close()
    assert len(fake.repo.review_comments) == len(fake.repo.comments) == 1
    assert not list(tmp_path.rglob("queue.db"))
