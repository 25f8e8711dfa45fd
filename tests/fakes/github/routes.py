"""The routes: what GitHub does for each request, with the refusals that bots trip over."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .shapes import Shapes
from .state import BOT, Comment, Issue, Pull, Repo, Review, ReviewComment

__all__ = ["Answer", "Asked", "Refusal", "Routes"]

_MOST_BODY = 65_536


@dataclass
class Asked:
    """One request, decoded."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    template: str = ""
    """The route's path as GitHub's description writes it."""
    ids: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """One response; ``value`` is JSON, unless ``raw`` is given."""

    status: int = 200
    value: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"message": message, "documentation_url": "https://docs.github.com/rest"} | extra)


Handler = Callable[["Routes", Asked], Answer]
_TABLE: list[tuple[str, str, re.Pattern[str], Handler]] = []


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"$")

    def add(handler: Handler) -> Handler:
        _TABLE.append((method, template, pattern, handler))
        return handler

    return add


class Routes:
    """Dispatch for one repository."""

    def __init__(self, repo: Repo, url: str) -> None:
        self.repo, self.shapes, self.url = repo, Shapes(repo, url), url
        self.missing_permissions: set[str] = set()
        """Permissions the token lacks, as ``pull_requests=write``."""
        self.app_token = True
        """Whether the token is a workflow's, which may not ask who it is."""
        self.stale_writes: list[str] = []
        self.unprocessable: list[str] = []
        self.links: dict[str, bytes] = {}
        self.app_id, self.app_key = 4711, ""
        """The App's public key in PEM form; empty where there is no App."""
        self.installations: dict[int, set[str]] = {}
        """Installation id to the names of its repositories; none of them: it is suspended."""
        self.issued: dict[str, set[str]] = {}
        """Token of an installation to the repositories it is good for."""

    def find(self, asked: Asked) -> Handler | None:
        for method, template, pattern, handler in _TABLE:
            found = pattern.match(asked.path)
            if method == asked.method and found:
                asked.template, asked.ids = template, found.groupdict()
                return handler
        return None

    def answer(self, asked: Asked) -> Answer:
        handler = self.find(asked)
        try:
            if handler is None:
                raise Refusal(404, "Not Found")
            if "repo" in asked.ids and f"{asked.ids['owner']}/{asked.ids['repo']}".lower() != self.repo.full_name:
                raise Refusal(404, "Not Found")
            return handler(self, asked)
        except Refusal as refusal:
            if refusal.answer.status == 422:
                self.unprocessable.append(f"{asked.method} {asked.path}: {refusal}")
            return refusal.answer

    def need(self, permission: str) -> None:
        if permission in self.missing_permissions:
            raise Refusal(403, "Resource not accessible by integration")

    def issue(self, asked: Asked) -> Issue:
        issue = self.repo.issues.get(int(asked.ids["issue_number"]))
        if issue is None:
            raise Refusal(404, "Not Found")
        if issue.deleted:
            raise Refusal(410, "This issue was deleted")
        return issue

    def pull(self, asked: Asked) -> Pull:
        pull = self.repo.pulls.get(int(asked.ids["pull_number"]))
        if pull is None:
            raise Refusal(404, "Not Found")
        return pull

    def paged(self, asked: Asked, values: list[Any], key: str = "", most: int | None = None) -> Answer:
        values = values[:most]
        size, page = min(100, int(asked.query.get("per_page", 30))), int(asked.query.get("page", 1))
        part = values[(page - 1) * size : page * size]
        rest = {name: value for name, value in asked.query.items() if name != "page"}
        headers = {}
        if page * size < len(values):
            query = "&".join(f"{name}={value}" for name, value in (rest | {"page": str(page + 1)}).items())
            headers["Link"] = f'<{self.url}{asked.path}?{query}>; rel="next"'
        return Answer(200, {"total_count": len(values), key: part} if key else part, headers=headers)

    def link(self, data: bytes) -> Answer:
        """Redirect to a link that works without, and only without, a token."""
        name = f"signed-{len(self.links)}"
        self.links[name] = data
        return Answer(302, None, raw=b"", headers={"Location": f"{self.url}/blobs/{name}?sig=secret"})


R = "/repos/{owner}/{repo}"


@route("GET", "/user")
def _user(it: Routes, asked: Asked) -> Answer:
    if it.app_token:
        raise Refusal(403, "Resource not accessible by integration")
    return Answer(200, it.shapes.user(BOT))


@route("GET", R)
def _repository(it: Routes, asked: Asked) -> Answer:
    return Answer(200, it.shapes.repository())


@route("GET", R + "/pulls")
def _pulls(it: Routes, asked: Asked) -> Answer:
    state = asked.query.get("state", "open")
    found = [pull for pull in it.repo.pulls.values() if it.repo.issues[pull.number].state == state]
    return it.paged(asked, [it.shapes.pull(pull) for pull in found])


