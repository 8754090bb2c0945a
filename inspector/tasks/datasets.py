"""The files of a dataset on the Hugging Face Hub, through its cache."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from inspector.adapters.hub.asking import asked
from inspector.adapters.hub.errors import explain, unreachable
from inspector.adapters.sources import Remote
from inspector.common.errors import InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT

_COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(path: Path) -> str:
    """The commit that a file downloaded from the Hub is of, in its cache or in a folder; empty for any other file."""
    path = path.absolute()
    for above in path.parents:
        if above.parent.name == "snapshots" and _COMMIT.fullmatch(above.name):
            return above.name
        record = above / ".cache" / "huggingface" / "download" / f"{path.relative_to(above)}.metadata"
        if record.is_file() and _COMMIT.fullmatch(first := record.read_text(errors="replace").partition("\n")[0]):
            return first
    return ""


@quiet_hub()
def dataset_files(repo: str, start: str, suffixes: tuple[str, ...]) -> list[Path]:
    """The files whose path begins with `start`; from the cache when the Hub cannot be reached.

    Raises InspectorError with what to do.
    """
    try:
        wanted = _listed(repo, start, suffixes)
        if isinstance(wanted, list):
            return wanted
        return [Path(hf_hub_download(repo, name, repo_type="dataset", library_name=AGENT)) for name in wanted]
    except InspectorError:
        raise
    except Exception as error:
        raise explain(error, Remote(repo)) from error


def _listed(repo: str, start: str, suffixes: tuple[str, ...]) -> tuple[str, ...] | list[Path]:
    """The names on the Hub; when it cannot be reached, the paths in the cache."""
    try:
        names = [file.rfilename for file in asked(lambda: HfApi(library_name=AGENT).dataset_info(repo)).siblings or ()]
    except Exception as error:
        if unreachable(error) and (cached := _cached(repo, start, suffixes)):
            return cached
        raise
    wanted = sorted(name for name in names if name.startswith(start) and name.endswith(suffixes))
    if not wanted:
        raise InspectorError(f"The dataset {repo} has no {start}* file any more: download it and name the file.")
    return tuple(wanted)


def _cached(repo: str, start: str, suffixes: tuple[str, ...]) -> list[Path]:
    """What an earlier download left."""
    try:
        root = Path(snapshot_download(repo, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError:
        return []
    files = (path for path in root.rglob("*") if path.is_file() and path.name.endswith(suffixes))
    return sorted(path for path in files if path.relative_to(root).as_posix().startswith(start))
