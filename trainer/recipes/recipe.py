"""A recipe: every setting of a run, and what its values can be. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods import own_settings
from trainer.methods.base import Method, setting


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one run. Empty and 0 mean: as this machine or the method has it."""

    base: str = setting("Qwen/Qwen3-4B-Instruct-2507", "Hub id, folder, or smollm2.")
    base_id: str = setting(
        "", "What the adapter names as its base; needed where `base` is a folder whose name is not the model's."
    )
    dtype: str = setting(
        "auto", "Of the base; auto: bfloat16 on a GPU, else float32.", choices=("auto", "float32", "bfloat16")
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 …")
    rank: int = setting(32, "Of the adapter.", least=1)
    alpha: int = setting(64, "The adapter's products are multiplied by alpha / rank.", least=1)
    dropout: float = setting(0.0, "Of what enters the adapter.")
    targets: tuple[str, ...] = setting(
        ("k_proj", "o_proj", "q_proj", "v_proj"), "The linear modules that get an adapter."
    )
    init_seed: int = setting(42, "Of A₀, the same for all methods.")
    data_seed: int = setting(42, "Of the order of the rows.")
    steps: int = setting(1500, "Optimizer steps.", least=1)
    batch: int = setting(32, "Rows (DPO: pairs) of one optimizer step, over all processes.", least=1)
    micro_batch: int = setting(0, "Rows in one forward pass.", least=0)
    micro_tokens: int = setting(
        0,
        "Tokens in one forward pass, for the methods that weigh rows; 0: on a GPU as many as its memory holds.",
        least=0,
    )
    padding: str = setting(
        "auto",
        "free: rows of a pass end to end, for the methods that weigh rows; auto: where there is an attention for it.",
        choices=("auto", "padded", "free"),
    )
    lr: float = setting(5e-6, "The peak learning rate.", above=0)
    schedule: str = setting("cosine", "Of the learning rate.", choices=("cosine", "linear", "constant_with_warmup"))
    warmup: float = setting(0.05, "Share of the steps.")
    weight_decay: float = setting(0.01, "Of AdamW.")
    clip: float = setting(1.0, "Largest norm of the gradient.")
    reduction: str = setting(
        "token-mean",
        "What the loss of rows is divided by: the completion tokens of the whole step (KRAFTON's lines: completions).",
        choices=("token-mean",),
    )
    max_length: int = setting(4096, "Tokens of a row, or of a prompt with its completion.", least=2)
    cut: str = setting(
        "drop",
        "Rows cut by length, which have no end of text: left out, or kept in their group without a loss.",
        choices=("drop", "mask"),
    )
    reasoning: str = setting(
        "wrap",
        "A reasoning teacher's reasoning: learned in <think> tags before its answer, or as text there, or not.",
        choices=("wrap", "keep", "drop"),
    )
    gradient_checkpointing: int | None = setting(
        None,
        "Keep nothing of every k-th block for the backward pass; 0: of none; unset: of as few as memory lets.",
        least=0,
    )
    compile_blocks: bool = setting(
        default=False,
        about="torch.compile of every block, some minutes at first; not of online methods, which also sample with "
        "them.",
    )
    lora_compute: str = setting(
        "base",
        "In which dtype the adapter's products run, the base's or float32; its weights are float32 either way.",
        choices=("base", "float32"),
    )
    save_steps: int = setting(100, "Steps from one checkpoint to the next; 0: the last step alone.", least=0)
    keep: int = setting(2, "How many checkpoints can be resumed from; of the others the adapter stays.", least=1)
    report_step: int = setting(
        0, "The step whose adapter is the run's own, though training goes on after it; 0: the last.", least=0
    )
    keep_best: str = setting(
        "none",
        "The checkpoint that is the run's own adapter instead of a fixed step: of the lowest nll_right of held-out "
        "rows, or of the highest accuracy on eval_task.",
        choices=("none", "nll_right", "accuracy"),
    )
    eval_rows: int = setting(
        1000,
        "Held-out rows (of any split but train) that are scored before training and at each checkpoint; 0: none.",
        least=0,
    )
    eval_task: str = setting("", "Problems that are answered there, greedily: a task or file as of `inspector eval`.")
    eval_limit: int = setting(
        100,
        "The first so many of them; 0: all.",
        least=0,
    )
    save_dtype: str = setting("float32", "Of the final adapter.", choices=("float32", "bfloat16"))
    variant: str = setting("", "The line of a method that is written down in several ways; unset: its first.")
    own: Mapping[str, Any] = field(default_factory=dict)
    """The settings that not all methods read, by name; those left out have their defaults."""

    def __post_init__(self) -> None:
        known = own_settings()
        if unknown := self.own.keys() - known.keys():
            raise TypeError(f"no method has a setting {min(unknown)}")
        object.__setattr__(self, "own", {name: self.own.get(name, f.default) for name, f in known.items()})

    @property
    def reported(self) -> int:
        """The step whose adapter is the run's own."""
        return self.report_step or self.steps

    @property
    def flat(self) -> dict[str, Any]:
        """Every setting by name."""
        return {f.name: getattr(self, f.name) for f in _SHARED} | dict(self.own)

    def where(self, **values: Any) -> Recipe:
        """With these settings, of all methods or of some."""
        shared = {f.name: values.pop(f.name) for f in _SHARED if f.name in values}
        return replace(self, **shared, own={**self.own, **values})

    def objective(self, method: Method) -> Any:
        """What this method trains: its variant, with the settings that it reads. Raises InspectorError."""
        variant = method.variant(self.variant)
        return variant(**{f.name: self.own[f.name] for f in variant.settings() if self.own[f.name] is not None})


_SHARED = tuple(f for f in fields(Recipe) if f.name != "own")


def settings() -> dict[str, Field[Any]]:
    """Every setting there is, by name. Raises InspectorError if an objective has one of all methods for its own."""
    shared, own = {f.name: f for f in _SHARED}, own_settings()
    if taken := shared.keys() & own.keys():
        raise InspectorError(f"{min(taken)} is a setting of all methods: call that of the objective something else.")
    return shared | own


def checked(recipe: Recipe) -> Recipe:
    """The recipe, if its values can be. Raises InspectorError naming the field."""
    values = recipe.flat
    for name, f in settings().items():
        if values[name] is not None:
            _check(name, values[name], **f.metadata)
    if not recipe.targets:
        raise InspectorError("targets is empty: name the projections that get an adapter, such as q_proj.")
    if recipe.report_step > recipe.steps:
        raise InspectorError(
            f"report_step is {recipe.report_step}, and there are {recipe.steps} steps: set it to one of them, or to 0 "
            "for the last."
        )
    if recipe.keep_best != "none" and recipe.report_step:
        raise InspectorError(
            f"keep_best and report_step ({recipe.report_step}) both say whose adapter is the run's own: leave one out."
        )
    if recipe.keep_best == "accuracy" and not recipe.eval_task:
        raise InspectorError("keep_best=accuracy needs problems to answer: name them with --eval-task.")
    if not recipe.eval_task and recipe.eval_limit != settings()["eval_limit"].default:
        raise InspectorError("eval_limit is of the problems of --eval-task, and none are named: name them.")
    if recipe.eval_task and recipe.compile_blocks:
        raise InspectorError("compile_blocks is not for a run with --eval-task, which samples with the blocks.")
    return recipe


def _check(
    name: str,
    value: Any,
    choices: tuple[str, ...] = (),
    least: int | None = None,
    above: int | None = None,
    most: int | None = None,
    **_: Any,
) -> None:
    if choices and value not in choices:
        raise InspectorError(f"{name} is {plain(value)!r}: it must be {' or '.join(choices)}.")
    if least is not None and value < least:
        raise InspectorError(f"{name} is {value}: it must be at least {least}.")
    if above is not None and not above < value <= (value if most is None else most):
        limits = f"above {above}" if most is None else f"above {above} and at most {most}"
        raise InspectorError(f"{name} is {value}: it must be {limits}.")
