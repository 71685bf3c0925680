import sys

import pytest

from lossgen.driver import progress
from lossgen.driver.progress import track


@pytest.mark.parametrize("terminal", [False, True])
def test_items_pass_through(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(track(iter("abc"), 3)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert bool(captured.err) == terminal
