"""The one line that a command rewrites while it works."""

import os

import pytest

from inspector.common import console

LINE = "part 1 of 2: loss 0.3·offline-grpo + 0.7·online-dapo · 1,234 tokens/s · about 4:10 min left"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, f"{LINE} (25 %)"),
        (80, "part 1 of 2: loss 0.3·offline-gr… · 1,234 tokens/s · about 4:10 min left (25 %)"),
        (30, "part 1 of 2: loss 0.3·offlin…"),
    ],
)
def test_a_line_longer_than_the_terminal_keeps_its_end(monkeypatch, capsys, columns, shown):
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(console.shutil, "get_terminal_size", lambda *_, **_k: os.terminal_size((columns, 24)))
    console.Progress()(LINE, 1, 4)
    written = capsys.readouterr().err
    assert written == f"\r\033[K{shown}"
    assert len(shown) < columns


def test_what_began_to_be_counted_in_a_pipe_is_counted_to_its_end(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    tell = console.Progress()
    for seconds, done in ((11, 1), (1, 2), (1, 3), (1, 3)):  # then the same of something short
        now[0] += seconds
        tell(f"{done}/3 modules", done, 3)
    assert capsys.readouterr().err == "1/3 modules (33 %)\n3/3 modules (100 %)\n"
