"""`make man`: the man pages in assets/man, from the commands themselves."""

import re
import sys
from pathlib import Path

import click
from click_man.core import generate_man_page

from inspector import __version__
from inspector.cli.main import Lazy, cli

FOLDER = Path(__file__).parent.parent / "assets" / "man"


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    top = click.Context(cli, info_name="inspector")
    made = {"inspector.1": _page(top)}
    for name, command in cli.commands.items():
        real = command.real if isinstance(command, Lazy) else command
        made[f"inspector-{name}.1"] = _page(click.Context(real, info_name=name, parent=top))
    return made


def _page(context: click.Context) -> str:
    """Without a date: the pages change with the commands alone."""
    text = generate_man_page(context, version=__version__, date="DATE")
    return re.sub(r'"DATE"', '""', text).rstrip() + "\n"


def write(folder: Path = FOLDER) -> None:
    """Every page, and no page of a command that is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in set(folder.glob("*.1")) - {folder / name for name in made}:
        old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
