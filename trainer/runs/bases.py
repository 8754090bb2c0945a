"""The base of a run: loaded, or its shape and tokenizer alone. Where the Hub is away, errors say what works without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from inspector.adapters.hub.errors import explain, unreachable
from inspector.adapters.sources import Remote, parse
from inspector.base_model import smollm2
from inspector.base_model.base import Base, load_base
from inspector.base_model.model_files import fetched, listed, wanted
from inspector.common.errors import InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.text import plain
from trainer.runs.launchers import sharded
from trainer.saving.start import base_digest

_SMALL = (".json", ".model", ".txt", ".jinja", ".tiktoken")
"""What config and tokenizer are made of."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A base without its weights."""

    tokenizer: Any
    model: Any
    """On the meta device."""

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


class Bases:
    """The base of one run after another, read and hashed anew only if the next run's is another one.

    TRL and PEFT change the modules and the tokenizer that they are given. Each run gets its own, around the same
    weights, which no run changes: their digest is compared after each.
    """

    def __init__(self) -> None:
        self._key: tuple[str, str, str] | None = None
        self._read: tuple[Base, str] | None = None

    def loaded(self, name: str, device: str, dtype: str, note: Callable[[str], None]) -> tuple[Base, str]:
        """The base, and the sha256 over its weights in memory. Raises InspectorError with what to do."""
        if self._read is None or self._key != (name, device, dtype):
            self._read = None  # before there are two
            with _hinted():
                base = load_base(name, device, dtype, note=note)
            self._key, self._read = (name, device, dtype), (base, base_digest(base.model))
        base, weights = self._read
        if sharded(os.environ) or "+" in base.device:  # their weights are replaced, or moved as they are called
            self._read = None
            return base, weights
        kept = {id(tensor): tensor for tensor in (*base.model.parameters(), *base.model.buffers())}
        return replace(base, model=deepcopy(base.model, kept), tokenizer=deepcopy(base.tokenizer)), weights


def skeleton(name: str, note: Callable[[str], None] = lambda _text: None) -> Skeleton:
    """The base's tokenizer and empty shape. Raises InspectorError with what to do."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    with _read(name, note) as place:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return Skeleton(tokenizer, model)


def tokenizer_of(name: str, note: Callable[[str], None] = lambda _text: None) -> Any:
    """The base's tokenizer. Raises InspectorError with what to do."""
    from transformers import AutoTokenizer

    with _read(name, note) as place:
        return AutoTokenizer.from_pretrained(place, trust_remote_code=False)


@contextmanager
def _read(name: str, note: Callable[[str], None]) -> Iterator[Path]:
    """The folder with config and tokenizer; what cannot be read there is an InspectorError."""
    with _hinted():
        place = smollm2.offline_folder(note) if name == smollm2.NAME else _small_files(name, note)
    try:
        yield place
    except Exception as error:
        raise InspectorError(f"Cannot read the base {plain(name)}: {plain(error, 160)}") from error


@quiet_hub()
def _small_files(name: str, note: Callable[[str], None]) -> Path:
    """The folder with config and tokenizer: local, from the Hub, or what its cache has where it is away."""
    source = parse(name)
    if not isinstance(source, Remote):
        return source.path
    try:
        return _downloaded(source)
    except InspectorError:
        raise
    except Exception as error:
        if unreachable(error):
            with suppress(LocalEntryNotFoundError):
                return Path(snapshot_download(source.repo, revision=source.revision or None, local_files_only=True))
            if source.repo == smollm2.HUB_ID and smollm2.installed():
                return smollm2.offline_folder(note)
        raise explain(error, source) from error


def _downloaded(source: Remote) -> Path:
    info = listed(source)
    names = [f.rfilename for f in info.siblings or () if wanted(f.rfilename, _SMALL)]
    if "config.json" not in names:
        raise InspectorError(f"{source.repo} is no base model: it has no config.json.")
    files = [fetched(source.repo, info.sha, name) for name in names]
    return Path(files[0]).parent


@contextmanager
def _hinted() -> Iterator[None]:
    """Add to an error of a Hub that is away what can be trained without it."""
    try:
        yield
    except InspectorError as error:
        cause = error.__cause__
        if cause is None or not unreachable(cause):
            raise
        raise InspectorError(
            f"{error} Without the Hub: --base FOLDER, or --recipe demo-smollm2, whose base is a package."
        ) from cause
