"""A team's own failed runs as training data: the logs that ``understudy github history`` collected, and their causes.

That a run failed and a later commit passed is known, but not why it failed: nobody wrote that down. So each failed job
gets a draft, the rules' reading, in ``causes.jsonl`` beside ``failed_runs.jsonl``; a person corrects it and sets
``checked`` to true. Only what was checked becomes an example.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.core._json_lines import read_json_lines
from understudy.core.errors import BadInput
from understudy.core.pack import BuildContext, TokenCounter
from understudy.core.records import Example, Source
from understudy.templates.log_triage import grammar, rules
from understudy.templates.log_triage.packing import pack_lines
from understudy.templates.log_triage.schema import Category, LogInput, LogLine, Origin, RootCause
from understudy.templates.log_triage.select import select

__all__ = ["CAUSES", "Cause", "causes_in", "draft_of", "from_runs"]

CAUSES = "causes.jsonl"
"""Name of the file with the causes."""

_DRAFT_TOKENS = 2000


class Cause(BaseModel):
    """Why one job failed: one line of the file that people correct."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: int
    job: str
    checked: bool = False
    """Whether a person stands by it."""
    category: Category
    origin: Origin
    transient: bool
    evidence: list[int] = Field(max_length=4)
    """Numbers of the lines that show the cause, as ``failed_runs.jsonl`` has them."""
    root_cause: str = Field(max_length=240)
    fix: str = Field(max_length=240)


def draft_of(failed: Mapping[str, Any]) -> Cause:
    """Return the rules' reading of one line of ``failed_runs.jsonl``, for a person to correct."""
    log = _log_input(failed, _DRAFT_TOKENS, lambda text: len(text) // 3 + 1)
    reading = rules.diagnose(log)
    known = reading.model_dump() | {"evidence": [log.lines[position - 1].number for position in reading.evidence]}
    return Cause(run=failed["run"], job=failed["job"], **known)


def from_runs(context: BuildContext) -> Iterator[Example]:
    """Yield the checked failed jobs of the ``failed_runs.jsonl`` files named in the settings.

    Raises:
        BadInput: no file is named, one or its causes cannot be read, or nothing in it was checked yet.
    """
    if not context.paths:
        raise BadInput(
            "the builder 'runs' needs data.sources[].paths: failed_runs.jsonl of `understudy github history`"
        )
    for path in context.paths:
        causes = {(cause.run, cause.job): cause for cause in read_json_lines(path.with_name(CAUSES), _cause)}
        if not any(cause.checked for cause in causes.values()):
            raise BadInput(
                f"{path.with_name(CAUSES)}: nothing was checked yet; correct the drafts and set checked to true"
            )
        for failed in read_json_lines(path, _failed):
            cause = causes.get((failed["run"], failed["job"]))
            if cause is not None and cause.checked and failed["lines"]:
                example = _example(failed, cause, context)
                if example is not None:
                    yield example


def _cause(line: dict[str, Any]) -> Cause:
    try:
        return Cause.model_validate(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _failed(line: dict[str, Any]) -> dict[str, Any]:
    for key in ("run", "job", "project", "commit", "created_at", "lines"):
        if key not in line:
            raise ValueError(f"is no line of failed_runs.jsonl: it has no {key}")
    return line


def _log_input(failed: Mapping[str, Any], budget: int, count_tokens: TokenCounter) -> LogInput:
    """Return the kept lines as the model will meet them, under the numbers that they have in the whole log."""
    kept = failed["lines"]
    text = "".join(f"{line['text']}\n" for line in kept)
    packed = pack_lines(select([text.encode("utf-8", "replace")]), budget, count_tokens)
    lines = [LogLine(number=kept[line.number - 1]["number"], text=line.text) for line in packed.lines]
    return LogInput(lines=lines, total_lines=failed.get("total_lines", len(kept)))


def _example(failed: dict[str, Any], cause: Cause, context: BuildContext) -> Example | None:
    """Return a checked job, or None where its evidence does not fit the prompt or its cause cannot be written."""
    log = _log_input(failed, context.prompt_budget, context.count_tokens)
    positions = {line.number: position for position, line in enumerate(log.lines, start=1)}
    shown = [positions[number] for number in cause.evidence if number in positions]
    if (cause.evidence and not shown) or not all(grammar.can_write(log, one) for one in (cause.root_cause, cause.fix)):
        return None
    known = cause.model_dump(exclude={"run", "job", "checked", "evidence"})
    answer = RootCause(evidence=shown, **known)
    time = datetime.fromisoformat(str(failed["created_at"]).replace("Z", "+00:00"))
    return Example(
        id=f"run-{failed['project']}-{failed['run']}-{failed['job']}",
        pack="log-triage",
        group=f"{failed['project']}@{failed['commit']}",
        stratum=cause.category,
        input=log.model_dump(mode="json"),
        output=json.loads(answer.model_dump_json()),
        meta={"evidence": cause.evidence},
        source=Source(origin="history", project=failed["project"], time=time, licence=context.licence),
    )


def causes_in(path: Path) -> set[tuple[int, str]]:
    """Return the runs and jobs that a file of causes has already; empty when it is not there."""
    if not path.exists() or not path.stat().st_size:
        return set()
    return {(cause.run, cause.job) for cause in read_json_lines(path, _cause)}
