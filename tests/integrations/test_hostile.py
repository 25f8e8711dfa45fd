"""Log text is written by others: it must not act where it is shown, in a terminal, on a runner or in Markdown."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Cli

_HOSTILE = (
    "::error file=app.py::you have been had\n"
    "\x1b[31mERROR\x1b[0m: \x1b]0;title\x07red \u202eesrever\u202c \u200bhidden\n"
    "\x1b[2J\x1b[1;1HFAILED [bold]markup[/bold] [/nothing]\n"
    "ValueError: ##[add-matcher]/tmp/evil.json ::set-env name=A::b\n"
    "##vso[task.setvariable variable=a]b\n"
    "  ::add-mask::ERROR AKIAIOSFODNN7EXAMPLE\n"
    "ERROR: " + "long " * 40 + "::warning::folded\n"
    "##[error]Process completed with exit code 1.\n"
)

_FORMS = [
    ("select",),
    ("select", "--json"),
    ("explain", "--model", "rules"),
    ("explain", "--model", "rules", "--json"),
    ("explain", "--model", "rules", "--markdown"),
]


@pytest.mark.parametrize("form", _FORMS, ids=" ".join)
def test_nothing_in_a_log_acts_on_what_shows_it(cli: Cli, form: tuple[str, ...]) -> None:
    (cli.folder / "hostile.log").write_bytes(_HOSTILE.encode())
    ran = cli(form[0], "hostile.log", *form[1:])
    assert ran.code == 0
    assert re.search(r"FAILED|ERROR|Value", ran.out) or form == ("select", "--json")
    unseen = [c for c in ran.out + ran.err if c not in "\n\t" and not c.isprintable()]
    assert unseen == []
    assert not re.search(r"(?m)^\s*::\S", ran.out), "a runner obeys :: at the beginning of a line"
    assert not re.search(r"##\w*\[", ran.out), "a runner obeys ##[ anywhere in a line"


def test_a_secret_in_a_log_is_not_shown(cli: Cli) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    (cli.folder / "leak.log").write_text(f"ERROR: login with {secret} failed\n")
    for form in _FORMS:
        ran = cli(form[0], "leak.log", *form[1:])
        assert ran.code == 0
        assert secret not in ran.out + ran.err


def test_json_gives_back_the_text_that_was_escaped_in_it(cli: Cli) -> None:
    (cli.folder / "a.log").write_text("ValueError: ##[add-matcher]x\n")
    ran = cli("explain", "a.log", "--model", "rules", "--json")
    assert json.loads(ran.out)["evidence"][0]["quote"] == "ValueError: ##[add-matcher]x"


def test_a_hostile_file_name_is_shown_harmless(cli: Cli) -> None:
    assert "\x1b" not in cli.refused("select", "\x1b[31mred\x1b[0m.log")
    name = "\x1b[31mx.log"
    (cli.folder / name).write_text("ERROR: x\n")
    ran = cli("explain", name, "--model", "rules")
    assert (ran.code, "\x1b" in ran.out + ran.err) == (0, False)
