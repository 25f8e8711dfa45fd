# ruff: noqa: E501 - one log line a row
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.templates.log_triage import scan as scan_module
from understudy.templates.log_triage.lines import clean
from understudy.templates.log_triage.select import pack_lines, select

_PIECES = st.sampled_from(
    [b"error: it broke\n", b"FAILED tests/test_a.py::test_b\n", b"ok 1\n", b"\n", b"\r", b"a\rb\n", b"\x1b[31mError\x1b[0m: x\n",
     b"\x0c\n", "x\u2028y\n".encode(), b"\xef\xbb\xbf", b"\xff\n", b"##[error]Process completed with exit code 1.\n",
     b"##[group]Run make\n", b"Traceback (most recent call last):\n", b"  at frame\n", b"timeout " * 30 + b"\n"]
)  # fmt: skip
_LOGS = st.lists(_PIECES | st.binary(max_size=8), max_size=120).map(b"".join)


def _words(text: str) -> int:
    return len(text) // 3 + 1


def _noise(count: int, word: str = "Compiling") -> str:
    return "".join(f"{word} unit_{number} of the library\n" for number in range(count))


@given(_LOGS, st.integers(1, 60), st.integers(1, 200))
def test_selected_lines_are_lines_of_the_log_under_their_numbers(data: bytes, budget: int, size: int) -> None:
    chosen = select([data[start : start + size] for start in range(0, len(data), size)], budget=budget)
    source = data.split(b"\n")
    assert chosen.total_lines == len(source) - (not source[-1])
    assert len(chosen.lines) <= budget
    numbers = [line.number for line in chosen.lines]
    assert numbers == sorted(set(numbers))
    assert all(line.text == clean(source[line.number - 1]).text for line in chosen.lines)


@given(_LOGS, st.integers(1, 400))
def test_the_chunks_a_log_comes_in_do_not_matter(data: bytes, size: int) -> None:
    whole = select([data])
    assert select([data[start : start + size] for start in range(0, len(data), size)]) == whole


@given(_LOGS, st.integers(0, 300))
def test_packed_lines_keep_order_numbers_and_the_budget(data: bytes, budget: int) -> None:
    chosen = select([data])
    packed = pack_lines(chosen, budget, _words)
    numbers = [line.number for line in packed.lines]
    assert numbers == sorted(set(numbers)) and set(numbers) <= {line.number for line in chosen.lines}
    assert sum(_words(f"{line.number}: {line.text}\n") for line in packed.lines) <= budget
    assert all(_words(line.text) <= 60 for line in packed.lines)
    assert packed.total_lines == chosen.total_lines


@given(_LOGS)
def test_the_json_shape_holds_sorted_disjoint_ranges_with_reasons(data: bytes) -> None:
    shown = json.loads(json.dumps(select([data], budget=20).to_json()))
    assert list(shown) == ["total_lines", "selected", "budget", "reasons"]
    flat = [number for pair in shown["selected"] for number in pair]
    assert all(first <= last for first, last in shown["selected"])
    assert all(a[1] + 1 < b[0] for a, b in zip(shown["selected"], shown["selected"][1:], strict=False))
    assert not flat or (flat[0] >= 1 and flat[-1] <= shown["total_lines"])
    assert set(shown["reasons"]) == {f"{first}-{last}" for first, last in shown["selected"]}
    assert all(shown["reasons"].values())


@settings(max_examples=30)
@given(_LOGS, _LOGS)
def test_with_a_green_log_the_numbers_are_right_too(data: bytes, green: bytes) -> None:
    source = data.split(b"\n")
    for line in select([data], green=[green]).lines:
        assert line.text == clean(source[line.number - 1]).text


def test_an_empty_log_selects_nothing() -> None:
    assert select([]).to_json() == {"total_lines": 0, "selected": [], "budget": 150, "reasons": {}}


def test_a_budget_below_one_is_bad_input() -> None:
    with pytest.raises(BadInput, match="at least 1"):
        select([b"x\n"], budget=0)


def test_a_failure_far_from_the_end_is_found() -> None:
    log = _noise(3000) + "src/a.c:3:1: error: unknown type name 'foo'\n" + _noise(3000, "Copying")
    assert 3001 in {line.number for line in select([log.encode()]).lines}


