"""Secrets that can be told by their own form: provider tokens, credentials in URLs and headers.

The forms are those the providers publish (names of tokens, alphabets, lengths); where a length may grow, only a lower
bound is asked for. Every pattern runs in linear time: a repetition without an upper bound stands last in its pattern,
or behind a look-behind that lets it start once per run of characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["PLACEHOLDER", "Span", "find_tokens", "is_hidden"]

PLACEHOLDER = re.compile(r"\[REDACTED:[a-z0-9-]{1,24}:\d{1,9}\]")
"""What a secret is replaced by."""


class Span(NamedTuple):
    """One piece of text to replace; it never crosses a line end."""

    start: int
    end: int
    kind: str


class _Rule(NamedTuple):
    """One form of secret: group 1 of ``pattern`` if there is one, else the whole match."""

    kind: str
    hints: tuple[str, ...]
    """Plain texts one of which must occur before the pattern is tried; lower case means any case."""
    pattern: re.Pattern[str]
    accept: Callable[[str], bool] = lambda value: True


def _mixed(value: str) -> bool:
    """Whether a value has a digit and both cases, as drawn characters have and hyphenated words have not."""
    return bool(re.search(r"\d", value) and re.search(r"[a-z]", value) and re.search(r"[A-Z]", value))


def _has_digit(value: str) -> bool:
    return bool(re.search(r"\d", value))


def is_hidden(value: str) -> bool:
    """Whether a value is no secret but stands for one: masked, empty, a variable, or replaced already."""
    return bool(_STANDS_FOR.match(value)) or not re.search(r"[A-Za-z0-9]", value) or "[REDACTED:" in value


_STANDS_FOR = re.compile(r"\*{2}|\$|\{\{|\{[A-Za-z_]|%[A-Za-z_(]|<[A-Za-z]|[xX]{4,}\b|\.{3}|#\{")


def _shown(value: str) -> bool:
    return not is_hidden(value)


def _is_credential(value: str) -> bool:
    return _shown(value) and value.lower() not in _SCHEMES


def _rule(kind: str, hints: str, pattern: str, accept: Callable[[str], bool] = lambda value: True) -> _Rule:
    return _Rule(kind, tuple(hints.split()), re.compile(pattern), accept)


_QUOTE = r"\\{0,2}[\"']?"
_RULES = (
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_\w{20,}(?:\.[\w-]{10,}){0,2}"),
    _rule("github-token", "github_pat_", r"github_pat_\w{22,}"),
    _rule("gitlab-token", "gl", r"gl(?:pat|dt|ft|soat|rt|ptt|cbt|imt|agent|oas|ffct|wt)-[\w-]{20,}(?:\.[\w-]{2,})*"),
    _rule("gitlab-token", "GR1348941", r"GR1348941[\w-]{20,}"),
    _rule(
        "aws-key-id",
        "A",
        r"(?<![A-Za-z0-9])A(?:(?:KI|SI|BI|RO|ID|GP|IP|NP|NV)A|CCA|3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])",
    ),
    _rule("gcp-key", "AIza", r"AIza[\w-]{35,}"),
    _rule("gcp-token", "ya29.", r"ya29\.[\w-]{20,}(?:\.[\w-]+)*"),
    _rule("gcp-secret", "GOCSPX-", r"GOCSPX-[\w-]{20,}"),
    _rule("azure-secret", "Q~", r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{30,}"),
    _rule("azure-key", "accountkey= sharedaccesskey=", r"(?i)\b(?:Account|SharedAccess)Key=([A-Za-z0-9+/]{20,}={0,2})"),
    _rule("azure-signature", "sig=", r"[?&;]sig=([A-Za-z0-9%+/_-]{30,}={0,2})"),
    _rule("slack-token", "xox xapp-", r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}"),
    _rule("slack-webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{10,})"),
    _rule("discord-webhook", "/api/webhooks/", r"/api/webhooks/(\d{10,}/[\w-]{20,})"),
    _rule("npm-token", "npm_", r"npm_[A-Za-z0-9]{36,}"),
    _rule("pypi-token", "pypi-Ag", r"pypi-Ag[\w-]{40,}"),
    _rule("rubygems-key", "rubygems_", r"rubygems_[0-9a-f]{40,}"),
    _rule("docker-token", "dckr_", r"dckr_[po]at_[\w-]{20,}"),
    _rule("stripe-key", "k_live_ k_test_ k_prod_", r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    _rule("stripe-key", "whsec_", r"whsec_[A-Za-z0-9+/]{24,}={0,2}"),
    _rule("ai-key", "sk-", r"(?<![\w-])sk-[\w-]{32,}", _mixed),
    _rule("huggingface-token", "hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
    _rule("sendgrid-key", "SG.", r"(?<![A-Za-z0-9])SG\.[\w-]{16,64}\.[\w-]{16,}"),
    _rule("telegram-token", ":AA", r"(?<!\d)\d{8,10}:AA[\w-]{33}"),
    _rule("digitalocean-token", "_v1_", r"do[opr]_v1_[0-9a-f]{40,}"),
    _rule("shopify-token", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32,}"),
    _rule("vault-token", "hvs. hvb. hvr.", r"(?<![A-Za-z0-9])hv[sbr]\.[\w-]{24,}"),
    _rule("databricks-token", "dapi", r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}(?:-\d)?"),
    _rule("atlassian-token", "ATATT3", r"ATATT3[\w=-]{50,}"),
    _rule("grafana-token", "glsa_ glc_", r"gl(?:sa|c)_[A-Za-z0-9+/_=]{32,}"),
    _rule("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{40,}"),
    _rule("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    _rule("url-password", "://", r"://[^\s/@:\"'<>]{0,100}:([^\s/\"'<>]{1,256})@", _shown),
    _rule("url-token", "://", r"://([\w.~-]{16,256})@", _has_digit),
    _rule(
        "credential",
        "authorization",
        rf"(?i)authorization{_QUOTE}[ \t]{{0,4}}[:=][ \t]{{0,4}}{_QUOTE}"
        r"(?:(?:basic|bearer|token|digest|negotiate|apikey|key)[ \t]{1,4})?([^\s\"',;\\]{4,})",
        _is_credential,
    ),
    _rule("credential", "bearer", r"(?i)\bbearer[ \t]{1,4}([\w.~+/-]{16,}={0,2})", _has_digit),
    _rule("credential", "signature=", r"(?i)\bSignature=([0-9a-f]{40,})"),
    _rule(
        "credential",
        "cookie",
        rf"(?i)cookie{_QUOTE}[ \t]{{0,4}}:[ \t]{{0,4}}{_QUOTE}([^\s\"'][^\r\n\"']{{7,}})",
        lambda value: "=" in value,
    ),
    _rule(
        "password", "curl", r"\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,100}:([^\s\"']{1,256})", _shown
    ),
    _rule("password", "docker", r"\bdocker login\b[^\n]{0,200}?\s-p[ =]?[\"']?([^\s\"']{3,256})", _shown),
    _rule("password", "login", r"\blogin[ \t]{1,4}\S{1,100}[ \t]{1,4}password[ \t]{1,4}(\S{1,256})", _shown),
)
_SCHEMES = frozenset(("basic", "bearer", "token", "digest", "negotiate", "apikey", "none", "null", "required"))


def find_tokens(text: str) -> Iterator[Span]:
    """Yield every secret in ``text`` that has a known form."""
    lowered = text.lower()
    for rule in _RULES:
        if not any(hint in text or (hint.islower() and hint in lowered) for hint in rule.hints):
            continue
        group = min(rule.pattern.groups, 1)
        for match in rule.pattern.finditer(text):
            if rule.accept(match[group]):
                yield Span(match.start(group), match.end(group), rule.kind)
