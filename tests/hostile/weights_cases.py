"""Files that say they are safetensors: headers that lie, in a PEFT folder whose config is right."""

import json
import os
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile import valid
from tests.hostile.case import ESCAPES, PAGE, POINTER, WEIGHTS, Case, entry, safetensors, write

Q = "base_model.model.model.layers.0.self_attn.q_proj"
A, B = f"{Q}.lora_A.weight", f"{Q}.lora_B.weight"
DAMAGED = "not a valid safetensors file or is cut off"
PAIR = {A: entry(0, 64, (2, 8)), B: entry(64, 160, (12, 2))}


def broken() -> Iterator[tuple[str, bytes, str]]:
    """(name, content, what must be said)."""
    yield "empty file", b"", "is empty"
    yield "two bytes", b"{}", DAMAGED
    yield "eight bytes", struct.pack("<Q", 2), DAMAGED
    yield "LFS pointer", POINTER, "Git LFS pointer"
    yield "HTML page", PAGE, "web page"
    yield "zeros", bytes(4096), DAMAGED
    yield "header length 0", struct.pack("<Q", 0) + b"{}", DAMAGED
    yield "header length beyond the file", safetensors(PAIR, bytes(160), length=10**6), DAMAGED
    yield "header length 2^63", safetensors(PAIR, bytes(160), length=2**63), DAMAGED
    yield "header length 2^64-1", safetensors(PAIR, bytes(160), length=2**64 - 1), DAMAGED
    yield "header cut", safetensors(PAIR, bytes(160))[:60], DAMAGED
    yield "data cut", safetensors(PAIR, bytes(100)), DAMAGED
    yield "data beyond the last tensor", safetensors(PAIR, bytes(4096)), DAMAGED
    yield "header no JSON", safetensors(b"{abc: 1}"), DAMAGED
    yield "header not UTF-8", safetensors(b'{"\xff\xfe": 1}'), DAMAGED
    yield "header an array", safetensors(b"[1, 2]"), DAMAGED
    yield "header a string", safetensors(b'"weights"'), DAMAGED
    yield "header nested deeply", safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), DAMAGED
    one, other = json.dumps(PAIR[A]), json.dumps(entry(0, 96, (12, 2)))
    yield "header keys twice", safetensors(f'{{"{A}": {one}, "{A}": {other}}}'.encode(), bytes(160)), DAMAGED
    yield "offsets overlap", safetensors(PAIR | {B: entry(32, 128, (12, 2))}, bytes(128)), DAMAGED
    yield "offsets with a hole", safetensors(PAIR | {B: entry(96, 192, (12, 2))}, bytes(192)), DAMAGED
    yield "offsets out of range", safetensors(PAIR | {B: entry(10**9, 10**9 + 96, (12, 2))}, bytes(160)), DAMAGED
    yield "offsets negative", safetensors(PAIR | {B: entry(-96, 0, (12, 2))}, bytes(160)), DAMAGED
    yield "offsets turned round", safetensors(PAIR | {B: entry(160, 64, (12, 2))}, bytes(160)), DAMAGED
    yield "offsets strings", safetensors(PAIR | {B: entry(0, 0) | {"data_offsets": ["a", "b"]}}), DAMAGED
    yield "dtype unknown", safetensors(PAIR | {B: entry(64, 160, (12, 2), "F31")}, bytes(160)), DAMAGED
    yield "dtype a number", safetensors(PAIR | {B: entry(64, 160, (12, 2)) | {"dtype": 7}}, bytes(160)), DAMAGED
    yield "shape far beyond the file", safetensors(PAIR | {B: entry(64, 160, (10**9, 2))}, bytes(160)), DAMAGED
    yield "shape whose product overflows", safetensors(PAIR | {B: entry(64, 160, (2**40, 2**40))}, bytes(160)), DAMAGED
    yield "shape that wraps to the right size", safetensors(PAIR | {B: entry(64, 160, (2**63 + 12, 2))}), DAMAGED
    yield "shape negative", safetensors(PAIR | {B: entry(64, 160, (-12, -2))}, bytes(160)), DAMAGED
    yield "shape of floats", safetensors(PAIR | {B: entry(64, 160, (12.0, 2.5))}, bytes(160)), DAMAGED
    yield "shape a string", safetensors(PAIR | {B: entry(64, 160) | {"shape": "12x2"}}, bytes(160)), DAMAGED
    yield "metadata no table", safetensors(PAIR | {"__metadata__": [1]}, bytes(160)), DAMAGED
    yield "metadata of numbers", safetensors(PAIR | {"__metadata__": {"a": 1}}, bytes(160)), DAMAGED
    yield "no tensor at all", safetensors({}), "no LoRA pair"


