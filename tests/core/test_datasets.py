from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core import datasets
from understudy.core._duplicates import remove_near_duplicates, shingles
from understudy.core._splits import split_examples
from understudy.core.datasets import build_version, latest_version, list_versions, load_version
from understudy.core.errors import BadInput
from understudy.core.pack import Pack
from understudy.core.records import DatasetVersion, Example
from understudy.core.settings import DataSettings

Make = Callable[..., Example]
DAY_ONE = datetime(2026, 1, 1, tzinfo=timezone.utc)
WORDS = [a + b for a in "bcdfghjklm" for b in ("alo", "enu", "ira", "osk", "uty", "yxe", "ank", "eth")]


def sentence(seed: object, words: int = 30) -> str:
    return " ".join(random.Random(str(seed)).choices(WORDS, k=words))


def many(make: Make, count: int = 60, *, strata: str = "ab", timed: bool = False) -> list[Example]:
    return [
        make(
            f"e{i:03}",
            sentence(i),
            group=f"g{i // 2:02}",
            stratum=strata[i // 2 % len(strata)],
            label=("bug", "feature", "question")[i % 3],
            time=DAY_ONE + timedelta(days=i // 2) if timed else None,
        )
        for i in range(count)
    ]


def build(pack: Pack, examples: Iterable[Example], folder: Path, **changes: Any) -> DatasetVersion:
    return build_version(
        pack,
        examples,
        DataSettings(**changes),
        folder,
        lambda text: len(text.split()),
        lambda example: (str(example.input["text"]), str(example.output["label"])),
    )


def removed(version: DatasetVersion, folder: Path) -> dict[str, str]:
    lines = (folder / "datasets" / version.id / "removed.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return {item["id"]: item["step"] for item in map(json.loads, lines)}


def test_a_version_is_a_whole_folder_that_loads_as_it_was_built(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    examples = many(toy_example)
    version = build(toy, examples, tmp_path)
    folder = tmp_path / "datasets" / version.id
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "README.md",
        "removed.jsonl",
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
    }
    loaded, splits = load_version(version.id, tmp_path)
    assert loaded == version == load_version(folder)[0] == latest_version(tmp_path, "toy")
    assert version.id == f"toy-{version.digest[:12]}"
    everything = [example for split in splits.values() for example in split]
    assert sorted(everything, key=lambda example: example.id) == examples
    assert {name: info.count for name, info in version.splits.items()} == {k: len(v) for k, v in splits.items()}
    assert [path.name for path in folder.parent.iterdir()] == [version.id]  # no temporary folder stays


def test_order_of_arrival_and_a_second_build_change_nothing(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    examples = [*many(toy_example), toy_example("again", sentence(3)), toy_example("twin", sentence(4) + " more")]
    first = build(toy, examples, tmp_path / "a")
    random.Random(5).shuffle(examples)
    second = build(toy, examples, tmp_path / "b")
    assert second.digest == first.digest
    assert second.model_copy(update={"created": first.created}) == first
    for name in ("train.jsonl", "test.jsonl", "README.md", "removed.jsonl"):
        one, two = (tmp_path / side / "datasets" / first.id / name for side in "ab")
        assert one.read_bytes() == two.read_bytes()
    assert build(toy, examples, tmp_path / "a") == first


def test_another_python_process_with_another_hash_seed_gives_the_same_digest(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    version = build(toy, many(toy_example), tmp_path)
    code = (
        "import sys, pathlib; from understudy.core.datasets import load_version, _digest;"
        "print(_digest(load_version(pathlib.Path(sys.argv[1]))[1]))"
    )
    folder = tmp_path / "datasets" / version.id
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={"PYTHONHASHSEED": "99"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == version.digest


def test_a_changed_example_another_split_or_another_seed_is_another_version(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    examples = many(toy_example)
    first = build(toy, examples, tmp_path)
    changed = [examples[0].model_copy(update={"output": {"label": "feature", "why": ""}}), *examples[1:]]
    assert build(toy, changed, tmp_path).digest != first.digest
    assert build(toy, examples, tmp_path, seed=8).digest != first.digest
    assert len(list_versions(tmp_path, "toy")) == 3
    assert list_versions(tmp_path, "other") == [] and latest_version(tmp_path, "other") is None


def test_same_examples_under_another_limit_refresh_the_facts_and_keep_the_data(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    first = build(toy, many(toy_example), tmp_path)
    second = build(toy, many(toy_example), tmp_path, context_limit=10)
    assert (second.id, second.created) == (first.id, first.created)
    assert any("more than 10 tokens" in warning for warning in second.warnings)
    assert load_version(first.id, tmp_path)[0] == second


def test_every_refusal_is_counted_listed_and_explained(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    bad = [
        toy_example("b1", "x", label="nonsense"),
        toy_example("b2", "x", why="refuse me"),
        toy_example("b3", "x", pack="other"),
        toy_example("b4", "x", input={"txt": "x"}),
        toy_example("b5", "x", meta={"n": float("nan")}),
        toy_example("b6", "half \ud800 pair"),
    ]
    version = build(toy, [*bad, *many(toy_example)], tmp_path)
    assert version.removed["invalid"] == len(bad)
    assert {name for name, step in removed(version, tmp_path).items() if step == "invalid"} == {e.id for e in bad}
    assert any("6 examples were refused" in warning for warning in version.warnings)


def test_nothing_usable_and_nothing_given_are_refused_and_write_nothing(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no examples"):
        build(toy, [], tmp_path)
    with pytest.raises(BadInput, match=r"none of the 1 examples.*label"):
        build(toy, [toy_example("b1", "x", label="nonsense")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_duplicates_keep_the_earliest_and_a_left_out_default_makes_no_difference(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    late = toy_example("late", "same words", time=DAY_ONE + timedelta(days=2))
    early = toy_example("early", "same words", time=DAY_ONE, input={"text": "same words", "hint": ""})
    version = build(toy, [late, early, *many(toy_example)], tmp_path)
    assert removed(version, tmp_path)["late"] == "duplicate"
    assert "early" not in removed(version, tmp_path)


def test_one_input_with_two_answers_is_dropped_on_both_sides_and_shown(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    pair = [toy_example("c1", "who knows", label="bug"), toy_example("c2", "who knows", label="feature")]
    version = build(toy, [*pair, *many(toy_example)], tmp_path)
    assert version.removed["conflict"] == 2
    _, splits = load_version(version.id, tmp_path)
    assert not {"c1", "c2"} & {example.id for split in splits.values() for example in split}
    assert "c1: another output than c2" in (tmp_path / "datasets" / version.id / "README.md").read_text("utf-8")


def test_one_id_for_two_contents_is_refused(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'x'"):
        build(toy, [toy_example("x", "one"), toy_example("x", "two")], tmp_path)


def test_secrets_never_reach_the_disk_not_even_where_the_output_repeats_them(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    secret = "hunter" + "2secret"
    leaky = toy_example("leaky", f"DB_PASSWORD={secret} failed", why=f"{secret} is wrong", meta={"seen": secret})
    refused = toy_example("refused", "x", label=f"password={secret}")
    version = build(toy, [leaky, refused, *many(toy_example)], tmp_path)
    for path in (tmp_path / "datasets" / version.id).iterdir():
        assert secret not in path.read_text("utf-8")
    assert "leaky" not in removed(version, tmp_path)
    kept = build(toy, [leaky, *many(toy_example)], tmp_path, redact=False)
    assert secret in (tmp_path / "datasets" / kept.id / "train.jsonl").read_text("utf-8") + (
        tmp_path / "datasets" / kept.id / "test.jsonl"
    ).read_text("utf-8") + (tmp_path / "datasets" / kept.id / "validation.jsonl").read_text("utf-8")


def test_a_placeholder_that_no_longer_fits_the_schema_takes_the_example_out(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    address = "ann@" + "corp.io"
    long = toy_example("long", sentence("long"), why=" ".join([address] * 4))
    version = build(toy, [long, *many(toy_example)], tmp_path)
    assert removed(version, tmp_path)["long"] == "invalid"
    assert any("after redaction" in warning for warning in version.warnings)


def test_max_examples_takes_from_all_groups_in_turn(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    examples = [toy_example(f"a{i}", sentence(("a", i)), group="big") for i in range(40)]
    examples += [toy_example(f"b{i}", sentence(("b", i)), group=f"small{i}") for i in range(10)]
    version = build(toy, examples, tmp_path, max_examples=15)
    _, splits = load_version(version.id, tmp_path)
    groups = [example.group for split in splits.values() for example in split]
    assert len(groups) == 15 and len(set(groups)) == 11
    assert version.removed["over_limit"] == 35


def test_near_duplicates_go_inside_a_split_and_across_from_the_training_side(toy_example: Make) -> None:
    base, other = sentence("base", 120), sentence("other", 120)
    splits = {
        "train": [toy_example("t1", base + " one"), toy_example("t2", other), toy_example("t3", other + " again")],
        "validation": [toy_example("v1", base + " two"), toy_example("v2", sentence("v"))],
        "test": [toy_example("x1", base), toy_example("x2", base + " three")],
    }
    removals: list[Any] = []
    kept = remove_near_duplicates(splits, 0.9, removals)
    assert {name: [example.id for example in split] for name, split in kept.items()} == {
        "train": ["t2"],
        "validation": ["v2"],
        "test": ["x1"],
    }
    assert {item.id: item.step for item in removals} == {
        "x2": "near_duplicate",
        "v1": "leakage",
        "t1": "leakage",
        "t3": "near_duplicate",
    }
    assert remove_near_duplicates(splits, 1.0, []) == splits


def test_two_runs_of_one_job_are_near_duplicates_and_two_jobs_are_not(toy_example: Make) -> None:
    def log(run: int, step: str) -> str:
        return "\n".join(f"2026-01-{run:02}T10:0{i}:00Z [{run * 17 + i}] {step} {sentence(i)}" for i in range(9))

    pair = [toy_example("a", log(1, "lint")), toy_example("b", log(2, "lint")), toy_example("c", sentence("else", 90))]
    kept = remove_near_duplicates({"train": pair}, 0.9, [])
    assert [example.id for example in kept["train"]] == ["a", "c"]


def brute_force(texts: list[str], threshold: float) -> list[int]:
    kept: list[int] = []
    for number, text in enumerate(texts):
        own = shingles(text)
        pairs = [(own, shingles(texts[other])) for other in kept]
        if not any(own and len(a & b) / len(a | b) >= threshold for a, b in pairs):
            kept.append(number)
    return kept


def test_the_search_finds_exactly_what_comparing_all_pairs_finds(toy_example: Make) -> None:
    rng = random.Random(11)
    texts = []
    for i in range(120):
        words = sentence(i // 3, 200).split()
        for _ in range(rng.choice([0, 1, 2, 5])):
            words[rng.randrange(200)] = "changed" + rng.choice(WORDS)
        texts.append(" ".join(words))
    examples = [toy_example(str(i), text) for i, text in enumerate(texts)]
    for threshold in (0.5, 0.7, 0.9, 0.95, 1.0):
        kept = remove_near_duplicates({"train": examples}, threshold, [])["train"]
        expected = brute_force(texts, threshold)
        assert [int(example.id) for example in kept] == expected
        assert 40 <= len(expected) < 115


GROUPS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4), st.integers(0, 50)), min_size=1, max_size=30)


@given(GROUPS, st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 5), st.booleans(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_splits_hold_groups_together_represent_strata_and_ignore_order(
    toy_example: Make, layout: list[tuple[str, int, int]], share: float, seed: int, timed: bool, rng: random.Random
) -> None:
    examples = [
        toy_example(
            f"{g}-{i}", "x", group=f"g{g}", stratum=stratum, time=DAY_ONE + timedelta(days=day) if timed else None
        )
        for g, (stratum, size, day) in enumerate(layout)
        for i in range(size)
    ]
    splits, by_time = split_examples(examples, share, share, seed)
    shuffled = list(examples)
    rng.shuffle(shuffled)
    assert split_examples(shuffled, share, share, seed) == (splits, by_time)
    assert sorted(e.id for split in splits.values() for e in split) == sorted(e.id for e in examples)
    homes: dict[str, set[str]] = defaultdict(set)
    strata: dict[str, set[str]] = defaultdict(set)
    for name, split in splits.items():
        for example in split:
            homes[example.group].add(name)
            strata[example.stratum].add(name)
    assert all(len(names) == 1 for names in homes.values())
    for stratum in strata:
        if sum(item[0] == stratum for item in layout) >= 3:
            assert strata[stratum] == {"train", "validation", "test"}
    assert by_time == (timed and len({day for _, _, day in layout}) > 1)


def test_the_newest_groups_are_tested_and_the_oldest_trained_on(toy_example: Make) -> None:
    examples = many(toy_example, 100, strata="a", timed=True)
    splits, by_time = split_examples(examples, 0.1, 0.2, 7)
    assert by_time
    times = {name: [e.source.time for e in split if e.source.time] for name, split in splits.items()}
    assert max(times["train"]) < min(times["validation"]) and max(times["validation"]) < min(times["test"])
    assert (len(splits["validation"]), len(splits["test"])) == (10, 20)


def test_times_that_are_all_equal_or_partly_absent_do_not_decide(toy_example: Make) -> None:
    same = [toy_example(f"e{i}", "x", time=DAY_ONE) for i in range(20)]
    assert not split_examples(same, 0.1, 0.1, 7)[1]
    some = [toy_example(f"e{i}", "x", time=DAY_ONE + timedelta(days=i) if i else None) for i in range(20)]
    assert not split_examples(some, 0.1, 0.1, 7)[1]


def test_a_time_without_a_zone_counts_as_utc(toy_example: Make) -> None:
    mixed = [
        toy_example(f"e{i}", "x", time=(DAY_ONE + timedelta(days=i)).replace(tzinfo=None if i % 2 else timezone.utc))
        for i in range(20)
    ]
    splits, by_time = split_examples(mixed, 0.1, 0.1, 7)
    assert by_time and [example.id for example in splits["test"]] == ["e18", "e19"]


def test_one_huge_group_does_not_starve_training(toy_example: Make) -> None:
    examples = [toy_example(f"h{i}", "x", group="huge") for i in range(80)]
    examples += [toy_example(f"s{i}", "x", group=f"s{i}") for i in range(20)]
    for seed in range(10):
        splits, _ = split_examples(examples, 0.1, 0.1, seed)
        assert {example.group for example in splits["train"]} >= {"huge"}
        assert 9 <= len(splits["test"]) <= 11


def test_a_share_of_zero_leaves_a_split_empty_and_says_so(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    version = build(toy, many(toy_example), tmp_path, validation=0)
    assert version.splits["validation"].count == 0
    assert "the validation split is empty" in version.warnings
    assert load_version(version.id, tmp_path)[1]["validation"] == []


def test_warnings_name_few_examples_imbalance_absent_strata_and_long_rows(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    examples = [toy_example(f"m{i}", sentence(("m", i)), stratum="much") for i in range(50)]
    examples += [toy_example(f"l{i}", sentence(("l", i)), stratum="little") for i in range(2)]
    text = "\n".join(build(toy, examples, tmp_path, context_limit=20).warnings)
    assert "only 52 examples" in text
    assert "50 examples of 'much', 2 of 'little'" in text
    assert "no example of 'little'" in text
    assert "52 rows have more than 20 tokens" in text
    assert build(toy, many(toy_example, 120), tmp_path).warnings == []


def test_token_lengths_are_reported_for_prompt_completion_and_both(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    examples = [toy_example(f"e{i}", sentence(i, i + 1), group=f"g{i}") for i in range(100)]
    tokens = build(toy, examples, tmp_path).tokens
    assert (tokens["prompt_p50"], tokens["prompt_p95"], tokens["prompt_max"]) == (50, 95, 100)
    assert (tokens["completion_max"], tokens["total_max"]) == (1, 101)


def test_the_card_states_times_and_cannot_be_broken_by_names(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    hostile = [
        toy_example(f"x{i}", sentence(("x", i)), stratum="evil|<script>\n# @all `x`", time=DAY_ONE + timedelta(days=i))
        for i in range(9)
    ]
    version = build(toy, [*many(toy_example, timed=True), *hostile], tmp_path)
    card = (tmp_path / "datasets" / version.id / "README.md").read_text("utf-8")
    assert "the newest groups of each stratum" in card and "2026-01-01" in card
    assert "<script>" not in card and "@all" not in card and "\n# @" not in card
    widths = {line.count(" | ") for line in card.split("\n") if line.startswith("| evil")}
    assert widths == {3}


def test_load_dataset_reads_a_version_by_its_card(toy: Pack, toy_example: Make, tmp_path: Path) -> None:
    hub = pytest.importorskip("datasets")
    version = build(toy, many(toy_example), tmp_path / "registry", validation=0)
    loaded = hub.load_dataset(str(tmp_path / "registry" / "datasets" / version.id), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {
        "train": version.splits["train"].count,
        "test": version.splits["test"].count,
    }


@pytest.mark.parametrize("damage", ["edit", "drop", "manifest", "swap", "escape", "digest"])
def test_a_damaged_version_is_refused_and_a_rebuild_does_not_hide_it(
    toy: Pack, toy_example: Make, tmp_path: Path, damage: str
) -> None:
    version = build(toy, many(toy_example), tmp_path)
    folder = tmp_path / "datasets" / version.id
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    if damage == "edit":
        (folder / "test.jsonl").write_text(
            (folder / "test.jsonl").read_text("utf-8").replace("bug", "feature"), "utf-8"
        )
    elif damage == "drop":
        (folder / "train.jsonl").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{", "utf-8")
    else:
        splits = manifest["splits"]
        if damage == "swap":
            splits["test"], splits["train"] = splits["train"], splits["test"]
        elif damage == "escape":
            splits["test"]["file"] = "../../../etc/passwd"
        else:
            manifest["digest"] = "0" * 64
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BadInput):
        load_version(folder)
    with pytest.raises(BadInput):
        build(toy, many(toy_example), tmp_path)


@pytest.mark.parametrize("name", ["../x", "toy", "toy-XYZ", "/etc-000000000000", "toy-000000000000"])
def test_an_id_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        load_version(name, tmp_path)


def test_a_crash_before_the_end_leaves_no_version(
    toy: Pack, toy_example: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def fail_late(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr(datasets, "_write", fail_late)
    with pytest.raises(OSError, match="No space"):
        build(toy, many(toy_example), tmp_path)
    assert list((tmp_path / "datasets").iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "datasets" / ".new-left-by-a-crash").mkdir()
    (tmp_path / "datasets" / ".new-left-by-a-crash" / "manifest.json").write_text("{", "utf-8")
    version = build(toy, many(toy_example), tmp_path)
    assert latest_version(tmp_path, "toy") == version


def _build_in_a_process(examples: list[Example], folder: Path, pack: Pack, queue: Any) -> None:
    queue.put(build(pack, examples, folder).id)


def test_processes_that_build_the_same_version_at_once_all_succeed(
    toy: Pack, toy_example: Make, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    arguments = (many(toy_example), tmp_path, toy, queue)
    processes = [context.Process(target=_build_in_a_process, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    names = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == sorted(names)
    load_version(names.pop(), tmp_path)
