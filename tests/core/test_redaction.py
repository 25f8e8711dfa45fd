from __future__ import annotations

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.redaction import redact, redact_value

MIXED = "a1B2c3D4e5F6g7H8i9J0"
HEX = "0f1e2d3c4b5a69788796"


def text(size: int, letters: str = MIXED) -> str:
    return (letters * (size // len(letters) + 1))[:size]


# Tokens are put together here, so that no scanner takes this file for a leak.
TOKENS = {
    "github-token": ["gh" + "p_" + text(36), "gh" + "s_" + text(40), "github" + "_pat_" + text(30)],
    "gitlab-token": ["gl" + "pat-" + text(20), "gl" + "pat-" + text(24) + ".01.abcdefghi"],
    "aws-key-id": ["AK" + "IA" + text(16, "ABCDEFGH23456777"), "AS" + "IA" + text(16, "ABCDEFGH23456777")],
    "gcp-key": ["AI" + "za" + text(35)],
    "gcp-secret": ["GOC" + "SPX-" + text(28)],
    "azure-secret": ["abc8" + "Q~" + text(34)],
    "slack-token": ["xo" + "xb-123456789012-" + text(24), "xa" + "pp-1-" + text(30)],
    "npm-token": ["np" + "m_" + text(36)],
    "pypi-token": ["py" + "pi-AgEIcHlwaS5vcmc" + text(80)],
    "docker-token": ["dck" + "r_pat_" + text(27)],
    "stripe-key": ["sk" + "_live_" + text(24), "rk" + "_test_" + text(24), "wh" + "sec_" + text(32)],
    "ai-key": ["s" + "k-proj-" + text(48)],
    "huggingface-token": ["h" + "f_" + text(34)],
    "sendgrid-key": ["S" + "G." + text(22) + "." + text(43)],
    "jwt": ["ey" + "J" + text(17) + ".ey" + "J" + text(20) + "." + text(43)],
    "age-key": ["AGE-SECRET-" + "KEY-1" + text(58, "QPZRY9X8GF2TVDW0S3JN")],
}
PASSWORD = "Tr0ub4" + "dor-x9"
PLACES = [
    "DB_PASSWORD={}",
    "export API_KEY='{}'",
    "  client_secret: {}",
    "password = {}",
    '{{"user": "u", "accessToken": "{}", "n": 1}}',
    '{{\\"secret_key\\":\\"{}\\"}}',
    "postgres://app:{}@db.internal:5432/x",
    "Authorization: Bearer {}",
    "> authorization: Basic {}",
    '-H "X-Api-Key: {}" -v',
    "PRIVATE-TOKEN: {}",
    "curl -s -u admin:{} https://host/x",
    "docker login -u bob -p {} registry.io",
    "mysql --password={} --host=x",
    "tool --token {} run",
    "GET /hook?token={}&x=1 HTTP/1.1",
    "machine host login bob password {}",
    "//registry.npmjs.org/:_authToken={}",
    'config["password"] = "{}"',
    ":password => '{}',",
    "2026-01-01T00:00:00.000Z ##[debug]github_token: {}",
    "E   ValueError: invalid token: {}",
]


@pytest.mark.parametrize(("kind", "token"), [(kind, token) for kind, tokens in TOKENS.items() for token in tokens])
def test_a_token_is_told_by_its_form_wherever_it_stands(kind: str, token: str) -> None:
    size = (len(token) + 3) // 4 * 4
    for around in ("{}", "using {} now", "('{}',)", "x={};", "https://host/{}?a=b", "<{}>", "\x1b[31m{}\x1b[0m"):
        clean, counts = redact(around.format(token))
        assert clean == around.format(f"[REDACTED:{kind}:{size}]")
        assert counts == {kind: 1}


@pytest.mark.parametrize("place", PLACES)
def test_a_value_is_told_by_its_name(place: str) -> None:
    clean, counts = redact("before\n" + place.format(PASSWORD) + "\nafter")
    assert PASSWORD not in clean and counts.total() == 1
    head, tail = place.format("\0").split("\0")
    assert clean.startswith("before\n" + head + "[REDACTED:") and clean.endswith("]" + tail + "\nafter")


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ('password="a b1c d2e f3"', 'password="[REDACTED:password:12]"'),
        ("TOKEN=abcdefgh", "TOKEN=[REDACTED:token:8]"),
        ("password: correcthorse", "password: [REDACTED:password:12]"),
        ("mail ann.b@corp.io now", "mail [REDACTED:email:16] now"),
        ("from 10.11.12.213:80", "from [REDACTED:ipv4:12]:80"),
        ("at 2a00:1450:4001:81b::200e.", "at [REDACTED:ipv6:24]."),
        ("/home/alice/x /Users/bob", "/home/[REDACTED:user:8]/x /Users/[REDACTED:user:4]"),
        ("C:\\Users\\John Smith\\x", "C:\\Users\\[REDACTED:user:12]\\x"),
        ("AccountKey=" + text(86) + "==;Suffix=core", "AccountKey=[REDACTED:azure-key:88];Suffix=core"),
    ],
)
def test_what_is_put_in_place_says_kind_and_rough_length_only(line: str, left: str) -> None:
    assert redact(line)[0] == left


