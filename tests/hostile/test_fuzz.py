"""Valid files of every format, damaged in any way: a reader refuses them, or what it reads is what it declares.

Bounded and the same each time; `make fuzz` runs many more of them, and others each time.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import tempfile
from math import prod
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Local
from inspector.common.errors import InspectorError
from inspector.study.export import load
from inspector.study.provenance import origin_of
from inspector.study.table import rows
from tests.hostile import valid
from tests.hostile.case import CONFIG, ESCAPES, WEIGHTS, safetensors
from tests.hostile.run import ROOM, memory
from tests.hostile.study_cases import study

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
LARGEST = 10**7
"""Numbers of a pair that is loaded: larger ones a file may rightly declare."""
FORMATS = {
    "peft": valid.peft,
    "peft pickle": valid.peft_pickle,
    "mlx": valid.mlx,
    "mlx npz": lambda folder: valid.mlx(folder, "adapters.npz"),
    "kohya": valid.kohya,
    "lycoris": valid.lycoris,
    "diffusers": valid.diffusers,
    "gguf": valid.gguf_lora,
    "torchtune": valid.torchtune,
    "model": lambda folder: valid.model(folder, seed=1),
}
IN_SAFETENSORS = ("peft", "mlx", "kohya", "lycoris", "diffusers", "model")


def fuzz(examples: int):
    """So many examples in CI, the same each time; as many others as are asked for elsewhere."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def bounded_memory():
    """A size that a file only declares is a MemoryError, not this machine's end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Format -> a folder with a valid adapter of it; and a base."""
    root = tmp_path_factory.mktemp("valid")
    for name, write in FORMATS.items():
        write(root / name)
    valid.model(root / "base")
    study(root / "study.json")
    study(root / "study.parquet")
    return root


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Copy:
    """A copy of a folder that is gone afterwards."""

    def __init__(self, original: Path) -> None:
        self.folder = Path(tempfile.mkdtemp()) / "a"
        shutil.copytree(original, self.folder)

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self.folder.parent)


def unless_refused(call):
    """What a call gives; None where it refuses, in a sentence that is fit to show."""
    said = ""
    try:
        return call()
    except InspectorError as error:
        said = str(error)
    assert said
    assert said.isprintable()
    return None


def hold(folder: Path, base: Path) -> None:
    """Whatever is read is what it says it is, and fit to show."""
    given_ = ReadOptions(BaseWeights("base", lambda: base), allow_pickle=True, rank=4)
    for place in unless_refused(lambda: expand(Local(folder))) or ():
        adapter = unless_refused(lambda place=place: read_adapter(place.path, "a", place.source, given_))
        if adapter is None:
            continue
        origin_of(place.path, place.components[-1])
        assert len(adapter.tensors) == adapter.info.tensors
        assert all(f.text.isprintable() for f in adapter.info.findings)
        for id_, module in adapter.modules.items():
            assert str(id_).isprintable()
            assert min(module.d_out, module.d_in, module.rank) > 0
            assert module.scale.value is None or abs(module.scale.value) < float("inf")
            if module.rank * (module.d_out + module.d_in) > LARGEST:
                continue
            pair = unless_refused(lambda adapter=adapter, id_=id_: adapter.load(id_))
            if pair is None:
                continue
            B, A = pair
            assert (B.shape, A.shape) == ((module.d_out, module.rank), (module.rank, module.d_in))
            assert B.is_floating_point()
            assert A.is_floating_point()


@st.composite
def damage(draw, data: bytes) -> bytes:
    """Bytes of a file flipped, cut, doubled, moved or replaced by what is likely to hurt."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        # Headers stand at the start: most of what is interesting is there.
        at = draw(st.sampled_from([at, at % 400, at % 64]))
        how = draw(st.sampled_from(["flip", "cut", "splice", "insert", "number", "drop"]))
        if how == "flip" and data:
            data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
        elif how == "cut":
            data = data[:at]
        elif how == "splice":
            start = draw(st.integers(0, len(data)))
            piece = data[start : start + draw(st.integers(1, 64))]
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == "insert":
            data = data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]
        elif how == "number":
            number = draw(st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 1, 10**9]))
            data = data[:at] + struct.pack("<Q", number) + data[at + 8 :]
        else:
            data = data[:at] + data[at + draw(st.integers(1, 32)) :]
    return data


NUMBERS = st.sampled_from([0, -1, 1, 2, 3, 2**31, 2**63, 10**18, 10**400, 0.5, 1e308, float("nan"), float("inf")])
TEXTS = st.sampled_from(["", "x", "(a+)+$", ".*", "[", ESCAPES, "q_proj", "..", "/etc/passwd", "lora_A", "\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw, document):
    """A JSON document with some values anywhere replaced by arbitrary ones, or keys gone or new."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        where, key = document, None
        while isinstance(where, dict | list) and where:
            key = (
                draw(st.sampled_from(sorted(where)))
                if isinstance(where, dict)
                else draw(st.integers(0, len(where) - 1))
            )
            if not isinstance(where[key], dict | list) or not where[key] or draw(st.booleans()):
                break
            where = where[key]
        if key is None:
            continue
        if draw(st.integers(0, 4)) == 0:
            del where[key]
        elif isinstance(where, dict) and draw(st.integers(0, 4)) == 0:
            where[draw(TEXTS)] = draw(VALUES)
        else:
            where[key] = draw(VALUES)
    return document


