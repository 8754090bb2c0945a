"""The numbers that need the base model: its weights, or running it with the adapters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from inspector.study.metrics.definition import FRACTION, MEAN, Definition, Probe, Side, Subject

SIGNED = "intervals at the α of the maximum"
"""How barriers were measured; studies of older versions, which do not say it, took a maximum in every resample."""
DISTINCT = "distinct"
"""What the rows of CKA and lens depth are counted by; studies of older versions do not say it."""
FEW_PROMPTS = 20
"""On fewer prompts losses, CKA and lens depths scatter more than adapters differ."""
QUESTION_ALONE = (
    "Losses, CKA and lens depth run the question alone; accuracy (`eval`) on the bundled sums has one worked example "
    "before it, other tasks have none."
)
"""What each probe shows the model, for the help."""


def intruder_setting(top: int = 10, epsilon: float = 0.5) -> str:
    """How intruders were counted, as a study keeps it: `top 10, ε 0.5`; older ones say nothing of these."""
    return f"top {top}, ε {epsilon:g}"


LOSSES = {
    "": "mean cross-entropy per token of the gold answer (`\\boxed{…}`) right after the prompt",
    "_rollouts": "mean cross-entropy per token of held-out rollouts after their prompts",
}
"""Suffix of the metric -> the loss along the path."""

_WHOLE = "measured for the whole adapter"
_BARRIERS = {
    "mean": ("above endpoints' mean", "max L(α) − ½(L(0) + L(1)), 0 ≤ α ≤ 1", "Ainsworth et al. 2023 (Git Re-Basin)"),
    "chord": ("above the chord", "max[L(α) − ((1−α)L(0) + αL(1))], 0 ≤ α ≤ 1", "Entezari et al. 2022"),
    "strict": ("above both endpoints", "max L(α) − max(L(0), L(1)), 0 ≤ α ≤ 1", ""),
}
_BARRIER_TRAP = (
    "the three definitions differ in their verdict where the endpoints' losses differ: "
    "an endpoint alone gives ½|L(0) − L(1)| above the mean, and 0 by the other two"
)
_INTERVAL = (
    "of the signed L(α̂) − level at the α̂ of the maximum: percentile bootstrap over examples, the same ones for every "
    "α, 2000 resamples"
)
_NO_TEST = (
    "of noisy points α̂ is the highest, so both ends are biased upwards: a lower end above 0 is not a test; above the "
    "chord an endpoint is 0 in every resample"
)
_ENDS_TRAP = "half of its size stands above the endpoints' mean on a path that does not rise anywhere between"


def _number(
    metric: str, title: str, subject: Subject, formula: str, probe: Probe, trap: str = "", *, beside: bool = False
) -> Definition:
    scale = None if probe == "lens" else 1.0
    return Definition(
        metric, title, subject, "", formula, _WHOLE, trap, aggregate="none", probe=probe, scale=scale, beside=beside
    )


_beside = partial(_number, beside=True)


def _connectivity(suffix: str, loss: str) -> tuple[Definition, ...]:
    """The curve and its barriers for one loss."""
    name = " (rollouts)" if suffix else ""
    probe: Probe = "lmc_rollouts" if suffix else "lmc"
    curve = Definition(
        f"lmc_loss{suffix}", f"loss along the path{name}", "ordered", "",
        f"L(α) of α·ΔW_a + (1−α)·ΔW_b on ΔW itself, adapters unmerged; L: {loss}", _WHOLE,
        "interpolating the factors A and B instead adds cross terms", "Frankle et al. 2020",
        index="alpha", aggregate="none", probe=probe,
    )  # fmt: skip
    base = _number(f"lmc_loss_base{suffix}", f"loss of the base{name}", "none", f"L of ΔW = 0; L: {loss}", probe)
    barriers = []
    for kind, (title, formula, source) in _BARRIERS.items():
        metric = f"barrier_{kind}"
        barriers += [
            Definition(
                f"{metric}{suffix}", f"barrier {title}{name}", "pair", "", formula, _WHOLE, _BARRIER_TRAP, source,
                aggregate="none", probe=probe,
            ),
            _beside(
                f"{metric}_low{suffix}", f"barrier {title}, lower{name}", "pair", f"2.5 %, {_INTERVAL}", probe,
                _NO_TEST),
            _beside(
                f"{metric}_high{suffix}", f"barrier {title}, upper{name}", "pair", f"97.5 %, {_INTERVAL}", probe,
                _NO_TEST),
            _beside(f"{metric}_at{suffix}", f"where: {title}{name}", "ordered", "the α of that maximum", probe),
        ]  # fmt: skip
    ends = "L(1) − L(0): the loss of a alone less that of b alone"
    drawn = "percentile bootstrap over examples, the same ones for both ends, 2000 resamples"
    return (
        curve, base, *barriers,
        _number(f"lmc_ends{suffix}", f"difference of the ends{name}", "ordered", ends, probe, _ENDS_TRAP),
        _beside(f"lmc_ends_low{suffix}", f"difference of the ends, lower{name}", "ordered", f"2.5 %, {drawn}", probe),
        _beside(f"lmc_ends_high{suffix}", f"difference of the ends, upper{name}", "ordered", f"97.5 %, {drawn}", probe),
    )  # fmt: skip


_ORDERS = "all orders of the rows (prompts, or tokens) of b, in closed form"
_NULL_SOURCE = "Kazi-Aoual et al. 1995; Josse, Pagès & Husson 2008"
_NULL_TRAP = (
    "skewed where few directions dominate: mean ± 2 sd is not an interval of 95 %; over layers the mean of the sd is "
    "the most that the mean can scatter"
)


def _cka(suffix: str, name: str, formula: str, trap: str, source: str) -> tuple[Definition, ...]:
    """One kind of CKA: of a pair, against the base, and of shuffled prompts."""
    layers = (
        "measured per layer, on the residual stream after the block; global: mean over layers. The prompts run without "
        "worked examples; pooling mean and all leave out the tokens that all prompts share at their start and end"
    )
    kinds: tuple[tuple[str, str, Subject, str, str, str], ...] = (
        (f"cka{suffix}", f"CKA{name}", "pair", formula, trap, source),
        (f"cka{suffix}_null", f"CKA{name}, shuffled", "pair", f"its mean over {_ORDERS}", "", _NULL_SOURCE),
        (
            f"cka{suffix}_null_sd", f"CKA{name}, shuffled, sd", "pair", f"its standard deviation over {_ORDERS}",
            _NULL_TRAP, _NULL_SOURCE,
        ),
        (f"cka{suffix}_base", f"CKA{name} to the base", "adapter", formula, trap, source),
    )  # fmt: skip
    return tuple(
        Definition(
            metric, title, subject, "", text, layers, trap, source, aggregate="none", probe="cka",
            beside="_null" in metric, shown=() if "_null" in metric else ("cka",),
        )
        for metric, title, subject, text, trap, source in kinds
    )  # fmt: skip


def _base_share(side: Side, space: str, formula: str, width: str) -> tuple[Definition, ...]:
    """The share of an update in the base's top subspace on one side, and its chance level."""
    metric, title = f"base_share_{side}", f"share in the base's top {space}s"
    return (
        Definition(
            metric, title, "adapter", "", formula, MEAN, "below chance says as much as above it: ΔW avoids them",
            probe="intruders", range=FRACTION, side=side, shown=("layers", "base"),
        ),
        Definition(
            f"{metric}_chance", f"{title}, by chance", "none", "", f"10/{width}, the share of random directions", MEAN,
            probe="intruders", range=FRACTION, side=side, beside=True, level_of=metric,
        ),
    )  # fmt: skip


