"""Keep TensorFlow's optimizer from taking one tensor for another.

With oneDNN, Grappler's remapper makes a LeakyRelu of ``maximum(x, c*x)`` for a constant
c, and loses which output of its node x is: of a `tf.split`, or of an iterator over
labels and predictions, it takes the first one.
"""

from __future__ import annotations

from lossgen.ir.expr import ZERO, Apply, Expr, Number, Symbol, walk


def without_leaky_maximum(expr: Expr) -> Expr:
    """Write the maximum of an input and a multiple of it as a choice."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = node
        if isinstance(node, Apply):
            done[node] = Apply(node.op, tuple(done[a] for a in node.args), node.axis)
            if node.op == "max" and len(node.args) == 2:
                first, second = node.args
                for one, other in ((first, second), (second, first)):
                    if isinstance(one, Symbol) and _is_multiple(other, one):
                        done[node] = _chosen(one, other)
    return done[expr]


def _is_multiple(expr: Expr, symbol: Symbol) -> bool:
    return isinstance(expr, Apply) and expr.op in ("mul", "div") and symbol in expr.args


def _chosen(symbol: Symbol, multiple: Expr) -> Expr:
    assert isinstance(multiple, Apply)
    factors = [arg for arg in multiple.args if isinstance(arg, Number)]
    shrinks = multiple.op == "mul" and len(factors) == 1 and factors[0].value <= 1
    condition = Apply("gt", (symbol, ZERO if shrinks else multiple))
    return Apply("where", (condition, symbol, multiple))