@pytest.mark.parametrize(
    "line",
    [
        "commit 3f2a9c1b7d8e4f5061728394a5b6c7d8e9f00112 (HEAD -> main)",
        "digest: sha256:" + text(64, HEX),
        "integrity sha512-" + text(86) + "==",
        "550e8400-e29b-41d4-a716-446655440000",
        "tests/test_token.py::test_password_reset[secret-1] PASSED",
        "SyntaxError: Unexpected token: 'else'",
        "Unexpected token: punc (,)",
        "max_tokens=512, tokenizer=bert-base-uncased",
        "tokens: 123 total_tokens=99999",
        "tokenfilter: tokenfilter.go:59",
        "token: string;",
        "def f(password: str, token: Optional[str] = None) -> None:",
        "password = get_password()",
        "token = self.token",
        "secret: ${{ secrets.GITHUB_TOKEN }}",
        "GITHUB_TOKEN: ***",
        "password: null",
        "password=''",
        "token expired: please login",
        "password='Enter your password'",
        "PWD=/home/runner/work/x",
        "SSH_PRIVATE_KEY=/etc/keys/deploy.pem",
        "assert token == 'abcd1234'",
        "import { token } from './token'",
        "E   assert 'secret' in response",
        "--mount=type=secret --secret id=npmrc2",
        "git@github.com:a/b lodash@4.17.21 icon@2x.png uses: actions/checkout@v4",
        "jane@example.com root@localhost",
        "foo==1.2.3.4 bar-1.2.3.4.tar.gz v1.2.3.4 jackson 2.9.10.6 Chrome/120.0.6099.109",
        "127.0.0.1 ::1 0.0.0.0:80 192.0.2.1 169.254.169.254 fe80::1 2001:db8::2",
        "12:34:56 std::vector a::b cafe::beef test.py::test_x linux-64::ca-certificates",
        "/home/runner/work /Users/runner/x https://x.io/home/dashboard C:\\Users\\runneradmin\\x",
        "-----BEGIN CERTIFICATE-----\nMIID" + text(60) + "\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB" + text(60) + "\n-----END PUBLIC KEY-----",
    ],
)
def test_what_is_no_secret_stays_readable(line: str) -> None:
    assert redact(line) == (line, {})


KEY_BODY = [text(64, MIXED + "+/xYz") for _ in range(5)] + [text(22) + "=="]
BEGIN, END = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"


def assert_no_body(clean: str) -> None:
    for line in KEY_BODY:
        assert line[:12] not in clean


