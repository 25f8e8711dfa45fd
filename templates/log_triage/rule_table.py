# ruff: noqa: E501, RUF001 - a table reads best with one message a row
"""The known failure messages of common tools, most specific first.

A row is a pattern with named groups, the category and origin (whose change would fix it), and two sentence templates.
Templates may hold variants separated by ``|``: the first whose names were all found is used. Written from the tools' own
message texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.templates.log_triage.schema import Category, Origin

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One known message."""

    pattern: re.Pattern[str]
    category: Category
    origin: Origin
    cause: str
    fix: str
    rank: float = 3.0
    """3: the message names the cause; 2: it names the place; 1: it only says that something is wrong."""
    transient: bool = False
    first: bool = False
    """Of several such lines the first counts (compilers), not the last."""
    companion: re.Pattern[str] | None = None
    companion_below: bool = False
    """Look a few lines below the line, not above it."""
    certain: bool = False
    """The message stays a failure even beside words such as "ignored" or "retry"."""


def _row(
    pattern: str,
    category: Category,
    origin: Origin,
    cause: str,
    fix: str,
    *,
    rank: float = 3.0,
    transient: bool = False,
    first: bool = False,
    companion: str | None = None,
    below: bool = False,
    certain: bool = False,
) -> Rule:
    beside = re.compile(companion) if companion else None
    return Rule(re.compile(pattern), category, origin, cause, fix, rank, transient, first, beside, below, certain)


_FILE = r"(?P<file>[^\s:('\"]+)"
_AT = _FILE + r"(?::\d+|\(\d+)(?:[:,]\d+)?\)?:?"
_QUOTE = r"['\"‘’“”`]"
_NAME = _QUOTE + r"(?P<name>[^'\"‘’“”`]+)" + _QUOTE
_FIX_TEST = (
    "Correct the code under {test} or the value it expects.|Correct the code under the test or the value it expects."
)
_FIX_SYNTAX = "Correct the syntax in {file}.|Correct the syntax error."
_REACH = (
    "Run the job again; if it persists, check the host {host}.|Run the job again; if it persists, check the network."
)

_NPM = r"^npm (?:ERR!|error) "
_PACKAGE = r"(?P<name>@?[^@\s']+)@"
_HOST = r"\w+://(?P<host>[^/\s'\"]+)"

