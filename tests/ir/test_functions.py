"""The table is sane, and every other table of the compiler has a row for each row."""

import ast

import pytest
from losses import resolved, unproved

from lossgen.analysis.intervals import EVERYTHING
from lossgen.analysis.obligations import discharge
from lossgen.analysis.ranges import range_of
from lossgen.analysis.spelling import spell
from lossgen.backend.printer import Printer
from lossgen.calculus.differentiate import directional_derivative
from lossgen.calculus.evaluate import evaluate, germ
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import ONE, Apply, Axis, Role, Symbol, walk
from lossgen.ir.functions import CALLS, CONDITIONS, FUNCTIONS, LOWERED, Kind
from lossgen.transform.lower import lower
from lossgen.transform.masking import mask_reductions

POINT = {"y_pred": [[0.25, 0.5, 1.0]], "y_true": [[0.5, 0.25, 0.75]]}


def written(row, inner, symbol="u"):
    """A formula that applies the operation to ``inner`` as its first argument."""
    others = {"pow": ["2"], "clip": ["0.2", "0.9"]}.get(row.op)
    if others is None:
        others = ["y_true"] * (row.min_args - 1)
    if row.kind is Kind.ARITHMETIC and row.min_args == 2:
        return f"(({inner}) {row.surface} {others[0]})"
    if row.op == "neg":
        return f"(-({inner}))"
    if row.kind is Kind.COMPARISON:
        other = "y_true" if row.op not in ("eq", "ne") else "0.5"
        inner = inner if row.op not in ("eq", "ne") else "y_true"
        return f"where({inner} {row.surface} {other}, {inner}, y_pred)"
    if row.op == "not":
        return f"where(not {inner} < y_true, y_true, y_pred)"
    if row.kind is Kind.LOGIC:
        return f"where({inner} < 1 {row.op} y_true < {inner}, y_true, y_pred)"
    if row.op == "where":
        return f"where({inner} < y_true, {inner}, y_true)"
    if row.op == "is_finite":
        return f"where(is_finite(y_true), {inner}, y_true)"
    if row.op == "ones_like":
        return f"std({inner}, axis=last)"
    if row.kind is Kind.DATA:
        return f"({row.surface}(y_true) + {inner})"
    axis = ", axis=last" if row.takes_axis else ""
    return f"{row.surface}({', '.join([inner, *others])}{axis})"


def loss_of(row):
    inner = "(0.5 + 0.25*y_pred)"
    return resolved(
        f"""\
        loss: "{written(row, inner)} + 0*y_true + 0*y_pred"
        y_true: '[0.25, 1]'
        y_pred: '[0.25, 1]'
        """
    )


ROWS = pytest.mark.parametrize("row", FUNCTIONS.values(), ids=list(FUNCTIONS))


@ROWS
def test_a_formula_of_the_row_reaches_it(row):
    found = [n for n in walk(loss_of(row).expression) if isinstance(n, Apply)]
    assert row.op in {node.op for node in found}


@ROWS
def test_lossgen_calculus_evaluate(row):
    assert evaluate(loss_of(row).expression, POINT).shape[0] == 1


@ROWS
def test_lossgen_calculus_jets(row):
    germ(loss_of(row).expression, POINT, {"y_pred": 1}, order=3)


@ROWS
def test_lossgen_calculus_differentiate(row):
    loss = loss_of(row)
    slope = directional_derivative(
        loss.expression, {Symbol("y_pred", Role.Y_PRED): ONE}, loss
    )
    assert {n.op for n in walk(slope) if isinstance(n, Apply)} <= {*FUNCTIONS, *LOWERED}


@ROWS
def test_lossgen_analysis_ranges(row):
    loss = loss_of(row)
    node = next(n for n in walk(loss.expression) if getattr(n, "op", None) == row.op)
    if row.op not in CONDITIONS:
        # On a bounded interval every operation of the language is bounded.
        assert range_of(node, loss) != EVERYTHING


@ROWS
def test_lossgen_analysis_obligations(row):
    report = Report()
    assert discharge(loss_of(row), report), [item.message for item in report]


@ROWS
def test_lossgen_analysis_spelling(row):
    surface = "std" if row.op == "ones_like" else row.surface
    assert surface in spell(loss_of(row).expression)


@ROWS
def test_lossgen_backend(row):
    body = lower(unproved(loss_of(row))).body
    printer = Printer({})
    for expr in (*(item.value for item in body.assignments), body.result):
        ast.parse(printer.source(expr))


@ROWS
def test_lossgen_transform_masking(row):
    if row.takes_axis:
        loss = loss_of(row)
        kept = Symbol("kept", Role.DERIVED)
        masked = mask_reductions(loss.expression, kept, loss, {Axis.LAST}, None)
        assert kept in set(walk(masked))


def test_rows_are_sane():
    for op, row in FUNCTIONS.items():
        assert row.op == op
        assert row.doc
        assert row.min_args >= 1
        assert row.max_args is None or row.max_args >= row.min_args
        if row.takes_axis:
            assert (row.min_args, row.max_args) == (1, 1)
    assert not set(FUNCTIONS) & set(LOWERED)
    assert all(LOWERED.values())


def test_two_rows_share_a_surface_only_where_an_axis_tells_them_apart():
    for name, rows in CALLS.items():
        assert len({row.takes_axis for row in rows}) == len(rows), name
    assert sorted(name for name, rows in CALLS.items() if len(rows) > 1) == [
        "max",
        "min",
    ]


def test_conditions():
    names = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "is_finite")
    assert set(names) == CONDITIONS


# The functions of the language, by kind.
PROMISED = {
    Kind.SMOOTH: (
        "exp expm1 log log1p log2 log10 sqrt square sin cos tanh sinh cosh "
        "atan asinh acos sigmoid log_sigmoid softplus log_cosh logaddexp erf erfc "
        "normal_cdf normal_logcdf lgamma digamma i0e xlogy xlog1py stop_gradient"
    ),
    Kind.KINKED: "abs max min relu clip where",
    Kind.DATA: "sign floor is_finite",
    Kind.COLLAPSE: "sum mean max min logsumexp norm var std",
    Kind.ALONG: "softmax log_softmax l2_normalize cumsum logcumsumexp",
}


@pytest.mark.parametrize("kind", PROMISED, ids=lambda kind: kind.value)
def test_promised_functions(kind):
    rows = [row for same in CALLS.values() for row in same]
    found = [row.surface for row in rows if row.kind is kind]
    assert sorted(found) == sorted(PROMISED[kind].split())
