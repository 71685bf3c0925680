"""Random losses in the language of specs, as the keyword arguments of `write`."""

import os

from hypothesis import HealthCheck, Phase, reject, settings
from hypothesis import strategies as st
from writing import RefusedError, write

EXAMPLES = int(os.environ.get("LOSSGEN_SOUNDNESS", "400"))

INTERVALS = ("real", "probability", "unit", "nonnegative", "[-1, 2]", "(-2, 1)")
LABELS = (*INTERVALS, "binary", "sign", "count", "{0, 1, 2}")
ENDS = ("(0, 3)", "[0, 2]", "[-1, 1]", "real", "nonnegative", "{0, 1, 2}", "[1, 2)")
NUMBERS = ("1", "2", "0.5", "1.5")
THRESHOLDS = ("0", "0", "1", "0.5", "-40", "3", "25", "300")
UNARY = (
    "abs({})",
    "relu({})",
    "square({})",
    "exp({})",
    "log({})",
    "sqrt({})",
    "tanh({})",
    "log1p(abs({}))",
    "(-{})",
    "sigmoid({})",
    "softplus({})",
    "log_cosh({})",
    "({})**3",
    "abs({})**1.5",
    "({})**a",
    "(1 + square({}))",
    "clip({}, 0, 1)",
    "sin({})",
    "i0e({})",
)
BINARY = (
    "({} + {})",
    "({} - {})",
    "({} * {})",
    "({} / {})",
    "max({}, {})",
    "min({}, {})",
    "logaddexp({}, {})",
    "xlogy({}, {})",
)
TERNARY = ("clip({}, {}, {})", "max({}, {}, {})")
ORDERS = ("<", "<=", ">", ">=")
COLLAPSING = ("sum", "mean", "max", "min", "norm", "logsumexp")
KEEPING = ("softmax", "log_softmax", "cumsum", "logcumsumexp", "l2_normalize")
AXES = ("last", "last", "last", "sample", "batch")


