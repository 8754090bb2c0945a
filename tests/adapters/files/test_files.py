"""Files as they lie about: cut, empty, pointers, shards, replaced while open; and no torch for headers."""

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.files import headers
from inspector.adapters.formats import read_adapter
from inspector.adapters.opening import content_digest, open_sources
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from tests.makers import TINY, lora_tensors, qwen3_4b_like, random_factors, write_random

WEIGHTS = "adapter_model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FIRST = ModuleId(0, "self_attn.q_proj")


PICKLES = ReadOptions(allow_pickle=True)


def read(folder, read_options=DEFAULTS):
    return read_adapter(folder, "a", str(folder), read_options)


def header(**tensors):
    """A safetensors file with this header and 16 bytes of data."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def test_more_tensors_than_any_model_has_are_refused(tmp_path, monkeypatch):
    write_random(tmp_path)
    count = len(headers.read_headers(tmp_path / WEIGHTS))
    monkeypatch.setattr(headers, "MOST_TENSORS", count)
    assert read(tmp_path).info.tensors == count
    monkeypatch.setattr(headers, "MOST_TENSORS", count - 1)
    with pytest.raises(InspectorError, match=f"holds {count} tensors"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"{}", r"is not a valid safetensors file or is cut off \(2 bytes\)"),
        (POINTER, "is a Git LFS pointer, not the file itself: run `git lfs pull`"),
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (struct.pack("<Q", 10**15) + b"{}", "not a valid safetensors"),
        (struct.pack("<Q", 4) + b"{abc", "not a valid safetensors"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "not a valid safetensors"),
        (header(a={"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 16]}), "not a valid safetensors"),
        (header(a={"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}), "not a valid safetensors"),
        (
            header(
                a={"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
                b={"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
            ),
            "not a valid safetensors",
        ),
    ],
)
def test_damaged_weights(tmp_path, content, message):
    write_random(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(InspectorError, match=message):
        read(tmp_path)


def test_truncated_weights(tmp_path):
    write_random(tmp_path)
    os.truncate(tmp_path / WEIGHTS, 1500)
    with pytest.raises(InspectorError, match="cut off"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTER, "adapter_config.json is a Git LFS pointer"),
        (b"", "is empty"),
        (b"[1, 2]", "is not a JSON object"),
        (b"{'r': 8}", "is not readable JSON"),
        (b"\xff\xfe\x00", "is not readable JSON"),
        (b"[" * 100_000, "is not readable JSON"),
        (b'{"r": ' + b"9" * 10_000 + b"}", "is not readable JSON"),
        (b" " * (17 * 2**20) + b"{}", "that is not an adapter config"),
    ],
    ids=["pointer", "empty", "list", "quotes", "encoding", "nested", "digits", "large"],
)
def test_damaged_config(tmp_path, content, message):
    write_random(tmp_path)
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(InspectorError, match=message):
        read(tmp_path)


def split(folder, parts, index):
    """The folder's safetensors as shards."""
    tensors = lora_tensors(random_factors())
    keys, weight_map = list(tensors), {}
    for n in range(parts):
        shard = f"adapter_model-{n + 1:05d}-of-{parts:05d}.safetensors"
        save_file({key: tensors[key] for key in keys[n::parts]}, folder / shard)
        weight_map |= dict.fromkeys(keys[n::parts], shard)
    (folder / WEIGHTS).unlink()
    if index:
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("index", [True, False])
def test_shards(tmp_path, index):
    write_random(tmp_path)
    split(tmp_path, 3, index)
    adapter = read(tmp_path)
    assert len(adapter.modules) == len(TINY)
    assert len(adapter.files) == 3
    B, A = adapter.load(FIRST)
    expected_B, expected_A = random_factors()["model.layers.0.self_attn.q_proj"]
    assert torch.equal(B, expected_B)
    assert torch.equal(A, expected_A)


@pytest.mark.parametrize(("index", "message"), [(True, "names the shard"), (False, "holds 2 of 3 shards")])
def test_a_shard_is_missing(tmp_path, index, message):
    write_random(tmp_path)
    split(tmp_path, 3, index)
    (tmp_path / "adapter_model-00002-of-00003.safetensors").unlink()
    with pytest.raises(InspectorError, match=message):
        read(tmp_path)


