"""What is said of words that users bring along: it builds, and means the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from losses import resolved
from scipy import special, stats

from lossgen.calculus.evaluate import evaluate
from lossgen.compiler import check_source
from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend import vocabulary
from lossgen.frontend.typos import slips, suggestion
from lossgen.ir.functions import CALLS

U = np.array([[0.2, 0.7, 0.4], [0.3, 0.1, 0.9]])
V = np.array([[0.55, 0.3, 0.8], [0.65, 0.2, 0.25]])


def rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of last axes, which keep length 1."""
    return lambda *args: np.apply_along_axis(
        lambda joint: function(*np.split(joint, len(args))), -1, np.hstack(args)
    )[:, None]


def of_u(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda u, v: function(u)


def cosine(u: Any, v: Any) -> Any:
    return u @ v / np.sqrt((u @ u) * (v @ v))


MEANT: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negative": of_u(np.negative),
    "reciprocal": of_u(np.reciprocal),
    "power": np.power,
    "exp2": of_u(np.exp2),
    "squared_difference": lambda u, v: (u - v) * (u - v),
    "sqr": of_u(np.square),
    "rsqrt": of_u(lambda u: u**-0.5),
    "l2_norm": of_u(rows(np.linalg.norm)),
    "absolute": of_u(np.absolute),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sgn": lambda u, v: np.sign(v),
    "clamp": lambda u, v: np.clip(u, v, 0.6),
    "ln": of_u(np.log),
    "round": lambda u, v: np.round(v),
    "ceil": lambda u, v: np.ceil(v),
    "mod": lambda u, v: np.mod(v, 0.6),
    "floordiv": lambda u, v: np.floor_divide(v, 0.6),
    "isfinite": lambda u, v: np.isfinite(v),
    "logit": of_u(special.logit),
    "expit": of_u(special.expit),
    "logsigmoid": of_u(special.log_expit),
    "tan": of_u(np.tan),
    "cot": of_u(lambda u: 1 / np.tan(u)),
    "sech": of_u(lambda u: 1 / np.cosh(u)),
    "arccos": of_u(np.arccos),
    "arcsin": of_u(np.arcsin),
    "arctan": of_u(np.arctan),
    "arcsinh": of_u(np.arcsinh),
    "arccosh": of_u(lambda u: np.arccosh(1 + u)),
    "arctanh": of_u(np.arctanh),
    "sinc": of_u(np.sinc),
    "logcosh": of_u(lambda u: np.log(np.cosh(u))),
    "relu6": of_u(lambda u: np.clip(u, 0, 6)),
    "gelu": of_u(lambda u: u * special.ndtr(u)),
    "silu": of_u(lambda u: u * special.expit(u)),
    "elu": of_u(lambda u: np.where(u > 0, u, np.expm1(u))),
    "mish": of_u(lambda u: u * np.tanh(np.log1p(np.exp(u)))),
    "softsign": of_u(lambda u: u / (1 + abs(u))),
    "softmin": of_u(lambda u: special.softmax(-u, axis=-1)),
    "gamma": of_u(special.gamma),
    "gammaln": of_u(special.gammaln),
    "psi": of_u(special.digamma),
    "betaln": special.betaln,
    "factorial": of_u(lambda u: special.gamma(u + 1)),
    "log_factorial": of_u(lambda u: special.gammaln(u + 1)),
    "ndtr": of_u(special.ndtr),
    "log_ndtr": of_u(special.log_ndtr),
    "norm_pdf": of_u(stats.norm.pdf),
    "norm_logpdf": of_u(stats.norm.logpdf),
    "i0": of_u(special.i0),
    "bessel_i0e": of_u(special.i0e),
    "reduce_sum": of_u(rows(np.sum)),
    "average": of_u(rows(np.average)),
    "amax": of_u(rows(np.max)),
    "amin": of_u(rows(np.min)),
    "variance": of_u(rows(np.var)),
    "stddev": of_u(rows(np.std)),
    "log_sum_exp": of_u(rows(special.logsumexp)),
    "prod": of_u(rows(np.prod)),
    "cumprod": of_u(lambda u: np.cumprod(u, axis=-1)),
    "cumulative_logsumexp": of_u(lambda u: np.log(np.cumsum(np.exp(u), axis=-1))),
    "l1_norm": of_u(rows(lambda u: np.linalg.norm(u, 1))),
    "normalize": of_u(lambda u: u / np.sqrt((u * u).sum(-1, keepdims=True))),
    "dot": rows(np.dot),
    "cosine_similarity": rows(cosine),
    "cov": rows(lambda u, v: np.cov(u, v, bias=True)[0, 1]),
    "kl_div": rows(lambda u, v: (special.kl_div(u, v) + u - v).sum()),
    "entropy": of_u(rows(lambda u: special.entr(u).sum())),
    "mse": rows(lambda u, v: np.mean((u - v) ** 2)),
    "mae": rows(lambda u, v: np.mean(abs(u - v))),
    "bce": lambda u, v: -stats.bernoulli.logpmf(1, v) * u + -np.log(1 - v) * (1 - u),
    "categorical_crossentropy": rows(lambda u, v: -(u * np.log(v)).sum()),
    "cross_entropy": rows(lambda u, v: -(u * special.log_softmax(v)).sum()),
    "sigmoid_cross_entropy_with_logits": lambda u, v: (
        -(u * special.log_expit(v) + (1 - u) * special.log_expit(-v))
    ),
    **{
        name: lambda u, v, test=test: test(u, v)
        for name, test in {
            "equal": np.equal,
            "not_equal": np.not_equal,
            "less": np.less,
            "less_equal": np.less_equal,
            "greater": np.greater,
            "greater_equal": np.greater_equal,
        }.items()
    },
    "logical_and": lambda u, v: (u > 0.3) & (v > 0.3),
    "logical_or": lambda u, v: (u > 0.3) | (v > 0.3),
    "logical_not": lambda u, v: ~(u > 0.3),
    "select": lambda u, v: np.where(u > 0.3, v, 0.6),
}
"""What a word means elsewhere, of U and V."""

