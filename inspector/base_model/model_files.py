"""The files of a base model: from a folder, from the Hub's cache, or downloaded; and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from inspector.adapters.hub.asking import asked
from inspector.adapters.hub.errors import explain, unreachable
from inspector.adapters.hub.listing import leaves, remember
from inspector.adapters.hub.progress import bar_class
from inspector.adapters.sources import Remote, parse
from inspector.common.cache import Cache, cache_folder, mark
from inspector.common.errors import InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT
from inspector.common.interruptible import interruptible
from inspector.common.special_files import refuse_special
from inspector.common.text import plain

Progress = Callable[[str, int, int], None]
_KEPT = (".json", ".safetensors", ".model", ".txt", ".jinja", ".tiktoken")


def model_folder(name: str, progress: Progress, cancelled: Callable[[], bool]) -> Path:
    """The folder with the model's config, tokenizer and safetensors; downloaded where it must be.

    Raises InspectorError with what to do, and CancelledError.
    """
    source = parse(name)
    if not isinstance(source, Remote):
        folder = source.path
        refuse_special(folder / "config.json")
        if not (folder / "config.json").is_file():
            raise InspectorError(f"{plain(folder)} is not a base model: it has no config.json.")
    else:
        try:
            folder = _downloaded(source, progress, cancelled)
        except InspectorError:
            raise
        except Exception as error:
            raise explain(error, source) from error
    for path in folder.glob("*.safetensors"):
        refuse_special(path)
    if not any(folder.glob("*.safetensors")):
        raise InspectorError(f"{plain(name)} has no .safetensors: pickled weights are not loaded, convert them first.")
    return folder


def _downloaded(remote: Remote, progress: Progress, cancelled: Callable[[], bool]) -> Path:
    """The repo's snapshot at the revision; the cached one when the Hub cannot be reached."""
    try:
        info = listed(remote, cancelled)
    except Exception as error:
        if unreachable(error) and (cached := _cached(remote)) is not None:
            return cached
        raise
    sizes = {f.rfilename: f.size or 0 for f in info.siblings or () if wanted(f.rfilename)}
    if "config.json" not in sizes:
        raise InspectorError(f"{remote.repo} is not a base model: it has no config.json.")
    done, total = 0, sum(sizes.values())
    for file, size in sizes.items():

        def report(n: int, before: int = done) -> None:
            progress(f"downloading {remote.repo}", min(before + n, total), total)

        report(0)
        call = partial(fetched, remote.repo, str(info.sha), file, bar_class(report, cancelled))
        path = interruptible(call, cancelled)
        done += size
    remember(remote, str(info.sha))
    return path.parent


@quiet_hub()
def listed(remote: Remote, cancelled: Callable[[], bool] = lambda: False) -> Any:
    """What the Hub says of a base and its files. Raises what huggingface_hub raises, CancelledError."""
    ask = HfApi(library_name=AGENT).model_info
    return asked(partial(ask, remote.repo, revision=remote.revision or None, files_metadata=True), cancelled)


def wanted(name: str, suffixes: tuple[str, ...] = _KEPT) -> bool:
    """Whether transformers may read a file: of the repo's top folder, in no other format of the weights."""
    return "/" not in name and name.endswith(suffixes) and not leaves(name)


@quiet_hub()
def fetched(repo: str, commit: str, file: str, bar: Any = None) -> Path:
    """One file of a repo, through the cache. Raises what huggingface_hub raises."""
    return Path(hf_hub_download(repo, file, revision=commit, tqdm_class=bar, library_name=AGENT))


def _cached(remote: Remote) -> Path | None:
    try:
        root = Path(snapshot_download(remote.repo, revision=remote.revision or None, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return root if (root / "config.json").is_file() and any(root.glob("*.safetensors")) else None


def model_digest(folder: Path, note: Callable[[str], None] = lambda _text: None) -> str:
    """sha256 over config and weights, in hexadecimal; remembered while size and times of the files stay."""
    files = sorted([folder / "config.json", *folder.glob("*.safetensors")])
    marks = {path.name: list(mark(path)) for path in files}
    memory = cache_folder("digests") / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.json"
    cache = Cache(note)
    if (stored := cache.read(memory)) is not None and (known := json.loads(stored))["files"] == marks:
        return str(known["digest"])
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
    found = digest.hexdigest()
    cache.write(memory, json.dumps({"files": marks, "digest": found}).encode())
    return found