@route("GET", R + "/pulls/comments")
def _all_review_comments(it: Routes, asked: Asked) -> Answer:
    since = asked.query.get("since", "")
    found = [comment for comment in it.repo.review_comments if comment.created_at >= since]
    return it.paged(asked, [it.shapes.review_comment(comment) for comment in found])


@route("GET", R + "/pulls/{pull_number}")
def _pull(it: Routes, asked: Asked) -> Answer:
    return Answer(200, it.shapes.pull(it.pull(asked)))


@route("GET", R + "/pulls/{pull_number}/files")
def _files(it: Routes, asked: Asked) -> Answer:
    pull = it.pull(asked)
    return it.paged(asked, [it.shapes.file(file, pull) for file in pull.files], most=3000)


@route("GET", R + "/pulls/{pull_number}/comments")
def _pull_comments(it: Routes, asked: Asked) -> Answer:
    number, pending = it.pull(asked).number, {review.id for review in it.repo.reviews if review.state == "PENDING"}
    found = [one for one in it.repo.review_comments if one.number == number and one.review_id not in pending]
    return it.paged(asked, [it.shapes.review_comment(comment) for comment in found])


@route("GET", R + "/pulls/{pull_number}/reviews")
def _reviews(it: Routes, asked: Asked) -> Answer:
    number = it.pull(asked).number
    return it.paged(asked, [it.shapes.review(review) for review in it.repo.reviews if review.number == number])


