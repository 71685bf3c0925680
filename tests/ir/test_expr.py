import random
from fractions import Fraction

import pytest
from losses import A, B, P, T, call

from lossgen.diagnostics.source import SourceFile, Span
from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Constant,
    Number,
    Role,
    Symbol,
    add,
    apply,
    constant_value,
    depends_on,
    div,
    mul,
    neg,
    number,
    power,
    rebuild,
    sub,
    substitute,
    symbols,
    tree_size,
    walk,
)

PI = Constant("pi")


def test_equality_ignores_spans():
    span = Span(SourceFile("a.yaml", "exp(x)"), 0, 6)
    for plain, placed in [
        (number(2), Number(Fraction(2), span=span)),
        (PI, Constant("pi", span=span)),
        (P, Symbol("y_pred", Role.Y_PRED, span=span)),
        (call("exp", P), Apply("exp", (P,), span=span)),
    ]:
        assert plain == placed
        assert hash(plain) == hash(placed)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (number(1), number(2)),
        (PI, Constant("e")),
        (Symbol("a", Role.PARAMETER), Symbol("a", Role.SIZE)),
        (call("exp", P), call("log", P)),
        (call("exp", P), call("exp", T)),
        (call("sum", P, axis=Axis.LAST), call("sum", P, axis=Axis.BATCH)),
        (call("add", P, T), call("add", T, P)),
        (P, "y_pred"),
    ],
)
def test_inequality(left, right):
    assert left != right


def test_deep_trees_compare_and_hash():
    def deep():
        expr = P
        for _ in range(150):
            expr = call("exp", expr)
        return expr

    assert deep() == deep()


def test_plain_nodes_keep_what_is_written():
    written = call("add", 1, 1)
    assert written.args == (ONE, ONE)
    assert written.children == (ONE, ONE)
    assert P.children == ()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (add(ONE, TWO), number(3)),
        (add(P, ZERO), P),
        (add(P, neg(P)), ZERO),
        (add(), ZERO),
        (add(P, P), call("mul", 2, P)),
        (add(P, T, P), call("add", call("mul", 2, P), T)),
        (add(call("mul", 3, P), neg(P)), call("mul", 2, P)),
        (add(call("mul", 2, P), call("neg", call("mul", 2, P))), ZERO),
        (add(call("add", P, 1), ONE), call("add", P, 2)),
        (add(P, call("mul", Fraction(1, 2), P)), call("mul", Fraction(3, 2), P)),
        (neg(number(2)), number(-2)),
        (neg(neg(P)), P),
        (sub(P, T), call("add", P, call("neg", T))),
        (sub(P, add(P, T)), call("neg", T)),
        (sub(ONE, add(ONE, P)), call("neg", P)),
        (mul(TWO, number(3)), number(6)),
        (mul(ONE, P), P),
        (mul(ZERO, P), ZERO),
        (mul(), ONE),
        (mul(P, TWO), call("mul", 2, P)),
        (mul(neg(P), T), call("neg", call("mul", P, T))),
        (mul(neg(P), neg(T)), call("mul", P, T)),
        (mul(number(-1), P), call("neg", P)),
        (mul(number(-2), P), call("neg", call("mul", 2, P))),
        (mul(mul(TWO, P), mul(TWO, T)), call("mul", 4, P, T)),
        (mul(P, div(ONE, T)), call("div", P, T)),
        (mul(div(ONE, P), div(ONE, T)), call("div", 1, call("mul", P, T))),
        (mul(neg(P), div(ONE, T)), call("neg", call("div", P, T))),
        (div(P, ONE), P),
        (div(ZERO, P), ZERO),
        (div(ONE, number(3)), number(Fraction(1, 3))),
        (div(number(-1), P), call("neg", call("div", 1, P))),
        (div(neg(P), neg(T)), call("div", P, T)),
        (power(P, ZERO), ONE),
        (power(P, ONE), P),
        (power(P, TWO), call("pow", P, 2)),
        (apply("exp", ZERO), call("exp", 0)),
    ],
)
def test_smart_constructors(made, expected):
    assert made == expected


def test_division_by_zero_is_kept_as_written():
    assert div(ONE, ZERO) == call("div", 1, 0)


