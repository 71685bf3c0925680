"""The example that documents a diagnostic shows just that diagnostic."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossgen.compiler import check_source
from lossgen.diagnostics.codes import CODES
from lossgen.diagnostics.source import SourceFile
from lossgen.driver import build as building
from lossgen.driver.discovery import Selection, SpecFile
from lossgen.driver.project import load_project

# Two specs and a file that is no text: only the driver finds these.
_OF_THE_DRIVER = ("LG109", "LG110")
_COMPILED = [code for code in CODES if code < "LG5" and code not in _OF_THE_DRIVER]


@pytest.mark.parametrize("code", _COMPILED)
def test_the_example_shows_the_code_and_no_other(code: str) -> None:
    source = SourceFile("example.yaml", CODES[code].example)
    found = [item for each in check_source(source) for item in each.diagnostics]
    assert {item.code.id for item in found} == {code}
    for item in found:
        assert item.severity is CODES[code].severity
        assert item.span is not None


def test_the_example_of_two_specs_of_one_name(tmp_path: Path) -> None:
    found = _checked(tmp_path, CODES["LG109"].example.encode())
    assert found == ["LG109", "LG109"]


def test_the_example_of_a_file_that_is_no_text(tmp_path: Path) -> None:
    assert "UTF-16" in CODES["LG110"].example
    found = _checked(tmp_path, "name: a\nloss: y_pred - y_true\n".encode("utf-16"))
    assert found == ["LG110"]


def _checked(folder: Path, content: bytes) -> list[str]:
    path = folder / "example.yaml"
    path.write_bytes(content)
    selection = Selection((SpecFile(path, path.name),), None)
    outcomes = building.check(load_project(folder), selection, jobs=1)
    return [item.code.id for outcome in outcomes for item in outcome.diagnostics]
