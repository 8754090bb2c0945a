"""A real terminal: what the app leaves behind when it is stopped, hung up on, killed, or out of disk."""

import json

import pytest

from tests.makers import write_random
from tests.tui.terminal import Terminal

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
sys.exit(InspectorApp(study=make_study(3, layers=4)).run_to_end())
"""
BUSY = """
import sys, threading, time
from inspector.tui import workers
def open_all(*rest):
    rest[-2](workers.Progress(rest[-3], "opening for ever"))
    while not rest[-1]():
        time.sleep(0.05)
workers.open_all = open_all
from inspector.tui.app import InspectorApp
sys.exit(InspectorApp(["somewhere"]).run_to_end())
"""


@pytest.fixture
def state(tmp_path):
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def saved(tmp_path) -> dict:
    """The session left behind, and nothing half-written beside it."""
    (found,) = (tmp_path / "state" / "adapter-inspector").iterdir()
    return json.loads(found.read_text())


def answers(terminal: Terminal, keys: str, words: str) -> None:
    """Keys are followed by these words on the screen, which were not there before."""
    assert words not in terminal.text
    terminal.type(keys)
    terminal.shows(words)


def stop(terminal: Terminal, how) -> None:
    how()
    terminal.until(lambda: terminal.stopped, 60)
    terminal.read(0.2)


def go_on(terminal: Terminal, *words: str) -> None:
    """Continued: the app takes the terminal and paints all of it again."""
    terminal.screen.reset()  # what the shell wrote meanwhile
    terminal.signal("SIGCONT")
    terminal.shows(*words)
    assert not terminal.cooked
    assert terminal.modes[1049]
    assert not terminal.modes[25]


@pytest.mark.parametrize(("key", "tab"), [("3", "[3 Layers]"), ("8", "[8 Claims]")])
def test_without_sources_it_opens_where_one_was(state, key, tab):
    """A set of claims that is remembered is not a request to see it."""
    for words, keys in ((["demo"], key), ([], "")):
        with Terminal("-m", "inspector", *words, **state) as terminal:
            terminal.shows("quit", "11 adapters")
            terminal.until(lambda: not {"loading", "Reading"} & set(terminal.text.split()), 60)
            terminal.type(keys)
            terminal.shows(tab)
            terminal.type("q")
            assert terminal.process.wait(60) == 0


@pytest.mark.parametrize("how", ["ctrl+z", "ctrl+z in a dialog", "SIGTSTP"])
def test_suspended_it_lends_the_terminal_to_the_shell(state, how):
    with Terminal("-c", PROGRAM, **state) as terminal:
        terminal.shows("run_2", "quit")
        if "dialog" in how:
            answers(terminal, "o", "Open a path")
        for _ in range(2):
            stop(terminal, lambda: terminal.type("\x1a") if "ctrl" in how else terminal.signal(how))
            terminal.assert_left_in_order()
            go_on(terminal, "Open a path" if "dialog" in how else "run_2", "quit")
        if "dialog" in how:
            terminal.type("\x1b")
            terminal.until(lambda: "Open a path" not in terminal.text)
        answers(terminal, "vv", "size and rank")
        terminal.type("q")
        assert terminal.process.wait(60) == 0
        terminal.assert_left_in_order()


def test_stopped_without_a_warning_it_still_leaves_in_order(state):
    with Terminal("-c", PROGRAM, **state) as terminal:
        terminal.shows("run_2", "quit")
        stop(terminal, lambda: terminal.signal("SIGSTOP"))
        go_on(terminal, "run_2", "quit")
        answers(terminal, "vv", "size and rank")
        terminal.type("q")
        assert terminal.process.wait(60) == 0
        terminal.assert_left_in_order()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_it_in_order(state, tmp_path, name):
    with Terminal("-c", PROGRAM, **state) as terminal:
        terminal.shows("run_2", "quit")
        answers(terminal, "vv", "size and rank")
        terminal.signal(name)
        code = terminal.process.wait(60)
        terminal.assert_left_in_order()
        assert b"Traceback" not in terminal.written
    if name != "SIGINT":
        assert code == 130
        assert saved(tmp_path)["view"] == "size"


@pytest.mark.parametrize("flood", [False, True])
def test_a_closed_window_ends_it(state, tmp_path, flood):
    """Also in the middle of painting: what cannot be written any more must not be waited for."""
    with Terminal("-c", PROGRAM, **state) as terminal:
        terminal.shows("run_2", "quit")
        answers(terminal, "vv", "size and rank")
        if flood:
            terminal.type("]2]345" * 60 + "5")
        terminal.lose()
        terminal.process.wait(60)
    assert saved(tmp_path)["adapters"][0][0] == "run_0"


def test_a_closed_window_ends_it_where_nobody_hears_of_it(state, tmp_path):
    """nohup: no SIGHUP arrives, and the end of file of a terminal that is gone would be read for ever."""
    shell = f"""
import signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.exit(subprocess.call([sys.executable, "-c", {PROGRAM!r}]))
"""
    with Terminal("-c", shell, **state) as terminal:
        terminal.shows("run_2", "quit")
        terminal.lose()
        terminal.process.wait(60)
    assert saved(tmp_path)["adapters"][0][0] == "run_0"


def test_continued_while_it_leaves_it_leaves(state):
    """A closed window sends SIGCONT after SIGHUP: it may come when the terminal was given back already."""
    late = """
import os, signal
from inspector.tui import terminal
class Late(terminal.TerminalDriver):
    def stop_application_mode(self):
        super().stop_application_mode()
        os.kill(os.getpid(), signal.SIGCONT)
terminal.TerminalDriver = Late
"""
    with Terminal("-c", late + PROGRAM, **state) as terminal:
        terminal.shows("run_2", "quit")
        terminal.type("q")
        terminal.until(lambda: terminal.process.poll() is not None, 60)
        terminal.assert_left_in_order()


@pytest.mark.parametrize("how", ["q", "close", "SIGTERM"])
def test_work_in_progress_does_not_keep_it(state, how):
    with Terminal("-c", BUSY, **state) as terminal:
        terminal.shows("opening for ever")
        if how == "q":
            terminal.type("q")
        elif how == "close":
            terminal.lose()
        else:
            terminal.signal(how)
        terminal.process.wait(60)


FULL = """
import errno, os, pathlib, resource, signal, sys
from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(InspectorApp(study=make_study(5, layers=30)).run_to_end())
"""


@pytest.mark.parametrize("name", ["study.json", "study.parquet", "map.csv", "map.txt"])
def test_a_full_disk_leaves_a_message_and_the_old_file(state, tmp_path, name):
    """Every write beyond 4 KiB of a file fails, as on a full disk; the session itself is smaller."""
    here = tmp_path / "here"
    here.mkdir()
    old = here / name
    old.write_bytes(b"the old one")
    code = FULL if "study" in name else FULL.replace("4096", "64")
    with Terminal("-c", code, cwd=here, **state) as terminal:
        terminal.shows("run_2", "quit")
        answers(terminal, "2e", "Write to")
        terminal.type("\x05\x15")
        terminal.until(lambda: "map.csv" not in terminal.text)
        answers(terminal, name, name)
        answers(terminal, "\r", "Overwrite it?")
        answers(terminal, "y", "Cannot write")
        answers(terminal, "1vv", "size and rank")
        terminal.type("q")
        assert terminal.process.wait(60) == 0
        terminal.assert_left_in_order()
    assert [p.name for p in here.iterdir()] == [name]
    assert old.read_bytes() == b"the old one"


def test_a_full_disk_keeps_the_old_session(state, tmp_path):
    folder = tmp_path / "state" / "adapter-inspector"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text('{"view": "map"}')
    with Terminal("-c", FULL.replace("4096", "64"), **state) as terminal:
        terminal.shows("run_2", "quit")
        terminal.type("5q")
        assert terminal.process.wait(60) == 0
        terminal.assert_left_in_order()
    assert [p.name for p in folder.iterdir()] == ["session.json"]
    assert (folder / "session.json").read_text() == '{"view": "map"}'


def test_on_a_dumb_terminal_it_prints_tables_and_rewrites_nothing(state, tmp_path):
    adapter = write_random(tmp_path / "one")
    with Terminal("-m", "inspector", str(adapter), TERM="dumb", **state) as terminal:
        terminal.until(lambda: terminal.process.poll() is not None)
        terminal.read()
        assert terminal.process.returncode == 0
        assert b"all healthy" in terminal.written
        assert b"\x1b" not in terminal.written


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_without_one_of_its_streams_it_prints_tables(state, tmp_path, stream):
    """`inspector ADAPTER >&-`: no app that nobody sees, no traceback, no hang."""
    adapter = write_random(tmp_path / "one")
    code = f"""
import os, sys
os.close({stream})
os.execv(sys.executable, [sys.executable, "-m", "inspector", {str(adapter)!r}])
"""
    with Terminal("-c", code, **state) as terminal:
        terminal.until(lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 0
        assert b"Error" not in terminal.written
        assert (b"all healthy" in terminal.written) == (stream != 1)
        terminal.assert_left_in_order()
