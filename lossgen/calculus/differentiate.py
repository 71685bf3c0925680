"""Derivatives of expression trees, in forward mode.

The derivative along a direction is built node by node with the chain rule. Reductions
and normalisations have rules of their own, so that nothing is expanded into components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from lossgen.ir.expr import (
    ONE,
    TWO,
    ZERO,
    Apply,
    Axis,
    Constant,
    Expr,
    Number,
    Symbol,
    add,
    apply,
    div,
    mul,
    neg,
    power,
    sub,
    walk,
)
from lossgen.ir.extent import COVERED, Extent, extents
from lossgen.ir.functions import CONDITIONS
from lossgen.ir.loss import Loss

_HALF = Number(Fraction(1, 2))
_PI = Constant("pi")


def directional_derivative(
    expr: Expr, direction: Mapping[Symbol, Expr], loss: Loss
) -> Expr:
    """The derivative of ``expr`` when each symbol moves along its direction.

    Args:
        expr: What to differentiate.
        direction: For each moving symbol, the expression of its velocity, which has
            the symbol's shape. Other symbols stand still.
        loss: Declares the symbols, for their extents.

    Returns:
        An expression linear in the velocities, of the extent of ``expr``. At kinks it
        is one of the one-sided derivatives.
    """
    extent = extents(loss, expr)
    done: dict[Expr, Expr] = {}
    for node in walk(expr):
        if isinstance(node, Symbol):
            done[node] = direction.get(node, ZERO)
        elif isinstance(node, Apply):
            velocities = [done[arg] for arg in node.args]
            if node.op in CONDITIONS or all(item == ZERO for item in velocities):
                done[node] = ZERO
            elif node.op in ("log", "xlogy"):
                done[node] = _logarithm(node, done)
            else:
                done[node] = _chain(node, velocities, extent, loss)
        else:
            done[node] = ZERO
    return done[expr]


def partial_derivatives(node: Apply) -> tuple[Expr, ...]:
    """The partial derivatives of an elementwise operation by its arguments.

    Raises:
        KeyError: If the operation is not elementwise and differentiable.
    """
    return _PARTIALS[node.op](*node.args)


def _chain(
    node: Apply, velocities: list[Expr], extent: dict[Expr, Extent], loss: Loss
) -> Expr:
    if node.op == "add":
        return add(*velocities)
    if node.op == "where":
        return apply("where", node.args[0], velocities[1], velocities[2])
    if node.axis is not None:
        velocity = _spread(node, velocities[0], extent, loss)
        return _AXIS_RULES[node.op](node, velocity)
    if node.op in ("max", "min"):
        return _extremum(node, velocities)
    if node.op == "mul":
        return _product(node, velocities)
    if node.op == "stop_gradient":
        return ZERO
    if node.op == "with_slopes":
        inner = zip(node.args[2::2], velocities[1::2], strict=True)
        return add(*(_scaled(slope, velocity) for slope, velocity in inner))
    partials = partial_derivatives(node)
    return add(
        *(
            _scaled(partial, velocity)
            for partial, velocity in zip(partials, velocities, strict=True)
            if velocity != ZERO
        )
    )


def _scaled(partial: Expr, velocity: Expr) -> Expr:
    """``partial * velocity``, written as a quotient where the partial is one."""
    if isinstance(partial, Apply) and partial.op == "div":
        return div(mul(partial.args[0], velocity), partial.args[1])
    if isinstance(partial, Apply) and partial.op == "neg":
        return neg(_scaled(partial.args[0], velocity))
    return mul(partial, velocity)


def _logarithm(node: Apply, velocities: Mapping[Expr, Expr]) -> Expr:
    """The velocity of ``log(v)`` or ``xlogy(u, v)``."""
    *weight, arg = node.args
    rate = _relative(arg, velocities)
    if not weight:
        return rate
    by_weight = mul(apply("log", arg), velocities[weight[0]])
    return add(by_weight, _scaled(rate, weight[0]))


def _relative(expr: Expr, velocities: Mapping[Expr, Expr]) -> Expr:
    """The velocity of ``expr`` relative to it.

    That of a quotient is a difference, which stays finite where the quotient is 0.
    """
    if velocities[expr] == ZERO:
        return ZERO
    if isinstance(expr, Apply) and expr.op in ("mul", "div", "neg"):
        parts = [_relative(arg, velocities) for arg in expr.args]
        return sub(*parts) if expr.op == "div" else add(*parts)
    return _scaled(div(ONE, expr), velocities[expr])


def _product(node: Apply, velocities: list[Expr]) -> Expr:
    terms: list[Expr] = []
    for index, velocity in enumerate(velocities):
        if velocity != ZERO:
            others = node.args[:index] + node.args[index + 1 :]
            terms.append(mul(*others, velocity))
    return add(*terms)


def _extremum(node: Apply, velocities: list[Expr]) -> Expr:
    """The velocity of the first argument that attains the maximum or minimum."""
    compare = "ge" if node.op == "max" else "le"
    best, velocity = node.args[-1], velocities[-1]
    pairs = list(zip(node.args, velocities, strict=True))
    for arg, arg_velocity in reversed(pairs[:-1]):
        wins = Apply(compare, (arg, best))
        velocity = Apply("where", (wins, arg_velocity, velocity))
        best = Apply(node.op, (arg, best))
    return velocity


def _spread(
    node: Apply, velocity: Expr, extent: dict[Expr, Extent], loss: Loss
) -> Expr:
    """The velocity at the length that the argument has along the node's axis."""
    assert node.axis is not None
    missing = extent[node.args[0]] - extents(loss, velocity)[velocity]
    if node.op in ("sum", "cumsum") and missing & COVERED[node.axis]:
        return Apply("mul", (velocity, Apply("ones_like", (node.args[0],))))
    return velocity


