"""A report as two files: ``report.json`` for machines, and one ``report.html`` that needs nothing else to be read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer, write_text
from understudy.core.outside import visible
from understudy.evals.charts import Plot, axis_for
from understudy.evals.results import BUCKETS, Answer, Case, Comparison, Estimate, Report
from understudy.evals.text import number, p_value, signed

__all__ = ["read_report", "render_html", "write_report"]

_CASES = 100
"""Cases of a kind shown in the page; ``report.json`` has all of them."""
_TEXT = 6_000
"""Characters of one text shown in the page."""
_NATS = "nats per token"
_CURVE = "curve.png"
_PNG = b"\x89PNG\r\n\x1a\n"
_HEADLINES = {
    "pass": "Ready to go on",
    "fail": "Not ready",
    "inconclusive": "These samples do not decide it",
    None: "Not judged yet",
}
_SECTIONS = {
    "arms": "Arms",
    "serving": "Who answers",
    "answers": "Answers",
    "cost": "Cost and form",
    "metrics": "Metrics",
    "slices": "Parts",
    "classes": "Classes",
    "calibration": "Calibration",
    "forgetting": "Forgetting",
    "safety": "Safety",
    "leakage": "Leakage",
    "people": "People",
    "training": "Training",
    "regressions": "Regressions",
    "identity": "Identity",
}
_BUCKET_NAMES = {
    "right": "right",
    "wrong": "wrong",
    "problems": "checks object",
    "schema_invalid": "schema-invalid",
    "truncated": "truncated",
}


def write_report(report: Report, folder: Path, loss_curve: Path | None = None) -> Path:
    """Write ``report.json`` and ``report.html`` into ``folder``; return the path of the page.

    Args:
        report: the evaluation, after the gate.
        folder: made when missing.
        loss_curve: a PNG shown in the page, and kept beside it for the next time the page is written.

    Raises:
        BadInput: ``loss_curve`` is no PNG.
    """
    kept = folder / _CURVE
    picture = _picture(loss_curve) if loss_curve is not None else _picture(kept) if kept.exists() else None
    if picture is not None and loss_curve is not None:
        with atomic_writer(kept) as out:
            out.write(picture)
    page = folder / "report.html"
    write_text(page, render_html(report, picture))
    write_text(folder / "report.json", report.model_dump_json(indent=2) + "\n")
    return page


def _picture(path: Path) -> bytes:
    try:
        picture = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    if not picture.startswith(_PNG):
        raise BadInput(f"{path} is no PNG image; the loss curve must be one")
    return picture


def read_report(path: Path) -> Report:
    """Return the report in a ``report.json``.

    Raises:
        BadInput: the file is missing or no report.
    """
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{path} is no evaluation report: {str(error).split(chr(10))[0]}") from None


def render_html(report: Report, loss_curve: bytes | None = None) -> str:
    """Return the page: no script, no network, every text from outside escaped."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, signed=signed, p=p_value, visible=visible, pretty=_pretty)
    template = environment.from_string(Path(__file__).with_name("report.html.j2").read_text("utf-8"))
    return template.render(
        report=report,
        headline=_HEADLINES[report.verdict],
        bucket_names=_BUCKET_NAMES,
        buckets=list(reversed(BUCKETS)),
        value_axis=axis_for(arm.metrics[report.primary] for arm in report.arms),
        delta_axis=axis_for((_primary_delta(report, one) for one in report.comparisons), include=[0.0]),
        metrics=_metric_rows(report),
        classes=_class_rows(report),
        decisive=report.arm(report.candidate).classes,
        picture=base64.b64encode(loss_curve).decode("ascii") if loss_curve else None,
        regressions=[_case(case) for case in report.regressions[:_CASES]],
        improvements=[_case(case) for case in report.improvements[:_CASES]],
        identity=_identity(report),
        deltas={one.arm: _primary_delta(report, one) for one in report.comparisons},
        ties=[_case(case) for case in report.ties],
        calibration=report.arm(report.candidate).calibration,
        plot=Plot(),
        changes=_changes(report),
        sections=_sections(report, loss_curve is not None),
    )


