"""Work that is done again and again, or by the wrong structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added, values
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Unit

__all__: list[str] = []

_DEF = r"^(async )?def \w+\((?!self\)|\))"


@defect(
    "concatenation_in_loop",
    "performance",
    "minor",
    _DEF,
    "Adding to the string `{name}` in a loop copies it every time; collect the parts and join them.",
    "Quadratic: each round copies all of `{name}`. Use join.",
    "`{name}` grows by concatenation, which gets slow for long input. Join the pieces once at the end.",
)
def concatenation_in_loop(unit: Unit, rng: Random) -> Iterator[Change]:
    """A string is built by adding to it in a loop."""
    for value in values(unit):
        name, part = (
            rng.choice(("text", "output", "buffer", "report", "html")),
            rng.choice(("part", "item", "line", "row")),
        )
        end = rng.choice(("", ' + "\\n"', ' + ","'))
        shown = rng.choice(("str({part})", "{part}", "{part}.name", "repr({part})")).format(part=part)
        bad = '{name} = ""\nfor {part} in {value}:\n    {name} += {shown}{end}'
        good = rng.choice(
            (
                '{name} = "".join({shown}{end} for {part} in {value})',
                '{name} = "".join([{shown}{end} for {part} in {value}])',
                'parts = []\nfor {part} in {value}:\n    parts.append({shown}{end})\n{name} = "".join(parts)',
            )
        )
        yield from added(unit, rng, bad, good, down=2, value=value, name=name, part=part, end=end, shown=shown)


@defect(
    "query_in_loop",
    "performance",
    "major",
    _DEF,
    "One query per `{item}` (N+1): fetch all rows with a single query before the loop.",
    "`{call}` runs in every round; ask once for all of `{value}`.",
    "N+1 queries: the number of round trips grows with `{value}`.",
)
def query_in_loop(unit: Unit, rng: Random) -> Iterator[Change]:
    """A loop asks the database once a round."""
    for value in values(unit):
        item, table = (
            rng.choice(("key", "item", "user_id", "name", "order_id")),
            rng.choice(("users", "orders", "items")),
        )
        call = rng.choice(("cursor.execute", "db.execute", "session.execute", "connection.execute"))
        bad = (
            "rows = []\nfor {item} in {value}:\n"
            '    rows += {call}("SELECT * FROM {table} WHERE id = ?", ({item},)).fetchall()'
        )
        good = (
            'marks = ", ".join("?" for {item} in {value})\n'
            'rows = {call}(f"SELECT * FROM {table} WHERE id IN ({{marks}})", list({value})).fetchall()'
        )
        yield from added(unit, rng, bad, good, down=2, value=value, item=item, table=table, call=call)


@defect(
    "compile_in_loop",
    "performance",
    "minor",
    _DEF,
    "`{call}` is called again in every round with the same pattern; do it once before the loop.",
    "The pattern does not change, so compile it outside of the loop over `{value}`.",
    "Move `{call}` out of the loop.",
)
def compile_in_loop(unit: Unit, rng: Random) -> Iterator[Change]:
    """A loop prepares the same thing in every round."""
    for value in values(unit):
        item = rng.choice(("line", "entry", "name", "text"))
        pattern = rng.choice((r"^\d+$", r"\s+", r"[a-z]+=", r"^#", r"\w+@\w+"))
        made, use = 'pattern = {call}(r"{pattern}")\n', "    {found} += pattern.findall({item})"
        loop = "{found} = []\nfor {item} in {value}:\n"
        bad, good = f"{loop}    {made}{use}", f"{made}{loop}{use}"
        found = rng.choice(("found", "matches", "hits"))
        yield from added(
            unit, rng, bad, good, down=2, value=value, item=item, pattern=pattern, found=found, call="re.compile"
        )


@defect(
    "pop_from_front",
    "performance",
    "minor",
    _DEF,
    "Popping at index 0 moves all other elements of `{queue}`; use collections.deque.",
    "`{queue}` is a list, so taking its first element costs as much as its length.",
    "Quadratic: `{call}` shifts the rest of the list in every round. A deque has popleft.",
)
def pop_from_front(unit: Unit, rng: Random) -> Iterator[Change]:
    """A list is used as a queue."""
    for value in values(unit):
        queue, item = rng.choice(("queue", "pending", "todo_items", "waiting")), rng.choice(("item", "task", "node"))
        work = rng.choice(("self.visit({item})", "handle({item})", "process({item})")).format(item=item)
        bad = "{queue} = list({value})\nwhile {queue}:\n    {item} = {call}\n    {work}"
        good = "{queue} = deque({value})\nwhile {queue}:\n    {item} = {queue}.popleft()\n    {work}"
        yield from added(
            unit, rng, bad, good, down=2, value=value, queue=queue, item=item, work=work, call=f"{queue}.pop(0)"
        )


@defect(
    "list_as_set",
    "performance",
    "minor",
    r"^\s+(\w+) = set\(.*\)$(.|\n)* in \1\b|" + _DEF,
    "`{name}` is a list now: each membership test walks through all of it. Keep the set.",
    "Quadratic: `in {name}` is linear for a list.",
    "Use a set for `{name}`; it is only added to and searched.",
)
def list_as_set(unit: Unit, rng: Random) -> Iterator[Change]:
    """What is searched in a loop is a list."""
    for node in unit.all("Assign"):
        found = re.fullmatch(r"(\w+) = set\(([\w.() ]*)\)", unit.code(node))
        if not found:
            continue
        name = found[1]
        uses = [one for one in unit.all("Name") if one.value == name]
        adds = [one for one in unit.all("Attribute") if unit.code(one) == f"{name}.add"]
        tests = [one for one in uses if type(unit.parent(one)).__name__ == "ComparisonTarget"]
        tests = [one for one in tests if type(unit.parent(one).operator).__name__ in ("In", "NotIn")]
        if tests and len(uses) == 1 + len(tests) + len(adds):
            bad = [unit.replace(one, f"{name}.append") for one in adds]
            new = f"list({found[2]})" if found[2] else "[]"
            yield Change((unit.replace(node.value, new), *bad), {"name": name})
    for value in values(unit) if rng.random() < 0.3 else []:
        name, item = rng.choice(("seen", "known", "visited", "done")), rng.choice(("item", "key", "entry"))
        body = "{name} = {empty}\nfor {item} in {value}:\n    if {item} not in {name}:\n        {name}.{grow}({item})"
        slow, fast = body.replace("{empty}", "[]"), body.replace("{empty}", "set()")
        slow, fast = slow.replace("{grow}", "append"), fast.replace("{grow}", "add")
        yield from added(unit, rng, slow, fast, value=value, name=name, item=item)


@defect(
    "readlines_in_loop",
    "performance",
    "minor",
    r"^\s+for \w+ in (self\.)?_?(f|fp|file|infile|stream|fh|fobj|fileobj|input|stdin|stdout):$|open\(",
    "`{call}` reads the whole file into memory before the first line is used; iterate over `{name}` itself.",
    "There is no need for `{call}`: files give their lines one by one.",
    "A large file does not fit into memory. Loop over `{name}` instead of `{call}`.",
)
def readlines_in_loop(unit: Unit, rng: Random) -> Iterator[Change]:
    """A file is read as a whole to walk through its lines."""
    for node in unit.all("For"):
        name, target = unit.code(node.iter), unit.code(node.target)
        known = re.fullmatch(r"(self\.)?_?(f|fp|file|infile|stream|fh|fobj|fileobj|input|stdin|stdout)", name)
        opened = re.search(rf"open\(.* as {re.escape(name)}:|\b{re.escape(name)} = (\w+\.)?open\(", unit.text)
        if re.fullmatch(r"[\w.]+", name) and (opened or (known and re.search(r"line|row|^l$", target))):
            call = f"{name}.readlines()"
            yield Change((unit.replace(node.iter, call),), {"name": name, "call": call})


@defect(
    "list_in_reduction",
    "performance",
    "nit",
    r"\b(any|all|sum|set|max|min)\([^\[\n]* for ",
    "The list inside `{call}` is not needed; a generator stops early and keeps nothing in memory.",
    "`{call}` takes a generator; building a list first is wasted work.",
    "Drop the brackets: `{call}` then consumes one element at a time.",
)
def list_in_reduction(unit: Unit, rng: Random) -> Iterator[Change]:
    """A list is built only to be reduced."""
    for node in unit.all("Call"):
        call = unit.code(node.func)
        if call not in ("any", "all", "sum", "set", "max", "min") or len(node.args) != 1 or not unit.one_line(node):
            continue
        if type(node.args[0].value).__name__ == "GeneratorExp" and node.args[0].star == "":
            inner = unit.code(node)[len(call) + 1 : -1]
            yield Change((unit.replace(node, f"{call}([{inner}])"),), {"call": call})


@defect(
    "sorted_for_extreme",
    "performance",
    "minor",
    r"\b(min|max)\([A-Za-z_]",
    "`{new}` sorts everything to take one element; `{call}` needs a single pass.",
    "Use `{call}` here: sorting costs n log n and builds a list.",
    "No need to sort: `{new}` is `{call}` in a slow way.",
    shapes=("edit", "beside"),
)
def sorted_for_extreme(unit: Unit, rng: Random) -> Iterator[Change]:
    """A whole sequence is sorted for its smallest or largest element."""
    for node in unit.all("Call"):
        found = re.fullmatch(r"(min|max)\((.*)\)", unit.code(node))
        if found and len(node.args) == 1 and node.args[0].star == "":
            new = f"sorted({found[2]})[{'0' if found[1] == 'min' else '-1'}]"
            yield Change((unit.replace(node, new),), {"new": new, "call": found[1]})


@defect(
    "keys_list_membership",
    "performance",
    "minor",
    r"\bin ([\w.]+)\b(.|\n)*\b\1(\[|\.(items|keys|values|get|setdefault)\()",
    "`{new}` builds a list of all keys and walks through it; a dict answers this at once.",
    "Look the key up in the dict itself instead of in `{new}`.",
    "Linear search: `{new}` throws away the hash table.",
)
def keys_list_membership(unit: Unit, rng: Random) -> Iterator[Change]:
    """A key is searched in a list of keys."""
    for node in unit.all("ComparisonTarget"):
        name = unit.code(node.comparator)
        if type(node.operator).__name__ not in ("In", "NotIn") or not re.fullmatch(r"[\w.]+", name):
            continue
        key = re.escape(unit.code(unit.parent(node).left))
        if re.search(rf"\b{re.escape(name)}(\[{key}\]|\.(items|keys|values|get|setdefault)\()", unit.text):
            new = f"list({name}.keys())"
            yield Change((unit.replace(node.comparator, new),), {"new": new})
