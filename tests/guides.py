"""`make guides`: the guides that repeat the code, from the code: definitions, methods, commands, run.json."""

import ast
import inspect
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import click

from inspector.cli import main
from inspector.study.metrics import DEFINITIONS, INTERFERENCE, Definition
from trainer.methods import METHODS, STUDY, own_settings
from trainer.methods.page import page
from trainer.recipes.recipe import settings
from trainer.saving import outcome

FOLDER = Path(__file__).parent.parent / "assets" / "guide"
_WRITTEN = "<!-- Written by `make guides`: change the code, not this file. -->"
_DEFINITIONS = (
    "Every number that tables, screens, reports and exports show. The name in `code` is the one in exports and of "
    "`--metric`; *over modules* says how the number of a layer, or of a whole adapter, follows from its modules. "
    "How to read them, and what most often goes wrong: [Reading the numbers](reading.md)."
)
_PROBES = {
    "": "From the weights of the adapters",
    "weights": "From the weights of adapters and base",
    "lmc": "Loss between two adapters (`--probe lmc`)",
    "cka": "Hidden states (`--probe cka`)",
    "lens": "Logit lens (`--probe lens`)",
    "intruders": "Against the base's directions (`--probe intruders`)",
    "accuracy": "Accuracy (`--probe accuracy`, `inspector eval`)",
}
_SUBJECTS = {
    "adapter": "Of one adapter",
    "pair": "Of two adapters",
    "ordered": "Of two adapters, in order",
    "none": "Of a set: chance levels, sums, the base",
}
_ROLLOUTS = "_rollouts"
"""The end of a metric's name where the loss is of rollouts, all else alike."""
_READS = {
    "rows": "every shared rollout",
    "pairs": "a right and a wrong answer to one prompt",
    "unpaired": "every shared rollout, each right or wrong",
    "prompts": "the prompts alone, answered anew",
}
_JSON = {"str": "text", "int": "whole number", "float": "number", "Mapping": "object"}
_ORIGIN = "groups, Sensitivity, reports"
_READERS = {
    "method": f"{_ORIGIN}, Objectives", "formula": "Objectives", "lr": _ORIGIN, "data_seed": _ORIGIN,
    "init_seed": _ORIGIN, "a0": "lineage, what of two starts is comparable", "step": f"{_ORIGIN}, `watch`, `verify`",
    "steps": "`watch`, `verify`", "examples": "claims", "base_digest": "probes of the base",
    "base_weights": "probes of the base", "dtype": "probes of the base",
}  # fmt: skip
_EXAMPLE = {
    "method": "sft", "formula": "−log π(y | x)", "lr": 5e-6, "data_seed": 42, "init_seed": 42, "a0": "9f86d081884c7d65",
    "step": 1000, "steps": 1500,
}  # fmt: skip
_EXITS = {
    main.DONE: "done",
    1: (
        "a check did not hold: `check` found an error, `verify` a claim that holds under none of its definitions, "
        "`receipt` not the adapter at the strength asked for, or more, `watch --fail-on` something that has gone wrong "
        "in a training"
    ),
    main.BAD_INPUT: "bad input or usage, or nothing could be opened",
    main.INCOMPLETE: (
        "something could not be opened or analysed, though the rest was; `train`: a method was left out; `watch`: a "
        "checkpoint could not be read; `convert`, `merge-preview --write`, `resize --write`: what was written lacks "
        "something of the update"
    ),
    main.INTERRUPTED: "interrupted (Ctrl-C)",
}


def definitions() -> str:
    """Every metric, by what has to be read or run for it and by what it is of."""
    text = ["# Definitions", _WRITTEN, _DEFINITIONS]
    shown = [d for d in DEFINITIONS.values() if d.metric.removesuffix(_ROLLOUTS) not in DEFINITIONS or not _twin(d)]
    for probe, title in _PROBES.items():
        text.append(f"## {title}")
        if probe == "lmc":
            text.append(f"Each also with `{_ROLLOUTS}` at its end: of held-out rollouts after their prompts instead.")
        mine = sorted((d for d in shown if d.probe == probe), key=lambda d: list(_SUBJECTS).index(d.subject))
        for subject, found in groupby(mine, key=lambda d: d.subject):
            text.append(f"### {_SUBJECTS[subject]}" if not probe else f"**{_SUBJECTS[subject]}**")
            text.append(_table(("metric", "formula", "over modules", "beware"), map(_definition, found)))
    return _joined(*text, "## Interference", _plain(INTERFERENCE))


