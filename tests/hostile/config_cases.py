"""Configs that lie, beside right weights: PEFT's, mlx-lm's, the index of shards, run.json."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.hostile import valid
from tests.hostile.case import CONFIG, ESCAPES, PAGE, POINTER, WEIGHTS, Case, write

BASE = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "tiny/base"}
INDEX = "adapter_model.safetensors.index.json"


def damaged() -> Iterator[tuple[str, bytes, str]]:
    """Configs that are refused: name, content, what must be said."""
    yield "empty", b"", "is empty"
    yield "LFS pointer", POINTER, "Git LFS pointer"
    yield "HTML page", PAGE, "web page"
    yield "no object", b"[1, 2]", "not a JSON object"
    yield "a number", b"8", "not a JSON object"
    yield "null", b"null", "not a JSON object"
    yield "not UTF-8", b'{"r": "\xff\xfe"}', "not readable JSON"
    yield "UTF-16", json.dumps(BASE).encode("utf-16"), "not readable JSON"
    yield "cut", json.dumps(BASE).encode()[:30], "not readable JSON"
    yield "nested deeply", b'{"r":' + b"[" * 100_000, "not readable JSON"
    yield "a number of 10,000 digits", b'{"peft_type": "LORA", "r": ' + b"9" * 10_000 + b"}", "not readable JSON"
    yield "17 MB", b" " * (17 * 2**20) + json.dumps(BASE).encode(), "not an adapter config"
    yield "alpha NaN", json.dumps(BASE | {"lora_alpha": float("nan")}).encode(), "lora_alpha is nan, not a number"
    yield "alpha Infinity", json.dumps(BASE | {"lora_alpha": float("inf")}).encode(), "lora_alpha is inf, not a number"
    yield "alpha 1e308", json.dumps(BASE | {"lora_alpha": 1e308}).encode(), "lora_alpha is 1e\\+308, not a number"
    yield "alpha a string", json.dumps(BASE | {"lora_alpha": "16"}).encode(), "lora_alpha is '16', not a number"
    yield "alpha a list", json.dumps(BASE | {"lora_alpha": [16]}).encode(), "not a number"
    yield "alpha of escapes", json.dumps(BASE | {"lora_alpha": ESCAPES}).encode(), "not a number"
    yield "peft_type unknown", json.dumps(BASE | {"peft_type": "EVIL"}).encode(), "peft_type EVIL: this method"
    yield "peft_type a list", json.dumps(BASE | {"peft_type": ["LORA"]}).encode(), "is not supported"
    yield "peft_type a number", json.dumps(BASE | {"peft_type": 7}).encode(), "peft_type 7"
    yield "peft_type of escapes", json.dumps(BASE | {"peft_type": ESCAPES}).encode(), "is not supported"
    switched = BASE | {"init_lora_weights": "pissa" + ESCAPES}
    yield "init of escapes", json.dumps(switched).encode(), "changed the base weights"


def odd() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Configs that are merely odd, under which the numbers are right: name, fields, what must be said."""
    for name, r in {"0": 0, "negative": -8, "huge": 10**300, "a string": "8", "a list": [8], "true": True}.items():
        yield f"r {name}", {"r": r}, "ranks are those of the|another rank than the config says"
    yield "r NaN", {"r": float("nan")}, "ranks are those of the|another rank"
    yield "r Infinity", {"r": float("inf")}, "ranks are those of the|another rank"
    patterns = ("(a+)+$", "(.*)*(.*)*(.*)*x", "(((x{999}){999}){999}){999}", "(" * 400, "[", "(?R)", "(?P<a>x)(?P=a)")
    for n, pattern in enumerate(patterns):
        for table in "alpha_pattern", "rank_pattern":
            yield f"{table} {n}", {table: {pattern: 3}}, "no module is hit|not a usable regex"
    yield "alpha_pattern of 100,000 keys", {"alpha_pattern": {f"m{n}.x": n for n in range(100_000)}}, "no module is hit"
    regexes = {f"(m{n}+)+.*$": n for n in range(20_000)}
    yield "alpha_pattern of 20,000 regexes", {"alpha_pattern": regexes}, "no module is hit|not a usable regex"
    yield "alpha_pattern of values", {"alpha_pattern": {"a": "x", "b": None, "c": [1], "d": 1e308}}, "not numbers"
    yield "alpha_pattern a list", {"alpha_pattern": [["q_proj", 3]]}, "not numbers"
    yield "alpha_pattern of escapes", {"alpha_pattern": {ESCAPES: 3}}, r"no module is hit|not a usable regex"
    yield "target_modules a huge regex", {"target_modules": "(a|b)*" * 100_000}, "WITHOUT|without a tensor|."
    yield "target_modules catastrophic", {"target_modules": "((((.+)+)+)+)+!"}, "."
    yield "target_modules 100,000 names", {"target_modules": [f"m{n}" for n in range(100_000)]}, "without a tensor"
    yield "target_modules of everything", {"target_modules": [1, None, {"a": 1}, [2], ESCAPES]}, "without a tensor"
    yield "target_modules a number", {"target_modules": 10**40}, "."
    yield "modules_to_save odd", {"modules_to_save": [None, 1, "", ESCAPES, "q" * 10**6]}, "."
    yield "target_parameters odd", {"target_parameters": [f"{ESCAPES}.x", "x.y"]}, "."
    yield "layer_replication huge", {"layer_replication": [[0, 10**12], [5, 2], ["a", None]]}, "."
    yield "layer_replication a million layers", {"layer_replication": [[0, 999_999]] * 3}, "layer_replication"
    yield "enable_lora odd", {"enable_lora": [True, "x", None]}, "."
    yield "tokens odd", {"trainable_token_indices": {"a": [10**30, -1], "b": "x"}, "token_indices": 5}, "."
    yield "base of escapes", {"base_model_name_or_path": ESCAPES}, r"\[red\]name\[/red\]"
    yield "base a list", {"base_model_name_or_path": ["a"]}, "not named"
    yield "base a device", {"base_model_name_or_path": "/dev/zero"}, "/dev/zero"
    yield "base a path with NUL", {"base_model_name_or_path": "/a\x00b"}, "others cannot find it"
    yield "keys of escapes", {ESCAPES: 1, **{f"k{n}": n for n in range(5000)}}, r"config keys PEFT 0.21"
    yield "16 MB of a key", {"note": "x" * (15 * 2**20)}, "config keys PEFT 0.21"


