import pytest
from writing import write

from lossgen.analysis.obligations import discharge
from lossgen.diagnostics.diagnostic import Report

PROBABILITIES = {"y_true": "unit", "y_pred": "probability"}
ONE_HOT = {"y_true": "one_hot", "y_pred": "probability"}
BARE = {"y_true": "unused"}
LAST = "axis=last"

P_T = {"p_t": "y_true*y_pred + (1 - y_true)*(1 - y_pred)"}
GAMMA = {"gamma": {"default": 2.0, "domain": "gamma >= 0"}}
ALPHA = {"alpha": {"default": 0.5, "domain": "(0, oo)"}}


PAIR = {"a": {"default": 0.0}, "b": {"default": 1.0}}


def findings(loss, **keys):
    report = Report()
    discharge(write(loss, **keys), report)
    return list(report)


FINE = {
    "mse": ("(y_pred - y_true)**2", {}),
    "bce": (
        "-y_true*log(y_pred) - (1 - y_true)*log(1 - y_pred)",
        PROBABILITIES,
    ),
    "two labels": ("y_pred/(2*y_true - 1)", {"y_true": "binary"}),  # -1 or 1
    "signs": ("y_pred/y_true", {"y_true": "sign"}),
    "hot": (f"sum(y_pred/(3*y_true - 2), {LAST})", {"y_true": "one_hot"}),  # -2 or 1
    "mixture": ("-log(p_t)", {**PROBABILITIES, "where": P_T}),
    "focal": (
        "-(1 - p_t)**gamma * log(p_t)",
        {**PROBABILITIES, "where": P_T, "params": GAMMA},
    ),
    "cce": (f"-sum(y_true*log(y_pred), {LAST})", ONE_HOT),
    "chosen": (f"-log(sum(y_true*y_pred, {LAST}))", ONE_HOT),
    "poisson": (
        "y_pred - y_true*log(y_pred)",
        {"y_true": "count", "y_pred": "positive"},
    ),
    "kl": ("xlogy(y_true, y_true/y_pred)", {"y_true": "unit", "y_pred": "positive"}),
    "entropy": ("xlogy(y_true, y_true) - y_true*y_pred", {"y_true": "unit"}),
    "dice": (
        f"1 - (2*sum(y_true*y_pred, {LAST}) + 1)"
        f"/(sum(y_true, {LAST}) + sum(y_pred, {LAST}) + 1)",
        PROBABILITIES,
    ),
    "log dice": (
        f"-log((2*sum(y_true*y_pred, {LAST}) + 1)"
        f"/(sum(y_true, {LAST}) + sum(y_pred, {LAST}) + 1))",
        PROBABILITIES,
    ),
    "focal tversky": (
        f"(1 - (sum(y_true*y_pred, {LAST}) + 1)/(sum(y_true*y_pred, {LAST})"
        f" + 0.7*sum((1 - y_true)*y_pred, {LAST})"
        f" + 0.3*sum(y_true*(1 - y_pred), {LAST}) + 1))**0.75",
        PROBABILITIES,
    ),
    "charbonnier": ("sqrt((y_pred - y_true)**2 + 0.001)", {}),
    "guarded": ("log(y_pred) if y_pred > 0 else y_pred - 1", BARE),
    "guarded chain": ("sqrt(2 - y_pred) if -1 < y_pred < 1 else 2", BARE),
    "value at the end of a branch": ("1/y_pred if y_pred > 0 else 2", BARE),
    "condition on data": ("sqrt(y_true)*y_pred if y_true > 0 else y_pred", {}),
    "excluded by a mask": (
        "abs(y_pred - y_true)/(abs(y_true) + abs(y_pred))",
        {"mask": "y_true != 0"},
    ),
    "mean of squares": (
        f"sqrt(mean(y_pred**2, {LAST}) - alpha*mean(y_pred, {LAST})**2 + 0.001)",
        {**BARE, "params": {"alpha": {"default": 0.5, "domain": "[0, 1]"}}},
    ),
    "hull of intervals": (
        "y_true/(max(y_pred, b) - min(y_pred, a))",
        {"params": PAIR, "assume": ["b > a"]},
    ),
    "union of intervals": (
        "1/(b - a + relu(d - c) - relu(min(b, d) - max(a, c)))",
        {
            **BARE,
            "y_pred": {"channels": {"c": "real", "d": "real"}},
            "params": PAIR,
            "assume": ["b > a"],
        },
    ),
    "union of valid intervals": (
        "log(b - a + (d - c) - relu(min(b, d) - max(a, c)))",
        {
            **BARE,
            "y_pred": {"channels": {"c": "real", "d": "real"}},
            "params": PAIR,
            "assume": ["b > a", "d > c"],
        },
    ),
    "union of boxes": (
        "1/((b - a)*h + w*s - relu(min(b, c + w/2) - max(a, c - w/2))*min(h, s))",
        {
            **BARE,
            "y_pred": {"channels": {"c": "real", "w": "positive", "s": "positive"}},
            "params": {**PAIR, "h": {"default": 1, "domain": "positive"}},
            "assume": ["b > a"],
        },
    ),
    "denied": ("1 if y_pred <= 0 else log(y_pred)", BARE),
    "and": ("1/y_pred if y_pred > 0 and log(y_pred) > 1 else y_pred", BARE),
    "assumed": ("log(y_pred - y_true)", {"assume": ["y_pred > y_true"]}),
    "normalized": (
        f"-sum(l2_normalize(y_true, {LAST})*l2_normalize(y_pred, {LAST}), {LAST})",
        {"assume": [f"norm(y_true, {LAST}) > 0", f"norm(y_pred, {LAST}) > 0"]},
    ),
    "norm": (f"norm(y_pred - y_true, {LAST})", {}),
    "parameter": ("(y_pred - y_true)**2/alpha", {"params": ALPHA}),
    "factored": ("log(y_pred**2 - 2*y_pred*y_true + y_true**2 + 1)", {}),
    "sine guard": ("y_pred/(2 + sin(y_pred))", BARE),
    "cauchy": ("log(1 + ((y_pred - y_true)/alpha)**2)", {"params": ALPHA}),
    "tweedie": (
        "y_pred**(2 - alpha)/(2 - alpha) - y_true*y_pred**(1 - alpha)/(1 - alpha)",
        {
            "y_true": "nonnegative",
            "y_pred": "positive",
            "params": {"alpha": {"default": 1.5, "domain": "(1, 2)"}},
        },
    ),
    "softmax": (
        f"-sum(y_true*log(softmax(y_pred, {LAST})), {LAST})",
        {"y_true": "one_hot"},
    ),
    "pair": (
        "log(1 - softmax(y_pred, axis=last))*y_true",
        {"y_true": "one_hot"},
    ),
    "masked label": ("y_pred/y_true", {"y_true": "nonnegative", "mask": "y_true != 0"}),
    "masked class": (
        "log(y_pred - y_true)",
        {"y_true": "one_hot", "y_pred": "positive", "mask": "y_true < 1"},
    ),
    "masked rows": (
        f"y_pred/norm(y_true, {LAST})",
        {"mask": f"norm(y_true, {LAST}) > 1"},
    ),
    "irrational end": ("log(2*pi - y_pred)", {**BARE, "y_pred": "(0, 2*pi)"}),
    "irrational divisor": ("1/(2*pi - y_pred)", {**BARE, "y_pred": "(0, 2*pi)"}),
    "share of an irrational end": (
        "log(1 - y_pred/(2*pi))",
        {**BARE, "y_pred": "(0, 2*pi)"},
    ),
    "adaptive wing power": (
        "log1p(abs(y_pred - y_true)**(2.1 - y_true))",
        {"y_true": "unit"},
    ),
}


