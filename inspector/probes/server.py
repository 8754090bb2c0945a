"""Answers through any OpenAI-compatible server (vLLM with LoRA: one model name per adapter). No torch."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from inspector.errors import CancelledError, InspectorError
from inspector.probes.generation import Answer, Hooks
from inspector.text import plain, some

KEY = "OPENAI_API_KEY"
_BUSY = {408, 409, 425, 429, 500, 502, 503, 504}
_GIVE_UP = 5
"""Problems in a row without an answer after which the server is taken for broken."""

Messages = Sequence[dict[str, str]]
Body = dict[str, Any]


class _ProblemError(Exception):
    """One request came to nothing: the text says why. The others go on."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask, and how patiently.

    huggingface_hub's own client would refuse any server under HF_HUB_OFFLINE, which is set where vLLM runs
    without a network: hence urllib.
    """

    url: str
    max_new_tokens: int
    concurrency: int = 16
    key: str = field(default_factory=lambda: os.environ.get(KEY, ""), repr=False)
    timeout: float = 600.0
    tries: int = 5
    pause: float = 1.0
    """Seconds before the second try; doubles with each further one."""

    def models(self) -> tuple[str, ...]:
        """The names it serves; empty where it does not tell. Raises InspectorError where it cannot be reached."""
        try:
            found = self._ask("models", None, lambda: False)
        except _ProblemError as error:
            if error.status == 404:
                return ()
            raise InspectorError(f"{self._where}: {error}.") from error
        listed = found.get("data")
        return tuple(str(m["id"]) for m in listed if isinstance(m, dict) and "id" in m) if listed else ()

    def refuse_unknown(self, model: str) -> None:
        """Raise InspectorError when the server says which models it has, and this is none of them."""
        names = self.models()
        if names and model not in names:
            raise InspectorError(
                f"{self._where} serves no model {plain(model)!r}, but {some(names, 8)}. "
                "Name the source as the server does, as in NAME=SOURCE, and the base with --base."
            )

    def answers(
        self, model: str, prompts: Sequence[Messages], hooks: Hooks, more: Callable[[int], Body] = lambda _index: {}
    ) -> Iterator[Answer]:
        """An answer to each chat, as they come; a chat the server refuses has none, and a note says why.

        `more` is called by the thread that asks prompt `index`, right before (it may wait there), for what else
        the request says; None leaves a field out.
        Raises InspectorError when the server fails for good, CancelledError when cancelled.
        """
        self.refuse_unknown(model)
        todo: SimpleQueue[tuple[int, Messages]] = SimpleQueue()
        for index, messages in enumerate(prompts):
            todo.put((index, messages))
        made: SimpleQueue[Answer | Exception] = SimpleQueue()
        stopped = _Flag(hooks.cancelled)

        def work() -> None:
            while not stopped():
                try:
                    index, messages = todo.get_nowait()
                except Empty:
                    return
                try:
                    made.put(self._answer(index, {"model": model, "messages": list(messages), **more(index)}, stopped))
                except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
                    made.put(error)

        try:
            # Daemons: a request in flight must not hold up the end of an interrupted program.
            for _ in range(min(self.concurrency, len(prompts))):
                threading.Thread(target=work, name="server", daemon=True).start()
            yield from self._collected(len(prompts), made, model, hooks)
        finally:
            stopped.up = True

    def _collected(
        self, count: int, made: SimpleQueue[Answer | Exception], model: str, hooks: Hooks
    ) -> Iterator[Answer]:
        """What the workers made, until there are `count` of them."""
        failures = 0
        while count:
            if hooks.cancelled():
                raise CancelledError("Cancelled between two answers.")
            try:
                found = made.get(timeout=0.1)
            except Empty:
                continue
            count -= 1
            if isinstance(found, Answer):
                failures = 0
                hooks.step(found.tokens)
                yield found
            elif isinstance(found, _ProblemError):
                failures += 1
                hooks.note(f"{plain(model)}: a problem without an answer: {found}")
                if failures >= _GIVE_UP:
                    raise InspectorError(f"{self._where} fails again and again: {found}.") from found
            else:
                raise found

    def _answer(self, index: int, body: Body, stopped: Callable[[], bool]) -> Answer:
        """One chat completion, at temperature 0 unless the body says otherwise."""
        body = {"temperature": 0, "max_tokens": self.max_new_tokens} | body
        found = self._ask("chat/completions", {k: v for k, v in body.items() if v is not None}, stopped)
        try:
            choice = found["choices"][0]
            text, reason = choice["message"].get("content") or "", choice.get("finish_reason")
            usage = found.get("usage") or {}
            tokens, before = (int(usage.get(f"{which}_tokens") or 0) for which in ("completion", "prompt"))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise _ProblemError("its answer is no chat completion") from error
        return Answer(index, str(text), tokens, "length" if reason == "length" else "stop", before)

    def _ask(self, path: str, body: object, stopped: Callable[[], bool]) -> dict[str, Any]:
        """One request, again where it may help. Raises _ProblemError, or InspectorError where all would fail."""
        reason = ""
        for attempt in range(self.tries):
            if attempt:
                _sleep(self.pause * 2 ** (attempt - 1), stopped)
            try:
                return self._once(path, body)
            except urllib.error.HTTPError as error:
                with error:
                    said = _said(error)
                self._refuse(error.code)
                reason = f"it answers {error.code}{said}"
                if error.code not in _BUSY:
                    raise _ProblemError(reason, error.code) from error
                _sleep(_retry_after(error), stopped)
            except (OSError, http.client.HTTPException) as error:  # refused, timed out, cut
                cause = getattr(error, "reason", error)
                if isinstance(cause, ConnectionRefusedError | socket.gaierror):
                    raise self._unreachable(cause) from error
                slow = isinstance(cause, TimeoutError)
                reason = (
                    f"no answer within {self.timeout:g} s" if slow else f"the connection broke ({plain(cause, 80)})"
                )
            except ValueError:
                reason = "its answer is no JSON"
        raise _ProblemError(f"{reason}, {self.tries} times")

    def _once(self, path: str, body: object) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.root}/{path}", data, headers)  # noqa: S310 - checked in `root`
        with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310
            found = json.loads(response.read())
        return found if isinstance(found, dict) else {}

    @property
    def root(self) -> str:
        """The address up to `/v1`. Raises InspectorError where it is none."""
        parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise InspectorError(f"{plain(self.url)!r} is no server: give its address, as in http://localhost:8000/v1.")
        path = parts.path.rstrip("/").removesuffix("/chat/completions")
        return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else f'{path}/v1'}"

    @property
    def _where(self) -> str:
        return f"The server {plain(self.root)}"

    def _refuse(self, status: int) -> None:
        """Raise InspectorError for what no other request will change."""
        if status in {401, 403}:
            known = "does not take the" if self.key else "needs a"
            raise InspectorError(f"{self._where} answers {status}: it {known} key in {KEY}. Set that to the server's.")

    def _unreachable(self, cause: object) -> InspectorError:
        reason = plain(getattr(cause, "strerror", None) or cause, 80)
        return InspectorError(f"{self._where} cannot be reached ({reason}): start it, or check the address.")


@dataclass(slots=True)
class _Flag:
    """Whether workers should stop: the user said so, or nobody waits for them any more."""

    cancelled: Callable[[], bool]
    up: bool = False

    def __call__(self) -> bool:
        return self.up or self.cancelled()


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stopped():
            raise CancelledError("Cancelled while waiting for the server.")
        time.sleep(min(left, 0.1))


def _retry_after(error: urllib.error.HTTPError) -> float:
    """Seconds the server asks for, at most a minute."""
    try:
        return min(60.0, max(0.0, float(error.headers.get("Retry-After") or 0)))
    except ValueError:
        return 0.0


def _said(error: urllib.error.HTTPError) -> str:
    """What an error's body explains."""
    try:
        found = json.loads(error.read(20_000))
        inner = found.get("error", found)
        text = inner.get("message", "") if isinstance(inner, dict) else inner
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return ""
    return f" ({plain(text, 160)})" if text else ""
