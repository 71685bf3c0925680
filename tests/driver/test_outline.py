from dataclasses import dataclass

from lossgen.driver.outline import expression, outline
from lossgen.ir.expr import Apply, Axis, Constant, Expr, Role, Symbol, number
from lossgen.ir.program import Assign

Y = Symbol("y_pred", Role.Y_PRED)


@dataclass(frozen=True)
class Body:
    assignments: tuple[Assign, ...]
    result: Expr


def test_expression_as_calls() -> None:
    tree = Apply("sum", (Apply("mul", (number(2), Y, Constant("pi"))),), Axis.LAST)
    assert expression(tree) == "sum(mul(2, y_pred, pi), axis=last)"


def test_nested_data() -> None:
    body = Body((Assign(Y, number(1)), Assign(Y, number(2), "twice")), Y)
    assert outline(body).splitlines() == [
        "assignments:",
        "  - target: y_pred",
        "    value: 1",
        "  - target: y_pred",
        "    value: 2",
        "    comment: twice",
        "result: y_pred",
    ]


def test_nothing_to_show() -> None:
    assert outline(None) == ""
