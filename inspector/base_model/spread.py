"""Requests spread over servers that have the same model: each is asked as often as it answers. No torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from inspector.base_model.at_once import concurrently
from inspector.base_model.endpoint import Body, ProblemError
from inspector.base_model.generation import Answer, Hooks
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    from inspector.base_model.server import Server

GIVE_UP = 5
"""Problems in a row without an answer after which a server is taken for broken."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Chats with a model that all these servers have. `root` is what their /models says of it.

    A chat goes to the server with the fewest requests, and to another one only if that failed to answer. A server that
    fails for good is left out, and `lost` is called with it.
    """

    servers: Sequence[Server]
    model: str
    root: str
    prompts: Sequence[Sequence[dict[str, str]]]
    more: Callable[[int], Body]
    hooks: Hooks
    lost: Callable[[Server], None] = lambda _server: None
    _noted: set[str] = field(default_factory=set, init=False)

    def answers(self) -> Iterator[Answer]:
        """As they come. Raises InspectorError if no server is left, CancelledError when cancelled."""
        desk = _Desk(self.servers)
        at_once = sum(server.concurrency for server in self.servers)
        for found in concurrently(len(self.prompts), at_once, partial(self._answer, desk), self.hooks.cancelled):
            if isinstance(found, Answer):
                self.hooks.step(found.tokens)
                yield found
            elif isinstance(found, ProblemError):
                self.hooks.note(f"{plain(self.model)}: a problem without an answer: {found}")
            else:
                raise found
        if desk.broken is not None:
            raise desk.broken

    def _answer(self, desk: _Desk, index: int, stopped: Callable[[], bool]) -> Answer:
        """Of the first server that gives one."""
        tried: dict[int, Exception] = {}
        while True:
            with desk.turn(tried, stopped) as n:
                if n is None:
                    raise desk.broken or list(tried.values())[-1]
                body = {"model": self.model, "messages": list(self.prompts[index]), **self.more(index)}
                try:
                    answer = self.servers[n].answer(index, body, self.root, stopped, self._trying)
                except CancelledError:
                    raise
                except (InspectorError, ProblemError) as error:
                    tried[n] = error
                    if desk.failed(n, error):
                        self._leave(self.servers[n], error, last=not desk.left)
                    if isinstance(error, ProblemError) and error.refused:
                        raise
                else:
                    desk.answered(n)
                    return answer

    def _leave(self, server: Server, error: Exception, *, last: bool) -> None:
        self.lost(server)
        if not last:
            self._note_once(f"left out: {error}" if server.where in str(error) else f"{server.where} left out: {error}")

    def _trying(self, reason: str) -> None:
        """At once, and once: the tries may take minutes."""
        self._note_once(f"{plain(self.model)}: {reason}; asking again, {self.servers[0].tries} times at most")

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.hooks.note(text)


class _Desk:
    """Who asks which server: at most its `concurrency` at a time."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._busy, self._failures = [0] * len(servers), [0] * len(servers)
        self.left = set(range(len(servers)))
        self.broken: InspectorError | None = None
        """Why the last server was left out."""
        self._free = threading.Condition()

    @contextmanager
    def turn(self, tried: Collection[int], stopped: Callable[[], bool]) -> Iterator[int | None]:
        """A turn at the least busy server that was not tried; None if there is none."""
        with self._free:
            while True:
                if stopped():
                    raise CancelledError("Cancelled between two answers.")
                able = self.left - set(tried)
                free = [n for n in able if self._busy[n] < self._servers[n].concurrency]
                if free or not able:
                    break
                self._free.wait(0.1)
            n = min(free, key=lambda n: (self._busy[n], n)) if free else None
            if n is not None:
                self._busy[n] += 1
        try:
            yield n
        finally:
            if n is not None:
                with self._free:
                    self._busy[n] -= 1
                    self._free.notify_all()

    def answered(self, n: int) -> None:
        self._failures[n] = 0

    def failed(self, n: int, error: Exception) -> bool:
        """Whether the server is left out from now on, by this failure."""
        with self._free:
            self._failures[n] += 1
            gone = not isinstance(error, ProblemError) or self._failures[n] >= GIVE_UP
            if not gone or n not in self.left:
                return False
            self.left.remove(n)
            if not self.left:
                self.broken = _for_good(self._servers[n], error)
            self._free.notify_all()
            return True


def _for_good(server: Server, error: Exception) -> InspectorError:
    if isinstance(error, InspectorError):
        return error
    return InspectorError(f"{server.where} fails again and again: {error}.")
