import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lossgen.driver.build import BuildMode, build, check
from lossgen.driver.discovery import find_specs
from lossgen.driver.formats import Format
from lossgen.driver.outcome import KinkRecord, Outcome, PropertyRecord
from lossgen.driver.project import Project
from lossgen.driver.report import report_build, report_catalogue, report_check

AddSpec = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def outcome(add_spec: AddSpec, project: Project, compile_one) -> Outcome:
    add_spec("mae", "note")
    (found,) = check(project, find_specs(project), compile_one=compile_one)
    return replace(
        found,
        verdict="continuous",
        kinks=(KinkRecord("y_pred = y_true", "-1", "1", 1),),
        properties=(
            PropertyRecord("convex", "proved", None),
            PropertyRecord("mean_consistent", "refuted", "a witness"),
        ),
    )


def test_json_has_the_documented_names(outcome: Outcome, capsys: Capture) -> None:
    report_check((outcome,), Format.JSON)
    data = json.loads(capsys.readouterr().out)
    (record,) = data["specs"]
    (finding,) = record.pop("diagnostics")
    assert record == {
        "spec": "specs/mae.yaml",
        "name": "mae",
        "verdict": "continuous",
        "kinks": [{"at": "y_pred = y_true", "left": "-1", "right": "1"}],
        "properties": {"convex": "proved", "mean_consistent": "refuted"},
    }
    place = {"line": 1, "column": 7, "end_line": 1, "end_column": 10}
    expected = {"code": "LG402", "name": "kink", "severity": "note", **place}
    assert expected.items() <= finding.items()
    assert {"message", "help"} <= finding.keys()


def test_check_prints_notes_and_the_certificate(
    outcome: Outcome, capsys: Capture
) -> None:
    report_check((outcome,), Format.TEXT)
    out = capsys.readouterr().out
    assert "note[LG402]: a note\n" in out
    assert "mae (specs/mae.yaml): continuous\n" in out
    assert "  kink at y_pred = y_true: derivative -1 before, 1 after\n" in out
    assert "  proved: convex\n  refuted: mean_consistent\n" in out
    assert out.endswith("1 spec: 1 continuous\n")


def test_github_annotations_alone(outcome: Outcome, capsys: Capture) -> None:
    report_check((outcome,), Format.GITHUB)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("::notice file=specs/mae.yaml,line=1,")


@pytest.fixture
def built(add_spec: AddSpec, project: Project, compile_one):
    def run(mode: BuildMode, format_: Format = Format.TEXT, **keys: bool) -> None:
        result = build(project, find_specs(project), mode, compile_one=compile_one)
        report_build(result, mode, format_, **keys)

    add_spec("a", "note warning")
    return run


def test_build_keeps_notes_to_itself(built, capsys: Capture) -> None:
    built(BuildMode())
    out = capsys.readouterr().out
    assert "warning[LG407]" in out
    assert "note[LG402]" not in out
    assert out.endswith("1 spec: 2 created; 1 warning\n")
    built(BuildMode())
    assert capsys.readouterr().out.endswith("1 spec: 2 unchanged; 1 warning\n")


def test_drift_is_a_line_each(built, capsys: Capture) -> None:
    built(BuildMode(check=True))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "error[LG504]: generated/a.py is missing; run `lossgen build`",
        "error[LG504]: generated/test_a.py is missing; run `lossgen build`",
        "1 spec: 2 missing; 2 errors, 1 warning",
    ]


def test_orphans_are_mentioned(built, folder: Path, capsys: Capture) -> None:
    built(BuildMode())
    (folder / "specs" / "a.yaml").unlink()
    capsys.readouterr()
    built(BuildMode())
    out = capsys.readouterr().out
    assert "orphan: generated/a.py, once from specs/a.yaml (--prune removes it)" in out
    assert out.endswith("0 specs: 2 orphaned\n")


def test_a_diff_has_the_output_to_itself(built, capsys: Capture) -> None:
    built(BuildMode(dry=True), with_diff=True)
    captured = capsys.readouterr()
    assert captured.out.startswith("--- /dev/null\n+++ b/generated/a.py\n")
    assert "warning" in captured.err
    assert captured.err.endswith("1 spec: 2 to create; 1 warning\n")


def test_build_as_json(built, capsys: Capture) -> None:
    built(BuildMode(check=True), Format.JSON)
    data = json.loads(capsys.readouterr().out)
    assert data["files"][0] == {"path": "generated/a.py", "state": "create"}
    assert [item["code"] for item in data["diagnostics"]] == ["LG504"] * 2
    assert data["specs"][0]["name"] == "a"
    built(BuildMode(dry=True), Format.JSON, with_diff=True)
    assert "+++ b/generated/a.py" in json.loads(capsys.readouterr().out)["diff"]


def test_catalogue_in_columns(outcome: Outcome, capsys: Capture) -> None:
    other = replace(outcome, spec="robust/x.yaml", name="x", properties=())
    report_catalogue((outcome, other), Format.TEXT)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["mae", "specs", "continuous", "convex"]
    assert lines[1].split() == ["x", "robust", "continuous"]


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_colour_on_a_terminal(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    report_check((outcome,), Format.TEXT)
    assert ("\x1b[" in terminal.getvalue()) == coloured