def put(content: bytes, folder: Path) -> None:
    valid.peft(folder)
    write(folder / WEIGHTS, content)


def _many(number: int, folder: Path) -> None:
    """So many empty tensors, all of the header's doing."""
    put(safetensors({f"base_model.model.m.{n}.lora_A.weight": entry(0, 0, (0, 4)) for n in range(number)}), folder)


def _experts(number: int, folder: Path) -> None:
    """As a mixture's experts have it: one right pair again and again, each under a name of its own."""
    b, a = valid.factors()["model.layers.0.self_attn.q_proj"]
    header = {}
    for n in range(number):
        path, at = f"base_model.model.model.layers.0.mlp.experts.{n}.q_proj", 160 * n
        header[f"{path}.lora_A.weight"] = entry(at, at + 64, (2, 8))
        header[f"{path}.lora_B.weight"] = entry(at + 64, at + 160, (12, 2))
    put(safetensors(header, number * (a.numpy().tobytes() + b.numpy().tobytes())), folder)


def _long_names(folder: Path) -> None:
    keys = {
        f"base_model.model.{'x' * 10**6}.lora_{half}.weight": spec
        for half, spec in zip("AB", PAIR.values(), strict=True)
    }
    put(safetensors(keys, bytes(160)), folder)


def _names(name: str, folder: Path) -> None:
    """One right pair under a name that would do something to a terminal, beside what is unknown."""
    path, (b, a) = f"base_model.model.model.layers.0.{name}", valid.factors()["model.layers.0.self_attn.q_proj"]
    header = {f"{path}.lora_A.weight": PAIR[A], f"{path}.lora_B.weight": PAIR[B], name: entry(160, 164, (1,))}
    header["__metadata__"] = {name: name}
    put(safetensors(header, a.numpy().tobytes() + b.numpy().tobytes() + bytes(4)), folder)


def _cut_while_open(folder: Path) -> None:
    """As an interrupted copy leaves it: the right length, the end zeros of a sparse file."""
    valid.peft(folder)
    size = (folder / WEIGHTS).stat().st_size
    os.truncate(folder / WEIGHTS, size - 40)
    os.truncate(folder / WEIGHTS, size)


def cases() -> Iterator[Case]:
    for name, content, says in broken():
        yield Case(f"weights: {name}", partial(put, content), 2, says)
    one = valid.factors()["model.layers.0.self_attn.q_proj"]
    norm = 2 * float((one[0].double() @ one[1].double()).norm())
    line = ESCAPES.replace("\r\n", "")
    yield Case("weights: a name of escapes and markup", partial(_names, line), 0, r"\[red\]name", norm)
    yield Case("weights: a name of several lines", partial(_names, ESCAPES), 0, r"\[red\]name", norm)
    yield Case(
        "weights: a name of markup alone", partial(_names, "[bold]q[/] [@click=app.quit]x"), 0, r"\[bold\]", norm
    )
    yield Case("weights: a name of a million letters", _long_names, 3, "exactly zero in every module")
    yield Case("weights: 20,000 tensors of nothing", partial(_many, 20_000), 2, "1-D or zero-size|no LoRA pair")
    yield Case("weights: 5,000 experts", partial(_experts, 5_000), 0, "‖ΔW‖", norm * 5_000**0.5)
    yield Case("weights: 300,000 tensors of nothing", partial(_many, 300_000), 2, "300000 tensors")
    yield Case("weights: the end lost, the length right", _cut_while_open, 0, "‖ΔW‖")
