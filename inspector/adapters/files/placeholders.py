"""What files are that hold no adapter which can be read, and the way out: one table for everything that opens files.

A file is known by its name, by how it starts, by the keys of its tensors or by the text in its pickle, which is never
unpickled.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from inspector.common.errors import InspectorError
from inspector.common.special_files import refuse_special
from inspector.common.text import plain


class Stranger(NamedTuple):
    """What a file is, and what to do; FOLDER in the latter stands for the file's folder."""

    what: str
    way_out: str

    def of(self, path: Path) -> str:
        """`x.gguf is a GGUF model …: name the adapter …`."""
        folder = quote(plain(path.parent, 400))
        return f"{plain(path, 400)} is {self.what}: {self.way_out.replace('FOLDER', folder)}."


SUFFIXES = {
    "safetensors": (".safetensors", ".sft"),
    "pickle": (".bin", ".pt", ".pth", ".ckpt"),
    "gguf": (".gguf",),
    "npz": (".npz",),
}
"""The kinds that are read, and what their files are called; a safetensors file is read under a pickle's name too."""
OF_WEIGHTS = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_AGAIN = "save or download the adapter again"
_SAVE = "save the adapter from its trainer with save_pretrained(…), and name that folder"
_NAME = "name the adapter that was trained on it"
_NOT_FACTORS = "it has no factors of a LoRA, so no ΔW can be read from it"
_BY_NAME = "load it with the code that wrote it, and save it under module names with PEFT's .lora_A and .lora_B"
TRAINING_STATE = Stranger(
    "the state of a training (optimizer, scheduler, random numbers)", "name the adapter that was saved beside it"
)
WEIGHTS = Stranger(
    "a file of weights without the factors of a LoRA",
    "name an adapter, or the whole model's folder with its base as --base",
)
WHOLE = {
    "gguf": Stranger(
        "a GGUF model, a whole model and no adapter file",
        "name the adapter; a LoRA in GGUF says `general.type` adapter",
    ),
    "npz": WEIGHTS,
}
"""What a file is that no reader takes, though its kind is read."""
PICKLED = Stranger(
    "a pickle and no adapter file (it has no key of a LoRA)",
    "save its tensors as .safetensors under PEFT's names (.lora_A)",
)
_COMPILED = Stranger("a model made to run elsewhere (ONNX, Core ML …), with whatever was trained merged in", _SAVE)
_PACKED = Stranger("a packed archive, which cannot be read as it is", "unpack it and name the folder of the adapter")
_SAM = Stranger("a LoRA of Segment Anything, with numbers for its modules", _BY_NAME)
_OFT = Stranger("an OFT or BOFT adapter, which multiplies weights instead of adding to them", _NOT_FACTORS)

