"""A shared row must give the log-probabilities of two rows, or be refused."""

from __future__ import annotations

import random
from typing import Any

import pytest

from understudy.core._prefix_sharing import Scorer, refusal
from understudy.core.rows import IGNORE

from .tiny import VOCABULARY, tiny_model


def pair(seed: int, prompt: int, chosen: int, rejected: int) -> tuple[list[int], list[int], list[int]]:
    rng = random.Random(seed)
    return tuple([rng.randrange(3, VOCABULARY) for _ in range(n)] for n in (prompt, chosen, rejected))  # type: ignore[return-value]


PAIRS = [pair(1, 60, 9, 14), pair(2, 41, 12, 5), pair(3, 3, 1, 1), pair(4, 20, 1, 30)]


def batch(pairs: list[tuple[list[int], list[int], list[int]]]) -> dict[str, Any]:
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    rows = [dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), parts, strict=True)) for parts in pairs]
    made = DataCollatorForPreference(pad_token_id=0)(rows)
    labels = made["input_ids"].masked_fill(made["completion_mask"] == 0, IGNORE)
    assert torch.equal(labels != IGNORE, made["completion_mask"].bool())
    return {"input_ids": made["input_ids"], "attention_mask": made["attention_mask"], "labels": labels}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_shared_rows_give_the_log_probabilities_of_two_rows(kind: str, attention: str) -> None:
    import torch

    model = tiny_model(kind).eval()
    model.set_attn_implementation(attention)
    with torch.no_grad():
        apart, shared = Scorer(model)(**batch(PAIRS)), Scorer(model, shared=True)(**batch(PAIRS))
    assert (apart.log_probs != 0).sum() == sum(len(c) + len(r) for _, c, r in PAIRS)
    assert (apart.log_probs - shared.log_probs).abs().max() < 5e-6  # of numbers around 10: the last float32 bits
    for name in ("entropy", "mean_logits"):
        torch.testing.assert_close(getattr(apart, name), getattr(shared, name), atol=1e-5, rtol=1e-5)
    assert torch.equal(apart.is_top1, shared.is_top1)


def test_shared_rows_give_the_gradients_of_two_rows() -> None:
    import torch

    found = []
    for shared in (False, True):
        model = tiny_model("qwen3")
        out = Scorer(model, shared=shared)(**batch(PAIRS))
        out.log_probs.sum(dim=1).tanh().sum().backward()
        found.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_figures_are_those_of_the_whole_softmax() -> None:
    import torch

    model = tiny_model("llama").eval()
    given = batch(PAIRS)
    with torch.no_grad():
        out = Scorer(model)(**given)
        logits = model(given["input_ids"], attention_mask=given["attention_mask"]).logits[:, :-1]
    wanted = given["labels"][:, 1:] != IGNORE
    every = logits.log_softmax(dim=-1)
    by_hand = every.gather(2, given["input_ids"][:, 1:, None])[..., 0]
    torch.testing.assert_close(out.log_probs, by_hand * wanted, atol=1e-5, rtol=1e-5)
    entropy = -(every.exp() * every).sum(dim=-1)
    torch.testing.assert_close(out.entropy, entropy * wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_attention_may_share(kind: str) -> None:
    model = tiny_model(kind).train()
    assert refusal(model, *PAIRS[0]) == ""
    assert model.training, "the trial leaves the model as it was"


def test_convolutions_may_not_share() -> None:
    assert "a layer reads across the border" in refusal(tiny_model("lfm2"), *PAIRS[0])


def test_a_window_shorter_than_the_prompt_may_not_share() -> None:
    """The window of a shared row would be counted from the row's end, over the other answer."""
    model = tiny_model("mistral", sliding_window=32)
    assert refusal(model, *pair(5, 4, 3, 3)) == "", "the window is not reached"
    assert "differ" in refusal(model, *pair(5, 60, 20, 20))


def test_an_attention_without_free_masks_may_not_share() -> None:
    model = tiny_model("llama")
    model.config._attn_implementation = "flash_attention_2"
    assert "takes no 4-D mask" in refusal(model, *PAIRS[0])
