"""Pickles: those that would run code, those that would take all memory, and zip archives that are none."""

import builtins
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.hostile import valid
from tests.hostile.case import CONFIG, Case, write

PICKLES = ("--allow-pickle",)
RAN = "code-of-a-file-was-run"
KEY = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


class Runs:
    """Makes a folder when it is unpickled by anything that calls what it names."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self._reduced = call, args

    def __reduce__(self) -> Any:
        return self._reduced


def payloads(folder: Path) -> dict[str, Any]:
    mark = folder.parent / RAN
    return {
        "os.system": Runs(os.system, f"mkdir {mark}"),
        "eval": Runs(builtins.eval, f"__import__('os').mkdir({str(mark)!r})"),
        "exec": Runs(builtins.exec, f"import os; os.mkdir({str(mark)!r})"),
        "os.mkdir": Runs(os.mkdir, str(mark)),
        "getattr": Runs(getattr, "x", "__class__"),
        "torch.load": Runs(torch.load, str(mark)),
    }


def _hostile(name: str, protocol: int, file: str, folder: Path) -> None:
    """The payload as a pickle torch would read: its own archive, its old format, or nothing but a pickle."""
    valid.peft_pickle(folder)
    loaded = {KEY: payloads(folder)[name], "layers.0.attn.v_proj.lora_a.weight": torch.ones(2, 2)}
    (folder / "adapter_model.bin").unlink()
    if protocol < 0:
        write(folder / file, pickle.dumps(loaded, -protocol))
    else:
        torch.save(loaded, folder / file, pickle_protocol=protocol, _use_new_zipfile_serialization=protocol != 3)


def _loaded(value: Callable[[], Any], folder: Path) -> None:
    valid.peft_pickle(folder)
    torch.save(value(), folder / "adapter_model.bin")


class Huge:
    """A tensor of 10^12 numbers over a storage of a few: its stride is 0."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self) -> Any:
        A = torch.ones(1).expand(self.shape)
        return {KEY: A, KEY.replace("lora_A", "lora_B"): torch.ones(1).expand(self.shape[::-1])}


