"""Tickets in files: JSON Lines, CSV and Parquet as rows of plain values, each with the line it came from."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from understudy.core.errors import BadInput

__all__ = ["Row", "read_json_rows", "read_rows"]

_FIELD_MOST = 16 << 20
"""Characters of one CSV field; Python's own limit of 128 KiB is less than a pasted log."""


@dataclass(frozen=True)
class Row:
    """One ticket as its file has it."""

    file: str
    number: int
    """1-based line of a text file, of a table the 1-based row."""
    values: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """Return the first of the columns that is there, as text; null and absent are empty.

        Raises:
            BadInput: the value is a list or an object.
        """
        for name in names:
            value = self.values.get(name)
            if isinstance(value, list | dict):
                raise BadInput(f"{self.file}, line {self.number}: {name!r} must be text, not {type(value).__name__}")
            if value is not None:
                return str(value)
        return ""

    def names(self, *columns: str) -> list[str] | None:
        """Return labels: a list of texts or of objects with a ``name``, or one text; None when no column is there."""
        for column in columns:
            value = self.values.get(column)
            if value is None or value == "":
                continue
            items = value if isinstance(value, list) else [value]
            words = [item.get("name") if isinstance(item, dict) else item for item in items]
            if not all(isinstance(word, str) for word in words):
                raise BadInput(f"{self.file}, line {self.number}: {column!r} must be a label or a list of labels")
            return [str(word) for word in words]
        return None

    def time(self, *columns: str) -> datetime | None:
        """Return a moment in ISO 8601 form.

        Raises:
            BadInput: it has another form.
        """
        for column in columns:
            value = self.values.get(column)
            if isinstance(value, datetime):
                return value
            if value not in (None, ""):
                try:
                    return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
                except ValueError:
                    raise BadInput(
                        f"{self.file}, line {self.number}: {column!r} is {str(value)[:40]!r}; write times as "
                        "2026-01-31T12:00:00Z"
                    ) from None
        return None


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; its kind is known by its name.

    Raises:
        BadInput: it is missing, is of no known kind, or broken; the line is named where there is one.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    readers = {"jsonl": read_json_rows, "ndjson": read_json_rows, "csv": _csv, "parquet": _parquet}
    if kind not in readers:
        raise BadInput(f"{path} is no .jsonl, .csv or .parquet file (.gz may follow); convert it first")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            yield from readers[kind](stream, str(path))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


def read_json_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Yield the rows of JSON Lines; blank lines are passed over.

    Raises:
        BadInput: a line is no JSON object; the line is named.
    """
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(f"{name}, line {number}: is no JSON ({error.msg} at character {error.colno})") from None
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{name}, line {number}: is no JSON ({error})") from None
        if not isinstance(value, dict):
            raise BadInput(f'{name}, line {number}: must be an object like {{"title": ..., "body": ...}}')
        yield Row(name, number, value)


def _csv(stream: Any, name: str) -> Iterator[Row]:
    """Read CSV with a heading; every value stays text, so a body of ``NA`` is not lost, only an empty one is null."""
    import io

    csv.field_size_limit(_FIELD_MOST)
    reader = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True)
    before = 1
    try:
        for values in reader:
            if None in values or None in values.values():
                raise BadInput(f"{name}, line {before + 1}: has another number of fields than the heading")
            yield Row(name, before + 1, values)
            before = reader.line_num
    except csv.Error as error:
        raise BadInput(f"{name}, line {reader.line_num}: is no valid CSV ({error})") from None


def _parquet(stream: IO[bytes], name: str) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(stream)
        number = 0
        for batch in table.iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(name, number, values)
    except pyarrow.ArrowException as error:
        raise BadInput(f"{name} is no valid Parquet file: {error}") from None
