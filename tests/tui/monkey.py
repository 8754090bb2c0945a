"""Random keys, mouse events, pastes and resizes on the real app with its workers running; seeded.

`python -m tests.tui.monkey --events 10000 --seed 7` prints what was left behind, as JSON. It is a process of its own
because threads, memory and a stuck worker are the process's, and so that a hang ends in tracebacks of every thread.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import functools
import gc
import json
import os
import random
import string
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.screen import Screen
from textual.timer import Timer

from inspector.tui import shell
from inspector.tui.app import InspectorApp
from inspector.tui.tabs import TABS
from inspector.tui.views.trajectory import watcher

ACTIONS = InspectorApp([]).every_action
KEYS = [key for action in ACTIONS for key in action.keys.split()]
_EDITING = "up down left right enter escape tab shift+tab backspace delete home end ctrl+a ctrl+k ctrl+u ctrl+w"
_OTHERS = "ctrl+c ctrl+q ctrl+z ctrl+d ctrl+x ctrl+v f1 f5 insert shift+up shift+left ctrl+left ctrl+right"
EDITING, OTHERS = _EDITING.split(" "), _OTHERS.split(" ")
PRINTABLE = string.printable.strip() + " äΔ漢🙂\u0301"
PASTES = (
    "",
    "a/b:c",
    "x" * 5000,
    "two\nlines",
    "\x1b[31mred",
    "\x00",
    "~nobody/x.csv",
    "[bold]markup[/",
    "漢" * 40,
    "9" * 5000,
)
STUCK = 60.0


class Stage(InspectorApp):
    """The app, which counts the times it was left instead of leaving."""

    CSS_PATH = Path(shell.__file__).with_name("app.tcss")
    left, curtain = 0, False

    def exit(self, *args: Any, **more: Any) -> None:
        self.left += 1
        if self.curtain:
            super().exit(*args, **more)

    def action_suspend_process(self) -> None:
        """A headless driver cannot be suspended; a real terminal is another test's."""


