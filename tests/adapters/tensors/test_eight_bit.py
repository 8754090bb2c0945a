"""8-bit factors times the scales beside them, against the product in float64; never without."""

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.tensors.eight_bit import _way
from inspector.adapters.tensors.unwritable import lost
from tests.adapters.peft.models import assert_same, our_deltas
from tests.shown import shown

LAYOUTS = {
    "ComfyUI": ("diffusion_model.blocks.{n}.q", "lora_A", "lora_B", ".scale_weight"),
    "compressed-tensors": ("diffusion_model.blocks.{n}.q", "lora_A", "lora_B", ".weight_scale"),
    "kohya": ("lora_unet_blocks_{n}_q", "lora_down", "lora_up", ".scale_weight"),
    "DeepSeek": ("diffusion_model.blocks.{n}.q", "lora_A", "lora_B", ".weight_scale_inv"),
}


def quantised(X, kind):
    """X as float8 and its scale: one of the tensor, of each row, of each block of 128×128."""
    if kind == "one":
        scale = (X.abs().max() / 448).reshape(1)
        spread = scale
    elif kind == "rows":
        scale = X.abs().amax(1, keepdim=True) / 448
        spread = scale
    else:
        rows, columns = (-(-n // 128) for n in X.shape)
        scale = torch.rand(rows, columns) / 448 + 1e-3
        spread = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)[: X.shape[0], : X.shape[1]]
    return (X / spread).to(torch.float8_e4m3fn), scale.float(), spread.double()


def write(folder, layout, kind="one", drop=(), wide=16):
    path, A_name, B_name, end = LAYOUTS[layout]
    generator = torch.Generator().manual_seed(0)
    tensors, deltas = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, {}
    for n in range(2):
        name, held = path.format(n=n), {}
        for side, shape in ((A_name, (4, wide)), (B_name, (wide + 8, 4))):
            q, scale, spread = quantised(torch.randn(shape, generator=generator) / 10, kind)
            tensors |= {f"{name}.{side}.weight": q, f"{name}.{side}{end}": scale}
            tensors[f"{name}.{side}.scale_input"] = torch.ones(1)
            held[side] = q.double() * spread
        deltas[n] = held[B_name] @ held[A_name]
    for key in drop:
        del tensors[key]
    save_file(tensors, folder / "x.safetensors")
    return read_adapter(folder / "x.safetensors", "a", ""), deltas


@pytest.mark.parametrize("kind", ["one", "rows", "blocks"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_scale_is_multiplied_in(tmp_path, layout, kind):
    adapter, deltas = write(tmp_path, layout, kind, wide=200)
    assert_same(our_deltas(adapter), dict(zip(adapter.modules, deltas.values(), strict=True)))
    assert adapter.info.health == "ok"
    assert (adapter.info.tensors, adapter.info.unknown) == (13, 0)
    assert {t.key for t in adapter.tensors if t.role == "ignored"} == {"scaled_fp8"} | {
        t.key for t in adapter.tensors if t.key.endswith(".scale_input")
    }
    assert lost(adapter) == []


def test_a_factor_without_its_scale_is_left_out(tmp_path):
    adapter, deltas = write(tmp_path, "ComfyUI", drop=["diffusion_model.blocks.1.q.lora_B.scale_weight"])
    assert_same(our_deltas(adapter), {shown("blocks.0.q"): deltas[0]})
    assert adapter.info.health == "error"


def test_a_scale_that_does_not_fit_is_not_guessed(tmp_path):
    _, deltas = write(tmp_path, "ComfyUI")
    from safetensors.torch import load_file

    tensors = load_file(tmp_path / "x.safetensors")
    tensors["diffusion_model.blocks.1.q.lora_A.scale_weight"] = torch.ones(3)
    save_file(tensors, tmp_path / "x.safetensors")
    adapter = read_adapter(tmp_path / "x.safetensors", "a", "")
    assert_same(our_deltas(adapter), {shown("blocks.0.q"): deltas[0]})


def test_float8_alone_is_as_it_stands(tmp_path):
    A, B = (torch.randn(shape).to(torch.float8_e4m3fn) for shape in ((4, 16), (24, 4)))
    save_file({"unet.x.lora_A.weight": A, "unet.x.lora_B.weight": B}, tmp_path / "x.safetensors")
    adapter = read_adapter(tmp_path / "x.safetensors", "a", "")
    assert_same(our_deltas(adapter), {shown("unet.x"): B.double() @ A.double()})


@pytest.mark.parametrize(
    ("scale", "shape", "way"),
    [
        ((), (4, 16), "one"),
        ((1, 1), (4, 16), "one"),
        ((4, 1), (4, 16), "rows"),
        ((4,), (4, 16), "rows"),
        ((4, 1, 1, 1), (4, 3, 3, 3), "rows"),
        ((16,), (4, 16), ""),
        ((4, 16), (4, 16), ""),
        ((4,), (4,), ""),
        ((1, 2), (128, 256), "blocks"),
        ((2, 3), (129, 257), "blocks"),
        ((2, 2), (128, 256), ""),
        ((4, 2), (4, 16), "groups"),
        ((4, 4), (4, 16), ""),
        ((2, 2, 1), (129, 200, 1), ""),
    ],
)
def test_a_scale_of_one_or_of_rows_or_of_blocks(scale, shape, way):
    assert _way(scale, shape) == way


@pytest.mark.parametrize(
    ("held", "scales", "read"),
    [
        (torch.float8_e5m2, {"A": torch.tensor(0.5), "B": torch.ones(3, 1) / 4}, True),
        (torch.float8_e5m2, {"A": torch.tensor(0.5)}, False),
        (torch.float8_e5m2, {"A": torch.tensor(0.5), "B": torch.ones(3, 1, dtype=torch.int32)}, False),
        (torch.int8, {"A": torch.tensor(0.5), "B": torch.ones(3, 1) / 4}, False),
        (torch.uint8, {"A": torch.tensor(0.5), "B": torch.ones(3, 1) / 4}, False),
    ],
)
def test_only_floats_with_a_scale_of_floats_each_are_read(tmp_path, held, scales, read):
    A, B = torch.arange(8).reshape(2, 4).to(held), torch.arange(6).reshape(3, 2).to(held)
    tensors = {f"unet.x.lora_{side}.weight_scale": scale for side, scale in scales.items()}
    tensors |= {"unet.x.lora_A.weight": A, "unet.x.lora_B.weight": B}
    save_file(tensors, tmp_path / "x.safetensors")
    adapter = read_adapter(tmp_path / "x.safetensors", "a", "")
    assert bool(adapter.modules) == read
    if read:
        assert_same(our_deltas(adapter), {shown("unet.x"): B.double() @ A.double() / 8})
