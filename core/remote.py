"""An engine behind any OpenAI-compatible server: vLLM, llama.cpp, a hosted model.

The standard library's HTTP client is enough: one POST per answer, several at a time. A server that is busy or gone is
asked again a few times; after that :class:`~understudy.core.errors.Unavailable` says so.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from understudy.core.engines import Generation, Request
from understudy.core.errors import BadInput, Unavailable

__all__ = ["RemoteEngine"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_AGAIN = {408, 429, 500, 502, 503, 504}
_CHARACTERS_PER_TOKEN = 3
"""Low on purpose: a prompt thought too long loses a shot, one thought too short is refused by the server."""
_DEFAULT_CONTEXT = 4096
_MOST_BYTES = 16 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host, and turns a POST into a GET."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class RemoteEngine:
    """A model behind ``url``, which ends before ``/chat/completions``.

    Greedy where the server allows it: temperature 0 and a fixed seed. The answer is not repaired; whether the server
    really kept to the schema shows when the answer is read.
    """

    url: str
    model: str
    key: str = ""
    """Sent as a bearer token; never over plain HTTP to another machine."""
    timeout: float = 120.0
    """Seconds without a byte from the server."""
    attempts: int = 4
    wait: float = 1.0
    """Seconds before the second attempt; doubled for each further one, and at least what ``Retry-After`` says."""
    concurrency: int = 8

    def __post_init__(self) -> None:
        """Refuse an address that cannot be used, or would show the key to everybody."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{self.url!r} is no address of a server; write it as http://127.0.0.1:8000/v1")
        if self.key and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise BadInput(f"the key would travel unencrypted to {parts.hostname}; use https")
        if any(character in self.key for character in "\r\n\0"):
            raise BadInput("the server's key holds a line break; set it again")

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together, where the server tells; 4096 otherwise."""
        for entry in self._call("GET", "models").get("data") or []:
            if isinstance(entry, dict) and entry.get("id") == self.model:
                found = entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx_train")
                return int(found) if found else _DEFAULT_CONTEXT
        return _DEFAULT_CONTEXT

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens ``text`` takes: a server shows no tokenizer."""
        return len(text) // _CHARACTERS_PER_TOKEN + 1

    def generate(self, requests: Sequence[Request], progress: Callable[[int], None] | None = None) -> list[Generation]:
        """Answer every request, in order.

        Raises:
            Unavailable: the server cannot be reached, or stays busy.
            BadInput: it refuses the request, or answers in another form than the one agreed.
        """
        found = []
        with ThreadPoolExecutor(max_workers=self.concurrency) as pool:
            for generation in pool.map(self._answer, requests):
                found.append(generation)
                if progress is not None:
                    progress(1)
        return found

    def _answer(self, request: Request) -> Generation:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "max_tokens": request.max_new_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": False,
            "logprobs": True,
        }
        if request.schema is not None:
            named = {"name": "answer", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        started = time.perf_counter()
        reply = self._call("POST", "chat/completions", body)
        seconds = time.perf_counter() - started
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            text = choice["message"]["content"]
            if not isinstance(text, str):
                raise TypeError("the answer has no text")
            tokens = [
                (str(one["token"]), float(one["logprob"]))
                for one in (choice.get("logprobs") or {}).get("content") or []
            ]
            cut: Literal["stop", "length"] = "length" if choice.get("finish_reason") == "length" else "stop"
            lengths = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"{self.url} does not answer as an OpenAI-compatible server does: {error!r}") from None
        confidence = None if request.schema is None else _confidence(tokens)
        return Generation(text, cut, *lengths, sum(value for _, value in tokens), confidence, seconds)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "User-Agent": "understudy"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(_NoRedirect)
        pause, reason = self.wait, ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(pause)
                pause *= 2
            asked = urllib.request.Request(f"{self.url.rstrip('/')}/{path}", data, headers, method=method)
            try:
                with opener.open(asked, timeout=self.timeout) as reply:
                    return self._read(reply.read(_MOST_BYTES + 1))
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}: {_message(error)}"
                if error.code not in _AGAIN:
                    raise BadInput(f"{self.url} refuses the request ({reason})") from None
                pause = max(pause, _retry_after(error))
            except TimeoutError:
                reason = f"no answer within {self.timeout:g} s"
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise Unavailable(
            f"{self.url} cannot be used after {self.attempts} attempts ({reason}); run the same again later"
        )

    def _read(self, raw: bytes) -> dict[str, Any]:
        if len(raw) > _MOST_BYTES:
            raise BadInput(f"{self.url} sent more than {_MOST_BYTES >> 20} MiB for one answer")
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise BadInput(f"{self.url} did not answer with a JSON object; is it the address of the API (.../v1)?")
        return value


def _confidence(tokens: Sequence[tuple[str, float]]) -> float | None:
    """Return the probability of the first property's value, as a local engine reads it; None without logprobs."""
    import math

    text, total = "", 0.0
    for token, value in tokens:
        text, total = text + token, total + value
        if '",' in text or text.endswith("}"):
            break
    return math.exp(min(0.0, total)) if tokens else None


def _message(error: urllib.error.HTTPError) -> str:
    """Return the server's own words, shortened; they are outside text and shown as such."""
    raw = error.read(4_000).decode("utf-8", "replace")
    try:
        value = json.loads(raw)
        raw = str((value.get("error") or {}).get("message") or raw)
    except (ValueError, AttributeError, RecursionError):
        pass
    return " ".join(raw.split())[:200] or str(error.reason)


def _retry_after(error: urllib.error.HTTPError) -> float:
    value = str(error.headers.get("Retry-After") or "")
    return min(60.0, float(value)) if value.isdigit() else 0.0
