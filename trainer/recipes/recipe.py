"""A recipe: every setting of a run, and what its values can be. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.common.errors import InspectorError
from inspector.common.text import plain

_CHOICES = {
    "dtype": ("auto", "float32", "bfloat16"),
    "save_dtype": ("float32", "bfloat16"),
    "schedule": ("cosine", "linear", "constant_with_warmup"),
    "cut": ("drop", "mask"),
    "pairs": ("one", "all"),
    "probability": ("token", "geo-mean", "sequence"),
    "reduction": ("token-mean",),
    "padding": ("auto", "padded", "free"),
    "lora_compute": ("base", "float32"),
}
_AT_LEAST = {
    "rank": 1,
    "steps": 1,
    "batch": 1,
    "max_length": 2,
    "micro_batch": 0,
    "micro_tokens": 0,
    "gradient_checkpointing": 0,
    "save_steps": 0,
    "keep": 1,
    "alpha": 1,
    "generations": 2,
    "max_new_tokens": 0,
    "iterations": 1,
    "redraws": 0,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one run. Empty and 0 mean: as this machine or the method has it."""

    base: str = "Qwen/Qwen3-4B-Instruct-2507"
    """Hub id, folder, or smollm2."""
    base_id: str = ""
    """What the adapter names as its base; needed where `base` is a folder whose name is not the model's."""
    dtype: str = "auto"
    device: str = "auto"
    rank: int = 32
    alpha: int = 64
    dropout: float = 0.0
    targets: tuple[str, ...] = ("k_proj", "o_proj", "q_proj", "v_proj")
    init_seed: int = 42
    """Of A₀, the same for all methods."""
    data_seed: int = 42
    """Of the order of the rows."""
    steps: int = 1500
    batch: int = 32
    """Rows (DPO: pairs) of one optimizer step, over all processes."""
    micro_batch: int = 0
    """Rows in one forward pass."""
    micro_tokens: int = 0
    """Tokens in one forward pass, for the methods that weigh rows; 0: on a GPU as many as its memory holds."""
    padding: str = "auto"
    """free: rows of a pass end to end, for the methods that weigh rows; auto: where there is an attention for it."""
    lr: float = 5e-6
    schedule: str = "cosine"
    warmup: float = 0.05
    """Share of the steps."""
    weight_decay: float = 0.01
    clip: float = 1.0
    reduction: str = "token-mean"
    max_length: int = 4096
    cut: str = "drop"
    """Rows cut by length, which have no end of text: left out, or kept in their group without a loss."""
    gradient_checkpointing: int | None = None
    """Keep nothing of every k-th block for the backward pass; 0: of none; unset: of as few as memory lets."""
    compile_blocks: bool = False
    """torch.compile of every block, some minutes at first; not of online methods, which also sample with them."""
    lora_compute: str = "base"
    """In which dtype the adapter's products run, the base's or float32; its weights are float32 either way."""
    save_steps: int = 100
    keep: int = 2
    """How many checkpoints can be resumed from; of the others the adapter stays."""
    save_dtype: str = "float32"
    variant: str = ""
    unique: bool = False
    reward_right: float = 1.0
    reward_wrong: float = -0.2
    probability: str = "token"
    rift_lambda: float | None = None
    b: float = 0.1
    kl: float = 0.1
    beta: float = 0.1
    pairs: str = "one"
    simpo_beta: float = 2.0
    gamma: float = 1.0
    weight_right: float = 1.0
    weight_wrong: float = 1.0
    generations: int = 8
    """Online: completions of a prompt; batch / generations prompts a step."""
    max_new_tokens: int = 0
    """Online: of a completion; 0: what max_length leaves."""
    temperature: float = 1.0
    top_p: float = 1.0
    iterations: int = 1
    """Online: steps on one batch of completions. With 1 the ratio is 1 and nothing is ever clipped."""
    clip_low: float = 0.2
    clip_high: float | None = None
    """Unset: 0.2, and 0.28 for DAPO."""
    redraws: int = 3
    """DAPO: how many times groups of equal rewards are drawn again, from other prompts."""
    overlong: float = 0.2
    """DAPO: share of the length limit over which the reward falls by 1."""


def checked(recipe: Recipe) -> Recipe:
    """The recipe, if its values can be. Raises InspectorError naming the field."""
    for name, choices in _CHOICES.items():
        if (value := getattr(recipe, name)) not in choices:
            raise InspectorError(f"{name} is {plain(value)!r}: it must be {' or '.join(choices)}.")
    for name, least in _AT_LEAST.items():
        if (value := getattr(recipe, name)) is not None and value < least:
            raise InspectorError(f"{name} is {value}: it must be at least {least}.")
    for name in ("lr", "beta", "simpo_beta", "temperature"):
        if not getattr(recipe, name) > 0:
            raise InspectorError(f"{name} is {getattr(recipe, name)}: it must be above 0.")
    for name in ("top_p", "overlong"):
        if not 0 < getattr(recipe, name) <= 1:
            raise InspectorError(f"{name} is {getattr(recipe, name)}: it must be above 0 and at most 1.")
    if not recipe.targets:
        raise InspectorError("targets is empty: name the projections that get an adapter, such as q_proj.")
    return recipe
