# ruff: noqa: E501, RUF001 - a table reads best with one family of messages a row; the symbols are what tools print
"""How much a line looks like the cause of a failure: weights from 0 to 100, written from knowledge of the tools.

Three questions are asked of a line: is it a known form of a failure (:func:`weigh`), does it end a failing step
(:func:`is_failing_end`), does it begin a step (:func:`is_step_start`). ``PREFILTER`` answers "certainly not" for a big
block of bytes at once; only lines it hits are looked at one by one.
"""

from __future__ import annotations

import re

__all__ = ["PREFILTER", "focus", "is_boilerplate", "is_failing_end", "is_step_start", "recovers", "weigh"]

_NEEDLES = (
    "rror|fail|fatal|xception|traceback|panic|undefined|cannot|can't|could not|couldn't|denied|abort|kill|segmentation"
    "|unexpected|invalid|missing|unresolved|unrecognized|unsatisf|refused|assert|exit|crash|mismatch|forbidden"
    "|unauthorized|credentials|conflict|violat|broken|required|exceeded|not found|unable|no such|timed out|timeout"
    "|out of memory|no space|not ok|not installed|not resolve|not match|not allowed|not formatted|does not|doesn't"
    "|err!|*** |✗|✖|✘|×|●|❌|--> |would reformat|##[|travis_time:start"
)


def _any_of(words: list[bytes]) -> bytes:
    """Return a pattern for any of the words, grouped by first byte: twice as fast as a flat alternation."""
    groups: dict[bytes, list[bytes]] = {}
    for word in words:
        groups.setdefault(word[:1], []).append(re.escape(word[1:]))
    return b"|".join(re.escape(first) + b"(?:" + b"|".join(rests) + b")" for first, rests in groups.items())


PREFILTER = re.compile(_any_of([needle.encode() for needle in _NEEDLES.split("|")]))
"""Search it in lower-cased bytes."""

_BOILERPLATE = re.compile(
    r"Process completed with exit code|^(?:Error: )?The (?:process|command) .{0,300}(?:failed with exit code|exited with)"
    r"|^Done\. Your build exited|^The build has been terminated|^(?:g?make|ninja)(?:\[\d+\])?: \*\*\* .*Error \d+|^ninja: build stopped"
    r"|^npm (?:ERR!|error)\s*(?:$|code ELIFECYCLE|errno \d+$|A complete log|Exit status|Failed at the|This is probably not"
    r"|Tell the author|not with npm itself|You can get|npm (?:owner|bugs)|There is likely|Additional logging|path |command |Lifecycle script"
    r"|workspace |location |[\w@/.-]+@[\d.]+ [\w:]+: `)"
    r"|^ELIFECYCLE|^error Command failed with exit code|^info Visit https://yarnpkg|^\s*exit status \d+\s*$|^Exited? with code"
    r"|^ERROR: (?:Job failed: exit code|Process exited|\".{1,80}\" exited with)|^script returned exit code|^Finished: FAILURE|^Error: Process completed"
    r"|^\[ERROR\]\s*(?:$|To see the full stack|Re-run Maven|For more information|\[Help|After correcting|mvn )|^\* (?:Try|Get more help)"
    r"|^> Run with --|^Run with --(?:stacktrace|info|debug|scan)|^FAILURE: Build failed with an exception|^BUILD FAILED|^Build step .* marked build as failure"
    r"|^Errors? during (?:downloading|building)|^rake aborted!$|^\(See full trace|^error: could not compile|^warning: build failed"
    r"|^error: process didn't exit|^For more information about this error|^\[?error\]? .*(?:stack trace is suppressed|Total time:)"
    r"|^Error: Process '.*' exited with code|returned a non-zero exit|exit(?:ed)? (?:with )?(?:status|code)[: ]+[1-9]\d*\.?$",
    re.IGNORECASE,
)
_FAILING_END = re.compile(
    r"Process completed with exit code [1-9]|^The command .{1,2000} exited with [1-9]|failed (?:and exited|with exit code) [1-9]|^The command .{1,2000} failed and exited with [1-9]"
    r"|^ERROR: Job failed|^script returned exit code [1-9]|^Build step .* marked build as failure|^Finished: FAILURE"
    r"|^The process '.{1,300}' failed with exit code|^Exited with code [1-9]"
)
_STEP = re.compile(r"^(?:travis_time:start:\S*|\$ \S|Run \S)")
_QUIET = re.compile(
    r"\b(?:0|no|zero) (?:\w+ )?(?:errors?|failures?|failed|failing|warnings?|problems?|issues?|conflicts?)\b|\b(?:errors?|failures?|failed|failing|fatal|aborted)\s?[:=]\s?0\b"
    r"|\b(?:passed|succeeded|successfully|success)\b|^\s*(?:ok|PASS(?:ED)?|✓|✔|√|\[\s*OK\s*\]|\[PASS\w*\])(?:\s|:|$)|\.\.\. ?(?:ok|passed|skipped)\b|\bok$|\bPASSED\b"
    r"|expected fail|xfail|\bignor(?:ed|ing)\b|\b(?:retry|retrying|retries|attempt \d)\b|will (?:be )?retr|^\s*(?:DEBUG|TRACE|INFO)\b.*\bno error"
    r"|non[- ]fatal|useful error messages|Refusing to fetch into|not installed\b.{0,20}\b(?:[Ii]nstall|[Dd]ownload)|not (?:an?|considered) error|known (?:issue|failure)|^\s*#|^\s*//|^\+\+* (?:\[|echo|set|if|test|exit)",
    re.IGNORECASE,
)
_WARNING = re.compile(
    r"^\W*(?:warn(?:ing)?|info|debug|trace|notice)\b|^\S+:\d+(?::\d+)?: warning:|^(?:W|I|D|N): ", re.IGNORECASE
)
_PROGRESS = re.compile(
    r"^\s*(?:(?:Downloading|Downloaded|Compiling|Checking|Installing|Installed|Unpacking|Selecting|Preparing|Setting up|Fetching|Fetched|Collecting|Using"
    r"|Requirement already|Get:|Hit:|Ign:|creating|copying|adding|Creating|Building|Linking|Progress|Resolving|Extracting|Cloning|remote:|gcc|g\+\+|cc|clang"
    r"|libtool|ar|CC|CXX|LD|AR)[ :]|\[ ?\d+%\]|\[\d+/\d+\]|checking )",
)

