"""Who the server is to GitHub: its secrets, and the tokens that GitHub makes of them.

Secrets come from the environment or from files that it names, go to no log, and reach no process that reads what
strangers wrote. A token is made for one repository and lives an hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from understudy.core.errors import BadInput
from understudy.integrations.github.client import API, GitHub, Pace, ServiceError

__all__ = ["App", "Credentials", "read_credentials"]

_SHORTEST_SECRET = 16
_EARLY = 300.0
"""Seconds before its end at which a token is no longer used."""


@dataclass(frozen=True)
class Credentials:
    """What makes us the App."""

    app_id: int
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    url: str = API


def read_credentials(app_id: int | None, environment: Mapping[str, str]) -> Credentials:
    """Return the App's credentials.

    Args:
        app_id: of the settings; None takes ``UNDERSTUDY_GITHUB_APP_ID``.
        environment: of the process.

    Raises:
        BadInput: something is missing or no such thing; everything that is wrong is named at once.
    """
    wrong: list[str] = []
    given = str(app_id or environment.get("UNDERSTUDY_GITHUB_APP_ID", ""))
    if not (given.isascii() and given.isdigit() and int(given)):
        wrong.append("set UNDERSTUDY_GITHUB_APP_ID or serve.github.app_id to the number on the App's page")
    secret = _secret("UNDERSTUDY_GITHUB_WEBHOOK_SECRET", "the App's webhook secret", environment, wrong)
    if secret and len(secret) < _SHORTEST_SECRET:
        wrong.append(f"UNDERSTUDY_GITHUB_WEBHOOK_SECRET has under {_SHORTEST_SECRET} characters; make a longer one")
    key = _secret("UNDERSTUDY_GITHUB_PRIVATE_KEY", "the App's private key (PEM)", environment, wrong)
    if key and not _is_key(key):
        wrong.append(
            "UNDERSTUDY_GITHUB_PRIVATE_KEY, or the file of UNDERSTUDY_GITHUB_PRIVATE_KEY_FILE, is no RSA private key "
            "in PEM form"
        )
    if wrong:
        raise BadInput("; ".join(wrong))
    return Credentials(int(given), key, secret, environment.get("GITHUB_API_URL") or API)


def _secret(name: str, what: str, environment: Mapping[str, str], wrong: list[str]) -> str:
    """Return a secret of the environment, or of the file that ``NAME_FILE`` names."""
    value, file = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "")
    if value and file:
        wrong.append(f"set only one of {name} and {name}_FILE")
    elif file:
        try:
            value = Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
            wrong.append(f"{name}_FILE names {file}, which cannot be read ({why})")
            return ""
        if not value:
            wrong.append(f"{file}, which {name}_FILE names, is empty")
    elif not value:
        wrong.append(f"set {name}, or {name}_FILE to a file that holds it: {what}")
    return value


def _is_key(text: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return isinstance(load_pem_private_key(text.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError):
        return False


class App:
    """The App as a client of GitHub. May be used by several threads."""

    def __init__(self, app_id: int, private_key: str, url: str = API, pace: Pace | None = None) -> None:
        """Nothing is sent yet."""
        self._app_id, self._key, self._url, self._pace = app_id, private_key, url, pace
        self._lock = threading.Lock()
        self._login = ""
        self._tokens: dict[tuple[int, str], tuple[str, float]] = {}

    @property
    def login(self) -> str:
        """The account that the App writes under.

        Raises:
            ServiceError: GitHub does not know the App by this id and key, or cannot be reached.
        """
        with self._lock:
            if not self._login:
                try:
                    self._login = f"{self._itself().get('/app')['slug']}[bot]"
                except ServiceError as error:
                    if error.status not in (401, 404):
                        raise
                    named = "UNDERSTUDY_GITHUB_APP_ID and UNDERSTUDY_GITHUB_PRIVATE_KEY"
                    if error.status == 404 and self._url != API:  # what any server says of a path it does not have
                        named += f", and at GITHUB_API_URL: {self._url} must be the root of GitHub's API (.../api/v3)"
                    raise ServiceError(
                        f"GitHub does not know the App {self._app_id} by this private key: look at {named}",
                        error.status,
                    ) from None
            return self._login

    def client(self, installation: int, repo: str) -> GitHub:
        """Return a client for one repository of an installation.

        Raises:
            ServiceError: the App is not installed there any more, or not for this repository.
        """
        login = self.login
        with self._lock:
            token, until = self._tokens.get((installation, repo.lower()), ("", 0.0))
            if until < time.time() + _EARLY:
                token, until = self._token(installation, repo)
                self._tokens = {key: kept for key, kept in self._tokens.items() if kept[1] > time.time()}
                self._tokens[installation, repo.lower()] = token, until
        return GitHub(token, self._url, self._pace, login)

    def forget(self, installation: int, repo: str) -> None:
        """Use no token again that GitHub refused."""
        with self._lock:
            self._tokens.pop((installation, repo.lower()), None)

    def _token(self, installation: int, repo: str) -> tuple[str, float]:
        path = f"/app/installations/{installation}/access_tokens"
        try:
            made = self._itself().post(path, {"repositories": [repo.partition("/")[2]]})
        except ServiceError as error:
            reasons = {
                403: f"installation {installation} of the App is suspended",
                404: f"the App is not installed there any more (installation {installation})",
                422: f"installation {installation} of the App does not include {repo}",
            }
            if error.passing or error.status not in reasons:
                raise
            raise ServiceError(reasons[error.status], error.status) from None
        return str(made["token"]), datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00")).timestamp()

    def _itself(self) -> GitHub:
        from github import Auth

        return GitHub(Auth.AppAuth(str(self._app_id), self._key).create_jwt(), self._url, self._pace, is_app=True)