ARGUMENTS: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(("round", "ceil", "isfinite", "sgn"), ("y_true", "", "")),
    **dict.fromkeys(("mod", "floordiv"), ("y_true", "0.6", "")),
    "clamp": ("y_pred", "y_true", "0.6"),
    "arccosh": ("(1 + y_pred)", "", ""),
    "select": ("y_pred > 0.3", "y_true", "0.6"),
    **dict.fromkeys(
        ("logical_and", "logical_or", "logical_not"),
        ("y_pred > 0.3", "y_true > 0.3", ""),
    ),
    **dict.fromkeys(("equal", "not_equal"), ("y_true", "0.25", "")),
}
"""What stands for u, v and w where it is not y_pred and y_true."""

CONDITIONS = ("==", "!=", "<", ">", " and ", " or ", "not ", "is_finite")


def formula(word: str) -> str:
    found = vocabulary.formula_for(word)
    assert found
    args = ARGUMENTS.get(word, ("y_pred", "y_true", "0.6"))
    return re.sub(r"\b[uvw]\b", lambda m: args["uvw".index(m[0])], found)


def is_condition(word: str) -> bool:
    found = vocabulary.formula_for(word) or ""
    return any(part in found for part in CONDITIONS) and "where" not in found


def test_every_formula_is_compared() -> None:
    compared = {vocabulary.formula_for(word) for word in MEANT}
    assert compared == set(vocabulary.FORMULAS)


@pytest.mark.parametrize("word", MEANT)
def test_a_formula_means_what_the_word_does(word: str) -> None:
    text = formula(word)
    loss = f"1 if {text} else 0" if is_condition(word) else text
    spec = f'loss: "{loss} + 0*y_pred + 0*y_true"\ny_true: unit\ny_pred: unit\n'
    found = evaluate(resolved(spec).expression, {"y_pred": U, "y_true": V})
    wanted = MEANT[word](U, V)
    if word in ("equal", "not_equal"):
        wanted = MEANT[word](V, 0.25)
    np.testing.assert_allclose(
        found.astype(float), np.broadcast_to(wanted, found.shape), rtol=1e-12
    )


@pytest.mark.parametrize("word", MEANT)
def test_a_formula_passes_the_check(word: str) -> None:
    text = formula(word)
    loss = f"({text})*y_true*y_pred"
    if is_condition(word):
        loss = f"y_pred*y_true if {text} else 2*y_pred*y_true"
    known = "[0.25, 0.75]"
    spec = (
        f'name: a_loss\nloss: "{loss} + sin(y_pred)"\ny_true: "{known}"\n'
        f'y_pred: "{known}"\nsmoothness: discontinuous\n'
    )
    (done,) = check_source(SourceFile("spec.yaml", spec))
    assert done.checked is not None, render_text(done.diagnostics)


def test_no_word_has_two_answers() -> None:
    for table in (
        {**vocabulary.FORMULAS, **vocabulary.REASONS},
        vocabulary.NAMES,
        vocabulary.KEYWORDS,
        vocabulary.AXES,
    ):
        words = [word for listed in table.values() for word in listed.split()]
        assert sorted(words) == sorted(set(words))


