# ruff: noqa: E501 - one log line a row
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.templates.log_triage.lines import MAX_LINE_BYTES, blocks, clean, cut_middle

_PIECES = st.sampled_from(
    [b"error: x", b"\r", b"\n", b"\r\n", b"\x1b[31m", b"\x1b[0K", b"\x0c", "\u2028".encode(), b"\xef\xbb\xbf", b"\xff\xfe",
     b"2022-06-10T22:51:31.6076995Z ", b"job\tstep\t", b"##[group]Run make", b"##[endgroup]", b"\x1b]0;title\x07", b"\x08"]
)  # fmt: skip
_LOGS = st.lists(_PIECES | st.binary(max_size=6), max_size=60).map(b"".join)


def _lf_lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if not lines[-1] else lines


@given(_LOGS, st.integers(1, 40))
def test_lines_end_at_lf_only_however_the_bytes_are_chunked(data: bytes, size: int) -> None:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    seen = [(block.first + offset, raw) for block in blocks(chunks) for offset, raw in enumerate(block.lines)]
    assert seen == list(enumerate(_lf_lines(data), start=1))


@given(_LOGS)
def test_blocks_hold_their_lines_joined(data: bytes) -> None:
    assert all(block.data == b"\n".join(block.lines) for block in blocks([data]))


@given(_LOGS)
def test_cleaned_text_has_no_character_that_acts(data: bytes) -> None:
    for line in map(clean, _lf_lines(data)):
        assert line.text.replace("\t", "").replace("\xa0", "").isprintable() or not any(
            ord(character) < 32 or character in "\x7f\u2028\u2029\u202e\ufeff"
            for character in line.text.replace("\t", "")
        )


def test_colours_titles_and_links_are_stripped() -> None:
    raw = b"\x1b]0;title\x07\x1b[1;31mERROR\x1b[0m \x1b]8;;http://x.invalid\x1b\\here\x1b]8;;\x1b\\\x1b[0K"
    assert clean(raw).text == "ERROR here"


def test_an_unfinished_title_hides_no_text() -> None:
    assert "error: real" in clean(b"\x1b]0;error: real").text


def test_progress_bars_keep_their_last_state_that_is_not_blank() -> None:
    assert clean(b"10 %\r50 %\r100 %\r").text == "100 %"
    assert clean(b"travis_fold:end:x\r\x1b[0K").text == "travis_fold:end:x"


def test_runner_stamps_and_exported_prefixes_are_stripped() -> None:
    assert clean(b"\xef\xbb\xbf2022-06-10T22:51:31.6076995Z npm ci").text == "npm ci"
    assert clean(b"build\tRun tests\t2022-06-10T22:51:31.6076995Z FAILED x").text == "FAILED x"
    assert clean(b"a\tb\tplain").text == "a\tb\tplain"


def test_group_markers_are_told_but_not_shown() -> None:
    line = clean(b"2022-06-10T22:51:31.6076995Z ##[group]Run make")
    assert (line.text, line.marker) == ("Run make", "group")
    assert clean(b"##[endgroup]").text == ""
    assert clean(b"##[error]it broke").text == "##[error]it broke"


def test_control_and_direction_characters_become_visible() -> None:
    assert clean("a\x0cb\u2028c\u202ed\x08".encode()).text == "a\\x0cb\\u2028c\\u202ed\\x08"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert clean(b"caf\xe9 failed").text == "caf\ufffd failed"


def test_a_huge_line_keeps_both_ends_and_says_how_much_was_cut() -> None:
    chunks = [b"before\nSTART", *[b"x" * 1_000_000] * 30, b"END\nafter\n"]
    seen = [clean(raw, block.first + offset) for block in blocks(chunks) for offset, raw in enumerate(block.lines)]
    assert [line.number for line in seen] == [1, 2, 3]
    assert seen[1].text.startswith("STARTx") and seen[1].text.endswith("xEND")
    assert f"[... {30_000_008 - MAX_LINE_BYTES} bytes cut ...]" in seen[1].text
    assert seen[2].text == "after"


def test_a_long_line_inside_one_chunk_is_cut_too() -> None:
    (block,) = blocks([b"a\n" + b"y" * 100_000 + b"\nb\n"])
    assert len(block.lines) == 3 and len(block.lines[1]) < MAX_LINE_BYTES + 40


def test_the_last_line_counts_with_or_without_lf() -> None:
    assert [[len(block.lines) for block in blocks([data])] for data in (b"a\nb", b"a\nb\n")] == [[1, 1], [2]]
    assert list(blocks([])) == list(blocks([b""])) == []


@given(st.text(max_size=200), st.integers(9, 100))
def test_cutting_keeps_the_limit_and_both_ends(text: str, limit: int) -> None:
    cut = cut_middle(text, limit)
    assert len(cut) <= max(limit, 0) or cut == text
    assert cut == text or (" [...] " in cut and text.startswith(cut.split(" [...] ")[0]))
