"""Personal data in build output: e-mail addresses, network addresses, account names in home folders."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from understudy.core._redact_tokens import Span

__all__ = ["find_personal"]

_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]{1,64}@(?!\d+x\.)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,6}\.[A-Za-z]{2,24}(?![\w-])"
)
_NOBODY = re.compile(
    r"(?:git|hg|noreply|no-reply|actions|bot)@|.*\[?bot\]?@users\.noreply\.|.*@(?:[\w-]+\.)*(?:example|invalid|test|localhost)\Z"
    r"|.*@(?:[\w-]+\.)*example\.(?:com|net|org)\Z|.*@v?\d+\.\d",
    re.IGNORECASE,
)
"""Addresses of machines, names reserved for documentation (RFC 2606), and ``package@1.2.x``."""
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w)")
_VERSION_BEFORE = re.compile(r"(?:==|[-~^]|>=|<=|\bversion\W{0,3}|\brelease\W{0,3})\Z", re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.-])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?![\w:-])")
_HOME = re.compile(
    r"(?:(?<![\w.])(?:/home/|/Users/|/[a-z]/Users/)|(?<![A-Za-z])[A-Za-z]:(?:\\{1,2}|/)Users(?:\\{1,2}|/))"
    r"(?P<name>[^\\/:*?\"'<>|\s]{1,64}(?: [^\\/:*?\"'<>|\s]{1,32}){0,2}(?=[\\/])|[^\\/:*?\"'<>|\s,;)\]]{1,64})"
)
_ACCOUNTS = """
    runner runneradmin vsts vsts_azpcontainer circleci jenkins travis ubuntu debian build builder buildkite gitlab
    gitlab-runner root vagrant user users username app node ec2-user github docker linuxbrew conda public default shared
    admin administrator azureuser centos worker ci agent teamcity codespace vscode gitpod nonroot jovyan work git
    www-data postgres redis you me name
"""
_SHARED_ACCOUNTS = frozenset(_ACCOUNTS.split())
_DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def find_personal(text: str) -> Iterator[Span]:
    """Yield what names a person or a machine of theirs.

    Left alone: shared accounts of build machines, reserved example domains, and addresses that are loopback,
    unspecified, link-local, multicast, broadcast or reserved for documentation.
    """
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not _NOBODY.match(match[0]):
                yield Span(match.start(), match.end(), "email")
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 12) : match.start()]
        if not _VERSION_BEFORE.search(before) and not _is_version(match[0]) and _is_telling(match[0]):
            yield Span(match.start(), match.end(), "ipv4")
    for match in _IPV6.finditer(text):
        groups = [group for group in match[0].split(":") if group]
        # Words around '::' are a name in C++ or Ruby more often than an address.
        if len(groups) > 1 and re.search(r"\d", match[0]) and _is_telling(match[0]):
            yield Span(match.start(), match.end(), "ipv6")
    for match in _HOME.finditer(text):
        name = match["name"]
        if name.lower() not in _SHARED_ACCOUNTS and name[0] not in "$%{<[*.~":
            yield Span(match.start("name"), match.end("name"), "user")


def _is_version(text: str) -> bool:
    """Whether four small numbers are a release rather than an address: a guess that errs once in 200,000 addresses."""
    first, *rest = map(int, text.split("."))
    return first < 10 and max(rest) <= 30


def _is_telling(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    common = address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast
    if common or text == "255.255.255.255":
        return False
    return not any(address in network for network in _DOCUMENTATION if network.version == address.version)
