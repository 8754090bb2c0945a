"""Arrays of a `.npz` as tensors: every type and order of bytes, and what is not an archive of arrays."""

import io
import zipfile

import numpy as np
import pytest
import torch

from inspector.adapters.readers import npz
from inspector.adapters.readers.npz import is_npz, npz_keys, npz_weights
from inspector.common.errors import InspectorError

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def bfloat16(values):
    """As mlx writes it: two bytes of no type."""
    return torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view("V2")


@pytest.mark.parametrize(
    ("array", "dtype", "read"),
    [
        (VALUES, "F32", torch.float32),
        (VALUES.astype(np.float64), "F64", torch.float64),
        (VALUES.astype(np.float16), "F16", torch.float16),
        (VALUES.astype(">f4"), "F32", torch.float32),
        (np.asfortranarray(VALUES), "F32", torch.float32),
        (bfloat16(VALUES), "BF16", torch.bfloat16),
        (VALUES.astype(np.int32), "INT32", torch.int32),
    ],
)
def test_types_and_orders(tmp_path, array, dtype, read):
    np.savez(tmp_path / "x.npz", **{"a.lora_a": array})
    weights = npz_weights(tmp_path / "x.npz")
    (header,) = weights.headers.values()
    assert (header.key, header.shape, header.dtype) == ("a.lora_a", (2, 3), dtype)
    found = weights.tensor("a.lora_a")
    assert (found.dtype, found.is_contiguous()) == (read, True)
    assert torch.equal(found.float(), torch.from_numpy(VALUES))


def test_a_scalar_and_an_empty_array(tmp_path):
    np.savez(tmp_path / "x.npz", one=np.float32(3), none=np.zeros((0, 4), np.float32))
    weights = npz_weights(tmp_path / "x.npz")
    assert {key: h.shape for key, h in weights.headers.items()} == {"one": (), "none": (0, 4)}
    assert weights.tensor("one").item() == 3
    assert weights.tensor("none").shape == (0, 4)


def test_only_arrays_of_an_archive_are_keys(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    assert (npz_keys(tmp_path / "x.zip"), is_npz(tmp_path / "x.zip")) == ([], False)
    np.savez(tmp_path / "x.npz", a=VALUES)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("notes.txt", "")
    assert (npz_keys(tmp_path / "x.npz"), is_npz(tmp_path / "x.npz")) == (["a"], True)
    assert npz_weights(tmp_path / "x.npz").headers.keys() == {"a"}
    (tmp_path / "y.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:-30])
    assert npz_keys(tmp_path / "y.npz") == npz_keys(tmp_path / "none.npz") == []


def test_as_many_arrays_as_are_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "x.npz", a=VALUES, b=VALUES)
    monkeypatch.setattr(npz, "_MOST", 2)
    assert len(npz_weights(tmp_path / "x.npz").headers) == 2
    monkeypatch.setattr(npz, "_MOST", 1)
    with pytest.raises(InspectorError, match="too many arrays"):
        npz_weights(tmp_path / "x.npz")


@pytest.mark.slow
@pytest.mark.parametrize(("arrays", "words"), [(100_000, "is cut off"), (100_001, "too many arrays")])
def test_the_most_arrays_that_are_read(tmp_path, arrays, words):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for n in range(arrays):
            archive.writestr(f"{n}.npy", b"")
    with pytest.raises(InspectorError, match=words):
        npz_weights(tmp_path / "x.npz")


@pytest.mark.parametrize("size", [-4, 4])
def test_an_array_is_as_long_as_its_shape_says(tmp_path, size):
    np.savez(tmp_path / "x.npz", a=VALUES)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        content = archive.read("a.npy")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("a.npy", content[:size] if size < 0 else content + bytes(size))
    with pytest.raises(InspectorError, match=f"'a' is cut off, {24 + size} bytes"):
        npz_weights(tmp_path / "y.npz")


@pytest.mark.parametrize("shape", [(-2, -3), (-2, -3, 1), (-2, 3)])
def test_a_negative_size_is_refused_whatever_the_product(tmp_path, shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", file.getvalue() + bytes(24))
    with pytest.raises(InspectorError, match="'a' is cut off"):
        npz_weights(tmp_path / "x.npz")
