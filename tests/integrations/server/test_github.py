"""A delivery is believed only when it is signed, and asks only for what its body says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.settings import GitHubAppSettings
from understudy.integrations.server.github import EVENTS, Ignored, Job, Malformed, command_of, genuine, job_of

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import BOT
from .serving import Delivery, Payloads, signed

SECRET = b"a secret of the webhook"
ALL = GitHubAppSettings()


def asked(delivery: Delivery, settings: GitHubAppSettings = ALL, event: str = "") -> Job:
    return job_of(event or delivery.event, delivery.body, BOT, 4711, settings)


@given(st.binary(max_size=200), st.text(max_size=80))
def test_only_the_one_right_signature_is_genuine(body: bytes, other: str) -> None:
    right = signed(body, SECRET.decode()).encode()
    assert genuine(SECRET, body, [right])
    # Nothing twice, nothing else, nothing near: another case, spaces, other characters, the digest alone, SHA-1's name.
    near = [right.upper(), right + b" ", right[:-1], right[7:], b"sha1=" + right[7:], other.encode(), right + right]
    for signatures in ([], [right, right], *([one] for one in near if one != right)):
        assert not genuine(SECRET, body, signatures)
    assert not genuine(SECRET, body + b" ", [right])
    assert not genuine(SECRET + b"x", body, [right])


def test_the_four_events_ask_for_their_jobs(fake: FakeGitHub, say: Payloads) -> None:
    fake.repo.open_pull([])
    run, other = fake.repo.add_run(), fake.repo.add_run(pulls=[1])
    about = {"installation": 99, "repo": "team/app"}
    assert asked(say.pull(1)) == Job(command="review", number=1, **about)
    assert asked(say.pull(1, "synchronize")) == asked(say.pull(1, "reopened"))
    assert asked(say.issue(1)) == Job(command="label", number=1, **about)
    assert asked(say.run(run.id)) == Job(command="explain", run=run.id, **about)
    assert asked(say.run(other.id)) == Job(command="explain", run=other.id, number=1, **about)
    elsewhere = json.loads(say.run(other.id).body)
    elsewhere["workflow_run"]["pull_requests"][0]["url"] = "https://api.github.com/repos/upstream/app/pulls/1"
    assert asked(Delivery("workflow_run", elsewhere)).number is None
    comment = say.comment(1, "Hm.\r\n/understudy explain\r\n")
    assert asked(comment) == Job(command="explain", number=1, comment=fake.repo.comments[0].id, **about)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/understudy review", "review"),
        ("Please:\n/understudy label  \nThanks", "label"),
        ("/understudy apply\n/understudy review", "apply"),
        ("say /understudy review", None),
        (" /understudy review", None),
        ("> /understudy review", None),
        ("/understudy review please", None),
        ("/understudy review; rm -rf /", None),
        ("/understudy review`id`", None),
        ("/Understudy review", None),
        ("/understudy\u00a0review", None),
        ("/understudy rev\u0456ew", None),
        ("/understudy review\u2028", None),
        ("/understudy\nreview", None),
        ("/understudy delete", None),
        ("```\n/understudy review\n```", None),
        ("~~~~ sh\n/understudy review\n~~~\n/understudy review", None),
        ("```\nx\n```\n/understudy review", "review"),
        ("<!-- hidden\n/understudy review\n-->", None),
        ("<!--\n/understudy review", None),
        ("<!-- x -->/understudy review", None),
        ("", None),
    ],
)
def test_a_command_stands_alone_on_a_line_that_people_see(body: str, command: str | None) -> None:
    assert command_of(body) == command


@given(st.text(alphabet="/understudy review`~<>!-\r\n\t x", max_size=300))
def test_reading_a_comment_never_fails(body: str) -> None:
    assert command_of(body) in ("review", None)


def changed(delivery: Delivery, *path: str, to: Any) -> Delivery:
    """The same delivery with one field changed, or without it."""
    payload = part = json.loads(delivery.body)
    for key in path[:-1]:
        part = part[key]
    part.pop(path[-1], None)
    if to is not ...:
        part[path[-1]] = to
    return Delivery(delivery.event, payload)


def test_what_asks_for_nothing_is_ignored_with_the_reason(fake: FakeGitHub, say: Payloads) -> None:
    fake.repo.open_pull([])
    green = fake.repo.add_run("success")
    command = say.comment(1, "/understudy review")
    for delivery, why in [
        (say.pull(1, "labeled"), "nothing is done about 'labeled'"),
        (say.issue(1, "edited"), "nothing is done about"),
        (say.run(green.id), "did not fail"),
        (say.run(green.id, "requested"), "nothing is done about"),
        (say.comment(1, "Nice!"), "asks for nothing"),
        (say.comment(1, "/understudy review", action="edited"), "only a new comment"),
        (say.comment(1, "/understudy review", action="deleted"), "only a new comment"),
        (say.comment(1, "/understudy review", user="other[bot]"), "a bot's comment"),
        (say.comment(1, "/understudy review", user=BOT), "we did that ourselves"),
        (say.issue(1, sender=BOT), "we did that ourselves"),
        (changed(command, "sender", "login", to="root"), "not by who sent it"),
        (changed(command, "comment", "performed_via_github_app", to={"id": 4711}), "a bot's comment"),
        (changed(say.pull(1), "installation", to=...), "installation"),
        (Delivery("ping", {"zen": "Keep it logically awesome."}), "nothing is done about ping"),
    ]:
        with pytest.raises(Ignored, match=why):
            asked(delivery)


@pytest.mark.parametrize("off", ["review", "label", "explain", "commands"])
def test_what_is_off_in_the_settings_is_ignored(fake: FakeGitHub, say: Payloads, off: str) -> None:
    fake.repo.open_pull([])
    run = fake.repo.add_run()
    deliveries = {
        "review": say.pull(1),
        "label": say.issue(1),
        "explain": say.run(run.id),
        "commands": say.comment(1, "/understudy review"),
    }
    settings = GitHubAppSettings(answers=tuple(one for one in deliveries if one != off))  # type: ignore[arg-type]
    for name, delivery in deliveries.items():
        if name == off:
            with pytest.raises(Ignored, match=r"serve\.github\.answers"):
                asked(delivery, settings)
        else:
            asked(delivery, settings)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_body_under_another_events_name_asks_for_nothing_it_does_not_hold(
    fake: FakeGitHub, say: Payloads, event: str
) -> None:
    """Only the body is signed: whoever replays it chooses the event's name."""
    fake.repo.open_pull([])
    run = fake.repo.add_run()
    for delivery in (say.pull(1), say.run(run.id), say.comment(1, "/understudy review")):
        if delivery.event != event:
            with pytest.raises((Malformed, Ignored)):
                asked(delivery, event=event)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("repository", "full_name"), "team/..", "repository.full_name"),
        (("repository", "full_name"), "../../etc/passwd", "repository.full_name"),
        (("repository", "full_name"), "team/app/../../other", "repository.full_name"),
        (("repository", "full_name"), "team/app\n", "repository.full_name"),
        (("repository", "full_name"), "team/ap\u0440", "repository.full_name"),
        (("repository", "full_name"), "team/" + "a" * 300, "repository.full_name"),
        (("pull_request", "number"), "1", "pull_request.number"),
        (("pull_request", "number"), True, "pull_request.number"),
        (("pull_request", "number"), -1, "pull_request.number"),
        (("pull_request", "number"), 10**30, "pull_request.number"),
        (("pull_request",), None, "pull_request"),
        (("installation", "id"), "99", "installation.id"),
        (("sender",), ..., "sender"),
        (("action",), {"$ne": ""}, "action"),
    ],
)
def test_fields_of_another_form_are_refused_by_name(
    fake: FakeGitHub, say: Payloads, path: tuple[str, ...], value: Any, named: str
) -> None:
    fake.repo.open_pull([])
    with pytest.raises(Malformed, match=named):
        asked(changed(say.pull(1), *path, to=value))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 100_000,
        b"\xff\xfe",
        b"\x00",
        b"NaN",
    ],
    ids=["empty", "null", "list", "text", "cut", "deep lists", "deep objects", "long number", "no UTF-8", "nul", "NaN"],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    for event in EVENTS:
        with pytest.raises(Malformed):
            job_of(event, body, BOT, 4711, ALL)
