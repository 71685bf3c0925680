"""The elementwise parts of a loss."""

from __future__ import annotations

from collections.abc import Collection

from lossgen.ir.expr import Apply, Expr, walk


def elementwise_parts(expr: Expr, moving: Collection[Expr]) -> list[Expr]:
    """The largest subexpressions that depend on a prediction through no reduction."""
    through: dict[Expr, bool] = {}
    moves: dict[Expr, bool] = {}
    for node in walk(expr):
        moves[node] = node in moving or any(moves[arg] for arg in node.children)
        along_axis = isinstance(node, Apply) and node.axis is not None
        through[node] = moves[node] and (
            along_axis or any(through[arg] for arg in node.children)
        )
    found: dict[Expr, None] = {}
    stack = [expr]
    while stack:
        node = stack.pop()
        if moves[node] and not through[node]:
            found.setdefault(node)
        else:
            stack.extend(reversed(node.children))
    return list(found)