def _twin(definition: Definition) -> bool:
    return definition.metric.endswith(_ROLLOUTS)


def _definition(of: Definition) -> tuple[str, ...]:
    unit = f", {of.unit}" if of.unit else ""
    index = {"": "", "k": ", for each k", "alpha": ", for each α"}[of.index]
    source = f"({of.source})" if of.source else ""
    return f"`{of.metric}`", f"{of.title}{unit}{index}: {of.formula} {source}", of.over_modules, of.trap


def methods() -> str:
    """Every method: its data, settings, losses and traps; then every setting of a recipe."""
    title, *losses = objectives().splitlines()
    rows = {name: (f"`{name}`", f"`{_shown(f.default)}`", f.metadata["about"]) for name, f in settings().items()}
    of_some = [rows.pop(name) for name in own_settings()]
    heads = "setting", "default", ""
    return _joined(
        "# Training methods",
        _WRITTEN,
        "How to train with them: [Training from shared rollouts](training.md).",
        _table(
            ("method", "a step reads", "published", "settings of its own"),
            ((f"`{m.name}`", _READS[m.data], m.source, _own_settings(m.name)) for m in METHODS.values()),
        ),
        f"`all` trains {', '.join(f'`{name}`' for name in STUDY)}, in this order.",
        f"#{title}",
        _blocks(_objectives(losses)),
        "## Settings that all methods read",
        "Of a recipe's file, or of `--set KEY=VALUE`; the defaults are those of `study-qwen3-4b`.",
        _table(heads, rows.values()),
        "## Settings of some methods",
        _table(heads, of_some),
    )


def objectives() -> str:
    """What the app and reports show of the methods."""
    return page(METHODS.values())


def run_json() -> str:
    """Every field of a run's record, by its class; who reads which."""
    (body,) = (node.body for node in ast.parse(Path(outcome.__file__).read_text(encoding="utf-8")).body
               if isinstance(node, ast.ClassDef) and node.name == outcome.Run.__name__)  # fmt: skip
    rows = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            words = ast.literal_eval(after.value) if isinstance(after, ast.Expr) else ""
            name = node.target.id
            rows.append(
                (f"`{name}`", _JSON[ast.unparse(node.annotation).partition("[")[0]], words, _READERS.get(name, ""))
            )
    return _joined(
        "# run.json",
        _WRITTEN,
        "`inspector train` writes one beside every adapter, other trainers may: what is missing is not known, what is "
        "there is believed, more fields are left alone. Enough to group, compare and trace an adapter:",
        f"```json\n{json.dumps(_EXAMPLE, indent=2, ensure_ascii=False)}\n```",
        "`a0` is equal for adapters that began at the same A (any digest of it). Without `base_digest` and "
        "`base_weights` nobody notices that an adapter is run on another base than its own. A run's record is also "
        "that of its checkpoints, in `.checkpoints/checkpoint-N` or `checkpoint-N`.",
        "## Fields",
        _table(("field", "type", "", "read by"), rows),
    )


def _own_settings(name: str) -> str:
    of_all = METHODS[name].variants
    return "; ".join(
        (f"`variant={variant.name}`: " if len(of_all) > 1 else "")
        + ", ".join(f"`{s.name}`" for s in variant.settings())
        for variant in of_all
        if variant.settings()
    )


def _objectives(lines: Iterable[str]) -> Iterator[str]:
    """Headings two levels down, traps as quotations; formulas are indented already."""
    for line in filter(None, lines):
        if line.startswith("# "):
            yield f"##{line}"
        elif line.startswith("! "):
            yield f"> Trap: {_plain(line[2:])}"
        elif line.startswith("    "):
            yield line
        else:
            yield _plain(line)


