"""Names that point at model versions, moved one step at a time, each step on record.

An alias file is replaced as a whole and holds the record of its own last move, so the move is made at one instant:
when the file is renamed into place. The log follows; a crash in between leaves it one line behind, and the next
reader or writer takes the missing line from the alias file.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from understudy.core.errors import BadInput
from understudy.core.files import write_json
from understudy.core.journal import Journal
from understudy.core.records import Record

__all__ = ["AliasState", "Aliases", "Promotion", "check_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str, what: str) -> str:
    """Return ``name`` if it is safe as a file name: letters, digits, ``.``, ``_`` and ``-``, not starting with a dot.

    Raises:
        BadInput: it is not; ``what`` says in the message whose name it is.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be the name of {what}; use letters, digits, '.', '_' and '-'")
    return name


class Promotion(Record):
    """One move of an alias, as ``promotions.jsonl`` keeps it."""

    version: Literal[1] = 1
    time: datetime
    actor: str
    action: Literal["promote", "rollback"]
    pack: str
    alias: str
    source: str | None
    """Model version the alias pointed at before; None the first time."""
    target: str
    """Model version it points at since."""
    rev: int
    """The alias's revision after the move: 1, 2, 3 ..."""
    report: str = ""
    """SHA-256 of the evaluation report; the report itself is kept as an object under it."""
    forced: bool = False
    reason: str = ""


class AliasState(Record):
    """Where an alias points: the content of ``aliases/<pack>/<alias>.json``."""

    pack: str
    alias: str
    version: str
    rev: int
    previous: str | None
    """Where a rollback goes."""
    trail: list[str]
    """Earlier versions a series of rollbacks goes through, ``previous`` last."""
    move: Promotion
    """The move that made this state."""


class Aliases:
    """The alias files and their log. Whoever moves an alias must hold the registry's lock."""

    def __init__(self, root: Path) -> None:
        """Use ``root/aliases`` and ``root/promotions.jsonl``."""
        self.root = root / "aliases"
        self.log = Journal(root / "promotions.jsonl")

    def path(self, pack: str, alias: str) -> Path:
        """Return the file of an alias."""
        return self.root / check_name(pack, "a pack") / f"{check_name(alias, 'an alias')}.json"

    def read(self, pack: str, alias: str) -> AliasState | None:
        """Return where an alias points, or None when there is no such alias.

        Raises:
            BadInput: its file cannot be understood.
        """
        path = self.path(pack, alias)
        if not path.is_file():
            return None
        try:
            state = AliasState.model_validate_json(path.read_bytes())
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise BadInput(f"{path} is no alias file ({where}: {fault['msg']}); restore it from a backup") from None
        if (state.pack, state.alias) != (pack, alias):
            raise BadInput(f"{path} is the file of {state.pack}@{state.alias}; restore the right one from a backup")
        return state

    def names(self, pack: str | None = None) -> list[tuple[str, str]]:
        """Return (pack, alias) of all aliases, sorted."""
        found = sorted((path.parent.name, path.stem) for path in self.root.glob("*/*.json") if path.stem[0] != ".")
        return [name for name in found if pack is None or name[0] == pack]

    def move(
        self,
        action: Literal["promote", "rollback"],
        before: AliasState | None,
        *,
        pack: str,
        alias: str,
        target: str,
        trail: Sequence[str],
        actor: str | None = None,
        report: str = "",
        forced: bool = False,
        reason: str = "",
    ) -> AliasState:
        """Point an alias at ``target`` and log it."""
        self.catch_up()
        step = Promotion(
            time=datetime.now(timezone.utc),
            actor=actor or _user(),
            action=action,
            pack=pack,
            alias=alias,
            source=before.version if before else None,
            target=target,
            rev=before.rev + 1 if before else 1,
            report=report,
            forced=forced,
            reason=reason,
        )
        state = AliasState(
            pack=pack,
            alias=alias,
            version=target,
            rev=step.rev,
            previous=trail[-1] if trail else None,
            trail=list(trail),
            move=step,
        )
        write_json(self.path(pack, alias), state.model_dump(mode="json"))
        # The move is made and on record. If the disk is full just now, the log catches up before the next move.
        with suppress(OSError):
            self.log.append(step.model_dump(mode="json"))
        return state

    def history(self, pack: str | None = None, alias: str | None = None) -> list[Promotion]:
        """Return all moves, oldest first, with the one the log may still lack."""
        entries = [*self.log.read(), *self.pending()]
        moves = [_promotion(entry, self.log.path, number) for number, entry in enumerate(entries, start=1)]
        return [move for move in moves if pack in (None, move.pack) and alias in (None, move.alias)]

    def pending(self) -> list[dict[str, Any]]:
        """Return the last moves of aliases that a crash or a full disk kept from the log, oldest first."""
        logged = {(entry.get("pack"), entry.get("alias"), entry.get("rev")) for entry in self.log.read()}
        states = [state for name in self.names() if (state := self.read(*name))]
        lacking = [state.move for state in states if (state.pack, state.alias, state.rev) not in logged]
        return [move.model_dump(mode="json") for move in sorted(lacking, key=lambda move: move.time)]

    def catch_up(self) -> None:
        """Write what a crash kept from the log."""
        for entry in self.pending():
            self.log.append(entry)


def _promotion(entry: dict[str, Any], path: Path, number: int) -> Promotion:
    try:
        return Promotion.model_validate_json(json.dumps(entry))
    except ValidationError as error:
        raise BadInput(f"{path}: line {number} is no promotion: {error.errors()[0]['msg']}") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        return "unknown"
