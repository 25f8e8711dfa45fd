"""The only file that talks to GitHub: PyGithub's requester with our own rules for repeating.

Reads are repeated. A write is repeated only after reading back what there is: a server that answers 502 may have done
it. Waits for rate limits are bounded, so that a CI job never sleeps an hour. Errors are one sentence each, without
tokens, links or bodies.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.github.scrub import Scrubber

__all__ = ["API", "GitHub", "Pace", "ServiceError"]

API = "https://api.github.com"
T = TypeVar("T")

_CHUNK = 1 << 20
_PERMISSIONS = (
    ("/actions/", "actions: read", "actions: read"),
    ("/labels", "issues: read", "issues: write (pull-requests: write for pull requests)"),
    ("/collaborators/", "metadata: read", "metadata: read"),
    ("/issues/", "issues: read", "issues: write or pull-requests: write"),
    ("/pulls/", "pull-requests: read", "pull-requests: write"),
    ("", "contents: read", "pull-requests: write"),
)
"""What to name when GitHub does not: part of the path, permission to read, permission to write."""


class ServiceError(Unavailable):
    """GitHub cannot be reached, or refuses."""

    def __init__(self, message: str, status: int = 0, *, passing: bool = False) -> None:
        """Keep the sentence.

        Args:
            message: the sentence.
            status: of GitHub's answer, 0 without one.
            passing: whether the same request may well work later.
        """
        super().__init__(message)
        self.status, self.passing = status, passing


@dataclass(frozen=True)
class Pace:
    """How fast, how often and how long; all times in seconds."""

    between_requests: float = 0.05
    between_writes: float = 1.0
    """GitHub asks for a second (REST best practices)."""
    tries: int = 4
    backoff: float = 2.0
    """Before the second try; doubled each time. Also gives a write that was cut off time to be seen."""
    secondary: float = 60.0
    """After a secondary rate limit that names no time (REST best practices: at least a minute)."""
    longest: float = 300.0
    """A rate limit that lasts longer ends the command instead."""
    timeout: int = 15
    sleep: Callable[[float], None] = time.sleep


class _Repeat(Exception):
    """A try failed in a way that may pass."""

    def __init__(self, error: ServiceError, wait: float | None = None) -> None:
        super().__init__(str(error))
        error.passing = True
        self.error, self.wait = error, wait


class GitHub:
    """One repository host with one token. Not for several threads at once."""

    def __init__(
        self,
        token: str,
        url: str = API,
        pace: Pace | None = None,
        login: str | None = None,
        *,
        is_app: bool = False,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            token: of a workflow, an App installation or a person; never logged.
            url: address of the API, ``GITHUB_API_URL`` in a workflow.
            pace: see :class:`Pace`.
            login: whose comments are ours; None asks GitHub, and takes the workflow's bot where that is not allowed.
            is_app: the token is a signed one (JWT) of the App itself, which only makes others.

        Raises:
            BadInput: ``url`` is no address.
        """
        from github import Auth, Github

        # Bodies and one-minute links would stand in these two at DEBUG.
        for name in ("github", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.url = url.rstrip("/")
        if not re.match(r"https?://[^/\s]+", self.url):
            raise BadInput(f"GITHUB_API_URL must be an address such as {API}, not {url!r}")
        self.pace = pace or Pace()
        self.scrubber = Scrubber(None, token)
        self._login = login
        self._requester = Github(
            auth=Auth.AppAuthToken(token) if is_app else Auth.Token(token),
            base_url=self.url,
            timeout=self.pace.timeout,
            retry=None,
            seconds_between_requests=self.pace.between_requests,
            seconds_between_writes=self.pace.between_writes,
            user_agent="understudy",
        ).requester

    @property
    def login(self) -> str:
        """The account that our writes appear under."""
        if self._login is None:
            try:
                self._login = str(self.get("/user")["login"])
            except ServiceError as error:
                if error.status != 403:
                    raise
                self._login = "github-actions[bot]"  # a workflow's token may not ask who it is
        return self._login

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at ``path``.

        Raises:
            ServiceError: it cannot be had; the sentence says why.
        """
        return self._read(lambda: self._once("GET", path, query)[1])

    def get_if_changed(self, path: str, tag: str | None, **query: Any) -> tuple[str | None, Any]:
        """Return the entity tag and the JSON; None as JSON when nothing changed since ``tag``, which costs no limit."""
        headers = {"If-None-Match": tag} if tag else {}
        answer, value = self._read(lambda: self._once("GET", path, query, headers=headers))
        return (tag, None) if answer["status"] == 304 else (answer.get("etag"), value)

    def pages(self, path: str, key: str = "", **query: Any) -> Iterator[Any]:
        """Yield all entries of a list, page by page of 100; ``key`` names the list where it is wrapped."""
        page = int(query.pop("page", 1))
        while True:
            asked = {**query, "per_page": 100, "page": page}
            answer, value = self._read(lambda asked=asked: self._once("GET", path, asked))  # type: ignore[misc]
            yield from value[key] if key else value
            if 'rel="next"' not in answer.get("link", ""):
                return
            page += 1

    def download(self, path: str, into: IO[bytes], most: int) -> None:
        """Write what ``path`` redirects to; the link lives a minute and is followed without the token.

        Raises:
            ServiceError: it cannot be had, or is longer than ``most`` bytes.
        """

        def tried() -> None:
            answer, _ = self._once("GET", path, {})
            self._fetch(answer.get("location", ""), into, most)

        self._read(tried)

    def write(
        self,
        verb: str,
        path: str,
        body: dict[str, Any] | None,
        done: Callable[[], T | None],
        still: Callable[[], None] = lambda: None,
    ) -> Any:
        """Write once, whatever goes wrong on the way.

        Args:
            verb: HTTP method.
            path: of the API.
            body: JSON; its texts are scrubbed once more.
            done: reads back and returns what the write makes, or None when it is not there; asked before every
                repetition and after the last failure.
            still: reads whether the write is still wanted, right before every try; raises ServiceError if not.

        Returns:
            What GitHub or ``done`` answers.

        Raises:
            ServiceError: it was not done, or nobody could tell.
        """
        clean = None if body is None else self.scrubber.value(body)
        for attempt in range(self.pace.tries):
            still()
            try:
                return self._once(verb, path, {}, clean)[1]
            except _Repeat as problem:
                error = problem.error
                self._wait(problem, attempt)
            try:
                found = done()
            except ServiceError as unread:
                raise ServiceError(
                    f"{error}; and reading back failed, so it may have been done: {unread}", passing=True
                ) from None
            if found is not None:
                return found
        raise error

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON that a POST answers which may safely be repeated."""
        return self._read(lambda: self._once("POST", path, {}, body)[1])

    def graphql(self, query: str, variables: dict[str, Any]) -> Any:
        """Return the ``data`` of a GraphQL request that may safely be repeated."""
        answered = self.post("/graphql", {"query": query, "variables": variables})
        if not isinstance(answered, dict) or answered.get("errors") or not answered.get("data"):
            raise ServiceError("GitHub's GraphQL service refused a request about review threads")
        return answered["data"]

    def _read(self, once: Callable[[], T]) -> T:
        attempt = 0
        while True:
            try:
                return once()
            except _Repeat as problem:
                attempt += 1
                if attempt == self.pace.tries:
                    raise problem.error from None
                self._wait(problem, attempt - 1)

    def _wait(self, problem: _Repeat, attempt: int) -> None:
        wait = self.pace.backoff * 2**attempt if problem.wait is None else problem.wait
        if wait > self.pace.longest:
            raise ServiceError(
                f"{problem.error}; it lasts {wait:.0f} s more, longer than the {self.pace.longest:.0f} s that are "
                "waited: run the same command again then",
                problem.error.status,
                passing=True,
            )
        self.pace.sleep(wait)

    def _once(
        self, verb: str, path: str, query: dict[str, Any], body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], Any]:
        import json

        from requests import RequestException

        sent = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", **(headers or {})}
        # The GraphQL address stands beside the API's prefix (``/api/v3``) on company servers.
        target = self._requester.graphql_url if path == "/graphql" else path
        try:
            status, answer, text = self._requester.requestJson(verb, target, query, sent, body)
        except (RequestException, OSError, RuntimeError) as error:
            raise _Repeat(
                ServiceError(f"{self._host} cannot be reached or broke off ({type(error).__name__})")
            ) from None
        answer = {**answer, "status": status}
        if status < 400:
            try:
                return answer, json.loads(text) if text else None
            except ValueError:
                raise _Repeat(ServiceError(f"{self._host} answered {_what(verb, path)} with no JSON")) from None
        raise self._problem(verb, path, status, answer, text)

    def _problem(self, verb: str, path: str, status: int, answer: dict[str, Any], text: str) -> Exception:
        message = self.scrubber.text(_message(text))
        what = _what(verb, path)
        limit = message.lower()
        if status in (403, 429) and ("rate limit" in limit or "retry-after" in answer or status == 429):
            error = ServiceError(f"the rate limit of {self._host} is used up ({what})", status)
            return _Repeat(error, self._limit_wait(answer))
        if status >= 500:
            return _Repeat(ServiceError(f"{self._host} answered {what} with {status}", status))
        if status == 401:
            return ServiceError(f"{self._host} does not accept the token: set GITHUB_TOKEN to a valid one", status)
        if status == 403 and "locked" in limit:
            return ServiceError(f"{what}: the conversation is locked, nothing can be written there", status)
        if status == 403:
            wanted = answer.get("x-accepted-github-permissions", "") or _permission(verb, path)
            return ServiceError(f"the token may not {what}: it needs the permission {wanted}", status)
        if status == 404:
            return ServiceError(f"{what}: not found; it is not there, or the token may not see it", status)
        if status == 410:
            return ServiceError(f"{what}: gone; it was deleted, or its logs have expired", status)
        return ServiceError(f"{self._host} refused to {what} with {status}: {message}", status)

    def _limit_wait(self, answer: dict[str, Any]) -> float:
        if str(answer.get("retry-after", "")).isdigit():
            return float(answer["retry-after"])
        if answer.get("x-ratelimit-remaining") == "0" and str(answer.get("x-ratelimit-reset", "")).isdigit():
            return max(1.0, float(answer["x-ratelimit-reset"]) - time.time() + 1)
        return self.pace.secondary

    def _fetch(self, link: str, into: IO[bytes], most: int) -> None:
        import requests

        if not link:
            raise ServiceError(f"{self._host} gave no link to download from")
        session = requests.Session()
        session.auth = lambda request: request  # keeps a .netrc file's password from going along
        try:
            with session.get(link, stream=True, timeout=self.pace.timeout) as answer:
                if answer.status_code != 200:
                    raise _Repeat(ServiceError(f"the download link answered {answer.status_code}", answer.status_code))
                into.seek(0)
                into.truncate()
                for piece in answer.iter_content(_CHUNK):
                    if into.tell() + len(piece) > most:
                        raise ServiceError(f"a download is longer than {most >> 20} MiB, the most that is read")
                    into.write(piece)
        except requests.RequestException as error:
            raise _Repeat(ServiceError(f"a download broke off ({type(error).__name__})")) from None

    @property
    def _host(self) -> str:
        return "GitHub" if self.url == API else f"the GitHub at {urlsplit(self.url).netloc}"


def _what(verb: str, path: str) -> str:
    doing = {"GET": "read", "POST": "write to", "PATCH": "edit", "DELETE": "delete"}[verb]
    return f"{doing} {path.removeprefix('/repos/')}"


def _permission(verb: str, path: str) -> str:
    return next(read if verb == "GET" else write for part, read, write in _PERMISSIONS if part in path)


def _message(text: str) -> str:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return "no reason given"
    if not isinstance(value, dict):
        return "no reason given"
    errors = [error for error in value.get("errors") or [] if isinstance(error, str | dict)]
    details = [one if isinstance(one, str) else str(one.get("message") or one.get("code")) for one in errors]
    return "; ".join([str(value.get("message", "")), *details])[:300].replace("\n", " ")
