"""The seedling's gate: finding a random identifier among distractors and copying it with its line number."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from understudy.core.nursery._drills import IGNORE, Lines

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["measure"]

_DISTRACTORS = 12
_ROWS = 16
_RATE = 1e-3
_WARMUP = 20
"""Steps."""


def _sample(rng: random.Random, lines: Lines) -> tuple[str, str]:
    wanted = rng.randrange(_DISTRACTORS + 1)
    shown, answer = [], ""
    for position in range(_DISTRACTORS + 1):
        name = lines.identifier(rng)
        word = "missing" if position == wanted else rng.choice(("found", "loaded", "ready", "written", "checked"))
        shown.append(f"{position + 1}: {word} `{name}` {rng.choice(lines.pool)[:50]}")
        if position == wanted:
            answer = f"`{name}` {position + 1}"
    return "\n".join(shown) + "\n", answer


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lines: Lines, steps: int = 250, samples: int = 200
) -> dict[str, float]:
    """Fine-tune ``model`` (in place) for ``steps`` batches of 16, then return the exact-match share on fresh samples.

    The task: thirteen numbered lines, each with a word, a random identifier and a piece of a real line; the answer is
    the identifier of the one line that says "missing", and that line's number. Identifiers stand in backquotes, so
    that one has the same tokens wherever it stands.
    """
    import torch

    def rows(seed: str, count: int) -> list[tuple[list[int], list[int]]]:
        made = []
        for number in range(count):
            asked, answer = _sample(random.Random(f"{seed}-{number}"), lines)
            prompt = tokenizer(f"<|user|>{asked}<|end|><|assistant|>", add_special_tokens=False)["input_ids"]
            made.append((prompt, [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]))
        return made

    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = _RATE * min((step + 1) / _WARMUP, (steps - step) / steps)
        batch = rows(f"train-{step}", _ROWS)
        width = max(len(prompt) + len(answer) for prompt, answer in batch)
        inputs = np.zeros((_ROWS, width), dtype=np.int64)
        labels = np.full((_ROWS, width), IGNORE, dtype=np.int64)
        for row, (prompt, answer) in enumerate(batch):
            inputs[row, : len(prompt) + len(answer)] = prompt + answer
            labels[row, len(prompt) : len(prompt) + len(answer)] = answer
        target = torch.from_numpy(labels)[:, 1:]
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(torch.from_numpy(inputs), use_cache=False).logits[:, :-1]
        learn = target != IGNORE
        torch.nn.functional.cross_entropy(logits[learn].float(), target[learn]).backward()
        optimiser.step()
        optimiser.zero_grad()
    exact = 0
    for prompt, answer in rows("test", samples):
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + answer]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        exact += logits.argmax(-1).tolist() == answer  # greedy decoding gives the answer exactly when every step does
    return {"exact": exact / samples, "samples": samples, "steps": steps}
