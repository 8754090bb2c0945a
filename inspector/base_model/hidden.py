"""Hidden states of one forward pass: after every block, before the final norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inspector.base_model.attach import Attached
from inspector.base_model.batches import Batches, filler_of, padded
from inspector.base_model.encode import Encoded
from inspector.common.errors import InspectorError

if TYPE_CHECKING:
    from torch import Tensor

States = list["Tensor"]
"""The embedding and the residual stream after each block: L+1 tensors (batch, length, d)."""


def each_batch(
    attached: Attached,
    examples: Sequence[Encoded],
    batches: Batches,
    work: Callable[[list[int], States, Tensor], None],
    done: Callable[[int], None],
) -> None:
    """One forward pass over the examples: `work(indices, states, mask)` for every batch."""
    import torch

    model, filler = attached.base.model, filler_of(attached.base.tokenizer)

    def run(indices: list[int]) -> None:
        chosen = [examples[i] for i in indices]
        with torch.inference_mode():
            ids, mask = padded(chosen, model.device, filler)
            attached.begin(ids, mask)
            with _captured(model) as states:
                # The body alone: no logits are needed.
                model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
            work(indices, states, mask)
        done(sum(len(example.ids) for example in chosen))

    batches.run(examples, run)


@contextmanager
def _captured(model: Any) -> Iterator[States]:
    """Hooks that collect the states while the model runs."""
    states: States = []
    stack = blocks(model)

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states.append(args[0] if args else kwargs["hidden_states"])

    def after(_module: Any, _args: Any, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    handles = [stack[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [block.register_forward_hook(after) for block in stack]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def blocks(model: Any) -> Any:
    """The model's stack of transformer blocks, known by its length."""
    from torch.nn import ModuleList

    depth = model.config.get_text_config().num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, ModuleList) and len(module) == depth and "vision" not in name and "lora_" not in name:
            return module
    raise InspectorError(f"The base ({type(model).__name__}) has no list of {depth} blocks: it cannot be probed.")


def final_norm(model: Any) -> Any:
    """The norm between the last block and the unembedding."""
    for name in ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f"):
        for holder in (model.base_model, getattr(model.base_model, "decoder", None)):
            if (norm := getattr(holder, name, None)) is not None:
                return norm
    raise InspectorError(f"The base ({type(model).__name__}) has no final norm that is known: no logit lens for it.")
