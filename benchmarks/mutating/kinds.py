"""What is done to the formula of a loss: one class for each kind of mutation."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from mutating.source import Edit, Site, called


class Kind(ABC):
    """A kind of mutation, which is a column of the table."""

    name: ClassVar[str]

    @abstractmethod
    def edits(self, site: Site) -> Iterator[Edit]:
        """What it does at a site."""


class Operators(Kind):
    """Arithmetic and logic swapped, comparisons flipped, signs dropped."""

    name = "operators"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Another operator in the place of each."""
        node = site.node
        if isinstance(node, ast.BinOp) and _is_of_numbers(node):
            for other in _OTHER_OPERATOR.get(type(node.op), ()):
                yield Edit(node, ast.BinOp(node.left, other(), node.right), "operator")
        elif isinstance(node, ast.AugAssign):
            for other in _OTHER_OPERATOR.get(type(node.op), ()):
                new = ast.AugAssign(node.target, other(), node.value)
                yield Edit(node, new, "operator")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            for note, table in (("flipped", _FLIPPED), ("end", _OTHER_END)):
                if type(node.ops[0]) in table:
                    op = table[type(node.ops[0])]()
                    new_compare = ast.Compare(node.left, [op], node.comparators)
                    yield Edit(node, new_compare, f"comparison, {note}")
        elif isinstance(node, ast.BoolOp):
            op_bool = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield Edit(node, ast.BoolOp(op_bool, node.values), "operator")
        elif isinstance(node, ast.UnaryOp) and not is_number(node.operand):
            yield Edit(node, node.operand, "sign or negation dropped")


_OTHER_OPERATOR: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

_OTHER_END: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


def is_number(node: ast.AST) -> bool:
    """Whether a node is a number without a sign."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _is_constant(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    return is_number(node)


def _is_of_numbers(node: ast.BinOp) -> bool:
    """Whether it is no sum of lists, which tell a shape."""
    return not any(isinstance(item, ast.List) for item in ast.walk(node))


class _Constants(Kind):
    """Numbers of formulas; those that tell axes and sizes are left alone."""

    def edits(self, site: Site) -> Iterator[Edit]:
        """Another number in the place of each."""
        node = site.node
        if site.structural or isinstance(site.parent, ast.arguments):
            return
        found: Iterator[Edit] = iter(())
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            if is_number(node.operand):
                found = self._signed(node, node.operand)
        elif is_number(node) and not isinstance(site.parent, ast.UnaryOp):
            found = self._plain(node)
        what = "threshold" if _is_threshold(site) else "constant"
        for edit in found:
            yield replace(edit, note=f"{what}, {edit.note}")

    @abstractmethod
    def _plain(self, node: ast.AST) -> Iterator[Edit]: ...

    @abstractmethod
    def _signed(self, node: ast.UnaryOp, number: ast.expr) -> Iterator[Edit]: ...


def _is_threshold(site: Site) -> bool:
    """Whether a number says where one formula gives way to another.

    It is compared, or a factor in what is.
    """
    outside = [node for node in site.around if not isinstance(node, ast.BinOp)]
    return isinstance(outside[0], (ast.Compare, ast.IfExp)) or called(site.parent) in (
        "maximum",
        "minimum",
        "clip_by_value",
    )


class ConstantsByPercent(_Constants):
    """Numbers that are 1 % off; 0.01 in the place of 0."""

    name = "constants, 1 %"

    def _plain(self, node: ast.AST) -> Iterator[Edit]:
        assert isinstance(node, ast.Constant)
        assert isinstance(node.value, (int, float))
        value = float(f"{node.value * 1.01:.12g}") if node.value else 0.01
        yield Edit(node, ast.Constant(value), "1 % off")

    def _signed(self, node: ast.UnaryOp, number: ast.expr) -> Iterator[Edit]:
        for edit in self._plain(number):
            assert isinstance(edit.new, ast.expr)
            new = ast.UnaryOp(ast.USub(), edit.new)
            yield Edit(node, new, edit.note)


class ConstantsBySign(_Constants):
    """Numbers of the other sign."""

    name = "constants, sign"

    def _plain(self, node: ast.AST) -> Iterator[Edit]:
        assert isinstance(node, ast.Constant)
        if node.value:
            new = ast.UnaryOp(ast.USub(), ast.Constant(node.value))
            yield Edit(node, new, "other sign")

    def _signed(self, node: ast.UnaryOp, number: ast.expr) -> Iterator[Edit]:
        yield Edit(node, number, "other sign")


class SwappedArguments(Kind):
    """Operands and arguments in the wrong order."""

    name = "arguments"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Neighbours swapped, where their order means something."""
        node = site.node
        if isinstance(node, ast.BinOp) and isinstance(
            node.op, (ast.Sub, ast.Div, ast.Pow)
        ):
            # An even function of a difference does not mind.
            if not (isinstance(node.op, ast.Sub) and called(site.parent) in _EVEN):
                new = ast.BinOp(node.right, node.op, node.left)
                yield Edit(node, new, "operands swapped")
        elif isinstance(node, ast.Call):
            for first in range(len(node.args) - 1):
                if _order_matters(node, first):
                    args = list(node.args)
                    args[first : first + 2] = args[first + 1], args[first]
                    call = ast.Call(node.func, args, node.keywords)
                    yield Edit(node, call, "arguments swapped")


_EVEN = ("square", "abs", "cosh", "log_cosh", "_log_cosh")
_ORDERED = ("subtract", "divide", "pow", "xlogy", "xlog1py", "atan2", "nextafter")