# Elementwise operations -----------------------------------------------------------


def _power(base: Expr, exponent: Expr) -> tuple[Expr, ...]:
    by_base = mul(exponent, power(base, sub(exponent, ONE)))
    return by_base, mul(Apply("pow", (base, exponent)), apply("log", base))


def _gauss(arg: Expr) -> Expr:
    """The standard normal density."""
    bell = apply("exp", neg(div(apply("square", arg), TWO)))
    return div(bell, apply("sqrt", mul(TWO, _PI)))


def _log_gauss(arg: Expr) -> Expr:
    """The density over the distribution function, formed as one exponential."""
    exponent = sub(neg(div(apply("square", arg), TWO)), apply("normal_logcdf", arg))
    return div(apply("exp", exponent), apply("sqrt", mul(TWO, _PI)))


def _error_function(arg: Expr) -> Expr:
    bell = apply("exp", neg(apply("square", arg)))
    return div(mul(TWO, bell), apply("sqrt", _PI))


def _log1p_square_slope(arg: Expr) -> Expr:
    """``2*u/(1 + u**2)`` without the square, which can overflow."""
    hypotenuse = apply("exp", div(apply("log1p_square", arg), TWO))
    return div(mul(TWO, div(arg, hypotenuse)), hypotenuse)


def _geman_mcclure_slope(arg: Expr) -> Expr:
    """``2*u/(1 + u**2)**2``."""
    divisor = add(ONE, apply("square", arg))
    return div(div(mul(TWO, arg), divisor), divisor)


def _beta_excess(left: Expr, right: Expr) -> Expr:
    slope = sub(apply("digamma", left), apply("digamma", add(left, right)))
    return add(slope, apply("log1p", div(right, left)))


def _negative_binomial(number: Expr, size: Expr, mean: Expr) -> tuple[Expr, ...]:
    total = apply("digamma", add(size, number))
    by_number = sub(apply("digamma", add(number, ONE)), total)
    gap = div(sub(number, mean), add(size, mean))
    by_size = add(
        sub(apply("digamma", size), total), apply("log1p", div(mean, size)), gap
    )
    by_mean = mul(div(size, add(size, mean)), div(sub(mean, number), mean))
    return add(by_number, apply("log1p", div(size, mean))), by_size, by_mean


def _tweedie(left: Expr, right: Expr, exponent: Expr) -> tuple[Expr, ...]:
    one, two = sub(ONE, exponent), sub(TWO, exponent)
    by_left = div(sub(power(left, one), power(right, one)), one)
    by_right = div(sub(right, left), power(right, exponent))
    by_two = [
        div(mul(power(left, two), apply("log", left)), mul(one, two)),
        neg(div(mul(left, power(right, one), apply("log", right)), one)),
        div(mul(power(right, two), apply("log", right)), two),
        neg(div(mul(power(left, two), add(one, two)), apply("square", mul(one, two)))),
        div(mul(left, power(right, one)), apply("square", one)),
        neg(div(power(right, two), apply("square", two))),
    ]
    return by_left, by_right, neg(add(*by_two))


