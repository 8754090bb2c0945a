"""Every method's own settings as published, their limits, and what TRL is given of them."""

import pytest

from trainer.methods import METHODS, method

NONE = {"choices": (), "least": None, "above": None, "most": None}
BETA, PAIRS = (0.1, {"above": 0}), ("one", {"choices": ("one", "all")})
ONLINE = {
    "generations": (8, {"least": 2}), "max_new_tokens": (2048, {"least": 1}), "temperature": (1, {"above": 0}),
    "top_p": (1, {"above": 0, "most": 1}), "iterations": (1, {"least": 1}), "clip_low": (0.2, {}),
    "clip_high": (0.2, {}), "kl": (0, {}), "mask_truncated": (False, {}),
}  # fmt: skip
SETTINGS = {
    "sft": {},
    "rft": {"unique": (False, {})},
    "dft": {},
    "rift": {
        "reward_right": (1, {}), "reward_wrong": (-0.2, {}),
        "probability": ("token", {"choices": ("token", "geo-mean", "sequence")}),
    },
    "rift-linear": {"rift_lambda": (None, {})},
    "study": {"b": (0.1, {})},
    "krafton-post": {"b": (0.5, {}), "kl": (0.1, {}), "clip_low": (0.2, {})},
    "krafton-code": {"b": (0.1, {}), "kl": (0.2, {}), "entropy": (0.001, {}), "response_length": (31744, {"least": 1})},
    "dpo": {"beta": BETA, "pairs": PAIRS},
    "ipo": {"beta": BETA, "pairs": PAIRS},
    "sum": {"beta": BETA, "pairs": PAIRS},
    "simpo": {"simpo_beta": (2, {"above": 0}), "gamma": (1, {}), "pairs": PAIRS},
    "kto": {"beta": BETA, "weight_right": (1, {}), "weight_wrong": (1, {})},
    "grpo": ONLINE,
    "dr-grpo": ONLINE,
    "gspo": ONLINE | {"clip_low": (3e-4, {}), "clip_high": (4e-4, {})},
    "dapo": ONLINE
    | {
        "clip_high": (0.28, {}), "redraws": (3, {"least": 0}), "overlong": (0.2, {"above": 0, "most": 1}),
        "overlong_penalty": (0.5, {"least": 0}),
    },
}  # fmt: skip
VARIANTS = {variant.name: variant for of in METHODS.values() for variant in of.variants}
GRPO = {
    "loss_type": "grpo", "scale_rewards": "group", "importance_sampling_level": "token", "beta": 0.0, "epsilon": 0.2,
    "epsilon_high": 0.2, "mask_truncated_completions": False, "num_generations": 8, "num_iterations": 1,
    "temperature": 1.0, "top_p": 1.0, "max_completion_length": 2048,
}  # fmt: skip


def test_settings_and_their_limits():
    found = {
        name: {f.name: (f.default, {k: v for k, v in f.metadata.items() if k != "about"}) for f in variant.settings()}
        for name, variant in VARIANTS.items()
    }
    wanted = {
        name: {key: (default, NONE | limits) for key, (default, limits) in of.items()} for name, of in SETTINGS.items()
    }
    assert found == wanted
    assert all(f.metadata["about"] for variant in VARIANTS.values() for f in variant.settings())


@pytest.mark.parametrize(
    ("name", "settings", "arguments"),
    [
        ("sft", {}, {}),
        ("dpo", {"beta": 0.3}, {"loss_type": ["sigmoid"], "beta": 0.3}),
        ("ipo", {"beta": 0.3}, {"loss_type": ["ipo"], "beta": 0.3}),
        ("sum", {"beta": 0.3}, {"loss_type": ["ipo"], "beta": 0.3}),
        ("simpo", {"simpo_beta": 5.0, "gamma": 2.0}, {"loss_type": ["sigmoid_norm"], "beta": 5.0}),
        (
            "kto", {"beta": 0.3, "weight_right": 2.0, "weight_wrong": 3.0},
            {"beta": 0.3, "desirable_weight": 2.0, "undesirable_weight": 3.0},
        ),
        ("grpo", {}, GRPO),
        ("dr-grpo", {}, GRPO | {"loss_type": "dr_grpo", "scale_rewards": "none"}),
        ("gspo", {}, GRPO | {"importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4}),
        ("dapo", {}, GRPO | {"loss_type": "dapo", "epsilon_high": 0.28}),
        (
            "grpo", {"kl": 0.3, "mask_truncated": True, "max_new_tokens": 9},
            GRPO | {"beta": 0.3, "mask_truncated_completions": True, "max_completion_length": 9},
        ),
        (
            "dapo",
            {"clip_high": 0.0, "clip_low": 0.3, "generations": 4, "iterations": 2, "temperature": 0.7, "top_p": 0.9},
            GRPO | {"loss_type": "dapo", "epsilon": 0.3, "epsilon_high": 0.0, "num_generations": 4, "num_iterations": 2,
                    "temperature": 0.7, "top_p": 0.9},
        ),
    ],
)  # fmt: skip
def test_what_trl_is_given(name, settings, arguments):
    assert VARIANTS[name](**settings).arguments() == arguments


def test_the_margin_of_simpo_is_in_nats():
    assert VARIANTS["simpo"](simpo_beta=5.0, gamma=2.0).margin == 0.4
    assert (VARIANTS["dpo"]().margin, VARIANTS["ipo"]().margin) == (None, None)


@pytest.mark.parametrize(
    ("data", "reduction", "names"),
    [
        ("rows", "token-mean", {"sft", "rft", "dft", "rift", "rift-linear", "study"}),
        ("rows", "completion-mean", {"krafton-post", "krafton-code"}),
        ("pairs", "example-mean", {"dpo", "ipo", "sum", "simpo"}),
        ("unpaired", "example-mean", {"kto"}),
        ("prompts", "completion-mean", {"grpo", "gspo"}),
        ("prompts", "limit-mean", {"dr-grpo"}),
        ("prompts", "token-mean", {"dapo"}),
    ],
)
def test_what_is_read_and_averaged_over(data, reduction, names):
    assert {name for name, of in VARIANTS.items() if (of.data, of.reduction) == (data, reduction)} == names


def test_what_a_method_needs():
    assert {name: of.needs for name, of in METHODS.items() if of.needs} == {
        "rft": ("positive",), "dpo": ("mixed",), "kto": ("positive", "negative"), "ipo": ("mixed",),
        "simpo": ("mixed",),
    }  # fmt: skip
    assert method("rift").variant("") is VARIANTS["rift"]
    assert method("rift").variant("rift-linear") is VARIANTS["rift-linear"]
    assert [name for name, of in VARIANTS.items() if getattr(of, "filters", False)] == ["rft"]
    assert [name for name, of in VARIANTS.items() if getattr(of, "summed", False)] == ["sum"]
