import re

import pytest

from lossgen.diagnostics.codes import CODES, Code, Severity
from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import read
from lossgen.frontend.schema import read_specs

EVERY = pytest.mark.parametrize("entry", CODES.values(), ids=lambda entry: entry.id)


@EVERY
def test_every_code_is_documented(entry: Code) -> None:
    assert re.fullmatch(r"LG[1-69]\d\d", entry.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.name)
    for text in (entry.summary, entry.why, entry.remedy):
        assert text.endswith(".")
        assert len(text) <= 90
    assert entry.example


def test_ids_and_names_are_unique_and_in_order() -> None:
    ids = list(CODES)
    assert ids == sorted(ids)
    assert len({entry.name for entry in CODES.values()}) == len(CODES)


def test_what_is_only_said_is_not_an_error() -> None:
    mild = {key for key, item in CODES.items() if item.severity is not Severity.ERROR}
    smoothness = {"LG402", "LG407", "LG408", "LG409", "LG411", "LG412"}
    assert mild == smoothness | {f"LG60{k}" for k in range(1, 6)} | {"LG611"}


# Those that need two specs, or a file that is no text, are shown elsewhere.
_READ = [key for key in CODES if key < "LG2" and key not in ("LG109", "LG110")]


@pytest.mark.parametrize("code", _READ)
def test_examples_of_yaml_faults_show_just_that_fault(code: str) -> None:
    report = Report()
    read_specs(read(SourceFile("example.yaml", CODES[code].example), report), report)
    assert [item.code.id for item in report] == [code]


_LATER = [key for key in CODES if "LG2" <= key < "LG5" or "LG6" <= key < "LG604"]


@pytest.mark.parametrize("code", _LATER)
def test_examples_of_later_faults_are_well_formed(code: str) -> None:
    report = Report()
    specs = read_specs(
        read(SourceFile("example.yaml", CODES[code].example), report), report
    )
    assert {item.code.id for item in report} <= {code}
    assert specs or code == "LG212"


def test_the_example_of_two_losses_of_one_name() -> None:
    report = Report()
    specs = read_specs(
        read(SourceFile("example.yaml", CODES["LG109"].example), report), report
    )
    assert list(report) == []
    assert len({spec.name.value for spec in specs}) == 1
    assert len(specs) == 2
