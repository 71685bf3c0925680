"""Expression trees to Python source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from lossgen.backend.ops import CALLS, INFIX, SEVERAL_AXES
from lossgen.calculus.evaluate import COVERED, evaluate
from lossgen.ir.expr import (
    ONE,
    ZERO,
    Apply,
    Axis,
    Constant,
    Expr,
    Number,
    Symbol,
    symbols,
)

_ATOM = 9
_AXES: dict[Axis, str] = {
    Axis.LAST: "-1",
    Axis.BATCH: "0",
    Axis.SPATIAL: "spatial_axes",
    Axis.SAMPLE: "sample_axes",
}
_MATH = (
    *("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sinh", "cosh"),
    *("atan", "asinh", "acos", "erf", "erfc", "lgamma", "floor"),
)
"""Functions that Python's own ``math`` has under the same name."""

_TYPED = {"where": 1, "xlogy": 0, "xlog1py": 0, "clip": 0}
"""Which argument decides the type of a call, where numbers may stand."""

_EXPONENTS = {"powm1": 1, "pow1pm1": 1}
"""Which argument of a helper may be a number; the others are to be tensors."""

_OF_NUMBERS = ("with_slopes", "above", "below")
"""Helpers that take numbers, too."""

_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}

AXIS_LINES: dict[Axis, str] = {
    Axis.SAMPLE: "sample_axes = list(range(1, {}.shape.rank))",
    Axis.SPATIAL: "spatial_axes = list(range(1, {}.shape.rank - 1))",
}
"""Lines that define what `_AXES` refers to, from a tensor of full rank."""

_KEEPS_AXIS = (
    *("softmax", "log_softmax", "l2_normalize", "cumsum", "logcumsumexp"),
    "filled",
)


_ZEROS = 5  # that are written, not counted


def literal(value: Fraction) -> str:
    """A number as Python source: the shortest text that reads back as the float64."""
    if value.denominator != 1 or abs(value) > 10**15:
        return repr(float(value))
    text = str(value.numerator)
    digits = text.rstrip("0")
    zeros = len(text) - len(digits)
    return f"{digits}e{zeros}" if zeros > _ZEROS else text


