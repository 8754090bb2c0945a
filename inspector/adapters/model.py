"""What a reader returns: an adapter known from its headers, whose factors load on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inspector.common.errors import InspectorError
from inspector.study.adapter_info import UNSCALED, AdapterInfo
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from torch import Tensor

GIVE_ALPHA = "give the α it was trained with as --alpha"


@dataclass(frozen=True, slots=True)
class Scale:
    """The factor s of ΔW = s·B·A and where it comes from, such as `α/r = 16/8`; no value where nothing says it."""

    value: float | None
    origin: str

    @property
    def known(self) -> float:
        """s. Raises InspectorError where it is not known."""
        if self.value is None:
            raise InspectorError(f"The scale of the update is unknown ({self.origin}): {GIVE_ALPHA}.")
        return self.value

    def __str__(self) -> str:
        return f"{UNSCALED if self.value is None else f'{self.value:g}'} ({self.origin})"


class Direction(NamedTuple):
    """A module's DoRA: s·B·A, the change of direction, and the magnitudes m, one per output."""

    load: Callable[[], tuple[Tensor, Tensor]]
    scale: float
    magnitudes: Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Beside:
    """Biases, heads, embeddings and tokens that a PEFT file holds as such, with what its config says of them."""

    settings: Mapping[str, object]
    keys: Mapping[str, str]
    """The file's keys, and PEFT's own for them."""
    paths: frozenset[str]
    """The modules that are read from them, as updates of the base."""
    load: Callable[[str], Tensor] = field(repr=False)


class Parameter(NamedTuple):
    """A parameter of the base, such as `model.layers.3.mlp.experts.gate_up_proj`."""

    name: str
    turned: bool = False
    """Whether PEFT has A on the side of the output and B on that of the input."""
    rows: tuple[int, int, int] | None = None
    """Which rows an update is of, from, to and step, where it is not all `height` of them."""
    height: int = 0


@dataclass(frozen=True, slots=True)
class LoraModule:
    """One adapted module as its headers describe it; ΔW = s·B·A with B (d_out, r), A (r, d_in)."""

    id: ModuleId
    d_out: int
    d_in: int
    rank: int
    scale: Scale
    dtype: str
    path: str
    """Its place in the base in full, without wrappers: `model.layers.3.self_attn.q_proj`."""
    kernel: tuple[int, ...] = ()
    """The size of a convolution's kernel, by which d_in was multiplied; () for a linear map."""
    embedding: bool | None = None
    """Whether PEFT keeps the factors as an embedding's; None where only its name tells."""
    in_turns: bool = False
    """Whether the rows of the modules it fuses take turns, as gpt-oss has them, and do not follow one another."""
    parameter: Parameter | None = None
    """The parameter that a LoRA of PEFT is on if it is on none of a module; experts of a mixture share theirs."""
    spelt: bool = True
    """Whether the path surely has the base's own dots: in names of underscores these may stand for either."""


def one_factor(modules: Collection[LoraModule]) -> bool:
    """Whether nothing but one factor of all updates together is unknown: every scale is known, or all have the same."""
    return all(m.scale.value is not None for m in modules) or len({m.scale for m in modules}) == 1


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """The account of one tensor of the file: `used`, `ignored` (why) or `unknown` (why)."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    reason: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Adapter:
    """An opened adapter. `load(id)` gives (B, A) in the file's own dtype, s not applied."""

    info: AdapterInfo
    modules: Mapping[ModuleId, LoraModule]
    load: Callable[[ModuleId], tuple[Tensor, Tensor]] = field(repr=False)
    tensors: tuple[TensorRecord, ...] = ()
    files: tuple[Path, ...] = ()
    left_out: Callable[[ModuleId], float] = field(default=lambda _id: 0.0, repr=False)
    """The share of a module's ‖ΔW‖²_F that its factors leave out: not 0 only for the low-rank part of a dense ΔW."""
    depends_on: str = ""
    """What the numbers depend on beside the files, such as the base an update was told with; part of the identity."""
    base: str = ""
    """The base as the files name it; `info.base` is that name, fit to show."""
    invocation: tuple[int, ...] = ()
    """Of an activated LoRA: ΔW holds from the last occurrence of these token ids on, before it there is the base."""
    beside: Beside | None = None
    """What PEFT saves beside LoRAs and would load again."""
    dense: Callable[[ModuleId], Tensor | None] = field(default=lambda _id: None, repr=False)
    """All of ΔW of a module whose factors are its low-rank part, its scale aside; None if they are all of it."""
    direction: Callable[[ModuleId], Direction | None] = field(default=lambda _id: None, repr=False)
    """The factors and magnitudes of a module with DoRA, whose ΔW needs the base."""
    replication: tuple[tuple[int, int], ...] = ()
    """The ranges of the base's layers that its own layers are numbered through, where they are not the base's."""
    stored: Adapter | None = field(default=None, repr=False)
    """The adapter as its files have it, where its ids or modules were changed to meet those of others."""
    lacks: Callable[[str], bool] = field(default=lambda _path: False, repr=False)
    """Whether the config puts an update on the module at this path and the file has no tensor of it."""

    def refuse_unscaled(self, what: str) -> None:
        """Raise InspectorError, as `cannot be added`, if the scale of its update is not known."""
        if not self.info.scaled:
            why = f"the scale of ΔW is {self.info.scale}"
            raise InspectorError(f"{self.info.name} cannot be {what}: {why}; {GIVE_ALPHA}.")

    def __repr__(self) -> str:
        return f"Adapter {self.info.name}: {self.info.format}, {len(self.modules)} modules, rank {self.info.rank}"

    def _repr_html_(self) -> str:
        from inspector.study.html import adapter_html

        return adapter_html(self.info)
