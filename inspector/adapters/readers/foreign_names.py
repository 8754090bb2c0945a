"""The full path of a module in the base, in Hugging Face naming, from the names other formats give it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

# llama.cpp's names below `blk.N.` and outside, of the decoder-only families [gguf.tensor_mapping].
_GGUF_BLOCK = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_up_exps": "mlp.experts.gate_up_proj",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
}
_GGUF_OUTSIDE = {"token_embd": "model.embed_tokens", "output": "lm_head"}
_SHARED_EXPERTS = {f"ffn_{name}_shexp": f"mlp.shared_experts.{name}_proj" for name in ("gate", "up", "down")}
_GGUF_OF = {
    **dict.fromkeys(("deepseek2", "glm4moe", "dots1"), _SHARED_EXPERTS),
    "gpt-oss": {"ffn_gate_inp": "mlp.router"},
    "phi3": {"ffn_up": "mlp.gate_up_proj"},
    "gpt2": {"attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
}
_GGUF_LAYERS = {"gpt2": "transformer.h"}

# torchtune.models.convert_weights._FROM_HF, the other way round.
_TORCHTUNE = {
    "attn.q_proj": "self_attn.q_proj",
    "attn.k_proj": "self_attn.k_proj",
    "attn.v_proj": "self_attn.v_proj",
    "attn.output_proj": "self_attn.o_proj",
    "mlp.w1": "mlp.gate_proj",
    "mlp.w2": "mlp.down_proj",
    "mlp.w3": "mlp.up_proj",
}

_TOWER = re.compile(r"(?:lora_(unet|transformer|te\d?)|lycoris)_(.+)", re.DOTALL)
# All components of the U-Nets of Stable Diffusion, by diffusers and by Stability, and of CLIP's and T5's text encoders:
# what tells, in a name of underscores, those within a component. Names of other models keep theirs.
_COMPONENTS = frozenset(
    """down_blocks mid_block up_blocks attentions resnets transformer_blocks proj_in proj_out attn1 attn2 to_q to_k
    to_v to_out ff net proj conv conv1 conv2 conv_in conv_out conv_shortcut downsamplers upsamplers time_embedding
    add_embedding linear_1 linear_2 time_emb_proj input_blocks middle_block output_blocks in_layers out_layers
    emb_layers skip_connection time_embed label_emb op out text_model encoder layers self_attn q_proj k_proj v_proj
    out_proj mlp fc1 fc2 text_projection block layer SelfAttention DenseReluDense q k v o wi wi_0 wi_1 wo
    embed_tokens""".split()  # noqa: SIM905 - a list of words
)
_LONGEST = max(name.count("_") for name in _COMPONENTS) + 1
# The residual blocks of Stability's U-Net, in diffusers' names.
_LDM_RESNET = {"in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.3": "conv2"} | {
    "skip_connection": "conv_shortcut"
}
_LDM_OUTSIDE = {
    "input_blocks.0.0": "conv_in",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
}
_LDM_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def from_gguf(name: str, architecture: str) -> str | None:
    """`blk.3.attn_q` -> `model.layers.3.self_attn.q_proj`; None for a name that is not known."""
    if found := re.fullmatch(r"blk\.(\d{1,6})\.(\w+)", name):
        table: Mapping[str, str] = _GGUF_BLOCK | _GGUF_OF.get(architecture, {})
        below = table.get(found[2])
        return below and f"{_GGUF_LAYERS.get(architecture, 'model.layers')}.{found[1]}.{below}"
    return _GGUF_OUTSIDE.get(name)


def from_torchtune(name: str) -> str | None:
    """`layers.3.attn.q_proj` -> `model.layers.3.self_attn.q_proj`; None for a name that is not known."""
    if found := re.fullmatch(r"layers\.(\d{1,6})\.(.+)", name):
        below = _TORCHTUNE.get(found[2])
        return below and f"model.layers.{found[1]}.{below}"
    return {"output": "lm_head", "tok_embeddings": "model.embed_tokens"}.get(name)


def is_kohya(name: str) -> bool:
    """Whether a module is named as kohya's scripts and LyCORIS do: `lora_unet_…`, `lora_te1_…`, `lycoris_…`."""
    return bool(_TOWER.fullmatch(name))


