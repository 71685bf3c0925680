import os
import subprocess
import sys

import pytest

from lossgen.diagnostics.diagnostic import SpecError, diagnostic
from lossgen.driver.boundary import exit_code, guard
from lossgen.driver.discovery import UsageError
from lossgen.driver.formats import Format


def raising(error: BaseException):
    def action() -> int:
        raise error

    return action


def test_exit_codes_pass_through() -> None:
    assert [guard(lambda: 0), guard(lambda: 1)] == [0, 1]


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard(raising(UsageError("no such file: x"))) == 2
    assert capsys.readouterr().err == "lossgen: no such file: x\n"


def test_unusable_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    error = SpecError([diagnostic("LG506", "bad", path="lossgen.toml")])
    assert guard(raising(error)) == 2
    assert "error[LG506]: bad\n" in capsys.readouterr().err
    assert guard(raising(error), Format.JSON) == 2
    assert '"code": "LG506"' in capsys.readouterr().out


def test_interrupt() -> None:
    assert guard(raising(KeyboardInterrupt())) == 130


def test_fault_says_what_to_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOSSGEN_DEBUG", raising=False)
    assert guard(raising(ValueError("y"))) == 70
    err = capsys.readouterr().err
    assert err.startswith("error[LG901]: ValueError: y\n  = in guard (driver/boundary.")
    assert "sympy" in err
    assert "Traceback" not in err


def test_a_fault_weighs_more_than_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """What to report is said once, whatever the number of specs."""
    error, warning = diagnostic("LG203", "x"), diagnostic("LG407", "x")
    found = [diagnostic("LG901", "ValueError: y"), error, diagnostic("LG901", "z")]
    assert [exit_code(item) for item in ([], [warning], [warning, error])] == [0, 0, 1]
    assert capsys.readouterr().err == ""
    assert exit_code(found) == 70
    assert capsys.readouterr().err.count("Please report it") == 1


def test_traceback_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSGEN_DEBUG", "1")
    assert guard(raising(ValueError("y"))) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE")
def test_broken_pipe_is_quiet() -> None:
    script = (
        "from lossgen.cli import main; import sys; sys.argv[1:] = ['explain']; main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")
