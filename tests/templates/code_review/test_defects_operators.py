"""Every defect operator, on a small function written for it: the comment stands at the line that is wrong."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from random import Random

import pytest

from understudy.templates.code_review.defects import OPERATORS, Source
from understudy.templates.code_review.defects.compose import Made, Refused, compose
from understudy.templates.code_review.defects.source import pieces
from understudy.templates.code_review.defects.unit import Unit

pytest.importorskip("libcst")

BY_NAME = {operator.name: operator for operator in OPERATORS}
DEFECTS = [operator.name for operator in OPERATORS if not operator.harmless]

PLAIN = (
    "def handle(request, options):\n    first = request.first\n    second = options.second\n    return first, second\n"
)
TEST = "def test_it(self):\n    result = make(1)\n    other = make(2)\n    self.assertEqual(result, 3)\n"

# The function before the change, and what the commented line matches after it.
CASES: dict[str, tuple[str, str]] = {
    "ambiguous_name": ("def f(a):\n    total = a\n    print(a)\n    b()\n    return total\n", r"^    [lOI] = a"),
    "assert_for_validation": (
        "def f(size):\n    if size < 0:\n        raise ValueError('bad')\n    one()\n    return size\n",
        r"assert size >= 0$",
    ),
    "assert_on_tuple": ("def f(a):\n    b = a\n    assert a == 1\n    c = a\n    return b, c\n", r"assert \(a == 1, "),
    "bare_except": (
        "def f(a):\n    try:\n        a()\n    except OSError:\n        raise\n    return 1\n",
        r"^    except:$",
    ),
    "bool_equality": ("def f(a):\n    if a:\n        go()\n    one()\n    return a\n", r"if a == True:"),
    "broad_except": (
        "def f(a):\n    try:\n        a()\n    except OSError:\n        raise\n    return 1\n",
        r"except Exception:",
    ),
    "broad_expected_error": (
        "def test_f(self):\n    a = 1\n    b = 2\n    self.assertRaises(TypeError, f, a)\n    self.c(b)\n",
        r"assertRaises\(Exception",
    ),
    "camel_case_name": ("def f(a):\n    my_sum = a\n    b()\n    c()\n    return my_sum\n", r"^    mySum = a"),
    "command_injection": (PLAIN, r"shell=True|os\.system"),
    "commented_out_code": (PLAIN, r"^    # \w+ = "),
    "compared_with_itself": (TEST, r"assertEqual\(result, result\)"),
    "compile_in_loop": (PLAIN, r"        pattern = re.compile"),
    "concatenation_in_loop": (PLAIN, r" \+= "),
    "dead_code": (PLAIN, r"done|counter|finished"),
    "debug_print": (PLAIN, r"print\("),
    "dropped_result": (
        "def f(a):\n    a = a.strip()\n    b()\n    c()\n    return a\n",
        r"^    a\.strip\(\)",
    ),
    "dropped_return": ("def get_f(a):\n    b()\n    c()\n    d()\n    return a + 1\n", r"^    a \+ 1"),
    "early_return": (
        "def f(a):\n    out = []\n    for b in a:\n        out.append(b)\n    return out\n",
        r"^        return out",
    ),
    "eval_of_input": (PLAIN, r" = eval\("),
    "float_equality": (PLAIN, r" == \d"),
    "formatted_log_message": (PLAIN, r"\(f\"|\" % |\.format"),
    "hardcoded_secret": (PLAIN, r' = "\S{8,}"$'),
    "insecure_temporary_file": (PLAIN, r"tempfile\.mktemp"),
    "integer_division": ("def f(a):\n    b()\n    c = a // 2\n    d()\n    return c\n", r"a / 2"),
    "inverted_condition": (
        "def f(a):\n    if a is None:\n        a = []\n    one()\n    return a\n",
        r"if a is not None:",
    ),
    "is_literal": ("def f(a):\n    if a == 'x':\n        b()\n    c()\n    return a\n", r"if a is 'x':"),
    "keys_list_membership": (
        "def f(a, b):\n    if a in b:\n        return b[a]\n    c()\n    return a\n",
        r"in list\(b\.keys\(\)\):",
    ),
    "lambda_assignment": (PLAIN, r"= lambda "),
    "late_binding_closure": (PLAIN, r"lambda: "),
    "list_as_set": (
        "def f(a):\n    seen = set()\n    for b in a:\n        if b in seen:\n            c()\n        seen.add(b)\n",
        r"seen = \[\]",
    ),
    "list_in_reduction": ("def f(a):\n    b()\n    c = any(d for d in a)\n    e()\n    return c\n", r"any\(\[d for"),
    "long_signature": (PLAIN, r"def handle\(request, options, "),
    "magic_number": ("def f(a):\n    if a > MAX_SIZE:\n        b()\n    c()\n    return a\n", r"a > \d+:"),
    "misleading_name": ("def f(a):\n    rows = []\n    b()\n    c()\n    return rows\n", r"row_\w+ = \[\]"),
    "missing_assertion": (TEST, r"def test_it|assertEqual"),
    "missing_await": (
        "async def f(a):\n    b()\n    c = await a.read()\n    d()\n    return c\n",
        r"^    c = a\.read\(\)",
    ),
    "missing_comma": (
        "def f(a):\n    b = [\n        'one',\n        'two',\n        'three',\n    ]\n    return b\n",
        r"'(one|two)'$",
    ),
    "missing_raise": (
        "def f(a):\n    if a:\n        raise ValueError('x')\n    b()\n    return a\n",
        r"^        ValueError",
    ),
    "missing_raise_from": (
        "def f(a):\n    try:\n        a()\n    except OSError as error:\n        raise Bad() from error\n    b()\n",
        r"raise Bad\(\)$",
    ),
    "missing_release": (
        "def f(self):\n    a()\n    with self.lock:\n        b()\n    c()\n    d()\n",
        r"self\.lock\.acquire\(\)",
    ),
    "missing_super_init": (
        "def __init__(self, a):\n    super().__init__()\n    self.a = a\n    b()\n    c()\n",
        r"def __init__",
    ),
    "missing_timeout": (PLAIN, r"\((request|options)\)$"),
    "misspelling": ("def f(a):\n    # One explanation\n    b()\n    c()\n    d()\n    return a\n", r"# One "),
    "modified_while_iterating": (
        "def f(a):\n    for b in list(a):\n        a.remove(b)\n    c()\n    return a\n",
        r"for b in a:|for \w+ in a:",
    ),
    "mutable_default": (
        "def f(a, items=None):\n    if items is None:\n        items = []\n    b()\n    c()\n    return items\n",
        r"def f\(a, items=\[\]\):",
    ),
    "negated_operator": ("def f(a, b):\n    if a not in b:\n        c()\n    d()\n    e()\n", r"if not a in b:"),
    "none_equality": ("def f(a):\n    if a is None:\n        b()\n    c()\n    d()\n", r"a == None"),
    "none_from_method": ("def f(a):\n    b()\n    a.sort()\n    c()\n    return a\n", r"a = a\.sort\(\)"),
    "off_by_one": (
        "def f(a):\n    for i in range(len(a)):\n        b(a[i])\n    c()\n    d()\n",
        r"range\(len\(a\) \+ 1\)",
    ),
    "overwritten_sum": ("def f(a):\n    b = 0\n    for c in a:\n        b += c\n    d()\n    return b\n", r"b = c"),
    "path_traversal": (PLAIN, r"open\("),
    "pop_from_front": (PLAIN, r"\.pop\(0\)"),
    "predictable_random": (PLAIN, r"random\."),
    "query_in_loop": (PLAIN, r"execute\("),
    "readlines_in_loop": (
        "def f(fp):\n    a()\n    for line in fp:\n        b(line)\n    c()\n    d()\n",
        r"readlines",
    ),
    "removed_docstring": ('def f(a):\n    """Do it."""\n    a()\n    b()\n    c()\n    d()\n', r"def f"),
    "removed_none_check": (
        "def f(a):\n    b()\n    if a is None:\n        return 0\n    c()\n    return a.size\n",
        r"return a\.size",
    ),
    "repeated_condition": (
        "def f(a):\n    if a == 'one':\n        b()\n    elif a == 'two':\n        c()\n    d()\n",
        r"elif a == 'one':",
    ),
    "repeated_import": ("import os\nimport re\nimport sys\nimport json\n", r"import \w+"),
    "resource_leak": (
        "def f(a):\n    b()\n    with open(a) as c:\n        d = c.read()\n    return d\n",
        r"^    c = open\(a\)",
    ),
    "self_assignment": (
        "def __init__(self, name):\n    a()\n    b()\n    self.name = name\n    c()\n",
        r"self\.name = self\.name",
    ),
    "shadowed_builtin": ("def f(a):\n    total = a\n    b()\n    c()\n    return total\n", r"^    \w+ = a"),
    "shared_copy": ("def f(a):\n    b = list(a)\n    b.append(1)\n    c()\n    return b\n", r"b = a$"),
    "skipped_test": (TEST, r"^@(unittest|pytest)"),
    "sleep_in_test": (TEST, r"sleep\("),
    "sorted_for_extreme": ("def f(a):\n    b()\n    c = min(a)\n    d()\n    return c\n", r"sorted\(a\)\[0\]"),
    "sql_injection": (PLAIN, r"execute\("),
    "stale_comment": (
        "def f(a):\n    my_size = a\n    # my_size may be 0\n    b()\n    c()\n    return my_size\n",
        r"# my_size may",
    ),
    "stale_parameter_in_docstring": (
        'def f(file_name):\n    """Open file_name."""\n    a()\n    b(file_name)\n    c()\n',
        r"Open file_name",
    ),
    "stale_raises_in_docstring": (
        'def f(a):\n    """Raise TypeError."""\n    b()\n    if not a:\n        raise TypeError("a")\n    c()\n',
        r"raise \w+\(",
    ),
    "statements_on_one_line": ("def f(a):\n    b = 1\n    c()\n    d()\n    e()\n    return b\n", r"; "),
    "swallowed_exception": (
        "def f(a):\n    try:\n        a()\n    except OSError:\n        log()\n    b()\n",
        r"except OSError:",
    ),
    "swapped_arguments": (
        "def f(a):\n    if isinstance(a, int):\n        b()\n    c()\n    return a\n",
        r"isinstance\(int, a\)",
    ),
    "todo_left": (PLAIN, r"# (TODO|FIXME|XXX|HACK): "),
    "truth_for_equality": (TEST, r"assertTrue\(result, 3\)"),
    "type_comparison": ("def f(a):\n    if isinstance(a, int):\n        b()\n    c()\n    d()\n", r"type\(a\) == int"),
    "unsafe_pickle": (PLAIN, r"\.loads\("),
    "unused_variable": (PLAIN, r" = .*(request|options)"),
    "verification_off": (PLAIN, r"verify=False"),
    "weak_hash": (PLAIN, r"hashlib\.(md5|sha1)"),
    "weakened_assertion": (TEST, r"assertIsNotNone\(result\)"),
    "wildcard_import": ("import os\nimport re\nfrom sys import path\nimport json\n", r"from sys import \*"),
    "wrong_boolean_operator": (
        "def f(a):\n    if a is not None and a.size:\n        b()\n    c()\n    d()\n",
        r"a is not None or a\.size",
    ),
    "yaml_load": (PLAIN, r"yaml\.\w+\("),
}

AROUND = "import os\n\nLIMIT = 3\n\n\n{code}\n\ndef last(value):\n    return value\n"


def made_of(name: str, code: str, shape: str, seed: int) -> Made:
    source = Source("own", "own.py", AROUND.format(code=code))
    piece = next(piece for piece in pieces(source) if piece.text == code)
    return compose(BY_NAME[name], shape, Unit(piece), Random(seed), [])  # type: ignore[arg-type]


def test_every_defect_operator_has_a_case() -> None:
    assert sorted(CASES) == sorted(DEFECTS)


@pytest.mark.parametrize("name", DEFECTS)
def test_the_comment_stands_at_the_wrong_line(name: str) -> None:
    code, pattern = CASES[name]
    made = outcomes(name, code)
    for one in made:
        (finding,) = one.specimen.comments
        text = one.after if finding.side == "RIGHT" else one.before
        assert re.search(pattern, text.split("\n")[finding.line - 1]), one.specimen.patch
        assert finding.category == BY_NAME[name].category and finding.severity == BY_NAME[name].severity
    assert len(made) >= 3


@pytest.mark.parametrize("name", DEFECTS)
def test_the_counterpart_is_clean_and_ends_with_the_right_form(name: str) -> None:
    code, _ = CASES[name]
    wrong, right = outcomes(name, code), outcomes(f"fixed_{name}", code)
    assert right and not any(one.specimen.comments for one in right)
    assert not {one.after for one in right} & {one.after for one in wrong}


def outcomes(name: str, code: str, seeds: int = 12) -> list[Made]:
    made = []
    for seed in range(seeds):
        with suppress(Refused):
            made.append(made_of(name, code, "edit", seed))
    return made


def test_a_suggestion_gives_the_right_lines_back() -> None:
    checked = 0
    for name, (code, _) in CASES.items():
        for one in outcomes(name, code, 3):
            (finding,) = one.specimen.comments
            if finding.suggestion is not None and finding.side == "RIGHT":
                lines = one.after.split("\n")
                lines[finding.line - 1] = finding.suggestion
                mended = "\n".join(lines)
                ast.parse(mended)
                assert mended != one.after
                checked += 1
    assert checked > 60


def test_there_are_enough_operators_of_every_category() -> None:
    categories = [operator.category for operator in OPERATORS if not operator.harmless]
    assert len(categories) >= 40 and all(categories.count(one) >= 5 for one in set(categories))
    assert set(categories) == {"security", "bug", "performance", "maintainability", "test", "docs", "style"}
    assert sum(operator.harmless and operator.reverses is None for operator in OPERATORS) >= 15


def test_every_defect_has_three_wordings_and_a_counterpart() -> None:
    for operator in OPERATORS:
        if not operator.harmless:
            assert len(operator.messages) >= 3 and BY_NAME[f"fixed_{operator.name}"].reverses == operator.name
