"""Which repos of adapters the Hub offers for some words, asked on request alone; and which are in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError

from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.hub.asking import asked
from inspector.adapters.hub.errors import unreachable
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT
from inspector.common.text import plain

MOST = 30
_BELOW = ("", "*/", "*/*/")


@dataclass(frozen=True, slots=True)
class Found:
    """A repo of the Hub that says it is of PEFT."""

    repo: str
    downloads: int | None


def search(words: str, cancelled: Callable[[], bool] = lambda: False) -> list[Found]:
    """The PEFT repos for these words, the most downloaded first, at most `MOST`.

    Raises InspectorError if the Hub does not answer, and CancelledError.
    """
    return _found("peft", MOST, "paths and the cache are still listed", words, cancelled)


def of_base(base: str, most: int) -> list[str]:
    """The repos that say they are adapters of a base, the most downloaded first, at most so many.

    Raises InspectorError if the Hub does not answer.
    """
    return [found.repo for found in _found(f"base_model:adapter:{base}", most, "name repos or paths")]


def _found(
    tag: str, most: int, instead: str, words: str | None = None, cancelled: Callable[[], bool] = lambda: False
) -> list[Found]:
    @quiet_hub()
    def ask() -> list[Found]:
        models = HfApi(library_name=AGENT).list_models(search=words, filter=tag, sort="downloads", limit=most)
        return [Found(plain(model.id, 200), model.downloads) for model in islice(models, most)]

    try:
        return asked(ask, cancelled)
    except (CancelledError, InspectorError):
        raise
    except Exception as error:
        where = plain(constants.ENDPOINT)
        if isinstance(error, HfHubHTTPError):
            raise InspectorError(f"{where} answers the search with {error.response.status_code}: try later.") from error
        if unreachable(error) or constants.HF_HUB_OFFLINE:
            raise InspectorError(f"Cannot reach {where}: {instead}.") from error
        raise InspectorError(f"{where} does not answer a search as a Hub does: {type(error).__name__}.") from error


def cached() -> Iterator[str]:
    """The repos in the cache that hold an adapter, by name."""
    try:
        folders = sorted(Path(constants.HF_HUB_CACHE).expanduser().glob("models--*--*"))
        for folder in folders:
            if any(next(folder.glob(f"snapshots/*/{below}{CONFIG}"), None) for below in _BELOW):
                yield "/".join(folder.name.split("--")[1:3])
    except OSError:
        return
