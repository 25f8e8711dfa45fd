"""The report says what was found, needs nothing but itself, and lets no text from outside become markup."""

from __future__ import annotations

import io
import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from understudy.core.errors import BadInput
from understudy.core.outside import visible
from understudy.core.records import ModelVersion
from understudy.core.registry import Registry
from understudy.evals.arms import prediction
from understudy.evals.charts import axis_for
from understudy.evals.compare import compare
from understudy.evals.console import print_report
from understudy.evals.gate import GateSettings, apply_gate
from understudy.evals.leakage import overlap_of
from understudy.evals.report import read_report, render_html, write_report
from understudy.evals.results import (
    Before,
    Estimate,
    General,
    Identity,
    Memorisation,
    OpenField,
    Rating,
    Report,
    Serving,
)

from .toy import IDENTITY, PACK, answer, example, examples, predictions

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %}'\"&\u202etxt.exe\x00\u2028"
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


class Tags(HTMLParser):
    """Everything in a page that could load or run something, and all its text."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"unbalanced </{tag}>"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def report(identity: Identity = IDENTITY, n: int = 150, hostile: str = "") -> Report:
    samples = examples(n)
    if hostile:
        samples[0] = example(0, text=hostile, group=hostile).model_copy(update={"id": hostile, "stratum": hostile})
    tuned = predictions(samples, "tuned", lambda at: at % 10 > 0)
    if hostile:
        tuned[0] = prediction(PACK, samples[0], "tuned", hostile, "stop")
        tuned[10] = prediction(PACK, samples[10], "tuned", answer("blue", why=hostile), "stop")
    arms = {
        "tuned": tuned,
        "few-shot": predictions(samples, "few-shot", lambda at: at % 3 > 0 or at < 30),
        "reference": predictions(samples, "reference", lambda at: at % 3 == 0),
    }
    found = compare(PACK, samples, arms, identity=identity, resamples=300, corpus_resamples=100)
    return apply_gate(found, GateSettings())


def test_the_page_shows_verdict_reasons_arms_and_every_regression() -> None:
    found = report()
    text = " ".join(parsed(render_html(found)).text)
    assert found.gate is not None and found.regressions
    for wanted in (
        "Ready to go on",
        *found.gate.reasons,
        *(arm.name for arm in found.arms),
        *(case.example_id for case in [*found.regressions, *found.improvements]),
        IDENTITY.model,
        IDENTITY.model_digest,
    ):
        assert wanted in text


@pytest.mark.parametrize(("verdict", "words"), [("fail", "Not ready"), ("inconclusive", "do not decide it")])
def test_the_page_never_looks_like_a_pass_when_it_is_none(verdict: str, words: str) -> None:
    found = report()
    assert found.gate is not None
    gate = found.gate.model_copy(update={"verdict": verdict})
    page = render_html(found.model_copy(update={"gate": gate, "verdict": verdict}))
    assert words in page and "Ready to go on" not in page and f'class="verdict {verdict}"' in page


def change(name: str, unit: str, base: float, tuned: float, **more: bool) -> Before:
    delta = Estimate(value=tuned - base, low=tuned - base - 0.04, high=tuned - base + 0.04)
    ends = [Estimate(value=value, low=value - 0.05, high=value + 0.05) for value in (base, tuned)]
    return Before(name=name, n=100, unit=unit, base=ends[0], tuned=ends[1], delta=delta, **more)  # type: ignore[arg-type]


def full_report() -> Report:
    """A report with every section."""
    samples = examples(150)
    rng = random.Random(4)
    tuned = [
        made.model_copy(update={"confidence": rng.random(), "peak_bytes": 400 << 20})
        for made in predictions(samples, "tuned", lambda at: at % 10 > 0)
    ]
    share = Estimate(value=0.5, low=0.4, high=0.6)
    found = compare(
        PACK,
        samples,
        {"tuned": tuned, "few-shot": predictions(samples, "few-shot", lambda at: at % 3 > 0)},
        identity=IDENTITY.model_copy(update={"model_bytes": 80 << 20}),
        resamples=300,
        corpus_resamples=100,
        unconstrained={"tuned": tuned[:20]},
        compact={"tuned": True, "few-shot": False},
        overlap=overlap_of(examples(3), [example(at, text=f"colour {at}") for at in range(10, 13)]),
        memorisation=Memorisation(n=24, train_verbatim=share, test_verbatim=share, train_right=share, test_right=share),
        general=General(
            forgetting=[
                change("loss on Python code", "nats per token", 1.9, 2.6, higher_is_better=False),
                change("multiple choice", "share right", 0.3, 0.28),
                change("general questions", "share right", 0.3, 0.29, gated=True),
            ],
            safety=[change("harmful requests complied with", "share", 1.0, 0.98, higher_is_better=False, gated=True)],
            open_fields=[OpenField(name="why", most_characters=200)],
            hostile_n=100,
            hostile_valid=share,
            note="A note.",
        ),
    )
    rating = Rating(
        candidate="tuned", baseline="few-shot", raters=2, n=30, preferred=18, rejected=6, same=6, p=0.0227, kappa=0.61
    )
    judged = apply_gate(found.model_copy(update={"rating": rating}), GateSettings())
    assert judged.gate is not None
    serving = Serving(arm="stack", comparison=found.comparisons[0], gate=judged.gate)
    return judged.model_copy(update={"serving": serving})


def test_every_section_of_a_full_report_is_on_the_page_and_survives_its_json() -> None:
    found = full_report()
    assert Report.model_validate_json(found.model_dump_json()) == found
    page = render_html(found, PNG)
    text = " ".join(" ".join(parsed(page).text).split())
    for words in (
        "spaced",
        "100.0 % of 20",
        "400 MiB",
        "80.0 MiB",
        "longest third",
        "Expected calibration error",
        "Share of wrong answers when only the most confident",
        "loss on Python code",
        "Harmful requests planted in the pack's own input: 50 % of 100",
        "at most 200 characters",
        "no group is on both sides",
        "the target word for word",
        "Who answers from now on: the few-shot",
        "inconclusive stack against few-shot: +",
        "2 raters compared",
        "Cohen's kappa 0.61",
        "where the second turns up while the first falls",
        "those both have wrong first",
    ):
        assert words in text, words


def test_a_closed_answer_says_that_no_harm_can_be_emitted() -> None:
    found = full_report()
    assert found.general is not None
    closed = found.model_copy(update={"general": found.general.model_copy(update={"open_fields": []})})
    assert "no harmful text can be emitted" in render_html(closed)


def test_the_loss_curve_is_kept_when_the_page_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "curve.png").write_bytes(PNG)
    write_report(report(), tmp_path, loss_curve=tmp_path / "from" / "curve.png")
    assert "data:image/png" in write_report(report(), tmp_path).read_text()


def test_a_report_without_a_gate_says_so() -> None:
    page = render_html(report().model_copy(update={"gate": None, "verdict": None}))
    assert "Not judged yet" in page


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    tags = parsed(render_html(report(hostile=HOSTILE), PNG))
    assert not tags.tags & {"script", "iframe", "object", "embed", "link", "form", "base"}
    addresses = [value for name, value in tags.attributes if name in ("src", "href", "xlink:href")]
    assert [one for one in addresses if not one.startswith("#")] == ["data:image/png;base64,iVBORw0KGgpyZXN0"]
    anchors = {value for name, value in tags.attributes if name == "id"}
    assert {one[1:] for one in addresses if one.startswith("#")} <= anchors
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    styles = [value for name, value in tags.attributes if name == "style"]
    assert not re.search(r"url\(|@import|expression", " ".join([*styles, *tags.text]))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in tags.attributes


def test_hostile_text_is_shown_as_text_wherever_it_comes_from() -> None:
    identity = IDENTITY.model_copy(update={"base": HOSTILE, "hardware": {HOSTILE: HOSTILE}, "commit": HOSTILE})
    page = render_html(report(identity, hostile=HOSTILE))
    assert "<script>alert" not in page and "onerror=alert(2)>" not in page and "{{ 7*7 }}" in page
    assert "\u202e" not in page and "\x00" not in page and "\u2028" not in page
    assert "&lt;script&gt;alert(1)" in page and "\\u202etxt.exe" in page
    parsed(page)


@settings(max_examples=200)
@given(st.text())
def test_visible_text_has_no_character_that_hides_or_reorders_and_loses_no_other(text: str) -> None:
    shown = visible(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", shown)
    shown.encode("utf-8")
    assert shown == "".join(visible(char) for char in text)
    plain = "".join(re.findall(r"[\n\t -~]", text))
    assert visible(plain) == plain


def test_long_texts_and_long_lists_are_cut_in_the_page_and_whole_in_the_json(tmp_path: Path) -> None:
    samples = [example(at, text="x" * 9_000 + "END") for at in range(130)]
    arms = {
        "tuned": predictions(samples, "tuned", lambda at: False),
        "few-shot": predictions(samples, "few-shot", lambda at: True),
    }
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=100, corpus_resamples=50)
    page = write_report(found, tmp_path)
    assert "30 more in report.json" in page.read_text() and "xEND" not in page.read_text()
    assert (tmp_path / "report.json").read_text().count("xEND") == 130


def test_both_files_are_written_and_the_json_reads_back(tmp_path: Path) -> None:
    found = report()
    curve = tmp_path / "loss.png"
    curve.write_bytes(PNG)
    page = write_report(found, tmp_path / "out", curve)
    assert page.is_file() and "Loss over training steps" in page.read_text()
    assert read_report(tmp_path / "out" / "report.json") == found
    curve.write_bytes(b"<svg onload=alert(1)>")
    with pytest.raises(BadInput, match="no PNG"):
        write_report(found, tmp_path / "other", curve)
    assert not (tmp_path / "other").exists()
    with pytest.raises(BadInput, match="cannot be read"):
        read_report(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(BadInput, match="no evaluation report"):
        read_report(tmp_path / "bad.json")


def test_the_written_report_is_what_the_registry_demands(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    registry = Registry(tmp_path / "registry")
    version: ModelVersion = registry.register(
        folder,
        pack="toy",
        kind="full",
        base="b",
        base_revision="r",
        dataset="d",
        dataset_digest="0" * 64,
        settings={},
    )
    found = report(IDENTITY.model_copy(update={"model": version.id, "model_digest": version.digest}))
    write_report(found, tmp_path)
    assert registry.promote(version.id, report=tmp_path / "report.json").version == version.id
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "pass"


def test_the_terminal_summary_fits_80_columns_and_reads_no_markup() -> None:
    found = report(IDENTITY.model_copy(update={"model": "[bold red]x[/]\x1b[31m"}))
    out = io.StringIO()
    print_report(found, Console(file=out, width=80, force_terminal=False))
    text = out.getvalue()
    assert "[bold red]x[/]\\x1b[31m" in text and "PASS" in text
    assert max(map(len, text.split("\n"))) <= 80 and "…" not in text
    for arm in found.arms:
        assert arm.name in text


def test_the_terminal_shows_what_tuning_did_elsewhere_within_80_columns() -> None:
    found = full_report()
    out = io.StringIO()
    print_report(found, Console(file=out, width=80, force_terminal=False))
    lines = out.getvalue().split("\n")
    assert max(map(len, lines)) <= 80 and "…" not in out.getvalue()
    assert (
        found.general is not None and " INCONCLUSIVE  stack against few-shot: the few-shot answers from now on" in lines
    )
    for one in [*found.general.forgetting, *found.general.safety]:
        (line,) = [
            line for line in lines if line.strip().startswith(f"{one.name} ") and f"{one.base.value:.3f}" in line
        ]
        assert f"{one.tuned.value:.3f}" in line and f"{one.delta.value:+.3f}" in line


finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=6))
def test_an_axis_holds_all_its_values_between_round_ends(values: list[float]) -> None:
    axis = axis_for([Estimate(value=value) for value in values], include=[0.0])
    assert axis.low <= min([*values, 0.0]) + 1e-9 * axis.step and axis.high >= max([*values, 0.0]) - 1e-9 * axis.step
    assert 2 <= len(axis.ticks) <= 8
    assert all(0 <= axis.x(value) <= axis.width for value in values)
    assert sorted(axis.x(value) for value in values) == [axis.x(value) for value in sorted(values)]
    assert len({axis.label(tick) for tick in axis.ticks}) == len(axis.ticks)
