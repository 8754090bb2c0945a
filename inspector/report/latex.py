"""Tables as LaTeX, in the style of booktabs."""

from __future__ import annotations

import re

from inspector.report.document import Table

_NUMBER = re.compile(r"[−+-]?[\d.,]+(?:e[+-]?\d+)?|n/a|–")
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "<": "$<$", ">": "$>$", "|": "$|$", "·": r"$\cdot$", "×": r"$\times$", "−": "$-$", "°": r"\textdegree{}",
    "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "√": r"$\surd$", "Σ": r"$\Sigma$", "∞": r"$\infty$",
    "Δ": r"$\Delta$", "α": r"$\alpha$", "β": r"$\beta$", "σ": r"$\sigma$", "θ": r"$\theta$", "λ": r"$\lambda$",
    "‖": r"$\Vert$", "⟨": r"$\langle$", "⟩": r"$\rangle$", "′": "$'$", "ᵀ": "$^T$", "²": "$^2$", "½": r"$\frac12$",
    "₀": "$_0$", "₁": "$_1$", "₂": "$_2$", "–": "--", "—": "---", "…": r"\dots{}", "“": "``", "”": "''",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands. Other letters are left to the engine: XeLaTeX and LuaLaTeX know them."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex(table: Table, label: str) -> str:
    """A `table` with caption and label; numbers to the right, text to the left."""
    width = range(len(table.columns))
    numeric = [n > 0 and all(_NUMBER.fullmatch(row[n]) or not row[n] for row in table.rows) for n in width]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
        _row(table.columns),
        r"\midrule",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
