"""Independent pieces of work as tasks of a Ray cluster: retried when a worker or its node dies."""

from __future__ import annotations

import io
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from inspector._version import __version__
from inspector.common.console import say
from inspector.common.cores import allowed
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain

_RETRIES = 5
"""Workers that a piece of work may lose: one that takes all memory would end each."""
_AHEAD = 64
"""Pieces that wait at least, beside four for each core: one that takes long holds up the results behind it."""

_SECONDS = 10.0
"""For a cluster to take a connection."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def engine(text: str) -> Iterator[Ray | None]:
    """What `--engine` names: None for this process, or Ray: a cluster at an address, else one on this machine.

    Raises InspectorError for any other engine, if Ray is not installed, and if no cluster answers.
    """
    name, _, address = text.partition(":")
    if name not in {"", "ray"}:
        raise InspectorError(f"--engine {plain(text)!r} is not ray or ray:ADDRESS: without it, this process works.")
    if not name:
        yield None
        return
    # Ray prints the log of a node that died to stdout, whatever log_to_driver says.
    with redirect_stdout(io.StringIO()):
        ray = _started(address)
        try:
            nodes = sum(node["Alive"] for node in ray.nodes())
            cores = int(ray.cluster_resources().get("CPU", 0))
            say(f"Ray: {count(cores, 'core')} on {count(nodes, 'node')}.")
            yield Ray(ray, cores)
        finally:
            ray.shutdown()


def _started(address: str) -> Any:
    """The module `ray`, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise InspectorError("--engine ray needs Ray: pip install 'adapter-inspector[ray]'.") from error
    here: dict[str, Any] = (
        {} if address or os.environ.get("RAY_ADDRESS") else {"num_cpus": allowed(), "include_dashboard": False}
    )
    try:
        _refuse_silent(address)
        ray.init(address=address or None, logging_level=logging.ERROR, log_to_driver=False, **here)
    except Exception as error:  # whatever the library raises
        where = f"at {plain(address)}" if address else "here"
        reason = str(error).strip().partition("\n")[0]
        raise InspectorError(f"No Ray cluster {where} ({plain(reason)}): start it, or check the address.") from error
    return ray


def _refuse_silent(address: str) -> None:
    """Raise OSError if nothing listens there: Ray itself tries for minutes, and logs every try."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=_SECONDS).close()


@dataclass(frozen=True, slots=True)
class _Caller:
    """What the workers must share with this process."""

    version: str
    folder: Path


class Ray:
    """A cluster that this process is connected to."""

    def __init__(self, ray: Any, cores: int) -> None:
        self._ray, self._ahead = ray, max(_AHEAD, 4 * cores)

    def run(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result | InspectorError]:
        """`work(item)` of every item, in their order; an error where a piece could not be done on any worker.

        Raises what `work` raises, as Ray's RayTaskError.
        """
        task = self._ray.remote(_done_there).options(num_cpus=1, max_retries=_RETRIES)
        shared = self._ray.put(work)
        caller = _Caller(__version__, Path.cwd())
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(task.remote(shared, item, caller))
                if len(waiting) >= self._ahead:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for one in waiting:
                self._ray.cancel(one, force=True)

    def _result(self, one: Any) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return self._ray.get(one)
        except RayTaskError as error:
            if isinstance(error.cause, ModuleNotFoundError):
                return InspectorError(
                    f"A Ray worker has no {error.cause.name}: install adapter-inspector on each node."
                )
            raise
        except RayError as error:
            return InspectorError(f"Ray could not do it ({plain(str(error).strip().partition(chr(10))[0])}).")


def _done_there(work: Callable[[Item], Result], item: Item, caller: _Caller) -> Result | InspectorError:
    """In a worker: with one thread of torch's, as in this process, so that the bits are the same."""
    if __version__ != caller.version:
        return InspectorError(
            f"A Ray worker has adapter-inspector {__version__}, this machine {caller.version}: install one version."
        )
    import torch

    torch.set_num_threads(1)
    if not caller.folder.is_dir():  # relative sources are of the caller's folder
        return work(item)
    with chdir(caller.folder):
        return work(item)