def _bessel_ratio(arg: Expr) -> Expr:
    return div(apply("i1e", arg), apply("i0e", arg))


def _pow1pm1(arg: Expr, exponent: Expr) -> tuple[Expr, ...]:
    base = add(ONE, arg)
    by_base = mul(exponent, power(base, sub(exponent, ONE)))
    return by_base, mul(power(base, exponent), apply("log1p", arg))


_PARTIALS: dict[str, Callable[..., tuple[Expr, ...]]] = {
    "neg": lambda u: (neg(ONE),),
    "div": lambda u, v: (div(ONE, v), neg(div(u, apply("square", v)))),
    "pow": _power,
    "exp": lambda u: (apply("exp", u),),
    "expm1": lambda u: (apply("exp", u),),
    "log": lambda u: (div(ONE, u),),
    "log1p": lambda u: (div(ONE, add(ONE, u)),),
    "sqrt": lambda u: (div(_HALF, apply("sqrt", u)),),
    "square": lambda u: (mul(TWO, u),),
    "sin": lambda u: (apply("cos", u),),
    "cos": lambda u: (neg(apply("sin", u)),),
    "tanh": lambda u: (sub(ONE, apply("square", apply("tanh", u))),),
    "sinh": lambda u: (apply("cosh", u),),
    "cosh": lambda u: (apply("sinh", u),),
    "atan": lambda u: (div(ONE, add(ONE, apply("square", u))),),
    "asinh": lambda u: (div(ONE, apply("sqrt", add(ONE, apply("square", u)))),),
    "acos": lambda u: (neg(div(ONE, apply("sqrt", mul(sub(ONE, u), add(ONE, u))))),),
    "sigmoid": lambda u: (mul(apply("sigmoid", u), apply("sigmoid", neg(u))),),
    "log_sigmoid": lambda u: (apply("sigmoid", neg(u)),),
    "softplus": lambda u: (apply("sigmoid", u),),
    "log_cosh": lambda u: (apply("tanh", u),),
    "log1p_square": lambda u: (_log1p_square_slope(u),),
    "log_difference": lambda u, v: (div(ONE, u), neg(div(ONE, v))),
    "log1p_difference": lambda u, v: (
        div(ONE, add(ONE, u)),
        neg(div(ONE, add(ONE, v))),
    ),
    "log1pmx": lambda u: (neg(div(u, add(ONE, u))),),
    "expm1mx": lambda u: (apply("expm1", u),),
    "exp_tilted": lambda u, v: (sub(apply("exp", u), v), neg(u)),
    "powm1": lambda u, v: _PARTIALS["pow"](u, v),
    "pow1pm1": _pow1pm1,
    "geman_mcclure": lambda u: (_geman_mcclure_slope(u),),
    "kl_div": lambda u, v: (apply("log", div(u, v)), div(sub(v, u), v)),
    "itakura_saito": lambda u, v: (
        div(div(sub(u, v), u), v),
        div(div(sub(v, u), v), v),
    ),
    "digamma_difference": lambda u, v: (
        sub(apply("trigamma", add(u, v)), apply("trigamma", u)),
        apply("trigamma", add(u, v)),
    ),
    "lgamma_difference": lambda u, v: (
        sub(apply("digamma", add(u, v)), apply("digamma", u)),
        apply("digamma", add(u, v)),
    ),
    "log_beta": lambda u, v: (
        sub(apply("digamma", u), apply("digamma", add(u, v))),
        sub(apply("digamma", v), apply("digamma", add(u, v))),
    ),
    "log_multiset": lambda u, v: (
        sub(apply("digamma", add(u, v)), apply("digamma", u)),
        sub(apply("digamma", add(u, v)), apply("digamma", add(v, ONE))),
    ),
    "log_beta_excess": lambda u, v: (_beta_excess(u, v), _beta_excess(v, u)),
    "negative_binomial": _negative_binomial,
    "tweedie": _tweedie,
    "poisson_peak": lambda u: (sub(apply("digamma", add(u, ONE)), apply("log", u)),),
    "log_i0e": lambda u: (sub(_bessel_ratio(u), apply("sign", u)),),
    "log_i0": lambda u: (_bessel_ratio(u),),
    "logaddexp": lambda u, v: (
        apply("sigmoid", sub(u, v)),
        apply("sigmoid", sub(v, u)),
    ),
    "erf": lambda u: (_error_function(u),),
    "erfc": lambda u: (neg(_error_function(u)),),
    "normal_cdf": lambda u: (_gauss(u),),
    "normal_logcdf": lambda u: (_log_gauss(u),),
    "lgamma": lambda u: (apply("digamma", u),),
    "digamma": lambda u: (apply("trigamma", u),),
    "i0e": lambda u: (sub(apply("i1e", u), mul(apply("sign", u), apply("i0e", u))),),
    "xlogy": lambda u, v: (apply("log", v), div(u, v)),
    "xlog1py": lambda u, v: (apply("log1p", v), div(u, add(ONE, v))),
    "abs": lambda u: (apply("sign", u),),
    "relu": lambda u: (Apply("where", (Apply("gt", (u, ZERO)), ONE, ZERO)),),
    "clip": lambda u, low, high: _clip(u, low, high),
    "sign": lambda u: (ZERO,),
    "floor": lambda u: (ZERO,),
    "ones_like": lambda u: (ZERO,),
}