class Printer:
    """Prints the expressions of one block.

    Args:
        names: The Python name of each symbol.
        like: A tensor of the computing type.
    """

    def __init__(self, names: Mapping[str, str], like: str = "y_pred") -> None:
        """Remember the names; ``helpers`` collects the helpers that get used."""
        self._names = names
        self._dtype = f"{like}.dtype"
        self.helpers: set[str] = set()
        self.axes: set[Axis] = set()

    def source(self, expr: Expr) -> str:
        """The expression as Python source."""
        return self._print(expr)[0]

    def _print(self, expr: Expr) -> tuple[str, int]:
        if isinstance(expr, Number):
            return _number(expr.value)
        if isinstance(expr, Constant):
            self.helpers.add("math")
            return f"math.{expr.name}", _ATOM
        if isinstance(expr, Symbol):
            return self._names.get(expr.name, expr.name), _ATOM
        if _is_constant(expr):
            value = _value(expr)
            if value is not None:
                return _number(value)
        if not symbols(expr) and expr.op in COVERED:
            return self._constant(expr)
        if expr.op in INFIX:
            return self._infix(expr)
        return self._call(expr), _ATOM

    def _constant(self, expr: Apply) -> tuple[str, int]:
        """Arithmetic without inputs is left to Python's own numbers."""
        if expr.op == "neg":
            text, level = self._infix(expr)
            return text.removeprefix("--"), level
        if expr.op in INFIX:
            return self._infix(expr)
        if expr.op in _MATH:
            self.helpers.add("math")
            args = ", ".join(self._tight(arg, 0) for arg in expr.args)
            return f"math.{expr.op}({args})", _ATOM
        (value,) = evaluate(expr, {}).flat
        return _number(Fraction(repr(float(value))))

    def _tight(self, expr: Expr, level: int) -> str:
        text, own = self._print(expr)
        return f"({text})" if own < level else text

    def _infix(self, expr: Apply) -> tuple[str, int]:
        sign, level = INFIX[expr.op]
        if expr.op == "neg":
            return f"-{self._tight(expr.args[0], 5)}", 5
        if expr.op == "add":
            return self._sum(expr), level
        if expr.op == "pow":
            base = self._tight(expr.args[0], level + 1)
            return f"{base}**{self._tight(expr.args[1], level)}", level
        if expr.op == "div":
            left, right = expr.args
            return (
                f"{self._tight(left, level)} / {self._tight(right, level + 1)}",
                level,
            )
        if expr.op in _MIRRORED and not symbols(expr.args[0]):
            # `y_true > 0` reads better than `0 < y_true`.
            return self._infix(Apply(_MIRRORED[expr.op], expr.args[::-1]))
        # A comparison binds less tightly than `&` in Python, unlike in a spec.
        inner = level + 1 if expr.op in ("lt", "le", "gt", "ge", "mul") else level
        first = self._tight(expr.args[0], level if expr.op == "mul" else inner)
        rest = [self._tight(arg, inner) for arg in expr.args[1:]]
        return sign.join([first, *rest]), level

    def _sum(self, expr: Apply) -> str:
        terms = [self._signed(term) for term in expr.args]
        # `1 - 2 * x` reads better than `-2 * x + 1`.
        lead = next((i for i, (sign, _) in enumerate(terms) if sign == "+"), 0)
        terms.insert(0, terms.pop(lead))
        text = "".join(f" {sign} {part}" for sign, part in terms)
        return text[3:] if text.startswith(" + ") else f"-{text[3:]}"

    def _signed(self, term: Expr) -> tuple[str, str]:
        if isinstance(term, Number) and term.value < 0:
            return "-", _number(-term.value)[0]
        if isinstance(term, Apply) and term.op == "neg":
            return "-", self._tight(term.args[0], 5)
        return "+", self._tight(term, 4)

    def _call(self, expr: Apply) -> str:
        if expr.op in ("max", "min") and len(expr.args) > 2:
            folded = expr.args[-1]
            for arg in reversed(expr.args[:-1]):
                folded = Apply(expr.op, (arg, folded))
            return self._print(folded)[0]
        if expr.op == "where" and expr.args[1:] == (ONE, ZERO):
            return f"tf.cast({self._tight(expr.args[0], 0)}, {self._dtype})"
        if expr.op == "flat":
            (inner,) = expr.args
            assert isinstance(inner, Apply)
            return self._operation(inner, flat=True)
        return self._operation(expr, flat=False)

    def _operation(self, expr: Apply, *, flat: bool) -> str:
        pattern = CALLS[expr.op]
        if expr.axis in (Axis.SPATIAL, Axis.SAMPLE):
            pattern = SEVERAL_AXES.get(expr.op, pattern)
        if pattern.startswith("_"):
            self.helpers.add(pattern.partition("(")[0])
        level = 8 if expr.op == "not" else 0
        args = [self._tight(arg, level) for arg in self._ordered(expr)]
        if expr.op == "where":
            args[1:] = [self._branch(arg) for arg in expr.args[1:]]
        for k in self._tensors(expr, pattern):
            if not symbols(expr.args[k]):
                args[k] = f"tf.constant({args[k]}, {self._dtype})"
        if expr.op == "with_slopes":
            pairs = zip(args[1::2], args[2::2], strict=True)
            listed = ", ".join(f"({symbol}, {slope})" for symbol, slope in pairs)
            return pattern.format(args[0], pairs=listed)
        return pattern.format(*args, axis=self._axis(expr, flat), dtype=self._dtype)

    def _tensors(self, expr: Apply, pattern: str) -> Iterator[int]:
        """The arguments that may not be numbers: an integer has another type."""
        if expr.op in _TYPED:
            # TensorFlow takes the type of all arguments from the first.
            yield _TYPED[expr.op]
        elif pattern.startswith("_") and expr.op not in _OF_NUMBERS:
            numbers = range(len(expr.args))
            yield from (k for k in numbers if k != _EXPONENTS.get(expr.op))

    def _ordered(self, expr: Apply) -> tuple[Expr, ...]:
        """The arguments; of a maximum or minimum, those with a type come first."""
        if expr.op not in ("max", "min"):
            return expr.args
        return tuple(sorted(expr.args, key=lambda arg: not symbols(arg)))

    def _branch(self, arg: Expr) -> str:
        """A branch of ``tf.where``, which makes an integer of an integer."""
        text = self._tight(arg, 0)
        return f"{text}.0" if re.fullmatch(r"-?\d+", text) else text

    def _axis(self, expr: Apply, flat: bool) -> str:
        if expr.axis is None:
            return ""
        self.axes.add(expr.axis)
        text = f"axis={_AXES[expr.axis]}"
        if expr.op in _KEEPS_AXIS or flat:
            return text
        return f"{text}, keepdims=True"


def _number(value: Fraction) -> tuple[str, int]:
    text = literal(value)
    return (text, _ATOM) if value >= 0 else (text, INFIX["neg"][1] - 1)


def _is_constant(expr: Apply) -> bool:
    """Whether arithmetic on numbers alone leads here."""
    return expr.op in ("neg", "div") and all(
        isinstance(arg, Number) for arg in expr.args
    )


def _value(expr: Apply) -> Fraction | None:
    values = [arg.value for arg in expr.args if isinstance(arg, Number)]
    if expr.op == "neg":
        return -values[0]
    if values[1] == 0:
        return None
    exact = values[0] / values[1]
    # 1/3 reads better than its 17 digits.
    return exact if Fraction(repr(float(exact))) == exact else None
