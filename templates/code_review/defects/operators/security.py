"""Input that reaches an interpreter, secrets in the code, and checks that are switched off."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

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


@defect(
    "path_traversal",
    "security",
    "critical",
    _DEF,
    "`{value}` may hold `..` or an absolute path and so leaves `{folder}`. Check the resolved path before opening it.",
    "Path traversal: nothing keeps the file named by `{value}` inside `{folder}`.",
    "A `{value}` with parent folders in it opens any file the process can read, not only those in `{folder}`.",
)
def path_traversal(unit: Unit, rng: Random) -> Iterator[Change]:
    """A name from outside is joined to a folder without a check."""
    for value in values(unit):
        folder = rng.choice(("UPLOADS", "self.root", "base_dir", "MEDIA_ROOT", "STATIC", "settings.DATA_DIR"))
        mode = rng.choice(("", ', "rb"'))
        name = rng.choice(("data", "content", "payload", "body"))
        opened = rng.choice(
            (
                "with open(os.path.join({folder}, {value}){mode}) as source:\n    {name} = source.read()",
                'with open(f"{{{folder}}}/{{{value}}}"{mode}) as source:\n    {name} = source.read()',
                'with open({folder} + "/" + {value}{mode}) as source:\n    {name} = source.read()',
            )
        )
        good = (
            "target = os.path.realpath(os.path.join({folder}, {value}))\n"
            "if os.path.commonpath([target, {folder}]) != {folder}:\n"
            '    raise ValueError("outside of the folder")\n'
            "with open(target{mode}) as source:\n    {name} = source.read()"
        )
        yield from added(unit, rng, opened, good, value=value, folder=folder, mode=mode, name=name)


@defect(
    "unsafe_pickle",
    "security",
    "critical",
    _DEF,
    "Unpickling `{value}` runs whatever code its author put in. Use a data format such as JSON.",
    "Unsafe deserialisation: `{call}` on `{value}` executes code for anyone who can write it.",
    "`{call}` must not see data from outside; `{value}` can name any callable to run.",
)
def unsafe_pickle(unit: Unit, rng: Random) -> Iterator[Change]:
    """Data from outside is unpickled."""
    for value in values(unit):
        name = rng.choice(("state", "data", "payload", "record", "cached", "options"))
        call = rng.choice(("pickle.loads", "pickle.loads", "marshal.loads", "dill.loads"))
        yield from added(unit, rng, "{name} = {call}({value})", "{name} = json.loads({value})", **_w(value, name, call))


@defect(
    "yaml_load",
    "security",
    "critical",
    _DEF,
    "`{call}` can build any Python object from `{value}`, which means running code. Use safe_load.",
    "Unsafe deserialisation: load `{value}` with the safe loader.",
    "A YAML tag in `{value}` is enough to run code here. Use safe_load instead of `{call}`.",
)
def yaml_load(unit: Unit, rng: Random) -> Iterator[Change]:
    """YAML from outside is loaded with tags that build objects."""
    for value in values(unit):
        name = rng.choice(("config", "settings", "document", "data", "spec", "options"))
        call, more = rng.choice(
            (("yaml.load", ", Loader=yaml.Loader"), ("yaml.load", ", yaml.UnsafeLoader"), ("yaml.unsafe_load", ""))
        )
        bad, good = "{name} = {call}({value}{more})", "{name} = yaml.safe_load({value})"
        yield from added(unit, rng, bad, good, more=more, **_w(value, name, call))


@defect(
    "weak_hash",
    "security",
    "major",
    _DEF,
    "`{call}` is broken for this: `{name}` protects a secret and can be reversed quickly. Use a slow, salted hash.",
    "Do not hash secrets with `{call}`; collisions and fast guessing make `{name}` worthless.",
    "`{name}` is made with `{call}`, which is no longer fit for security.",
)
def weak_hash(unit: Unit, rng: Random) -> Iterator[Change]:
    """A secret is hashed with an algorithm that is broken."""
    for value in values(unit):
        name = rng.choice(("password_hash", "signature", "token_digest", "secret_hash", "credential", "reset_token"))
        call = rng.choice(("hashlib.md5", "hashlib.sha1"))
        encoded = rng.choice(("{value}.encode()", "str({value}).encode()", "bytes({value})")).format(value=value)
        good = rng.choice(
            (
                "{name} = hashlib.scrypt({encoded}, salt=salt, n=2**14, r=8, p=1).hex()",
                "{name} = hmac.new(key, {encoded}, hashlib.sha256).hexdigest()",
                '{name} = hashlib.pbkdf2_hmac("sha256", {encoded}, salt, 600_000).hex()',
            )
        )
        yield from added(
            unit, rng, "{name} = {call}({encoded}).hexdigest()", good, encoded=encoded, **_w(value, name, call)
        )


@defect(
    "verification_off",
    "security",
    "critical",
    _DEF,
    "The certificate is not verified, so anyone on the way can read and change what `{call}` sends.",
    "`{flag}` switches TLS verification off; give the path of a CA bundle instead.",
    "With `{flag}` the connection can be intercepted. Remove it.",
)
def verification_off(unit: Unit, rng: Random) -> Iterator[Change]:
    """A TLS certificate is not verified."""
    for value in values(unit):
        call = rng.choice(("requests.get", "requests.post", "session.get", "httpx.get", "httpx.post"))
        name, flag = rng.choice(("response", "reply", "answer")), "verify=False"
        bad = "{name} = {call}({value}, {flag}, timeout=10)"
        good = rng.choice(
            ("{name} = {call}({value}, timeout=10)", "{name} = {call}({value}, verify=CA_BUNDLE, timeout=10)")
        )
        yield from added(unit, rng, bad, good, flag=flag, **_w(value, name, call))


@defect(
    "insecure_temporary_file",
    "security",
    "major",
    r"^(async )?def ",
    "Between `{call}` and the open, another process can create `{name}`. Use mkstemp or NamedTemporaryFile.",
    "`{call}` only makes up a name: a symbolic link planted at `{name}` is followed.",
    "Race: the file `{name}` does not exist yet when `{call}` returns. Create it in the same step.",
)
def insecure_temporary_file(unit: Unit, rng: Random) -> Iterator[Change]:
    """A temporary file's name is made before the file."""
    name = rng.choice(("path", "filename", "temporary", "scratch", "target", "tmp"))
    suffix = rng.choice(("", 'suffix=".txt"', 'suffix=".json"', 'prefix="cache-"'))
    bad, good = "{name} = {call}({suffix})", "handle, {name} = tempfile.mkstemp({suffix})"
    yield from added(unit, rng, bad, good, suffix=suffix, **_w("", name, "tempfile.mktemp"))


