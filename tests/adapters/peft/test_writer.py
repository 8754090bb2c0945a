"""What is written is what PEFT, and the reader, load again: the same factors, the same scale to the last bit."""

import json
import math
import os
import stat
import subprocess
import sys

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.writer import write_peft
from inspector.common.errors import InspectorError
from tests.adapters.peft.models import assert_same, gpt2, llama, our_deltas, peft_deltas, reloaded
from tests.shown import shown

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

Q, V, DOWN = "self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"
SHAPES = {Q: (16, 16), V: (8, 16), DOWN: (16, 24)}


def factors(seed=0, r=4, scale=2.0, shape=(16, 16), dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    B, A = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((shape[0], r), (r, shape[1])))
    return Factors(B.to(dtype), A.to(dtype), scale)


def llama_modules(*places, **choices):
    """Factors for (layer, path below it, own choices)."""
    return {
        f"model.layers.{layer}.{path}": factors(seed, shape=SHAPES[path], **choices | own)
        for seed, (layer, path, own) in enumerate(places)
    }


def deltas(modules):
    return {shown(path): f.scale * f.B.double() @ f.A.double() for path, f in modules.items()}


def config_of(folder):
    return json.loads((folder / "adapter_config.json").read_text())


def test_ranks_and_scales_of_every_module_survive_peft(tmp_path):
    modules = llama_modules(
        (0, Q, {}), (1, Q, {"r": 7, "scale": 1 / 3}), (0, V, {"scale": -0.1}), (1, V, {}), (1, DOWN, {"r": 2})
    )
    notes = write_peft(tmp_path / "out", modules, base="tiny/base")
    assert notes == ()
    loaded = reloaded(llama(), tmp_path / "out")
    assert_same(deltas(modules), peft_deltas(loaded))
    for path, module in loaded.named_modules():
        if isinstance(module, LoraLayer):
            assert module.scaling["default"] == modules[path.removeprefix("base_model.model.")].scale
    adapter = read_adapter(tmp_path / "out", "out", "out")
    assert_same(our_deltas(adapter), deltas(modules))
    assert adapter.info.findings == ()
    assert config_of(tmp_path / "out")["rank_pattern"].keys() == {
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.down_proj",
    }


def test_only_the_given_modules_are_adapted_and_names_are_short_where_they_say_the_same(tmp_path):
    modules = llama_modules((0, Q, {}), (1, Q, {}), (1, V, {}))
    write_peft(tmp_path / "out", modules, base="tiny/base")
    assert config_of(tmp_path / "out")["target_modules"] == ["model.layers.1.self_attn.v_proj", "q_proj"]
    assert peft_deltas(reloaded(llama(), tmp_path / "out")).keys() == {shown(path) for path in modules}


def test_scales_that_no_alpha_reaches_are_exact_at_a_power_of_two(tmp_path):
    r = 12
    generator = torch.Generator().manual_seed(0)
    tried = torch.rand(2000, generator=generator, dtype=torch.float64).tolist()
    near = [(s, s * r) for s in tried]
    unreachable = [s for s, a in near if s not in {x / r for x in (a, math.nextafter(a, 9e9), math.nextafter(a, -9e9))}]
    assert unreachable
    modules = llama_modules((0, Q, {"r": r, "scale": unreachable[0]}), (1, Q, {"r": r, "scale": 0.25}))
    notes = write_peft(tmp_path / "out", modules, base="tiny/base")
    assert "1 module with columns of zeros, such as model.layers.0.self_attn.q_proj" in notes[0]
    adapter = read_adapter(tmp_path / "out", "out", "out")
    assert {m.scale.value for m in adapter.modules.values()} == {unreachable[0], 0.25}
    assert_same(our_deltas(adapter), deltas(modules))
    assert_same(peft_deltas(reloaded(llama(), tmp_path / "out")), deltas(modules))


def test_a_path_that_another_ends_in_keeps_its_own_rank_and_scale(tmp_path):
    modules = {
        "layers.0.q_proj": factors(0, r=2, scale=3.0),
        "encoder.layers.0.q_proj": factors(1, r=4, scale=1.0),
        "encoder.layers.1.q_proj": factors(2, r=4, scale=1.0),
    }
    write_peft(tmp_path / "out", modules, base="")
    adapter = read_adapter(tmp_path / "out", "out", "out")
    assert {(m.path, m.rank, m.scale.value) for m in adapter.modules.values()} == {
        (path, f.A.shape[0], f.scale) for path, f in modules.items()
    }
    assert adapter.info.findings == ()