@pytest.mark.parametrize("prefix", ["", "    ", "+", "-    ", "2026-01-05T06:00:00.1234567Z ", "key | ", "  '"])
def test_every_line_of_a_key_is_replaced_and_the_lines_around_it_stay(prefix: str) -> None:
    block = [prefix + line for line in [BEGIN, *KEY_BODY, END]]
    clean, counts = redact("\n".join(["before", *block, "after"]))
    lines = clean.split("\n")
    assert (lines[0], lines[-1], len(lines)) == ("before", "after", len(block) + 2)
    assert all(re.fullmatch(re.escape(prefix) + r"\[REDACTED:private-key:\d+\]", line) for line in lines[1:-1])
    assert counts == {"private-key": len(block)}


def test_a_key_that_lost_its_end_its_begin_or_both_is_still_found() -> None:
    follow = ["Run pytest", "ok 1 passed"]
    for block in ([BEGIN, *KEY_BODY[:4]], [BEGIN, *KEY_BODY[:3], KEY_BODY[3][:30]], [*KEY_BODY, END]):
        clean, _ = redact("\n".join(["before", *block, *follow]))
        assert_no_body(clean)
        assert clean.split("\n")[-2:] == follow and clean.startswith("before\n")
    magic = "MII" + "Eow" + "IBAAKCAQEA" + text(48)
    clean, _ = redact("\n".join(["x", magic, *KEY_BODY[:3], *follow]))
    assert_no_body(clean)
    assert magic[:20] not in clean and clean.split("\n")[-2:] == follow


def test_encrypted_pgp_and_one_line_keys_are_replaced() -> None:
    encrypted = [BEGIN, "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC," + HEX, "", *KEY_BODY, END]
    clean, _ = redact("\n".join(encrypted))
    assert_no_body(clean)
    assert HEX not in clean and clean.count("\n") == len(encrypted) - 1
    one_line = '{"type": "service_account", "private_key": "' + "\\n".join([BEGIN, *KEY_BODY, END]) + '\\n", "id": 7}'
    clean, _ = redact(one_line)
    assert_no_body(clean)
    assert clean.startswith('{"type": "service_account"') and clean.endswith('"id": 7}')
    cut = one_line[: one_line.index(END) - 10]
    assert_no_body(redact(cut)[0])


def test_carriage_returns_and_odd_line_ends_do_not_move_lines() -> None:
    source = f"a\r\n{BEGIN}\r\n{KEY_BODY[0]}\r\n{END}\r\nDB_PASSWORD={PASSWORD}\r\nx\x0cy\u2028z\r"
    clean, _ = redact(source)
    assert [line[-1:] for line in clean.split("\n")] == [line[-1:] for line in source.split("\n")]
    assert_no_body(clean)
    assert PASSWORD not in clean


def test_a_secret_given_away_once_is_found_wherever_it_is_repeated() -> None:
    clean, counts = redact(f"DB_PASSWORD={PASSWORD}\nlogin with {PASSWORD}.\nand ({PASSWORD})")
    assert PASSWORD not in clean and counts == {"password": 3}
    assert redact("password: short1\nthis short1 stays") == (
        "password: [REDACTED:password:8]\nthis short1 stays",
        {"password": 1},
    )


def test_strings_of_a_json_value_are_redacted_as_lines_of_one_text() -> None:
    lines = [{"number": i, "text": line} for i, line in enumerate(["x", BEGIN, *KEY_BODY, "y"])]
    value = {
        "input": {"lines": lines, "n": 1.5, "none": None},
        "output": {"cause": f"`{PASSWORD}` is wrong", "ok": True},
    }
    value["input"]["env"] = f"API_TOKEN={PASSWORD}\nsecond line"
    clean, counts = redact_value(value)
    assert_no_body(str(clean))
    assert PASSWORD not in str(clean)
    assert clean["output"] == {"cause": "`[REDACTED:token:12]` is wrong", "ok": True}
    assert [line["number"] for line in clean["input"]["lines"]] == list(range(len(lines)))
    assert clean["input"]["lines"][0]["text"] == "x" and clean["input"]["lines"][-1]["text"] == "y"
    assert clean["input"]["env"].endswith("\nsecond line") and clean["input"]["n"] == 1.5
    assert counts["token"] == 2
    assert redact_value(clean) == (clean, {})


