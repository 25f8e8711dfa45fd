# ruff: noqa: E501, RUF001 - one real message a row
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.templates.log_triage import signals
from understudy.templates.log_triage.rule_table import RULES
from understudy.templates.log_triage.rules import NO_CAUSE, diagnose, suspects
from understudy.templates.log_triage.schema import CATEGORIES, LogInput, LogLine


def _input(*texts: str) -> LogInput:
    return LogInput(lines=[LogLine(number=10 * n, text=text) for n, text in enumerate(texts, 1)], total_lines=1000)


@pytest.mark.parametrize(
    ("text", "category", "name"),
    [
        ("FAILED tests/test_a.py::test_b - assert 3 == 4", "test_assertion", "test_b"),
        ("--- FAIL: TestParse (0.00s)", "test_assertion", "TestParse"),
        ("thread 'tests::adds' panicked at src/lib.rs:4:5:", "test_assertion", "tests::adds"),
        ("  ● cart › adds an item", "test_assertion", "cart › adds an item"),
        ("not ok 3 - parses dates", "test_assertion", "parses dates"),
        ("src/a.c:3:10: fatal error: zlib.h: No such file or directory", "compile_error", "zlib.h"),
        ("main.c:5: undefined reference to `foo'", "compile_error", "foo"),
        ("./main.go:8:2: undefined: helper", "compile_error", "helper"),
        ("error[E0425]: cannot find value `total` in this scope", "compile_error", "total"),
        ("Foo.java:7: error: ';' expected", "compile_error", "Foo.java"),
        ("[ERROR] /w/src/Foo.java:[7,1] class Foo is public", "compile_error", "/w/src/Foo.java"),
        ('a/b.py:5: error: "Cart" has no attribute "size"  [attr-defined]', "type_error", "size"),
        ("src/a.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.", "type_error", "number"),
        ("src/a.py:1:1: F401 'os' imported but unused", "lint_failure", "F401"),
        ("README.md:5 MD012/no-multiple-blanks Multiple consecutive blank lines", "lint_failure", "MD012/no-multiple-blanks"),
        ("would reformat src/a.py", "formatting_failure", "src/a.py"),
        ("[warn] src/a.js", "formatting_failure", "src/a.js"),
        ("ERROR: No matching distribution found for nosuch==1.0", "dependency_install", "nosuch==1.0"),
        ("npm error 404  'nosuch@1' is not in this registry.", "dependency_install", "nosuch"),
        ("ModuleNotFoundError: No module named 'yaml'", "dependency_install", "yaml"),
        ("E: Unable to locate package libfoo-dev", "dependency_install", "libfoo-dev"),
        ('ERROR: failed to solve: "/app/x.txt": not found', "docker_build", "app/x.txt"),
        ("Unable to resolve action `acme/nosuch@v1`, repository not found", "github_actions_config", "acme/nosuch@v1"),
        ("Error: Input required and not supplied: token", "permission_or_secret", "token"),
        ("deploy.sh: line 3: API_TOKEN: unbound variable", "permission_or_secret", "API_TOKEN"),
        ("bash: ./run.sh: Permission denied", "permission_or_secret", "./run.sh"),
        ("curl: (6) Could not resolve host: example.invalid", "network_or_flaky", "example.invalid"),
        ("Error: connect ECONNREFUSED 127.0.0.1:5432", "network_or_flaky", "127.0.0.1:5432"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "timeout_or_oom", ""),
        ("The job running on runner x has exceeded the maximum execution time of 360 minutes.", "timeout_or_oom", "360 minutes"),
        ("build.sh: line 2: nosuchtool: command not found", "other", "nosuchtool"),
        ("CONFLICT (content): Merge conflict in src/a.py", "other", "src/a.py"),
        ("tar: x.tar: Cannot write: No space left on device", "other", "x.tar"),
        ("make: *** No rule to make target 'foo', needed by 'all'.  Stop.", "other", "foo"),
        ("FAIL Test stat() [ext/standard/tests/file/stat.phpt]", "test_assertion", "Test stat()"),
        ("[info] - Should not increase the count *** FAILED ***", "test_assertion", "Should not increase the count"),
        ("src/ShellCheck/Fixer.hs:38:10: error:", "compile_error", "src/ShellCheck/Fixer.hs"),
        ("src/vhost.erl:91: field description undefined in record vhost", "compile_error", "src/vhost.erl"),
        ("README.md: 12: MD040/fenced-code-language Fenced code blocks", "lint_failure", "MD040/fenced-code-language"),
        ("cp: cannot stat ‘build/app’: No such file or directory", "other", "build/app"),
        ("npm error notarget No matching version found for late-lib@~5.1.", "dependency_install", "late-lib"),
        ('npm error peerOptional eslint@"^10.0.0" from @eslint/js@10.0.1', "dependency_install", "@eslint/js"),
        ("npm error notsup Unsupported platform for a-b@6.1.0: wanted {}", "dependency_install", "a-b"),
        ("npm error need auth This command requires you to be logged in to https://npm.example/", "permission_or_secret", "npm.example"),
        ("npm error JSON.parse Invalid package.json: JSONParseError: Expected", "other", "package.json"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "dependency_install", ""),
        ('✘ [ERROR] No matching export in "src/b.js" for import "map"', "compile_error", "map"),
        ('✘ [ERROR] Expected "}" but found "b"', "compile_error", ""),
        (" - configuration has an unknown property 'tokenPath'. These are valid:", "other", "tokenPath"),
        ('syntax error at script/a.pl line 12, near "47;"', "compile_error", "script/a.pl"),
        ('Global symbol "$total" requires explicit package name (x) at a.pl line 6.', "compile_error", "total"),
        ("curl: (22) The requested URL returned error: 401", "permission_or_secret", "401"),
        ("Cannot connect to the Docker daemon at tcp://10.0.0.1:2375. Is it running?", "network_or_flaky", "tcp://10.0.0.1:2375"),
        ("fatal: unable to access 'http://git.example:733/a.git/': Failed to connect to git.example", "network_or_flaky", "git.example:733"),
        ("Error: creating build container: source docker://r.example/a: no such host", "network_or_flaky", "r.example"),
        ("Permissions 0644 for 'ci/key_ed25519' are too open.", "permission_or_secret", "ci/key_ed25519"),
        ("[ERROR] Unknown packaging: x-quote @ line 6, column 14", "other", "x-quote"),
        ("gzip: lib/a-2.0.gz: unexpected end of file", "other", "lib/a-2.0.gz"),
        ("deploy/a.toml is not valid: Invalid statement (at line 1, column 1)", "other", "deploy/a.toml"),
        ("ImportError: cannot import name 'f' from partially initialized module 'bridge'", "compile_error", "f"),
        ("error[E0433]: cannot find module or crate `kernel_rs` in this scope", "dependency_install", "kernel_rs"),
        ("FAILED tests/test_a.py::test_b - Failed: Timeout (>0.2s) from pytest-timeout.", "timeout_or_oom", "test_b"),
        ("3/3 Test #3: sums_test ............***Failed    0.01 sec", "test_assertion", "sums_test"),
    ],
)  # fmt: skip
def test_a_known_message_gives_its_category_and_names_its_subject(text: str, category: str, name: str) -> None:
    answer = diagnose(_input("Compiling things", text, "Process completed with exit code 1."))
    assert (answer.category, answer.evidence) == (category, [2])
    assert not name or f"`{name}`" in answer.root_cause