def test_bits_and_dtypes_are_kept(tmp_path):
    modules = llama_modules((0, Q, {"dtype": torch.bfloat16}), (0, V, {"dtype": torch.float16}))
    write_peft(tmp_path / "out", modules, base="tiny/base")
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    for path, given in modules.items():
        for part, tensor in ("lora_A", given.A), ("lora_B", given.B):
            assert torch.equal(tensors[f"base_model.model.{path}.{part}.weight"], tensor)


def test_views_and_shared_tensors(tmp_path):
    whole = torch.randn(3, 16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    modules = {
        "model.layers.0.self_attn.q_proj": Factors(whole[0], whole[1].mT, 1.0),
        "model.layers.1.self_attn.q_proj": Factors(whole[0], whole[1].mT, 1.0),
    }
    write_peft(tmp_path / "out", modules, base="")
    assert_same(our_deltas(read_adapter(tmp_path / "out", "out", "out")), deltas(modules))


def test_gpt2s_transposed_weights(tmp_path):
    modules = {
        "transformer.h.0.attn.c_attn": factors(shape=(48, 16)),
        "transformer.h.1.mlp.c_fc": factors(shape=(64, 16)),
    }
    write_peft(tmp_path / "out", modules, base="gpt2")
    with pytest.warns(UserWarning, match="fan_in_fan_out is set to False"):
        assert_same(deltas(modules), peft_deltas(reloaded(gpt2(), tmp_path / "out")))


def test_a_convolution_is_written_as_it_is(tmp_path):
    A, B = torch.randn(4, 3, 3, 3), torch.randn(8, 4, 1, 1)
    write_peft(tmp_path / "out", {"conv": Factors(B, A, 0.5)}, base="")
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert torch.equal(tensors["base_model.model.conv.lora_A.weight"], A)
    assert (config_of(tmp_path / "out")["r"], config_of(tmp_path / "out")["lora_alpha"]) == (4, 2)


def test_an_existing_destination_and_what_is_no_lora_are_refused_and_leave_nothing(tmp_path):
    good = llama_modules((0, Q, {}))
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in "there", "link":
        with pytest.raises(InspectorError, match="exists already"):
            write_peft(tmp_path / name, good, base="")
    with pytest.raises(InspectorError, match="there is no folder"):
        write_peft(tmp_path / "no" / "out", good, base="")
    for bad in (
        good["model.layers.0.self_attn.q_proj"]._replace(scale=math.nan),
        Factors(torch.ones(4, 2), torch.ones(3, 4), 1.0),
    ):
        with pytest.raises(InspectorError, match=r"^model.layers.0.self_attn.q_proj"):
            write_peft(tmp_path / "out", {"model.layers.0.self_attn.q_proj": bad}, base="")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_every_file_can_be_read_by_whom_the_umask_lets(tmp_path):
    for mask, mode in (0o022, 0o644), (0o027, 0o640):
        before = os.umask(mask)
        try:
            write_peft(tmp_path / f"{mask:o}", llama_modules((0, Q, {})), base="")
        finally:
            os.umask(before)
        files = list((tmp_path / f"{mask:o}").iterdir())
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == dict.fromkeys(
            ("README.md", "adapter_config.json", "adapter_model.safetensors"), mode
        )


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a POSIX shell")
def test_a_disk_that_is_full_leaves_nothing(tmp_path):
    script = f"""
import torch
from pathlib import Path
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.writer import write_peft
from inspector.common.errors import InspectorError
large = Factors(torch.ones(40000, 8), torch.ones(8, 40000), 1.0)
try:
    write_peft(Path({str(tmp_path / "out")!r}), {{"q": large}}, base="")
except InspectorError as error:
    print(error)
"""
    limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$0" -c "$1"', sys.executable, script]
    done = subprocess.run(limited, capture_output=True, text=True, check=False, env=os.environ)
    assert "Cannot write" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_for_everyone_and_its_card_is_plain(tmp_path):
    write_peft(tmp_path / "out", llama_modules((0, Q, {})), base='a"b\n- evil: 1\x1b[31m', card="The sum.")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~_umask()
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'base_model: "a\\"b - evil: 1[31m"' in card
    assert card.endswith("# out\n\nThe sum.\n")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
