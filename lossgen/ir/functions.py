"""The function table: what the expression language can call or spell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How an operation acts on its arguments."""

    ARITHMETIC = "arithmetic"  # spelt with operators
    SMOOTH = "smooth"  # elementwise, analytic inside its domain
    KINKED = "kinked"  # elementwise, piecewise smooth
    DATA = "data"  # elementwise, only on y_true and parameters
    COLLAPSE = "collapse"  # reduces an axis to length 1
    ALONG = "along"  # works along an axis and keeps it
    COMPARISON = "comparison"
    LOGIC = "logic"


@dataclass(frozen=True)
class Function:
    """One operation.

    ``op`` is its name inside the compiler; ``surface`` what a spec writes. The two
    differ only for ``max`` and ``min``, which with ``axis=`` are the reductions
    ``amax`` and ``amin``. ``max_args`` None means any number.
    """

    op: str
    kind: Kind
    min_args: int
    max_args: int | None
    surface: str
    doc: str

    @property
    def takes_axis(self) -> bool:
        """Whether the call needs ``axis=``."""
        return self.kind in (Kind.COLLAPSE, Kind.ALONG)


def _row(
    op: str,
    kind: Kind,
    args: int | tuple[int, int | None],
    doc: str,
    surface: str | None = None,
) -> Function:
    low, high = args if isinstance(args, tuple) else (args, args)
    return Function(op, kind, low, high, surface or op, doc)


_ROWS = (
    _row("add", Kind.ARITHMETIC, (2, None), "u + v", "+"),
    _row("neg", Kind.ARITHMETIC, 1, "-u", "-"),
    _row("mul", Kind.ARITHMETIC, (2, None), "u*v", "*"),
    _row("div", Kind.ARITHMETIC, 2, "u/v", "/"),
    _row("pow", Kind.ARITHMETIC, 2, "u**v, with 0**0 = 1", "**"),
    _row("exp", Kind.SMOOTH, 1, "exponential"),
    _row("expm1", Kind.SMOOTH, 1, "exp(u) - 1"),
    _row("log", Kind.SMOOTH, 1, "natural logarithm, u > 0"),
    _row("log1p", Kind.SMOOTH, 1, "log(1 + u), u > -1"),
    _row("sqrt", Kind.SMOOTH, 1, "square root, u >= 0"),
    _row("square", Kind.SMOOTH, 1, "u**2"),
    _row("sin", Kind.SMOOTH, 1, "sine"),
    _row("cos", Kind.SMOOTH, 1, "cosine"),
    _row("tanh", Kind.SMOOTH, 1, "hyperbolic tangent"),
    _row("sinh", Kind.SMOOTH, 1, "hyperbolic sine"),
    _row("cosh", Kind.SMOOTH, 1, "hyperbolic cosine"),
    _row("atan", Kind.SMOOTH, 1, "inverse tangent"),
    _row("asinh", Kind.SMOOTH, 1, "inverse hyperbolic sine"),
    _row("acos", Kind.SMOOTH, 1, "inverse cosine, -1 <= u <= 1"),
    _row("sigmoid", Kind.SMOOTH, 1, "1/(1 + exp(-u))"),
    _row("log_sigmoid", Kind.SMOOTH, 1, "log(sigmoid(u))"),
    _row("softplus", Kind.SMOOTH, 1, "log(1 + exp(u))"),
    _row("log_cosh", Kind.SMOOTH, 1, "log(cosh(u))"),
    _row("logaddexp", Kind.SMOOTH, 2, "log(exp(u) + exp(v))"),
    _row("erf", Kind.SMOOTH, 1, "error function"),
    _row("erfc", Kind.SMOOTH, 1, "1 - erf(u)"),
    _row("normal_cdf", Kind.SMOOTH, 1, "standard normal distribution function"),
    _row("normal_logcdf", Kind.SMOOTH, 1, "its logarithm"),
    _row("lgamma", Kind.SMOOTH, 1, "log of the gamma function, u > 0"),
    _row("digamma", Kind.SMOOTH, 1, "derivative of lgamma, u > 0"),
    _row("i0e", Kind.SMOOTH, 1, "exp(-abs(u))*I0(u), modified Bessel function"),
    _row("xlogy", Kind.SMOOTH, 2, "u*log(v), and 0 where u = 0"),
    _row("xlog1py", Kind.SMOOTH, 2, "u*log1p(v), and 0 where u = 0"),
    _row("stop_gradient", Kind.SMOOTH, 1, "u, with derivative 0"),
    _row("abs", Kind.KINKED, 1, "absolute value"),
    _row("max", Kind.KINKED, (2, None), "largest argument, elementwise"),
    _row("min", Kind.KINKED, (2, None), "smallest argument, elementwise"),
    _row("relu", Kind.KINKED, 1, "max(u, 0)"),
    _row("clip", Kind.KINKED, 3, "min(max(u, low), high)"),
    _row("where", Kind.KINKED, 3, "where(condition, then, otherwise)"),
    _row("sign", Kind.DATA, 1, "-1, 0 or 1"),
    _row("floor", Kind.DATA, 1, "largest integer not above u"),
    _row("is_finite", Kind.DATA, 1, "condition: neither NaN nor infinite"),
    _row("ones_like", Kind.DATA, 1, "1 in the shape of u"),
    _row("sum", Kind.COLLAPSE, 1, "sum over the axis"),
    _row("mean", Kind.COLLAPSE, 1, "arithmetic mean over the axis"),
    _row("amax", Kind.COLLAPSE, 1, "largest element of the axis", "max"),
    _row("amin", Kind.COLLAPSE, 1, "smallest element of the axis", "min"),
    _row("logsumexp", Kind.COLLAPSE, 1, "log of the sum of exponentials"),
    _row("norm", Kind.COLLAPSE, 1, "Euclidean norm"),
    _row("softmax", Kind.ALONG, 1, "exp(u)/sum(exp(u))"),
    _row("log_softmax", Kind.ALONG, 1, "log(softmax(u))"),
    _row("l2_normalize", Kind.ALONG, 1, "u/norm(u)"),
    _row("cumsum", Kind.ALONG, 1, "running sum"),
    _row("logcumsumexp", Kind.ALONG, 1, "log of the running sum of exponentials"),
    _row("lt", Kind.COMPARISON, 2, "u < v", "<"),
    _row("le", Kind.COMPARISON, 2, "u <= v", "<="),
    _row("gt", Kind.COMPARISON, 2, "u > v", ">"),
    _row("ge", Kind.COMPARISON, 2, "u >= v", ">="),
    _row("eq", Kind.COMPARISON, 2, "u == v", "=="),
    _row("ne", Kind.COMPARISON, 2, "u != v", "!="),
    _row("and", Kind.LOGIC, (2, None), "both"),
    _row("or", Kind.LOGIC, (2, None), "either"),
    _row("not", Kind.LOGIC, 1, "negation"),
)