def test_nothing_known_means_unknown_without_evidence() -> None:
    for lines in (_input(), _input("all fine", "Process completed with exit code 1.", "make: *** [all] Error 2")):
        answer = diagnose(lines)
        assert (answer.category, answer.evidence, answer.root_cause) == ("unknown", [], NO_CAUSE)


def test_consequences_lose_against_the_cause_before_them() -> None:
    answer = diagnose(
        _input("src/a.c:3:1: error: 'x' undeclared", "make: *** [a.o] Error 1", "ERROR: Job failed: exit code 1")
    )
    assert answer.evidence == [1] and answer.category == "compile_error"


def test_of_compiler_errors_the_first_counts_of_others_the_last() -> None:
    compiler = diagnose(_input("a.c:1:1: error: 'x' undeclared", "a.c:9:1: error: 'y' undeclared"))
    other = diagnose(_input("cat: a.txt: No such file or directory", "cat: b.txt: No such file or directory"))
    assert (compiler.evidence, other.evidence) == ([1], [2])


def test_a_failure_that_was_retried_loses() -> None:
    answer = diagnose(_input("build.sh: nosuchtool: command not found", "Connection reset by peer, retrying in 5 s"))
    assert answer.category == "other" and answer.evidence == [1]


def test_a_companion_line_completes_the_sentence() -> None:
    answer = diagnose(_input("FAIL: test_sum (tests.test_a.Sum)", "-----", "AssertionError: 3 != 4"))
    assert answer.evidence == [1, 3]
    assert answer.root_cause == "Test `test_sum` fails: expected `4`, got `3`."


