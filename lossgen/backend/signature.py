"""Parameters of a loss as Python source: in signatures, and checked."""

from __future__ import annotations

from fractions import Fraction

from lossgen.backend.printer import literal
from lossgen.backend.prose import safe
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.spec import Default


def function_parameters(loss: Loss) -> list[str]:
    """The keyword parameters of the function, in the author's order."""
    return [_parameter(item) for item in loss.parameters] + _from_logits(loss)


def constructor_parameters(loss: Loss) -> list[str]:
    """The parameters of the class; those without a default come first."""
    ordered = sorted(loss.parameters, key=lambda item: item.default is not None)
    return [_parameter(item) for item in ordered] + _from_logits(loss)


def parameter_check(variable: Variable, ranked: bool) -> str:
    """The call that refuses values outside the parameter's domain.

    Args:
        variable: The parameter.
        ranked: Whether the check looks at the rank, as that of some parameter has to.
    """
    name, shape = variable.name, variable.shape
    unranked = ", rank=None" if ranked else ""
    rank = {"scalar": "", "last": ", rank=1", "elements": unranked}[shape]
    value = f'_listed("{name}", {name})' if shape == "last" else name
    words = safe(" ".join(variable.domain.text.split())).replace('"', "'")
    holds = _holds(variable.domain)
    return f'_check("{name}", {value}, "{words}", {holds}{rank})'


def default_source(default: Default) -> str:
    """A parameter's default as Python source."""
    if isinstance(default, tuple):
        inner = ", ".join(default_source(item) for item in default)
        return f"({inner},)" if len(default) == 1 else f"({inner})"
    return repr(float(default))


def _from_logits(loss: Loss) -> list[str]:
    return ["from_logits: bool = False"] if loss.spec.y_pred.logits else []


def _parameter(variable: Variable) -> str:
    scalar = variable.shape == "scalar"
    kind = "float | tf.Tensor" if scalar else "float | Sequence[Any] | tf.Tensor"
    if variable.default is None:
        return f"{variable.name}: {kind}"
    return f"{variable.name}: {kind} = {default_source(variable.default)}"


def _holds(domain: Domain) -> str:
    """A function of an array that says where it lies in the domain."""
    if domain.labels:
        tests = [f"(v == {literal(value)})" for value in domain.labels]
        return f"lambda v: {' | '.join(tests)}"
    tests = [_side(domain.lower, ">"), _side(domain.upper, "<")]
    if domain.kind is DomainKind.COUNT:
        tests.append("v % 1 == 0")
    if domain.kind is DomainKind.SIMPLEX:
        tests += ["v.ndim > 0", "abs(v.sum(axis=-1) - 1) < 1e-6"]
    present = [test for test in tests if test]
    if not present:
        return "lambda v: v == v"
    if len(present) == 1:
        return f"lambda v: {present[0]}"
    return "lambda v: " + " & ".join(f"({test})" for test in present)


def _side(bound: Bound, sign: str) -> str:
    if bound.value is None:
        return ""
    number = bound.rational
    text = literal(number if number is not None else Fraction(repr(bound.approx)))
    return f"v {sign}{'' if bound.open else '='} {text}"