def test_smart_constructors_keep_the_value():
    generator = random.Random(3)

    def tree(depth):
        if not depth:
            return generator.choice([A, B, number(generator.randint(-3, 3))])
        op = generator.choice(["add", "mul", "neg", "div"])
        count = {"neg": 1, "div": 2}.get(op, generator.randint(2, 3))
        return call(op, *(tree(depth - 1) for _ in range(count)))

    def value(expr, a, b):
        if expr in (A, B):
            return a if expr == A else b
        if isinstance(expr, Number):
            return expr.value
        args = [value(arg, a, b) for arg in expr.args]
        if expr.op == "add":
            return sum(args)
        if expr.op == "neg":
            return -args[0]
        if expr.op == "div":
            return args[0] / args[1]
        product = Fraction(1)
        for arg in args:
            product *= arg
        return product

    compared = 0
    for _ in range(500):
        expr = tree(4)
        try:
            expected = value(expr, Fraction(2, 3), Fraction(-7, 5))
        except ZeroDivisionError:
            continue
        assert value(_smart(expr), Fraction(2, 3), Fraction(-7, 5)) == expected
        compared += 1
    assert compared > 200


def _smart(expr):
    if not isinstance(expr, Apply):
        return expr
    return apply(expr.op, *(_smart(arg) for arg in expr.args))


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (number(Fraction(1, 4)), 0.25),
        (call("mul", 2, PI), 6.283185307179586),
        (call("add", 1, call("neg", Constant("e"))), -1.718281828459045),
        (call("pow", 2, call("div", 1, 2)), 1.4142135623730951),
        (ZERO, 0.0),
        (call("mul", 0, PI), 0.0),
        (P, None),
        (call("exp", 1), None),
        (call("pow", -1, Fraction(1, 2)), None),
    ],
)
def test_constant_value(expr, value):
    assert constant_value(expr) == value


@pytest.mark.parametrize(
    "expr",
    [
        number(10**400),
        number(Fraction(1, 10**400)),
        call("pow", 10, 400),
        call("pow", 10, -400),
        call("mul", number(10**300), number(10**300)),
        call("div", Fraction(1, 10**300), number(10**300)),
    ],
)
def test_constants_out_of_range(expr):
    with pytest.raises(OverflowError):
        constant_value(expr)


def test_constants_divided_by_zero():
    with pytest.raises(ZeroDivisionError):
        constant_value(call("div", 1, 0))


def test_walk_meets_each_once_and_arguments_first():
    shared = call("exp", P)
    expr = call("mul", shared, call("add", shared, T))
    nodes = list(walk(expr))
    assert nodes == [P, shared, T, call("add", shared, T), expr]


def test_tree_size_of_shared_terms():
    expr = P
    for _ in range(100):
        expr = call("mul", expr, expr)
    assert tree_size(expr) == 2**101 - 1
    assert tree_size(P) == 1
    assert tree_size(call("add", P, call("exp", P))) == 4


def test_symbols_and_roles():
    expr = call("add", T, call("mul", P, T))
    assert symbols(expr) == (T, P)
    assert depends_on(expr, Role.Y_PRED)
    assert depends_on(expr, Role.SIZE, Role.Y_TRUE)
    assert not depends_on(expr, Role.SIZE, Role.PARAMETER)


def test_substitute_replaces_whole_terms_and_folds():
    difference = call("add", P, call("neg", T))
    expr = call("square", difference)
    assert substitute(expr, {difference: A}) == call("square", A)
    assert substitute(expr, {P: T}) == call("square", ZERO)
    # Replacements are not looked into again.
    assert substitute(P, {P: T, T: P}) == T
    assert substitute(call("add", P, T), {P: T, T: P}) == call("add", T, P)
    vanishing = call("add", P, call("neg", P))
    assert substitute(call("add", P, vanishing), {P: T, T: P}) == T


def test_rebuild_goes_bottom_up_and_keeps_what_is_unchanged():
    expr = call("add", 1, call("exp", call("neg", P)))
    assert rebuild(expr, lambda node: node) is expr

    def drop(node):
        return node.args[0] if isinstance(node, Apply) and node.op == "exp" else node

    assert rebuild(expr, drop) == call("add", 1, call("neg", P))
    axis = call("sum", call("exp", P), axis=Axis.LAST)
    assert rebuild(axis, drop) == call("sum", P, axis=Axis.LAST)