@route("POST", R + "/pulls/{pull_number}/reviews")
def _post_review(it: Routes, asked: Asked) -> Answer:
    it.need("pull_requests=write")
    pull, body = it.pull(asked), asked.body
    commit = body.get("commit_id", pull.head)
    if commit not in pull.commits:
        raise Refusal(422, "Unprocessable Entity", errors=["end_commit_oid is not part of the pull request"])
    if it.repo.issues[pull.number].locked:
        raise Refusal(422, "Unprocessable Entity", errors=["Issue is locked"])
    if any(review.state == "PENDING" and review.user == BOT for review in it.repo.reviews):
        raise Refusal(422, "Unprocessable Entity", errors=["User can only have one pending review per pull request"])
    comments, event = body.get("comments", []), body.get("event")
    if event and not (body.get("body") or comments):
        raise Refusal(422, "Unprocessable Entity", errors=["Body can't be blank"])
    for comment in comments:
        _check_place(pull, comment)
    if commit != pull.head:
        it.stale_writes.append(f"review at {commit[:7]}, head {pull.head[:7]}")
    states = {None: "PENDING", "COMMENT": "COMMENTED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "APPROVE": "APPROVED"}
    review = Review(it.repo.new_id(), pull.number, BOT, states[event], body.get("body", ""), commit)
    it.repo.reviews.append(review)
    for comment in comments:
        it.repo.review_comments.append(
            ReviewComment(
                it.repo.new_id(),
                pull.number,
                BOT,
                comment["body"],
                comment["path"],
                comment["line"],
                comment.get("side", "RIGHT"),
                comment.get("start_line"),
                comment.get("start_side"),
                commit,
                review.id,
                it.repo.tick(),
            )
        )
    return Answer(200, it.shapes.review(review))


def _check_place(pull: Pull, comment: dict[str, Any]) -> None:
    def refuse(why: str) -> Refusal:
        return Refusal(422, "Unprocessable Entity", errors=[why])

    if not comment["body"].strip() or len(comment["body"]) > _MOST_BODY:
        raise refuse("body is too long or blank")
    file = next((file for file in pull.files if file.filename == comment["path"]), None)
    if file is None or not isinstance(comment.get("line"), int):
        raise refuse("Path could not be resolved")
    last = (comment.get("side", "RIGHT"), comment["line"])
    hunks = [hunk for hunk in file.places() if last in hunk]
    if not hunks:
        raise refuse("Line could not be resolved")
    if "start_line" in comment:
        first = (comment.get("start_side", last[0]), comment["start_line"])
        if first[1] >= last[1]:
            raise refuse("start_line must precede the end line")
        if first not in hunks[0]:
            raise refuse("start_line must be part of the same hunk as the line")


@route("DELETE", R + "/pulls/{pull_number}/reviews/{review_id}")
def _delete_review(it: Routes, asked: Asked) -> Answer:
    it.need("pull_requests=write")
    found = next((review for review in it.repo.reviews if review.id == int(asked.ids["review_id"])), None)
    if found is None:
        raise Refusal(404, "Not Found")
    if found.state != "PENDING":
        raise Refusal(422, "Can not delete a non-pending pull request review")
    it.repo.reviews.remove(found)
    it.repo.review_comments = [one for one in it.repo.review_comments if one.review_id != found.id]
    return Answer(200, it.shapes.review(found))


@route("GET", R + "/issues")
def _issues(it: Routes, asked: Asked) -> Answer:
    since = asked.query.get("since", "")
    found = [issue for issue in it.repo.issues.values() if issue.created_at >= since and not issue.deleted]
    found = [issue for issue in found if not issue.moved_to]
    return it.paged(asked, [it.shapes.issue(issue) for issue in found])


@route("GET", R + "/issues/events")
def _all_events(it: Routes, asked: Asked) -> Answer:
    return it.paged(asked, [it.shapes.event(event, True) for event in reversed(it.repo.events)])


@route("GET", R + "/issues/{issue_number}")
def _issue(it: Routes, asked: Asked) -> Answer:
    issue = it.issue(asked)
    value = it.shapes.issue(issue)
    return Answer(200, value | ({"repository_url": f"{it.url}/repos/{issue.moved_to}"} if issue.moved_to else {}))


@route("GET", R + "/issues/{issue_number}/comments")
def _comments(it: Routes, asked: Asked) -> Answer:
    number = it.issue(asked).number
    return it.paged(asked, [it.shapes.comment(one) for one in it.repo.comments if one.number == number])


@route("POST", R + "/issues/{issue_number}/comments")
def _post_comment(it: Routes, asked: Asked) -> Answer:
    it.need("pull_requests=write")
    issue = it.issue(asked)
    if issue.locked:
        raise Refusal(403, "Unable to create comment because issue is locked.")
    if not asked.body["body"].strip() or len(asked.body["body"]) > _MOST_BODY:
        raise Refusal(422, "Validation Failed", errors=["body is too long or blank"])
    comment = Comment(it.repo.new_id(), issue.number, BOT, asked.body["body"], it.repo.tick())
    it.repo.comments.append(comment)
    return Answer(201, it.shapes.comment(comment))


@route("PATCH", R + "/issues/comments/{comment_id}")
def _edit_comment(it: Routes, asked: Asked) -> Answer:
    it.need("pull_requests=write")
    found = next((one for one in it.repo.comments if one.id == int(asked.ids["comment_id"])), None)
    if found is None:
        raise Refusal(404, "Not Found")
    if len(asked.body["body"]) > _MOST_BODY:
        raise Refusal(422, "Validation Failed", errors=["body is too long"])
    found.body = asked.body["body"]
    return Answer(200, it.shapes.comment(found))


@route("GET", R + "/labels")
def _labels(it: Routes, asked: Asked) -> Answer:
    return it.paged(asked, [it.shapes.label(name) for name in it.repo.labels.values()])


@route("POST", R + "/issues/{issue_number}/labels")
def _post_labels(it: Routes, asked: Asked) -> Answer:
    it.need("issues=write")
    issue = it.issue(asked)
    for name in asked.body["labels"]:
        it.repo.label(issue.number, name, BOT)
    return Answer(200, [it.shapes.label(name) for name in issue.labels])


@route("GET", R + "/issues/{issue_number}/events")
def _events(it: Routes, asked: Asked) -> Answer:
    number = it.issue(asked).number
    return it.paged(asked, [it.shapes.event(event) for event in it.repo.events if event.number == number])


@route("GET", R + "/commits/{commit_sha}/pulls")
def _pulls_of_commit(it: Routes, asked: Asked) -> Answer:
    # Of a fork's commits GitHub does not say in which pull request they are.
    own = [pull for pull in it.repo.pulls.values() if pull.head_repo == it.repo.full_name]
    found = [pull for pull in own if asked.ids["commit_sha"] in pull.commits]
    return it.paged(asked, [it.shapes.pull(pull) for pull in found])


@route("POST", "/graphql")
def _graphql(it: Routes, asked: Asked) -> Answer:
    query, variables = asked.body["query"], asked.body["variables"]
    roots = [comment for comment in it.repo.review_comments if comment.in_reply_to_id is None]
    if "resolveReviewThread" in query:
        it.need("pull_requests=write")
        found = next((comment for comment in roots if f"thread-{comment.id}" == variables["thread"]), None)
        if found is None:
            return Answer(200, {"data": None, "errors": [{"message": "Could not resolve to a node"}]})
        found.resolved = True
        return Answer(200, {"data": {"resolveReviewThread": {"thread": {"isResolved": True}}}})
    assert "reviewThreads" in query, query
    mine = [comment for comment in roots if comment.number == variables["number"]]
    start = int(variables.get("after") or 0)
    nodes = [
        {"id": f"thread-{one.id}", "isResolved": one.resolved, "comments": {"nodes": [{"databaseId": one.id}]}}
        for one in mine[start : start + 100]
    ]
    end = {"hasNextPage": start + 100 < len(mine), "endCursor": str(start + 100)}
    threads = {"pageInfo": end, "nodes": nodes}
    return Answer(200, {"data": {"repository": {"pullRequest": {"reviewThreads": threads}}}})
