from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.core.settings import Settings, apply_overrides, load_settings


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "understudy.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(BadInput) as caught:
        load_settings(write(folder, text))
    return str(caught.value)


def test_no_file_an_empty_file_and_commented_out_sections_give_the_defaults(tmp_path: Path) -> None:
    assert load_settings(None) == Settings()
    assert load_settings(write(tmp_path, "")) == Settings()
    assert load_settings(write(tmp_path, "# nothing\ntrain:\n  # epochs: 3\ndata:\n")) == Settings()


def test_values_are_read_with_their_types(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            "\ufeffpack: code-review\nbase: {name: org/model, revision: 'abc'}\n"
            "train: {method: lora, learning_rate: 2e-5, threads: 4, lora: {rank: 8, target_modules: [q_proj]}}\n"
            "data: {sources: [{builder: seed}, {builder: jsonl, paths: [a.jsonl], licence: MIT}], max_examples: 50}\n",
        )
    )
    assert settings.pack == "code-review"
    assert settings.train.learning_rate == 2e-5  # YAML 1.1 reads it as text
    assert settings.train.threads == 4
    assert settings.train.lora.target_modules == ("q_proj",)
    assert settings.data.sources[1].paths == ("a.jsonl",)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("pack: x\ntrain:\n  epoch: 3\n", 3, ["train.epoch", "section train", "'epochs'"]),
        ("trian:\n  epochs: 3\n", 1, ["trian", "top level", "'train'"]),
        ("train:\n  few_shot_k: 3\n", 2, ["belongs at evaluate.few_shot_k"]),
        ("train:\n  lora: {ranks: 4}\n", 2, ["train.lora.ranks", "'rank'"]),
        ("data:\n  sources:\n    - builder: seed\n      path: [x]\n", 4, ["data.sources[0].path", "'paths'"]),
        ("base:\n  zzz: 1\n", 2, ["its keys are name, revision"]),
        ("train:\n  epochs: three\n", 2, ["train.epochs must be a number", "'three'"]),
        ("train:\n  epochs: 0\n", 2, ["train.epochs", "greater than 0"]),
        ("train:\n  epochs: .nan\n", 2, ["train.epochs"]),
        ("train:\n  batch_size: 2.5\n", 2, ["whole number", "2.5"]),
        ("train:\n\n  threads: many\n", 3, ["a whole number or 'auto'", "'many'"]),
        ("base:\n  revision: 1234567\n", 2, ["put it in quotes"]),
        ("base:\n  trust_remote_code: maybe\n", 2, ["true or false"]),
        ("train: 3\n", 1, ["train must be a section"]),
        ("data:\n  validation: 0.5\n  test: 0.5\n", 1, ["leave a share for training"]),
        ("gate:\n  baseline: tuned\n", 1, ["baseline must be another arm"]),
        (
            "train:\n  method: prefix\n  lora: {rank: 8}\n",
            1,
            ["lora.rank does nothing while method is 'prefix'; remove it, or set method to lora or qlora"],
        ),
        ("train:\n  method: lora\n  qlora: {quant_type: fp4}\n", 1, ["qlora.quant_type does nothing", "to qlora"]),
        ("train:\n  prefix: {tokens: 3}\n", 1, ["prefix.tokens does nothing while method is 'full'", "to prefix"]),
        ("train:\n  method: ia3\n  adapter: {width: 3}\n", 1, ["adapter.width does nothing", "to adapter"]),
        ("train:\n  method: lora\n  ia3: {target_modules: [q]}\n", 1, ["ia3.target_modules does nothing", "to ia3"]),
        (
            "train:\n  method: adapter\n  adapter: {placement: pfeiffer, target_modules: [w1]}\n",
            3,
            ["placement does nothing while target_modules names the layers"],
        ),
        ("evaluate:\n  arms: [base, base]\n", 1, ["arms must not repeat"]),
        ("train:\n  epochs: 3\n  seed: 1\n  epochs: 4\n", 4, ["train.epochs", "already set in line 2"]),
        ("pack: [\n", 2, ["not valid YAML"]),
        ("pack: x\n\tbase: y\n", 2, ["not valid YAML"]),
        ("pack: x\n---\npack: y\n", 2, ["not valid YAML"]),
        ("pack: !!python/object/apply:os.getcwd []\n", 1, ["tag", "not allowed"]),
        ("pack: !!python/name:os.system x\n", 1, ["not valid YAML"]),
        ("pack: 2026-13-45\n", 1, ["put text in quotes"]),
        ("pack: a\x07b\n", 1, ["not valid YAML"]),
        ("? [a, b]\n: 1\n", 1, ["plain word"]),
        ("data: &a\n  sources: [*a]\n", 1, ["levels deep"]),
        (b"pack: x\nregistry: \xff\n", 2, ["not UTF-8"]),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_way_out(
    tmp_path: Path, text: str | bytes, line: int, words: list[str]
) -> None:
    message = refusal(tmp_path, text)
    assert f"understudy.yaml, line {line}:" in message
    for word in words:
        assert word in message
    assert "\n" not in message


