"""``defaults`` of the configuration: checked like keys of a spec, and in effect."""

import json
from pathlib import Path

import pytest
from commandline import run_lossgen

import lossgen
from lossgen.backend.header import read_header
from lossgen.driver.project import load_project

MAE = "name: my_mae\nloss: abs(y_pred - y_true)\n"
NLL = (
    "name: nll\nloss: y_pred - y_true*log(y_pred)\n"
    "y_true: nonnegative\ny_pred: positive\n"
)
HINGE = "name: hinge\nloss: relu(1 - y_true*y_pred)\ny_true: sign\n"


def faults(folder: Path, text: str, file: str = "lossgen.toml") -> list[str]:
    (folder / file).write_text(text)
    with pytest.raises(lossgen.SpecError) as caught:
        load_project(folder)
    return [
        f"{item.code.id} {item.file}:{item.span.first[0]}:{item.span.first[1]} "
        f"{item.message}"
        for item in caught.value.diagnostics
        if item.span
    ]


def test_every_default_is_read(tmp_path: Path) -> None:
    (tmp_path / "lossgen.toml").write_text(
        '[defaults]\nsmoothness = "C1"\nepsilon = 1e-7\nproperties = "convex"\n'
        '[defaults.allow]\nLG407 = "flat on purpose"\n'
    )
    defaults = load_project(tmp_path).defaults
    assert (defaults.smoothness, defaults.epsilon) == ("C1", 1e-7)
    assert [item.value for item in defaults.properties] == ["convex"]
    assert [(code.value, why) for code, why in defaults.allow] == [
        ("LG407", "flat on purpose")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[defaults]\nepsilon = 2\n",
            "LG105 lossgen.toml:2:11 "
            "`epsilon` must be a number between 0 and 1, not the number 2",
        ),
        (
            'defaults = {smoothness = "C2"}\n',
            "LG103 lossgen.toml:1:26 `smoothness` takes no `C2`",
        ),
        (
            '[defaults]\nproperties = ["convex",\n  "convexx"]\n',
            "LG103 lossgen.toml:3:3 an entry of `properties` takes no `convexx`",
        ),
        (
            '[defaults]\nallow.LG301 = "no"\n',
            "LG103 lossgen.toml:2:1 LG301 is an error: "
            "only warnings and notes can be allowed",
        ),
        (
            "[defaults]\nepsilon = nan\n",
            "LG105 lossgen.toml:2:11 "
            "`epsilon` must be a number between 0 and 1, not the number nan",
        ),
        (
            '[defaults]\nname = "x"\n',
            "LG103 lossgen.toml:2:1 unknown key `name` in `defaults`",
        ),
        (
            "[defaults]\nsmoothness = 1979-05-27 07:32:00\n",
            "LG103 lossgen.toml:2:14 `smoothness` takes no `1979-05-27 07:32:00`",
        ),
        (
            "defaults = 3\n",
            "LG506 lossgen.toml:1:1 `defaults` must be a table",
        ),
    ],
)
def test_faults_are_those_of_a_spec(tmp_path: Path, text: str, expected: str) -> None:
    assert faults(tmp_path, text) == [expected]


def test_all_faults_at_once_in_a_shared_file(tmp_path: Path) -> None:
    text = (
        "[project]\nname = 'x'\n[tool.lossgen]\nout = 'o'\n\n"
        "[tool.lossgen.defaults]\nepsilon = 0\nsmothness = 'C1'\n"
    )
    assert faults(tmp_path, text, "pyproject.toml") == [
        "LG105 pyproject.toml:7:11 "
        "`epsilon` must be a number between 0 and 1, not the number 0",
        "LG103 pyproject.toml:8:1 unknown key `smothness` in `defaults`",
    ]


def test_a_fault_is_shown_with_carets(folder: Path) -> None:
    (folder / "lossgen.toml").write_text("[defaults]\nsmothness = 'C1'\n")
    done = run_lossgen("check", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == (
        "error[LG103]: unknown key `smothness` in `defaults`\n"
        "  --> lossgen.toml:2:1\n"
        "   |\n"
        " 2 | smothness = 'C1'\n"
        "   | ^^^^^^^^^\n"
        "   = help: did you mean `smoothness`?\n\n"
    )


def test_smoothness_holds_for_all_but_those_that_say_so(folder: Path) -> None:
    (folder / "lossgen.toml").write_text('[defaults]\nsmoothness = "C1"\n')
    (folder / "specs" / "a.yaml").write_text(MAE)
    (folder / "specs" / "b.yaml").write_text(
        MAE.replace("my_mae", "kinked") + "smoothness: continuous\n"
    )
    done = run_lossgen("check", "--format", "json", cwd=folder)
    verdicts = {
        item["name"]: [each["code"] for each in item["diagnostics"]]
        for item in json.loads(done.stdout)["specs"]
    }
    assert "LG405" in verdicts["my_mae"]
    assert verdicts["kinked"] == ["LG402"]
    assert run_lossgen("build", cwd=folder).returncode == 1
    assert (folder / "generated" / "kinked.py").exists()
    assert not (folder / "generated" / "my_mae.py").exists()
    assert run_lossgen("show", "specs/a.yaml", cwd=folder).returncode == 1
    with pytest.raises(lossgen.SpecError):
        lossgen.load("specs/a.yaml")
    with pytest.raises(lossgen.SpecError):
        lossgen.compile("specs/a.yaml")


def test_epsilon_and_the_hash(folder: Path) -> None:
    (folder / "nll.yaml").write_text(NLL)
    (folder / "own.yaml").write_text(f"{NLL}epsilon: 0.5\n")
    plain = lossgen.compile("nll.yaml").artifacts[0].text
    assert "1e-18" in plain
    (folder / "lossgen.toml").write_text("defaults.epsilon = 0.125\n")
    given = lossgen.compile("nll.yaml").artifacts[0].text
    assert "0.125" in given
    own = lossgen.compile("own.yaml").artifacts[0].text
    assert "0.125" not in own
    assert "0.5" in own
    headers = [read_header(plain), read_header(given)]
    assert None not in headers
    assert len({item.inputs_hash for item in headers if item}) == 2


def test_allow_silences_and_properties_are_claimed(folder: Path) -> None:
    (folder / "hinge.yaml").write_text(HINGE)
    codes = {item.code.id for item in lossgen.compile("hinge.yaml").diagnostics}
    assert "LG407" in codes
    (folder / "lossgen.toml").write_text('defaults.allow.LG407 = "the margin"\n')
    codes = {item.code.id for item in lossgen.compile("hinge.yaml").diagnostics}
    assert "LG407" not in codes
    (folder / "hinge.yaml").write_text(HINGE.replace("y_pred)", "y_pred) - 1"))
    (folder / "lossgen.toml").write_text('defaults.properties = ["nonnegative"]\n')
    with pytest.raises(lossgen.SpecError) as caught:
        lossgen.compile("hinge.yaml")
    (refuted,) = [
        item for item in caught.value.diagnostics if item.severity.value == "error"
    ]
    assert refuted.file == "lossgen.toml"
    assert refuted.span is not None
    assert refuted.span.first == (1, 24)
    (folder / "hinge.yaml").write_text(
        f"{HINGE.replace('y_pred)', 'y_pred) - 1')}properties: []\n"
    )
    assert lossgen.compile("hinge.yaml").name == "hinge"


def test_the_catalogue_is_what_it_is(folder: Path) -> None:
    bare = run_lossgen("list", cwd=folder).stdout
    (folder / "lossgen.toml").write_text('defaults.smoothness = "smooth"\n')
    assert run_lossgen("list", cwd=folder).stdout == bare
