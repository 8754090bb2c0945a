"""Tables as LaTeX, in the style of booktabs, as wide as a page at most."""

from __future__ import annotations

from inspector.report.document import Table
from inspector.report.latex_columns import BREAKS, Columns, columns

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\textasciigrave{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "<": "$<$", ">": "$>$", "|": "$|$", "·": r"$\cdot$", "×": r"$\times$", "−": "$-$", "°": r"\textdegree{}",
    "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "±": r"$\pm$", "√": r"$\surd$", "∞": r"$\infty$",
    "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "α": r"$\alpha$", "β": r"$\beta$", "σ": r"$\sigma$", "θ": r"$\theta$",
    "λ": r"$\lambda$", "‖": r"$\Vert$", "⟨": r"$\langle$", "⟩": r"$\rangle$", "′": "$'$", "ᵀ": "$^T$", "²": "$^2$",
    "½": r"$\frac12$", "→": r"$\rightarrow$", "↔": r"$\leftrightarrow$", "₀": "$_0$", "₁": "$_1$", "₂": "$_2$",
    "–": "--", "—": "---", "…": r"\dots{}", "“": "``", "”": "''",
    # After `\\`, a row that begins with these would be its option.
    "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
_LATIN = 0x017F
"""Up to here, pdfLaTeX knows the letters."""


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands; two hyphens stay two."""
    pairs = zip(f" {text}", text, strict=False)
    return "".join("{}-" if before == c == "-" else _SPECIAL.get(c, c) for before, c in pairs)


def latex(table: Table, label: str) -> str:
    """A table with caption and label: numbers to the right, text to the left, wrapped where the page is too narrow."""
    form = columns(table)
    spec = "".join(_column(form, n) for n in range(len(table.columns)))
    head = [r"\toprule", _heading(table.columns, form), r"\midrule"]
    rows = [_row(row, form) for row in table.rows]
    caption = rf"\caption{{{escaped(table.caption)}}}", rf"\label{{tab:{label}}}"
    size = [form.size] if form.size else []
    gap = [r"\setlength{\tabcolsep}{3pt}"] if form.widths or not form.fits else []
    if form.long:
        body = [
            "{", *size, *gap, rf"\begin{{longtable}}{{{spec}}}", *caption, r"\\", *head, r"\endfirsthead", *head,
            r"\endhead", r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", "}",
        ]  # fmt: skip
    else:
        body = [
            r"\begin{table}", r"\centering", *size, *gap, *caption, rf"\begin{{tabular}}{{{spec}}}", *head, *rows,
            r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
    if form.landscape:
        body = [r"\begin{landscape}", *body, r"\end{landscape}"]
    return "\n".join([*_needs(table, form), *body]) + "\n"


def _needs(table: Table, form: Columns) -> list[str]:
    """What a document must have for it, as comments."""
    packages = ["booktabs", *(["array"] if form.widths else []), *(["longtable"] if form.long else [])]
    packages += [*(["graphicx"] if form.upright else []), *(["pdflscape"] if form.landscape else [])]
    lines = [f"% needs \\usepackage{{{','.join(packages)}}}"]
    text = "".join((table.caption, *table.columns, *(cell for row in table.rows for cell in row)))
    if any(ord(c) > _LATIN and c not in _SPECIAL for c in text):
        lines.append("% has letters that XeLaTeX and LuaLaTeX know, and pdfLaTeX does not")
    if not form.fits:
        lines.append(f"% {len(table.columns)} columns, wider than a page: leave some out")
    return lines


def _column(form: Columns, n: int) -> str:
    if not form.widths:
        return "r" if form.numeric[n] else "l"
    side = "raggedleft" if form.numeric[n] else "raggedright"
    return rf">{{\{side}\arraybackslash}}p{{{form.widths[n]:.3f}\linewidth}}"


def _heading(names: tuple[str, ...], form: Columns) -> str:
    if not form.upright:
        return _row(names, form)
    first, *others = map(escaped, names)
    return " & ".join([first, *(rf"\rotatebox{{90}}{{{name}}}" for name in others)]) + r" \\"


def _row(cells: tuple[str, ...], form: Columns) -> str:
    """Wrapped cells may break after the marks that names are made of, too."""
    if not form.widths:
        return " & ".join(map(escaped, cells)) + r" \\"
    broken = (r"\allowbreak{}".join(map(escaped, BREAKS.split(cell))).replace(r" \allowbreak{}", " ") for cell in cells)
    return " & ".join(broken) + r" \\"
