"""A pull request read at one head: its files as a patch, our earlier comments, their threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from understudy.core.errors import BadInput
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.marker import read_marker
from understudy.integrations.github.review import PullFacts
from understudy.templates.code_review.diff import FileDiff, Patch, Refusal, read_patch

__all__ = ["as_patch", "fetch_pull", "pull_at", "threads_of"]

_TRIES = 3
_THREADS = """query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved comments(first: 1) { nodes { databaseId } } }
      }
    }
  }
}"""
_STATUS = {"added": "new file mode 100644", "removed": "deleted file mode 100644"}


def pull_at(github: GitHub, repo: str, head: str) -> int | None:
    """Return the number of the open pull request whose head is this commit, or None.

    A workflow that runs after another one knows the commit only; of a fork's commit not even GitHub's own list of
    pull requests by commit tells, so that the open ones are looked through.
    """
    for route in (f"/repos/{repo}/commits/{head}/pulls", f"/repos/{repo}/pulls"):
        for pull in github.pages(route):
            if pull["state"] == "open" and pull["head"]["sha"] == head:
                return int(pull["number"])
    return None


def fetch_pull(github: GitHub, repo: str, number: int) -> PullFacts:
    """Read a pull request.

    Args:
        github: the client.
        repo: ``owner/name``.
        number: of the pull request.

    Raises:
        ServiceError: it cannot be read, is closed or locked, or is pushed to all the time.
    """
    path = f"/repos/{repo}/pulls/{number}"
    for _ in range(_TRIES):
        pull = github.get(path)
        _refuse(pull, repo, number)
        head = str(pull["head"]["sha"])
        files = list(github.pages(f"{path}/files"))
        # The list has no head of its own; it is this head's if nobody pushed while it was read.
        if github.get(path)["head"]["sha"] == head:
            break
    else:
        raise ServiceError(f"#{number} was pushed to each of {_TRIES} times it was read; run the command again")
    patch, without = as_patch(files)
    seen, seen_by = _seen(github, repo, number)
    return PullFacts(
        repo=repo,
        number=number,
        head=head,
        patch=patch,
        changed_files=int(pull["changed_files"]),
        listed=[str(file["filename"]) for file in files],
        without_patch=without,
        comments=list(github.pages(f"{path}/comments")),
        threads=threads_of(github, repo, number),
        login=github.login,
        seen=seen,
        seen_by=seen_by,
    )


def _refuse(pull: dict[str, Any], repo: str, number: int) -> None:
    now = str(pull["base"]["repo"]["full_name"])
    if now.lower() != repo.lower():
        raise ServiceError(f"#{number} is in {now} now; name that repository")
    if pull["state"] != "open":
        raise ServiceError(f"#{number} is closed; nothing is reviewed")
    if pull.get("locked"):
        raise ServiceError(f"#{number} is locked; nothing could be posted")


def as_patch(files: Sequence[dict[str, Any]]) -> tuple[Patch, dict[str, str]]:
    """Return the files of the API as one patch, and path to reason of those that have no lines.

    Each is read alone, so that one that is not understood costs no other.
    """
    parts: list[FileDiff | Refusal] = []
    without: dict[str, str] = {}
    for file in files:
        path, patch = str(file["filename"]), file.get("patch")
        if not patch:
            empty = not file.get("changes")
            without[path] = "no changed lines (renamed, mode or binary)" if empty else "GitHub gives no diff of it"
            continue
        try:
            parts += read_patch(_text_of(file).encode("utf-8", "surrogateescape"), path).parts
        except BadInput as error:
            without[path] = f"its diff is not understood: {error}"
    return Patch(tuple(parts), ""), without


def _text_of(file: dict[str, Any]) -> str:
    """Write one file of the API as ``git diff`` would."""
    new, old = str(file["filename"]), str(file.get("previous_filename") or file["filename"])
    status, body = file["status"], str(file["patch"])
    lines = [f"diff --git {_quoted('a/' + old)} {_quoted('b/' + new)}"]
    if status in _STATUS:
        lines.append(_STATUS[status])
    if status == "renamed":
        lines += [f"rename from {_quoted(old)}", f"rename to {_quoted(new)}"]
    lines.append("--- " + ("/dev/null" if status == "added" else _ended("a/" + old)))
    lines.append("+++ " + ("/dev/null" if status == "removed" else _ended("b/" + new)))
    return "\n".join([*lines, body]) + "\n"


def _quoted(name: str) -> str:
    """Write a name as git does: between quotes where it holds quotes, backslashes, control or non-ASCII characters."""
    data = name.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in data):
        return name
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in data) + '"'


def _ended(name: str) -> str:
    """Write a name where a tab ends one that holds spaces."""
    quoted = _quoted(name)
    return quoted + "\t" if " " in name and quoted == name else quoted


def threads_of(github: GitHub, repo: str, number: int) -> dict[int, tuple[str, bool]]:
    """Return first comment's id to thread id and whether it is resolved; only GraphQL tells."""
    owner, _, name = repo.partition("/")
    found: dict[int, tuple[str, bool]] = {}
    after: str | None = None
    while True:
        variables = {"owner": owner, "name": name, "number": number, "after": after}
        pull = (github.graphql(_THREADS, variables)["repository"] or {}).get("pullRequest")
        if pull is None:
            return found  # deleted in the meantime
        threads = pull["reviewThreads"]
        for thread in threads["nodes"]:
            for comment in thread["comments"]["nodes"]:
                found[comment["databaseId"]] = (thread["id"], bool(thread["isResolved"]))
        if not threads["pageInfo"]["hasNextPage"]:
            return found
        after = threads["pageInfo"]["endCursor"]


def _seen(github: GitHub, repo: str, number: int) -> tuple[dict[str, str], str]:
    """Return the digests that our summary comment remembers, and the model that made it."""
    for comment in github.pages(f"/repos/{repo}/issues/{number}/comments"):
        marker = read_marker(comment, github.login)
        if marker is not None and marker["kind"] == "review":
            files = marker.get("files")
            return dict(files) if isinstance(files, dict) else {}, str(marker.get("model", ""))
    return {}, ""
