"""The check ends soon whatever the formula, and says so where it gave up."""

from pathlib import Path

import pytest
from clock import processor_time
from writing import write

from lossgen.analysis import check as checking
from lossgen.calculus.steps import (
    OutOfStepsError,
    OutOfTimeError,
    Steps,
    limited,
    spend,
)
from lossgen.compiler import check_source
from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 4.0  # on an idle core the slowest takes 1.2; a busy neighbour costs more
PROOF = "proving that every operation is defined"
TERM = "showing that `pow` has a finite derivative here: that `abs(y_pred)` is positive"


def series(separator, term, count):
    return separator.join(term.format(k) for k in range(1, count + 1))


TOO_INVOLVED = {
    "powers": ("**".join(["abs(y_pred)"] * 40), TERM),
    "two by two": (f"max({series(', ', 'y_pred*{}', 200)})", None),
    "equal arguments": (f"max({', '.join(['y_pred', 'exp(y_true)'] * 400)})", None),
    "kinks": (series(" + ", "abs(y_pred + exp({}*y_pred))", 90), None),
    "branches": (
        series(" + ", "({0}*y_pred if y_pred*y_true > {0} else y_pred)", 80),
        None,
    ),
    "conditions": (
        f"y_pred**2 if {series(' and ', 'y_pred > {}*y_true', 120)} else y_pred",
        PROOF,
    ),
    "squares": (f"1/(1 + {series(' + ', '(y_pred + {}*y_true)**4', 90)})", None),
    "gammas": (series(" + ", "lgamma(exp(y_pred) + {})", 60), None),
    "bessel": (series(" + ", "i0e(y_pred + {})", 60), None),
    "reductions": (series("*", "sum(abs(y_pred - {}), axis=last)", 60), None),
    "nested": ("max(y_true*y_pred, " * 45 + "y_pred" + "-1)" * 45, None),
}


@pytest.mark.parametrize("name", TOO_INVOLVED)
def test_it_ends(name):
    formula, stage = TOO_INVOLVED[name]
    report = Report()
    loss = write(f"y_true + {formula}")
    with processor_time() as clock:
        result = checking.check(loss, report)
    assert clock.seconds < CPU_SECONDS
    found = [item for item in report if item.code.id == "LG310"]
    assert (result is None) == report.has_errors
    if stage is not None:
        (item,) = found
        assert item.notes == (f"{stage} took more than 250,000 steps",)
        assert item.span is not None


def test_a_search_for_flat_regions_that_takes_too_long_is_a_warning():
    formula, _ = TOO_INVOLVED["bessel"]
    report = Report()
    assert checking.check(write(f"y_true + {formula}"), report) is not None
    (warning,) = (item for item in report if item.severity.value == "warning")
    assert warning.code.id == "LG407"
    assert "250,000 steps" in warning.notes[0]


def test_a_search_for_kinks_that_takes_too_long_refuses_no_loss():
    formula, _ = TOO_INVOLVED["kinks"]
    result = checking.check(write(f"y_true + {formula}"), Report())
    kinks = {kink.at: kink.left for kink in result.certificate.kinks}
    assert kinks["y_pred + exp(90*y_pred) = 0"] is None
    assert len(kinks) == 90


def test_a_kink_that_was_not_found_is_none_where_none_is_asked_for():
    formula, _ = TOO_INVOLVED["kinks"]
    report = Report()
    assert checking.check(write(f"y_true + {formula}", smoothness="C1"), report) is None
    (error,) = (item for item in report if item.severity.value == "error")
    assert error.code.id == "LG405"
    assert "a kink may lie where y_pred + exp(90*y_pred) = 0" in error.notes


def test_branches_that_take_too_long_are_not_shown_to_meet():
    formula, _ = TOO_INVOLVED["branches"]
    report = Report()
    assert checking.check(write(f"y_true + {formula}"), report) is None
    errors = {item.code.id for item in report if item.severity.value == "error"}
    assert errors <= {"LG401", "LG406"}


def test_faults_inside_one_another_are_not_counted_out():
    report = Report()
    loss = write("y_true + " + "**".join(["y_pred"] * 80))
    with processor_time() as clock:
        assert checking.check(loss, report) is None
    assert clock.seconds < CPU_SECONDS
    assert 1 <= len(list(report)) <= 3


def test_a_claim_that_is_too_involved_says_so_and_refuses_no_loss():
    formula = series(" + ", "lgamma(exp(y_pred) + {})", 60)
    report = Report()
    loss = write(f"y_true + {formula}", properties=["convex"])
    result = checking.check(loss, report)
    assert result is not None
    (item,) = (item for item in report if item.code.id == "LG411")
    assert item.notes == ("it is not decided in 120,000 steps",)


def used(text, monkeypatch):
    """The steps that each loss of a file takes."""
    counts = []

    class Recorded(Steps):
        def __init__(self, limit, seconds):
            super().__init__(limit, seconds)
            counts.append(self)

    monkeypatch.setattr(checking, "Steps", Recorded)
    check_source(SourceFile("specs.yaml", text))
    return [item.used for item in counts]


def test_the_catalogue_stays_far_below_the_limit(monkeypatch):
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        for steps in used(path.read_text(encoding="utf-8"), monkeypatch):
            assert steps < checking.MAX_STEPS / 8, path.name
    for path in sorted((ROOT / "tests/cases/good").glob("*.yaml")):
        for steps in used(path.read_text(encoding="utf-8"), monkeypatch):
            assert steps < checking.MAX_STEPS / 3, path.name


def test_steps_are_the_same_each_time(monkeypatch):
    text = (ROOT / "specs/huber.yaml").read_text(encoding="utf-8")
    assert used(text, monkeypatch) == used(text, monkeypatch)


def test_steps_count_only_where_they_are_limited():
    spend(10**9)
    steps = Steps(5)
    with limited(steps):
        spend(5)
        with pytest.raises(OutOfStepsError):
            spend(1)
    spend(10**9)
    assert steps.used == 6


def test_a_limit_inside_of_another_keeps_its_clock():
    with (
        limited(Steps(9, seconds=-1)),
        limited(Steps(9)),
        pytest.raises(OutOfTimeError),
    ):
        spend(1)
    with limited(Steps(0)), limited(Steps(9)):
        spend(9)


def test_the_clock_decides_no_verdict(monkeypatch):
    """A hang is a fault of lossgen, which the driver reports as one."""
    monkeypatch.setattr(checking, "MAX_SECONDS", 0)
    with pytest.raises(OutOfTimeError):
        checking.check(write("abs(y_pred - y_true)"), Report())


def test_what_is_nested_too_deeply_to_be_examined_is_an_error():
    report = Report()
    nested = "tanh(" * 95 + "square(y_pred - y_true)" + ")" * 95
    assert checking.check(write(nested), report) is None
    (item,) = report
    assert item.code.id == "LG310"
    assert item.notes[0].endswith(" went too many calls deep")


def test_polynomials_that_take_minutes_to_factor_are_left_alone():
    # SymPy needs minutes for some dense polynomials of six variables and degree 8.
    terms = " + ".join(
        f"{k + 1}*" + "*".join(f"c{i}**{(3 * k + 5 * i) % 9}" for i in range(6))
        for k in range(15)
    )
    channels = ", ".join(f"c{i}: real" for i in range(6))
    text = f"name: dense\nloss: 1/({terms}) + y_true\n"
    text += f"y_pred: {{channels: {{{channels}}}}}\n"
    with processor_time() as clock:
        check_source(SourceFile("dense.yaml", text))
    assert clock.seconds < CPU_SECONDS
