"""The first bytes of a large file on the Hub: whether it is worth a download."""

from __future__ import annotations

import re

from huggingface_hub import constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented there

from inspector.adapters.sources import Remote
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT

LARGE = 64 * 2**20
"""Bytes below which a file is simply downloaded."""
_HEAD = 64 * 1024
# Keys of safetensors' header, of its metadata by kohya's trainers, and of GGUF's.
_ADAPTER = re.compile(rb"lora|hada_w|lokr_w|dora_scale|\.diff|ss_network|adapter\.type", re.IGNORECASE)


@quiet_hub()
def is_adapter(remote: Remote, commit: str, file: str) -> bool:
    """Whether the head of a .safetensors or .gguf names an adapter's tensors, by one request for 64 kB.

    Raises what huggingface_hub raises.
    """
    url = hf_hub_url(remote.repo, file, revision=commit, endpoint=constants.ENDPOINT)
    headers = build_hf_headers(library_name=AGENT) | {"Range": f"bytes=0-{_HEAD - 1}", "Accept-Encoding": "identity"}
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        hf_raise_for_status(response)
        head = next(response.iter_bytes(_HEAD), b"")
    return bool(_ADAPTER.search(head))
