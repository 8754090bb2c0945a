"""Adapters on a base, unmerged, through PEFT: attached once, then switched or mixed along a path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from inspector.adapters.model import Adapter, LoraModule
from inspector.base_model.base import Base
from inspector.base_model.coverage import refuse_on_paths
from inspector.base_model.trained_on import TrainedOn
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain, some
from inspector.study.module_id import Names

if TYPE_CHECKING:
    from peft.tuners.lora import LoraModel
    from torch import Tensor

    from inspector.base_model.activated import Activated


_EXPERT = re.compile(r"(\.\d+)?\.[^.]+$")
"""What stands behind the module that holds all experts: `.3.gate_up_proj`, `.gate_up_proj`."""


class Attached:
    """A base with adapters on it, one, two or none of them active.

    Adapters run in their own precision (never below the base's), and the base's weights are not touched.
    """

    def __init__(self, base: Base) -> None:
        self.base = base
        self._linear = _linear_modules(base.model)
        self._names = Names(self._linear)
        self._slots: dict[str, str] = {}
        self._scales: dict[str, dict[str, float]] = {}
        self._activated: dict[str, Activated] = {}
        self._trained_on = TrainedOn(base)
        self.other_bases: dict[str, str] = {}
        """Name -> a sentence, of adapters that were trained on another base than this."""
        self._tuner: LoraModel | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._slots)

    def module(self, of: LoraModule) -> Any | None:
        """The base's linear map that this is the update of, as it was before any adapter; None where it has none."""
        name = self._names.find(of.path)
        return None if name is None else _inner(self.base.model.get_submodule(name))

    def linear_maps(self) -> Iterator[Any]:
        """The base's linear maps but its output head, as they were before any adapter."""
        head = self.base.model.get_output_embeddings()
        found = (_inner(self.base.model.get_submodule(name)) for name in self._linear)
        return (module for module in found if module is not head)

    def check(self, adapter: Adapter) -> None:
        """Raise InspectorError with the first module that the base does not have, or has in another shape."""
        name, base = plain(adapter.info.name), self.base.name
        if not adapter.modules:
            raise InspectorError(f"{name} has no module that can run: see its findings.")
        adapter.refuse_unscaled("run")
        modules = (adapter.stored or adapter).modules
        missing = [id_ for id_, module in modules.items() if self.module(module) is None]
        if missing:
            holder = _EXPERT.sub("", modules[missing[0]].path)
            stacks = (key.rpartition(".")[0] for key, p in self.base.model.named_parameters() if p.dim() == 3)
            if Names(stacks).find(holder) is not None:
                raise InspectorError(
                    f"{name} cannot run: {plain(missing[0])} is of an expert that {base} has in one parameter with the "
                    "others: only an update of a whole module can be run. Its weights are measured all the same."
                )
            raise InspectorError(
                f"The base {base} does not fit {name}: it has no module {some(missing, 1)}. Give the base it was "
                f"trained on with --base{f' ({plain(adapter.info.base)})' if adapter.info.base else ''}."
            )
        for id_, module in modules.items():
            if (module.d_out, module.d_in) != (shape := _shape(self.module(module))):
                raise InspectorError(
                    f"The base {base} does not fit {name}: {plain(id_)} is {shape[0]}×{shape[1]} in the base, "
                    f"{module.d_out}×{module.d_in} in the adapter."
                )

    def add(self, adapter: Adapter) -> None:
        """Attach an adapter; nothing where one of that name is there already."""
        import torch
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
        from transformers.pytorch_utils import Conv1D

        from inspector.base_model.activated import Activated
        from inspector.base_model.fused import Fused

        if adapter.info.name in self._slots:
            return
        self.check(adapter)
        slot = f"a{len(self._slots)}"
        activated = Activated(adapter.invocation) if adapter.invocation else None
        whole = adapter.stored or adapter
        targets = {
            name: id_ for id_, module in whole.modules.items() if (name := self._names.find(module.path)) is not None
        }
        transposed = any(isinstance(_inner(self.base.model.get_submodule(path)), Conv1D) for path in targets)
        config = LoraConfig(r=1, target_modules=list(targets), inference_mode=True, fan_in_fan_out=transposed)
        if self._tuner is None:
            self._tuner = LoraModel(self.base.model, config, slot, low_cpu_mem_usage=True)
        else:
            self._tuner.peft_config[slot] = config
            self._tuner.inject_adapter(self.base.model, slot, low_cpu_mem_usage=True)
        scales: dict[str, float] = {}
        for path, id_ in targets.items():
            layer: Any = self.base.model.get_submodule(path)
            B, A = whole.load(id_)
            weight = layer.get_base_layer().weight
            for holder, factor in ((layer.lora_A, A), (layer.lora_B, B)):
                if not bool(torch.isfinite(factor).all()):
                    raise InspectorError(f"{plain(adapter.info.name)} holds NaN or Inf in {plain(id_)}: it cannot run.")
                precision = torch.promote_types(factor.dtype, weight.dtype)
                value = factor.to(device=weight.device, dtype=precision)
                holder[slot].weight = torch.nn.Parameter(value, requires_grad=False)
            layer.lora_variant[slot] = activated or Fused()
            scales[path] = whole.modules[id_].scale.known
        self._slots[adapter.info.name], self._scales[slot] = slot, scales
        if activated is not None:
            self._activated[adapter.info.name] = activated
        if other := self._trained_on.other(adapter):
            self.other_bases[adapter.info.name] = other
        self.base.model.eval()

    def begin(self, ids: Tensor, mask: Tensor) -> None:
        """Say which ids (batch, length) the next passes begin with: activated LoRAs look for their invocation."""
        for activated in self._activated.values():
            activated.begin(ids, mask)

    def heard(self, name: str | None, prompts: Sequence[Sequence[int]]) -> str:
        """Which prompts an activated LoRA has something to say to, in words; empty where that is all.

        Raises InspectorError where it is none: it would run as the bare base.
        """
        if name is None or name not in self._activated:
            return ""
        from inspector.base_model.activated import holds

        invocation = self._activated[name].invocation
        n, ids = sum(holds(prompt, invocation) for prompt in prompts), some(invocation, 12)
        if not n:
            raise InspectorError(
                f"{plain(name)} is an activated LoRA, and none of the {len(prompts)} prompts has its invocation tokens "
                f"(ids {ids}): it would run as the bare base. Choose prompts that have them."
            )
        if n == len(prompts):
            return ""
        what = f"{plain(name)} holds from its invocation tokens on (ids {ids})"
        return f"{what}, which {n} of {len(prompts)} prompts have: it is the base in the others"

    def use(self, name: str | None) -> None:
        """Run one adapter, or the bare base."""
        self.mix({} if name is None else {name: 1.0})

    def mix(self, weights: dict[str, float]) -> None:
        """Run Σ weight·ΔW over these adapters: exact, on ΔW and not on its factors. Weight 0 is left out.

        Raises InspectorError for an activated LoRA with another weight than 1, or beside another adapter.
        """
        running = {name: weight for name, weight in weights.items() if weight != 0}
        if len(running) > 1 or 1.0 not in running.values():
            refuse_on_paths([name for name in running if name in self._activated])
        active = {self._slots[name]: weight for name, weight in running.items()}
        if self._tuner is None:
            return
        if not active:
            self._tuner.disable_adapter_layers()
            return
        self._tuner.enable_adapter_layers()
        self._tuner.set_adapter(list(active), inference_mode=True)
        for slot, weight in active.items():
            for path, scale in self._scales[slot].items():
                self.base.model.get_submodule(path).scaling[slot] = weight * scale


def attach(base: Base, adapters: Sequence[Adapter], *, cancelled: Callable[[], bool] = lambda: False) -> Attached:
    """All adapters on the base, the bare base active. Raises InspectorError before anything is attached."""
    attached = Attached(base)
    for adapter in adapters:
        attached.check(adapter)
    for adapter in adapters:
        if cancelled():
            raise CancelledError("Cancelled while the adapters were attached.")
        attached.add(adapter)
    attached.use(None)
    return attached


def _linear_modules(model: Any) -> list[str]:
    """The names of the model's linear maps, adapters on them or not."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    kinds = (Linear, Conv1D)
    return [name for name, found in model.named_modules() if isinstance(found, kinds) or hasattr(found, "base_layer")]


def _shape(module: Any) -> tuple[int, int]:
    """(d_out, d_in) of a linear map, whichever way round it stores its weight."""
    from transformers.pytorch_utils import Conv1D

    rows, columns = module.weight.shape
    return (columns, rows) if isinstance(module, Conv1D) else (rows, columns)


def _inner(module: Any) -> Any:
    """The base's own module, adapters on it or not."""
    return getattr(module, "base_layer", module)