def test_the_functions_of_the_language_need_no_answer() -> None:
    tables = (vocabulary.FORMULAS, vocabulary.REASONS)
    words = {w for table in tables for listed in table.values() for w in listed.split()}
    assert not words & set(CALLS)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("sample_weight", "weight*(label - y_pred)**2"),
        ("teacher", "(label - y_pred)**2 + (teacher - y_pred)**2"),
        ("class_weight", "class_weights*(y_true - y_pred)**2"),
    ],
)
def test_a_declaration_that_is_quoted_is_accepted(name: str, loss: str) -> None:
    answer = vocabulary.answer_to(name) or ""
    (declaration,) = re.findall(r"`(\w+: \{.+\})`", answer)
    spec = f"name: a_loss\nloss: {loss}\n{declaration}\n"
    (done,) = check_source(SourceFile("spec.yaml", spec))
    assert done.checked is not None, render_text(done.diagnostics)


# What is said -------------------------------------------------------------------------


def said(loss: str) -> list[tuple[str, str, str | None]]:
    (done,) = check_source(SourceFile("spec.yaml", f"name: a_loss\nloss: {loss}\n"))
    return [(item.code.id, item.message, item.help) for item in done.diagnostics]


@pytest.mark.parametrize(
    ("loss", "code", "help_"),
    [
        (
            "tan(y_pred - y_true)",
            "LG204",
            "write `sin(y_pred - y_true)/cos(y_pred - y_true)`",
        ),
        (
            "K.mean(y_pred - y_true, axis=-1)",
            "LG202",
            "write `mean(y_pred - y_true, axis=last)`",
        ),
        (
            "tf.reduce_sum(y_pred*y_true, [1, 2])",
            "LG202",
            "write `sum(y_pred*y_true, axis=last)`",
        ),
        (
            "np.var(y_pred + y_true, axis=0)",
            "LG202",
            "write `var(y_pred + y_true, axis=batch)`",
        ),
        (
            "torch.norm(y_pred - y_true, dim=1)",
            "LG202",
            "write `norm(y_pred - y_true, axis=last)`",
        ),
        ("y_true*y_pred.exp()", "LG202", "write `exp(y_pred)`"),
        ("pow(y_pred - y_true, 2)", "LG204", "write `(y_pred - y_true)**2`"),
        ("mean(y_pred - y_true)", "LG206", "write `mean(y_pred - y_true, axis=last)`"),
        (
            "mean(y_pred - y_true, 0)",
            "LG206",
            "write `mean(y_pred - y_true, axis=batch)`",
        ),
        ("y_true*y_pred*np.pi", "LG202", "write `pi`"),
    ],
)
def test_calls_of_other_libraries(loss: str, code: str, help_: str) -> None:
    found = [
        (item, way_out)
        for item, message, way_out in said(loss)
        if "kink" not in message
    ]
    assert found[0] == (code, help_)
    (written,) = re.findall(r"`(.+)`", help_)
    known = "y_true: '[0.25, 0.5]'\ny_pred: '[0.75, 1]'"
    text = f"name: a_loss\nloss: y_true*y_pred + {written}\n{known}\n"
    (done,) = check_source(SourceFile("spec.yaml", text))
    assert done.checked is not None, render_text(done.diagnostics)


def test_round_of_a_prediction_has_no_gradient() -> None:
    ((_, _, way_out),) = said("round(y_pred) - y_true")
    assert way_out == vocabulary.WITHOUT_GRADIENT
    ((_, _, way_out),) = said("round(y_true) - y_pred")
    assert way_out == "write `floor(y_true + 1/2)`"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("sofplus", "softplus"),
        ("sigmiod", "sigmoid"),
        ("log_sofmax", "log_softmax"),
        ("tahn", "tanh"),
        ("logsumxp", "logsumexp"),
        ("argmax", None),
        ("log3", None),
        ("cosine", None),
        ("i3e", None),
    ],
)
def test_only_slips_are_taken_for_another_word(word: str, meant: str | None) -> None:
    found = suggestion(word, CALLS)
    assert found == (f"did you mean `{meant}`?" if meant else None)


def test_names_that_only_look_alike_are_not_suggested() -> None:
    for name, meant in (("y_ped", "y_pred"), ("y_treu", "y_true"), ("delta", None)):
        found = suggestion(name, ["y_true", "y_pred"])
        assert found == (f"did you mean `{meant}`?" if meant else None)
    for name, meant in (("y_true_i", None), ("y_tru", "y_true")):
        found = suggestion(name, ["y_true", "y_pred", "gamma", "pi"])
        assert found == (f"did you mean `{meant}`?" if meant else None)


def test_slips_are_counted() -> None:
    assert slips("softplus", "softplus") == 0
    assert slips("sofplus", "softplus") == 1
    assert slips("sigmiod", "sigmoid") == 1
    assert slips("sgmiod", "sigmoid") == 2
    assert slips("", "abc") == 3
