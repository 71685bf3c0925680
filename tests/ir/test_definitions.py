"""What rewriting makes means what it is computed as, in operations of the language."""

import inspect

import pytest
from losses import call
from mpmath import mp, mpf

from lossgen.calculus.evaluate import evaluate
from lossgen.ir import definitions
from lossgen.ir.definitions import defined, definition
from lossgen.ir.expr import Apply, Axis, Role, Symbol, walk
from lossgen.ir.functions import FUNCTIONS, LOWERED

U, V, W = (Symbol(name, Role.Y_PRED) for name in "uvw")
# A choice between two forms is gone before anything is evaluated.
OPERATIONS = [op for op in definitions._DEFINITIONS if op != "select"]


def node_of(op):
    if op == "with_slopes":
        return Apply(op, (call("mul", U, V), U, V))
    inputs = inspect.signature(definitions._DEFINITIONS[op]).parameters
    return Apply(op, (U, V, W)[: len(inputs)])


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("v", [3, 2])
@pytest.mark.parametrize("u", [5, 1])
def test_a_definition_is_what_the_operation_comes_to(op, u, v):
    node = node_of(op)
    inputs = {"u": mpf(u), "v": mpf(v), "w": mpf("1.3")}
    with mp.workdps(40):
        found, meant = (
            evaluate(expr, inputs, digits=40).item() for expr in (node, defined(node))
        )
        assert abs(found - meant) < mpf(10) ** -30


@pytest.mark.parametrize("op", OPERATIONS)
def test_nothing_but_the_language_is_left(op):
    left = {part.op for part in walk(defined(node_of(op))) if isinstance(part, Apply)}
    assert left <= FUNCTIONS.keys()
    assert op in LOWERED


def test_the_axis_stays():
    (meant,) = [definition(Apply("log1m_softmax", (U,), Axis.LAST))]
    softmax = Apply("softmax", (U,), Axis.LAST)
    assert meant == call("log", call("add", 1, call("neg", softmax)))


def test_operations_of_the_language_have_no_definition():
    assert definition(call("log", U)) is None
    assert defined(call("log", U)) == call("log", U)
