"""Several servers that have the same models, asked as one. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from inspector.base_model.endpoint import Body
from inspector.base_model.generation import Answer, Hooks
from inspector.base_model.served import Served
from inspector.base_model.server import Messages, Server
from inspector.base_model.spread import Spread
from inspector.common.console import say
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain

_T = TypeVar("_T")


def at(urls: Sequence[str], max_new_tokens: int, concurrency: int, **more: Any) -> Server | Servers:
    """The server at this address, or the servers at these, `concurrency` requests at a time to each."""
    by_root = {server.root: server for server in (Server(url, max_new_tokens, concurrency, **more) for url in urls)}
    found = tuple(by_root[root] for root in sorted(by_root))
    return found[0] if len(found) == 1 else Servers(found)


@dataclass(frozen=True, slots=True)
class Servers:
    """Chats over all of them; one that fails for good is left out, and stderr says why."""

    all: tuple[Server, ...]
    left: list[Server] = field(init=False)
    """Those that answer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", list(self.all))

    @property
    def max_new_tokens(self) -> int:
        return self.all[0].max_new_tokens

    @property
    def root(self) -> str:
        """Their addresses."""
        return ", ".join(server.root for server in self.all)

    @property
    def where(self) -> str:
        """They, in an error."""
        return f"The servers {plain(self.root, 400)}"

    def known_by(self, cards: Sequence[Served]) -> list[Any]:
        """What tells their answers from others': their addresses, sorted, and what is said of the models."""
        return [[server.root for server in self.all], [asdict(card) for card in cards]]

    def served(self) -> dict[str, Served]:
        """The models of all of them. Raises InspectorError if two say something else of one, or none answers."""
        found = self._each(Server.served)
        first, cards = found[0]
        for server, other in found[1:]:
            for name in {*cards} & {*other}:
                _refuse_apart(name, (first, cards[name]), (server, other[name]))
        return {name: card for name, card in cards.items() if all(name in other for _, other in found)}

    def refuse_unknown(self, model: str) -> Served:
        """What they say of a model. Raises InspectorError if one of them does not have it, or has another."""
        (first, card), *others = [(server, server.card(model, served)) for server, served in self._each(Server.served)]
        for server, other in others:
            _refuse_apart(model, (first, card), (server, other))
        return card

    def answers(
        self, model: str, prompts: Sequence[Messages], hooks: Hooks, more: Callable[[int], Body] = lambda _index: {}
    ) -> Iterator[Answer]:
        """As those of one server; a chat goes to another one only if the first did not answer."""
        root = self.refuse_unknown(model).root
        yield from Spread(tuple(self.left), model, root, prompts, more, hooks, self.left.remove).answers()

    def _each(self, ask: Callable[[Server], _T]) -> list[tuple[Server, _T]]:
        """What each answers; one that does not is left out. Raises its InspectorError if it is the last."""
        found: list[tuple[Server, _T]] = []
        for server in tuple(self.left):
            try:
                found.append((server, ask(server)))
            except CancelledError:
                raise
            except InspectorError as error:
                self.left.remove(server)
                if not self.left:
                    raise
                say(f"Left out: {error}")
        return found


def _refuse_apart(model: str, one: tuple[Server, Served], other: tuple[Server, Served]) -> None:
    if one[1] != other[1]:
        (first, card), (second, apart) = one, other
        differ = [n for n, value in asdict(card).items() if value != getattr(apart, n)]
        raise InspectorError(
            f"{first.where} and {plain(second.root)} say something else of {plain(model)!r} ({', '.join(differ)}): "
            "all must serve the same, under the same path."
        )