def test_an_index_that_leaves_its_folder(tmp_path):
    write_random(tmp_path / "a")
    (tmp_path / "a" / WEIGHTS).rename(tmp_path / "other.safetensors")
    (tmp_path / "a" / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"x": "../other.safetensors"}}')
    with pytest.raises(InspectorError, match="names the shard"):
        read(tmp_path / "a")


def test_a_pickle_that_would_run_code(tmp_path):
    write_random(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    ran = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(ran),))

    torch.save({"model.layers.0.q_proj.lora_A.weight": Hostile()}, tmp_path / "adapter_model.bin")
    with pytest.raises(InspectorError, match="only with --allow-pickle"):
        read(tmp_path)
    with pytest.raises(InspectorError, match="it is damaged or would run code"):
        read(tmp_path, PICKLES)
    assert not ran.exists()


def test_an_odd_pickle_is_refused_without_a_warning_of_torch(tmp_path, recwarn):
    write_random(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps({"weights": [1.0]}, protocol=4))
    with pytest.raises(InspectorError, match="it is damaged or would run code"):
        read(tmp_path, PICKLES)
    assert not recwarn.list


@pytest.mark.parametrize("beside", [5, {"lora_B": torch.ones(2)}, None])
def test_a_pickle_of_more_than_tensors_is_refused(tmp_path, beside):
    write_random(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    torch.save(lora_tensors(random_factors()) | {"state": beside}, tmp_path / "adapter_model.bin")
    with pytest.raises(InspectorError, match="not a flat table of tensors"):
        read(tmp_path, PICKLES)


@pytest.mark.parametrize("old_format", [False, True])
def test_pickles_new_and_old(tmp_path, old_format):
    write_random(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    tensors = lora_tensors(random_factors(dtype=torch.bfloat16))
    torch.save(tensors, tmp_path / "adapter_model.bin", _use_new_zipfile_serialization=not old_format)
    adapter = read(tmp_path, PICKLES)
    assert adapter.info.dtype == "BF16"
    assert adapter.load(FIRST)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("change", ["replace", "truncate", "remove"])
@pytest.mark.parametrize("name", [WEIGHTS, "adapter_model.bin"])
def test_a_file_that_changes_while_open(tmp_path, change, name):
    write_random(tmp_path)
    if name.endswith(".bin"):
        (tmp_path / WEIGHTS).unlink()
        torch.save(lora_tensors(random_factors()), tmp_path / name)
    adapter = read(tmp_path, PICKLES)
    kept = adapter.load(FIRST)[0]
    if change == "replace":
        (write_random(tmp_path / "new", seed=7) / WEIGHTS).replace(tmp_path / name)
    elif change == "truncate":
        os.truncate(tmp_path / name, 100)
    else:
        (tmp_path / name).unlink()
    with pytest.raises(InspectorError, match="since it was opened: open it again"):
        adapter.load(FIRST)
    assert kept.isfinite().all()  # what was loaded stays readable


def test_loading_from_two_threads(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    adapter = read(write_random(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(adapter.load, list(adapter.modules) * 20))
    for id_, (B, A) in zip(list(adapter.modules) * 20, loaded, strict=True):
        expected_B, expected_A = adapter.load(id_)
        assert torch.equal(B, expected_B)
        assert torch.equal(A, expected_A)


def test_the_digest_is_of_the_content(tmp_path):
    one, same, other = (read(write_random(tmp_path / str(n), seed=n // 2)) for n in range(3))
    digests = [content_digest(adapter.files) for adapter in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_headers_need_no_torch(tmp_path):
    """Adapters of a real size are listed without torch."""
    for n in range(2):
        qwen3_4b_like(tmp_path / str(n), n, layers=4)
    code = (
        "import sys\nfrom inspector.adapters.opening import open_sources\n"
        "adapters, failures = open_sources(sys.argv[1:] * 5)\n"
        "print(len(adapters), len(failures), 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "10 0 False\n"


def test_very_many_modules(tmp_path):
    factors = random_factors({f"model.layers.{n // 10}.m{n % 10}": (1, 1) for n in range(5_000)}, r=1)
    from tests.makers import write_adapter

    adapters, _ = open_sources([str(write_adapter(tmp_path, factors, alpha_pattern={"m1": 2, r"layers\.5\..*": 3}))])
    assert adapters[0].info.modules == 5_000
