"""What a method is: the data it reads, its settings, what it makes of rewards, and words about it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol, get_args

from inspector.common.errors import InspectorError
from inspector.common.text import plain

BELOW = "ε below: the ratio is clipped at 1 − ε."
KL = "κ, how many times the KL to the base is added."
"""What settings mean that are those of several methods."""

Data = Literal["rows", "pairs", "unpaired", "prompts"]
"""What a step reads: of the shared rollouts, or their prompts alone, which are answered anew."""


def setting(
    default: Any,
    about: str = "",
    *,
    choices: Sequence[str] = (),
    least: int | None = None,
    above: int | None = None,
    most: int | None = None,
) -> Any:
    """A field of a recipe or an objective: its default, what it means, and which values it takes."""
    limits = {"choices": choices, "least": least, "above": above, "most": most}
    return field(default=default, metadata={"about": about, **limits})


class Graded(Protocol):
    """Rows as methods see them, all in the same order."""

    @property
    def rewards(self) -> Sequence[float]: ...

    @property
    def groups(self) -> Sequence[str]: ...

    @property
    def repeats(self) -> Sequence[bool]:
        """Whether a row before has the same completion of the same prompt."""

    @property
    def graded(self) -> tuple[Sequence[float], Sequence[str]]:
        """Rewards and groups of all rows, those too that are left out for their length."""


class Objective:
    """One way a method is written down: a frozen dataclass whose fields are the settings that it reads.

    The first paragraph of its docstring is its formula, the others are words about it, traps behind a `!`.
    """

    name: ClassVar[str]
    """A recipe's `variant`."""
    data: ClassVar[Data]
    reduction: ClassVar[str]
    """What the losses of a step are averaged over: token-mean, completion-mean, limit-mean or example-mean."""
    formula: ClassVar[str]
    words: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        paragraphs = (cls.__doc__ or "").split("\n\n")
        cls.formula, *words = (" ".join(paragraph.split()) for paragraph in paragraphs)
        cls.words = tuple(words)

    @classmethod
    def settings(cls) -> tuple[Field[Any], ...]:
        """What it reads beside the settings of all methods."""
        return fields(cls)  # type: ignore[arg-type] # every objective is a dataclass

    def remark(self, rows: Graded) -> str:
        """What these rewards make of the method, which runs all the same; empty if nothing is odd."""
        right = any(r > 0 for r in rows.rewards)
        return "" if right else "No answer is right: there is nothing here that was rewarded."

    def afterword(self, diagnostics: Mapping[str, float]) -> str:  # noqa: ARG002 - for those that have one
        """What the numbers of a whole run say; empty if nothing is odd."""
        return ""

    def arguments(self) -> dict[str, Any]:
        """Of TRL's configuration, beside those that every method has."""
        return {}


@dataclass(frozen=True, slots=True)
class Method:
    """A method; its first variant is the default."""

    name: str
    title: str
    variants: tuple[type[Objective], ...]
    source: str = ""
    """Who published it."""
    needs: tuple[Literal["positive", "negative", "mixed"], ...] = ()
    """Without these among the rows there is nothing to learn."""
    own: bool = False
    """Of a user's file, which `source` then names with its digest: changed, it is another method."""

    @property
    def data(self) -> Data:
        return self.variants[0].data

    def variant(self, name: str) -> type[Objective]:
        """The variant of this name, the default for an empty one. Raises InspectorError."""
        for variant in self.variants:
            if name in {variant.name, ""}:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise InspectorError(f"{self.name} has no variant {plain(name)!r}: choose {known}.")


def by_data(method: Method) -> int:
    """A method's place among those sorted by what they read."""
    return get_args(Data).index(method.data)