def from_kohya(name: str) -> tuple[str, bool]:
    """`lora_unet_down_blocks_0_attentions_1_proj_in` -> `unet.down_blocks.0.attentions.1.proj_in`, and that it is sure.

    A U-Net in Stability's own layout (`input_blocks`), which kohya's scripts train for SDXL, gets diffusers' names. Of
    a model that is not known by its words only the numbers are told apart: `unet.double_blocks.0.img_attn_qkv`.
    """
    found = _TOWER.fullmatch(name)
    tower, below = (found[1] or "unet", found[2]) if found else ("", name)
    if tower.startswith("te"):
        tower = f"text_encoder_{tower[2:]}".removesuffix("_1").removesuffix("_")
    parts = _components(below)
    sure = all(part.isdecimal() or part in _COMPONENTS for part in parts)
    path = _from_ldm(".".join(parts)) if sure else _numbered(below)
    return f"{tower}.{path}".lstrip("."), sure


def _components(name: str) -> list[str]:
    """The components of a name, each as long as one that is known."""
    words, parts, at = name.split("_"), list[str](), 0
    while at < len(words):
        ends = range(min(at + _LONGEST, len(words)), at + 1, -1)
        end = next((end for end in ends if "_".join(words[at:end]) in _COMPONENTS), at + 1)
        parts.append("_".join(words[at:end]))
        at = end
    return parts


def _numbered(name: str) -> str:
    """A name with dots around its numbers alone."""
    words = name.split("_")
    joints = ["." if one.isdecimal() or other.isdecimal() else "_" for one, other in pairwise(words)]
    return "".join(f"{word}{joint}" for word, joint in zip(words, [*joints, ""], strict=True))


def _from_ldm(path: str) -> str:
    """Stability's U-Net with two residual blocks a level (SD 1, 2 and XL) to diffusers' names; others as they are.

    Input block n ≥ 1 is level (n−1)//3, place (n−1)%3 (the third downsamples); output block n level n//3, place n%3.
    """
    if path in _LDM_OUTSIDE:
        return _LDM_OUTSIDE[path]
    found = re.fullmatch(r"(input_blocks|middle_block|output_blocks)\.(\d{1,3})\.(.+)", path, re.DOTALL)
    if found is None:
        return path
    part, number, below = found[1], int(found[2]), found[3]
    if part == "middle_block":
        place = _LDM_MIDDLE.get(found[2])
        return f"mid_block.{place}.{_LDM_RESNET.get(below, below)}" if place else path
    inner, _, below = below.partition(".")
    level, at = divmod(number - (part == "input_blocks"), 3)
    side = "down_blocks" if part == "input_blocks" else "up_blocks"
    if below in {"op", "conv"}:
        return f"{side}.{level}.{'downsamplers' if below == 'op' else 'upsamplers'}.0.conv"
    kind = "resnets" if inner == "0" else "attentions"
    return f"{side}.{level}.{kind}.{at}.{_LDM_RESNET.get(below, below)}"


_PROCESSOR = re.compile(r"\.processor\b")
_OLD_ATTENTION = re.compile(r"\.to_(q|k|v|out)_lora$")


def from_diffusers(path: str) -> str:
    """The module of a diffusers key without its `.lora…` ending, in the names of today's diffusers.

    Older files name the attention's processor (`attn1.processor.to_q_lora`), in text encoders too.
    """
    path = _PROCESSOR.sub("", path)
    if found := _OLD_ATTENTION.search(path):
        text = path.startswith("text_encoder")
        name = {"out": "out_proj" if text else "to_out.0"}.get(
            found[1], f"{found[1]}_proj" if text else f"to_{found[1]}"
        )
        path = f"{path[: found.start()]}.{name}"
    return path
