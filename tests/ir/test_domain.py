import math
from fractions import Fraction

import pytest
from losses import resolved

from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import Constant, number

INF, NAN = math.inf, math.nan


def domain(text):
    """The domain that a spec's text means, for y_true."""
    loss = resolved(f"loss: y_pred + 0*y_true\ny_true: '{text}'\n")
    return loss.variable("y_true").domain


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("real", [0, -1e300, 1e300], [NAN, INF, -INF]),
        ("positive", [1e-300, 5], [0, -1, INF]),
        ("nonnegative", [0, 5], [-1e-300, NAN]),
        ("probability", [1e-30, 0.5], [0, 1, -0.5, 1.5]),
        ("unit", [0, 0.5, 1], [-1e-9, 1.0000001, NAN]),
        ("binary", [0, 1], [0.5, -1, 2]),
        ("sign", [-1, 1], [0, 0.5]),
        ("count", [0, 1, 1e6], [0.5, -1, INF, NAN]),
        ("[0, 2*pi)", [0, 6.28], [6.2832, -0.1]),
        ("{0, 1, 2.5}", [0, 1, 2.5], [2, 0.5]),
        ("one_hot", [0, 1], [0.5]),
        ("simplex", [0, 0.5, 1], [-0.1, 1.1]),
    ],
)
def test_contains(text, inside, outside):
    found = domain(text)
    assert all(found.contains(value) for value in inside)
    assert not any(found.contains(value) for value in outside)


def test_labels():
    assert domain("binary").labels == (0, 1)
    assert domain("sign").labels == (-1, 1)
    assert domain("one_hot").labels == (0, 1)
    assert domain("{3, 1/2}").labels == (Fraction(1, 2), 3)
    assert domain("unit").labels == ()
    assert domain("count").labels == ()


def test_tied_components():
    tied = [name for name in DomainKind if _of(name).along_last_axis]
    assert tied == [DomainKind.ONE_HOT, DomainKind.SIMPLEX]


def _of(kind):
    end = Bound(number(0), 0.0, False)
    return Domain(kind, end, end, "text")


def test_rational_ends():
    assert Bound(number(Fraction(1, 3)), 1 / 3, True).rational == Fraction(1, 3)
    assert Bound(Constant("pi"), math.pi, True).rational is None
    assert Bound(None, INF, True).rational is None