@pytest.mark.parametrize("name", list(FINE))
def test_defined(name):
    loss, keys = FINE[name]
    assert [
        (item.code.id, item.message, item.notes) for item in findings(loss, **keys)
    ] == []


REFUSED = {
    "LG308 end of a branch": ("sqrt(y_pred) if y_pred > 0 else 0", BARE),
    "LG308 end of the other branch": ("0 if y_pred <= 0 else y_pred**0.5", BARE),
    "LG302 union of nothing": (
        "1/(relu(b - a) + relu(d - c) - relu(min(b, d) - max(a, c)))",
        {
            **BARE,
            "y_pred": {"channels": {"c": "real", "d": "real"}},
            "params": PAIR,
        },
    ),
    "LG303 mean of squares": (
        f"sqrt(mean(y_pred**2, {LAST}) - alpha*mean(y_pred, {LAST})**2 + 0.001)",
        {**BARE, "params": {"alpha": {"default": 0.5, "domain": "[0, 2]"}}},
    ),
    "LG301 open sum": (
        f"log(5 - sum(y_pred, {LAST}))",
        {**BARE, "y_pred": "probability"},
    ),
    "LG301 log": ("log(y_pred)*y_true", {}),
    "LG301 exp log": ("exp(log(y_pred))", BARE),
    "LG301 zero times": ("0*log(y_pred) + y_pred", BARE),
    "LG301 closed": ("-y_true*log(y_pred)", {"y_true": "unit", "y_pred": "unit"}),
    "LG301 log1p": ("log1p(y_pred)", BARE),
    "LG301 xlogy": ("xlogy(y_true, y_pred)", {"y_true": "unit", "y_pred": "unit"}),
    # In the mask the largest element is that of all, in the formula that of the kept.
    "LG301 largest": (
        f"y_pred + log(max(y_true, {LAST}) - y_true)",
        {"mask": f"y_true < max(y_true, {LAST})"},
    ),
    # Of (1, 0, 0) the mask keeps (0, 0).
    "LG302 masked class": (
        f"y_pred/sum(y_true, {LAST})",
        {"y_true": "one_hot", "mask": "y_true < 1"},
    ),
    "LG301 one class": ("log(1 - softmax(y_pred, axis=last))", BARE),
    "LG301 local fact": (
        f"where(y_pred > 0, sum(log(y_pred), {LAST}), y_pred)",
        BARE,
    ),
    "LG301 closed irrational end": (
        "log(2*pi - y_pred)",
        {**BARE, "y_pred": "(0, 2*pi]"},
    ),
    "LG302 difference": ("1/(y_true - y_pred)", {}),
    "LG302 one of three labels": ("y_pred/(y_true - 1)", {"y_true": "{0, 1, 2}"}),
    "LG302 sum of signs": (f"y_pred/sum(y_true, {LAST})", {"y_true": "sign"}),
    "LG302 same": ("y_pred/y_pred", BARE),
    "LG302 power": ("y_pred**-2", BARE),
    "LG302 direction": (f"sum(l2_normalize(y_pred, {LAST}), {LAST})", BARE),
    "LG302 parameter": ("y_pred/alpha", {**BARE, "params": {"alpha": 1.0}}),
    "LG303 root": ("sqrt(y_pred)", BARE),
    "LG303 power": ("y_pred**1.5", BARE),
    "LG303 exponent": ("y_pred**alpha", {**BARE, "params": ALPHA}),
    "LG304 lgamma": ("lgamma(y_pred)", {**BARE, "y_pred": "nonnegative"}),
    "LG304 digamma": ("digamma(y_pred)", BARE),
    "LG308 root of squares": (f"sqrt(mean((y_pred - y_true)**2, {LAST}))", {}),
    "LG308 abs": ("abs(y_pred - y_true)**0.5", {}),
    "LG308 sqrt": ("sqrt(y_pred)", {**BARE, "y_pred": "nonnegative"}),
    "LG308 gamma": ("(1 - y_pred)**gamma", {**BARE, "y_pred": "unit", "params": GAMMA}),
    "LG308 entropy": ("xlogy(y_pred, y_pred)", {**BARE, "y_pred": "unit"}),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused(name):
    loss, keys = REFUSED[name]
    found = findings(loss, **keys)
    assert [item.code.id for item in found] == [name.split()[0]]
    assert found[0].span is not None
    assert " at " in found[0].notes[0]


def test_witness_in_words():
    (found,) = findings("log(y_pred)", **BARE)
    assert found.message == "log of a value that can be 0 or negative"
    assert found.notes == ("y_pred is declared real; at y_pred = 0 this is log(0)",)
    assert found.span.start == 0
    (found,) = findings("1 + 2/(y_true - y_pred)", y_true="unit")
    assert found.notes == (
        "y_pred is declared real; y_true is declared unit; "
        "at y_pred = 0, y_true = 0 this is 2/0",
    )


def test_a_sum_in_a_mask_is_not_that_of_what_is_kept():
    # Of (6, 0), whose sum is 6, the mask keeps 0.
    mask = f"y_true < 5 and sum(y_true, {LAST}) > 1"
    (found,) = findings(f"y_pred/sum(y_true, {LAST})", y_true="nonnegative", mask=mask)
    assert found.code.id == "LG305"


def test_neither_proved_nor_refuted():
    loss, keys = "log(gap)", {**BARE, "where": {"gap": "exp(y_pred) - y_pred"}}
    (found,) = findings(loss, **keys)
    assert found.code.id == "LG305"
    assert "that `gap` is positive" in found.message
    assert found.notes == ("nothing is known of the sign of `gap`",)
    assert '`assume: ["gap > 0"]`' in found.help
    assert findings(loss, **keys, assume=["gap > 0"]) == []


def test_what_is_known_of_a_term_is_said():
    loss, keys = "log(gap)", {"where": {"gap": "(exp(y_pred) - y_pred)**2"}}
    (found,) = findings(loss, **BARE, **keys)
    assert found.notes == ("all that is known of `gap` is that it is at least 0",)


def test_assumptions_that_are_there_stay_in_the_line_to_write():
    (found,) = findings("log(exp(y_pred) - y_pred - y_true)", assume=["y_true < 1"])
    line = '`assume: ["y_true < 1", "exp(y_pred) - y_pred - y_true > 0"]`'
    assert line in found.help


def test_each_argument_is_reported_once():
    assert len(findings("log(y_pred) + log(y_pred)", **BARE)) == 2
    assert len(findings("sqrt(y_pred)", **BARE)) == 1


LONG = {
    # 12 ones leave sqrt(-2); at 6 elements it is at least sqrt(4).
    "sum of squares": (
        f"sqrt(10 - sum(y_pred**2, {LAST}))",
        {"y_pred": "[-1, 1]"},
        ("LG303", "at y_pred = (1, …, 1) with 12 elements this is sqrt(-2)"),
    ),
    # 99.5 - 128
    "sum": (
        f"log(99.5 - sum(y_pred, {LAST}))",
        {"y_pred": "unit"},
        ("LG301", "at y_pred = (1, …, 1) with 128 elements this is log(-28.5)"),
    ),
    # n*(1/n)**2 = 1/128
    "simplex": (
        f"log(sum(y_pred**2, {LAST}) - 1/64)",
        {"y_pred": "simplex"},
        ("LG301", "with 128 elements this is log(-0.0078125)"),
    ),
    # 12 < 50 <= 128
    "assumption": (
        f"log(3 - sum(y_pred, {LAST})/10)",
        {"y_pred": "unit", "assume": [f"sum(y_pred, {LAST}) > 1"]},
        ("LG301", "with 128 elements this is log(-9.8)"),
    ),
    # The length of 1024 ones is 32.
    "length": (
        "log(20 - norm(y_pred, axis=sample))",
        {"y_pred": "unit"},
        ("LG301", "with 1024 elements this is log(-12)"),
    ),
}


@pytest.mark.parametrize("name", list(LONG))
def test_long_rows_refute(name):
    loss, keys, (code, note) = LONG[name]
    (found,) = findings(loss, **BARE, **keys)
    assert found.code.id == code
    assert found.notes[0].endswith(note)


@pytest.mark.parametrize(
    ("loss", "keys"),
    [
        (f"log(50 - sum(y_pred, {LAST}))", {"assume": [f"sum(y_pred, {LAST}) < 49"]}),
        (f"log(1.01 - mean(y_pred, {LAST}))", {}),
        (f"log(2 - sum(y_true*y_pred, {LAST}))", {"y_true": "simplex"}),
    ],
)
def test_long_rows_do_not_refute_what_holds(loss, keys):
    assert findings(loss, **{**BARE, "y_pred": "unit", **keys}) == []


CROSSINGS = {
    "y_pred = -1.41421": ("1/(y_pred**2 - 2)", {}),
    "y_pred = -1.5708": ("sin(y_pred)/cos(y_pred)", {}),  # pi/2 = 1.570796
    "y_pred = 1.44225": ("(y_pred**3 - 3)**(-2)", {}),  # 3**(1/3) = 1.442250
    "y_pred = 0.693147": ("1/(exp(y_pred) - 2)", {}),  # log(2)
    "y_pred = 2.99573": (f"1/(sum(exp(y_pred), {LAST}) - 20)", {}),  # log(20)
    "g = 1.73205": (
        "y_pred/(g**2 - 3)",
        {"params": {"g": {"default": 1, "domain": "positive"}}},
    ),
    "y_pred = 1.41421": ("where(y_pred > 1, 1/(y_pred**2 - 2), -1)", {}),
}


@pytest.mark.parametrize("place", list(CROSSINGS))
def test_a_divisor_that_changes_sign_is_0_in_between(place):
    loss, keys = CROSSINGS[place]
    (found,) = findings(loss, **BARE, **keys)
    assert found.code.id == "LG302"
    assert found.notes[0].endswith(f"{place} it changes sign, and is 0 in between")


def test_a_divisor_over_a_batch_changes_sign():
    # A parameter has one value for all of a batch, and no axes of its own.
    loss = "y_pred/logsumexp(a*y_true + y_pred, axis=batch)"
    keys = {"params": {"a": {"default": 1, "domain": "positive"}}}
    (found,) = findings(loss, **keys)
    assert found.code.id == "LG302"
    assert "a = " in found.notes[0]
    assert found.notes[0].endswith("it changes sign, and is 0 in between")


@pytest.mark.parametrize(
    ("loss", "keys"),
    [
        # It jumps from -e to e.
        ("1/where(y_pred > 1, exp(y_pred), -exp(y_pred))", {}),
        # A count is never the cube root of 3.
        ("y_pred/(y_true**3 - 3)", {"y_true": "count"}),
        # Between -2 and 2 the branch is not taken.
        ("where(y_pred**4 > 16, 1/(y_pred**3 - 2*y_pred), 0)", {}),
    ],
)
def test_signs_may_differ_without_a_zero(loss, keys):
    found = findings(loss, **{**BARE, **keys})
    assert [item.code.id for item in found] in ([], ["LG305"])


def test_help_of_gamma_functions():
    for name in ("lgamma", "digamma"):
        (found,) = findings(f"{name}(y_pred)", **BARE)
        assert "positive" in found.help


def test_a_batch_of_equal_predictions_has_no_variance():
    variance = "mean((y_pred - mean(y_pred, axis=batch))**2, axis=batch)"
    (found,) = findings(f"1/{variance}", **BARE)
    assert found.code.id == "LG302"
    assert found.notes[0].endswith("this is 1/0")
