"""The last stage: weights as bf16 safetensors, in the same folder format as any other model."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.files import write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ship"]


def ship(work: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write model, tokenizer and model card to ``folder``."""
    import torch

    model.to(torch.bfloat16)  # type: ignore[arg-type]
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    write_text(folder / "README.md", _card(work, sum(p.numel() for p in model.parameters())))


def _card(work: Path, parameters: int) -> str:
    corpus = json.loads((work / "corpus.json").read_text("utf-8"))
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: transformers",
        "---",
        "# The seedling",
        "",
        f"understudy's embedded base model: an Lfm2 decoder of {parameters / 1e6:.2f} M parameters (bf16), raised from",
        "nothing by `python -m understudy.core.nursery` on two CPU cores. It is a base: it has read code, diffs, logs",
        "and copying drills, and has never seen a task's answer format. It is there so that everything works offline",
        "and within minutes, not to be clever; take a larger base for real work.",
        "",
        "## Tokenizer",
        "",
        "Byte-level BPE, digits alone, special tokens `<|pad|> <|text|> <|end|> <|system|> <|user|> <|assistant|>`.",
        "",
        "## Stages",
        "",
    ]
    for stage in ("copying", "language"):
        plan = json.loads((work / f"{stage}.json").read_text("utf-8"))
        with (work / f"{stage}.csv").open(newline="") as rows:
            last = list(csv.DictReader(rows))[-1]
        lines += [
            f"**{stage}**: {', '.join(f'{key} {value}' for key, value in plan.items() if key != 'stage')}.",
            "",
            f"At its end, after {int(last['tokens']):,} tokens and {int(last['seconds']) // 60} minutes: "
            + ", ".join(f"{key.replace('_', ' ')} {float(last[key]):.3f}" for key in last if key.count("_")),
            "",
        ]
    notes = work / "notes.md"
    if notes.exists():
        lines += ["## How this one was raised", "", notes.read_text("utf-8").strip(), ""]
    gate = work / "gate.json"
    if gate.exists():
        found = json.loads(gate.read_text("utf-8"))
        lines += [
            "## Gate",
            "",
            f"A random identifier and its line number among 12 distractor lines, after {found['steps']} steps of",
            f"fine-tuning: exact match {found['exact']:.3f} on {found['samples']} fresh samples (gate: 0.9).",
            "",
        ]
    lines += ["## Corpus", "", "| kind | documents | tokens |", "|---|---:|---:|"]
    lines += [f"| {kind} | {size['documents']:,} | {size['tokens']:,} |" for kind, size in corpus["sizes"].items()]
    lines += [
        "",
        "Source code of the Python standard library (PSF) and of the installed distributions below, with the licence",
        "each declares; TypeScript's and ESLint's own JavaScript (Apache-2.0, MIT); diffs made from them; logs made by",
        "understudy's foundry (Apache-2.0).",
        "",
        *(f"- {name}: {licence}" for name, licence in corpus["packages"].items()),
        "",
    ]
    return "\n".join(lines)