_ALONE = r"(?<![\w./@+-])(?:%s)(?![\w/@+-]|[.][\w])"
"""A word that is not part of a path, an option or an identifier: ``error`` but not ``error_handler.js``."""

_STARTS: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern))
    for weight, pattern in (
        (95, r"\s*E   +\S|E {6,}\S"),
        (95, r"(?:FAILED|ERROR) \S+\.py\b|(?:FAIL|ERROR): \w+ \(|\s*--- FAIL: "),
        (
            92,
            r"[^\s:(]+[:(]\d+(?:[:,]\d+)?\)?: ?(?:\S+ )?(?:fatal error|[Ee]rror|ERROR|E\d{3,})\b|error(?:\[E\d+\])?: ",
        ),
        (92, r"thread '.*' panicked at|panic: |fatal error: |SUMMARY: \w+Sanitizer"),
        (
            90,
            r"There (?:was|were) \d+ (?:error|failure)|\s*\d+ failing\b|Failures?:$|=+ (?:FAILURES|ERRORS) =+|Failed tests?:|Tests in error:|FAILURES!",
        ),
        (68, r"Traceback \(most recent call last\)"),
        (72, r"\s*--> [^\s:]+:\d+"),
        (84, r"(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception|Failure|Fault|Timeout|Interrupt|Exit)\b(?: \[\w+\])?(?::|$)"),
        (86, r"Uncaught|Caused by:|Exception in thread|Unhandled"),
        (90, r"(?:\[?ERROR\]?|\[?FATAL\]?|Error|ERR!|FATAL|fatal|FAILED|E)\s?[:!\]] ?\S|##\[error\]"),
        (88, r".{0,3}❌|\s*(?:not ok \d|✗|✖|✘|×|●|⨯|\d+\) |!! |\*\* )|Failed asserting|\s*AssertionError"),
    )
)
"""Looked for where the line begins."""