class Monkey:
    """Draws bursts of events; `recent` are the last ones, to be read after a failure."""

    def __init__(self, app: Stage, pilot: Any, folder: Path, seed: int) -> None:
        self.app, self.pilot, self.folder, self.random = app, pilot, folder, random.Random(seed)
        self.sent, self.recent = 0, deque(maxlen=40)
        self.size, self.mounted = (80, 24), len(app._registry)

    def send(self, event: Any, shown: str) -> None:
        """As the driver of a terminal sends it."""
        event.set_sender(self.app)
        self.app._driver.process_message(event)
        self.sent += 1
        self.recent.append(shown)

    def press(self, *keys: str) -> None:
        for key in keys:
            if len(key) == 1:
                self.send(events.Key(key if key.isalnum() else _character_to_key(key), key), key)
            else:
                self.send(events.Key(key, {"space": " ", "enter": "\r", "tab": "\t"}.get(key)), key)

    def paste(self, text: str) -> None:
        self.send(events.Paste(text), f"paste {text[:20]!r}")

    def resize(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.app._driver._size = self.size
        self.send(events.Resize(Size(width, height), Size(width, height)), f"resize {width}x{height}")

    def mouse(self, kind: type[events.MouseEvent], x: int, y: int, button: int) -> None:
        event = kind(None, x, y, 0, 0, button, False, False, False, x, y)
        self.send(event, f"{kind.__name__} {x},{y} {button}")

    async def anything(self) -> None:
        """One thing a user may do next."""
        pick, deeds = self.random, (self._action, self._edit, self._type, self._paste, self._point, self._resize)
        if pick.random() < 0.06:
            await pick.choices([self._open, self._export, self._ask, self._walk], [4, 2, 2, 1])[0]()
        else:
            pick.choices(deeds, [60, 14, 10, 1, 8, 2])[0]()

    def _action(self) -> None:
        self.press(self.random.choice(KEYS))

    def _edit(self) -> None:
        self.press(self.random.choice(EDITING if self.random.random() < 0.9 else OTHERS))

    def _type(self) -> None:
        self.press(*(self.random.choice(PRINTABLE) for _ in range(self.random.randint(1, 4))))

    def _paste(self) -> None:
        self.paste(self.random.choice(PASTES))

    def _resize(self) -> None:
        size = (self.random.randint(20, 200), self.random.randint(5, 60))
        self.resize(*self.random.choice([size, size, (20, 5), (80, 24), (200, 60), (60, 15)]))

    def _point(self) -> None:
        x, y = self.random.randrange(self.size[0]), self.random.randrange(self.size[1])
        kinds = [events.MouseMove, events.MouseScrollUp, events.MouseScrollDown, events.MouseDown]
        kind = self.random.choice(kinds)
        self.mouse(kind, x, y, int(kind is events.MouseDown))
        if kind is events.MouseDown:
            self.mouse(events.MouseUp, x, y, 1)

    async def _dialog(self, keys: Sequence[str], text: str) -> None:
        """Out of whatever is open, into a dialog, its line replaced by a text, entered."""
        self.press("escape", "escape", *keys)
        await self.pilot._wait_for_screen(STUCK)
        self.press("ctrl+u")
        await self.pilot._wait_for_screen(STUCK)
        self.paste(text)
        self.press("enter")

    async def _open(self) -> None:
        sources = ["set", "set", "set", "set/a", "set/b", "broken", "nowhere", "study.json", "~nobody/x", "."]
        await self._dialog(["o"], str(self.folder / self.random.choice(sources)))

    async def _export(self) -> None:
        names = ["view.csv", "view.txt", "study.json", "study.parquet", "no/where.csv", "~nobody/x.csv", "x" * 300]
        await self._dialog([self.random.choice(list(TABS)), "e"], self.random.choice(names))
        await self.pilot._wait_for_screen(STUCK)
        self.press("y")

    async def _ask(self) -> None:
        keys, texts = self.random.choice([("r", ["new", "a", "Δ漢"]), ("8c", ["demo", "no.yaml", "~nobody/x.yaml"])])
        await self._dialog(keys, self.random.choice(texts))

    async def _walk(self) -> None:
        """What needs several keys in a row: the base, the palette, other angles and back."""
        label = self.random.choice(ACTIONS).label[:6]
        walks = [
            (self.random.choice("16"), "v", "p", "enter"),
            ("ctrl+p", *label, "enter"),
            (*"44++--", "escape"),
            (*"2/", "a", "enter"),
            "P",
        ]
        self.press("escape", "escape", *self.random.choice(walks))


@contextlib.contextmanager
def adapters(folder: Path) -> Iterator[list[str]]:
    """Three adapters that fit a tiny base, a broken one, and a training."""
    from tests.base_model.tiny_model import saved_adapter, saved_base
    from tests.makers import write_random
    from tests.trajectory.training import trained

    base = saved_base(folder / "base")
    names = [str(saved_adapter(folder / "set" / name, seed, base=str(base))) for seed, name in enumerate("abc")]
    broken = write_random(folder / "broken") / "adapter_model.safetensors"
    broken.write_bytes(broken.read_bytes()[:100])
    trained(folder / "runs" / "sft", 10, 20)
    trained(folder / "runs" / "dpo", 10, 20, seed=1, done=True)
    here = Path.cwd()
    (folder / "cwd").mkdir()
    os.chdir(folder / "cwd")
    yield names
    os.chdir(here)


def swept() -> list[Any]:
    """Every object that something but Textual's and rich's caches holds: those are bounded, and never emptied."""
    for found in gc.get_objects():
        if type(found) is functools._lru_cache_wrapper and str(found.__module__).startswith(("textual", "rich")):
            found.cache_clear()
    gc.collect()
    return gc.get_objects()


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def unharmed(app: Stage) -> None:
    if app._exception is not None:
        raise app._exception


async def until(app: Stage, condition: Callable[[], bool], what: str) -> None:
    """Wait; a stuck app fails in words."""
    started = time.monotonic()
    while not condition():
        unharmed(app)
        if time.monotonic() - started > STUCK:
            faulthandler.dump_traceback(sys.__stderr__)
            raise TimeoutError(
                f"still not {what} after {STUCK:.0f} s: {app.progress} {list(app.workers)} {app.log_lines[-3:]}"
            )
        await asyncio.sleep(0.02)


async def settled(app: Stage, monkey: Monkey) -> None:
    """No dialog, no work: the app as it stands when it is left alone."""
    monkey.resize(80, 24)
    while len(app.screen_stack) > 1:
        before = len(app.screen_stack)
        monkey.press("escape")
        await until(app, lambda before=before: len(app.screen_stack) < before, "out of its dialogs")
    monkey.press("escape")
    await monkey.pilot._wait_for_screen()
    await until(app, lambda: len(app._registry) <= monkey.mounted, "rid of its dialogs")
    await until(
        app, lambda: app.progress is None and all(w.group == "watch" for w in app.workers), "done with its work"
    )
    await monkey.pilot._wait_for_screen()


def census(app: Stage, monkey: Monkey) -> dict[str, int]:
    """What must not grow."""
    objects = swept()
    kinds = [type(found) for found in objects]
    return {
        "events": monkey.sent,
        "mounted": len(app._registry),
        "screens": sum(issubclass(kind, Screen) for kind in kinds),
        "timers": sum(issubclass(kind, Timer) for kind in kinds),
        "workers": sum(worker.group != "watch" for worker in app.workers),
        "adapters": len(app.state.study.adapters),
        "objects": len(objects),
        "resident": resident(),
    }


async def play(app: Stage, folder: Path, seed: int, count: int) -> dict[str, Any]:
    """The whole performance; the state of things after each quarter."""
    counts = []
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        monkey = Monkey(app, pilot, folder, seed)
        try:
            await until(app, lambda: app.complete and bool(app.state.study.blocks) and app.progress is None, "measured")
            counts.append(census(app, monkey))
            for quarter in range(1, 5):
                while monkey.sent < count * quarter / 4:
                    for _ in range(monkey.random.randint(1, 8)):
                        await monkey.anything()
                    faulthandler.dump_traceback_later(2 * STUCK, exit=True, file=sys.__stderr__)
                    await pilot._wait_for_screen(STUCK)
                    unharmed(app)
                    if monkey.random.random() < 0.1:
                        await asyncio.sleep(0.05)  # workers get on
                await settled(app, monkey)
                counts.append(census(app, monkey))
            monkey.press("2")
            await until(app, lambda: app.state.view == "map", "answering")
            app.curtain = True
            monkey.press("q")
            await until(app, lambda: app._exit, "left by q")
        except BaseException:
            print("last events:", " ".join(monkey.recent), file=sys.__stderr__)
            traceback.print_exc(file=sys.__stderr__)
            raise
    return {"counts": counts, "left": app.left, "bad": sum(tone == "bad" for _, tone in app.log_lines)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--watch", action="store_true", help="watch a training too")
    asked = parser.parse_args()
    watcher.EVERY = 0.1
    with tempfile.TemporaryDirectory() as name, adapters(Path(name)) as sources:
        before = [thread.name for thread in threading.enumerate()]
        app = Stage(sources, watch=[str(Path(name) / "runs")] if asked.watch else ())
        started = time.monotonic()
        found = asyncio.run(play(app, Path(name), asked.seed, asked.events))
        found["seconds"] = round(time.monotonic() - started, 1)
        found["threads"] = [t.name for t in threading.enumerate() if t.name not in before]
        found["files"] = sorted(p.name for p in Path.cwd().iterdir() if p.name.endswith(".part") or p.name[0] == ".")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
