"""The routes of a GitHub App: itself, its tokens, and what it asks about who commands it."""

from __future__ import annotations

from .routes import Answer, Asked, R, Refusal, Routes, route
from .state import BOT

__all__: list[str] = []


@route("GET", "/app")
def _app(it: Routes, asked: Asked) -> Answer:
    return Answer(200, {"id": it.app_id, "slug": BOT.removesuffix("[bot]"), "name": "understudy"})


@route("POST", "/app/installations/{installation_id}/access_tokens")
def _token(it: Routes, asked: Asked) -> Answer:
    names = it.installations.get(int(asked.ids["installation_id"]))
    if names is None:
        raise Refusal(404, "Not Found")
    wanted = asked.body["repositories"]
    if not names:
        raise Refusal(403, "This installation has been suspended")
    if not set(wanted) <= names:
        raise Refusal(422, "There is at least one repository that does not exist or is not accessible")
    token = f"ghs_{len(it.issued):04}" + "R4nd0mT0k3n" * 3
    it.issued[token] = {f"{it.repo.full_name.partition('/')[0]}/{name}" for name in wanted}
    return Answer(201, {"token": token, "expires_at": "2099-01-01T00:00:00Z", "permissions": {}})


@route("GET", R + "/collaborators/{username}/permission")
def _permission(it: Routes, asked: Asked) -> Answer:
    login = asked.ids["username"]
    said = it.repo.permissions.get(login, "read")
    return Answer(200, {"permission": said, "role_name": said, "user": it.shapes.user(login)})


@route("GET", R + "/issues/comments/{comment_id}")
def _comment(it: Routes, asked: Asked) -> Answer:
    found = next((one for one in it.repo.comments if one.id == int(asked.ids["comment_id"])), None)
    if found is None:
        raise Refusal(404, "Not Found")
    return Answer(200, it.shapes.comment(found))