def _blocks(lines: Iterable[str]) -> str:
    """A blank line between all but the lines of one formula."""
    text = ""
    for line in lines:
        formula = line.startswith("    ") and text.rpartition("\n")[2].startswith("    ")
        text += ("\n" if formula else "\n\n") + line
    return text.strip()


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "unset" if value in {None, ""} and not isinstance(value, bool) else str(value)


def commands() -> str:
    """Every command with its options; those of several commands, with the same words, once."""
    found = dict(_found(main.cli, click.Context(main.cli, info_name="inspector")))
    records = {name: _options(context) for name, context in found.items()}
    users: dict[tuple[str, str], list[str]] = {}
    for name, options in records.items():
        for record in options:
            users.setdefault(record, []).append(name)
    shared = {record: names for record, names in users.items() if len(names) > 2}
    text = [
        "# Commands",
        _WRITTEN,
        "`inspector COMMAND --help` prints the same; the man pages (`man inspector-analyze`) install with the wheel.",
        "## Exit codes",
        _table(("code", "of every command"), ((str(code), words) for code, words in _EXITS.items())),
        "## Options of several commands",
        _table(
            ("option", "", "of"),
            ((f"`{option}`", words, ", ".join(names)) for (option, words), names in shared.items()),
        ),
    ]
    for name, context in found.items():
        text += [f"## inspector {name}", f"`{_usage(context)}`{_also(records[name], shared)}"]
        text += _help(context.command.help or "")
        if own := [(f"`{option}`", words) for option, words in records[name] if (option, words) not in shared]:
            text.append(_table(("option", ""), own))
    return _joined(*text)


def _also(mine: Iterable[tuple[str, str]], shared: Container[tuple[str, str]]) -> str:
    others = ", ".join(f"`{record[0].split()[0]}`" for record in mine if record in shared)
    return f"; of [those above](#options-of-several-commands): {others}" if others else ""


def _found(group: click.Group, above: click.Context) -> Iterator[tuple[str, click.Context]]:
    for name, command in group.commands.items():
        real = command.real if isinstance(command, main.Lazy) else command
        context = click.Context(real, info_name=name, parent=above)
        yield context.command_path.partition(" ")[2], context
        if isinstance(real, click.Group):
            yield from _found(real, context)


def _options(context: click.Context) -> list[tuple[str, str]]:
    records = (p.get_help_record(context) for p in context.command.params if isinstance(p, click.Option))
    return [record for record in records if record is not None]


def _usage(context: click.Context) -> str:
    return " ".join((context.command_path, *context.command.collect_usage_pieces(context)))


def _help(text: str) -> Iterator[str]:
    """Paragraphs; what click prints as it stands are examples."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield "\n".join(("```sh elsewhere", *paragraph.splitlines()[1:], "```"))
        else:
            yield _plain(" ".join(paragraph.split()))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), *([_plain(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Markdown that shows this text; what stands between backticks is code."""
    parts = " ".join(text.split()).split("`")
    for n, part in enumerate(parts):
        special = r"\_*|<[" if n % 2 == 0 else "|"
        parts[n] = "".join(f"\\{letter}" if letter in special else letter for letter in part)
    return "`".join(parts)


def _joined(*blocks: str) -> str:
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


GUIDES: dict[str, Callable[[], str]] = {
    "definitions.md": definitions, "methods.md": methods, "commands.md": commands, "run-json.md": run_json,
}  # fmt: skip
OBJECTIVES = Path(str(files("inspector.study.metrics"))) / "objectives.md"
"""The inspector does not import the trainer: what it shows of the methods is written here too."""


def write(folder: Path = FOLDER) -> None:
    for name, made in GUIDES.items():
        (folder / name).write_text(made(), encoding="utf-8")
    OBJECTIVES.write_text(objectives(), encoding="utf-8")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