_FORMS: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern))
    for weight, pattern in (
        (
            92,
            r": (?:fatal )?error(?: [A-Z]+\d+)?: |\berror TS\d+|undefined reference to|multiple definition of|cannot find -l",
        ),
        (
            90,
            r"command not found|[Nn]o such file or directory|[Pp]ermission denied|No space left|Segmentation fault|core dumped|[Oo]ut of [Mm]emory|\bOOM|heap out|Cannot allocate",
        ),
        (
            88,
            r"[Cc]ould not (?:resolve|find|connect|read|open|install|load|download|transfer)|[Cc]onnection (?:refused|reset|timed out)|[Nn]ame or service not known|getaddrinfo|ECONNREFUSED|ENOTFOUND|ETIMEDOUT",
        ),
        (
            88,
            r"No matching distribution|ERESOLVE|ETARGET|E404|unsatisfiable|[Cc]annot find (?:module|symbol|package|name|type)|[Mm]odule not found|No module named|not installed",
        ),
        (88, r"Expected\b.*\b(?:to|but|got)\b|[Aa]ssertion fail"),
        (86, _ALONE % "FAIL(?:ED|URE)?" + r"|<<< (?:FAILURE|ERROR)!|\*\*\* FAILED"),
        (
            86,
            r"would reformat|would be reformatted|[Cc]ode style issues|not formatted|did not match|[Rr]epository not found|[Aa]uthentication failed|[Bb]ad credentials|Unauthorized|Forbidden|not accessible",
        ),
        (
            84,
            r"\b[Tt]imed? out\b|[Tt]imeout (?:of|after|expired|exceeded|waiting)|\bTIMEOUT\b|[Dd]eadline exceeded|has been cancel|exceeded the|\b[Kk]illed\b|No output has been received",
        ),
        (80, _ALONE % "ERROR|FATAL|CRITICAL|SEVERE" + r"|npm (?:ERR!|error) \S"),
        (
            74,
            _ALONE
            % "[Ee]rror|[Ff]atal|[Ff]ailed|[Ff]ailure|[Ff]ails?|[Pp]anic(?:ked)?|[Aa]bort(?:ed|ing)?|[Cc]rash(?:ed)?"
            + r"|(?<![\w./])\w+(?:Error|Exception)(?![\w/]|\.\w)",
        ),
        (
            66,
            r"[Uu]ndefined|[Uu]nable to|[Cc]annot|[Cc]an't|[Cc]an not|[Nn]ot found|[Cc]ouldn't|[Cc]ould not|[Uu]nexpected|[Ii]nvalid|[Dd]enied|[Rr]efused|[Uu]nresolved|[Uu]nknown|[Nn]ot allowed",
        ),
        (
            56,
            _ALONE % "[Mm]issing|[Mm]ismatch|[Cc]onflicts?|[Bb]roken|[Rr]equired|[Ee]rrors?|[Ff]ailures?|[Ee]xceptions?"
            + r"|[Vv]iolat|not (?:defined|supported|match|exist)|does not|doesn't",
        ),
        (44, r": warning: |assert|expected|actual|Traceback|[\w/-]\.\w{1,10}[:(]\d+(?:[:,]\d+)?\)?(?::|\s)"),
        (30, r"[Ee]rror|ERROR|[Ff]ail|exit"),
    )
)
"""Looked for anywhere in the line."""

_COUNTED = re.compile(r"\b[1-9]\d* (?:\w+ )?(?:failed|failures?|failing|errors?)\b", re.IGNORECASE)


def weigh(text: str) -> float:
    """Return how strongly a cleaned line looks like a cause, 0 to 100; consequences and successes weigh little."""
    if not text or is_boilerplate(text):
        return 0.0
    sample = text if len(text) <= 500 else text[:350] + " " + text[-150:]
    found = next((weight for weight, form in _STARTS if form.match(sample)), 0.0)
    if not found:
        found = next((weight for weight, form in _FORMS if form.search(sample)), 0.0)
    if not found:
        return 0.0
    if _QUIET.search(sample) and not _COUNTED.search(sample):
        found *= 0.35
    level = _WARNING.match(sample)
    if level and (found < 86 or level[0].lstrip(" [").lower().startswith("w")):
        found = min(found, 44.0)
    if _PROGRESS.match(sample) and found < 90:
        found *= 0.4
    return found


def focus(text: str) -> int:
    """Return where in a line its strongest form begins, 0 when it begins the line or there is none."""
    for _, form in _FORMS[:-2]:
        found = form.search(text)
        if found:
            return found.start()
    return 0


def is_boilerplate(text: str) -> bool:
    """Say whether a line only passes on that something failed: an exit code, a wrapper's farewell."""
    return bool(_BOILERPLATE.search(text[:400]))


def is_failing_end(text: str) -> bool:
    """Say whether a step ends here with a failure."""
    return bool(_FAILING_END.search(text))


def is_step_start(text: str, marker: str) -> bool:
    """Say whether a new step or command begins here."""
    return (marker == "group" and text.startswith("Run ")) or (bool(_STEP.match(text)) and marker == "")


def recovers(text: str) -> bool:
    """Say whether a line speaks of a failure that was retried or is expected."""
    return bool(_QUIET.search(text[:600]))