def test_a_file_that_is_a_list_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "key: value" in refusal(tmp_path, "- a\n- b\n")
    with pytest.raises(BadInput, match="cannot be read"):
        load_settings(tmp_path / "absent.yaml")
    with pytest.raises(BadInput, match="cannot be read"):
        load_settings(tmp_path)


def test_all_mistakes_are_listed_in_order_of_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, "gate:\n  alfa: 1\nbase:\n  nam: x\n")
    first, second, third = message.split("\n")
    assert "2 problems" in first
    assert "line 2" in second and "'alpha'" in second
    assert "line 4" in third and "'name'" in third


def test_a_long_hostile_key_is_shortened_and_shown_without_control_characters(tmp_path: Path) -> None:
    message = refusal(tmp_path, '"' + "a" * 500 + '\\e[31m": 1\n')
    assert len(message) < 400
    assert "\x1b" not in message


def test_the_digest_knows_every_value_and_not_how_it_was_written(tmp_path: Path) -> None:
    written = load_settings(write(tmp_path, "train: {epochs: 3.0}\n"))
    assert written.digest() == Settings().digest()
    assert load_settings(write(tmp_path, "train: {epochs: 4}\n")).digest() != Settings().digest()
    assert len(Settings().digest()) == 64


def test_overrides_change_one_value_each_in_order() -> None:
    before = Settings()
    after = apply_overrides(
        before,
        [
            "train.epochs=3",
            "train.epochs=5",
            "train.lora.rank=4",
            "train.method=lora",
            "evaluate.arms=[base, tuned]",
            "pack = x",
        ],
    )
    assert (after.train.epochs, after.train.lora.rank, after.evaluate.arms, after.pack) == (
        5,
        4,
        ("base", "tuned"),
        "x",
    )
    assert before == Settings()
    assert after.data == before.data


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs", ["section.key=value"]),
        ("=3", ["section.key=value"]),
        ("train..epochs=3", ["section.key=value"]),
        ("train.epoch=3", ["'train.epoch=3'", "did you mean 'epochs'"]),
        ("nowhere.epochs=3", ["nowhere"]),
        ("pack.name=3", ["pack is a value"]),
        ("train.epochs=[", ["not valid YAML"]),
        ("train.epochs=many", ["train.epochs must be a number"]),
        ("data.test=0.95", ["leave a share"]),
        ("train.lora.rank=4", ["'train.lora.rank=4'", "train: lora.rank does nothing while method is 'full'"]),
    ],
)
def test_an_override_that_does_not_fit_is_refused_by_name(override: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        apply_overrides(Settings(), [override])
    for word in words:
        assert word in str(caught.value)


def test_overrides_that_only_fit_together_may_come_in_any_order() -> None:
    texts = ["train.lora.rank=4", "train.method=qlora", "train.qlora.quant_type=fp4"]
    for order in (texts, texts[::-1]):
        train = apply_overrides(Settings(), order).train
        assert (train.method, train.lora.rank, train.qlora.quant_type) == ("qlora", 4, "fp4")
    with pytest.raises(BadInput, match=r"lora\.rank does nothing while method is 'ia3'"):
        apply_overrides(apply_overrides(Settings(), texts[:2]), ["train.method=ia3"])


def test_every_setting_has_a_docstring_under_it() -> None:
    import ast

    import understudy.core.settings as module

    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for cls in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
        for field, following in zip(cls.body, [*cls.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(following, ast.Expr), f"{cls.name}.{ast.unparse(field.target)}"
                assert isinstance(following.value, ast.Constant)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_gives_settings_or_one_refusal(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "understudy.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_settings(path), Settings)
    except BadInput as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "arm", ["rag", "rag(3)", "few-shot(5)", "tuned+rag", "tuned+rag(2)", "model:log-triage@champion"]
)
def test_every_kind_of_arm_can_be_named(arm: str) -> None:
    assert apply_overrides(Settings(), [f"evaluate.arms=['{arm}', tuned]"]).evaluate.arms == (arm, "tuned")


@pytest.mark.parametrize("arm", ["rag(0)", "rag()", "bm25", "model:", "tuned(2)", "^base$"])
def test_an_arm_that_cannot_be_run_is_refused(arm: str) -> None:
    with pytest.raises(BadInput, match=r"arms.*is no arm; there are reference, base, few-shot, rag, tuned") as caught:
        apply_overrides(Settings(), [f"evaluate.arms=['{arm}', tuned]"])
    assert repr(arm) in str(caught.value)


def test_an_arm_behind_a_server_needs_its_address() -> None:
    with pytest.raises(BadInput, match="remote_url"):
        apply_overrides(Settings(), ["evaluate.arms=['remote:phi', tuned]"])
