"""What a person should know about a dataset version: token lengths, warnings, and the card beside the data."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from understudy.core._cleaning import Removal, moment
from understudy.core.records import DatasetVersion, Example

__all__ = ["card", "token_lengths", "token_report", "warnings_about"]

_FEW_EXAMPLES = 100
_IMBALANCE = 10
_LISTED = 20
_CLASSES = 40
"""A field of more different values is text, and not counted."""
_CLASS_LETTERS = 100
_MARKUP = re.compile(r"[\\`*_\[\]|#!~]")

STEPS = {
    "invalid": "did not satisfy the pack's schema or checks",
    "duplicate": "equal input and output, the earliest kept",
    "conflict": "one input with different outputs, all dropped",
    "over_limit": "more than max_examples allows",
    "near_duplicate": "nearly the same input in the same split, the earliest kept",
    "leakage": "nearly the same input in a split nearer to the test",
}
"""What each cleaning step takes out."""


def token_lengths(
    examples: Sequence[Example], render: Callable[[Example], tuple[str, str]], count_tokens: Callable[[str], int]
) -> dict[str, tuple[int, int]]:
    """Return tokens of prompt and completion by example id."""
    lengths = {}
    for example in examples:
        prompt, completion = render(example)
        lengths[example.id] = (count_tokens(prompt), count_tokens(completion))
    return lengths


def token_report(lengths: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Return the median, 95th percentile (nearest rank) and maximum of prompt, completion and their sum, in tokens."""
    columns = {
        "prompt": [prompt for prompt, _ in lengths.values()],
        "completion": [completion for _, completion in lengths.values()],
        "total": [prompt + completion for prompt, completion in lengths.values()],
    }
    report = {}
    for name, column in columns.items():
        ordered = sorted(column)
        for label, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            report[f"{name}_{label}"] = float(ordered[math.ceil(share * len(ordered)) - 1]) if ordered else 0.0
    return report


def warnings_about(
    splits: Mapping[str, Sequence[Example]],
    lengths: Mapping[str, tuple[int, int]],
    context_limit: int,
    removals: Sequence[Removal],
) -> list[str]:
    """Return what may spoil training or evaluation, one sentence each."""
    found = []
    total = sum(map(len, splits.values()))
    refused = [removal for removal in removals if removal.step == "invalid"]
    if refused:
        found.append(
            f"{len(refused)} examples were refused, the first is {refused[0].id!r}: {refused[0].detail} "
            "(all are listed in removed.jsonl)"
        )
    if total < _FEW_EXAMPLES:
        found.append(f"there are only {total} examples; below {_FEW_EXAMPLES} no proof is reliable")
    found += [f"the {name} split is empty" for name, examples in splits.items() if not examples]
    long = sorted(name for name, (prompt, completion) in lengths.items() if prompt + completion > context_limit)
    if long:
        found.append(f"{len(long)} rows have more than {context_limit} tokens, for example {', '.join(long[:3])}")
    return found + _strata_warnings(splits)


