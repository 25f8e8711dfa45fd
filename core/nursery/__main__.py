"""Raise the seedling: ``python -m understudy.core.nursery STAGE --work DIR``.

Run the stages in order: ``corpus``, ``copying``, ``language`` (again and again until its tokens are spent; it resumes
by itself), ``ship``. Set ``MALLOC_TRIM_THRESHOLD_`` and ``MALLOC_MMAP_THRESHOLD_`` to 1 GiB first: glibc otherwise
returns every big buffer to the kernel, which halves the speed of a model this small.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.core.nursery import _corpus, _drills
from understudy.core.nursery._training import Batch, Plan, new_model, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

VOCABULARY = 5_120
SEED = 7
MIXTURE = {"code": 0.28, "diffs": 0.04, "logs": 0.20, "recall": 0.36, "copying": 0.12}
"""Share of rows by kind in the language stage; without logs their share goes to code."""
COPYING = Plan("copying", tokens=2_600_000, rows=16, length=256, muon_rate=2e-3, adam_rate=2e-3)


def language_plan(tokens: int) -> Plan:
    """Return the second stage's plan for a token budget."""
    return Plan("language", tokens=tokens, rows=16, length=512, muon_rate=2e-3, adam_rate=2e-3)


def corpus(work: Path, extra: list[Path], logs: list[Path]) -> None:
    """Read the texts, train the tokenizer, and write each kind's tokens as one uint16 file; what exists is kept.

    Logs may come later: call it again with ``logs`` and only they, and the lines of the drills, are made anew.
    """
    from transformers import PreTrainedTokenizerFast

    from understudy.core.nursery._tokenizer import train_tokenizer

    rng = random.Random(SEED)
    texts = [text for path in _corpus.code_files(extra) if (text := _corpus.read(path))]
    rng.shuffle(texts)
    log_texts = list(_corpus.logs(logs))
    if not (work / "tokenizer").exists():
        hints = [path.read_text("utf-8", "replace") for path in sorted((work / "hints").glob("*"))]
        train_tokenizer(texts[:3000] + log_texts + hints, VOCABULARY).save_pretrained(work / "tokenizer")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    held = max(20, len(texts) // 100)
    makers: dict[str, Callable[[], list[str]]] = {
        "code": lambda: texts[held:],
        "diffs": lambda: list(_corpus.diffs(texts[held:], rng, 12_000)),
        "validation": lambda: texts[:held],
        "logs": lambda: log_texts,
    }
    record = work / "corpus.json"
    sizes = json.loads(record.read_text())["sizes"] if record.exists() else {}
    for kind, make in makers.items():
        if kind == "logs" or not (work / f"{kind}.u16").exists():
            sizes[kind] = _encode(make(), tokenizer, work / f"{kind}.u16")
    lines = _drills.Lines(texts[held : held + 4000], rng, size=100_000)
    from_logs = _drills.Lines(log_texts, rng, size=100_000)
    (work / "lines.json").write_text(json.dumps([lines.pool + from_logs.pool, lines.words]))
    record.write_text(json.dumps({"sizes": sizes, "packages": _corpus.packages()}, indent=1))
    print(json.dumps(sizes))


def _encode(documents: list[str], tokenizer: PreTrainedTokenizerFast, path: Path) -> dict[str, int]:
    tokens: list[int] = []
    for at in range(0, len(documents), 500):
        for row in tokenizer(documents[at : at + 500], add_special_tokens=False)["input_ids"]:
            tokens += [tokenizer.bos_token_id, *row]
    np.array(tokens, dtype=np.uint16).tofile(path)
    return {"documents": len(documents), "tokens": len(tokens)}


class Mixer:
    """Batches of the language stage; row ``r`` of step ``s`` depends on ``s`` and ``r`` alone."""

    def __init__(self, work: Path, plan: Plan) -> None:
        """Open the token files below ``work``."""
        from transformers import PreTrainedTokenizerFast

        self.plan = plan
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
        self.files = {kind: np.fromfile(work / f"{kind}.u16", dtype=np.uint16) for kind in ("code", "diffs", "logs")}
        self.lines = _drills.Lines([], random.Random(0))
        self.lines.pool, self.lines.words = json.loads((work / "lines.json").read_text())

    def __call__(self, step: int) -> Batch:
        """Return inputs and labels, each (rows, length)."""
        rows = [self._row(np.random.default_rng([self.plan.seed, step, row])) for row in range(self.plan.rows)]
        return np.stack([row for row, _ in rows]), np.stack([labels for _, labels in rows])

    def _row(self, rng: np.random.Generator) -> Batch:
        length = self.plan.length
        kind = str(rng.choice(list(MIXTURE), p=list(MIXTURE.values())))
        if kind == "copying":
            inputs, labels = _drills.copying(rng, 1, length, 6, VOCABULARY, 1)
            return inputs[0], labels[0]
        if kind == "recall":
            return self._recall(random.Random(int(rng.integers(1 << 62))))
        tokens = self.files[kind] if len(self.files[kind]) > length else self.files["code"]
        start = int(rng.integers(len(tokens) - length))
        row = tokens[start : start + length].astype(np.int64)
        return row, row

    def _recall(self, rng: random.Random) -> Batch:
        row: list[int] = []
        labels: list[int] = []
        while len(row) < self.plan.length:
            read, answered = (
                self.tokenizer(part, add_special_tokens=False)["input_ids"] for part in _drills.recall(rng, self.lines)
            )
            if row and len(row) + len(read) + len(answered) > self.plan.length + 40:
                rest = self.plan.length - len(row)
                row += [self.tokenizer.pad_token_id] * rest
                labels += [_drills.IGNORE] * rest
                break
            row += [self.tokenizer.bos_token_id, *read, *answered]
            labels += [_drills.IGNORE] * (1 + len(read)) + answered
        return np.array(row[: self.plan.length]), np.array(labels[: self.plan.length])


def probe_for(work: Path, length: int) -> Callable[[PreTrainedModel], dict[str, float]]:
    """Return a function that measures copy accuracy and, when there is a corpus, code loss and recall accuracy."""
    rng = np.random.default_rng(99)
    copies = _drills.copying(rng, 16, 256, 6, VOCABULARY, 1)
    held = np.fromfile(work / "validation.u16", dtype=np.uint16)
    code = np.stack([held[at : at + length] for at in rng.integers(0, len(held) - length, 16)]).astype(np.int64)
    mixer = Mixer(work, language_plan(1))
    recall = [mixer._recall(random.Random(f"probe-{row}")) for row in range(16)]
    sets = {
        "copy": copies,
        "code": (code, code),
        "recall": (np.stack([r for r, _ in recall]), np.stack([x for _, x in recall])),
    }

    def probe(model: PreTrainedModel) -> dict[str, float]:
        import torch

        numbers = {}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for name, (rows, labels) in sets.items():
                logits = model(torch.from_numpy(rows), use_cache=False).logits[:, :-1].float()
                target = torch.from_numpy(labels)[:, 1:]
                learn = target != _drills.IGNORE
                numbers[f"{name}_loss"] = torch.nn.functional.cross_entropy(logits[learn], target[learn]).item()
                numbers[f"{name}_accuracy"] = (logits[learn].argmax(-1) == target[learn]).float().mean().item()
        return numbers

    return probe


def ship_seedling(work: Path, out: Path) -> None:
    """Measure the gate on a copy of the last checkpoint, then write the model folder with its card."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from understudy.core.nursery._gate import measure
    from understudy.core.nursery._ship import ship

    state = torch.load(work / "language.pt", weights_only=True)["model"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    lines = _drills.Lines([], random.Random(0))
    lines.pool, lines.words = json.loads((work / "lines.json").read_text())
    model = new_model(VOCABULARY, SEED)
    model.load_state_dict(state)
    found = measure(model, tokenizer, lines)
    print(json.dumps(found))
    (work / "gate.json").write_text(json.dumps(found))
    model.load_state_dict(state)
    ship(work, model, tokenizer, out)


def main() -> None:
    """Run one stage."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m understudy.core.nursery", description=__doc__)
    parser.add_argument("stage", choices=["corpus", "copying", "language", "ship"])
    parser.add_argument("--work", type=Path, required=True, help="folder for corpus, checkpoints and figures")
    parser.add_argument(
        "--code", type=Path, action="append", default=[], help="more source folders (permissive licences)"
    )
    parser.add_argument("--logs", type=Path, action="append", default=[], help="foundry case files (.jsonl.xz)")
    parser.add_argument("--tokens", type=int, default=50_000_000, help="budget of the language stage")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument("--compile", action="store_true", help="torch.compile the language stage (needs g++)")
    parser.add_argument("--out", type=Path, default=Path("core/seedling"), help="folder that 'ship' writes")
    options = parser.parse_args()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    if options.stage == "corpus":
        corpus(work, options.code, options.logs)
        return
    model = new_model(VOCABULARY, SEED)
    if options.stage == "copying":
        plan = COPYING

        def make(step: int) -> Batch:
            return _drills.copying(np.random.default_rng([SEED, step]), plan.rows, plan.length, 6, VOCABULARY, 1)

        train(model, plan, make, work, probe_for(work, plan.length), every_seconds=60)
        return
    if options.stage == "ship":
        ship_seedling(work, options.out)
        return
    plan = language_plan(options.tokens)
    if not (work / "language.pt").exists():
        model.load_state_dict(torch.load(work / "copying.pt", weights_only=True)["model"])
    train(model, plan, Mixer(work, plan), work, probe_for(work, plan.length), compiled=options.compile)


if __name__ == "__main__":
    main()