FUNCTIONS: dict[str, Function] = {row.op: row for row in _ROWS}
"""Every operation of the language, by the compiler's name for it."""

LOWERED: dict[str, str] = {
    "trigamma": "derivative of digamma",
    "i1e": "exp(-abs(u))*I1(u), modified Bessel function",
    "log1m_softmax": "log(1 - softmax(u))",
    "log1p_square": "log(1 + u**2)",
    "log_difference": "log(u) - log(v)",
    "log1p_difference": "log(1 + u) - log(1 + v)",
    "log1pmx": "log(1 + u) - u",
    "expm1mx": "exp(u) - 1 - u",
    "exp_tilted": "exp(u) - v*u",
    "powm1": "u**v - 1",
    "pow1pm1": "(1 + u)**v - 1",
    "geman_mcclure": "u**2/(1 + u**2)",
    "kl_div": "u*log(u/v) - u + v, and v where u = 0",
    "itakura_saito": "u/v - log(u/v) - 1",
    "with_slopes": "with_slopes(v, x, slope, …): v, whose derivative by x is the slope",
    "lgamma_difference": "lgamma(u + v) - lgamma(u), v >= 0",
    "digamma_difference": "digamma(u + v) - digamma(u), v >= 0",
    "log_beta": "lgamma(u) + lgamma(v) - lgamma(u + v)",
    "log_multiset": "lgamma(u + v) - lgamma(u) - lgamma(v + 1), v in {0, 1, 2, ...}",
    "poisson_peak": "lgamma(u + 1) - u*log(u) + u, and 0 where u = 0",
    "log_beta_excess": "log_beta(u, v) + u*log(1 + v/u) + v*log(1 + u/v)",
    "negative_binomial": "negative log of the probability of u; size v and mean w",
    "tweedie": "half of the unit deviance of u from v with the variance v**w",
    "log_i0e": "log(i0e(u))",
    "log_i0": "log(i0e(u)) + abs(u)",
    "guarded": "guarded(u, v): v, a clip of u, with the derivative of u",
    "select": "select(y, u, v) = y*u + (1 - y)*v for y in {0, 1}",
    "take": "take(u, labels): the entry of u that an integer label names",
    "flat": "a collapsing operation that drops its axis",
    "count": "number of kept elements along the axis",
    "any": "whether a condition holds anywhere along the axis",
    "filled": "a condition, but true all along the axis where it holds nowhere",
    "above": "smallest number of the computing type above a constant",
    "below": "largest number of the computing type below a constant",
    "lowest": "the most negative number of the computing type",
    "highest": "its negative",
}
"""Operations that only derivatives and lowering make; a spec cannot call them."""

_ABBREVIATIONS = (
    _row("log2", Kind.SMOOTH, 1, "binary logarithm, log(u)/log(2)"),
    _row("log10", Kind.SMOOTH, 1, "decimal logarithm, log(u)/log(10)"),
    _row("var", Kind.COLLAPSE, 1, "population variance, mean((u - mean(u))**2)"),
    _row("std", Kind.COLLAPSE, 1, "its root, with gradient 0 where that is 0"),
)
"""What the parser writes out with the operations above."""

_CALLABLE = (Kind.SMOOTH, Kind.KINKED, Kind.DATA, Kind.COLLAPSE, Kind.ALONG)

CALLS: dict[str, tuple[Function, ...]] = {}
"""The functions a spec can call, by the name it writes (``max`` has two rows)."""
for _function in (*_ROWS, *_ABBREVIATIONS):
    if _function.kind in _CALLABLE and _function.op != "ones_like":
        _same = CALLS.get(_function.surface, ())
        CALLS[_function.surface] = (*_same, _function)

CONDITIONS = frozenset(
    row.op for row in _ROWS if row.kind in (Kind.COMPARISON, Kind.LOGIC)
) | {"is_finite"}
"""Operations whose result is a condition, not a number."""
