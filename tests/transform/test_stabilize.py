import pytest
from losses import catalogue, resolved
from mpmath import mp

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Role, walk
from lossgen.oracle.samples import sample
from lossgen.transform.stabilize import stabilizer, to_logits

BINARY = "y_true: binary\ny_pred: probability\n"
LOGITS = "y_true: {}\ny_pred: {{domain: probability, logits: sigmoid}}\n"
CLASSES = "y_true: one_hot\ny_pred: {domain: simplex, logits: softmax}\n"


def stabilized(formula, keys="", logits=False):
    loss = resolved(f"loss: {formula}\n{keys}")
    expr = to_logits(loss)(loss.expression) if logits else loss.expression
    return spell(stabilizer(loss, {})(expr))


@pytest.mark.parametrize(
    ("formula", "keys", "expected"),
    [
        ("log(1 + y_true*y_pred)", BINARY, "log1p(y_true*y_pred)"),
        ("log(1 - y_pred) + y_true", BINARY, "log1p(-y_pred) + y_true"),
        ("log(1 + exp(y_true*y_pred))", "", "softplus(y_true*y_pred)"),
        ("log(1 + exp(-y_true*y_pred))", "", "softplus(-y_true*y_pred)"),
        ("log(exp(y_pred) + 1) + y_true", "", "softplus(y_pred) + y_true"),
        ("y_true*(exp(y_pred) - 1)", "", "y_true*expm1(y_pred)"),
        ("y_true*(1 - exp(y_pred))", "", "-y_true*expm1(y_pred)"),
        ("sqrt((y_pred - y_true)**2)", "", "abs(y_pred - y_true)"),
        ("y_true + abs(y_pred)**(1/2)", "", "y_true + sqrt(abs(y_pred))"),
        ("y_true/(1 + y_pred**2)**2", "", "y_true/square(1 + square(y_pred))"),
        ("-log(1 - (1 - sigmoid(y_pred)))*y_true", "", "-log_sigmoid(y_pred)*y_true"),
        ("clip(y_pred, y_true, 1)", "", "min(max(y_pred, y_true), 1)"),
        # Nothing to do.
        ("clip(y_pred - y_true, -1, 1)", "", "clip(y_pred - y_true, -1, 1)"),
        ("y_true*log(y_pred)", "y_pred: positive", "y_true*log(y_pred)"),
        ("log(2 + y_pred)*y_true", "y_pred: positive", "log(2 + y_pred)*y_true"),
    ],
)
def test_stabilized(formula, keys, expected):
    assert stabilized(formula, keys) == expected


@pytest.mark.parametrize(
    ("formula", "keys", "expected"),
    [
        (
            "-(y_true*log(y_pred) + (1 - y_true)*log(1 - y_pred))",
            LOGITS.format("binary"),
            "-log_sigmoid((2*y_true - 1)*y_pred)",
        ),
        (
            "-(y_true*log(y_pred) + (1 - y_true)*log(1 - y_pred))",
            LOGITS.format("unit"),
            "-(y_true*log_sigmoid(y_pred) + (1 - y_true)*log_sigmoid(-y_pred))",
        ),
        (
            "-log(y_true*y_pred + (1 - y_true)*(1 - y_pred))",
            LOGITS.format("binary"),
            "-log_sigmoid((2*y_true - 1)*y_pred)",
        ),
        (
            "-sum(y_true*log(y_pred), axis=last)",
            CLASSES,
            "-sum(y_true*log_softmax(y_pred, axis=last), axis=last)",
        ),
    ],
)
def test_logits(formula, keys, expected):
    assert stabilized(formula, keys, logits=True) == expected


def test_logits_leave_no_logarithm_of_a_probability():
    for loss in catalogue().values():
        if not loss.spec.y_pred.logits:
            continue
        expr = stabilizer(loss, {})(to_logits(loss)(loss.expression))
        for node in walk(expr):
            if isinstance(node, Apply) and node.op in ("log", "xlogy"):
                inner = {getattr(n, "op", None) for n in walk(node.args[-1])}
                assert not inner & {"sigmoid", "softmax"}, loss.name


def test_rules_that_fired_are_told_once_and_in_order():
    loss = resolved("loss: log(1 + exp(y_pred))**2 + log(1 + exp(y_true))**2\n")
    fired = {}
    stabilizer(loss, fired)(loss.expression)
    assert list(fired) == ["log-of-exponentials", "square"]


def test_no_choice_is_left_behind():
    loss = resolved(f"loss: y_true*exp(y_pred) + (1 - y_true)*y_pred\n{BINARY}")
    expr = stabilizer(loss, {})(loss.expression)
    assert "select" not in {getattr(node, "op", None) for node in walk(expr)}
    assert spell(expr) == "y_true*exp(y_pred) + (1 - y_true)*y_pred"


@pytest.mark.parametrize("name", catalogue())
def test_stable_forms_have_the_value_of_the_formula(name):
    loss = catalogue()[name]
    batch = sample(loss, 5, 11, defaults=True)
    inputs = {**batch.inputs, **batch.parameters}
    forms = [(loss.expression, stabilizer(loss, {})(loss.expression), inputs)]
    if loss.spec.y_pred.logits:
        written = to_logits(loss)(loss.expression)
        (pred,) = loss.of_role(Role.Y_PRED)
        moved = {**inputs, pred.name: 20 * batch.inputs[pred.name] - 10}
        forms.append((written, stabilizer(loss, {})(written), moved))
    for written, stable, point in forms:
        with mp.workdps(60):
            gap = evaluate(written, point, digits=60) - evaluate(
                stable, point, digits=60
            )
            assert max(abs(x) for x in gap.flat) < mp.mpf(10) ** -35
