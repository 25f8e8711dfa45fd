"""The remote engine against a real server on loopback: right answers, cut ones, busy, gone and hostile ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from understudy.core.engines import Request
from understudy.core.errors import BadInput, Unavailable
from understudy.core.records import Message
from understudy.core.remote import RemoteEngine

Reply = Callable[[dict[str, Any]], tuple[int, Any]]

SCHEMA = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}}


class Server:
    """An OpenAI-compatible server whose replies a test decides."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.reply: Reply = lambda body: (200, chat(f"heard {body['messages'][-1]['content']}"))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append({"path": self.path, **body})
                outer.headers.append(dict(self.headers))
                self._send(*outer.reply(body))

            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "phi", "max_model_len": 8192}, {"id": "other"}]})

            def _send(self, status: int, value: Any) -> None:
                raw = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "http://127.0.0.1:9/v1/chat/completions")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def chat(text: Any, finish: str = "stop", logprobs: Any = None) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 3}}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def ask(text: str = "hello", schema: dict[str, Any] | None = None) -> Request:
    return Request([Message(role="system", content="Be brief."), Message(role="user", content=text)], schema, 32)


def engine(server: Server, **changes: Any) -> RemoteEngine:
    return RemoteEngine(server.url, "phi", **{"wait": 0.01, "attempts": 3, **changes})


def test_answers_come_back_in_order_with_their_cost(server: Server) -> None:
    made = engine(server).generate([ask(f"question {at}") for at in range(20)])
    assert [one.text for one in made] == [f"heard question {at}" for at in range(20)]
    assert {(one.finish_reason, one.prompt_tokens, one.completion_tokens) for one in made} == {("stop", 11, 3)}
    sent = server.asked[0]
    assert sent["path"] == "/v1/chat/completions" and sent["model"] == "phi" and sent["max_tokens"] == 32
    assert (sent["temperature"], sent["seed"], sent["stream"]) == (0, 0, False)
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user"] and "response_format" not in sent


def test_a_schema_is_sent_and_the_first_fields_probability_read(server: Server) -> None:
    tokens = [
        {"token": '{"answer": "', "logprob": 0.0},
        {"token": "yes", "logprob": -0.5},
        {"token": '"}', "logprob": -0.1},
    ]
    server.reply = lambda body: (200, chat('{"answer": "yes"}', logprobs={"content": tokens}))
    made = engine(server).generate([ask(schema=SCHEMA)])[0]
    assert server.asked[0]["response_format"]["json_schema"] == {"name": "answer", "schema": SCHEMA, "strict": True}
    assert made.confidence == pytest.approx(0.5488, abs=1e-4) and made.logprob == pytest.approx(-0.6)


def test_a_cut_answer_says_so(server: Server) -> None:
    server.reply = lambda body: (200, chat("half a", finish="length"))
    assert engine(server).generate([ask()])[0].finish_reason == "length"


def test_the_context_is_the_servers(server: Server) -> None:
    assert engine(server).context_length == 8192
    assert RemoteEngine(server.url, "other").context_length == 4096


def test_a_busy_server_is_asked_again(server: Server) -> None:
    replies = iter([(429, {"error": {"message": "slow down"}}), (503, b"")])
    server.reply = lambda body: next(replies, (200, chat("at last")))
    assert engine(server).generate([ask()])[0].text == "at last"
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_unavailable(server: Server) -> None:
    server.reply = lambda body: (503, {"error": {"message": "loading"}})
    with pytest.raises(Unavailable, match=r"3 attempts .*503: loading"):
        engine(server).generate([ask()])


def test_a_server_that_times_out_is_unavailable(server: Server) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(0.6)
        return 200, chat("late")

    server.reply = slow
    with pytest.raises(Unavailable, match=r"no answer within 0.1 s"):
        engine(server, timeout=0.1, attempts=2).generate([ask()])


def test_a_server_that_is_gone_is_unavailable(server: Server) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(Unavailable, match="cannot be used"):
        engine(server, attempts=2).generate([ask()])


def test_a_refused_request_is_not_asked_again_and_shows_the_servers_words(server: Server) -> None:
    server.reply = lambda body: (400, {"error": {"message": "unknown   field\n'seed'"}})
    with pytest.raises(BadInput, match="400: unknown field 'seed'"):
        engine(server).generate([ask()])
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"[" * 100_000],
)
def test_an_answer_in_another_form_is_refused(server: Server, reply: bytes) -> None:
    server.reply = lambda body: (200, reply)
    with pytest.raises(BadInput):
        engine(server).generate([ask()])


def test_the_key_is_sent_but_neither_redirected_nor_shown_to_the_network(server: Server) -> None:
    engine(server, key="secret").generate([ask()])
    assert server.headers[0]["Authorization"] == "Bearer secret"
    server.reply = lambda body: (307, b"")
    with pytest.raises(BadInput, match="307"):
        engine(server, key="secret").generate([ask()])
    with pytest.raises(BadInput, match="unencrypted"):
        RemoteEngine("http://models.example.com/v1", "phi", key="secret")
    for key in ("a\r\nX: y", "a\0"):
        with pytest.raises(BadInput, match="line break"):
            RemoteEngine("https://models.example.com/v1", "phi", key=key)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "127.0.0.1:8000", "ftp://x/v1", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="no address"):
        RemoteEngine(url, "phi")
