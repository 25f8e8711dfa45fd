"""The seedling on NLBSE'24: tuned by cross-validation, alone and stacked with the reference, seed by seed.

Run ``python benchmarks/tickets_stack.py --seeds 3``; about 20 minutes a seed on an idle core. What the model says
of a fold is kept in ``--keep`` (a folder), so a run that was stopped goes on where it was, and one that is complete
costs only the reference, which is fitted anew. Per fold the seedling learns from nine tenths of the training part; the
last tenth decides which epoch is kept and the mixture's weight, so no test ticket decides anything.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from tickets import TYPE, best, competition_f1, folds, interval, nlbse

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine
from understudy.core.files import write_json
from understudy.core.hardware import resolve
from understudy.core.pack import BuildContext, load_pack
from understudy.core.records import Example, Source
from understudy.core.rows import make_rows
from understudy.core.settings import TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start
from understudy.templates.bug_classification.answer import mixed
from understudy.templates.bug_classification.data import example_of
from understudy.templates.bug_classification.linear import Target, Text, fit_linear
from understudy.templates.bug_classification.schema import Ticket, questions
from understudy.templates.bug_classification.scoring import content_free, score_tickets, without_prior
from understudy.templates.bug_classification.stack import fit_stack

PACK = load_pack("bug-classification")
ARMS = ("seedling", "reference", "stack")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--budget", type=int, default=96, help="tokens of a ticket's body in the prompt")
    parser.add_argument("--keep", type=Path, default=Path("tickets_stack"), help="folder for what is done")
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
    settings = TrainSettings(epochs=epochs, learning_rate=1e-3, batch_size=8, max_length=1024, seed=seed, threads=1)
    rows = [make_rows(PACK, part, tokenizer, settings.max_length) for part in (training, validation)]
    outcome = train_sft(Start(base), tokenizer, *rows, settings, resolve(1), folder)
    return LocalEngine(AutoModelForCausalLM.from_pretrained(outcome.folder), tokenizer)


def tickets_of(items: Sequence[Example]) -> list[Ticket]:
    return [Ticket.model_validate(item.input) for item in items]


def asked(
    items: list[Example], texts: list[Text], targets: list[Target], inside: Any, outside: Any, seed: int, epochs: float
) -> dict[str, Any]:
    """Tune on one fold's training part; return what the model says of what was held out of it, and of the test part."""
    began = time.process_time()
    strata = [f"{texts[at][0]}|{targets[at]['type']}" for at in inside]
    learn, judge = train_test_split(inside, test_size=0.1, random_state=seed, stratify=strata)
    with tempfile.TemporaryDirectory() as folder:
        engine = tuned([items[at] for at in learn], [items[at] for at in judge], seed, epochs, Path(folder))
    said = {
        name: {"at": [int(at) for at in part], "answers": score_tickets(engine, tickets_of([items[at] for at in part]))}
        for name, part in (("judge", judge), ("test", outside))
    }
    free = content_free(engine, "", questions(TYPE))
    return {"content_free": free, **said, "seconds": round(time.process_time() - began)}


def stacked(model: dict[str, Any], texts: list[Text], targets: list[Target], inside: Any) -> dict[str, Any]:
    """Mix the model's answers with the reference's; return the test tickets' answers by arm, and the mixture."""
    judge, test = model["judge"]["at"], model["test"]["at"]
    learn = sorted(set(inside.tolist()) - set(judge))
    held_out = fit_linear([texts[at] for at in learn], [targets[at] for at in learn], questions(TYPE))
    stack = fit_stack(
        TYPE,
        "seedling",
        [held_out.predict(texts[at]) for at in judge],
        model["judge"]["answers"],
        model["content_free"],
        [targets[at] for at in judge],
    )
    reference = fit_linear([texts[at] for at in inside], [targets[at] for at in inside], questions(TYPE))
    theirs, ours = model["test"]["answers"], [reference.predict(texts[at]) for at in test]
    both = [
        mixed(a, without_prior(b, stack.content_free, {"type": "single"}), stack.weights)
        for a, b in zip(ours, theirs, strict=True)
    ]
    answers = {arm: [row["type"] for row in rows] for arm, rows in zip(ARMS, (theirs, ours, both), strict=True)}
    return {"tickets": test, "weight": stack.weights["type"], "answers": answers}


def fold(
    options: argparse.Namespace,
    seed: int,
    number: int,
    items: list[Example],
    texts: list[Text],
    targets: list[Target],
    inside: Any,
    outside: Any,
) -> dict[str, Any]:
    """Return what a fold came out as; the tuned model's part is read from the folder where it was done before."""
    path = options.keep / f"epochs{options.epochs:g}-budget{options.budget}-seed{seed}-fold{number}.json"
    if not path.exists():
        options.keep.mkdir(parents=True, exist_ok=True)
        write_json(path, asked(items, texts, targets, inside, outside, seed, options.epochs))
    model = json.loads(path.read_text("utf-8"))
    found = stacked(model, texts, targets, inside)
    print(f"  fold {number}: weight of the seedling {found['weight']:.2f}, {model['seconds']} s of CPU", flush=True)
    return found


def main() -> None:
    options = arguments()
    texts, targets = nlbse()
    items = examples(texts, targets, options.budget)
    scores: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        print(f"seed {seed}", flush=True)
        done = [
            fold(options, seed, number, items, texts, targets, *parts)
            for number, parts in zip(range(options.folds), folds(texts, targets), strict=False)
        ]
        order = [at for one in done for at in one["tickets"]]
        projects, wanted = [texts[at][0] for at in order], [str(targets[at]["type"]) for at in order]
        for arm in ARMS:
            answered = [best(row) for one in done for row in one["answers"][arm]]
            scores[arm].append(competition_f1(projects, wanted, answered))
            print(f"  {arm}: macro-F1 {interval(projects, wanted, answered)} on {len(order)} tickets", flush=True)
    for arm, values in scores.items():
        print(
            f"{arm}: mean {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f} over {len(values)} seeds"
        )


if __name__ == "__main__":
    main()