@defect(
    "eval_of_input",
    "security",
    "critical",
    _DEF,
    "`{call}` runs `{value}` as Python code. Parse it as a literal or convert it explicitly.",
    "Code injection: whoever controls `{value}` controls the process.",
    "Never evaluate `{value}`; a parser for the values that are allowed is enough here.",
)
def eval_of_input(unit: Unit, rng: Random) -> Iterator[Change]:
    """Input is evaluated as code."""
    for value in values(unit):
        name = rng.choice(("limit", "number", "parsed", "setting", "bounds", "options"))
        good = rng.choice(
            ("{name} = ast.literal_eval({value})", "{name} = int({value})", "{name} = json.loads({value})")
        )
        yield from added(unit, rng, "{name} = {call}({value})", good, **_w(value, name, "eval"))


@defect(
    "predictable_random",
    "security",
    "major",
    r"^(async )?def ",
    "`{name}` comes from a generator whose output can be predicted. Use the secrets module.",
    "The random module is not made for secrets; `{name}` can be guessed from earlier values.",
    "An attacker who sees some outputs knows the next `{name}`. Take it from secrets.",
)
def predictable_random(unit: Unit, rng: Random) -> Iterator[Change]:
    """A secret comes from the simulation generator."""
    name = rng.choice(("token", "session_id", "reset_code", "api_token", "nonce", "salt", "csrf_token"))
    bits = rng.choice(("64", "128", "256"))
    bad = rng.choice(
        (
            '{name} = "%x" % random.getrandbits({bits})',
            "{name} = str(random.randint(100000, 999999))",
            '{name} = "".join(random.choices(string.ascii_letters, k=32))',
        )
    )
    good = rng.choice(("{name} = secrets.token_hex(16)", "{name} = secrets.token_urlsafe()"))
    yield from added(unit, rng, bad, good, name=name, bits=bits)


def _w(value: str, name: str, call: str) -> dict[str, Any]:
    return {"value": value, "name": name, "call": call}
