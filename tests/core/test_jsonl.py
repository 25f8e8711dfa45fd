from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from understudy.core.errors import BadInput
from understudy.core.jsonl import EXPORT_FORMS, export_examples, read_examples, read_preferences
from understudy.core.pack import Pack
from understudy.core.records import Example, Preference, Source

Make = Callable[..., Example]
INPUT, OUTPUT = {"text": "it broke"}, {"label": "bug", "why": "says so"}


def lines(folder: Path, *values: Any) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values), "utf-8")
    return path


@pytest.mark.parametrize(
    "line",
    [
        {"input": INPUT, "output": OUTPUT},
        {"input": json.dumps(INPUT), "output": json.dumps(OUTPUT)},
        {"instruction": json.dumps(INPUT), "input": "", "output": json.dumps(OUTPUT)},
        {"instruction": INPUT, "output": OUTPUT},
        {"prompt": INPUT, "completion": OUTPUT},
        {"prompt": json.dumps(INPUT), "completion": json.dumps(OUTPUT)},
        {
            "prompt": [{"role": "user", "content": json.dumps(INPUT)}],
            "completion": [{"role": "assistant", "content": json.dumps(OUTPUT)}],
        },
        {
            "messages": [
                {"role": "system", "content": "Label it."},
                {"role": "user", "content": json.dumps(INPUT)},
                {"role": "assistant", "content": json.dumps(OUTPUT)},
            ]
        },
    ],
)
def test_every_accepted_form_says_the_same_example(toy: Pack, tmp_path: Path, line: dict[str, Any]) -> None:
    (example,) = read_examples(lines(tmp_path, line), toy)
    assert (example.input, example.output, example.pack) == (INPUT, OUTPUT, "toy")
    assert example.source.origin == "jsonl" and example.meta == {}
    assert example.id.startswith("jsonl-") and example.group.startswith("jsonl-")
    (again,) = read_examples(lines(tmp_path, {"input": INPUT, "output": OUTPUT}), toy)
    assert again == example


def test_an_instruction_with_an_input_is_set_aside_as_the_pack_gives_its_own(toy: Pack, tmp_path: Path) -> None:
    line = {"instruction": "Label it.", "input": json.dumps(INPUT), "output": json.dumps(OUTPUT)}
    (example,) = read_examples(lines(tmp_path, line), toy)
    assert (example.input, example.output, example.meta) == (INPUT, OUTPUT, {"instruction": "Label it."})
    with pytest.raises(BadInput, match="line 1: the prompt is plain text, but the pack toy needs the fields text"):
        read_examples(lines(tmp_path, {"instruction": "Label: it broke", "input": "", "output": OUTPUT}), toy)


def test_ids_come_from_the_content_and_equal_inputs_are_one_group(toy: Pack, tmp_path: Path) -> None:
    other = {"label": "feature", "why": ""}
    one, two, three = read_examples(
        lines(
            tmp_path,
            {"input": INPUT, "output": OUTPUT},
            {"input": INPUT, "output": other},
            {"input": {"text": "x"}, "output": other},
        ),
        toy,
    )
    assert one.id != two.id and one.group == two.group != three.group


def test_known_keys_are_used_and_others_kept_in_meta(toy: Pack, tmp_path: Path) -> None:
    source = {"origin": "tracker", "project": "a/b", "time": "2026-01-02T03:04:05Z", "licence": "MIT"}
    line = {"input": INPUT, "output": OUTPUT, "id": "i", "group": "g", "stratum": "s", "source": source, "stars": 5}
    (example,) = read_examples(lines(tmp_path, line | {"meta": {"entity": "x"}}), toy)
    assert (example.id, example.group, example.stratum) == ("i", "g", "s")
    assert example.source == Source.model_validate(source)
    assert example.source.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert example.meta == {"stars": 5, "entity": "x"}