def _clip(value: Expr, low: Expr, high: Expr) -> tuple[Expr, ...]:
    above, below = Apply("ge", (value, low)), Apply("le", (value, high))
    under, over = Apply("lt", (value, low)), Apply("gt", (value, high))
    # The upper end wins over a lower one above it.
    crossing = Apply("gt", (low, high))
    chosen = (
        Apply("and", (above, below)),
        Apply("and", (under, Apply("not", (crossing,)))),
        Apply("or", (over, crossing)),
    )
    return tuple(Apply("where", (condition, ONE, ZERO)) for condition in chosen)


# Operations along an axis ---------------------------------------------------------


def _sum(arg: Expr, axis: Axis | None) -> Expr:
    return Apply("sum", (arg,), axis)


def _attained(node: Apply, velocity: Expr) -> Expr:
    """The mean velocity of the elements that attain the extremum."""
    attains = Apply("where", (Apply("eq", (node.args[0], node)), ONE, ZERO))
    return div(
        _sum(mul(attains, velocity), node.axis),
        _sum(attains, node.axis),
    )


def _softmax_mean(node: Apply, velocity: Expr) -> Expr:
    weights = Apply("softmax", node.args, node.axis)
    return _sum(mul(weights, velocity), node.axis)


def _softmax(node: Apply, velocity: Expr) -> Expr:
    return mul(node, sub(velocity, _softmax_mean(node, velocity)))


def _logcumsumexp(node: Apply, velocity: Expr) -> Expr:
    """The mean of the velocities so far, weighted by the exponentials."""
    weighted = mul(apply("exp", node.args[0]), velocity)
    return mul(Apply("cumsum", (weighted,), node.axis), apply("exp", neg(node)))


def _norm(node: Apply, velocity: Expr) -> Expr:
    return div(_sum(mul(node.args[0], velocity), node.axis), node)


def _l2_normalize(node: Apply, velocity: Expr) -> Expr:
    along = mul(node, _sum(mul(node, velocity), node.axis))
    return div(sub(velocity, along), Apply("norm", node.args, node.axis))


_AXIS_RULES: dict[str, Callable[[Apply, Expr], Expr]] = {
    "sum": lambda node, velocity: _sum(velocity, node.axis),
    "mean": lambda node, velocity: Apply("mean", (velocity,), node.axis),
    "amax": _attained,
    "amin": _attained,
    "logsumexp": _softmax_mean,
    "norm": _norm,
    "softmax": _softmax,
    "log_softmax": lambda node, velocity: sub(velocity, _softmax_mean(node, velocity)),
    "l2_normalize": _l2_normalize,
    "cumsum": lambda node, velocity: Apply("cumsum", (velocity,), node.axis),
    "logcumsumexp": _logcumsumexp,
}
