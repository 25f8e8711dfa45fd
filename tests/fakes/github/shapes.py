"""State to the JSON that GitHub answers with; what its description requires beyond that is filled in ``openapi.py``."""

from __future__ import annotations

from typing import Any

from .state import Comment, Event, Issue, Job, Pull, PullFile, Repo, Review, ReviewComment, Run

__all__ = ["Shapes"]


class Shapes:
    """Answers about one repository; ``url`` is the server's address."""

    def __init__(self, repo: Repo, url: str) -> None:
        self.repo, self.url = repo, url

    @property
    def root(self) -> str:
        return f"{self.url}/repos/{self.repo.full_name}"

    @staticmethod
    def user(login: str) -> dict[str, Any]:
        return {"login": login, "id": sum(map(ord, login)), "type": "Bot" if login.endswith("[bot]") else "User"}

    def repository(self) -> dict[str, Any]:
        owner, name = self.repo.full_name.split("/")
        return {"full_name": self.repo.full_name, "name": name, "owner": self.user(owner), "default_branch": "main"}

    def label(self, name: str) -> dict[str, Any]:
        return {"id": sum(map(ord, name)), "name": name, "color": "ededed", "default": False, "description": None}

    def issue(self, issue: Issue) -> dict[str, Any]:
        value = {
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "locked": issue.locked,
            "user": self.user(issue.user),
            "labels": [self.label(name) for name in issue.labels],
            "created_at": issue.created_at,
            "updated_at": issue.created_at,
            "repository_url": self.root,
        }
        return value | ({"pull_request": {"url": f"{self.root}/pulls/{issue.number}"}} if issue.is_pull else {})

    def pull(self, pull: Pull) -> dict[str, Any]:
        issue = self.repo.issues[pull.number]
        end = {"label": "team:main", "ref": "main", "user": self.user("team"), "repo": self.repository()}
        return {
            "number": pull.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "locked": issue.locked,
            "merged": False,
            "changed_files": len(pull.files),
            "head": end
            | {"sha": pull.head, "ref": "change", "repo": {**self.repository(), "full_name": pull.head_repo}},
            "base": end | {"sha": pull.base},
            "user": self.user(issue.user),
        }

    def file(self, file: PullFile, pull: Pull) -> dict[str, Any]:
        lines = (file.patch or "").split("\n")
        value: dict[str, Any] = {
            "filename": file.filename,
            "status": file.status,
            "additions": sum(line[:1] == "+" for line in lines),
            "deletions": sum(line[:1] == "-" for line in lines),
            "changes": sum(line[:1] in ("+", "-") and line != "" for line in lines),
            "contents_url": f"{self.root}/contents/{pull.number}?ref={pull.head}",
            "sha": pull.head,
        }
        value |= {} if file.patch is None else {"patch": file.patch}
        return value | ({"previous_filename": file.previous_filename} if file.previous_filename else {})

    def review(self, review: Review) -> dict[str, Any]:
        keys = ("id", "state", "body", "commit_id")
        return {key: getattr(review, key) for key in keys} | {"user": self.user(review.user)}

    def review_comment(self, comment: ReviewComment) -> dict[str, Any]:
        keys = ("id", "body", "path", "line", "side", "commit_id", "created_at", "diff_hunk")
        # Of an outdated comment GitHub says null where its description wants a number or nothing.
        held = {key: getattr(comment, key) for key in keys if getattr(comment, key) is not None}
        value: dict[str, Any] = held | {"user": self.user(comment.user)}
        value |= {
            "pull_request_review_id": comment.review_id,
            "pull_request_url": f"{self.root}/pulls/{comment.number}",
            "updated_at": comment.created_at,
            "original_commit_id": comment.commit_id,
        }
        if comment.original_line or comment.line:
            value["original_line"] = comment.original_line or comment.line
        if comment.start_line is not None:
            value |= {"start_line": comment.start_line, "start_side": comment.start_side}
        return value | ({"in_reply_to_id": comment.in_reply_to_id} if comment.in_reply_to_id else {})

    def comment(self, comment: Comment) -> dict[str, Any]:
        keys = ("id", "body", "created_at")
        value = {key: getattr(comment, key) for key in keys} | {"user": self.user(comment.user)}
        return value | {"updated_at": comment.created_at, "issue_url": f"{self.root}/issues/{comment.number}"}

    def event(self, event: Event, with_issue: bool = False) -> dict[str, Any]:
        value = {
            "id": event.id,
            "event": event.event,
            "actor": self.user(event.actor),
            "created_at": event.created_at,
            "label": {"name": event.label, "color": "ededed"},
        }
        return value | ({"issue": self.issue(self.repo.issues[event.number])} if with_issue else {})

    def run(self, run: Run) -> dict[str, Any]:
        keys = ("id", "workflow_id", "name", "head_branch", "head_sha", "status", "conclusion", "created_at")
        value = {key: getattr(run, key) for key in keys}
        pulls = [{"number": number, "id": number, "url": f"{self.root}/pulls/{number}"} for number in run.pulls]
        return value | {
            "run_attempt": run.attempt,
            "pull_requests": pulls,
            "html_url": f"https://github.example/{self.repo.full_name}/actions/runs/{run.id}",
            "event": "push",
        }

    def job(self, job: Job) -> dict[str, Any]:
        status = "completed" if job.conclusion else "in_progress"
        return {
            "id": job.id,
            "run_id": job.run_id,
            "name": job.name,
            "status": status,
            "conclusion": job.conclusion,
            "steps": job.steps,
            "html_url": f"https://github.example/{self.repo.full_name}/actions/runs/{job.run_id}/job/{job.id}",
            "head_sha": self.repo.runs[job.run_id].head_sha,
        }

    def artifact(self, number: int) -> dict[str, Any]:
        _, name, data = self.repo.artifacts[number]
        return {"id": number, "name": name, "size_in_bytes": len(data), "expired": False}