def test_a_value_without_secrets_is_returned_as_it_is() -> None:
    value = {"a": ["x", {"b": None}], "c": 3}
    assert redact_value(value) == (value, {})
    assert redact_value("plain") == ("plain", {})
    assert redact_value(["mail ann@corp.io"])[0] == ["mail [REDACTED:email:12]"]


PIECES = st.sampled_from(
    [
        *(token for tokens in TOKENS.values() for token in tokens),
        *(place.format(PASSWORD) for place in PLACES),
        *[
            BEGIN,
            END,
            KEY_BODY[0],
            "[REDACTED:token:8]",
            "[REDACTED:",
            "ann@corp.io",
            "10.11.12.213",
            "/home/alice",
            "\n",
        ],
        *[
            "password",
            "token=",
            ": ",
            "=",
            '"',
            "'",
            "\\",
            " ",
            "://",
            "@",
            "a1b2c3d4",
            "::",
            "Bearer ",
            "Authorization: ",
        ],
    ]
)
LINES = st.lists(PIECES | st.text(alphabet=string.printable, max_size=8), max_size=14).map("".join)


@given(LINES)
def test_applying_it_twice_is_applying_it_once_and_lines_are_kept(source: str) -> None:
    clean, _ = redact(source)
    assert clean.count("\n") == source.count("\n")
    assert redact(clean) == (clean, {})


WORDS = st.text(alphabet=string.ascii_lowercase + " .,:-=/'\"([", max_size=30)


@given(WORDS, st.sampled_from([t for tokens in TOKENS.values() for t in tokens]), WORDS)
def test_a_planted_token_never_survives(before: str, token: str, after: str) -> None:
    source = f"{before} {token} {after}"
    assert token not in redact(source)[0]


@given(
    st.text(alphabet=string.ascii_letters + string.digits + "+._~-", min_size=6, max_size=80).filter(
        lambda value: (
            re.search(r"\d", value) and re.search(r"[a-z]", value) and value[0].isalnum() and value[-1].isalnum()
        )
    ),
    st.sampled_from(["DB_PASSWORD={}", "MY_TOKEN='{}'", 'SECRET="{}"', "redis://u:{}@h/0", '"password":"{}"']),
)
def test_a_planted_password_never_survives(value: str, place: str) -> None:
    if value.startswith("xxxx") or value in place:
        return
    assert value not in redact(place.format(value) + " end")[0]


HOSTILE = {
    "letters": "a" * 1_000_000,
    "jwt heads": "eyJ" * 333_000,
    "assignments": "token=" * 160_000,
    "open quotes": 'password="' * 100_000,
    "urls": "://a:" * 200_000,
    "ats": "a@" * 500_000,
    "dots": "1.2." * 250_000,
    "colons": "1:" * 500_000,
    "homes": "/home/" * 160_000,
    "key heads": BEGIN * 30_000,
    "key tails": (END + "\n" + text(64) + "\n") * 8_000,
    "headers": "authorization: " * 66_000,
    "dashes": "-" * 1_000_000,
    "backslashes": "\\" * 1_000_000,
    "names": ("secret" + "\\" * 3 + " " * 8) * 50_000,
    "curl": "curl -u " * 120_000,
    "magic": "MII" * 333_000,
    "placeholders": "[REDACTED:x:1]" * 70_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_of_a_million_characters_ends(name: str) -> None:
    """With one quadratic pattern this takes hours, which the test run's own time limit notices."""
    clean, _ = redact(HOSTILE[name])
    assert clean.count("\n") == HOSTILE[name].count("\n")


def test_random_bytes_pass_through() -> None:
    rng = random.Random(3)
    for _ in range(20):
        source = bytes(rng.randrange(256) for _ in range(2000)).decode("latin-1")
        assert redact(source)[0].count("\n") == source.count("\n")
