"""GGUF files: counts, lengths and offsets that lie."""

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile import valid
from tests.hostile.case import ESCAPES, Case, write

F32, STRING, ARRAY, FLOAT, U32, U8 = 0, 8, 9, 6, 4, 0
BROKEN = "not a valid GGUF|not an adapter file|no adapter file"


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes, shape: tuple[int, ...], offset: int, kind: int = F32) -> bytes:
    """One tensor's entry; GGUF has the axes the other way round."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, offset)


KNOWN = [
    pair(b"general.type", STRING, text(b"adapter")),
    pair(b"general.architecture", STRING, text(b"qwen2")),
    pair(b"adapter.type", STRING, text(b"lora")),
    pair(b"adapter.lora.alpha", FLOAT, struct.pack("<f", 4.0)),
]
PAIR = [tensor(b"blk.0.attn_q.weight.lora_a", (2, 8), 0), tensor(b"blk.0.attn_q.weight.lora_b", (12, 2), 64)]


def gguf(
    fields: list[bytes] = KNOWN,
    tensors: list[bytes] = PAIR,
    data: bytes = bytes(160),
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    n_tensors, n_fields = counts or (len(tensors), len(fields))
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_fields) + b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def nested(depth: int) -> bytes:
    """An array of one array of one array …"""
    return pair(b"a", ARRAY, struct.pack("<IQ", ARRAY, 1) * depth + struct.pack("<IQ", U8, 0))


def more(field: bytes) -> list[bytes]:
    return [*KNOWN, field]


def broken() -> Iterator[tuple[str, bytes]]:
    """Refused: name and content."""
    yield "bad magic", b"GGUX" + gguf()[4:]
    yield "magic alone", b"GGUF"
    yield "version 99", gguf(version=99)
    yield "version big-endian", gguf(version=3 << 24)
    yield "2^60 tensors", gguf(counts=(2**60, 4))
    yield "2^63 fields", gguf(counts=(2, 2**63))
    yield "a million tensors", gguf(counts=(10**6, 4))
    yield "header cut", gguf()[:120]
    yield "data cut", gguf(data=bytes(100))
    yield "no data", gguf(data=b"")
    yield "a key of 2^62 bytes", gguf(more(struct.pack("<Q", 2**62) + b"abc"))
    yield "a string of 2^40 bytes", gguf(more(pair(b"a", STRING, struct.pack("<Q", 2**40))))
    yield "an array of 2^50", gguf(more(pair(b"a", ARRAY, struct.pack("<IQ", U8, 2**50))))
    yield "an unknown type of value", gguf(more(pair(b"a", 77, bytes(8))))
    yield "arrays in arrays", gguf(more(nested(5000)))
    yield "arrays of 10^5 in arrays of 10^5", gguf(more(pair(b"a", ARRAY, struct.pack("<IQ", ARRAY, 10**5) * 50)))
    yield "alignment 0", gguf(more(pair(b"general.alignment", U32, struct.pack("<I", 0))))
    yield "alignment 2^31", gguf(more(pair(b"general.alignment", U32, struct.pack("<I", 2**31))))
    yield "alignment a string", gguf(more(pair(b"general.alignment", STRING, text(b"32"))))
    yield "an unknown type of tensor", gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (12, 2), 64, 999)])
    yield "offset beyond the file", gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (12, 2), 10**9)])
    yield "offset 2^64-1", gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (12, 2), 2**64 - 1)])
    yield "shape beyond the file", gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (10**10, 2), 64)])
    yield "shape that overflows", gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (2**33, 2**33), 64)])
    yield "10^9 axes", gguf(tensors=[text(b"x") + struct.pack("<I", 10**9)])
    yield "a tensor twice", gguf(tensors=[PAIR[0], PAIR[0]])
    yield "a field twice", gguf([*KNOWN, *KNOWN])
    yield "names not UTF-8", gguf(more(pair(b"\xff\xfe", STRING, text(b"\xff"))))


def long_metadata() -> bytes:
    """Arrays of a million numbers in all, each of which is read one by one."""
    fields = [pair(b"a%d" % n, ARRAY, struct.pack("<IQ", U8, 50_000) + bytes(50_000)) for n in range(60)]
    return gguf([*KNOWN, *fields])


def many_tensors(number: int) -> bytes:
    entries = [tensor(b"blk.%d.attn_q.weight.lora_a" % n, (1, 1), 0) for n in range(number)]
    return gguf(tensors=entries)


def _file(content: bytes, folder: Path) -> Path:
    write(folder / "adapter.gguf", content)
    return folder / "adapter.gguf"


def _alpha(value: bytes, kind: int = FLOAT) -> bytes:
    return gguf([*KNOWN[:3], pair(b"adapter.lora.alpha", kind, value)])


def _cut(share: float, folder: Path) -> Path:
    path = valid.gguf_lora(folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def cases() -> Iterator[Case]:
    for name, content in broken():
        yield Case(f"gguf: {name}", partial(_file, content), 2, BROKEN)
    nine = gguf(tensors=[PAIR[0], tensor(b"blk.0.attn_q.weight.lora_b", (1,) * 9, 64)])
    yield Case("gguf: 9 axes", partial(_file, nine), 2, "no LoRA pair")
    for share in 0.2, 0.5, 0.9:
        yield Case(f"gguf: {share:.0%} of it", partial(_cut, share), 2, BROKEN)
    yield Case("gguf: metadata without end", partial(_file, long_metadata()), 2, BROKEN)
    yield Case("gguf: 30,000 tensors at one place", partial(_file, many_tensors(30_000)), 2, BROKEN + "|tensors")
    for name, content in {
        "NaN": _alpha(struct.pack("<f", float("nan"))),
        "Inf": _alpha(struct.pack("<f", float("inf"))),
        "a string": _alpha(text(b"8"), STRING),
        "a list": _alpha(struct.pack("<IQf", FLOAT, 1, 8.0), ARRAY),
    }.items():
        yield Case(f"gguf: alpha {name}", partial(_file, content), 3, "scale of ΔW is unknown")
    other = gguf([*KNOWN[:2], pair(b"adapter.type", STRING, text(ESCAPES.encode()))])
    yield Case("gguf: a type of escapes", partial(_file, other), 2, r"of type '.*\[red\]name")
    url = pair(b"general.base_model.0.repo_url", STRING, text(ESCAPES.encode()))
    yield Case("gguf: a base of escapes", partial(_file, gguf(more(url))), 3, r"\[red\]name")
    names = [tensor(ESCAPES.encode() + b".lora_a", (2, 8), 0), tensor(ESCAPES.encode() + b".lora_b", (12, 2), 64)]
    yield Case("gguf: names of escapes", partial(_file, gguf(tensors=names)), 3, r"\[red\]name")
