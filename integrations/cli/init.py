"""``understudy init``: a pack's settings, workflow and notes, copied to own and edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]

_OWNED = ("understudy.yaml", "workflow.yml", "README.md")


def init(
    pack: Annotated[str, typer.Argument(help="Task pack, for example log-triage")],
    folder: Annotated[Path, typer.Argument(help="Where to put the files")] = Path(),
) -> None:
    """Copy a pack's template files into FOLDER; a file that is there already is never overwritten."""
    from importlib.resources import files

    from understudy.core.errors import BadInput
    from understudy.core.files import write_text
    from understudy.core.pack import load_pack

    source = files(type(load_pack(pack)).__module__.rpartition(".")[0])
    targets = {name: folder / (f"understudy-{pack}.yml" if name == "workflow.yml" else name) for name in _OWNED}
    targets["README.md"] = folder / f"understudy-{pack}.md"
    taken = [str(target) for target in targets.values() if target.exists()]
    if taken:
        raise BadInput(f"{taken[0]} exists already; name another folder, or move the file away")
    texts = {target: (source / name).read_text("utf-8") for name, target in targets.items()}
    for target, text in texts.items():
        write_text(target, text)
        typer.echo(str(target))
