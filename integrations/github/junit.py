"""Failed tests out of JUnit reports, which come from the same untrusted build as its log."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from understudy.core.errors import BadInput

__all__ = ["FailedTest", "failed_tests"]

_MOST_MEMBERS = 2000
_MOST_BYTES = 64 << 20
"""Of all reports of one archive, unpacked."""
_MOST_TESTS = 200
_MOST_TEXT = 300


@dataclass(frozen=True)
class FailedTest:
    """One test that failed, with the first line of its message."""

    name: str
    message: str


def failed_tests(path: Path) -> list[FailedTest]:
    """Return the failed tests in a report, or in all reports of a zip archive; at most 200.

    Raises:
        BadInput: it is no such file, or is too big, or no report in it can be read.
    """
    try:
        with path.open("rb") as opened:
            packed = opened.read(2) == b"PK"
        if not packed:
            with path.open("rb") as source:
                return list(_tests(source, path.name))[:_MOST_TESTS]
        with zipfile.ZipFile(path) as archive:
            return _in_archive(archive, path.name)
    except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.name} cannot be read: {error}") from None


def _in_archive(archive: zipfile.ZipFile, name: str) -> list[FailedTest]:
    members = [member for member in archive.infolist() if member.filename.lower().endswith(".xml")]
    if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > _MOST_BYTES:
        raise BadInput(f"{name} holds more reports than are read ({_MOST_MEMBERS} files, {_MOST_BYTES >> 20} MiB)")
    found: list[FailedTest] = []
    broken: list[BadInput] = []
    for member in members:
        with archive.open(member) as source:
            try:
                found += _tests(source, member.filename)
            except BadInput as error:  # an archive of reports may hold other XML files too
                broken.append(error)
        if len(found) >= _MOST_TESTS:
            break
    if broken and len(broken) == len(members):
        raise broken[0]
    return found[:_MOST_TESTS]


def _tests(source: IO[bytes], name: str) -> Iterator[FailedTest]:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    try:
        for _, element in iterparse(source, forbid_dtd=True):
            if element.tag.rpartition("}")[2] != "testcase":
                continue
            for part in element:
                if part.tag.rpartition("}")[2] in ("failure", "error"):
                    test = ".".join(filter(None, (element.get("classname"), element.get("name"))))
                    message = (part.get("message") or part.text or "").strip().split("\n")[0]
                    yield FailedTest(test[:_MOST_TEXT] or "a test without a name", message[:_MOST_TEXT])
                    break
            element.clear()
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise BadInput(f"{name[:_MOST_TEXT]} is no JUnit report: {type(error).__name__}") from None