def _order_matters(node: ast.Call, first: int) -> bool:
    """Whether swapping two arguments gives something that may well run."""
    if called(node) in _ORDERED:
        return True
    if called(node) == "clip_by_value":
        return first == 1
    if called(node) in (*BUILTINS, *_COMMUTATIVE, "where", "_check"):
        return False
    pair = node.args[first : first + 2]
    return all(isinstance(item, ast.Name) for item in pair)


BUILTINS = ("isinstance", "getattr", "cast", "convert_to_tensor", "broadcast_to")
_COMMUTATIVE = ("maximum", "minimum", "equal", "not_equal", "logical_and", "add")


class DroppedTerms(Kind):
    """Terms, factors, exponents, functions and conditions left out."""

    name = "terms"

    def edits(self, site: Site) -> Iterator[Edit]:
        """What is left after one part is gone."""
        node = site.node
        if isinstance(node, ast.BinOp) and _is_of_numbers(node):
            for left in _left_over(node):
                yield Edit(node, left, "term or factor dropped")
        elif isinstance(node, ast.BoolOp):
            for index in range(len(node.values)):
                rest = node.values[:index] + node.values[index + 1 :]
                new = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield Edit(node, new, "condition dropped")
        elif isinstance(node, ast.Call) and called(node) in _OF_ONE_ARGUMENT:
            if len(node.args) == 1 and not node.keywords:
                yield Edit(node, node.args[0], f"{called(node)} dropped")
        elif (
            isinstance(node, ast.Call)
            and called(node) in ("maximum", "minimum")
            and not any(_is_constant(item) for item in node.args)
        ):
            for item in node.args:
                yield Edit(node, item, f"side of a {called(node)} dropped")


_OF_ONE_ARGUMENT = (
    *("abs", "square", "sqrt", "exp", "expm1", "log", "log1p", "sigmoid", "softplus"),
    *("log_sigmoid", "sin", "cos", "atan", "tanh", "sinh", "cosh", "asinh", "erf"),
    *("erfc", "lgamma", "digamma", "bessel_i0e", "_log_softmax"),
)


def _left_over(node: ast.BinOp) -> Iterator[ast.expr]:
    chain = (ast.Add, ast.Sub) if isinstance(node.op, (ast.Add, ast.Sub)) else ast.Mult
    # In a chain the left operand is itself a sum, of which terms are dropped there.
    whole = not (isinstance(node.left, ast.BinOp) and isinstance(node.left.op, chain))
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)):
        yield node.left
    if not whole:
        return
    if isinstance(node.op, (ast.Add, ast.Mult)):
        yield node.right
    elif isinstance(node.op, ast.Sub):
        yield ast.UnaryOp(ast.USub(), node.right)
    elif isinstance(node.op, ast.Div) and not is_number(node.left):
        yield ast.BinOp(ast.Constant(1), ast.Div(), node.right)


class Axes(Kind):
    """Other axes, slices of shapes, and steps that give a tensor its shape."""

    name = "axis"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Another axis, or a tensor left in the shape that it has."""
        node = site.node
        if isinstance(node, ast.Call):
            for index, keyword in enumerate(node.keywords):
                others = list(node.keywords)
                del others[index]
                if keyword.arg == "keepdims":
                    call = ast.Call(node.func, node.args, others)
                    yield Edit(node, call, "keepdims dropped")
            if called(node) in _RESHAPING and node.args:
                yield Edit(node, node.args[0], f"{called(node)} dropped")
            if called(node) == "range" and len(node.args) == 2:
                start = ast.Constant(0 if _value(node.args[0]) else 1)
                call = ast.Call(node.func, [start, node.args[1]], [])
                yield Edit(node, call, "axes")
        elif isinstance(node, ast.keyword) and node.arg == "axis":
            other = 0 if _value(node.value) == -1 else -1
            yield Edit(node.value, _number(other), "axis")
        elif isinstance(node, ast.Subscript):
            for new in _other_slices(node.slice):
                subscript = ast.Subscript(node.value, new, node.ctx)
                yield Edit(node, subscript, "slice")


_RESHAPING = ("broadcast_to", "squeeze", "reshape", "repeat")


def _value(node: ast.AST) -> object:
    return ast.literal_eval(node) if _is_constant(node) else None


def _number(value: int) -> ast.expr:
    number = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), number) if value < 0 else number


def _other_slices(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        yield ast.Tuple(node.elts[::-1], node.ctx)
    elif isinstance(node, ast.Slice):
        ends = (_value(node.lower or node), _value(node.upper or node))
        if ends == (None, -1):
            yield ast.Slice(None, _number(1))
        elif ends == (None, 1):
            yield ast.Slice(None, _number(-1))
        elif ends[0] is not None:
            yield ast.Slice(None, node.upper)
    elif _value(node) in (0, -1):
        yield _number(-1 if _value(node) == 0 else 0)


class Reductions(Kind):
    """Sums for means, the largest for the smallest, all for any."""

    name = "reduction"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Another function in the place of a reduction."""
        node = site.node
        if called(node) not in _OTHER_REDUCTION:
            return
        assert isinstance(node, ast.Call)
        name = _OTHER_REDUCTION[called(node)]
        if isinstance(node.func, ast.Attribute):
            function = ast.Attribute(node.func.value, name, node.func.ctx)
            call = ast.Call(function, node.args, node.keywords)
            yield Edit(node, call, f"{called(node)} -> {name}")


_OTHER_REDUCTION = {
    "reduce_sum": "reduce_mean",
    "reduce_mean": "reduce_sum",
    "reduce_max": "reduce_min",
    "reduce_min": "reduce_max",
    "reduce_any": "reduce_all",
    "reduce_all": "reduce_any",
    "reduce_logsumexp": "reduce_max",
    "maximum": "minimum",
    "minimum": "maximum",
}
