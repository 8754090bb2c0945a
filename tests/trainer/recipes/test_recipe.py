"""Recipes: what ships, what the command line changes, what is refused."""

import re
from dataclasses import FrozenInstanceError

import pytest
import yaml

from inspector.common.errors import InspectorError
from trainer.methods import METHODS, chosen, method
from trainer.recipes.file import FOLDER, read, recipes, resolve, to_yaml
from trainer.recipes.recipe import Recipe


def one(name, how="sft", *settings):
    found = resolve(read(name), how, settings)
    assert len(found) == 1
    return found[0][1]


def test_the_study():
    """The numbers of the study's own list."""
    recipe = one("study-qwen3-4b")
    assert recipe.base == "Qwen/Qwen3-4B-Instruct-2507"
    assert (recipe.rank, recipe.alpha, recipe.dropout) == (32, 64, 0)
    assert recipe.targets == ("k_proj", "o_proj", "q_proj", "v_proj")
    assert (recipe.batch, recipe.steps, recipe.lr, recipe.warmup, recipe.weight_decay) == (32, 1500, 5e-6, 0.05, 0.01)
    assert (recipe.clip, recipe.schedule, recipe.dtype) == (1.0, "cosine", "bfloat16")
    assert (recipe.init_seed, recipe.data_seed) == (42, 42)
    assert (recipe.report_step, one("study-llama-3.2-3b").reported) == (1000, 1000)
    assert one("study-qwen3-4b", "dpo").lr == 5e-7
    online = one("study-qwen3-4b", "online-dapo")
    assert (online.steps, online.reported, online.own["generations"]) == (600, 600, 8)
    assert one("study-llama-3.2-3b", "dpo").lr == 5e-7
    assert one("study-llama-3.2-3b").base == "meta-llama/Llama-3.2-3B-Instruct"
    assert one("lr-matched-dpo", "dpo") == one("study-qwen3-4b", "dpo", "lr=5e-6")


def test_defaults_are_the_study():
    assert one("study-qwen3-4b", "sft", "dtype=auto", "report_step=0") == Recipe()


WHOSE = re.compile(r"(study|ours)(: \S.*|; \S.*)?")


@pytest.mark.parametrize("name", [name for name in recipes() if name != "demo-smollm2"])
def test_every_line_says_whose_it_is(name):
    """What the study states and what is ours: a word behind each line that sets something."""
    lines = [line for line in (FOLDER / f"{name}.yaml").read_text().splitlines() if not line.startswith("#")]
    setting = [line for line in lines if not re.fullmatch(r" *[\w-]+:", line)]
    assert len(setting) > 1
    assert [line for line in setting if not WHOSE.fullmatch(line.partition("  # ")[2])] == []


def test_the_grid():
    found = resolve(read("seeds-and-lrs"), "sft", ())
    assert [name for name, _ in found][:3] == ["sft_lr5e-7_s42", "sft_lr5e-7_s123", "sft_lr5e-6_s42"]
    assert len({(r.lr, r.data_seed) for _, r in found}) == len(found) == 6
    assert all(r.init_seed == r.data_seed for _, r in found)
    assert {r.init_seed for _, r in found} == {42, 123}
    assert [name for name, _ in resolve(read("seeds-and-lrs"), "dpo", ["lr=1e-5"])] == ["dpo_s42", "dpo_s123"]


@pytest.mark.parametrize("name", recipes())
@pytest.mark.parametrize("how", METHODS)
def test_every_recipe_resolves_for_every_method(name, how):
    for folder, recipe in resolve(read(name), how, ()):
        assert folder.startswith(how)
        assert recipe.targets


def test_the_command_line_wins_and_may_name_a_method():
    settings = ("lr=1e-3", "dpo.lr=1e-4", "targets=v_proj,q_proj", "gradient_checkpointing=true", "rift_lambda=0.2")
    assert one("demo-smollm2", "sft", *settings).lr == 1e-3
    assert one("demo-smollm2", "dpo", *settings).lr == 1e-4
    found = one("demo-smollm2", "sft", *settings)
    assert (found.targets, found.gradient_checkpointing, found.own["rift_lambda"]) == (("q_proj", "v_proj"), 1, 0.2)