def _sections(report: Report, picture: bool) -> list[tuple[str, str]]:
    """Return anchors and titles of the sections that this page has."""
    ours = report.arm(report.candidate)
    there = {
        "serving": report.serving is not None,
        "slices": len(report.slices) > 1,
        "classes": ours.classes is not None,
        "calibration": ours.calibration is not None,
        "forgetting": report.general is not None,
        "safety": report.general is not None,
        "leakage": report.overlap is not None or report.memorisation is not None,
        "people": report.rating is not None,
        "training": picture,
    }
    return [(name, title) for name, title in _SECTIONS.items() if there.get(name, True)]


def _changes(report: Report) -> list[dict[str, Any]]:
    """What tuning did to everything else, in two blocks, each with an axis per unit: nats and shares do not mix."""
    if report.general is None:
        return []
    found = []
    for title, rows in (("Forgetting", report.general.forgetting), ("Safety", report.general.safety)):
        axes = {
            unit: axis_for(
                (row.delta for row in rows if (row.unit == _NATS) == (unit == _NATS)), include=[0.0], width=240
            )
            for unit in {row.unit for row in rows}
        }
        found.append({"title": title, "rows": [{"row": row, "axis": axes[row.unit]} for row in rows]})
    return found


def _primary_delta(report: Report, comparison: Comparison) -> Estimate:
    return comparison.deltas[report.primary]


def _metric_rows(report: Report) -> list[dict[str, Any]]:
    """One row per metric, the primary first; the best arm of each row is marked."""
    names = sorted(report.higher_is_better, key=lambda name: (name != report.primary, name != "correct"))
    rows = []
    for name in names:
        cells = [arm.metrics.get(name) for arm in report.arms]
        values = [cell.value for cell in cells if cell is not None]
        best = (max if report.higher_is_better[name] else min)(values) if len(set(values)) > 1 else None
        rows.append({"name": name, "cells": cells, "best": best, "up": report.higher_is_better[name]})
    return rows


def _class_rows(report: Report) -> list[dict[str, Any]]:
    """Candidate and baseline class by class, commonest first."""
    ours, theirs = report.arm(report.candidate).classes, report.arm(report.baseline).classes
    if ours is None or theirs is None:
        return []
    rows = []
    for at, label in enumerate(ours.labels):
        other = theirs.f1[theirs.labels.index(label)] if label in theirs.labels else None
        rows.append(
            {
                "label": label,
                "support": ours.support[at],
                "precision": ours.precision[at],
                "recall": ours.recall[at],
                "f1": ours.f1[at],
                "other": other,
            }
        )
    return sorted(rows, key=lambda row: (-row["support"], row["label"]))


def _case(case: Case) -> dict[str, Any]:
    """One sample with both answers, field by field."""
    keys = list(case.expected)
    for answer in (case.candidate, case.baseline):
        keys += [key for key in answer.output or {} if key not in keys]
    rows = [
        {
            "field": key,
            "expected": case.expected.get(key),
            "cells": [_cell(answer, key, case.expected) for answer in (case.candidate, case.baseline)],
        }
        for key in keys
    ]
    return {"case": case, "rows": rows, "prompt": _shortened(case.prompt)}


def _cell(answer: Answer, key: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    if answer.output is None:
        return {"state": "none", "value": None}
    value = answer.output.get(key)
    return {"state": "same" if value == expected.get(key) else "other", "value": value}


def _identity(report: Report) -> list[tuple[str, str]]:
    """What was compared, as label and value; empty values are left out."""
    one = report.identity
    rows = [
        ("Model", one.model),
        ("Model digest", one.model_digest),
        ("Base", f"{one.base} {one.base_revision}".strip()),
        ("Dataset", one.dataset),
        ("Dataset digest", one.dataset_digest),
        ("Split", one.split),
        ("Chat template", one.template_digest),
        ("Decoding", ", ".join(f"{key} {value}" for key, value in one.decoding.items())),
        ("Own files", f"{one.model_bytes / 2**20:,.1f} MiB" if one.model_bytes else ""),
        ("Seed", str(one.seed)),
        ("Commit", one.commit),
        ("Versions", ", ".join(f"{key} {value}" for key, value in one.versions.items())),
        ("Hardware", ", ".join(f"{key}: {value}" for key, value in one.hardware.items())),
        ("Created", f"{report.created:%Y-%m-%d %H:%M %Z}"),
        ("Resampling", f"{report.resamples:,} draws of {report.groups} groups, {report.corpus_resamples:,} recomputed"),
    ]
    return [(label, value) for label, value in rows if value]


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}\n... {len(text) - _TEXT:,} more characters in report.json"


def _pretty(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return visible(_shortened(text))