NAMES = {
    r".*\.distcp|\.metadata": Stranger(
        "part of a checkpoint of torch.distributed, cut up by process",
        "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER adapter.pt` puts it together; name "
        "that with --allow-pickle",
    ),
    r"model_world_size_(?!1_)\d+_rank_\d+\.pt": Stranger(
        "what one of several processes held (a rank's shard)",
        "`python -m verl.model_merger merge --backend fsdp --local_dir FOLDER --target_dir OUT` puts the shards "
        "together; name OUT/lora_adapter",
    ),
    r"(bf16_)?zero_pp_rank_.*\.pt|mp_rank_\d+_model_states\.pt": Stranger(
        "part of a DeepSpeed checkpoint", f"run its zero_to_fp32.py, or {_SAVE}"
    ),
    r"model_optim_rng\.pt|distrib_optim\.pt": Stranger(
        "part of a Megatron checkpoint", f"export it to Hugging Face's names, or {_SAVE}"
    ),
    r"((\w+_)?(optim(izer)?|scheduler|scaler|rng_state|random_states|extra_state)(_\w+)?|training_args)\.(pt|pth|bin|pkl)"
    r"|(optim|extra_state)_world_size_.*|optimizer\.safetensors": TRAINING_STATE,
    r"pytorch_model(-\d+-of-\d+)?\.bin": Stranger(
        "a whole model, pickled", "save it as .safetensors and name its folder, with its base as --base"
    ),
    r"pytorch_adapter\.bin|pytorch_model_head\.bin": Stranger(
        "an adapter of the library `adapters`, which has names of its own", "train or save it with PEFT"
    ),
    r".*\.(zip|tar|tar\.\w+|tgz|7z|rar|nemo)": _PACKED,
    r".*\.onnx|.*\.mlmodel|.*\.tflite|.*\.pte|.*\.engine": _COMPILED,
    r".*\.msgpack|_CHECKPOINT_METADATA|.*\.ckpt\.index|.*\.data-\d+-of-\d+|.*\.h5|.*\.keras": Stranger(
        "a checkpoint of JAX, Keras or TensorFlow", "export its factors as .safetensors under PEFT's names (.lora_A)"
    ),
}
KEYS = {
    r".*\.lora_(A|B|embedding_A)(\..*)?": Stranger(
        "PEFT's weights under another name", "give it the name adapter_model.safetensors"
    ),
    r"\w+:\d+:(up|down)": Stranger(
        "a LoRA of cloneofsimo's lora, with numbers for its modules", "load it there, and save it with diffusers"
    ),
    r"(\w+_)?w_[ab](_\w+)?_\d{3}|.*\.linear_[ab]_\w+(\.weight)?": _SAM,
    r".*[._](oft_(blocks|diag|r|R)|boft_\w+)(\.\w+)*": _OFT,
    r"emb_params|clip_[lg]|string_to_\w+|<.+>|learned_embeds.*": Stranger(
        "a textual inversion (rows of an embedding)", _NOT_FACTORS
    ),
    r"(image_proj|ip_adapter)\..*": Stranger("an IP-Adapter (modules of its own)", _NOT_FACTORS),
    r"(control_model|controlnet\w*)\..*|lora_controlnet": Stranger("a ControlNet (modules of its own)", _NOT_FACTORS),
}
_PICKLES = {
    rb"\A\x80.[\](]": Stranger(
        "a list of tensors without names, as cloneofsimo's lora writes it", "load it there, and save it with diffusers"
    ),
    rb"w_[ab]_\d{3}": _SAM,
    rb"DTensor|ShardedTensor": Stranger("shards of a model, by torch.distributed", _SAVE),
    rb"param_groups|exp_avg": TRAINING_STATE,
    rb"torch\.nn\.modules": Stranger("a whole module of torch, pickled with its code", "save its state_dict()"),
    rb"\x00state_dict(?!_)|pytorch-lightning": Stranger(
        "a training's checkpoint that keeps its weights under `state_dict`", "save that table by itself as .safetensors"
    ),
}
_MISNAMED = {
    "safetensors": Stranger("a safetensors file under another name", "give it the ending .safetensors"),
    "pickle": Stranger("a pickle of torch under another name", "give it the ending .bin, and open with --allow-pickle"),
    "gguf": Stranger("a GGUF file under another name", "give it the ending .gguf"),
    "npz": Stranger("arrays of numpy under another name", "give it the ending .npz"),
}
MISSING = {
    "empty": Stranger("empty (0 bytes)", _AGAIN),
    "pointer": Stranger("a Git LFS pointer, not the file itself", "run `git lfs pull` there"),
    "page": Stranger("a web page, not an adapter file", "download the file itself"),
    "text": Stranger("text, no valid file of weights", _AGAIN),
}
"""What stands where a file should be."""
_STARTS = (
    ("pointer", rb"version https://git-lfs\.github\.com/spec/", MISSING["pointer"]),
    ("page", rb"(?i)\s*<(!doctype|html|\?xml)", MISSING["page"]),
    ("gguf", rb"GGUF", _MISNAMED["gguf"]),
    ("", rb"algg", Stranger("a LoRA of llama.cpp before GGUF (ggla)", "name the adapter that it was made from")),
    ("", rb"lmgg|fmgg|tjgg", Stranger("a whole model in GGML, which came before GGUF", _NAME)),
    ("", rb"\x89HDF\r\n|....TFL3", Stranger("a model of Keras or TensorFlow", _NAME)),
    ("", rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!|.{257}ustar", _PACKED),
    ("safetensors", rb".{3}.\x00{4}\{", _MISNAMED["safetensors"]),
    ("pickle", rb"\x80[\x02-\x05]", _MISNAMED["pickle"]),
    ("", rb"\x08[\x01-\x20][\x12\x1a\x22\x2a\x3a]", _COMPILED),
    ("text", rb"[\t\n\r\x20-\x7e]{4,}\Z", MISSING["text"]),
)
_HEAD = 512
_MOST_PICKLED = 64 * 2**20


def kind_of(path: Path) -> tuple[str, Stranger] | None:
    """The kind of a file by its first bytes, of an archive by its members: a key of SUFFIXES or MISSING, or nothing.

    Raises InspectorError for what cannot be read, and for pipes and the like.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or error}.") from error
    if not head:
        return "empty", MISSING["empty"]
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    return next(((kind, known) for kind, start, known in _STARTS if re.match(start, head, re.DOTALL)), None)


def refuse_stand_in(path: Path, reads: str = "text") -> None:
    """Raise InspectorError where the file is unreadable, or is known to be of another kind than the one to be read."""
    found = kind_of(path)
    if found is not None and found[0] != reads:
        raise InspectorError(found[1].of(path))


def is_kind(path: Path, kind: str) -> bool:
    """Whether a file starts as one of this kind; no where it cannot be read."""
    try:
        found = kind_of(path)
    except InspectorError:
        return False
    return found is not None and found[0] == kind


def stands_in(path: Path) -> bool:
    """Whether a file holds nothing, a pointer, a page or other text where weights should be."""
    return any(is_kind(path, kind) for kind in MISSING)


def by_name(name: str) -> Stranger | None:
    """What a file is by its name alone."""
    return next((known for pattern, known in NAMES.items() if re.fullmatch(pattern, name)), None)


def by_keys(keys: Iterable[str]) -> Stranger:
    """What a safetensors file holds that no reader takes."""
    names = list(keys)
    return next((known for key, known in KEYS.items() if any(re.fullmatch(key, n) for n in names)), WEIGHTS)


def by_pickle(path: Path) -> Stranger:
    """What a pickle holds that no reader takes, by the text in it."""
    text = pickled(path)
    return next((known for pattern, known in _PICKLES.items() if re.search(pattern, text, re.DOTALL)), PICKLED)


def pickled(path: Path) -> bytes:
    """The pickle of a torch archive, as bytes; nothing where there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            most = min(_MOST_PICKLED, path.stat().st_size)
            inner = [i for i in archive.infolist() if i.filename.endswith("/data.pkl") and i.file_size <= most]
            return archive.read(inner[0]) if inner else b""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return b""


def _archive(path: Path) -> tuple[str, Stranger] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if any(name.endswith("/data.pkl") for name in names):
        return "pickle", _MISNAMED["pickle"]
    if any(name.endswith(".npy") for name in names):
        return "npz", _MISNAMED["npz"]
    return "", _PACKED