@pytest.mark.parametrize(
    ("text", "found"),
    [("true", 1), ("false", 0), ("auto", None), ("null", None), ("2", 2), ("0", 0)],
)
def test_every_how_many_blocks_are_computed_twice(text, found):
    """Recipes of old say true or false."""
    assert one("demo-smollm2", "sft", f"gradient_checkpointing={text}").gradient_checkpointing == found
    assert one("study-qwen3-4b", "sft").gradient_checkpointing is None


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learning_rat=1", "no setting 'learning_rat'"),
        ("step=3", "no setting 'step'. Did you mean steps?"),
        ("lr=fast", "lr must be a number, not 'fast'"),
        ("lr=nan", "lr must be a number"),
        ("lr=0", "lr is 0.0: it must be above 0"),
        ("steps=2.5", "steps must be a whole number"),
        ("steps=0", "steps is 0: it must be at least 1"),
        ("cut=trim", "cut is 'trim': it must be drop or mask"),
        ("gradient_checkpointing=perhaps", "must be true, false, auto or a whole number"),
        ("gradient_checkpointing=-1", "gradient_checkpointing is -1: it must be at least 0"),
        ("micro_tokens=-1", "micro_tokens is -1: it must be at least 0"),
        ("lora_compute=half", "lora_compute is 'half': it must be base or float32"),
        ("lr", "write key=value"),
        ("sfft.lr=1", "'sfft' is no method"),
        ("targets=", "targets is empty"),
        ("report_step=41", "report_step is 41, and there are 40 steps: set it to one of them, or to 0 for the last"),
        ("report_step=-1", "report_step is -1: it must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(setting, says):
    with pytest.raises(InspectorError, match=says):
        one("demo-smollm2", "sft", setting)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stepps: 3", "no setting 'stepps'. Did you mean steps?"),
        ("methods: {sft: {lrr: 1}}", "no setting 'lrr'. Did you mean lr?"),
        ("methods: 3", "'methods' must hold key: value lines"),
        ("grid: {lr: 3}", "the grid's 'lr' must be a list"),
        ("- 1", "is no recipe"),
        ("a: [", "is no YAML"),
        ("[" * 5000 + "]" * 5000, "is no YAML"),
        ("lr: " + "9" * 5000, "is no YAML"),
        ("extends: mine", "goes round in circles"),
        ("extends: nothing", "Cannot read the recipe"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, says):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InspectorError, match=says):
        read(str(tmp_path / "mine.yaml"))


def test_numbers_as_yaml_reads_them(tmp_path):
    """YAML 1.1 takes 5e-6 for text."""
    (tmp_path / "mine.yaml").write_text("extends: demo-smollm2\nlr: 5e-6\nalpha: 16.0\n")
    found = one(str(tmp_path / "mine.yaml"))
    assert (found.lr, found.alpha, found.base) == (5e-6, 16, "smollm2")


def test_one_seed_sets_both(tmp_path):
    assert one("demo-smollm2", "sft", "seed=7").init_seed == one("demo-smollm2", "sft", "seed=7").data_seed == 7
    (tmp_path / "mine.yaml").write_text("seed: 5\ndata_seed: 6\n")
    recipe = one(str(tmp_path / "mine.yaml"), "sft")
    assert (recipe.init_seed, recipe.data_seed) == (5, 6)


def test_no_such_recipe():
    with pytest.raises(InspectorError, match="Did you mean demo-smollm2"):
        read("demo-smolm2")


def test_written_and_read_again(tmp_path):
    recipe = one("demo-smollm2", "dpo", "beta=0.3")
    (tmp_path / "again.yaml").write_text(to_yaml(recipe))
    assert yaml.safe_load(to_yaml(recipe))["targets"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert one(str(tmp_path / "again.yaml"), "dpo") == recipe


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        Recipe().lr = 1.0


def test_methods_by_name():
    assert [m.name for m in chosen("all")] == ["sft", "rft", "dft", "rift", "offline-grpo", "dpo",
                                                 "online-grpo", "online-dapo"]  # fmt: skip
    with pytest.raises(InspectorError, match="Did you mean offline-grpo"):
        method("offline_grpo")
    with pytest.raises(
        InspectorError, match="offline-grpo has no variant 'best': choose study, krafton-post, krafton-code"
    ):
        method("offline-grpo").variant("best")
    assert {m.variant("").name for m in METHODS.values()} >= {"sft", "rift", "study"}
