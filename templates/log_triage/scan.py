"""The one pass over a log: finds anchors, keeps them with their surroundings, and forgets the rest.

Speed comes from looking at whole blocks: one regular expression over the lower-cased bytes says which lines may
matter, and only those are cleaned and weighed. Memory is bounded because the kept lines are: when there are too many,
those around the weakest and earliest anchors go first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from understudy.templates.log_triage import signals
from understudy.templates.log_triage.green import GreenLog, normalise
from understudy.templates.log_triage.lines import Block, blocks, clean

__all__ = ["Anchor", "Scan", "scan"]

TAIL_LINES = 1000
"""The end of the log is kept whole for scoring: a cause without any known word usually stands there."""
_BEFORE, _AFTER = 14, 50
_BEFORE_END = 300
_MAX_LINES = 40_000
_MAX_BYTES = 48 << 20
_MAX_TEMPLATES = 50_000
_MIN_WEIGHT = 15.0
_DIGITS = b"0123456789"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line that looks like a cause."""

    number: int
    weight: float
    template: str
    """The line without what changes from repetition to repetition."""


@dataclass
class Scan:
    """What one pass kept of a log."""

    total_lines: int = 0
    kept: dict[int, bytes] = field(default_factory=dict)
    """Raw lines by number: the surroundings of anchors and failing ends, and the tail."""
    anchors: list[Anchor] = field(default_factory=list)
    templates: Counter[str] = field(default_factory=Counter)
    """How often each anchor's template was seen, also where its lines were forgotten."""
    starts: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """Where steps or commands begin."""
    ends: deque[int] = field(default_factory=lambda: deque(maxlen=200))
    """Where a step ends with a failure."""
    fresh: set[int] = field(default_factory=set)
    """Kept lines that the last green log does not have."""
    fresh_total: int = 0


def scan(chunks: Iterable[bytes], green: GreenLog | None = None) -> Scan:
    """Read a log once and return what may matter of it."""
    scanner = _Scanner(green)
    for block in blocks(chunks):
        scanner.feed(block)
    return scanner.finish()


class _Scanner:
    def __init__(self, green: GreenLog | None) -> None:
        self._scan = Scan()
        self._green = green
        self._bytes = 0
        self._keep_until = 0
        self._recent: list[bytes] = []
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._weights: dict[bytes, tuple[float, bool, bool, str]] = {}

    def feed(self, block: Block) -> None:
        """Take the next block."""
        held = self._recent + block.lines
        base = block.first - len(self._recent)
        if self._keep_until >= block.first:
            self._keep(held, base, block.first, self._keep_until)
        lowered = block.data.lower()
        position = index = 0
        while hit := signals.PREFILTER.search(lowered, position):
            index += lowered.count(b"\n", position, hit.start())
            self._look(block.lines[index], block.first + index, held, base)
            position = lowered.find(b"\n", hit.end()) + 1
            if not position:
                break
            index += 1
        if self._green:
            self._compare(block, held, base)
        self._recent = held[-_BEFORE_END:]
        self._tail.extend(block.lines[-TAIL_LINES:])
        self._scan.total_lines = block.first + len(block.lines) - 1
        if len(self._scan.kept) > _MAX_LINES or self._bytes > _MAX_BYTES:
            self._forget()

    def finish(self) -> Scan:
        """Return what was kept, the tail included."""
        first = self._scan.total_lines - len(self._tail) + 1
        for offset, raw in enumerate(self._tail):
            self._scan.kept[first + offset] = raw
        return self._scan

    def _look(self, raw: bytes, number: int, held: list[bytes], base: int) -> None:
        key = raw.translate(None, _DIGITS)
        known = self._weights.get(key)
        if known is None:
            line = clean(raw, number)
            start = signals.is_step_start(line.text, line.marker)
            weight = 0.0 if start else signals.weigh(line.text)
            known = (weight, signals.is_failing_end(line.text), start, normalise(line.text[:300]) if weight else "")
            if len(self._weights) >= _MAX_TEMPLATES:
                self._weights.clear()
            self._weights[key] = known
        weight, ends, starts, template = known
        if starts:
            self._scan.starts.append(number)
        if ends:
            self._scan.ends.append(number)
            self._keep(held, base, number - _BEFORE_END, number)
        if weight >= _MIN_WEIGHT:
            self._anchor(Anchor(number, weight, template), held, base)

    def _anchor(self, anchor: Anchor, held: list[bytes], base: int) -> None:
        scan = self._scan
        scan.anchors.append(anchor)
        if len(scan.templates) < _MAX_TEMPLATES or anchor.template in scan.templates:
            scan.templates[anchor.template] += 1
        self._keep(held, base, anchor.number - _BEFORE, anchor.number + _AFTER)

    def _compare(self, block: Block, held: list[bytes], base: int) -> None:
        assert self._green is not None
        for index in self._green.fresh(block.lines):
            number = block.first + index
            self._scan.fresh_total += 1
            self._keep(held, base, number, number)
            self._scan.fresh.add(number)

    def _keep(self, held: list[bytes], base: int, first: int, last: int) -> None:
        kept = self._scan.kept
        first = max(first, base)
        for number in range(first, min(last, base + len(held) - 1) + 1):
            if number not in kept:
                raw = held[number - base]
                kept[number] = raw
                self._bytes += len(raw)
        self._keep_until = max(self._keep_until, last)

    def _forget(self) -> None:
        """Drop about half: what is far from the strongest and latest anchors."""
        scan = self._scan
        old, scan.kept, self._bytes = scan.kept, {}, 0
        survivors: list[Anchor] = []
        ranges = [(end - _BEFORE_END, end) for end in list(scan.ends)[-8:]]
        spans = iter(sorted(scan.anchors, key=lambda anchor: (anchor.weight // 8, anchor.number), reverse=True))
        while len(scan.kept) < _MAX_LINES // 2 and self._bytes < _MAX_BYTES // 2:
            if ranges:
                first, last = ranges.pop()
            elif anchor := next(spans, None):
                survivors.append(anchor)
                first, last = anchor.number - _BEFORE, anchor.number + _AFTER
            else:
                break
            for number in range(first, last + 1):
                raw = old.get(number)
                if raw is not None and number not in scan.kept:
                    scan.kept[number] = raw
                    self._bytes += len(raw)
        for number in sorted(scan.fresh, reverse=True)[: _MAX_LINES // 4]:
            scan.kept.setdefault(number, old[number])
        scan.fresh.intersection_update(scan.kept)
        scan.anchors = sorted(survivors, key=lambda anchor: anchor.number)