@pytest.mark.parametrize("question", ["prompt", "input"])
def test_chosen_and_rejected_are_a_preference(toy: Pack, tmp_path: Path, question: str) -> None:
    worse = {"label": "feature", "why": ""}
    line = {question: INPUT, "chosen": OUTPUT, "rejected": json.dumps(worse), "reason": "feedback", "stars": 1}
    (first,) = read_preferences(lines(tmp_path, line), toy)
    assert (first.input, first.chosen, first.rejected, first.reason) == (INPUT, OUTPUT, worse, "feedback")
    path = lines(tmp_path, line, {"input": INPUT, "output": OUTPUT})
    with pytest.raises(BadInput, match=r"line 1: is a preference.*1 of 2 lines"):
        read_examples(path, toy)
    with pytest.raises(BadInput, match="line 2: is an example"):
        read_preferences(path, toy)


class ChatInput(BaseModel):
    model_config = ConfigDict(extra="forbid")
    prompt: str


class ChatOutput(BaseModel):
    model_config = ConfigDict(extra="forbid")
    completion: str


def test_plain_text_is_taken_only_by_a_pack_that_has_a_field_for_it(toy: Pack, tmp_path: Path) -> None:
    class Chat(type(toy)):  # type: ignore[misc]
        Input, Output = ChatInput, ChatOutput

    path = lines(tmp_path, {"prompt": "Why?", "completion": "Because."})
    (example,) = read_examples(path, Chat())
    assert (example.input, example.output) == ({"prompt": "Why?"}, {"completion": "Because."})
    with pytest.raises(
        BadInput, match=r"line 1: the prompt is plain text, but the pack toy needs the fields text, hint"
    ):
        read_examples(path, toy)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "is a JSON array"),
        ("3", "is a JSON value"),
        ("{}", "has the keys (none)"),
        ('{"text": 1}', "has the keys text"),
        ('{"input": {"text": "x"}, "input": 2, "output": {}}', "gives the key 'input' twice"),
        ('{"input": {"text": NaN}, "output": {}}', "NaN"),
        ('{"input": {"text": "x"}, "output": {"label": "bug"}, "score": 1e999}', "Out of range"),
        ('{"input": {"text": "\\ud800"}, "output": {"label": "bug"}}', "surrogate"),
        ('{"input": {"txt": "x"}, "output": {"label": "bug"}}', "prompt.text"),
        ('{"input": {"text": "x"}, "output": {"label": "nope"}}', "completion.label"),
        ('{"input": {"text": "x"}, "output": 3}', "must be an object, text or a list"),
        ('{"input": {"text": "x"}, "output": {"label": "bug"}, "id": 3}', "id:"),
        ('{"input": {"text": "x"}, "output": {"label": "bug"}, "meta": 3}', "meta must be an object"),
        ('{"messages": []}', "messages must be a list"),
        (
            '{"messages": [{"role": "user", "content": "{\\"text\\": \\"x\\"}"}, {"role": "user", "content": "x"}]}',
            "stands where",
        ),
        ('{"messages": [{"role": "assistant", "content": "{}"}]}', "0 messages are from 'user'"),
        ('{"messages": [{"role": "user"}, {"role": "assistant", "content": "{}"}]}', "a role and a content"),
        ('{"prompt": {"text": "x"}, "chosen": {"label": "bug"}, "rejected": {"label": "bug"}}', "same answer"),
        ('{"id":"a","pack":"other","group":"g","input":{},"output":{},"source":{"origin":"x"}}', "belongs to the pack"),
        (
            '{"id":"a","pack":"toy","group":"g","input":{"text":"x"},"output":{},"source":{"origin":"x"}}',
            "output.label",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_line_is_named_with_its_number_and_the_count(toy: Pack, tmp_path: Path, line: str, words: str) -> None:
    good = {"input": INPUT, "output": OUTPUT}
    path = lines(tmp_path, good, "", line, good, line)
    with pytest.raises(BadInput) as caught:
        read_examples(path, toy)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 3: ") and words in message
    assert "2 of 4 lines are broken" in message


def test_bytes_that_are_not_utf8_are_named_by_line_and_a_byte_order_mark_is_not_minded(
    toy: Pack, tmp_path: Path
) -> None:
    good = json.dumps({"input": INPUT, "output": OUTPUT}).encode()
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n\n" + good)
    assert len(list(read_examples(path, toy))) == 2
    path.write_bytes(good + b"\n" + good[:-1] + b"\xff}\n")
    with pytest.raises(BadInput, match=r"line 2: is not UTF-8.*1 of 2"):
        read_examples(path, toy)
    path.write_bytes(json.dumps({"input": INPUT, "output": OUTPUT}).encode("utf-16"))
    with pytest.raises(BadInput, match="line 1: is not UTF-8"):
        read_examples(path, toy)
    path.write_bytes(b"\n \n")
    with pytest.raises(BadInput, match="no lines"):
        read_examples(path, toy)
    with pytest.raises(BadInput, match="cannot be read"):
        read_examples(tmp_path / "absent.jsonl", toy)


@given(st.text(max_size=40), st.sampled_from(["bug", "feature", "question"]))
def test_what_is_exported_with_our_fields_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, toy: Pack, toy_example: Make, text: str, label: str
) -> None:
    path = tmp_path_factory.mktemp("trip") / "out.jsonl"
    example = toy_example("e1", text, label=label, stratum="s", time=datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert export_examples([example], toy, path, "records") == 1
    assert list(read_examples(path, toy)) == [example]
    export_examples([example], toy, path, "input-output")
    (back,) = read_examples(path, toy)
    assert (back.id, back.group, back.input, back.output) == (example.id, example.group, example.input, example.output)


def test_trainers_and_hosted_services_get_the_packs_own_prompt(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    example = toy_example("e1", "it broke é", output={"why": "says so", "label": "bug"})
    prompt = [{"role": "system", "content": "Label it."}, {"role": "user", "content": "it broke é"}]
    answer = [{"role": "assistant", "content": '{"label":"bug","why":"says so"}'}]  # schema order
    wanted = {
        "prompt-completion": {"id": "e1", "group": "e1", "prompt": prompt, "completion": answer},
        "messages": {"id": "e1", "group": "e1", "messages": prompt + answer},
        "hosted": {"messages": prompt + answer},
    }
    for form in ("prompt-completion", "messages", "hosted"):
        path = tmp_path / f"{form}.jsonl"
        export_examples([example, example], toy, path, form)
        written = path.read_text("utf-8")
        assert written.endswith("\n") and "é" in written
        assert [json.loads(line) for line in written.split("\n")[:-1]] == [wanted[form]] * 2


def test_preferences_are_exported_for_preference_trainers_and_read_back_as_records(toy: Pack, tmp_path: Path) -> None:
    preference = Preference(
        id="p",
        pack="toy",
        group="g",
        input=INPUT,
        chosen=OUTPUT,
        rejected={"label": "feature"},
        source=Source(origin="x"),
    )
    path = tmp_path / "p.jsonl"
    export_examples([preference], toy, path, "preferences")
    line = json.loads(path.read_text("utf-8"))
    assert set(line) == {"prompt", "chosen", "rejected"}
    assert line["rejected"] == [{"role": "assistant", "content": '{"label":"feature","why":""}'}]
    export_examples([preference], toy, path, "records")
    assert list(read_preferences(path, toy)) == [preference]


def test_an_export_that_cannot_be_finished_leaves_the_old_file(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old", "utf-8")
    example = toy_example("e1", "x")
    preference = Preference(
        id="p",
        pack="toy",
        group="g",
        input=INPUT,
        chosen=OUTPUT,
        rejected={"label": "feature"},
        source=Source(origin="x"),
    )
    for form in EXPORT_FORMS:
        if form != "records":
            with pytest.raises(BadInput, match="cannot be exported"):
                export_examples([example, preference], toy, path, form)
    with pytest.raises(BadInput, match="not a form"):
        export_examples([example], toy, path, "csv")  # type: ignore[arg-type]
    assert path.read_text("utf-8") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["out.jsonl"]
