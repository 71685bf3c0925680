import io
import sys
import time
from collections.abc import Iterator

import pytest

from lossgen.driver import progress
from lossgen.driver.progress import track

NAMES = ["specs/a.yaml", "specs/[b].yaml"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def slow(terminal: io.StringIO) -> Iterator[str]:
    """Items that each take until the terminal names them."""
    give_up = time.monotonic() + 20
    for name in NAMES:
        while name not in terminal.getvalue() and time.monotonic() < give_up:
            time.sleep(0.01)
        yield name


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, patience: float = 1.0) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_PATIENCE", patience)
    return stream


def test_elsewhere_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("ab"), NAMES)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_what_is_quick_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    assert list(track(iter("ab"), NAMES)) == ["a", "b"]
    assert terminal.getvalue() == ""


def test_the_spec_that_is_awaited_is_named_before_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_a_terminal(monkeypatch, 0.01)
    for name in track(slow(terminal), NAMES):
        assert name in terminal.getvalue()