def _strata_warnings(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    found = []
    counts = {name: Counter(example.stratum for example in examples) for name, examples in splits.items()}
    everywhere = sum(counts.values(), Counter[str]())
    for name, count in counts.items():
        absent = sorted(stratum for stratum in everywhere if stratum not in count)
        if absent and count:
            found.append(f"the {name} split has no example of {', '.join(map(repr, absent))}")
    if len(everywhere) > 1:
        (most, many), (least, few) = everywhere.most_common()[0], everywhere.most_common()[-1]
        if many > _IMBALANCE * few:
            found.append(f"labels are out of balance: {many} examples of {most!r}, {few} of {least!r}")
    return found


def card(
    version: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    removals: Sequence[Removal],
    redactions: Mapping[str, int],
    *,
    by_time: bool,
) -> str:
    """Return the dataset card: Markdown behind a YAML header that ``datasets.load_dataset`` understands."""
    conflicts = [removal for removal in removals if removal.step == "conflict"]
    rule = "the newest groups of each stratum are in the test split" if by_time else "a hash of seed and group decides"
    sections = [
        _header(version),
        f"# {version.id}",
        f"Examples of the task pack `{version.pack}`, built by understudy. Digest: `{version.digest}`.",
        "## Splits",
        f"No group stands in two splits; {rule}.",
        _splits_table(splits, version),
        _strata_table(splits),
        _answers_table(splits),
        "## Sources",
        _sources_table(splits),
        "## Cleaning",
        _table(
            ["step", "removed", "meaning"],
            [[step, str(version.removed.get(step, 0)), meaning] for step, meaning in STEPS.items()],
        ),
        _list("Conflicts", [f"{_cell(item.id)}: {_cell(item.detail)}" for item in conflicts]),
        _list("Redacted", [f"{kind}: {count}" for kind, count in sorted(redactions.items())]),
        "## Tokens",
        _table(
            ["", "median", "95 %", "longest"],
            [
                [part, *(f"{version.tokens[f'{part}_{label}']:.0f}" for label in ("p50", "p95", "max"))]
                for part in ("prompt", "completion", "total")
            ],
        ),
        _list("Warnings", [_cell(warning) for warning in version.warnings]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _header(version: DatasetVersion) -> str:
    # An empty split is left out: load_dataset cannot infer columns from an empty file.
    files = [f"  - split: {name}\n    path: {info.file}" for name, info in version.splits.items() if info.count]
    return "\n".join(["---", "configs:", "- config_name: default", "  data_files:", *files, "---"])


def _splits_table(splits: Mapping[str, Sequence[Example]], version: DatasetVersion) -> str:
    rows = []
    for name, examples in splits.items():
        times = sorted(time for time in map(moment, examples) if time is not None)
        ends = [time.date().isoformat() for time in (times[0], times[-1])] if times else ["unknown", "unknown"]
        rows.append([name, str(len(examples)), str(version.splits[name].groups), *ends])
    return _table(["split", "examples", "groups", "from", "to"], rows)


def _strata_table(splits: Mapping[str, Sequence[Example]]) -> str:
    counts = {name: Counter(example.stratum for example in examples) for name, examples in splits.items()}
    strata = sorted(sum(counts.values(), Counter[str]()))
    if strata in ([], [""]):
        return ""
    return _table(["stratum", *counts], [[name, *(str(count[name]) for count in counts.values())] for name in strata])


def _answers_table(splits: Mapping[str, Sequence[Example]]) -> str:
    """Count the values of every field of the output that is a class: a yes or no, or a text of few kinds."""
    counts = {name: Counter[tuple[str, str]]() for name in splits}
    for name, examples in splits.items():
        for example in examples:
            counts[name].update(_classes(example.output, ""))
    everywhere = sum(counts.values(), Counter[tuple[str, str]]())
    kinds = Counter(field for field, _ in everywhere)
    shown = sorted(key for key in everywhere if kinds[key[0]] <= _CLASSES)
    if not shown:
        return ""
    rows = [[field, value, *(str(count[field, value]) for count in counts.values())] for field, value in shown]
    return _table(["field", "answer", *counts], rows)


def _classes(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Yield field and value of texts and truth values, nested ones with the path to them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _classes(inner, f"{field}.{key}".removeprefix("."))
    elif isinstance(value, bool):
        yield field, "yes" if value else "no"
    elif isinstance(value, str) and len(value) <= _CLASS_LETTERS:
        yield field, value


def _sources_table(splits: Mapping[str, Sequence[Example]]) -> str:
    found = Counter(
        (example.source.origin, example.source.project, example.source.licence)
        for examples in splits.values()
        for example in examples
    )
    rows = [[key[0], key[1] or "-", key[2] or "unknown", str(count)] for key, count in sorted(found.items())]
    return _table(["origin", "project", "licence", "examples"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[_cell(cell) for cell in line] for line in (head, *rows)]
    cells.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    rest = [f"- and {len(items) - _LISTED} more, see removed.jsonl"] if len(items) > _LISTED else []
    return "\n".join([f"{title}:", "", *(f"- {item}" for item in items[:_LISTED]), *rest])


def _cell(text: str) -> str:
    """Return outside text as one harmless line of a Markdown table: no markup, no mentions, no new cells."""
    line = html.escape(" ".join(text.split()), quote=False)
    return _MARKUP.sub(r"\\\g<0>", line).replace("@", "@\u200b")
