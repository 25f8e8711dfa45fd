"""Input that reaches an interpreter, secrets in the code, and checks that are switched off."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added, values
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Unit

__all__: list[str] = []

_TABLES = ("users", "orders", "sessions", "invoices", "projects", "events", "accounts", "messages")
_DEF = r"^(async )?def \w+\((?!self\)|\))"


@defect(
    "sql_injection",
    "security",
    "critical",
    _DEF,
    "`{value}` is put into the SQL text, so whoever controls it can change the query. Pass it as a parameter.",
    "SQL injection: `{value}` becomes part of the statement on `{table}`. Bind it as a query parameter instead.",
    "The query is built from `{value}` by string formatting; a quote in it breaks out of the literal.",
)
def sql_injection(unit: Unit, rng: Random) -> Iterator[Change]:
    """A value is formatted into a query."""
    for value in values(unit):
        table, column = rng.choice(_TABLES), rng.choice(("name", "id", "owner", value))
        cursor = rng.choice(("cursor", "db", "connection", "conn"))
        head = rng.choice(
            ("{self}{cursor}.execute(", "rows = {self}{cursor}.execute(", "row = {self}{cursor}.execute(")
        )
        select = f"SELECT {rng.choice(('*', 'id, name', 'COUNT(*)', column))} FROM {table} WHERE {column} = "
        if rng.random() < 0.3:
            select = f"DELETE FROM {table} WHERE {column} = "
        bad = rng.choice(
            (
                head + 'f"' + select + "'{{{value}}}'\")",
                head + '"' + select + "'%s'\" % {value})",
                head + '"' + select + '\'" + {value} + "\'")',
                head + '"' + select + "'{{}}'\".format({value}))",
            )
        )
        good = head + '"' + select + '?", ({value},))'
        yield from added(unit, rng, bad, good, value=value, table=table, cursor=cursor)


@defect(
    "command_injection",
    "security",
    "critical",
    _DEF,
    "`{value}` is interpolated into a shell command; shell characters in it run as commands. Pass a list of arguments.",
    "Command injection: with a shell, anything in `{value}` after a semicolon is executed too.",
    "The shell parses `{value}`. Call `{program}` with an argument list and without a shell.",
)
def command_injection(unit: Unit, rng: Random) -> Iterator[Change]:
    """A value is formatted into a shell command."""
    for value in values(unit):
        program, option = rng.choice(
            (("tar", "-xf"), ("git", "clone"), ("ping", "-c1"), ("convert", "-strip"), ("rsync", "-a"), ("gzip", "-9"))
        )
        call = rng.choice(("run", "check_call", "check_output"))
        more = ", check=True" if call == "run" else ""
        bad = rng.choice(
            (
                'subprocess.{call}(f"{program} {option} {{{value}}}", shell=True{more})',
                'subprocess.{call}("{program} {option} " + {value}, shell=True{more})',
                'subprocess.{call}("{program} {option} %s" % {value}, shell=True{more})',
                'os.system(f"{program} {option} {{{value}}}")',
            )
        )
        good = 'subprocess.{call}(["{program}", "{option}", {value}]{more})'
        yield from added(unit, rng, bad, good, value=value, program=program, option=option, call=call, more=more)


@defect(
    "hardcoded_secret",
    "security",
    "critical",
    _DEF,
    "A secret is written into the source as `{name}`; read it from the environment.",
    "`{name}` is a credential in plain text and stays in the history for ever; load it from configuration.",
    "Do not commit credentials: `{name}` must come from the environment or a secret store.",
)
def hardcoded_secret(unit: Unit, rng: Random) -> Iterator[Change]:
    """A credential stands in the code."""
    name = rng.choice(
        ("api_key", "password", "secret", "token", "access_key", "db_password", "auth_token", "secret_key")
    )
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    text = "".join(rng.choices(letters, k=rng.choice((12, 16, 20, 24, 32))))
    secret = rng.choice(("", "sk-", "pk_", "key-")) + text if "pass" not in name else text[:12] + rng.choice("!$#")
    bad = f'{name} = "{secret}"'
    good = rng.choice(
        ('{name} = os.environ["{upper}"]', '{name} = os.getenv("{upper}", "")', '{name} = settings["{name}"]')
    )
    yield from added(unit, rng, bad.replace("{", "{{").replace("}", "}}"), good, name=name, upper=name.upper())