def _config(content: bytes | dict[str, Any], folder: Path) -> None:
    valid.peft(folder)
    write(folder / CONFIG, content if isinstance(content, bytes) else json.dumps(content).encode())


def _mlx(parameters: Any, folder: Path, **more: Any) -> Path:
    path = valid.mlx(folder)
    write(folder / CONFIG, json.dumps({"model": "m", "num_layers": 2, "lora_parameters": parameters} | more))
    return path


def mlx() -> Iterator[Case]:
    """mlx-lm's config: what is not a scale is not used as one, and is said."""
    odd = {"a list": [2.0], "a string": "2", "NaN": float("nan"), "huge": 1e300, "none": None, "true": True}
    for name, scale in odd.items():
        make = partial(_mlx, {"rank": 2, "scale": scale})
        yield Case(f"mlx: scale {name}", make, 0, "the scale of ΔW is unknown")
    lies = {"num_layers": "all" + ESCAPES, "model": [1], "fine_tune_type": 7}
    yield Case("mlx: other lies", partial(_mlx, {"rank": "x", "scale": 2.0}, **lies), 0, "scale 2 as is", valid.norm())
    yield Case("mlx: parameters a list", partial(_mlx, [1]), 0, "the scale of ΔW is unknown")


def _shards(weight_map: Any, folder: Path, *, shards: int = 2, whole: bool = False) -> None:
    """An index beside shards that are right."""
    valid.peft(folder)
    tensors = load_file(folder / WEIGHTS)
    for n in range(shards):
        part = dict(list(tensors.items())[2 * n : 2 * n + 2])
        save_file(part, folder / f"adapter_model-{n + 1:05d}-of-{shards:05d}.safetensors")
    (folder / WEIGHTS).rename(folder.parent / f"{folder.name}.outside.safetensors")
    text = weight_map if isinstance(weight_map, bytes) else json.dumps(weight_map)
    write(folder / INDEX, text if whole else json.dumps({"weight_map": weight_map}))


def index() -> Iterator[Case]:
    """The index of a sharded adapter."""
    shard = "adapter_model-00001-of-00002.safetensors"
    names = {
        "up and out": "../index-up-and-out.outside.safetensors",
        "absolute": "/etc/passwd",
        "a shard that is not there": "adapter_model-00003-of-00002.safetensors",
        "itself": INDEX,
        "the config": CONFIG,
        "NUL": "a\x00b",
        "escapes": ESCAPES,
        "a folder": ".",
        "a number": 7,
        "a list": [shard],
        "empty": "",
        "a name no file can have": "x" * 5000,
    }
    for name, file in names.items():
        yield Case(
            f"index: {name}",
            partial(_shards, {"x": shard, "y": file}),
            2,
            "names the shard|not an index|not a valid|no valid file",
        )
    for name, content in {"a list": [1], "null": None, "text": "x"}.items():
        yield Case(f"index: whole {name}", partial(_shards, content, whole=True), 2, "is not an index of shards")
    yield Case("index: nested deeply", partial(_shards, b"[" * 10**5, whole=True), 2, "is not an index of shards")
    yield Case("index: one shard of two", partial(_shards, {"x": shard}), 0, "1 module")


def _beside(name: str, content: bytes | dict[str, Any], folder: Path) -> None:
    valid.peft(folder)
    write(folder / name, content if isinstance(content, bytes) else json.dumps(content))


def records() -> Iterator[Case]:
    """run.json: of no consequence for the numbers whatever it holds."""
    told = {"method": ESCAPES, "lr": float("nan"), "data_seed": 10**400, "a0": [1], "step": -1, "init_seed": True}
    contents: dict[str, bytes | dict[str, Any]] = {
        "escapes and huge numbers": told | {"data_seed": 10**300},
        "lr of 400 digits": {"method": "sft", "lr": 10**400},
        "lr Infinity": {"method": "sft", "lr": float("inf")},
        "nested": b"[" * 10**5,
        "not UTF-8": b'{"method": "\xff"}',
        "2 MB": b" " * 2**21,
        "method a list": {"method": [1]},
        "method huge": {"method": "x" * 900_000, "a0": "y" * 1000},
    }
    for name, content in contents.items():
        yield Case(f"run.json: {name}", partial(_beside, "run.json", content), 0, "‖ΔW‖", valid.norm())


def cases() -> Iterator[Case]:
    for name, content, says in damaged():
        yield Case(f"config: {name}", partial(_config, content), 2, says)
    for name, fields, says in odd():
        yield Case(f"config: {name}", partial(_config, BASE | fields), 0, says, valid.norm())
    twice = b'{"peft_type": "LORA", "r": 2, "lora_alpha": 99, "lora_alpha": 4}'
    yield Case("config: keys twice", partial(_config, twice), 0, r"keys twice \(lora_alpha\)", valid.norm())
    anywhere = partial(_config, BASE | {"target_parameters": [None, 1]})
    yield Case("config: target_parameters of any module", anywhere, 0, "2 modules", valid.norm())
    yield from mlx()
    yield from index()
    yield from records()
