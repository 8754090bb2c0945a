"""The methods written out: what app and reports show, guides repeat and `--settings` prints. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainer.methods.base import Method, Objective, by_data

_WIDTH = 70
"""A formula's line fits 80 columns."""
_BEGIN = """\
# The losses, as published and as the study wrote them

ℓ_t = −log π(y_t | y_<t, x) on completion tokens, π_t = exp(−ℓ_t); sg stops the gradient; r = 1 for a right answer, \
else 0. The study is arXiv:2606.23740. Sums over t are divided by the tokens of the whole optimizer step, unless a \
method says otherwise.
"""
_END = """\
# What every comparison should share

The same base, the same start of A, the same prompts and steps. Two runs that differ in their data seed alone already \
differ: read differences between methods against differences between seeds.
"""


def page(methods: Iterable[Method]) -> str:
    """All of them, by what they read."""
    return "\n".join((_BEGIN, *(section(method) for method in sorted(methods, key=by_data)), _END))


def section(method: Method) -> str:
    """`# ` its title, its formulas indented, then words, and traps behind `! `."""
    source = f" [{method.source}]" if method.source else ""
    words = [text for variant in method.variants for text in variant.words]
    formulas = "\n".join(line for variant in method.variants for line in _formula(method, variant))
    told = [text for text in words if not text.startswith("!")], [text for text in words if text.startswith("!")]
    return "\n".join((f"# {method.title}{source}\n", formulas, "", *told[0], *told[1], ""))


def _formula(method: Method, variant: type[Objective]) -> Iterator[str]:
    """Its lines, behind the name where there are several variants."""
    name = f"{variant.name}{' (default)' if variant is method.variants[0] else ''}"
    label = f"{name:<18}" if len(method.variants) > 1 else ""
    for n, line in enumerate(_lines(variant.formula, _WIDTH - len(label))):
        yield f"    {label if not n else ' ' * len(label)}{line}"


def _lines(formula: str, width: int) -> Iterator[str]:
    """A clause a line, one that is too long cut at its commas outside brackets."""
    for clause in formula.replace("; ", ";\n").split("\n"):
        line = ""
        for part in clause.split(", "):
            whole = line.count("(") == line.count(")")
            if line and whole and len(line) + len(part) + 3 > width:
                yield f"{line},"
                line = part
            else:
                line = f"{line}, {part}" if line else part
        yield line
