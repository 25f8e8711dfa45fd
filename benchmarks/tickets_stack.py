"""The seedling on tickets: tuned on NLBSE'24 by cross-validation, alone and stacked with the reference, and its speed.

Run ``python benchmarks/tickets_stack.py --seeds 3``; half an hour a seed on an idle core. ``--folds 1`` trains on the
first fold only. Per fold the seedling learns from nine tenths of the training part; the last tenth decides the
mixture's weight, so no test ticket decides anything.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from tickets import LABELS, TYPE, best, competition_f1, folds, interval, nlbse

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine, Request
from understudy.core.hardware import resolve
from understudy.core.pack import BuildContext, load_pack
from understudy.core.records import Example, Source
from understudy.core.rows import make_rows
from understudy.core.settings import TrainSettings
from understudy.core.sft import train_sft
from understudy.templates.bug_classification.answer import mixed
from understudy.templates.bug_classification.data import example_of
from understudy.templates.bug_classification.linear import Target, Text, fit_linear
from understudy.templates.bug_classification.schema import Ticket, questions
from understudy.templates.bug_classification.scoring import content_free, score_tickets, without_prior
from understudy.templates.bug_classification.stack import fit_stack

PACK = load_pack("bug-classification")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--budget", type=int, default=160, help="tokens of a ticket in the prompt")
    return parser.parse_args()


def examples(texts: Sequence[Text], targets: Sequence[Target], budget: int) -> list[Example]:
    tokenizer = load_tokenizer(resolve_base("seedling"))
    context = BuildContext(
        lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), budget, taxonomy=TYPE
    )
    made = [
        example_of(*text, target, Source(origin="nlbse", project=text[0]), context, identity=str(at))
        for at, (text, target) in enumerate(zip(texts, targets, strict=True))
    ]
    return [example for example in made if example is not None]


def tuned(
    training: Sequence[Example], validation: Sequence[Example], seed: int, epochs: float, folder: Path
) -> LocalEngine:
    from transformers import AutoModelForCausalLM

    base = resolve_base("seedling")
    tokenizer = load_tokenizer(base)
    settings = TrainSettings(epochs=epochs, learning_rate=1e-3, batch_size=16, max_length=1024, seed=seed, threads=1)
    rows = [make_rows(PACK, part, tokenizer, settings.max_length) for part in (training, validation)]
    outcome = train_sft(base, tokenizer, *rows, settings, resolve(1), folder, lambda event: None)
    return LocalEngine(AutoModelForCausalLM.from_pretrained(outcome.folder), tokenizer)


def tickets_of(items: Sequence[Example]) -> list[Ticket]:
    return [Ticket.model_validate(item.input) for item in items]


def one_fold(
    items: list[Example], texts: list[Text], targets: list[Target], inside: Any, seed: int, options: argparse.Namespace
) -> tuple[LocalEngine, Any]:
    """Tune on one fold's training part; return the engine and a function from positions to stacked answers."""
    strata = [f"{texts[at][0]}|{targets[at]['type']}" for at in inside]
    learn, judge = train_test_split(inside, test_size=0.1, random_state=seed, stratify=strata)
    with tempfile.TemporaryDirectory() as folder:
        engine = tuned([items[at] for at in learn], [items[at] for at in judge], seed, options.epochs, Path(folder))
    held_out = fit_linear([texts[at] for at in learn], [targets[at] for at in learn], questions(TYPE))
    stack = fit_stack(
        TYPE,
        "seedling",
        [held_out.predict(texts[at]) for at in judge],
        score_tickets(engine, tickets_of([items[at] for at in judge])),
        content_free(engine, "", questions(TYPE)),
        [targets[at] for at in judge],
    )
    reference = fit_linear([texts[at] for at in inside], [targets[at] for at in inside], questions(TYPE))

    def answers(outside: Any) -> list[tuple[str, str, str]]:
        scored = score_tickets(engine, tickets_of([items[at] for at in outside]))
        found = []
        for at, theirs in zip(outside, scored, strict=True):
            ours = reference.predict(texts[at])
            both = mixed(ours, without_prior(theirs, stack.content_free, {"type": "single"}), stack.weights)
            found.append((best(theirs["type"]), best(ours["type"]), best(both["type"])))
        return found

    print(f"  weight of the seedling {stack.weights['type']:.2f}", flush=True)
    return engine, answers


def speed(engine: LocalEngine, items: Sequence[Example]) -> None:
    """Tickets per second: labels scored against labels written, the same model, prompts and batch size."""
    import json

    tickets = tickets_of(items)
    requests = [Request(PACK.messages(ticket), PACK.grammar(ticket), 32) for ticket in tickets]
    for name, seconds in (("scored", 0.0), ("written", 0.0)):
        started = time.process_time()
        if name == "scored":
            scored = [best(row["type"]) for row in score_tickets(engine, tickets)]
        else:
            written = [answer.text for answer in engine.generate(requests)]
        seconds = time.process_time() - started
        print(f"  {name}: {len(items) / seconds:.1f} tickets per CPU second")
    pairs = [(json.loads(text)["labels"]["type"], label) for text, label in zip(written, scored, strict=True)]
    same = sum(a == b for a, b in pairs if a in LABELS) / max(1, sum(a in LABELS for a, _ in pairs))
    print(f"  same decision on {same:.3f} of {len(pairs)}, wanted .99")


def main() -> None:
    options = arguments()
    texts, targets = nlbse()
    items = examples(texts, targets, options.budget)
    scores: dict[str, list[float]] = {"seedling": [], "reference": [], "stack": []}
    for seed in range(options.seeds):
        print(f"seed {seed}", flush=True)
        given: dict[int, tuple[str, str, str]] = {}
        for number, (inside, outside) in enumerate(folds(texts, targets)):
            if number >= options.folds:
                break
            engine, answers = one_fold(items, texts, targets, inside, seed, options)
            given |= dict(zip(outside.tolist(), answers(outside), strict=True))
            if seed == 0 and number == 0:
                speed(engine, [items[at] for at in outside[:128]])
        order = sorted(given)
        projects, wanted = [texts[at][0] for at in order], [str(targets[at]["type"]) for at in order]
        for column, name in enumerate(scores):
            answered = [given[at][column] for at in order]
            scores[name].append(competition_f1(projects, wanted, answered))
            print(f"  {name}: macro-F1 {interval(projects, wanted, answered)} on {len(order)} tickets", flush=True)
    for name, values in scores.items():
        print(
            f"{name}: mean {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f} over {len(values)} seeds"
        )


if __name__ == "__main__":
    main()