PROBES: tuple[Definition, ...] = (
    Definition(
        "base_norm", "norm of the base ‖W₀‖", "none", "", "‖W₀‖_F of the base weights the adapters change",
        "root of the sum of squares over the scope's modules", aggregate="stacked", probe="weights", scale=None,
    ),
    Definition(
        "norm_relative", "relative norm ‖ΔW‖/‖W₀‖", "adapter", "", "‖ΔW‖_F / ‖W₀‖_F, over the modules it adapts",
        "squares are summed over the scope's modules first, then divided",
        "below about 4e-3 a bfloat16 merge rounds much of the update away",
        aggregate="stacked", probe="weights", scale=None, shown=("layers", "base"),
    ),
    Definition(
        "intruder_dimensions", "intruder dimensions", "adapter", "",
        "how many of the top k left singular vectors u of W₀+ΔW have max_j |⟨u, u_j(W₀)⟩| < ε; k = 10, ε = 0.5 unless "
        "a set of claims asks for others",
        "mean over the scope's modules", "a rotation inside the base's own top subspace also counts: see in-subspace",
        "Shuttleworth et al. 2024", probe="intruders", range=(0.0, 10.0), scale=10.0, shown=("layers", "base"),
    ),
    Definition(
        "intruder_dimensions_subspace", "intruders outside the subspace", "adapter", "",
        "how many of the top k left singular vectors u of W₀+ΔW have ‖U_k(W₀)ᵀu‖ < ε, U_k the base's top k; k = 10, "
        "ε = 0.5 unless a set of claims asks for others",
        "mean over the scope's modules", probe="intruders", range=(0.0, 10.0), scale=10.0, shown=("layers", "base"),
    ),
    Definition(
        "intruder_dimensions_k", "intruders among the top k", "adapter", "",
        "how many of the top k left singular vectors u of W₀+ΔW have max_j |⟨u, u_j(W₀)⟩| < 0.5, k to 20",
        "mean over the scope's modules", "one k says little: read the curve", "Shuttleworth et al. 2024", index="k",
        probe="intruders", range=(0.0, 20.0), scale=20.0,
    ),
    Definition(
        "intruder_dimensions_epsilon", "intruders below ε", "adapter", "",
        "how many of the top 10 left singular vectors u of W₀+ΔW have max_j |⟨u, u_j(W₀)⟩| < ε, ε = k/10",
        "mean over the scope's modules", "0.5 is a convention: read the curve", "Shuttleworth et al. 2024", index="k",
        probe="intruders", range=(0.0, 10.0), scale=10.0,
    ),
    *_base_share("left", "output", "‖U₁₀(W₀)ᵀΔW‖²_F / ‖ΔW‖²_F, U₁₀ the base's top 10 left singular vectors", "d_out"),
    *_base_share("right", "input", "‖ΔW V₁₀(W₀)‖²_F / ‖ΔW‖²_F, V₁₀ the base's top 10 right singular vectors", "d_in"),
    *(definition for suffix, loss in LOSSES.items() for definition in _connectivity(suffix, loss)),
    *_cka(
        "_debiased", " (debiased)",
        "⟨K̃,L̃⟩/√(⟨K̃,K̃⟩⟨L̃,L̃⟩), K̃ the U-centred Gram matrix (zero diagonal) of the hidden states",
        "unbiased around 0 for unrelated states: slightly negative values are noise, and n/a means no spread",
        "Székely & Rizzo 2014; Song et al. 2012",
    ),
    *_cka(
        "", "",
        "‖YᵀX‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F), columns centred",
        "biased upwards when prompts are few: read it against the shuffled null",
        "Kornblith et al. 2019",
    ),
    _number(
        "lens_depth", "logit-lens depth", "adapter",
        "the first layer from which the top token of unembed(final_norm(h)) is the model's own at every later layer "
        "(the number of blocks, 0 the embedding); mean over the positions of the prompts, without the tokens that all "
        "of them share at their start and end", "lens",
    ),
    _number("lens_depth_base", "logit-lens depth of the base", "none", "the same of ΔW = 0", "lens"),
    _number(
        "lens_depth_last", "logit-lens depth at the last position", "adapter",
        "the same at the last position of each prompt, where the answer begins; mean over prompts", "lens",
    ),
    _number(
        "lens_depth_last_base", "logit-lens depth of the base at the last position", "none", "the same of ΔW = 0",
        "lens",
    ),
    _number("accuracy", "accuracy", "adapter", "share of problems whose greedy answer is right (pass@1)", "accuracy"),
    _beside("accuracy_low", "accuracy, lower", "adapter", "Wilson 95 % interval, lower end", "accuracy"),
    _beside("accuracy_high", "accuracy, upper", "adapter", "Wilson 95 % interval, upper end", "accuracy"),
    _number("accuracy_base", "accuracy of the base", "none", "the same of ΔW = 0", "accuracy"),
    _beside("accuracy_base_low", "accuracy of the base, lower", "none", "Wilson 95 % interval, lower", "accuracy"),
    _beside("accuracy_base_high", "accuracy of the base, upper", "none", "Wilson 95 % interval, upper", "accuracy"),
    _number("accuracy_answered", "problems answered", "adapter", "how many of the problems have an answer", "accuracy"),
    _number("accuracy_base_answered", "problems answered by the base", "none", "the same of ΔW = 0", "accuracy"),
    replace(
        _number("mcnemar_wins", "solved by a only", "ordered", "problems that a solves and b does not", "accuracy"),
        scale=None,
    ),
    _number("mcnemar_p", "McNemar p", "pair", "exact two-sided McNemar test on the same problems", "accuracy"),
    _number(
        "mcnemar_p_holm", "McNemar p (Holm)", "pair", "Holm-corrected over all pairs of the table, base included",
        "accuracy",
    ),
    _number("mcnemar_base_p", "McNemar p against the base", "adapter", "exact, two-sided", "accuracy"),
    _number("mcnemar_base_p_holm", "McNemar p against the base (Holm)", "adapter",
            "Holm-corrected over all pairs of the table, base included", "accuracy"),
)  # fmt: skip