def drawing(examples):
    """The same random losses in each run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        phases=[Phase.generate],  # the formulas are small, and each takes a while
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def written(keys):
    """The loss; another is drawn where one is at fault as it is written."""
    try:
        return write(**keys)
    except RefusedError:
        reject()


@st.composite
def elementwise(draw):
    """Formulas without a reduction, on domains of every kind."""
    return _loss(draw, _formula(draw, ("p", "y", "p", "d"), _size(draw)))


@st.composite
def branching(draw):
    """Branches on labels, parameters and far constants."""
    atoms = ("p", "y", "d")
    formula = _branch(draw, atoms, _size(draw), _data_condition)
    return _loss(draw, f"({formula} + {_formula(draw, atoms, 3)})")


@st.composite
def reduced(draw):
    """Formulas around reductions of formulas."""
    atoms = ("p", "y", "p", "d")
    term = _reduction(draw, _formula(draw, atoms, _size(draw)))
    formula = _formula(draw, (term, term, "d", "y"), draw(st.integers(1, 4)))
    labels = (*LABELS, "one_hot", "simplex")
    predictions = (*INTERVALS, "simplex")
    return _loss(draw, formula, labels, predictions)


@st.composite
def channelled(draw):
    """Two named components of the prediction."""
    atoms = ("m", "s", "y", "(y - m)")
    formula = _formula(draw, atoms, _size(draw))
    if draw(st.booleans()):
        formula = _reduction(draw, formula)
    keys = _loss(draw, formula + " + 0.25*m + 0.5*s*s", drift=False)
    domains = {name: draw(st.sampled_from(INTERVALS)) for name in "ms"}
    return {
        **keys,
        "where": {"y": "y_true"} if _uses(keys["loss"], "y") else {},
        "y_true": keys["y_true"] if _uses(keys["loss"], "y") else "unused",
        "y_pred": {"channels": domains},
    }


@st.composite
def weighted(draw):
    """Weights that are a tensor parameter."""
    atoms = ("p", "y", "w", "d")
    formula = _formula(draw, atoms, _size(draw))
    if draw(st.booleans()):
        formula = _reduction(draw, formula)
    keys = _loss(draw, f"{formula} + 0.25*w*d", drift=False)
    shape = draw(st.sampled_from(("last", "elements")))
    weight = {"default": 1.0, "domain": draw(st.sampled_from(ENDS)), "shape": shape}
    return {**keys, "params": {**keys["params"], "w": weight}}


KINDS = {
    "elementwise": elementwise,
    "branching": branching,
    "reduced": reduced,
    "channelled": channelled,
    "weighted": weighted,
}


def _size(draw):
    return draw(st.integers(2, 7))


def _loss(draw, formula, labels=LABELS, predictions=INTERVALS, drift=True):
    """The keys of a spec; ``p``, ``y`` and ``d`` are short for inputs."""
    if drift and (not any(_uses(formula, n) for n in "pd") or draw(st.booleans())):
        formula += " + 0.25*d"
    meanings = {"p": "y_pred", "y": "y_true", "d": "y_pred - y_true"}
    used = {name: text for name, text in meanings.items() if _uses(formula, name)}
    label = draw(st.sampled_from(labels))
    domain = draw(st.sampled_from(ENDS))
    return {
        "loss": formula,
        "where": used,
        "y_true": label if {"y", "d"} & set(used) else "unused",
        "y_pred": draw(st.sampled_from(predictions)),
        "params": (
            {"a": {"default": 1.0, "domain": domain}} if _uses(formula, "a") else {}
        ),
    }


def _uses(formula, name):
    words = "".join(c if c.isalnum() or c == "_" else " " for c in formula)
    return name in words.split()


def _formula(draw, atoms, size):
    """A formula with so many leaves."""
    if size <= 1:
        return draw(st.sampled_from((*atoms, *atoms, *NUMBERS, "a")))
    kind = draw(st.integers(0, 9))
    if kind < 4 or size < 2:
        return draw(st.sampled_from(UNARY)).format(_formula(draw, atoms, size - 1))
    if kind < 7:
        form, count = draw(st.sampled_from(BINARY)), 2
    elif kind == 7 and size > 2:
        form, count = draw(st.sampled_from(TERNARY)), 3
    elif size > 3:
        return _branch(draw, atoms, size, _condition)
    else:
        form, count = draw(st.sampled_from(BINARY)), 2
    return form.format(*_parts(draw, atoms, size, count))


def _parts(draw, atoms, size, count):
    first = draw(st.integers(1, max(1, size - count + 1)))
    rest = max(1, (size - first) // (count - 1))
    return [_formula(draw, atoms, n) for n in (first, *[rest] * (count - 1))]


def _branch(draw, atoms, size, condition):
    test = condition(draw, atoms, max(1, size // 3))
    then, otherwise = _parts(draw, atoms, max(2, size - size // 3), 2)
    return f"where({test}, {then}, {otherwise})"


def _condition(draw, atoms, size):
    left = _formula(draw, atoms, size)
    right = draw(st.sampled_from(("0", _formula(draw, atoms, 1))))
    return f"{left} {draw(st.sampled_from(ORDERS))} {right}"


def _data_condition(draw, atoms, size):
    """A condition that data and parameters decide, or only together with y_pred."""
    subject = draw(st.sampled_from(("y", "y", "a", "p", "d", "abs(d)")))
    order = draw(st.sampled_from(ORDERS))
    test = f"{subject} {order} {draw(st.sampled_from(THRESHOLDS))}"
    form = draw(st.sampled_from(("{}", "{}", "not ({})", "{} and {}", "{} or {}")))
    return form.format(test, _condition(draw, atoms, size))


def _reduction(draw, formula):
    op = draw(st.sampled_from((*COLLAPSING, *COLLAPSING, *KEEPING)))
    return f"{op}({formula}, axis={draw(st.sampled_from(AXES))})"