def dumped(document: object) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", FORMATS)
@fuzz(60)
@given(data=st.data())
def test_damaged_bytes(made, name, data):
    with Copy(made / name) as folder:
        path = data.draw(st.sampled_from(files(folder)))
        path.write_bytes(data.draw(damage(path.read_bytes())))
        hold(folder, made / "base")


DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I64": 8, "I8": 1, "U8": 1, "BOOL": 1, "C64": 8}


@st.composite
def retyped(draw, content: bytes) -> bytes:
    """A safetensors file whose tensors have other shapes, types and names, and whose offsets are right all the same."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    tensors = {key: (tensor["dtype"], tensor["shape"]) for key, tensor in header.items() if key != "__metadata__"}
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(tensors)))
        dtype, shape = tensors[key]
        how = draw(st.sampled_from(["dtype", "shape", "shape", "name", "copy", "gone"]))
        if how == "dtype":
            tensors[key] = draw(st.sampled_from(sorted(DTYPES))), shape
        elif how == "shape":
            tensors[key] = dtype, draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12]), max_size=4))
        elif how == "gone" and len(tensors) > 1:
            del tensors[key]
        else:
            other = draw(st.sampled_from(sorted(tensors)))
            cut = draw(st.integers(0, len(key)))
            tensors[key[:cut] + draw(st.sampled_from([other[cut:], ESCAPES, ".", "9" * 30]))] = tensors[key]
            if how == "name" and len(tensors) > 1:
                del tensors[key]
    new, at = {}, 0
    for key, (dtype, shape) in tensors.items():
        size = DTYPES[dtype] * prod(shape)
        new[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    values = content[8 + length :]
    about = {"__metadata__": header["__metadata__"]} if "__metadata__" in header else {}
    return safetensors(about | new, (values * (at // max(len(values), 1) + 1))[:at])


@pytest.mark.parametrize("name", IN_SAFETENSORS)
@fuzz(80)
@given(data=st.data())
def test_other_shapes_types_and_names(made, name, data):
    with Copy(made / name) as folder:
        path = data.draw(st.sampled_from([path for path in files(folder) if path.suffix == ".safetensors"]))
        path.write_bytes(data.draw(retyped(path.read_bytes())))
        hold(folder, made / "base")


@pytest.mark.parametrize(
    ("name", "file"), [("peft", CONFIG), ("mlx", CONFIG), ("torchtune", CONFIG), ("model", "config.json")]
)
@fuzz(60)
@given(data=st.data())
def test_changed_configs(made, name, file, data):
    with Copy(made / name) as folder:
        rich = {
            "alpha_pattern": {"q_proj": 3, "up.*": 5},
            "rank_pattern": {"q_proj": 2},
            "modules_to_save": ["lm_head"],
            "layer_replication": [[0, 2]],
            "target_parameters": ["mlp.experts.x"],
            "trainable_token_indices": {"embed_tokens": [1, 2]},
        }
        document = json.loads((folder / file).read_text()) | (rich if name == "peft" else {})
        (folder / file).write_bytes(dumped(data.draw(changed(document))))
        hold(folder, made / "base")


@fuzz(60)
@given(data=st.data())
def test_changed_indices(made, data):
    with Copy(made / "peft") as folder:
        for n in (1, 2):
            shutil.copy(folder / WEIGHTS, folder / f"adapter_model-0000{n}-of-00002.safetensors")
        (folder / WEIGHTS).unlink()
        index = {"metadata": {"total_size": 1}, "weight_map": {"a": "adapter_model-00001-of-00002.safetensors"}}
        (folder / f"{WEIGHTS}.index.json").write_bytes(dumped(data.draw(changed(index))))
        hold(folder, made / "base")


@fuzz(60)
@given(data=st.data())
def test_changed_records(made, data):
    record = {"method": "sft", "lr": 1e-4, "data_seed": 1, "init_seed": 2, "a0": "ab", "step": 5}
    with Copy(made / "peft") as folder:
        (folder / "run.json").write_bytes(dumped(data.draw(changed(record))))
        found = origin_of(folder, "a")
        assert all(text.isprintable() for text in (found.method, found.a0, found.label))
        assert len(found.label) < 100


def opens(path: Path) -> None:
    """A study is refused, or every number of it can be told."""
    found = unless_refused(lambda: load(path))
    if found is None:
        return
    assert all(name.isprintable() for name in found.names)
    for row in rows(found):
        assert row.a in found.names or not row.a


@fuzz(150)
@given(data=st.data())
def test_changed_studies(made, data):
    document = json.loads((made / "study.json").read_text())
    head, table = {k: v for k, v in document.items() if k != "table"}, document["table"]
    few = {column: values[:: max(1, len(values) // 40)] for column, values in table.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.json"
        path.write_bytes(dumped(data.draw(changed(head | {"table": few}))))
        opens(path)


@pytest.mark.parametrize("name", ["study.json", "study.parquet"])
@fuzz(60)
@given(data=st.data())
def test_damaged_studies(made, name, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data.draw(damage((made / name).read_bytes())))
        opens(path)
