"""``lossgen optimize``: what it prints is verified, and can be pasted."""

import importlib.util
import json

import pytest
from commandline import run_lossgen
from losses import T, call, resolved

from lossgen.analysis.spelling import spell
from lossgen.driver import optimize as optimizing
from lossgen.driver.optimize import lines_of, optimize, record, row, source
from lossgen.ir.accuracy import Accuracy
from lossgen.ir.expr import Axis
from lossgen.transform import stabilize
from lossgen.transform.generalization import MissingRule, missing_rules
from lossgen.transform.rules import RULES
from lossgen.transform.search import Found

ROOT_TEXT = "loss: 3*(sqrt(1 + (y_pred - y_true)**2) - 1)"
VON_MISES = (
    "name: von_mises\n"
    "loss: -kappa*cos(y_true - mu) + kappa + log(2*pi*i0e(kappa))\n"
    "y_pred: {channels: {mu: real, kappa: positive}}\n"
)


@pytest.fixture(scope="module")
def found():
    without = frozenset(["sqrt1pm1"])
    return optimize(resolved(ROOT_TEXT), logits=False, points=40, without=without)


def test_a_better_form_is_verified_at_fresh_points(found):
    assert found.now.value > 1e5
    assert found.found.accuracy.good
    assert found.verified
    assert len(found.fresh.now) > 60
    assert all(item.good for item in found.fresh.then)


def test_the_rule_can_be_pasted(found, tmp_path, monkeypatch):
    """The row that is printed does for the loss what the missing rule does."""
    printed = list(lines_of(found))
    begin = printed.index("    Rule(")
    names = "from lossgen.transform.rules import *\n"
    private = "from lossgen.transform.rules import _f\n"
    code = names + private + "ROWS = (\n" + "\n".join(printed[begin:]) + "\n)\n"
    (tmp_path / "pasted.py").write_text(code)
    spec = importlib.util.spec_from_file_location("pasted", tmp_path / "pasted.py")
    pasted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pasted)
    rest = tuple(rule for rule in RULES if rule.name != "sqrt1pm1")
    monkeypatch.setattr(stabilize, "RULES", (*rest, *pasted.ROWS))
    fired = {}
    loss = resolved(ROOT_TEXT)
    form = stabilize.stabilizer(loss, fired)(loss.expression)
    assert form == found.found.form
    assert pasted.ROWS[0].name in fired


def test_the_words(found):
    text = "\n".join(lines_of(found))
    assert "  better: value 0." in text
    assert spell(found.found.form) in text
    assert f"  at {len(found.fresh.now)} fresh points: value 0." in text
    assert record(found)["better"]["form"] == spell(found.found.form)
    assert json.loads(json.dumps(record(found))) == record(found)


def test_what_is_good_enough_is_left_alone(monkeypatch):
    monkeypatch.setattr(optimizing, "search", lambda *_: pytest.fail("searched"))
    result = optimize(resolved("loss: (y_pred - y_true)**2"), logits=False, points=20)
    assert not result.searched
    assert "  good enough; nothing was searched for" in lines_of(result)


@pytest.mark.parametrize(
    "wrong",
    [
        call("square", call("add", T, 1)),  # another function
        call("add", 1, call("neg", call("cos", T))),
    ],
)
def test_what_fails_at_fresh_points_is_not_printed(wrong, monkeypatch):
    lucky = Found(wrong, Accuracy(1.0, 1.0, 0), ("a wrong step",))
    monkeypatch.setattr(optimizing, "search", lambda *_: lucky)
    without = frozenset(["one-minus-cos"])
    loss = resolved("loss: 1 - cos(y_pred - y_true)")
    result = optimize(loss, logits=False, points=20, without=without)
    assert result.found is lucky
    assert not result.verified
    text = "\n".join(lines_of(result))
    assert "nothing better was found" in text
    assert spell(wrong) not in text
    assert record(result)["better"] is None


def test_a_condition_is_part_of_the_row():
    half = call("log", call("square", T)), call("mul", 2, call("log", T))
    (rule,) = missing_rules(*half)
    assert (
        row(rule, "some-name", "some reason")[0] == "# Needs a condition: positive U."
    )


def test_a_rule_that_would_not_end_is_marked():
    power = call("pow", T, call("add", T, 1))
    split = call("where", call("lt", T, 1), power, call("mul", T, call("pow", T, T)))
    rule = MissingRule(power, split, ())
    assert row(rule, "name", "reason")[0].startswith("# Has no end")


def test_source_names_axes_and_numbers():
    summed = call("sum", call("pow", T, call("div", 1, 3)), axis=Axis.LAST)
    assert source(summed) == (
        '_f("sum", power(wildcard("y_true"), div(ONE, Number(Fraction(3, 1)))), '
        "axis=Axis.LAST)"
    )


def test_the_command(tmp_path):
    (tmp_path / "vm.yaml").write_text(VON_MISES)
    done = run_lossgen("optimize", "vm.yaml", "--format", "json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (loss,) = json.loads(done.stdout)["losses"]
    assert loss["now"]["value"] < 4
    assert loss["better"] is None


def test_the_command_prints_a_better_form_and_the_rule_that_is_missing(tmp_path):
    sigmoid = "sigmoid(y_pred)"
    same = "exp(y_pred)/(1 + exp(y_pred))"  # which overflows
    formula = f"log(1 + exp(y_pred)) - y_true*y_pred + {sigmoid} - {same}"
    text = f"name: surplus\nloss: {formula}\ny_true: unit\n"
    (tmp_path / "surplus.yaml").write_text(text)
    done = run_lossgen("optimize", "surplus.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    better, missing = done.stdout.split("better: ")[1].split("what is missing in ")
    # softplus(u) - y*u, as softplus(u) = u + softplus(-u).
    assert "y_true*softplus(-y_pred) + (1 - y_true)*softplus(y_pred)\n" in better
    assert "fresh points" in better
    assert missing.startswith("transform/rules.py:\n    Rule(\n")


def test_a_spec_with_an_error_is_a_problem(tmp_path):
    (tmp_path / "bad.yaml").write_text("name: bad\nloss: log(y_pred) - y_true\n")
    done = run_lossgen("optimize", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "LG301" in done.stderr