def test_the_exit_code_line_is_no_evidence() -> None:
    log = (
        _noise(30) + "E   assert 1 == 2\nFAILED tests/test_a.py::test_b\n##[error]Process completed with exit code 1.\n"
    )
    packed = pack_lines(select([log.encode()]), 34, _words)
    assert [line.text for line in packed.lines] == ["E   assert 1 == 2", "FAILED tests/test_a.py::test_b"]


def test_the_last_failing_step_goes_before_an_earlier_recovered_error() -> None:
    log = (
        "##[group]Run fetch\nerror: could not connect, retrying\nFetched\n##[endgroup]\n"
        + _noise(40)
        + "##[group]Run make\n##[endgroup]\n"
        + _noise(40)
        + "src/a.c:3:1: error: unknown type name 'foo'\n##[error]Process completed with exit code 2.\nPost job cleanup.\n"
    )
    packed = pack_lines(select([log.encode()]), 30, _words)
    assert any("unknown type name" in line.text for line in packed.lines)
    assert not any("retrying" in line.text for line in packed.lines)


def test_harmless_words_do_not_win_against_the_error() -> None:
    harmless = "".join(
        f"Compiling error_handler_{number}.c\n0 errors, 0 failed\nignoring failure {number}\n" for number in range(200)
    )
    log = harmless + "fatal: repository 'x' not found\n" + harmless
    packed = pack_lines(select([log.encode()]), 60, _words)
    assert any("repository" in line.text for line in packed.lines)


def test_head_and_tail_of_a_long_traceback_are_kept() -> None:
    frames = "".join(f'  File "/a/b{number}.py", line {number}, in run\n    call({number})\n' for number in range(300))
    log = _noise(500) + "Traceback (most recent call last):\n" + frames + "ValueError: bad\n" + _noise(500, "Copying")
    numbers = {line.number for line in select([log.encode()], budget=60).lines}
    assert 501 in numbers and 501 + 601 in numbers


def test_one_long_line_does_not_eat_the_token_budget() -> None:
    log = "error: " + "x" * 50_000 + "\nE   assert 1 == 2\n"
    packed = pack_lines(select([log.encode()]), 120, _words)
    assert len(packed.lines) == 2 and all(_words(line.text) <= 60 for line in packed.lines)


def test_a_long_line_is_cut_around_what_it_says() -> None:
    log = "/usr/bin/ld: " + "p/" * 150 + " multiple definition of `sum_x'; " + "q/" * 150 + "\n"
    (line,) = pack_lines(select([log.encode()]), 100, _words).lines
    assert "multiple definition of `sum_x'" in line.text


def test_what_the_green_log_has_is_left_out_whatever_its_numbers_are() -> None:
    def run(seed: int, extra: str) -> bytes:
        steps = "".join(
            f"step {number} took {seed * number} ms in /tmp/tmp{seed}x{number}/a\n" for number in range(200)
        )
        return (f"id 0{seed}3e4567-e89b-12d3-a456-426614174000 sha {seed}bcdef1\n" + steps + extra).encode()

    chosen = select([run(7, "error: widget exploded\n  at line 3\n")], green=[run(4, "done\n")])
    assert [line.text for line in chosen.lines] == ["error: widget exploded", "  at line 3"]
    assert set(chosen.lines[0].reasons) >= {"green-diff"}


def test_a_green_log_of_another_job_does_not_hide_the_failure() -> None:
    log = _noise(300) + "error: widget exploded\n"
    chosen = select([log.encode()], green=[b"something else\n"])
    assert any(line.text == "error: widget exploded" for line in chosen.lines) and len(chosen.lines) <= 200


def test_a_failure_without_any_new_line_falls_back_to_the_usual_choice() -> None:
    log = (_noise(300) + "error: always there\n").encode()
    assert any("always there" in line.text for line in select([log], green=[log]).lines)


def test_kept_lines_stay_bounded_and_the_strongest_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "_MAX_LINES", 2000)
    spam = "".join(f"Cannot do {number} now, unexpected state\n" + _noise(9) for number in range(3000))
    log = "src/a.c:3:1: error: unknown type name 'foo'\n" + spam
    chunks = [log.encode()[start : start + 4096] for start in range(0, len(log), 4096)]
    kept = scan_module.scan(chunks)
    assert len(kept.kept) <= 2000 + scan_module.TAIL_LINES + 500
    assert 1 in {line.number for line in select(chunks).lines}
