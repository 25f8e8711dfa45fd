"""Secrets that are told by the name they are given to: ``DB_PASSWORD=...``, ``token: ...``, ``"apiKey": "..."``.

A name says much in an environment file and little in a program (``password = read_password()``) or in prose
(``Unexpected token: 'else'``), so the shape of the value decides too. What is left alone on purpose: expressions,
variables, words such as ``null`` and ``expired``, file paths, and unquoted plain words given to a lower-case name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from understudy.core._redact_tokens import Span, is_hidden

__all__ = ["find_assignments"]

_PASSWORD = r"pass(?:word|wd|phrase|code)|pwd"
_SECRET = (
    r"secret|token|credentials?|(?:api|access|auth|account|encryption|signing|master|service|storage|license)[_-]?key"
    r"|private[_-]?key"
)
_ASSIGNMENT = re.compile(
    rf"(?P<key>{_PASSWORD}|{_SECRET})(?P<rest>[\w-]{{0,40}})"
    r"(?:(?P<close>\\{0,3}[\"'`]?\]?)[ \t]{0,8}(?P<op>=>|:=|=(?![=~>])|:(?![:=]))[ \t]{0,8}|(?P<gap>[ \t]{1,4}))"
    r"(?:[rbuf]{0,2}(?:\"(?P<double>(?:[^\"\\\r\n]|\\.){1,512})|'(?P<single>(?:[^'\\\r\n]|\\.){1,512})"
    r"|`(?P<back>[^`\r\n]{1,512})|\\{1,3}[\"'](?P<escaped>[^\"'\\\r\n]{1,512}))|(?P<bare>[^\s\"'`]{1,512}))",
    re.IGNORECASE,
)
_MORE = {
    "double": re.compile(r"[^\"\r\n]*"),
    "single": re.compile(r"[^'\r\n]*"),
    "back": re.compile(r"[^`\r\n]*"),
    "escaped": re.compile(r"[^\"'\r\n]*"),
    "bare": re.compile(r"[^\s\"'`]*"),
}
"""How a value goes on after its first 512 characters; the bound keeps rejected values from being read many times."""
_REST_OF_KEY = re.compile(
    r"(?:[_-]?(?:key|base|access|value|string|text|plain|secret|token|b64|base64|prod|production|dev|test|staging|live"
    r"|[a-z]?\d{1,2}))*",
    re.IGNORECASE,
)
_NO_SECRETS = """
    str string bytes int number bool boolean any object none null nil undefined true false void self ok yes no on off
    pass passed passing fail failed failure error errors skipped missing invalid valid expired required optional unknown
    empty unset set denied rejected incorrect wrong mismatch changed hidden masked redacted secret token password write
    read inherit default basic bearer prompt
"""
_WORDS = frozenset(_NO_SECRETS.split())
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")
_PATH = re.compile(r"(?:[A-Za-z]:|~|\.{1,2})?[/\\].*(?:\b[a-z]{3,}\b|\.\w)")
_NEXT_PAIR = re.compile(r"&|;(?=[A-Za-z]\w{0,40}=)")
"""Where a query or a connection string goes on with another pair."""
_TRAILING = ",;)]}>"


def find_assignments(text: str) -> Iterator[Span]:
    """Yield every value in ``text`` that a telling name makes a secret."""
    position = 0
    while match := _ASSIGNMENT.search(text, position):
        group = str(match.lastgroup)
        start, end = match.span(group)
        if group == "bare":
            end = start + len(_NEXT_PAIR.split(text[start:end], maxsplit=1)[0].rstrip(_TRAILING))
        if start < end and _is_secret(text, match, text[start:end], quoted=group != "bare"):
            if match.end(group) - start >= 512:
                end = _MORE[group].match(text, end).end()  # type: ignore[union-attr]
            key = match["key"].lower()
            kind = "password" if re.fullmatch(_PASSWORD, key) else "token" if key == "token" else "secret"
            yield Span(start, end, kind)
            position = end
        else:
            position = start  # the value may itself hold an assignment


def _is_secret(text: str, match: re.Match[str], value: str, *, quoted: bool) -> bool:
    key, rest = match["key"].lower(), match["rest"]
    before = text[max(0, match.start() - 64) : match.start()]
    name_start = len(before) - len(re.search(r"[\w.-]*\Z", before)[0])  # type: ignore[index]
    name, lead = before[name_start:] + match["key"] + rest, before[:name_start]
    if match["gap"] is not None and (not name.startswith("--") or "=" in value):
        return False
    if is_hidden(value) or value.lower() in _WORDS or "://" in value or _PATH.match(value):
        return False
    if not _REST_OF_KEY.fullmatch(rest):
        return _is_random(value, 16) and re.fullmatch(r"[\w+/=~-]+", value) is not None
    password = re.fullmatch(_PASSWORD, key) is not None
    if match["op"] == ":" and re.search(r"[\w.!?)=]\s+\Z", lead):  # "Unexpected token: else", or a stamp of time
        return _is_random(value, 6 if password else 8)
    if quoted:
        return _quoted_is_secret(value, password=password)
    return _bare_is_secret(value, name, lead, match["op"] or "", password=password)


def _quoted_is_secret(value: str, *, password: bool) -> bool:
    """Judge a literal; one with spaces is a label or a message unless it is a passphrase with digits."""
    if re.search(r"\s", value):
        return password and _is_random(value.replace(" ", ""), 8)
    return len(value) >= 4 and (password or bool(re.search(r"[\d\W_]|[a-z][A-Z]", value)) or len(value) >= 16)


def _bare_is_secret(value: str, name: str, lead: str, op: str, *, password: bool) -> bool:
    """Judge unquoted text, which in a program is an expression and elsewhere the value itself."""
    if re.match(r"[\w.:>-]*\w[(\[{]", value):
        return False
    if value.isdigit():
        return password and len(value) >= 4
    environment = name.upper() == name or name.startswith("-") or lead.endswith(("?", "&"))
    if environment and op != ":":
        return len(value) >= 4
    if _IDENTIFIER.fullmatch(value):
        words = value.lower()
        if "." in value or any(word in words for word in ("pass", "pwd", "secret", "token", "key", "cred")):
            return _is_random(value, 20)
        return (bool(re.search(r"\d", value)) and len(value) >= 6) or (op == ":" and password and len(value) >= 4)
    return len(value) >= 4 and bool(re.search(r"[A-Za-z0-9]{3}", value))


def _is_random(value: str, length: int) -> bool:
    """Whether a value has the given length and mixes letters and digits without a space."""
    return len(value) >= length and bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value)) and " " not in value
