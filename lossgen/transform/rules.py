"""Rewrite rules: one row a rule.

Each row turns a form that loses digits, overflows or wastes work into an equal one that
does not. A side condition, where there is one, is on the domain of a bound variable.
Rows are tried in order, bottom up, until none applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from lossgen.ir.expr import (
    ONE,
    TWO,
    Apply,
    Axis,
    Expr,
    Number,
    add,
    apply,
    div,
    mul,
    neg,
    power,
    sub,
    walk,
)
from lossgen.transform.logarithms import LOWEST
from lossgen.transform.patterns import REST, wildcard

U, V, W, X, Y = (wildcard(name) for name in "uvwxy")


class Condition(Enum):
    """What a rule needs to be true."""

    NONE = "nothing"
    Y_BINARY = "y takes the values 0 and 1 only"
    Y_LABEL = "y is a label between 0 and 1"
    Y_SHARES = "y is nonnegative, and 1 in total along the last axis"
    Y_ONE_HOT = "y is 1 at one place of the last axis and 0 elsewhere"
    U_PREDICTED = "u depends on a prediction"
    W_POSITIVE = "w is a positive parameter or number"
    REST_FIXED = "what is left of the sum depends on no prediction"
    OPPOSITE = "v is -u"
    W_NUMBER = "w is a number, and what is left depends on no prediction"
    W_BETWEEN_1_AND_2 = "w is a parameter or number between 1 and 2"
    SHARED_TERM = "u and v are sums with a term in common"
    NESTED = "x is a sum of v and what is not negative, and u and w differ by less"
    V_NONNEGATIVE = "v is not negative"
    V_LABEL = "v is not negative, and no prediction"
    V_COUNT = "v is a label that counts"
    V_FRACTION = "v is not negative, and may be a fraction"
    W_SHARE = "v and w are numbers, and w lies between 0 and 1"
    VARY = "u and v are no parameters and no numbers"
    FAR_APART = "u and v are positive, one has no bound, and the other comes close to 0"


@dataclass(frozen=True)
class Rule:
    """One rewrite: ``pattern`` becomes ``replacement`` where ``condition`` holds.

    A row on the last axis speaks of any, but for what only the last axis has: labels
    that are shares along it, and operations that are emitted for it alone. With
    ``last`` a rule waits until no other applies: its pattern is part of theirs.
    """

    name: str
    pattern: Expr
    replacement: Expr
    reason: str
    condition: Condition = Condition.NONE
    last: bool = False

    def along(self, axis: Axis) -> Rule:
        """The rule with another axis in place of the last; itself if it has none."""
        if self.condition in (Condition.Y_SHARES, Condition.Y_ONE_HOT):
            return self
        pattern, replacement = (
            _turned(self.pattern, axis),
            _turned(self.replacement, axis),
        )
        if pattern is None or replacement is None or pattern == self.pattern:
            return self
        return replace(self, pattern=pattern, replacement=replacement)


def _turned(expr: Expr, axis: Axis) -> Expr | None:
    """An expression along another axis than the last, None if there is none."""
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        done[node] = node
        if isinstance(node, Apply):
            if node.op == "log1m_softmax":
                return None
            turned = axis if node.axis is Axis.LAST else node.axis
            done[node] = Apply(node.op, tuple(done[arg] for arg in node.args), turned)
    return done[expr]


def _f(op: str, *args: Expr, axis: Axis | None = None) -> Expr:
    return apply(op, *args, axis=axis)


def _select(y: Expr, one: Expr, zero: Expr) -> Expr:
    return Apply("select", (y, one, zero))


_SOFTMAX = _f("softmax", U, axis=Axis.LAST)
_LOG_SOFTMAX = _f("log_softmax", U, axis=Axis.LAST)
_LOG1M_SOFTMAX = _f("log1m_softmax", U, axis=Axis.LAST)


def _picked(y: Expr, expr: Expr) -> Expr:
    """What a one-hot y picks from the last axis."""
    return _f("sum", mul(y, expr), axis=Axis.LAST)


def _part(where: Expr, u: Expr) -> Expr:
    """The ``logsumexp`` of where a condition holds."""
    return _f("logsumexp", Apply("where", (where, u, LOWEST)), axis=Axis.LAST)


def _rest(where: Expr, u: Expr) -> Expr:
    """The ``logsumexp`` of where a condition does not hold."""
    return _f("logsumexp", Apply("where", (where, LOWEST, u)), axis=Axis.LAST)


_HALF = Number(Fraction(1, 2))
_MEAN = div(add(U, V), TWO)
_HALF_SUM = mul(_HALF, add(U, V))
_SIGNED = sub(mul(TWO, Y), ONE)
_ROOT_OF_2 = _f("sqrt", TWO)


def _batch_mean(arg: Expr) -> Expr:
    return _f("mean", arg, axis=Axis.BATCH)


def _centred(arg: Expr) -> Expr:
    return sub(arg, _batch_mean(arg))


def _covariance(left: Expr, right: Expr) -> Expr:
    return _batch_mean(mul(_centred(left), _centred(right)))


def _spread(left: Expr, right: Expr, rest: Expr) -> Expr:
    return add(
        _batch_mean(_f("square", _centred(left))),
        _batch_mean(_f("square", _centred(right))),
        _f("square", sub(_batch_mean(left), _batch_mean(right))),
        rest,
    )


def _concordance() -> Rule:
    """The rule for one minus the concordance correlation coefficient of u and v."""
    sizes = _f("amax", _f("max", _f("abs", U), _f("abs", V)), axis=Axis.BATCH)
    # At most 1e9: of numbers up to 1e18 squares are small enough to be squared again,
    # as XLA does for the slope of a quotient, and a rest of 1e-6 does not vanish.
    limited = _f("clip", sizes, ONE, Number(Fraction(10**9)))
    scale = _f("stop_gradient", limited)
    left, right = div(U, scale), div(V, scale)
    rest = div(div(REST, scale), scale)
    covariance, spread = _covariance(left, right), _spread(left, right, rest)
    gap = add(_batch_mean(_f("square", sub(left, right))), rest)
    far = _f("lt", mul(Number(Fraction(4)), covariance), spread)
    part = div(Apply("where", (far, mul(TWO, covariance), gap)), spread)
    return Rule(
        "concordance",
        sub(ONE, div(mul(TWO, _covariance(U, V)), _spread(U, V, REST))),
        Apply("where", (far, sub(ONE, part), part)),
        "the quotient is close to 1 where u is close to v; squares overflow",
    )


def _lgamma(arg: Expr) -> Expr:
    return _f("lgamma", arg)


def _relative_differences() -> Iterator[Rule]:
    """Rules for ``abs(u - v)/(abs(u) + abs(v))``, or without signs, and multiples.

    The slope of the quotient is ``(abs(u) + abs(v) - abs(u - v)*sign(u))/...``, where
    all but ``2*abs(v)``, or everything, cancels.
    """
    gap, sign = _f("abs", sub(U, V)), _f("sign", sub(U, V))
    signed = add(_f("abs", U), _f("abs", V), REST)
    lefts = add(_f("abs", V), mul(V, _f("sign", U)), REST)
    rights = add(_f("abs", U), mul(U, _f("sign", V)), REST)
    forms = (
        ("relative-difference", signed, lefts, rights),
        (
            "relative-difference-positive",
            add(U, V, REST),
            add(mul(TWO, V), REST),
            add(mul(TWO, U), REST),
        ),
    )
    for name, sizes, left, right in forms:
        slopes = (div(div(mul(sign, top), sizes), sizes) for top in (left, neg(right)))
        by_left, by_right = slopes
        ratio = Apply("with_slopes", (div(gap, sizes), U, by_left, V, by_right))
        for suffix, pattern, replacement, condition in (
            ("", div(gap, sizes), ratio, Condition.REST_FIXED),
            ("-scaled", div(mul(gap, W), sizes), mul(W, ratio), Condition.REST_FIXED),
            ("-over-mean", div(gap, div(sizes, W)), mul(W, ratio), Condition.W_NUMBER),
            ("-over-part", div(gap, mul(W, sizes)), div(ratio, W), Condition.W_NUMBER),
        ):
            yield Rule(
                name + suffix,
                pattern,
                replacement,
                "the slopes of dividend and divisor cancel where one is small",
                condition,
            )


RULES: tuple[Rule, ...] = (
    # Labels 0 and 1 select one of two forms, so a function of the mixture is the
    # mixture of the function: what follows then sees each form alone.
    Rule(
        "binary-mixture",
        add(mul(Y, U), mul(sub(ONE, Y), V)),
        _select(Y, U, V),
        "with y in {0, 1} this is u or v",
        Condition.Y_BINARY,
    ),
    Rule(
        "binary-complement",
        sub(ONE, _select(Y, U, V)),
        _select(Y, sub(ONE, U), sub(ONE, V)),
        "1 - (1 - p) loses the digits of a small p",
    ),
    Rule(
        "log-of-binary-mixture",
        _f("log", _select(Y, U, V)),
        _select(Y, _f("log", U), _f("log", V)),
        "log(1 - p) becomes log1p(-p)",
    ),
    Rule(
        "sigmoid-mixture",
        _select(Y, _f("sigmoid", U), _f("sigmoid", neg(U))),
        _f("sigmoid", mul(_SIGNED, U)),
        "one sigmoid instead of two",
    ),
    Rule(
        "log-sigmoid-mixture",
        _select(Y, _f("log_sigmoid", U), _f("log_sigmoid", neg(U))),
        _f("log_sigmoid", mul(_SIGNED, U)),
        "one log_sigmoid instead of two",
    ),
    Rule(
        "mixture-complement",
        sub(ONE, add(mul(Y, U), mul(sub(ONE, Y), V))),
        add(mul(Y, sub(ONE, U)), mul(sub(ONE, Y), sub(ONE, V))),
        "of a mixture close to 1 its complement loses the digits",
        Condition.Y_LABEL,
    ),
    Rule(
        "double-complement",
        Apply("add", (ONE, Apply("neg", (Apply("add", (ONE, neg(U))),)))),
        U,
        "1 - (1 - p) loses the digits of a small p",
    ),
    # Sigmoid and softmax.
    Rule(
        "sigmoid-complement",
        sub(ONE, _f("sigmoid", U)),
        _f("sigmoid", neg(U)),
        "1 - sigmoid(u) is 0 from u = 17 on in float32",
    ),
    Rule(
        "softmax-last",
        div(_f("exp", U), _f("sum", _f("exp", U), axis=Axis.LAST)),
        _SOFTMAX,
        "exp overflows",
    ),
    Rule(
        "logsumexp-excess",
        add(_f("logsumexp", U, axis=Axis.LAST), neg(_picked(Y, U)), REST),
        sub(REST, _picked(Y, _LOG_SOFTMAX)),
        "the terms cancel where one class is nearly certain",
        Condition.Y_SHARES,
    ),
    Rule(
        "logsumexp-excess-negated",
        add(neg(_f("logsumexp", U, axis=Axis.LAST)), _picked(Y, U), REST),
        add(_picked(Y, _LOG_SOFTMAX), REST),
        "the terms cancel where one class is nearly certain",
        Condition.Y_SHARES,
    ),
    Rule(
        "softmax-less-label",
        add(_SOFTMAX, neg(Y)),
        add(mul(sub(ONE, Y), _SOFTMAX), mul(Y, _f("expm1", _LOG_SOFTMAX))),
        "softmax(u) - 1 loses its digits where one class is nearly certain",
        Condition.Y_LABEL,
    ),
    Rule(
        "label-less-softmax",
        add(Y, neg(_SOFTMAX)),
        sub(neg(mul(Y, _f("expm1", _LOG_SOFTMAX))), mul(sub(ONE, Y), _SOFTMAX)),
        "1 - softmax(u) loses its digits where one class is nearly certain",
        Condition.Y_LABEL,
    ),
    Rule(
        "sigmoid-less-label",
        add(_f("sigmoid", U), neg(Y)),
        sub(mul(sub(ONE, Y), _f("sigmoid", U)), mul(Y, _f("sigmoid", neg(U)))),
        "sigmoid(u) - 1 is 0 from u = 17 on in float32",
        Condition.Y_LABEL,
    ),
    Rule(
        "label-less-sigmoid",
        add(Y, neg(_f("sigmoid", U))),
        sub(mul(Y, _f("sigmoid", neg(U))), mul(sub(ONE, Y), _f("sigmoid", U))),
        "1 - sigmoid(u) is 0 from u = 17 on in float32",
        Condition.Y_LABEL,
    ),
    Rule(
        "log-of-sigmoid-difference",
        _f("log", sub(_f("sigmoid", U), _f("sigmoid", V))),
        add(
            _f("log_sigmoid", U),
            _f("log_sigmoid", neg(V)),
            _f("log", neg(_f("expm1", sub(V, U)))),
        ),
        "the difference is 0 where both are close to 0 or to 1",
    ),
    Rule(
        "softmax-complement",
        sub(ONE, _SOFTMAX),
        neg(_f("expm1", _LOG_SOFTMAX)),
        "1 - softmax(u) loses its digits, and can round below 0, near 1",
    ),
    Rule(
        "log-softmax-complement",
        _f("log", neg(_f("expm1", _LOG_SOFTMAX))),
        _LOG1M_SOFTMAX,
        "1 - softmax(u) underflows where one term is much larger than the others",
    ),
    Rule(
        "softmax-complement-power",
        power(neg(_f("expm1", _LOG_SOFTMAX)), V),
        _f("exp", mul(V, _LOG1M_SOFTMAX)),
        "a power of an underflowed complement has the gradient 0 times infinity",
    ),
    # A one-hot label picks one entry, so a function of it is the entry of the function.
    Rule(
        "picked-softmax",
        _picked(Y, _SOFTMAX),
        _f("exp", _picked(Y, _LOG_SOFTMAX)),
        "a logarithm or a power of an underflowed softmax is infinite, or its slope",
        Condition.Y_ONE_HOT,
    ),
    Rule(
        "picked-softmax-complement",
        sub(ONE, _f("exp", _picked(Y, _LOG_SOFTMAX))),
        _f("exp", _picked(Y, _LOG1M_SOFTMAX)),
        "1 - softmax(u) loses its digits near 1",
        Condition.Y_ONE_HOT,
    ),
    Rule(
        "reciprocal-logistic",
        div(W, add(ONE, _f("exp", neg(U)))),
        mul(W, _f("sigmoid", U)),
        "exp(-u) overflows below u = -88",
    ),
    Rule(
        "reciprocal-logistic-square",
        div(W, _f("square", add(ONE, _f("exp", neg(U))))),
        mul(W, _f("square", _f("sigmoid", U))),
        "exp(-u) overflows below u = -88",
    ),
    Rule(
        "sigmoid-power",
        power(_f("sigmoid", U), V),
        _f("exp", mul(V, _f("log_sigmoid", U))),
        "a power of an underflowed sigmoid has the gradient 0 times infinity",
    ),
    Rule(
        "softmax-power",
        power(_SOFTMAX, V),
        _f("exp", mul(V, _LOG_SOFTMAX)),
        "a power of an underflowed softmax has the gradient 0 times infinity",
    ),
    Rule(
        "sqrt-of-sigmoid",
        _f("sqrt", _f("sigmoid", U)),
        _f("exp", mul(_HALF, _f("log_sigmoid", U))),
        "the slope of the root of an underflowed sigmoid is infinite",
    ),
    Rule(
        "sqrt-of-softmax",
        _f("sqrt", _SOFTMAX),
        _f("exp", mul(_HALF, _LOG_SOFTMAX)),
        "the slope of the root of an underflowed softmax is infinite",
    ),
    # Logarithms and exponentials.
    Rule(
        "cosh",
        add(_f("exp", U), _f("exp", V), REST),
        add(mul(TWO, _f("cosh", U)), REST),
        "one function instead of two",
        Condition.OPPOSITE,
    ),
    Rule(
        "log-of-choice",
        _f("log", Apply("where", (X, U, V))),
        Apply("where", (X, _f("log", U), _f("log", V))),
        "each branch may have a logarithm that is finite",
    ),
    Rule(
        "log-of-exp-difference",
        _f("log", sub(_f("exp", U), _f("exp", V))),
        add(U, _f("log", neg(_f("expm1", sub(V, U))))),
        "exp overflows, and the terms cancel where u is close to v",
    ),
    Rule(
        "log-expm1",
        _f("log", _f("expm1", U)),
        add(U, _f("log", neg(_f("expm1", neg(U))))),
        "expm1(u) overflows above u = 88",
    ),
    Rule(
        "logsumexp-less-part",
        add(_f("logsumexp", U, axis=Axis.LAST), neg(_part(X, U)), REST),
        add(_f("softplus", sub(_rest(X, U), _part(X, U))), REST),
        "the terms cancel where the part is nearly all",
    ),
    Rule(
        "part-less-logsumexp",
        add(neg(_f("logsumexp", U, axis=Axis.LAST)), _part(X, U), REST),
        sub(REST, _f("softplus", sub(_rest(X, U), _part(X, U)))),
        "the terms cancel where the part is nearly all",
    ),
    Rule(
        "exp-power",
        power(_f("exp", U), V),
        _f("exp", mul(V, U)),
        "the power of an overflowed or underflowed exp",
    ),
    Rule(
        "log1p",
        _f("log", add(ONE, U)),
        _f("log1p", U),
        "1 + u loses the digits of a small u",
    ),
    Rule(
        "log-of-squares",
        _f("log", add(_f("square", U), _f("square", W))),
        add(_f("log1p_square", div(U, W)), mul(TWO, _f("log", W))),
        "the square overflows, and log(u**2 + w**2) - 2*log(w) cancels",
        Condition.W_POSITIVE,
    ),
    Rule(
        "log1p-square",
        _f("log1p", _f("square", div(U, V))),
        _f("log1p_square", div(U, V)),
        "the square of a quotient overflows where the divisor is small",
    ),
    Rule(
        "log1p-square-quotient",
        _f("log1p", div(_f("square", div(U, V)), W)),
        _f("log1p_square", div(div(U, V), _f("sqrt", W))),
        "the square of a quotient overflows where the divisor is small",
        Condition.W_POSITIVE,
    ),
    # Differences that vanish to a higher order than their terms.
    Rule(
        "log1p-difference",
        add(_f("log1p", U), neg(_f("log1p", V)), REST),
        add(_f("log1p_difference", U, V), REST),
        "the terms cancel where u is close to v",
        Condition.VARY,
    ),
    Rule(
        "log1pmx",
        add(_f("log1p", U), neg(U), REST),
        add(_f("log1pmx", U), REST),
        "log(1 + u) - u loses the digits of a small u",
    ),
    Rule(
        "log1pmx-negated",
        add(neg(_f("log1p", U)), U, REST),
        sub(REST, _f("log1pmx", U)),
        "u - log(1 + u) loses the digits of a small u",
    ),
    Rule(
        "expm1mx",
        add(_f("exp", U), neg(U), REST),
        add(_f("expm1mx", U), ONE, REST),
        "exp(u) - u has the slope 0 at 0, where the slopes of its terms cancel",
    ),
    Rule(
        "exp-tilted",
        add(_f("exp", U), neg(mul(U, V)), REST),
        add(_f("exp_tilted", U, V), REST),
        "the slope of exp(u) - v*u loses its digits where v is 1 and u small",
    ),
    Rule(
        "exp-tilted-negated",
        add(neg(_f("exp", U)), mul(U, V), REST),
        add(neg(_f("exp_tilted", U, V)), REST),
        "the slope of exp(u) - v*u loses its digits where v is 1 and u small",
    ),
    Rule(
        "logaddexp-excess",
        add(_f("logaddexp", U, V), neg(U), REST),
        add(_f("softplus", sub(V, U)), REST),
        "the terms cancel where u is much larger than v",
    ),
    Rule(
        "logaddexp-excess-negated",
        add(neg(_f("logaddexp", U, V)), U, REST),
        sub(REST, _f("softplus", sub(V, U))),
        "the terms cancel where u is much larger than v",
    ),
    Rule(
        "softplus-excess-of-label",
        add(_f("softplus", U), neg(mul(Y, U)), REST),
        add(mul(Y, _f("softplus", neg(U))), mul(sub(ONE, Y), _f("softplus", U)), REST),
        "the terms, and their slopes, cancel where y is 1 and u is large",
        Condition.Y_LABEL,
    ),
    Rule(
        "softplus-excess",
        add(_f("softplus", U), neg(U), REST),
        add(_f("softplus", neg(U)), REST),
        "the terms cancel where u is large",
    ),
    Rule(
        "softplus-excess-negated",
        add(neg(_f("softplus", U)), U, REST),
        sub(REST, _f("softplus", neg(U))),
        "the terms cancel where u is large",
    ),
    Rule(
        "softplus-tilted",
        add(mul(TWO, _f("softplus", neg(U))), U, REST),
        add(mul(TWO, _f("log_cosh", div(U, TWO))), mul(TWO, _f("log", TWO)), REST),
        "the slopes of 2*softplus(-u) and u cancel at 0",
    ),
    Rule(
        "softplus-tilted-double",
        add(_f("softplus", mul(Number(Fraction(-2)), U)), U, REST),
        add(_f("log_cosh", U), _f("log", TWO), REST),
        "the terms, and their slopes, cancel at 0",
    ),
    Rule(
        "one-minus-cos",
        add(ONE, neg(_f("cos", U)), REST),
        add(mul(TWO, _f("square", _f("sin", div(U, TWO)))), REST),
        "1 - cos(u) loses the digits of a small u",
    ),
    Rule(
        "one-minus-cos-scaled",
        add(neg(mul(_f("cos", U), V)), V, REST),
        add(mul(TWO, V, _f("square", _f("sin", div(U, TWO)))), REST),
        "1 - cos(u) loses the digits of a small u",
    ),
    Rule(
        "sqrt1pm1",
        add(_f("sqrt", add(ONE, U)), neg(ONE), REST),
        add(div(U, add(_f("sqrt", add(ONE, U)), ONE)), REST),
        "sqrt(1 + u) - 1 loses the digits of a small u",
    ),
    Rule(
        "hypotenuse-excess",
        add(_f("sqrt", add(_f("square", U), _f("square", W))), neg(W), REST),
        add(
            div(
                _f("square", U),
                add(_f("sqrt", add(_f("square", U), _f("square", W))), W),
            ),
            REST,
        ),
        "sqrt(u**2 + w**2) - w loses the digits of a small u",
        Condition.W_POSITIVE,
    ),
    Rule(
        "pow1pm1",
        add(power(add(ONE, U), V), neg(ONE)),
        _f("pow1pm1", U, V),
        "(1 + u)**v - 1 loses the digits of a small u",
    ),
    Rule(
        "pow1pm1-negated",
        sub(ONE, power(add(ONE, U), V)),
        neg(_f("pow1pm1", U, V)),
        "1 - (1 + u)**v loses the digits of a small u",
    ),
    Rule(
        "powm1",
        add(power(U, V), neg(ONE), REST),
        add(_f("powm1", U, V), REST),
        "u**v - 1 loses the digits of a small v",
    ),
    Rule(
        "powm1-negated",
        add(ONE, neg(power(U, V)), REST),
        sub(REST, _f("powm1", U, V)),
        "1 - u**v loses the digits of a small v",
    ),
    Rule(
        "powm1-of-label",
        add(power(U, V), neg(Y)),
        _f("where", _f("eq", Y, ONE), _f("powm1", U, V), power(U, V)),
        "u**v - 1 loses the digits of a small v",
        Condition.Y_BINARY,
    ),
    Rule(
        "powm1-of-label-negated",
        add(Y, neg(power(U, V))),
        neg(_f("where", _f("eq", Y, ONE), _f("powm1", U, V), power(U, V))),
        "u**v - 1 loses the digits of a small v",
        Condition.Y_BINARY,
    ),
    Rule(
        "geman-mcclure",
        div(_f("square", U), add(_f("square", U), _f("square", W))),
        _f("geman_mcclure", div(U, W)),
        "the slopes of dividend and divisor cancel where u is large",
        Condition.W_POSITIVE,
    ),
    Rule(
        "geman-mcclure-unscaled",
        div(_f("square", U), add(_f("square", U), ONE)),
        _f("geman_mcclure", U),
        "the slopes of dividend and divisor cancel where u is large",
    ),
    *_relative_differences(),
    Rule(
        "kl-div",
        add(_f("xlogy", U, div(U, V)), neg(U), V, REST),
        add(_f("kl_div", U, V), REST),
        "u*log(u/v) - u + v loses its digits where u is close to v",
    ),
    Rule(
        "kl-div-log",
        add(mul(_f("log", div(U, V)), U), neg(U), V, REST),
        add(_f("kl_div", U, V), REST),
        "u*log(u/v) - u + v loses its digits where u is close to v",
    ),
    Rule(
        "kl-div-difference",
        add(mul(U, sub(_f("log", U), _f("log", V))), neg(U), V, REST),
        add(_f("kl_div", U, V), REST),
        "u*(log(u) - log(v)) - u + v loses its digits where u is close to v",
    ),
    Rule(
        "kl-div-difference-negated",
        add(neg(mul(U, sub(_f("log", V), _f("log", U)))), neg(U), V, REST),
        add(_f("kl_div", U, V), REST),
        "v - u - u*(log(v) - log(u)) loses its digits where u is close to v",
    ),
    Rule(
        "kl-div-to-the-mean",
        add(_f("xlogy", U, div(U, _MEAN)), _f("xlogy", V, div(V, _MEAN)), REST),
        add(_f("kl_div", U, _MEAN), _f("kl_div", V, _MEAN), REST),
        "the two terms cancel where u is close to v",
    ),
    Rule(
        "kl-div-to-the-half-sum",
        add(_f("xlogy", U, div(U, _HALF_SUM)), _f("xlogy", V, div(V, _HALF_SUM)), REST),
        add(_f("kl_div", U, _HALF_SUM), _f("kl_div", V, _HALF_SUM), REST),
        "the two terms cancel where u is close to v",
    ),
    Rule(
        "itakura-saito",
        add(div(U, V), neg(_f("log", div(U, V))), REST),
        add(_f("itakura_saito", U, V), ONE, REST),
        "u/v - log(u/v) has the slope 0 at 1, where the slopes of its terms cancel",
    ),
    Rule(
        "itakura-saito-inverse",
        add(div(U, V), _f("log", div(V, U)), REST),
        add(_f("itakura_saito", U, V), ONE, REST),
        "u/v + log(v/u) has the slope 0 at 1, where the slopes of its terms cancel",
    ),
    Rule(
        "itakura-saito-difference",
        add(div(U, V), _f("log", V), neg(_f("log", U)), REST),
        add(_f("itakura_saito", U, V), ONE, REST),
        "u/v + log(v) - log(u) has the slope 0 at 1, where those of its terms cancel",
    ),
    Rule(
        "itakura-saito-of-difference",
        add(div(sub(U, V), V), neg(_f("log", div(U, V))), REST),
        add(_f("itakura_saito", U, V), REST),
        "(u - v)/v - log(u/v) loses its digits where u is close to v",
    ),
    Rule(
        "itakura-saito-of-difference-inverse",
        add(div(sub(U, V), V), _f("log", div(V, U)), REST),
        add(_f("itakura_saito", U, V), REST),
        "(u - v)/v + log(v/u) loses its digits where u is close to v",
    ),
    Rule(
        "tweedie",
        add(
            div(power(U, sub(TWO, W)), mul(sub(ONE, W), sub(TWO, W))),
            neg(div(mul(U, power(V, sub(ONE, W))), sub(ONE, W))),
            div(power(V, sub(TWO, W)), sub(TWO, W)),
            REST,
        ),
        add(_f("tweedie", U, V, W), REST),
        "the terms cancel where u is close to v",
        Condition.W_BETWEEN_1_AND_2,
    ),
    Rule(
        "tweedie-of-differences",
        add(
            div(mul(U, sub(power(U, sub(ONE, W)), power(V, sub(ONE, W)))), sub(ONE, W)),
            neg(div(sub(power(U, sub(TWO, W)), power(V, sub(TWO, W))), sub(TWO, W))),
            REST,
        ),
        add(_f("tweedie", U, V, W), REST),
        "the terms cancel where u is close to v",
        Condition.W_BETWEEN_1_AND_2,
    ),
    Rule(
        "share-of-mean",
        div(mul(TWO, U), add(U, V)),
        div(U, _MEAN),
        "the quotient of a number and a mean, as other rules have it",
    ),
    Rule(
        "log-of-share",
        _f("log", div(U, add(U, V))),
        neg(_f("log1p", div(V, U))),
        "u/(u + v) loses the digits of a small v",
    ),
    # The quotient of mean((u - v)**2) alone is right in value, but where one element
    # outweighs all others it is close to 1, and the slopes of its two sides cancel.
    _concordance(),
    Rule(
        "quotient-complement",
        sub(ONE, div(U, V)),
        div(sub(V, U), V),
        "the quotient is close to 1 where the other terms are small",
        Condition.SHARED_TERM,
    ),
    Rule(
        "power-times-log",
        mul(power(U, V), _f("log", U)),
        _f("xlogy", power(U, V), U),
        "where u underflows the product is 0 times an infinity",
    ),
    Rule(
        "power-times-log-scaled",
        mul(power(U, V), _f("log", U), W),
        mul(_f("xlogy", power(U, V), U), W),
        "where u underflows the product is 0 times an infinity",
    ),
    Rule(
        "xlog1py",
        _f("xlogy", V, add(ONE, U)),
        _f("xlog1py", V, U),
        "1 + u loses the digits of a small u",
    ),
    Rule(
        "expm1",
        sub(_f("exp", U), ONE),
        _f("expm1", U),
        "exp(u) - 1 loses the digits of a small u",
    ),
    Rule(
        "expm1-negated",
        sub(ONE, _f("exp", U)),
        neg(_f("expm1", U)),
        "1 - exp(u) loses the digits of a small u",
    ),
    Rule(
        "tanh-complement",
        sub(ONE, _f("tanh", U)),
        mul(TWO, _f("sigmoid", neg(mul(TWO, U)))),
        "1 - tanh(u) is 0 from u = 9 on in float32",
    ),
    # Special functions.
    Rule(
        "poisson-peak",
        add(neg(mul(V, _f("log", U))), U, _lgamma(add(V, ONE)), REST),
        add(_f("kl_div", V, U), _f("poisson_peak", V), REST),
        "the terms cancel where a large count is close to its mean",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "poisson-peak-xlogy",
        add(neg(_f("xlogy", V, U)), U, _lgamma(add(V, ONE)), REST),
        add(_f("kl_div", V, U), _f("poisson_peak", V), REST),
        "the terms cancel where a large count is close to its mean",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "log-multiset",
        add(_lgamma(add(U, V)), neg(_lgamma(U)), neg(_lgamma(add(V, ONE))), REST),
        add(_f("log_multiset", U, V), REST),
        "logarithms of large factorials cancel",
        Condition.V_COUNT,
    ),
    Rule(
        "log-multiset-negated",
        add(neg(_lgamma(add(U, V))), _lgamma(U), _lgamma(add(V, ONE)), REST),
        sub(REST, _f("log_multiset", U, V)),
        "logarithms of large factorials cancel",
        Condition.V_COUNT,
    ),
    Rule(
        "lgamma-difference-by-label",
        add(neg(_lgamma(U)), _lgamma(add(U, V)), REST),
        add(_f("lgamma_difference", U, V), REST),
        "the terms, and their slopes, cancel where u is large",
        Condition.V_LABEL,
    ),
    Rule(
        "lgamma-difference-by-label-negated",
        add(_lgamma(U), neg(_lgamma(add(U, V))), REST),
        sub(REST, _f("lgamma_difference", U, V)),
        "the terms, and their slopes, cancel where u is large",
        Condition.V_LABEL,
    ),
    Rule(
        "digamma-difference",
        add(neg(_f("digamma", U)), _f("digamma", add(U, V)), REST),
        add(_f("digamma_difference", U, V), REST),
        "the terms cancel where u is large",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "digamma-difference-negated",
        add(_f("digamma", U), neg(_f("digamma", add(U, V))), REST),
        sub(REST, _f("digamma_difference", U, V)),
        "the terms cancel where u is large",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "log-beta",
        add(_lgamma(U), _lgamma(V), neg(_lgamma(add(U, V))), REST),
        add(_f("log_beta", U, V), REST),
        "the terms, and their slopes, cancel where u or v is large",
    ),
    Rule(
        "beta-of-mean",
        add(
            _f("log_beta", mul(U, W), mul(sub(ONE, U), W)),
            neg(mul(sub(mul(U, W), ONE), _f("log", V))),
            neg(mul(sub(mul(sub(ONE, U), W), ONE), _f("log1p", neg(V)))),
            REST,
        ),
        add(
            _f("log_beta_excess", mul(U, W), mul(sub(ONE, U), W)),
            mul(W, add(_f("kl_div", U, V), _f("kl_div", sub(ONE, U), sub(ONE, V)))),
            _f("log", V),
            _f("log1p", neg(V)),
            REST,
        ),
        "the terms cancel where w is large, and u close to v",
    ),
    Rule(
        "log-beta-negated",
        add(neg(_lgamma(U)), neg(_lgamma(V)), _lgamma(add(U, V)), REST),
        sub(REST, _f("log_beta", U, V)),
        "the terms, and their slopes, cancel where u or v is large",
    ),
    Rule(
        "lgamma-difference",
        add(neg(_lgamma(U)), _lgamma(add(U, V)), REST),
        add(_f("lgamma_difference", U, V), REST),
        "the terms, and their slopes, cancel where u is large",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "lgamma-difference-negated",
        add(_lgamma(U), neg(_lgamma(add(U, V))), REST),
        sub(REST, _f("lgamma_difference", U, V)),
        "the terms, and their slopes, cancel where u is large",
        Condition.V_NONNEGATIVE,
    ),
    Rule(
        "log-i0e",
        _f("log", _f("i0e", U)),
        _f("log_i0e", U),
        "i0e(u) is close to 1 where u is small; the two terms of its slope cancel",
    ),
    Rule(
        "log-i0e-product",
        _f("log", mul(_f("i0e", U), V)),
        add(_f("log_i0e", U), _f("log", V)),
        "i0e(u) is close to 1 where u is small; the two terms of its slope cancel",
    ),
    Rule(
        "log-i0",
        add(_f("log_i0e", U), _f("abs", U), REST),
        add(_f("log_i0", U), REST),
        "the terms, and their slopes, cancel where u is small",
    ),
    Rule(
        "erf-complement",
        add(ONE, _f("erf", U)),
        _f("erfc", neg(U)),
        "1 + erf(u) is 0 from u = -4 on in float32",
    ),
    Rule(
        "normal-cdf-complement",
        sub(ONE, _f("normal_cdf", U)),
        _f("normal_cdf", neg(U)),
        "1 - normal_cdf(u) is 0 from u = 6 on in float32",
    ),
    Rule(
        "log-half-erfc",
        _f("log", mul(_HALF, _f("erfc", U))),
        _f("normal_logcdf", neg(mul(_ROOT_OF_2, U))),
        "erfc underflows above u = 9",
    ),
    Rule(
        "log-erfc-halved",
        _f("log", div(_f("erfc", U), TWO)),
        _f("normal_logcdf", neg(mul(_ROOT_OF_2, U))),
        "erfc underflows above u = 9",
    ),
    Rule(
        "log-erfc",
        _f("log", _f("erfc", U)),
        add(_f("normal_logcdf", neg(mul(_ROOT_OF_2, U))), _f("log", TWO)),
        "erfc underflows above u = 9",
    ),
    Rule(
        "root-over-root",
        mul(_f("sqrt", V), div(U, _f("sqrt", V))),
        U,
        "nothing is rounded",
    ),
    Rule(
        "erfc",
        sub(ONE, _f("erf", U)),
        _f("erfc", U),
        "1 - erf(u) is 0 from u = 4 on in float32",
    ),
    Rule(
        "centred-normal-cdf",
        add(mul(TWO, _f("normal_cdf", U)), neg(ONE), REST),
        add(_f("erf", div(U, _f("sqrt", TWO))), REST),
        "2*normal_cdf(u) - 1 loses the digits of a small u",
    ),
    Rule(
        "centred-normal-cdf-negated",
        add(ONE, neg(mul(TWO, _f("normal_cdf", U))), REST),
        sub(REST, _f("erf", div(U, _f("sqrt", TWO)))),
        "1 - 2*normal_cdf(u) loses the digits of a small u",
    ),
    # Powers.
    Rule("square", power(U, TWO), _f("square", U), "cheaper than a power"),
    Rule(
        "square-times-exp",
        mul(_f("square", U), _f("exp", V)),
        _f("square", mul(U, _f("exp", div(V, TWO)))),
        "exp(v) overflows sooner than the product, and 0 times infinity is NaN",
        Condition.U_PREDICTED,
    ),
    Rule(
        "square-times-exp-scaled",
        mul(_f("square", U), _f("exp", V), W),
        mul(_f("square", mul(U, _f("exp", div(V, TWO)))), W),
        "exp(v) overflows sooner than the product, and 0 times infinity is NaN",
        Condition.U_PREDICTED,
    ),
    Rule(
        "square-over-exp",
        div(_f("square", U), _f("exp", V)),
        _f("square", mul(U, _f("exp", neg(div(V, TWO))))),
        "exp(v) underflows sooner than the quotient overflows",
        Condition.U_PREDICTED,
    ),
    Rule(
        "quotient-of-squares",
        div(_f("square", U), _f("square", V)),
        _f("square", div(U, V)),
        "the square of a small divisor underflows, that of a large one overflows",
    ),
    Rule(
        "quotient-by-square",
        div(_f("square", U), mul(_f("square", V), W)),
        div(_f("square", div(U, V)), W),
        "the square of a small divisor underflows, that of a large one overflows",
    ),
    Rule(
        "quotient-of-square",
        div(mul(_f("square", U), W), _f("square", V)),
        mul(_f("square", div(U, V)), W),
        "the square of a small divisor underflows, that of a large one overflows",
    ),
    Rule(
        "quotient-with-squares",
        div(mul(_f("square", U), W), mul(_f("square", V), X)),
        mul(_f("square", div(U, V)), div(W, X)),
        "the square of a small divisor underflows, that of a large one overflows",
    ),
    Rule("sqrt", power(U, _HALF), _f("sqrt", U), "cheaper than a power"),
    Rule(
        "reciprocal",
        power(U, Number(Fraction(-1))),
        div(ONE, U),
        "cheaper than a power",
    ),
    Rule("sqrt-of-square", _f("sqrt", _f("square", U)), _f("abs", U), "gradient at 0"),
    Rule(
        "lgamma-of-one-more",
        _lgamma(add(V, ONE)),
        _f("lgamma_difference", ONE, V),
        "1 + v loses the digits of a small v",
        Condition.V_FRACTION,
        last=True,
    ),
    Rule(
        "log-of-clipped-complement",
        _f("log1p", neg(_f("clip", U, V, W))),
        Apply(
            "where",
            (
                Apply("le", (U, W)),
                _f("log1p", neg(_f("max", U, V))),
                _f("log", sub(ONE, W)),
            ),
        ),
        "an end close to 1 is rounded, which its complement is not",
        Condition.W_SHARE,
        last=True,
    ),
    Rule(
        "weighted-log-growth",
        add(mul(U, _f("log", X)), neg(mul(W, _f("log", V))), REST),
        add(
            mul(W, _f("log1p", div(sub(X, V), V))),
            mul(sub(U, W), _f("log", X)),
            REST,
        ),
        "large multiples of two logarithms cancel",
        Condition.NESTED,
        last=True,
    ),
    Rule(
        "log-growth",
        add(_f("log", X), neg(_f("log", V)), REST),
        add(_f("log1p", div(sub(X, V), V)), REST),
        "the terms cancel where x is close to v",
        Condition.NESTED,
        last=True,
    ),
    Rule(
        "weighted-log-difference",
        add(mul(U, _f("log", X)), neg(mul(U, _f("log", V))), REST),
        add(mul(U, _f("log_difference", X, V)), REST),
        "the terms cancel where x is close to v",
        last=True,
    ),
    Rule(
        "log-of-quotient",
        _f("log", div(U, V)),
        _f("log_difference", U, V),
        "the quotient overflows or underflows where the numbers are far apart",
        Condition.FAR_APART,
        last=True,
    ),
    Rule(
        "log-difference",
        add(_f("log", U), neg(_f("log", V)), REST),
        add(_f("log_difference", U, V), REST),
        "the terms cancel where u is close to v",
        Condition.VARY,
        last=True,
    ),
)
