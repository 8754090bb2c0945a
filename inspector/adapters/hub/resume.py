"""A download that goes on after its process was killed: what came is kept, and the next start asks for the rest.

huggingface_hub itself begins anew: since its #4228 each download has a temporary name of its own, lest two on a file
system without locks mix. Here one name serves all, as before, for files whose sha256 is known: it tells a mixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import (  # type: ignore[attr-defined]
    http_get,
    is_xet_available,
    repo_folder_name,
)
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # documented there

from inspector.adapters.hub.errors import unreachable
from inspector.adapters.hub.listing import RemoteFile
from inspector.adapters.sources import Remote
from inspector.common.errors import CancelledError
from inspector.common.hub_token import AGENT


def bring(remote: Remote, commit: str, file: str, listed: RemoteFile, bar: Any) -> None:
    """Put the file's blob into the cache, where `hf_hub_download` finds it; nothing where that must do it all.

    That is where the Hub gives no sha256, names the blob otherwise, or has it on Xet, whose chunks hf_xet fetches.
    The bytes are not verified. Raises what huggingface_hub and `bar` raise.
    """
    if not listed.sha256:
        return
    url = hf_hub_url(remote.repo, file, revision=commit, endpoint=constants.ENDPOINT)
    found = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, library_name=AGENT)
    on_xet = found.xet_file_data is not None and is_xet_available()
    if found.etag != listed.sha256 or found.commit_hash != commit or on_xet:
        return
    cache, folder = Path(constants.HF_HUB_CACHE).expanduser(), repo_folder_name(repo_id=remote.repo, repo_type="model")
    blob, lock = cache / folder / "blobs" / listed.sha256, cache / ".locks" / folder / f"{listed.sha256}.lock"
    for path in (blob, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # which the library takes for this blob, too
        if not blob.exists():
            _append(url, blob.with_name(f"{blob.name}.incomplete"), found.size, bar)
            blob.with_name(f"{blob.name}.incomplete").replace(blob)


def _append(url: str, part: Path, size: int | None, bar: Any) -> None:
    """Have the whole file in `part`, after what is there; it stays if only the line failed, or the user left."""
    # The Hub redirects to its storage: httpx follows, and leaves the token behind where that is another host.
    headers = build_hf_headers(library_name=AGENT) | {"Accept-Encoding": "identity"}
    try:
        with part.open("ab") as opened:
            http_get(url, opened, resume_size=opened.tell(), headers=headers, expected_size=size, tqdm_class=bar)
    except Exception as error:
        if not (unreachable(error) or isinstance(error, CancelledError)):
            part.unlink(missing_ok=True)
        raise