# fmt: off
_PRECISE = (
    _row(_NPM + r"notarget No matching version found for " + _PACKAGE, "dependency_install", "dependency", "Dependency {name} cannot be installed: no matching version.", "Choose a version of {name} that exists.", rank=3.2),
    _row(_NPM + r"404 +(?:The requested resource )?'" + _PACKAGE + r"?.* (?:could not be found|is not in)", "dependency_install", "dependency", "Dependency {name} cannot be installed: it is not in the registry.", "Correct the name {name} or publish it.", rank=3.2),
    _row(_NPM + r"peer\w* (?P<other>@?[^@\s]+)@.* from " + _PACKAGE, "dependency_install", "dependency", "Dependency {name} cannot be installed: it needs another version of {other}.", "Choose versions of {other} and {name} that fit together.", rank=3.2, first=True, companion=_NPM + r"Found: "),
    _row(r"^npm (?:ERR!|error|warn|WARN) tarball tarball data for " + _PACKAGE + r".* corrupted", "dependency_install", "dependency", "Dependency {name} cannot be installed: its checksum is wrong.", "Check where {name} comes from and update the lock file.", rank=3.2, first=True, certain=True, companion=_NPM + r"sha\d+-", below=True),
    _row(_NPM + r"(?:notsup|engine) Not compatible with your version of node/npm: " + _PACKAGE, "dependency_install", "config", "Dependency {name} cannot be installed: it needs another version of node.", "Use a version of node that {name} allows.", rank=3.2, companion=_NPM + r"notsup Required: ", below=True),
    _row(_NPM + r"notsup Unsupported platform for " + _PACKAGE, "dependency_install", "dependency", "Dependency {name} cannot be installed: it does not support this platform.", "Make {name} optional or choose one that supports this platform.", rank=3.2),
    _row(_NPM + r"need auth .*" + _HOST, "permission_or_secret", "config", "Permission denied: no token is set for {host}.", "Set a token for {host}.", rank=3.2, first=True),
    _row(_NPM + r"JSON\.parse (?:Invalid|Failed).*?(?P<file>package(?:-lock)?\.json)", "other", "config", "File {file} is not valid JSON.", "Correct the syntax of {file}.", rank=3.2, first=True),
    _row(r"^ERROR: Hashes are required in --require-hashes mode", "dependency_install", "dependency", "Dependency {name} cannot be installed: its hash is missing.|A dependency has no hash.", "Add the hash of {name} to the requirements.|Add the hash to the requirements.", companion=r"^\s+(?P<name>[\w.-]+)==\S+ --hash", below=True),
    _row(r"^ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "dependency_install", "dependency", "Dependency {name} cannot be installed: its hash does not match.|The hash of a dependency does not match.", "Check where {name} comes from and update its hash.|Check where it comes from and update its hash.", companion=r"^\s+(?P<name>[\w.-]+)(?:==\S+)? from ", below=True),
    _row(r"^WARNING: Retrying \(Retry\(total=0.*(?:[Cc]onnection refused|[Nn]ame or service not known|name resolution|timed out)", "network_or_flaky", "external", "Host {host} cannot be reached.|The package index cannot be reached.", "Run again, or check the index on {host}.|Run again, or check the index.", rank=3.3, transient=True, certain=True, companion=r"^Looking in indexes: " + _HOST),
    _row(r"^ERROR Unmet dependencies", "dependency_install", "dependency", "Module {name} is not installed.|A build dependency is not installed.", "Install {name} before the build.|Install it before the build.", companion=r"^\t(?P<name>[\w.-]+)$", below=True),
    _row(r"Could not find a package configuration file provided by \"(?P<name>[^\"]+)\"", "dependency_install", "dependency", "Package {name} is not installed: CMake does not find it.", "Install {name} or correct its name.", companion=r"^CMake Error at "),
    _row(r"^\s+(?:Flow control statements are not properly nested|Parse error\.)", "compile_error", "code", "{file} does not parse.|The CMake file does not parse.", "Correct the syntax in {file}.|Correct its syntax.", companion=r"^CMake Error at " + _FILE),
    _row(r"^✘ \[ERROR\] No matching export in \"(?P<file>[^\"]+)\" for import \"(?P<name>[^\"]+)\"", "compile_error", "code", "The bundle does not build: {file} does not export {name}.", "Export {name} from {file} or correct the name.", first=True),
    _row(r"^✘ \[ERROR\] (?:Expected|Unexpected|Unterminated|Syntax error)", "compile_error", "code", "{file} does not compile: syntax error.|The source does not compile: syntax error.", _FIX_SYNTAX, first=True, companion=r"^\s+" + _FILE + r":\d+:\d+:$", below=True),
    _row(r"^Module parse failed: ", "compile_error", "code", "{file} does not compile: syntax error.|The source does not compile: syntax error.", _FIX_SYNTAX, first=True, companion=r"^ERROR in " + _FILE),
    _row(r"^ - configuration has an unknown property '(?P<name>[^']+)'", "other", "config", "The configuration is invalid: {name} is not allowed.", "Remove or rename {name}.", first=True),
    _row(r"^syntax error at (?P<file>\S+) line \d+, near", "compile_error", "code", "{file} does not compile: syntax error.", _FIX_SYNTAX, first=True),
    _row(r"^Global symbol \"[$@%](?P<name>\w+)\" requires explicit package name .* at (?P<file>\S+) line", "compile_error", "code", "{file} does not compile: {name} is not defined.", "Declare {name} before it is used.", first=True),
    _row(r"^curl: \(22\) .*error: (?P<code>40[137])", "permission_or_secret", "config", "Permission denied: the server answers with {code}.", "Pass a valid token to the server.", rank=3.1),
    _row(r"Cannot connect to the Docker daemon at (?P<host>\S+?)\.?(?:\s|$)", "network_or_flaky", "infra", "The Docker daemon at {host} cannot be reached.", "Start the daemon behind {host} and run again.", rank=3.1, transient=True),
    _row(r"^fatal: unable to access '" + _HOST + r".*(?:Failed to connect|Couldn't connect|[Cc]onnection (?:refused|reset)|timed out)", "network_or_flaky", "external", "Host {host} cannot be reached.", "Run again or check the server at {host}.", rank=3.1, transient=True),
    _row(r"^Error: (?:building at STEP|creating build container)(?:.*?" + _HOST + r")?.*(?:connection refused|no such host|i/o timeout|TLS handshake)", "network_or_flaky", "external", "Host {host} cannot be reached.|The image build cannot reach a host.", "Run again or check the host {host}.|Run again or check the host.", rank=3.2, transient=True),
    _row(r"^Permissions 0\d+ for '(?P<file>[^']+)' are too open", "permission_or_secret", "config", "Permission denied: key {file} is too open.", "Make {file} readable for its owner only.", rank=3.1),
    _row(r"^ERROR\s+`?(?:long_description|description)`? has syntax errors", "other", "config", "The description in {file} cannot be rendered.|The description cannot be rendered.", "Correct the markup of the description.", companion=r"^Checking (?:\S*/)?(?P<file>[^\s/]+): FAILED"),
    _row(r"^\[ERROR\] (?:Unknown packaging: (?P<name>\S+)|'(?P<name2>[\w.]+)' with value)", "other", "config", "The manifest is invalid: {name} is unknown.|The manifest is invalid: {name2}.", "Correct the manifest.", rank=3.2, first=True),
    _row(r"^CONFLICT .*[Mm]erge conflict in (?P<name>\S+)", "other", "code", "Merge conflict in {name}.", "Resolve the conflict in {name}.", rank=3.1),
    _row(r"^(?:gzip|xz|bzip2|unzip|tar): (?P<file>[^\s:]+): (?:[Uu]nexpected end of|not in gzip|File format not recognized|Compressed data is corrupt|invalid)", "other", "external", "Archive {file} is corrupt.", "Download {file} again.", rank=3.1),
    _row(r"^(?:error: )?(?P<file>[\w./-]+\.(?:toml|json|ya?ml|ini|cfg))(?: is not valid)?: (?:[Ii]nvalid|[Ee]xpect)", "other", "config", "File {file} is invalid.", "Correct the syntax of {file}."),
    _row(r"^(?:E\s+)?ImportError: cannot import name '(?P<name>\w+)' from partially initialized module '(?P<module>[\w.]+)'", "compile_error", "code", "{module} does not compile: {name} is imported in a circle.", "Break the circular import of {name}.", rank=3.1),
    _row(r"^error\[E0433\]: cannot find module or crate `(?P<name>\w+)`", "dependency_install", "dependency", "Module {name} is not installed.", "Add {name} to the dependencies.", first=True, companion=r"^\s*--> ", below=True),
    _row(_AT + r" error: incompatible types when \w+ .*?[‘'](?P<got>[^’']+)[’'].* (?:but|from type) [‘'](?P<want>[^’']+)[’']", "type_error", "code", "Type error in {file}: {got} does not fit {want}.", "Make the types in {file} agree.", first=True),
    _row(r"^FAILED (?:\S*::)?(?P<test>[^\s:]+) - Failed: Timeout", "timeout_or_oom", "test", "Test {test} exceeded its time limit.", "Make {test} faster or raise its time limit.", rank=3.3, companion=r"^\s*E\s+Failed: Timeout"),
    _row(r"^\s+'test timed out after (?P<limit>\w+)'", "timeout_or_oom", "test", "Test {test} exceeded its time limit of {limit}.|A test exceeded its time limit of {limit}.", "Let {test} finish in time or raise its limit.|Let it finish in time or raise its limit.", rank=3.2, companion=r"^\s*✖ (?P<test>[^\s:]+)"),
    _row(r"^\s*\d+/\d+ Test\s+#\d+: (?P<test>\S+) \.*\*\*\*(?:Failed|Exception|Not Run)", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, rank=2.7, certain=True),
    _row(r"HTTP Error (?P<code>50[0234])\b", "network_or_flaky", "external", "A server answers with {code}.", "Run again when the server works.", transient=True),
)

_TESTS = (
    _row(r"^FAILED (?:\S*::)?(?P<test>[^\s:]+) - (?:assert|AssertionError: assert) (?P<got>\S.*?) == (?P<want>\S[^=]*?)$", "test_assertion", "code", "Test {test} fails: expected {want}, got {got}.", _FIX_TEST, companion=r"^\s*E\s+(?:AssertionError: )?assert ", certain=True),
    _row(r"^(?:FAILED|ERROR) (?P<test>\S+\.py)(?: - (?P<why>.*No module named '?(?P<name>[\w.]+).*))$", "dependency_install", "dependency", "Module {name} is not installed.", "Add {name} to the dependencies and install it.", companion=r"^\s*E\s+ModuleNotFoundError", certain=True),
    _row(r"^FAILED (?!\()(?:\S*::|(?=\S+\.py))(?P<test>[^\s:]+)(?: - (?P<error>[\w.]*(?:Error|Exception|Timeout|Exit)\b))?", "test_assertion", "code", "Test {test} fails with {error}.|Test {test} fails.", _FIX_TEST, companion=r"^\s*E\s+(?:(?P<error>[\w.]+(?:Error|Exception))|\S)", certain=True),
    _row(r"^ERROR (?:\S*::)(?P<test>[^\s:]+)", "test_assertion", "test", "Test {test} cannot be set up: {name} is missing.|Test {test} cannot be set up.", "Correct the fixture or setup of {test}.", companion=r"^\s*E\s+(?:fixture '(?P<name>\w+)' not found|\S)", certain=True),
    _row(r"'(?P<name>[\w-]+)' not found in `markers` configuration", "other", "config", "Marker {name} is not in the configuration.", "Register the marker {name} in the configuration.", rank=3.2),
    _row(r"^ERROR (?P<file>\S+\.py)\b", "compile_error", "code", "{file} cannot be imported: {name} is not defined.|{file} cannot be imported: {error}.|{file} cannot be imported.", "Correct the import of {file}.", companion=r"^\s*E\s+(?:ImportError: cannot import name '(?P<name>\w+)'|(?P<error>[\w.]*Error)\b|\S)", rank=2.8, certain=True),
    _row(r"^(?:FAIL|ERROR): (?P<test>\w+) \(", "test_assertion", "code", "Test {test} fails: expected {want}, got {got}.|Test {test} raises {error}.|Test {test} fails.", _FIX_TEST, companion=r"^(?:AssertionError: (?P<got>\S+) != (?P<want>\S+)|(?P<error>[\w.]*(?:Error|Exception))\b)", below=True, certain=True),
    _row(r"^\s*--- FAIL: (?P<test>\S+)", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, companion=r"^\s+\w+_test\.go:\d+: ", below=True, certain=True, first=True),
    _row(r"^thread '(?P<test>[^']+)' .*panicked at (?P<file>[^:,]+)", "test_assertion", "code", "Test {test} panics in {file}.", _FIX_TEST, companion=r"^(?:assertion|\s*(?:left|right): |called )", below=True, certain=True),
    _row(r"^\s*(?:●|✗|✕|✖) (?!\d+ problems?)(?P<test>\S.*?)(?: \(\d+.*)?$", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, rank=2.5, companion=r"^\s*(?:Expected|expect\(|AssertionError|Error:|Received)", below=True, certain=True),
    _row(r"^FAIL (?P<test>.+?) \[\S+\.phpt\]", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, rank=2.5, certain=True, first=True),
    _row(r"^FAIL:? (?P<test>\w\S*?)[:,]? +(?:expected:? (?P<want>\S+?),? (?:but )?(?:got|was):? (?P<got>\S+))?", "test_assertion", "code", "Test {test} fails: expected {want}, got {got}.|Test {test} fails.", _FIX_TEST, rank=2.6, certain=True),
    _row(r"^\s*not ok \d+ -? ?(?P<test>\S.*)", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, rank=2.5, certain=True),
    _row(r"^\[?ERROR\]?:?\s+(?P<test>[\w$.]+)(?::\d+|\([\w.$]+\)).*(?:expected:? ?<(?P<want>[^>]*)>.*but was:? ?<(?P<got>[^>]*)>|<<< (?:FAILURE|ERROR))", "test_assertion", "code", "Test {test} fails: expected {want}, got {got}.|Test {test} fails.", _FIX_TEST, certain=True),
    _row(r"^(?P<test>[\w.$]+ ?> ?[\w ()\[\]-]+) FAILED$", "test_assertion", "code", "Test {test} fails.", _FIX_TEST, companion=r"^\s+[\w.]+(?:Error|Exception|Failure)", below=True, certain=True),
    _row(r"^\s*(?P<test>[\w.$-]+).*\*\*\* FAILED \*\*\*|^\s*\d+\) (?P<test2>[\w\\]+::\w+)|^rspec (?P<spec>\S+:\d+)|^(?:\[info\] )?\s*- (?P<test3>.+?) \*\*\* FAILED \*\*\*", "test_assertion", "code", "Test {test} fails.|Test {test2} fails.|Test {spec} fails.|Test {test3} fails.|A test fails.", _FIX_TEST, rank=2.5, certain=True, first=True),
    _row(r"expected:? ?<(?P<want>[^>]*)> but was:? ?<(?P<got>[^>]*)>|Assertion `(?P<test>[^'`]+)' failed|Failed asserting that (?P<that>.+?)\.?$", "test_assertion", "code", "The assertion {test} does not hold.|A test fails: expected {want}, got {got}.|A test fails: {that} does not hold.", _FIX_TEST, certain=True),
    _row(r"^AssertionError(?: \[ERR_ASSERTION\])?: (?P<that>(?P<name>[A-Z][A-Z0-9_]{3,}) is (?:not set|required|missing))|[Mm]issing (?:required )?(?:environment variable|secret):? (?P<name2>[A-Z][A-Z0-9_]{3,})", "permission_or_secret", "config", "Secret {name} is not set.|Secret {name2} is not set.", "Set the secret for this job.", certain=True),
    _row(r"^E\s+assert ", "test_assertion", "code", "Test {test} fails.|An assertion does not hold.", _FIX_TEST, rank=2.45, certain=True, companion=r"^_{3,} (?P<test>\S+) _{3,}$"),
    _row(r"^\s*Failure/Error: ", "test_assertion", "code", "Test {test} fails.|A test fails.", _FIX_TEST, rank=2.6, certain=True, first=True, companion=r"^\s*\d+\) (?P<test>\S.*)"),
    _row(r"^\s*(?:E\s+)?AssertionError\b:? ?(?P<that>\S.*)?", "test_assertion", "code", "An assertion does not hold: {that}.|An assertion does not hold.", "Correct the code under test or the expected value.", rank=2.4, certain=True),
    _row(r"^\*\*\*Exception|^\s*\d+ - (?P<test>\S+) \((?:Failed|Timeout|SEGFAULT)\)", "test_assertion", "code", "Test {test} fails.|A test fails.", _FIX_TEST, rank=2.5, certain=True),
)

_TYPES = (
    _row(_AT + r" error: (?:Incompatible|Argument \d|Unsupported operand|Unsupported left).*?\"(?P<got>[^\"]+)\".*?\"(?P<want>[^\"]+)\"", "type_error", "code", "Type error in {file}: {got} does not fit {want}.", "Make the types in {file} agree.", first=True),
    _row(_AT + r" error: \"(?P<name>[^\"]+)\" has no attribute \"(?P<attr>[^\"]+)\"", "type_error", "code", "Type error in {file}: {name} has no attribute {attr}.", "Define {attr} or correct its name.", first=True),
    _row(_AT + r" error: .*\[(?P<name>[a-z]+(?:-[a-z]+)+|misc|override|assignment|operator|index)\]$", "type_error", "code", "Type error in {file}: {name}.", "Make the types in {file} agree.", first=True),
    _row(_AT + r"(?: -)? error TS(?:2322|2345): .*'(?P<got>[^']+)' is not assignable to (?:type|parameter of type) '(?P<want>[^']+)'", "type_error", "code", "Type error in {file}: expected {want}, got {got}.", "Make the types in {file} agree.", first=True),
    _row(_AT + r"(?: -)? error TS(?:2304|2305|2552|2614|2724|2306|1192): .*?'(?:\"[^\"]+\")?(?P<name>[^'\"]*)'(?:.* member '(?P<name2>[^']+)')?", "compile_error", "code", "{file} does not compile: {name2} is not exported.|{file} does not compile: {name} is not defined.", "Define, export or import the name.", first=True),
    _row(_AT + r"(?: -)? error (?P<code>TS2307): Cannot find module '(?P<name>[./][^']*)'", "compile_error", "code", "{file} does not compile: {name} is not found.", "Correct the import in {file}.", first=True),
    _row(_AT + r"(?: -)? error (?P<code>TS2307): Cannot find module " + _NAME, "dependency_install", "dependency", "Module {name} is not installed or {file} names it wrongly.", "Install {name} or correct the import in {file}.", first=True),
    _row(_AT + r"(?: -)? error (?P<code>TS1\d{3}):", "compile_error", "code", "{file} does not compile: syntax error {code}.", _FIX_SYNTAX, first=True),
    _row(_AT + r"(?: -)? error (?P<code>TS\d+):", "type_error", "code", "Type error in {file}: {code}.", "Correct the types in {file}.", first=True),
    _row(r"^error\[(?P<code>E0308|E0277|E0369|E0599)\]: ", "type_error", "code", "Type error in {file}: {code}.|A type error: {code}.", "Make the types in {file} agree.|Make the types agree.", companion=r"^\s*--> " + _FILE, below=True, first=True),
    _row(_AT + r" error: incompatible types: (?P<got>\S+) cannot be converted to (?P<want>\S+)", "type_error", "code", "Type error in {file}: expected {want}, got {got}.", "Make the types in {file} agree.", first=True),
    _row(_AT + r" error: cannot convert " + _QUOTE + r"(?P<got>[^'’]+)" + _QUOTE + " to " + _QUOTE + r"(?P<want>[^'’]+)" + _QUOTE, "type_error", "code", "Type error in {file}: expected {want}, got {got}.", "Make the types in {file} agree.", first=True),
    _row(r"^\[error\] " + _AT + r" type mismatch|^Error: " + _AT.replace("file", "file2") + r".*?type mismatch", "type_error", "code", "Type error in {file}.|Type error in {file2}.", "Make the types agree.", first=True),
)

_COMPILERS = (
    _row(_AT + r" (?:fatal )?error: (?P<name>\S+): No such file or directory", "compile_error", "code", "{file} does not compile: {name} is missing.", "Add {name} or correct the include path.", first=True),
    _row(_AT + r" error: " + _NAME + r" (?:was not declared|undeclared|does not name a type|has not been declared)|" + _AT.replace("file", "file2") + r" error: use of undeclared identifier " + _NAME.replace("name", "name2"), "compile_error", "code", "{file} does not compile: {name} is not defined.|{file2} does not compile: {name2} is not defined.", "Define {name} or include its header.|Define {name2} or include its header.", first=True),
    _row(_AT + r" error: cannot find symbol", "compile_error", "code", "{file} does not compile: {name} is not defined.|{file} does not compile: a symbol is not defined.", "Define {name} or import it.|Define or import the symbol.", companion=r"symbol:\s+\w+ (?P<name>[\w$]+)", below=True, first=True),
    _row(_AT + r" error: package (?P<name>[\w.]+) does not exist", "dependency_install", "dependency", "Module {name} is not installed.", "Add the library of {name} to the class path.", first=True),
    _row(_AT + r".* undefined reference to " + _NAME + r"|undefined reference to " + _NAME.replace("name", "name2") + r"|Undefined symbols? .*\"(?P<name3>\S+)\"", "compile_error", "code", "The program does not link: {name} is not defined.|The program does not link: {name2} is not defined.|The program does not link: {name3} is not defined.", "Define the symbol or link the object that does.", first=True),
    _row(r"multiple definition of " + _NAME, "compile_error", "code", "The program does not link: {name} is defined more than once.", "Define {name} in one file only.", first=True),
    _row(r"cannot find (?P<name>-l\S+?)(?::|$)|library not found for (?P<name2>-l\S+)", "dependency_install", "dependency", "Library {name} is not installed.|Library {name2} is not installed.", "Install the library that the linker names."),
    _row(r"^error(?:\[E\d+\])?: (?:unresolved import `(?P<name>\w+)`$|can't find crate for `(?P<name2>\w+)`|.*use of (?:undeclared|unresolved) (?:crate or )?module (?:or unlinked crate )?`(?P<name3>\w+)`)", "dependency_install", "dependency", "Module {name} is not installed.|Module {name2} is not installed.|Module {name3} is not installed.", "Add the crate to the manifest or correct its name.", companion=r"^\s*--> ", below=True, first=True),
    _row(r"`-D clippy::(?P<code>[\w-]+)`|rust-clippy/\S+#(?P<code2>\w+)", "lint_failure", "code", "Lint rule {code} is violated in {file}.|Lint rule {code} is violated.|Lint rule {code2} is violated.", "Change the code so that it follows the rule.", companion=r"^\s*--> " + _FILE, rank=3.2, first=True),
    _row(r"^error(?:\[(?P<code>E\d+)\])?: (?:cannot find (?:\w+ )+|unresolved import |use of undeclared \w+ )`(?P<name>[^`]+)`", "compile_error", "code", "{file} does not compile: {name} is not defined.|The crate does not compile: {name} is not defined.", "Define or import {name}.", companion=r"^\s*--> " + _FILE, below=True, first=True),
    _row(r"^error\[(?P<code>E\d+)\]: ", "compile_error", "code", "{file} does not compile: {code}.|The crate does not compile: {code}.", "Correct the code in {file}.|Correct the code.", companion=r"^\s*--> " + _FILE, below=True, first=True),
    _row(_AT + r" (?:undefined: (?P<name>\S+)|.* declared (?:and|but) not used|imported and not used)", "compile_error", "code", "{file} does not compile: {name} is not defined.|{file} does not compile: something is declared and not used.", "Define {name} or import it.|Remove or use it.", first=True),
    _row(_AT + r" error: (?:expected|syntax error)|" + _FILE.replace("file", "file2") + r":\d+: syntax error|" + _FILE.replace("file", "file3") + r": line \d+: syntax error", "compile_error", "code", "{file} does not compile: syntax error.|{file2} does not compile: syntax error.|{file3} does not parse: syntax error.", "Correct the syntax error.", first=True),
    _row(r"^\s*(?:E\s+)?(?P<error>SyntaxError|IndentationError|TabError)\b", "compile_error", "code", "{file} does not compile: {error}.|The source does not compile: {error}.", _FIX_SYNTAX, companion=r"File \"(?P<file>[^\"]+)\"|^(?P<file2>\S+\.\w+):\d+$"),
    _row(r"^\[error\] (?P<file>\S+): SyntaxError|cannot (?:format|parse):? (?P<file2>[^\s:]+)|Failed to parse (?!manifest)(?P<file3>[^\s:]+\.(?:py|js|ts|jsx|tsx|css|html))|^(?P<file4>[^\s:]+):\d+:\d+: \[error\] syntax error", "compile_error", "code", "|".join(f"{{file{n}}} does not compile: syntax error." for n in ("", 2, 3, 4)), "Correct the syntax error.", first=True),
    _row(r"(?:PHP )?Parse error: .* in (?P<file>\S+) on line|^\*\* \((?:SyntaxError|CompileError|TokenMissingError)\) (?P<file2>[^:]+)", "compile_error", "code", "{file} does not parse.|{file2} does not compile.", "Correct the syntax error.", first=True),
    _row(_AT + r".*\[-Werror[=,](?P<name>[\w-]+)", "compile_error", "code", "{file} does not compile: warning {name} is an error.", "Correct the line that {name} warns of.", first=True),
    _row(r"^\[?(?:ERROR|error)\]? ?:? ?" + _FILE + r":(?:\[?\d+[:,]?\d*\]?):? (?P<what>\S.*)|^e: (?:file://)?(?P<file2>[^:]+):\d+", "compile_error", "code", "{file} does not compile.|{file2} does not compile.", "Correct the code in {file}.|Correct the code in {file2}.", rank=2.6, first=True),
    _row(r"^" + _AT + r" (?:fatal )?error:(?: |$)|^(?P<file2>\S+\.erl):\d+: (?!Warning)", "compile_error", "code", "{file} does not compile.|{file2} does not compile.", "Correct the code in {file}.|Correct the code in {file2}.", rank=2.6, first=True),
    _row(r"Module not found: Error: Can't resolve " + _NAME + r"|Could not resolve \"(?P<name2>[^\"]+)\"", "compile_error", "code", "The bundle does not build: {name} is missing.|The bundle does not build: {name2} is missing.", "Install or correct the imported module.", first=True),
)

_LINT = (
    _row(r"^would reformat (?P<file>\S+)|^(?P<file2>\S+): needs formatting|^Diff in (?P<file3>\S+?):\d+|^\[warn\] (?P<file4>\S+\.\w+)$|^ERROR: (?P<file5>\S+) Imports are incorrectly sorted|^(?:W|w)ould reformat: (?P<file6>\S+)|^unformatted: ", "formatting_failure", "code", "|".join(f"{{file{n}}} is not formatted." for n in ("", 2, 3, 4, 5, 6)) + "|A file is not formatted.", "|".join(f"Run the formatter on {{file{n}}}." for n in ("", 2, 3, 4, 5, 6)) + "|Run the formatter.", companion=r"^\s*--> " + _FILE, below=True),
    _row(_FILE + r":\d+: (?:trailing whitespace|new blank line at EOF|space before tab)", "formatting_failure", "code", "{file} is not formatted.", "Remove the stray blanks in {file}."),
    _row(r"^(?P<file>\S+?\.\w+): ?\d+(?::\d+)?:? (?:error )?(?P<code>MD\d{3}(?:/[\w-]+)+|[A-Z]{1,4}\d{3,5})\b:?", "lint_failure", "code", "Lint rule {code} is violated in {file}.", "Change {file} so that it follows {code}.", first=True),
    _row(r"^(?P<code>[A-Z]{1,4}\d{3,5})(?: \[\*\])? \S", "lint_failure", "code", "Lint rule {code} is violated in {file}.|Lint rule {code} is violated.", "Change the code so that it follows {code}.", companion=r"^\s*--> " + _FILE, below=True, first=True),
    _row(r"^\s+\d+:\d+\s+(?:error\s+)?[Pp]arsing error|^\s+\d+:\d+\s+error\s+syntax error", "compile_error", "code", "{file} does not compile: syntax error.|The source does not compile: syntax error.", _FIX_SYNTAX, companion=r"^(?P<file>(?:/|[A-Z]:\\)?[\w./\\@-]+\.\w+)$", rank=3.1, first=True),
    _row(r"^(?P<file>[^\s:]+):\d+:\d+: \[error\] .*\((?P<code>[\w-]+)\)$", "lint_failure", "code", "Lint rule {code} is violated in {file}.", "Change {file} so that it follows {code}.", first=True),
    _row(r"^\s+\d+:\d+\s+error\s+.*?\s{2,}(?P<code>[@\w/-]+)$", "lint_failure", "code", "Lint rule {code} is violated in {file}.|Lint rule {code} is violated.", "Change {file} so that it follows {code}.|Change the code so that it follows {code}.", companion=r"^(?P<file>(?:/|[A-Z]:\\)?[\w./\\@-]+\.\w+)$", first=True),
    _row(r"^\s+\d+:\d+\s+[✖×]\s+.*?\s{2,}(?P<code>[a-z]+(?:-[a-z]+)+)$|^\s*In (?P<file>\S+) line \d+:|^(?P<file2>\S+):\d+:\d+: \S+: .* \[(?P<code2>SC\d+)\]", "lint_failure", "code", "Lint rule {code} is violated.|Lint rule {code2} is violated in {file2}.|A lint rule is violated in {file}.", "Change the code so that it follows the rule.", rank=2.5),
    _row(r"Issue: \[(?P<code>B\d+)|(?P<code2>SC\d{4}) \((?:error|warning|info|style)\)|^(?P<file>\S+):\d+:\d+: (?P<code3>[CRWF]): ", "lint_failure", "code", "Lint rule {code} is violated.|Lint rule {code2} is violated.|A lint rule is violated in {file}.", "Change the code so that it follows the rule.", rank=2.8),
    _row(r"^\s+\d+:\d+\s+(?P<level>error)\s+\S.*\((?P<code>[\w-]+)\)$", "lint_failure", "code", "Lint rule {code} is violated.", "Change the file so that it follows {code}.", first=True),
)

_DEPENDENCIES = (
    _row(r"artifact (?P<name>[\w$.-]+:[\w.:-]+)|Package '(?P<name2>[^']+)' requires a different Python|ERROR: (?P<name3>\S+\.whl) is not a supported wheel|Invalid requirement: '(?P<name4>[\w.-]+)|Cannot install (?P<name5>[\w.-]+)[^ ]* (?:and|because)", "dependency_install", "dependency", "Dependency {name} cannot be installed: not found.|Dependency {name2} cannot be installed: it requires another Python.|Dependency {name3} cannot be installed: the wheel is not for this platform.|Dependency {name4} cannot be installed: its requirement is invalid.|Dependency {name5} cannot be installed: the wanted versions conflict.", "Correct the dependency's name, version or source."),
    _row(r"No matching distribution found for (?P<name>[^\s(]+)|Could not find a version that satisfies the requirement (?P<name2>\S+)", "dependency_install", "dependency", "Dependency {name} cannot be installed: no matching version.|Dependency {name2} cannot be installed: no matching version.", "Correct the name or version of the dependency."),
    _row(r"^npm (?:ERR!|error) (?:code )?(?:(?P<code>E404|ETARGET|ERESOLVE|EBADENGINE|EUSAGE|EINTEGRITY)|404\s+'?(?P<name>[@\w/.-]+@?[\w.^~*-]*)'? is not in|notarget No matching version found for (?P<name2>\S+?)\.?$)", "dependency_install", "dependency", "Dependency {name} cannot be installed: not found.|Dependency {name2} cannot be installed: no matching version.|Dependencies cannot be installed: {code}.", "Correct the dependency's name or version.", first=True),
    _row(r"(?:ModuleNotFoundError: )?No module named '?(?P<name>[\w.]+)|Cannot find (?:module|package) '(?P<name2>[^'./][^']*)'|cannot load such file -- (?P<name3>\S+)|there is no package called [‘'](?P<name4>[\w.]+)|Package required but not available: [‘'](?P<name5>[\w.]+)", "dependency_install", "dependency", "|".join(f"Module {{name{n}}} is not installed." for n in ("", 2, 3, 4, 5)), "|".join(f"Add {{name{n}}} to the dependencies and install it." for n in ("", 2, 3, 4, 5))),
    _row(r"error: no matching package named `(?P<name>[^`]+)`|failed to select a version for the requirement `(?P<name2>[^`]+)`|E: Unable to locate package (?P<name3>\S+)|Could not find (?P<name4>[\w.:-]+:[\w.:-]+)|Could not (?:find|resolve) (?:artifact|dependencies for) .*?(?P<name5>[\w.-]+:[\w.-]+:[\w.:-]+)|no required module provides package (?P<name6>[^;\s]+)|Your requirements could not be resolved", "dependency_install", "dependency", "|".join(f"Dependency {{name{n}}} cannot be installed: not found." for n in ("", 2, 3, 4, 5, 6)) + "|The dependencies cannot be resolved.", "Correct the dependency's name, version or source."),
    _row(r"Bundler could not find compatible versions for gem \"(?P<name>[^\"]+)\"|conflicting dependencies|Conflict: |unmet dependencies|THESE PACKAGES DO NOT MATCH THE HASHES|lock ?file .*(?:out of date|needs to be updated|not up to date)|version solving failed", "dependency_install", "dependency", "Dependency {name} cannot be installed: versions conflict.|The dependencies conflict with each other.", "Make the dependencies' versions agree."),
    _row(r"Failed (?:to build|building wheel for) (?P<name>[\w.-]+)|subprocess-exited-with-error|metadata-generation-failed", "dependency_install", "dependency", "Dependency {name} cannot be built.|A dependency cannot be built.", "Install what the build needs or use another version.", rank=2.5),
)

_PLATFORM = (
    _row(r"^(?:Error: )?(?:Invalid workflow file|The workflow is not valid).*?(?P<file>[\w./-]+\.ya?ml)?|Unrecognized named-value: '(?P<name>[^']+)'|Unexpected value '(?P<name2>[^']+)'|Can't find 'action\.yml'|Unable to resolve action `?(?P<name3>[^`,\s]+)|Required property is missing: (?P<name4>\w+)", "github_actions_config", "config", "The workflow is invalid: {name}.|The workflow is invalid: {name2} is not allowed.|Action {name3} is missing.|The workflow is invalid: {name4} is missing.|The workflow {file} is invalid.|The workflow is invalid.", "Correct the workflow file."),
    _row(r"Failed to parse (?P<file>\.github/\S+\.ya?ml|action\.ya?ml)", "github_actions_config", "config", "The workflow {file} is invalid: syntax error.", "Correct the syntax of {file}.", rank=3.1),
    _row(r"^\s*(?P<file>[\w./-]*(?:action\.ya?ml|workflows?/[\w.-]+|\.ya?ml))::(?P<where>\$\S*):|^(?P<file2>\.github/\S+\.ya?ml):\d+:\d+:", "github_actions_config", "config", "The workflow {file} is invalid at {where}.|The workflow {file2} is invalid.", "Correct the workflow file.", rank=3.1),
    _row(r"Resource not accessible by integration|Input required and not supplied: (?P<name>\S+)|(?P<name2>[A-Z][A-Z0-9_]{3,})(?:: unbound variable| (?:is|must be|environment variable is) (?:not set|required|set|unset|missing))|KeyError: '(?P<name3>[A-Z][A-Z0-9_]{3,})'|Bad credentials|could not read Username|HTTP (?:401|403)|(?:401|403) (?:Unauthorized|Forbidden)|Authentication failed|Permission denied \(publickey|invalid api key", "permission_or_secret", "config", "Secret {name} is not set.|Secret {name2} is not set.|Secret {name3} is not set.|The job is not allowed to do this: its credentials are missing or refused.", "Set the secret or give the job the right it lacks."),
    _row(r"(?P<name>[^\s:'‘]+)['’]?: [Pp]ermission denied|PermissionError: .*'(?P<name2>[^']+)'|EACCES:? .*'(?P<name3>[^']+)'|spawn\w* (?P<name4>\S+) EACCES|dubious ownership in repository at '(?P<name5>[^']+)'|[Pp]ermission (?:to \S+ )?denied|[Rr]emote rejected|EPERM|Operation not permitted|Read-only file system", "permission_or_secret", "code", "Permission denied: {name}.|Permission denied: {name2}.|Permission denied: {name3}.|Permission denied: {name4}.|Permission denied: {name5} belongs to another user.|Permission is denied.", "Give the job's user the right it lacks."),
    _row(r"[Cc]ould not resolve host:? '?(?P<host>[\w.-]+)|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (?P<host2>\S+)|Temporary failure (?:in name resolution|resolving '(?P<host3>[^']+)')|Name or service not known|unable to resolve host address .(?P<host4>[\w.-]+)|UnknownHostException: (?P<host5>\S+)|Failed to resolve '(?P<host6>[^']+)'|Unknown host (?P<host7>[^\s:]+)|lookup (?P<host8>\S+?)(?: on \S+)?: no such host", "network_or_flaky", "external", "|".join(f"Host {{host{n}}} cannot be reached." for n in ("", 2, 3, 4, 5, 6, 7, 8)) + "|A host's name cannot be resolved.", _REACH, transient=True),
    _row(r"ECONNREFUSED (?P<host>\S+)|Failed to connect to (?P<host2>\S+ port \d+)|[Cc]onnection (?:refused|reset|timed out|closed|aborted)|ECONNRESET|ETIMEDOUT|socket hang up|TLS handshake timeout|RemoteDisconnected|Max retries exceeded|\b50[0234] (?:Bad Gateway|Service|Gateway|Internal Server Error)|HTTP (?:error )?5\d\d|error: 5\d\d|early EOF|RPC failed|i/o timeout|Network is unreachable", "network_or_flaky", "external", "Host {host} cannot be reached.|Host {host2} cannot be reached.|A network connection fails.", _REACH, transient=True, rank=2.9),
    _row(r"unknown instruction: \"?(?P<name>\w+)|(?:failed|COPY|ADD).*\"/(?P<name2>[^\"]+)\": not found|pull access denied for (?P<name3>[^\s,]+)|(?:copier: stat|stat): \"?(?P<name4>[^\":]+)\"?: no such file|Error: stat (?P<name5>\S*(?:Container|Docker)file\S*):|COPY --from=(?P<name6>[^\s:]+): |The target \"(?P<name7>[^\"]+)\" was not found|manifest for (?P<name8>\S+) not found", "docker_build", "config", "The image build fails: {name} is no instruction.|The image build fails: {name2} is missing.|The image build fails: {name3} cannot be pulled.|The image build fails: {name4} is missing.|The image build fails: {name5} is missing.|The image build fails: stage {name6} is missing.|The image build fails: stage {name7} is missing.|The image build fails: {name8} is missing.", "Correct the Dockerfile or add what it needs."),
    _row(r"^Error: (?:building at STEP|creating build container|determining starting point|stat .*(?:Container|Docker)file)|no FROM statement|failed to solve|^ERROR: failed to build|Dockerfile:\d+|dockerfile parse error|[Uu]nknown instruction|COPY failed|manifest (?:unknown|not found)|error building at STEP|no such image", "docker_build", "config", "The image build fails.", "Correct the Dockerfile or add what it needs.", rank=2.9),
    _row(r"(?:JavaScript heap|[Oo]ut of memory|OutOfMemory(?:Error)?|MemoryError|[Cc]annot allocate memory|std::bad_alloc|OOM|oom-kill|memory exhausted)", "timeout_or_oom", "infra", "{name} ran out of memory.|The job ran out of memory.", "Use less memory or raise the limit.", companion=r"(?:Killed|Aborted)\s+(?:\(core dumped\) )?(?P<name>\S.*)$", below=True),
    _row(r"\bKilled\s+(?P<name>\S.*)$|signal: killed|SIGKILL|^Killed$|exit(?:ed with)? code 137", "timeout_or_oom", "infra", "{name} was killed: it probably ran out of memory.|A process was killed: it probably ran out of memory.", "Give it more memory and run it again.", transient=True, rank=2.8),
    _row(r"has exceeded the maximum execution time of (?P<limit>[\w ]+)|The (?:job|operation) was cancell?ed|[Tt]imed? out (?:after|waiting)|Timeout >(?P<limit2>[\d.]+ ?\w*)|Failed: Timeout|Exceeded timeout of (?P<limit3>[\d.]+ ?\w+)|[Tt]imeout of (?P<limit4>[\d.]+ ?\w+) exceeded|[Tt]ime limit exceeded|No output has been received in the last|context deadline exceeded|sending signal \w+ to command .(?P<name>[^'’]+)|panic: test timed out|TimeoutExpired", "timeout_or_oom", "code", "{name} exceeded its time limit.|The time limit {limit} was exceeded.|The time limit {limit2} was exceeded.|The time limit {limit3} was exceeded.|The time limit {limit4} was exceeded.|A time limit was exceeded.", "Make it faster or raise its time limit."),
)

_OTHERS = (
    _row(r"^ ?! \[(?:remote )?rejected\] +\S+ -> (?P<name>\S+) \((?:fetch first|non-fast-forward)", "other", "code", "Push of {name} is rejected: the remote has newer commits.", "Rebase {name} onto the remote and push again.", rank=3.1),
    _row(r"[Ff]ailed to parse (?:manifest at )?`?(?P<file>[\w./-]+\.(?:toml|json|ya?ml|xml|cfg|ini))|Non-parseable POM (?P<file2>\S+)|Unknown packaging: (?P<name>\S+)|problems were encountered while processing the POMs", "other", "config", "File {file} is invalid.|File {file2} is invalid.|The manifest is invalid: {name} is unknown.|The manifest is invalid.", "Correct the file's contents.", companion=r"^\s+(?:missing field|can't find|expected|unknown|invalid)", below=True, certain=True),
    _row(r"Automatic merge failed", "other", "code", "A merge conflict stops the job.", "Resolve the merge conflict."),
    _row(r"(?P<name>[^\s:]+): Cannot write: No space left|[Nn]o space left on device|ENOSPC|[Dd]isk quota exceeded|[Dd]isk full", "other", "infra", "No space is left to write {name}.|No space is left on the disk.", "Free space or use a larger disk."),
    _row(r"(?:line \d+: |: )(?P<name>[^\s:]+): (?:command )?not found$|^(?P<name2>[\w./-]+): (?:command )?not found$|The program '(?P<name3>[^']+)' is currently not installed|[Ee]xecutable (?:file )?[`'\"]?(?P<name4>[\w./-]+)?[`'\"]?.* not found in \$?PATH|spawn (?P<name5>\S+) ENOENT|(?:cannot find|could not find) executable (?P<name6>\S+)", "other", "infra", "|".join(f"Command {{name{n}}} is not found." for n in ("", 2, 3, 4, 5, 6)) + "|A command is not found.", "Install the command on the runner."),
    _row(r"No rule to make target [`'](?P<name>[^'`]+)'|Don't know how to build task '(?P<name2>[^']+)'|Missing script: \"?(?P<name3>[\w:-]+)|Task never defined: (?P<name4>\S+)|No Rakefile found|Task '(?P<name5>[^']+)' not found", "other", "config", "|".join(f"Target {{name{n}}} has no rule." for n in ("", 2, 3, 4, 5)) + "|The build file is missing.", "Add the missing target or correct its name."),
    _row(r"^(?P<file>\S+):\d+: \*\*\* (?P<what>[^.]+)|CMake Error(?: at (?P<file2>[^:]+):\d+)?", "other", "config", "{file} cannot be read.|{file2} stops with an error.|CMake stops with an error.", "Correct the build file.", rank=2.7, first=True),
    _row(r"^(?:cp|mv|rm|ls|cat|chmod|strip): (?:cannot \w+ )?['‘]?(?P<name>[^'’:]+)['’]?: No such file or directory", "other", "code", "File {name} is missing.", "Create {name} before it is used.", rank=2.2),
    _row(r"(?:No such file or directory:? '(?P<name>[^']+)|ENOENT: no such file or directory, \w+ '(?P<name2>[^']+)|(?:cannot stat|cannot access|cannot open|can't open(?: file)?) ['‘](?P<name3>[^'’]+)|(?P<name4>[^\s:]+): No such file or directory|Cannot find module '(?P<name5>[./][^']+)|File not found:? (?P<name6>\S+))", "other", "code", "|".join(f"File {{name{n}}} is missing." for n in ("", 2, 3, 4, 5, 6)), "|".join(f"Add {{name{n}}} or correct the path." for n in ("", 2, 3, 4, 5, 6))),
    _row(r"EADDRINUSE.*?(?P<name>[\d.:]+:\d+)|[Aa]ddress already in use", "other", "infra", "Address {name} is already in use.|An address is already in use.", "Stop the process that holds the address or choose another port.", transient=True),
    _row(r"[Cc]overage .*(?:less than|below|not met|threshold|fail.under)|Required test coverage of (?P<name>\S+) not reached", "other", "test", "The coverage threshold {name} is not reached.|The coverage threshold is not reached.", "Add tests or lower the threshold."),
    _row(r"^(?P<name>[^\s:]+): FAILED$|[Cc]hecksum .*mismatch|cannot find zipfile directory|unexpected end of file|not in gzip format|CRC (?:error|failed)|Hash Sum mismatch", "other", "external", "The checksum of {name} does not match.|A downloaded file is broken.", "Download the file again or update its checksum.", rank=2.5),
    _row(r"(?:Segmentation fault|SIGSEGV|core dumped|stack overflow|Bus error|SUMMARY: (?P<name>\w+Sanitizer))", "other", "code", "{name} reports an error.|The program crashes.", "Correct the memory fault.", rank=2.6),
    _row(r"^(?:fatal|error|ERROR|Error|FATAL): (?:.*?['`\"](?P<name>[^'`\"]+)['`\"])?", "other", "code", "The step stops: {name}.|The step stops with an error.", "Correct what the error line names.", rank=1.2),
    _row(r"^(?:E\s+|\S+ in \S+ |Exception in thread \"\S+\" |Uncaught |\*\* \()?(?P<error>(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception))\b(?::|\)|$)", "other", "code", "The program stops with {error}.", "Handle {error} or remove its reason.", rank=1.8),
)

# fmt: on

RULES: tuple[Rule, ...] = (
    *_PRECISE,
    *_TESTS,
    *_TYPES,
    *_LINT[:2],
    *_COMPILERS,
    *_LINT[2:],
    *_DEPENDENCIES,
    *_PLATFORM,
    *_OTHERS,
)
