"""Builders: foundry cases (embedded or made by the user) to examples."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

from understudy.core.case_files import read_cases
from understudy.core.errors import BadInput
from understudy.core.pack import BuildContext
from understudy.core.records import Example, Source
from understudy.templates.log_triage import grammar, rules
from understudy.templates.log_triage.foundry._case import Case, stamped
from understudy.templates.log_triage.schema import LogInput, RootCause
from understudy.templates.log_triage.select import pack_lines, select

__all__ = ["cases", "example_of", "from_cases", "seed"]


def seed(context: BuildContext) -> Iterator[Example]:
    """Yield the embedded examples: real faults of real tools, made by the foundry."""
    with as_file(files("understudy.templates.log_triage") / "seed" / "cases.jsonl.xz") as path:
        yield from _examples(list(cases(path)), context)


def from_cases(context: BuildContext) -> Iterator[Example]:
    """Yield examples from the foundry case files (``.jsonl.xz`` or ``.jsonl``) named in the settings."""
    if not context.paths:
        raise BadInput("the builder 'cases' needs data.sources[].paths: files made by the foundry")
    for path in context.paths:
        yield from _examples(list(cases(path)), context)


def cases(path: Path) -> Iterator[Case]:
    """Read a case file; see :func:`understudy.core.case_files.read_cases`."""
    return read_cases(path, Case, "foundry case")


def _examples(found: list[Case], context: BuildContext) -> Iterator[Example]:
    if context.limit is not None and len(found) > context.limit:
        found = _evenly(found, context)
    for number, case in enumerate(found, start=1):
        example = example_of(case, context)
        context.on_progress(number, len(found))
        if example is not None:
            yield example


def _evenly(found: list[Case], context: BuildContext) -> list[Case]:
    """Draw the same number from every recipe, as far as each has them."""
    assert context.limit is not None
    by_recipe: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        by_recipe[case.recipe].append(case)
    for group in by_recipe.values():
        context.rng.shuffle(group)
    rounds = [group[turn] for turn in range(len(found)) for group in by_recipe.values() if turn < len(group)]
    return sorted(rounds[: context.limit], key=lambda case: case.id)


def example_of(case: Case, context: BuildContext) -> Example | None:
    """Return a case as the model will meet it: its log selected and packed, its evidence as positions.

    None when a failure's evidence did not survive the packing, or its cause names what the grammar does not admit for
    these lines: nobody can learn, or be asked, what is not shown or cannot be written.
    """
    log = pack_lines(select([stamped(case).encode()]), context.prompt_budget, context.count_tokens)
    positions = {line.number: position for position, line in enumerate(log.lines, start=1)}
    shown = [positions[number] for number in case.evidence if number in positions]
    writable = grammar.can_write(log, case.cause) and grammar.can_write(log, case.fix)
    if (case.evidence and not shown) or not writable:
        return None
    answer = RootCause(
        category=case.category,
        origin=case.origin,
        transient=case.transient,
        evidence=shown,
        root_cause=case.cause,
        fix=case.fix,
    )
    answer = _in_the_words_of(rules.diagnose(log), log, answer)
    return Example(
        id=case.id,
        pack="log-triage",
        group=case.recipe,
        stratum=case.category,
        input=log.model_dump(mode="json"),
        output=json.loads(answer.model_dump_json()),
        meta={"evidence": case.evidence, "subject": case.subject, "tool": case.tool},
        source=Source(origin="foundry", project=case.tool, time=None, licence="Apache-2.0"),
    )


def trimmed(example: Example) -> Example | None:
    """Return the example without the line farthest from its evidence, or None when the answer needs every line."""
    log, answer = LogInput.model_validate(example.input), RootCause.model_validate(example.output)
    spare = [position for position in range(1, len(log.lines) + 1) if position not in answer.evidence]
    spare.sort(key=lambda position: -min((abs(position - shown) for shown in answer.evidence), default=-position))
    for gone in spare:
        kept = log.model_copy(update={"lines": [line for at, line in enumerate(log.lines, 1) if at != gone]})
        if grammar.can_write(kept, answer.root_cause) and grammar.can_write(kept, answer.fix):
            moved = [position - (position > gone) for position in answer.evidence]
            output = {**example.output, "evidence": moved}
            return example.model_copy(update={"input": kept.model_dump(mode="json"), "output": output})
    return None


def _in_the_words_of(reading: RootCause, log: LogInput, truth: RootCause) -> RootCause:
    """Return the truth, worded like the rules' reading where that is right.

    The model sees the reading. Were the right answer to such a prompt worded otherwise, richer for instance, the model
    would learn to add what it cannot know.
    """
    agrees = reading.category == truth.category and not set(reading.evidence).isdisjoint(truth.evidence)
    writable = grammar.can_write(log, reading.root_cause) and grammar.can_write(log, reading.fix)
    if not (agrees and writable):
        return truth
    return truth.model_copy(update={"root_cause": reading.root_cause, "fix": reading.fix})
