"""Labels scored against labels written: tickets per second with the same model, prompts and batch size.

Run ``python benchmarks/tickets_scoring.py``; about ten minutes on one core, most of them for tuning the seedling on the
embedded tickets, which ``--model FOLDER`` (a tuned model) spares. Written answers are those of transformers' own
``generate``, padded on the left, and of our engine, which reads what prompts share once, held to the grammar and free;
a free one counts where it is valid JSON with labels of the taxonomy.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine, Request, prompt_ids
from understudy.core.hardware import resolve
from understudy.core.pack import BuildContext, load_pack
from understudy.core.rows import make_rows
from understudy.core.settings import TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.data import seed
from understudy.templates.bug_classification.schema import Ticket, most_probable
from understudy.templates.bug_classification.scoring import score_tickets

PACK = load_pack("bug-classification")
SETTINGS = Path(__file__).resolve().parents[1] / "templates" / "bug_classification" / "understudy.yaml"
TICKETS = {1: 32, 16: 128}
"""Batch size to tickets measured."""
TOKENS = 64
"""Most tokens of a written answer."""


def embedded(groups: int, tokenizer: Any) -> list[Any]:
    """Return the embedded tickets, asked for the first ``groups`` of the pack's settings."""
    taxonomy = Taxonomy.model_validate(yaml.safe_load(SETTINGS.read_text("utf-8"))["taxonomy"])
    asked = taxonomy.model_copy(update={"groups": taxonomy.groups[:groups]})
    return list(seed(BuildContext(lambda text: len(tokenizer.tokenize(text)), 220, taxonomy=asked)))


def tuned(folder: Path) -> Path:
    """Tune the seedling on three quarters of the embedded tickets for three epochs."""
    base = resolve_base("seedling")
    tokenizer = load_tokenizer(base)
    settings = TrainSettings(epochs=3, learning_rate=1e-3, batch_size=16, threads=1)
    rows = make_rows(PACK, embedded(3, tokenizer), tokenizer, settings.max_length)
    parts = [row for at, row in enumerate(rows) if at % 4], rows[::32]
    return train_sft(Start(base), tokenizer, *parts, settings, resolve(1), folder).folder


def rate(count: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Return tickets per CPU second and what ``work`` returned."""
    began = time.process_time()
    found = work()
    return count / (time.process_time() - began), found


def valid(text: str, ticket: Ticket) -> dict[str, Any] | None:
    """Return the labels written, None where they are not an answer to the ticket."""
    try:
        answer = PACK.Output.model_validate(json.loads(text))
    except ValueError:
        return None
    return None if PACK.check(ticket, answer) else dict(answer.model_dump()["labels"])


def generated(model: Any, tokenizer: Any, tickets: Sequence[Ticket], batch: int) -> list[str]:
    """Return what transformers' own ``generate`` writes, greedily, in batches padded on the left."""
    import torch

    texts: list[str] = []
    for at in range(0, len(tickets), batch):
        rows = [{"input_ids": prompt_ids(tokenizer, PACK.messages(one))} for one in tickets[at : at + batch]]
        padded = tokenizer.pad(rows, padding_side="left", return_tensors="pt")
        with torch.inference_mode():
            written = model.generate(**padded, max_new_tokens=TOKENS, do_sample=False)
        texts += tokenizer.batch_decode(written[:, padded["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def compare(engine: LocalEngine, peer: Any, tickets: Sequence[Ticket], batch: int, name: str) -> None:
    """Print the speed of scoring and of every way to write, and how often they decide alike."""

    def ours(asked: Sequence[Ticket], held: bool) -> list[str]:
        requests = [Request(PACK.messages(one), PACK.grammar(one) if held else None, TOKENS) for one in asked]
        return [answer.text for answer in engine.generate(requests)]

    ways: dict[str, Callable[[Sequence[Ticket]], list[str]]] = {
        "by transformers' generate": lambda asked: generated(peer, engine.tokenizer, asked, batch),
        "by our engine, free": lambda asked: ours(asked, False),
        "by our engine, held to the grammar": lambda asked: ours(asked, True),
    }
    score_tickets(engine, tickets[:2])
    scored, found = rate(len(tickets), lambda: score_tickets(engine, tickets))
    chosen = [dict(most_probable(ticket, row).labels) for ticket, row in zip(tickets, found, strict=True)]
    print(f"{name}: scored {scored:.1f} tickets per CPU second")
    for way, write in ways.items():
        write(tickets[:2])
        written, texts = rate(len(tickets), lambda write=write: write(tickets))  # type: ignore[misc]
        labels = [valid(text, ticket) for text, ticket in zip(texts, tickets, strict=True)]
        pairs = [(a, b) for a, b in zip(labels, chosen, strict=True) if a is not None]
        same = sum(a == b for a, b in pairs)
        print(f"  written {way}: {written:.1f}, scoring is {scored / written:.1f} times as fast (wanted 10);")
        print(f"    {len(pairs)} of {len(tickets)} valid, the same decisions on {same} (wanted 99 %)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a seedling tuned on the embedded tickets")
    given = parser.parse_args().model
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        where = given or tuned(Path(folder))
        tokenizer = load_tokenizer(resolve_base(str(where)))
        model, peer = (AutoModelForCausalLM.from_pretrained(where) for _ in range(2))  # the engine sets its own up
        for groups, words in ((1, "one group"), (3, "three groups")):
            tickets = [Ticket.model_validate(one.input) for one in embedded(groups, tokenizer)[::4]]
            for batch, count in TICKETS.items():
                engine = LocalEngine(model, tokenizer, batch_size=batch)
                compare(engine, peer, tickets[:count], batch, f"{words}, batch {batch}, {count} tickets")


if __name__ == "__main__":
    main()
