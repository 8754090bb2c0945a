"""What stands in a file's place: folders, links, pipes, devices, names."""

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile import valid
from tests.hostile.case import CONFIG, ESCAPES, PAGE, POINTER, WEIGHTS, Case, write


def _instead(name: str, how: str, folder: Path) -> None:
    """Something that is not a file under the name of one."""
    valid.peft(folder)
    path = folder / name
    path.unlink()
    {
        "folder": path.mkdir,
        "pipe": partial(os.mkfifo, path),
        "link to itself": partial(path.symlink_to, path.name),
        "dangling link": partial(path.symlink_to, "nowhere"),
        "link to zeros": partial(path.symlink_to, "/dev/zero"),
        "link to a terminal": partial(path.symlink_to, "/dev/tty"),
        "link to the folder": partial(path.symlink_to, "."),
    }[how]()


def _named(name: str, content: bytes, folder: Path) -> Path:
    write(folder / name, content)
    return folder / name


def _pipe(name: str, folder: Path) -> Path:
    os.mkfifo(folder / name)
    return folder / name


def _loop(folder: Path) -> None:
    """Folders that hold themselves, and one adapter."""
    valid.peft(folder / "a")
    for n in range(20):
        (folder / f"loop{n}").symlink_to(".")
        (folder / "a" / f"up{n}").symlink_to("..")


def _nothing(folder: Path) -> None:
    write(folder / "README.md", "# " + ESCAPES)


def _called(name: str, folder: Path) -> Path:
    """A right adapter under this folder's name."""
    return valid.peft(folder / name)


def _mixed(folder: Path) -> None:
    """A right adapter beside broken ones."""
    valid.peft(folder / "good")
    for name, content in {"empty": b"", "page": PAGE, "pointer": POINTER}.items():
        valid.peft(folder / name)
        write(folder / name / WEIGHTS, content)
    for how in "pipe", "folder", "link to itself":
        _instead(WEIGHTS, how, folder / how)


def _run_json(folder: Path) -> None:
    valid.peft(folder)
    os.mkfifo(folder / "run.json")


def _socket(folder: Path) -> None:
    valid.peft(folder)
    (folder / WEIGHTS).unlink()
    os.mknod(folder / WEIGHTS, stat.S_IFSOCK | 0o600)


def cases() -> Iterator[Case]:
    for how in (
        "folder",
        "pipe",
        "link to itself",
        "dangling link",
        "link to zeros",
        "link to a terminal",
        "link to the folder",
    ):
        yield Case(
            f"place: weights a {how}", partial(_instead, WEIGHTS, how), 2, "a config without its weights|No adapter"
        )
        yield Case(f"place: config a {how}", partial(_instead, CONFIG, how), 0, "the scale of ΔW is unknown")
    yield Case("place: weights a socket", _socket, 2, "a config without its weights|No adapter")
    for name in "x.safetensors", "x.gguf", "x.npz", "x.pt", CONFIG, "study.json", "study.parquet":
        yield Case(f"place: a pipe {name}", partial(_pipe, name), 2, "neither a file nor a folder|not a study")
    for name in "x.safetensors", "x.gguf", "x.npz", "x.pt", "x.bin", WEIGHTS:
        for what, content in {
            "empty": b"",
            "a page": PAGE,
            "a pointer": POINTER,
            "noise": bytes(range(256)) * 8,
        }.items():
            yield Case(
                f"place: {name} {what}",
                partial(_named, name, content),
                2,
                "no adapter|not an adapter|is empty|web page|pointer|not a valid|pickle",
            )
    yield Case("place: folders that hold themselves", _loop, 0, "1 adapter", valid.norm())
    yield Case("place: no adapter", _nothing, 2, "No adapter in")
    yield Case("place: a right one among broken ones", _mixed, 3, "Git LFS pointer", valid.norm())
    yield Case("place: run.json a pipe", _run_json, 0, "‖ΔW‖", valid.norm())
    for name in (
        ESCAPES.replace("\x00", ""),
        "[red]q[/red]",
        "-rf",
        "a" * 250,
        "sft_lr9e999_s1",
        "a=b",
        "ключ_lr1e-4_s1",
    ):
        names = partial(_called, name.replace("/", "|"))
        yield Case(
            f"place: a folder called {name[:20].encode('ascii', 'backslashreplace').decode()}",
            names,
            0,
            "‖ΔW‖",
            valid.norm(),
        )
    nameless = partial(_called, "\udcff\udcfe")
    yield Case("place: a folder whose name is not a UTF-8", nameless, 2, "is not valid UTF-8")