@cache
def _unfolding(entry: str) -> bytes:
    """200 MB of zeros in an archive of 200 KB."""
    with zipfile.ZipFile(content := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(entry, "w") as file:
            for _ in range(200):
                file.write(bytes(2**20))
        archive.writestr("archive/version", "3")
        archive.writestr("archive/note", b"layers.0.attn.v_proj.lora_a.weight")
    return content.getvalue()


def _bomb(name: str, folder: Path, *, entry: str = "archive/data.pkl") -> Path:
    write(folder / name, _unfolding(entry))
    write(folder / CONFIG, '{"peft_type": "LORA", "r": 2, "lora_alpha": 4}')
    return folder if name == "adapter_model.bin" else folder / name


def _cut(folder: Path) -> None:
    valid.peft_pickle(folder)
    os.truncate(folder / "adapter_model.bin", 700)


def _npz(folder: Path, **arrays: Any) -> Path:
    path = valid.mlx(folder, "adapters.npz")
    np.savez(path, allow_pickle=True, **arrays)
    return path


def _npz_objects(folder: Path) -> Path:
    runs = np.array([Runs(os.mkdir, str(folder.parent / RAN))], dtype=object)
    half = np.ones((8, 2), np.float32)
    return _npz(folder, **{"model.layers.0.q.lora_a": runs, "model.layers.0.q.lora_b": half.T.copy()})


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def _npz_raw(content: bytes, folder: Path, *, compressed: bool = False) -> Path:
    valid.mlx(folder, "adapters.npz")
    stored = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(folder / "adapters.npz", "w", stored) as archive:
        archive.writestr("model.layers.0.q.lora_a.npy", content)
        archive.writestr("model.layers.0.q.lora_b.npy", content)
    return folder / "adapters.npz"


def npy_headers() -> Iterator[tuple[str, bytes]]:
    one = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
    yield "cut", npy(one)[:20]
    yield "no magic", b"x" * 100
    yield "shape beyond the data", npy(one.replace(b"(2, 2)", b"(10**9, 2)"))
    yield "huge shape", npy(one.replace(b"(2, 2)", b"(99999999999, 99999999)"), bytes(16))
    yield "negative shape", npy(one.replace(b"(2, 2)", b"(-2, -2)"), bytes(16))
    yield "code for a header", npy(b"__import__('os').mkdir('" + RAN.encode() + b"')", bytes(16))
    yield "object dtype", npy(one.replace(b"<f4", b"|O"), pickle.dumps(Runs(os.mkdir, RAN)))
    yield "dtype of fields", npy(one.replace(b"'<f4'", b"[('a', '<f4')]"), bytes(16))
    yield "dtype of text", npy(one.replace(b"<f4", b"<U4"), bytes(64))
    yield "nested deeply", npy(b"(" * 20_000, bytes(16))
    yield "version 9", npy(one, bytes(16)).replace(b"NUMPY\x01", b"NUMPY\x09")
    yield "length beyond", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + one


def cases() -> Iterator[Case]:
    for name in payloads(Path()):
        yield Case(
            f"pickle: {name}", partial(_hostile, name, 2, "adapter_model.bin"), 2, "would run code", None, PICKLES
        )
    for protocol in 3, 4, 5, -1, -2, -5:
        for file in "adapter_model.bin", "adapter_model.pt", "x.ckpt":
            make = partial(_hostile, "os.mkdir", protocol, file)
            yield Case(
                f"pickle: {'torch' if protocol > 0 else 'plain'} protocol {abs(protocol)} {file}",
                make,
                2,
                "run code|without its weights|No adapter",
                None,
                PICKLES,
            )
    yield Case(
        "pickle: without leave", partial(_hostile, "os.mkdir", 2, "adapter_model.bin"), 2, "only with --allow-pickle"
    )
    no_table: dict[str, Callable[[], Any]] = {
        "a list": lambda: [torch.ones(2)],
        "a tensor": lambda: torch.ones(2),
        "nested": lambda: {"a": {"b": torch.ones(2)}},
        "numbers": lambda: {KEY: 1.0},
    }
    for name, value in no_table.items():
        yield Case(f"pickle: {name}", partial(_loaded, value), 2, "not a flat table of tensors", None, PICKLES)
    for name, tensor in {"meta": lambda: torch.ones(10**6, 10**6, device="meta"),
                         "sparse": lambda: torch.ones(2, 2).to_sparse()}.items():  # fmt: skip
        yield Case(
            f"pickle: {name}", partial(_loaded, lambda t=tensor: {KEY: t()}), 2, "not a flat table", None, PICKLES
        )
    yield Case(
        "pickle: 10^12 numbers of one", partial(_loaded, Huge((10**6, 10**6))), 2, "more than|flat table", None, PICKLES
    )
    yield Case(
        "pickle: 10^9 numbers of one", partial(_loaded, Huge((8, 10**8))), 2, "more than|flat table", None, PICKLES
    )
    yield Case(
        "pickle: keys that are not text",
        partial(_loaded, lambda: {7: torch.ones(2, 2), None: torch.ones(2)}),
        2,
        "no LoRA pair|not a flat",
        None,
        PICKLES,
    )
    yield Case("pickle: cut", _cut, 2, "cannot be read as plain tensors", None, PICKLES)
    for name in "adapter_model.bin", "adapter_model.pt":
        yield Case(
            f"zip bomb: {name}",
            partial(_bomb, name),
            2,
            "compressed|cannot be read|no adapter file|not an adapter file|no valid file",
            None,
            PICKLES,
        )
    yield Case(
        "zip bomb: tensors",
        partial(_bomb, "adapter_model.bin", entry="archive/data/0"),
        2,
        "compressed|cannot be read",
        None,
        PICKLES,
    )
    yield Case("zip bomb: npz", partial(_bomb, "adapters.npz", entry="model.layers.0.q.lora_a.npy"), 2, "compressed")
    yield Case("npz: pickled objects", _npz_objects, 2, "not a valid .npz|cut off|no LoRA pair|objects")
    for name, content in npy_headers():
        yield Case(
            f"npz: {name}",
            partial(_npz_raw, content),
            2,
            "not a valid .npz|cut off|no LoRA pair|not an adapter file|no valid file",
        )