@given(st.lists(st.text(max_size=80) | st.sampled_from(["error: `x`", "FAILED a.py::b`c - x"]), max_size=8))
def test_names_in_a_root_cause_stand_in_the_evidence(texts: list[str]) -> None:
    lines = _input(*[text.replace("\n", " ") for text in texts])
    answer = diagnose(lines)
    quoted = "\n".join(lines.lines[position - 1].text.replace("`", "") for position in answer.evidence)
    assert all(name in quoted for name in answer.root_cause.split("`")[1::2])
    assert bool(answer.evidence) == (answer.category != "unknown")


def test_the_table_covers_every_category_but_unknown() -> None:
    assert {rule.category for rule in RULES} == set(CATEGORIES) - {"unknown"}


@pytest.mark.parametrize("unit", ["a", " ", "a:", "1:1: ", "/", "x.y(", "error: ", "'", "E" * 7 + " ", "0", "a-"])
def test_no_rule_needs_long_for_a_hostile_line(unit: str) -> None:
    # 600 characters is what rules look at; a pattern with nested repetition would never come back here.
    line = (unit * 600)[:600]
    start = time.process_time()
    assert all(rule.pattern.search(line) is None or rule.category for rule in RULES)
    assert 0 <= signals.weigh(line) <= 100
    assert (
        time.process_time() - start < 5
    )  # not a speed test: a runaway pattern takes minutes, a sound one milliseconds


def test_of_several_failed_tests_the_first_is_named() -> None:
    answer = diagnose(_input("--- FAIL: TestOne (0.1s)", "--- FAIL: TestTwo (0.1s)"))
    assert "`TestOne`" in answer.root_cause


def test_a_copy_that_finds_nothing_does_not_hide_the_compile_error_before_it() -> None:
    answer = diagnose(
        _input("src/a.hs:3:1: error:", "    Not in scope: x", "cp: cannot stat 'app': No such file or directory")
    )
    assert (answer.category, answer.evidence) == ("compile_error", [1])


def test_the_line_below_a_heading_is_suspected_and_not_the_heading() -> None:
    assert suspects(_input("Compiling", "Failures:", "  From test_popup.vim:", "done")) == [3]


def test_a_line_that_only_speaks_of_errors_is_no_suspect() -> None:
    assert suspects(_input("Allow some information gathering to give useful error messages", "done")) == []


def test_the_reason_of_another_test_is_not_cited() -> None:
    lines = ("OneTest > a() FAILED", "    java.lang.AssertionError at OneTest.java:10", "TwoTest > b() FAILED")
    answer = diagnose(_input(*lines))
    assert "`TwoTest > b()`" in answer.root_cause and answer.evidence == [3]
