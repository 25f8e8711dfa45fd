"""Labels scored against labels written: tickets per second with the same model, prompts and batch size.

Run ``python benchmarks/tickets_scoring.py``; about ten minutes on one core, most of them for tuning the seedling on the
embedded tickets, which ``--model FOLDER`` (a tuned model) spares. Written answers are the engine's ordinary generation,
held to the grammar and free; a free one counts where it is valid JSON with labels of the taxonomy.
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
from understudy.core.engines import LocalEngine, Request
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


def compare(engine: LocalEngine, tickets: Sequence[Ticket], name: str) -> None:
    """Print the speed of both ways and how often they decide alike."""
    score_tickets(engine, tickets[:2])
    scored, found = rate(len(tickets), lambda: score_tickets(engine, tickets))
    chosen = [dict(most_probable(ticket, row).labels) for ticket, row in zip(tickets, found, strict=True)]
    print(f"{name}: scored {scored:.1f} tickets per CPU second")
    for way in ("held to the grammar", "free"):
        held = way != "free"
        asked = [Request(PACK.messages(one), PACK.grammar(one) if held else None, 64) for one in tickets]
        engine.generate(asked[:2])
        written, answers = rate(len(tickets), lambda asked=asked: engine.generate(asked))  # type: ignore[misc]
        labels = [valid(answer.text, ticket) for answer, ticket in zip(answers, tickets, strict=True)]
        pairs = [(a, b) for a, b in zip(labels, chosen, strict=True) if a is not None]
        same = sum(a == b for a, b in pairs)
        print(f"  written, {way}: {written:.1f}, scoring is {scored / written:.1f} times as fast (wanted 10);")
        print(f"    {len(pairs)} of {len(tickets)} valid, the same decisions on {same} (wanted 99 %)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a seedling tuned on the embedded tickets")
    given = parser.parse_args().model
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        where = given or tuned(Path(folder))
        tokenizer = load_tokenizer(resolve_base(str(where)))
        model = AutoModelForCausalLM.from_pretrained(where)
        for groups, words in ((1, "one group"), (3, "three groups")):
            tickets = [Ticket.model_validate(one.input) for one in embedded(groups, tokenizer)[::4]]
            for batch, count in TICKETS.items():
                engine = LocalEngine(model, tokenizer, batch_size=batch)
                compare(engine, tickets[:count], f"{words}, batch {batch}, {count} tickets")


if __name__ == "__main__":
    main()
