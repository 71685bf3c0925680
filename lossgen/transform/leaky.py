"""Keep TensorFlow's optimizer from taking one tensor for another.

With oneDNN, Grappler's remapper makes a LeakyRelu of ``maximum(x, c*x)`` for a constant
c, and loses which output of its node x is: of a `tf.split`, or of an iterator over
labels and predictions, it takes the first one.
"""

from __future__ import annotations

from lossgen.ir.expr import ZERO, Apply, Expr, Number, Role, Symbol, depends_on, walk


def without_leaky_maximum(expr: Expr) -> Expr:
    """Write the maximum of an input and a multiple of it as a choice."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = node
        if isinstance(node, Apply):
            args = tuple(done[arg] for arg in node.args)
            done[node] = Apply(node.op, args, node.axis)
            if node.op == "max" and len(args) == 2:
                done[node] = _chosen(*args) or _chosen(*args[::-1]) or done[node]
    return done[expr]


def _chosen(symbol: Expr, multiple: Expr) -> Expr | None:
    """The larger of both, if the second one is a fixed multiple of the first one."""
    if not (isinstance(symbol, Symbol) and isinstance(multiple, Apply)):
        return None
    factors = [arg for arg in multiple.args if arg != symbol]
    if multiple.op not in ("mul", "div") or len(factors) != 1:
        return None
    (factor,) = factors
    if depends_on(factor, Role.Y_TRUE, Role.Y_PRED, Role.DERIVED):
        return None
    shrinks = multiple.op == "mul" and isinstance(factor, Number) and factor.value <= 1
    condition = Apply("gt", (symbol, ZERO if shrinks else multiple))
    return Apply("where", (condition, symbol, multiple))
