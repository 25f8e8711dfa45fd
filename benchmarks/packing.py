"""How much of the true evidence survives in the model's prompt, over all embedded cases.

Run ``python benchmarks/packing.py``. A case whose evidence is not in the prompt at all can be neither learnt nor asked
and is left out of the dataset, so the held-out figures must be read together with this share.
"""

from __future__ import annotations

import statistics
from importlib.resources import files
from pathlib import Path

from understudy.core.bases import load_tokenizer, resolve_base, token_counter
from understudy.core.settings import load_settings
from understudy.templates.log_triage.data import cases
from understudy.templates.log_triage.foundry._case import stamped
from understudy.templates.log_triage.select import pack_lines, select


def main() -> None:
    home = Path(str(files("understudy.templates.log_triage")))
    budget = load_settings(home / "understudy.yaml").data.prompt_budget
    count = token_counter(load_tokenizer(resolve_base("seedling")))
    whole, touched, kept = [], [], []
    for case in cases(home / "seed" / "cases.jsonl.xz"):
        if not case.evidence:
            continue
        log = pack_lines(select([stamped(case).encode()]), budget, count)
        shown = {line.number for line in log.lines} & set(case.evidence)
        whole.append(len(shown) == len(case.evidence))
        touched.append(bool(shown))
        kept.append(len(log.lines))
    print(
        f"packing into {budget} tokens: evidence touched {statistics.mean(touched):.3f}, "
        f"whole {statistics.mean(whole):.3f}, "
        f"median {statistics.median(kept):.0f} lines, {len(kept)} cases"
    )


if __name__ == "__main__":
    main()
