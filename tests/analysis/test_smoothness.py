import pytest
from writing import write

from lossgen.analysis.check import check
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.loss import Smoothness

SMOOTH, C1, CONTINUOUS = Smoothness.SMOOTH, Smoothness.C1, Smoothness.CONTINUOUS
D = {"d": "y_pred - y_true"}
PROBABILITIES = {"y_true": "unit", "y_pred": "probability"}
ONE_HOT = {"y_true": "one_hot"}


def positive(default):
    return {"default": default, "domain": "(0, oo)"}


DELTA = {"where": D, "params": {"delta": positive(1.0)}}
WING = {"where": D, "params": {"w": positive(1.0), "eps": positive(2.0)}}
ADAPTIVE_WING = {
    "y_true": "unit",
    "where": {
        **D,
        "r": "theta/epsilon",
        "p": "alpha - y_true",
        "A": "omega*(1/(1 + r**p))*p*r**(p - 1)/epsilon",
        "C": "theta*A - omega*log1p(r**p)",
    },
    "params": {
        "theta": positive(0.5),
        "omega": positive(14.0),
        "epsilon": positive(1.0),
        "alpha": {"default": 2.1, "domain": "(2, 3)"},
    },
}


def checked(loss, **keys):
    report = Report()
    result = check(write(loss, **keys), report)
    return result, list(report)


def codes(found):
    return sorted({item.code.id for item in found})


def kinks(result):
    return {item.at: (item.left, item.right) for item in result.certificate.kinks}


VERDICTS = {
    "mse": ("(y_pred - y_true)**2", {}, SMOOTH, {}),
    "mae": ("abs(d)", {"where": D}, CONTINUOUS, {"y_pred = y_true": ("-1", "1")}),
    "huber": (
        "where(abs(d) <= delta, 0.5*d**2, delta*(abs(d) - 0.5*delta))",
        DELTA,
        C1,
        {},
    ),
    "huber ternary": (
        "0.5*d**2 if abs(d) <= delta else delta*abs(d) - 0.5*delta**2",
        DELTA,
        C1,
        {},
    ),
    "log cosh": ("log_cosh(y_pred - y_true)", {}, SMOOTH, {}),
    "quantile": (
        "max(q*(y_true - y_pred), (q - 1)*(y_true - y_pred))",
        {"params": {"q": {"default": 0.5, "domain": "(0, 1)"}}},
        CONTINUOUS,
        {"y_pred = y_true": ("-q", "(1 - q)")},
    ),
    "bce": (
        "-y_true*log(y_pred) - (1 - y_true)*log(1 - y_pred)",
        PROBABILITIES,
        SMOOTH,
        {},
    ),
    "bce on logits": (
        "max(y_pred, 0) - y_pred*y_true + log1p(exp(-abs(y_pred)))",
        {"y_true": "unit"},
        SMOOTH,
        {},
    ),
    "wing": (
        "where(abs(d) < w, w*log(1 + abs(d)/eps), abs(d) - (w - w*log(1 + w/eps)))",
        WING,
        CONTINUOUS,
        {
            "y_pred = y_true": ("-w/eps", "w/eps"),
            "y_pred = y_true + w": ("w/(w + eps)", "1"),
            "y_pred = y_true - w": ("-1", "-w/(w + eps)"),
        },
    ),
    "adaptive wing": (
        "where(abs(d) < theta, omega*log1p((abs(d)/epsilon)**p), A*abs(d) - C)",
        ADAPTIVE_WING,
        C1,
        {},
    ),
    "hinge": (
        "max(0, 1 - y_true*y_pred)",
        {"y_true": "sign"},
        CONTINUOUS,
        {"y_pred = 1/y_true": ("-1 … 0", "0 … 1")},
    ),
    "squared hinge": ("max(0, 1 - y_true*y_pred)**2", {"y_true": "sign"}, C1, {}),
    "focal": (
        "-(1 - p_t)**gamma*log(p_t)",
        {
            **PROBABILITIES,
            "where": {"p_t": "y_true*y_pred + (1 - y_true)*(1 - y_pred)"},
            "params": {"gamma": {"default": 2.0, "domain": "gamma >= 0"}},
        },
        SMOOTH,
        {},
    ),
    "dice": (
        "1 - (2*sum(y_true*y_pred, axis=last) + 1)"
        "/(sum(y_true, axis=last) + sum(y_pred, axis=last) + 1)",
        PROBABILITIES,
        SMOOTH,
        {},
    ),
    "norm": (
        "norm(y_pred - y_true, axis=last)",
        {},
        CONTINUOUS,
        {"y_pred = y_true": ("-1", "1")},
    ),
    "tukey": (
        "where(abs(d) <= delta, delta**2/6*(1 - (1 - (d/delta)**2)**3), delta**2/6)",
        DELTA,
        C1,
        {},
    ),
    "dead zone": (
        "max(abs(d) - delta, 0)",
        DELTA,
        CONTINUOUS,
        {"y_pred = y_true + delta": ("0", "1"), "y_pred = y_true - delta": ("-1", "0")},
    ),
    "power of abs": ("abs(y_pred - y_true)**1.5", {}, C1, {}),
    "cube of abs": ("abs(y_pred - y_true)**3", {}, C1, {}),
    "even power of abs": ("abs(y_pred - y_true)**4", {}, SMOOTH, {}),
    "kinks that cancel": ("relu(d) - relu(-d) + d**2", {"where": D}, SMOOTH, {}),
    "bessel": ("log(i0e(y_pred)) + abs(y_pred) - y_pred*y_true", {}, SMOOTH, {}),
    "unreachable": ("abs(y_pred + 1)*y_true", {"y_pred": "probability"}, SMOOTH, {}),
    "at a closed end": ("abs(y_pred)*y_true", {"y_pred": "nonnegative"}, SMOOTH, {}),
    "nonlinear guard": (
        "max(exp(y_pred), 2)*y_true",
        {"y_true": "positive"},
        CONTINUOUS,
        {"y_pred = log(2)": ("0", "2*y_true")},
    ),
    "channels": (
        "abs(y_true - mean) + log_var**2",
        {"y_pred": {"channels": {"mean": "real", "log_var": "real"}}},
        CONTINUOUS,
        {"mean = y_true": ("-1", "1")},
    ),
    "channels of one name": (
        "abs(y_pred.box - y_true.box)",
        {
            "y_true": {"channels": {"box": "real"}},
            "y_pred": {"channels": {"box": "real"}},
        },
        CONTINUOUS,
        {"y_pred.box = y_true.box": ("-1", "1")},
    ),
    "spatial": (
        "mean(abs(y_pred - y_true), axis=spatial)",
        {},
        CONTINUOUS,
        {"y_pred = y_true": ("-0.5", "0.5")},
    ),
    "largest": (
        "max(y_pred, axis=last) - sum(y_true*y_pred, axis=last)",
        ONE_HOT,
        CONTINUOUS,
        None,
    ),
}


@pytest.mark.parametrize("name", list(VERDICTS))
def test_verdict(name):
    loss, keys, smoothness, expected = VERDICTS[name]
    result, found = checked(loss, **keys)
    assert result is not None, [item.message for item in found]
    assert result.certificate.smoothness is smoothness
    if expected is not None:
        assert kinks(result) == expected
    assert len(kinks(result)) == [item.code.id for item in found].count("LG402")


REFUSED = {
    "LG401 huber": (
        "where(abs(d) <= delta, 0.5*d**2, delta*(abs(d) - delta))",
        DELTA,
    ),
    "LG401 constant": ("where(y_pred > 0, y_pred, 1) + y_pred*y_true", {}),
    "LG401 isolated point": (
        "square(d) + (1 if square(d) > 0 else 0)",
        {"where": D},
    ),
    "LG401 second root": (
        "where(y_pred**2 > 2, 2 - y_pred - sqrt(2), 2) + y_pred*y_true",
        {},
    ),
    "LG403 stopped": ("stop_gradient(y_pred)*y_true", {}),
    "LG403 jump": ("where(y_pred > y_true, 1, 0)", {}),
    "LG403 far step": ("where(y_pred > 10**6, y_true, 1)", {}),
    "LG403 steps of a parameter": (
        "sum(where(y_pred > c, y_true, 1), axis=last)",
        {"params": {"c": {"default": 500, "domain": "[400, 1e9)"}}},
    ),
    "LG403 floor": ("where(y_pred > y_true, 1, 0)", {"smoothness": "discontinuous"}),
    "LG404 times zero": ("0*y_pred + y_true", {}),
    "LG404 cancelled": ("y_pred - y_pred + y_true", {}),
    "LG404 same branches": ("where(y_pred > 10**6, y_true, 2*y_true - y_true)", {}),
    "LG404 cancelled far out": ("10**20*(sin(y_pred)**2 + cos(y_pred)**2)*y_true", {}),
    "LG404 channel": (
        "a**2 + 0*b + y_true",
        {"y_pred": {"channels": {"a": "real", "b": "real"}}},
    ),
    "LG405 kink": ("abs(y_pred - y_true)", {"smoothness": "C1"}),
    "LG405 second": ("relu(y_pred - y_true)**2", {"smoothness": "smooth"}),
    "LG309 assumption": ("y_pred*y_true", {"assume": ["y_pred**2 < -1"]}),
    "LG308 square to a power": ("((y_pred - y_true)**2)**0.75", {}),
    "LG301 log": ("log(y_pred)*y_true", {}),
    "LG410 claim": ("y_pred - y_true", {"properties": ["nonnegative"]}),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused(name):
    loss, keys = REFUSED[name]
    result, found = checked(loss, **keys)
    assert result is None
    errors = {item.code.id for item in found if item.severity.value == "error"}
    assert errors == {name.split()[0]}


def test_assumptions_that_no_point_was_found_for_are_named():
    rare = "y_pred > 1000*exp(y_true) + 1e6"
    _, found = checked("y_pred*y_true", assume=["y_true > 1", rare])
    (error,) = [item for item in found if item.severity.value == "error"]
    assert error.code.id == "LG309"
    assert error.message == "no point was found that satisfies the assumptions"
    assert error.notes == (f"none of the points tried satisfies `{rare}`",)


def test_that_no_point_satisfies_them_is_said_where_it_is_shown():
    _, found = checked("y_pred*y_true", assume=["y_pred**2 < -1"])
    (error,) = [item for item in found if item.severity.value == "error"]
    assert error.message == "no point of the domain satisfies the assumptions"


def test_a_jump_that_may_be_is_accepted_where_jumps_are():
    loss = "(1 if y_pred**2 + y_true**2 <= 0 else 0) + square(y_pred - y_true)"
    result, found = checked(loss, smoothness="discontinuous")
    assert result.certificate.smoothness is Smoothness.DISCONTINUOUS
    assert codes(found) == ["LG412"]
    assert kinks(result) == {"y_pred**2 + y_true**2 = 0": (None, None)}


def test_slopes_at_a_kink_are_formulas_of_the_data():
    result, _ = checked("100*abs((y_true - y_pred)/y_true)", y_true="positive")
    assert kinks(result) == {"y_pred = y_true": ("-100/y_true", "100/y_true")}
    result, _ = checked("abs(y_pred - y_true)/y_true/2", mask="y_true != 0")
    assert kinks(result)["y_pred = y_true"] == ("-1/2/y_true", "1/2/y_true")


@pytest.mark.parametrize(
    "inner",
    [
        "sin(y_pred)",
        "mean(y_pred - y_true, axis=last)",
        "xlog1py(y_true, square(y_pred))",
        "relu(y_pred)*exp(y_true)",
    ],
)
def test_branches_on_a_formula_meet_whatever_the_formula(inner):
    """As functions of u, both are 1/2 and have slope 1 where abs(u) is 1."""
    loss = "square(u)/2 if abs(u) <= 1 else abs(u) - 0.5"
    deep = f"min({loss}, axis=last) + square(max({loss}, y_true)) + y_pred**2"
    for formula in (f"({loss}) + y_pred**2 + y_true", deep):
        result, found = checked(formula, where={"u": inner}, y_true="unit")
        assert result is not None, [item.message for item in found]
        assert result.certificate.smoothness.rank <= CONTINUOUS.rank


@pytest.mark.parametrize("inner", ["sin(y_pred)", "mean(y_pred, axis=last)"])
def test_branches_on_a_formula_that_do_not_meet_are_refused(inner):
    loss = "u**2 if u > 0.5 else u"
    result, _ = checked(f"({loss}) + y_pred**2 + y_true", where={"u": inner})
    assert result is None


def test_continuous_operations_jump_nowhere():
    # The divisor is at least 1e-8, though no point is found where the norm is 0.
    loss = "sum(y_true*y_pred, axis=last)/max(norm(y_pred, axis=last), 1e-8)"
    result, _ = checked(loss)
    assert result.certificate.smoothness is CONTINUOUS
    assert set(kinks(result)) == {
        "norm(y_pred, axis=last) = 0",
        "norm(y_pred, axis=last) = 1e-08",
    }


def test_accepted_jump():
    result, found = checked(
        "where(y_pred > 0, y_pred**2, y_pred**2 + 1)*y_true",
        y_true="positive",
        smoothness="discontinuous",
    )
    assert result.certificate.smoothness is Smoothness.DISCONTINUOUS
    assert codes(found) == ["LG412"]


def test_jump_names_a_witness():
    _, found = checked("where(y_pred > 2, 3*y_pred, y_pred) + 0*y_true")
    (jump,) = [item for item in found if item.code.id == "LG401"]
    assert jump.message == "the loss jumps at y_pred = 2"
    assert "it is 2 on the left and 6 on the right" in jump.notes[0]


@pytest.mark.parametrize(
    ("loss", "keys", "place"),
    [
        ("max(0, 1 - y_true*y_pred)", {"y_true": "sign"}, "y_true*y_pred > 1"),
        ("(clip(y_pred, 0, 1) - y_true)**2", {}, None),
        ("relu(y_pred - y_true)**2", {}, "y_pred < y_true"),
        ("where(abs(d) <= 2, d**2, 4)", {"where": D}, "abs(y_pred - y_true) > 2"),
    ],
)
def test_flat_regions(loss, keys, place):
    result, found = checked(loss, **keys)
    assert result is not None
    (flat,) = [item for item in found if item.code.id == "LG407"]
    assert place is None or flat.notes == (f"for instance where {place}",)


@pytest.mark.parametrize(
    ("loss", "place"),
    [
        ("relu(y_pred - 10**6) + y_true", "y_pred < 10**6"),
        ("where(y_pred > 5*10**8, y_pred**2, 25*10**16)*y_true", "y_pred < 5*10**8"),
        ("max(y_true, y_pred - 10**6) - max(y_true, y_pred - 10**6, 0)", None),
        ("sum(relu(y_pred - 5000), axis=last) + y_true", "y_pred < 5000"),
    ],
)
def test_a_slope_far_out_is_one(loss, place):
    result, found = checked(loss)
    assert result is not None
    (flat,) = [item for item in found if item.code.id == "LG407"]
    assert place is None or flat.notes == (f"for instance where {place}",)


@pytest.mark.parametrize(
    "loss",
    [
        "square(y_pred - y_true)/10**30",
        "square(tanh(1000*y_pred) - y_true)",
        "exp(-(y_pred - 100)**2)*y_true",
    ],
)
def test_a_small_slope_is_one(loss):
    result, found = checked(loss)
    assert result is not None
    assert "LG407" not in codes(found)


def test_a_minimum_is_no_flat_region():
    _, found = checked(
        "sum((cumsum(y_true, axis=last) - cumsum(y_pred, axis=last))**2, axis=last)",
        y_true="one_hot",
        y_pred="simplex",
    )
    assert codes(found) == []


def test_an_isolated_point_is_told():
    _, found = checked("square(y_pred) + y_true + (1 if square(y_pred) > 0 else 0)")
    (jump,) = [item for item in found if item.code.id == "LG401"]
    assert jump.message == "the loss jumps at y_pred = 0"
    assert "on both sides" in jump.notes[0]


def test_labels_that_switch_a_term_off_are_no_flat_region():
    _, found = checked("-y_true*log(y_pred)", y_true="binary", y_pred="probability")
    assert "LG407" not in codes(found)


@pytest.mark.parametrize(
    ("loss", "keys", "ends"),
    [
        (
            "-y_true*log(y_pred) - (1 - y_true)*log(1 - y_pred)",
            PROBABILITIES,
            ("y_pred = 0", "y_pred = 1"),
        ),
        ("y_pred - y_true*log(y_pred)", {"y_pred": "positive"}, ("y_pred = 0",)),
        ("(sqrt(y_pred) - y_true)**2", {"y_pred": "positive"}, ("y_pred = 0",)),
        ("(y_pred - y_true)**2", PROBABILITIES, ()),
        (
            "y_true*log(2*pi - y_pred)",
            {"y_pred": "(0, 2*pi)"},
            ("y_pred = 2*pi",),
        ),
    ],
)
def test_infinite_ends(loss, keys, ends):
    result, found = checked(loss, **keys)
    assert result.certificate.infinite_ends == ends
    assert [item.code.id for item in found].count("LG409") == len(ends)


def test_ends_of_clip_that_only_some_targets_bring_into_play():
    # min(max(0.5, y_pred), sin(d)): sin(d) is above 0.5 for y_true beyond 4 only.
    result, _ = checked(
        "clip(0.5, y_pred, sin(d)) + d",
        where=D,
        y_true="nonnegative",
        y_pred="nonnegative",
    )
    assert set(kinks(result)) == {
        "y_pred = 0.5",
        "sin(y_pred - y_true) = 0.5",
        "y_pred = sin(y_pred - y_true)",
    }
    assert kinks(result)["y_pred = 0.5"] == ("1", "2")


def test_kinks_where_three_conditions_hold_together():
    # Only where a < s is the clip min(s, m), only where that is positive relu lets it
    # pass, and only where m < sigmoid(m), below 0.659, does the outer max choose it.
    result, _ = checked(
        "max(m, sigmoid(relu(clip(s, a, m)))) + 0.25*m + 0.5*s*s",
        y_true="unused",
        y_pred={"channels": {"m": "unit", "s": "(-2, 1)"}},
        params={"a": {"default": 1.0, "domain": "(0, 3)"}},
    )
    found = kinks(result)
    assert {"m = s", "s = m", "s = a"} <= set(found)
    assert found["m = s"][1] == "0.25"  # the clip is s there
    assert found["s = a"][0] == "a"  # and a there: what is left is the slope of s*s/2


def test_a_root_that_three_conditions_bring_into_play():
    # The inner clip is m where s < m < max(1 - a, sigmoid(y_true)).
    result, _ = checked(
        "clip(clip(1 - a, sigmoid(y_true), max(m, s)), -0.5, a) + 0.25*m + 0.5*s*s",
        y_true="[-1, 2]",
        y_pred={"channels": {"m": "[-1, 2]", "s": "nonnegative"}},
        params={"a": {"default": 1.0, "domain": "[-1, 1]"}},
    )
    assert kinks(result)["m = a"] == ("1.25", "0.25")


def test_a_kink_behind_factors_that_are_rarely_positive_together():
    # At a = 3, y_true = 1 and b = 3.5, for one, all four are.
    result, _ = checked(
        "relu(a - 1.5)*relu(y_true - 0.5)*relu(b - 3)*relu(1 - a - b + 2*a*y_true)"
        "*abs(y_pred) + y_pred**2",
        y_true="unit",
        params={
            "a": {"default": 1.0, "domain": "(0, 3)"},
            "b": {"default": 1.0, "domain": "(0, 6)"},
        },
    )
    assert "y_pred = 0" in kinks(result)


def test_jumps_of_astronomic_size_are_written_with_an_exponent():
    loss = "where(y_pred < 300, 1.5, exp(square(y_pred))) + y_pred*y_true"
    _, found = checked(loss)
    (jump,) = [item for item in found if item.code.id == "LG401"]
    # exp(90000) = 10**(90000/log(10))
    assert jump.notes[0].endswith("on the right")
    assert "e+39086" in jump.notes[0]


def test_a_kink_for_a_single_label():
    """Where y_true is 0 it is abs(y_pred), elsewhere 1; a*d adds a to the slopes."""
    result, _ = checked(
        "abs(where(square(y_true) > 0, 1, d)) + 0.25*a*d",
        where={"d": "y_pred - y_true"},
        params={"a": {"default": 1.0, "domain": "(0, 4)"}},
    )
    left, right = kinks(result)["y_pred = y_true"]
    assert -1 < float(left.split(" … ")[0]) < 0 < 1 < float(right.split(" … ")[1]) < 2


@pytest.mark.parametrize(
    ("loss", "locus", "sides"),
    [
        # p/t = t/p where p**2 = t**2; the slopes of t/p and p/t there are -+1/t.
        ("max(y_pred/y_true, y_true/y_pred)", "y_true", ("-1/y_true", "1/y_true")),
        # The slope of 1/p - 1/2 is -1/4 at p = 2.
        ("abs(1/y_pred - 0.5)*y_true**0", "2", ("-0.25", "0.25")),
    ],
)
def test_kinks_between_quotients_are_solved_for(loss, locus, sides):
    result, _ = checked(loss, y_true="positive", y_pred="positive")
    assert kinks(result) == {f"y_pred = {locus}": sides}


def test_a_kink_for_labels_at_the_end_of_their_domain_alone():
    """At y_true = 2 it is abs(y_pred) + y_pred, elsewhere 3 + y_true*y_pred/2."""
    loss = "abs(max(y_pred, where(y_true < 2, 3, d))) + 0.5*y_true*y_pred"
    result, _ = checked(
        loss, where={"d": "y_pred - y_true"}, y_true="[-1, 2]", y_pred="[-1, 2]"
    )
    assert kinks(result)["y_pred = 0"] == ("0", "2")


def test_a_jump_where_another_comparison_rarely_lets_one_decide():
    _, found = checked(
        "where(y_pred > 0 and a > y_true + 2.95, 1, 0) + y_pred**2",
        y_true="unit",
        params={"a": {"default": 1.0, "domain": "(0, 3)"}},
    )
    (error,) = [item for item in found if item.severity.value == "error"]
    assert error.code.id == "LG406"
    assert error.message == "cannot show that the branches meet where y_pred = 0"


@pytest.mark.parametrize("larger", ["logaddexp(y_pred, y_true)", "softplus(y_pred)"])
def test_no_kink_where_one_side_is_always_larger(larger):
    # exp(u) + exp(v) > exp(u), and 1 + exp(u) > exp(u)
    result, _ = checked(f"max({larger}, y_pred) + y_pred**2 + y_true")
    assert result.certificate.smoothness is SMOOTH
    assert kinks(result) == {}


@pytest.mark.parametrize("power", [2, 4])
def test_a_power_that_only_its_derivatives_tell_from_zero(power):
    # 2 on both sides of y_pred = y_true, and 0 there
    loss = f"where(d**{power} > 0, 2, abs(d)) + 0.25*d"
    _, found = checked(loss, where=D)
    (jump,) = [item for item in found if item.code.id == "LG401"]
    assert jump.message == "the loss jumps at y_pred = y_true"


def test_a_jump_that_only_far_targets_bring_inside_the_domain():
    # From y_pred to a at y_pred = y_true - 40, which is inside for y_true > 40.
    _, found = checked(
        "where(d < -40 or y_pred < 0, y_pred, a)",
        where=D,
        y_pred="nonnegative",
        params={"a": {"default": 1.0, "domain": "(0, 3)"}},
    )
    assert "LG401" in codes(found)


@pytest.mark.parametrize("root", [-63, -31, 1, 33, 61])
def test_a_jump_at_one_of_many_zeros(root):
    # abs(abs(… abs(p) - 32 …) - 2) is how far p is from the next of the numbers 2, 6,
    # 10, …, 62 and their negatives: 1 at all odd numbers up to 63.
    distance = "abs(y_pred) - 32"
    for offset in (16, 8, 4, 2):
        distance = f"abs({distance}) - {offset}"
    _, found = checked(
        f"where(abs({distance}) > 1, 1, 0) + square(y_pred - y_true)",
        y_pred=f"({root - 0.5}, {root + 0.5})",
    )
    assert "LG401" in codes(found)


def test_slopes_where_a_condition_holds_from_both_directions():
    # d*sin(d) = 1 at d = 1.114, where it rises, and at d = 2.773, where it falls.
    result, _ = checked(
        "clip(d*sin(d), 0, 1)", where=D, y_true="(-2, 1)", y_pred="probability"
    )
    assert kinks(result) == {
        "(y_pred - y_true)*sin(y_pred - y_true) = 1": ("0 … 1.38881", "-2.22532 … 0")
    }


def test_a_kink_that_a_larger_element_outweighs():
    # exp(exp(…)) of another element may exceed this one's by any number of digits.
    result, _ = checked(
        "logsumexp(exp(1.5*exp(max(y_pred, w))), axis=last) + 0.25*w*d",
        where=D,
        y_pred="nonnegative",
        params={"w": {"default": 1.0, "domain": "(0, 3)", "shape": "last"}},
    )
    assert set(kinks(result)) == {"y_pred = w"}


def test_a_witness_between_ends_that_are_close():
    # Only for a < 1/300 is 300*a inside the domain.
    _, found = checked(
        "where(y_pred > 300*a and y_pred >= 0, y_pred, y_true)",
        y_pred="unit",
        params={"a": {"default": 1.0, "domain": "(0, 3)"}},
    )
    (jump,) = [item for item in found if item.code.id == "LG401"]
    assert "a = 0.00" in jump.notes[0]


PROPERTIES = {
    "(y_pred - y_true)**2": "proved proved proved proved",
    "abs(y_pred - y_true)": "proved proved proved proved",
    "log_cosh(y_pred - y_true)": "proved proved proved proved",
    "norm(y_pred - y_true, axis=last)": "proved proved proved proved",
    "y_pred - y_true": "refuted proved proved refuted",
    "log1p((y_pred - y_true)**2)": "proved proved refuted proved",
    "exp(y_pred) - y_true*y_pred": "refuted refuted proved refuted",
}


@pytest.mark.parametrize("loss", list(PROPERTIES))
def test_properties(loss):
    result, _ = checked(loss)
    names = ("nonnegative", "zero_at_target", "convex", "symmetric")
    statuses = {item.name: item.status for item in result.certificate.properties}
    assert " ".join(statuses[name] for name in names) == PROPERTIES[loss]


def test_undecided_claims_are_warnings():
    result, found = checked(
        "exp(y_pred) - y_pred - 1 + y_true**2", properties=["nonnegative"]
    )
    assert result is not None
    assert codes(found) == ["LG411"]


def test_assumptions_are_reported():
    result, found = checked("log(y_pred - y_true)", assume=["y_pred > y_true"])
    assert result.certificate.assumed == ("y_pred > y_true",)
    assert codes(found) == ["LG408"]


def test_masked_labels_lie_outside_the_domain():
    result, found = checked(
        "y_pred*y_true - sqrt(y_true)", y_true="nonnegative", mask="y_true != -1"
    )
    assert result is not None
    assert found == []


TARGET = {"y_true": {"size": 1}}


@pytest.mark.parametrize(
    ("bound", "size", "accepted"),
    # The sum of n numbers in [0, 1] is at most n.
    [(5, 4, True), (5, 5, False), (5, 6, False), (601, 600, True), (600, 601, False)],
)
def test_sums_over_a_declared_size(bound, size, accepted):
    loss = f"log({bound} - sum(y_pred, axis=last)) + y_true"
    keys = {**TARGET, "y_pred": {"domain": "unit", "size": size}}
    result, found = checked(loss, **keys)
    assert (result is not None) == accepted
    if not accepted:
        (fault,) = found
        assert f"log({min(0, bound - size)})" in fault.notes[0]
        assert len(fault.notes[0]) < 120


def test_a_large_declared_size_is_checked_as_any_other():
    distance = "norm(y_true - y_pred, axis=last)"
    for size in (9, 4096):
        keys = {"y_true": {"size": size}, "y_pred": {"size": size}}
        result, _ = checked(distance, **keys)
        assert list(kinks(result)) == ["y_pred = y_true"]
        assert result.loss.variable("y_pred").size == size


def test_a_condition_whose_slope_has_no_function():
    # The slope of i0e is one of i1e, which only derivatives need.
    result, _ = checked(
        "where(i0e(y_pred) > y_pred, y_pred, i0e(y_pred)) + 2*y_pred",
        y_true="unused",
        y_pred="(-2, 1)",
    )
    (kink,) = result.certificate.kinks
    assert kink.at == "i0e(y_pred) = y_pred"
    assert kink.left == "3"


def test_sides_that_are_swapped_at_few_points():
    """At m = 1/2 + y + sqrt(1/4 + y), for labels close to -1/4, the square takes over
    from the right; its slope 2*(m - y) is above 1, that of m.
    """
    formula = "clip(y_pred, y_true + 0.5, square(y_true - y_pred)) + y_pred/4"
    result, _ = checked(formula, y_true="[-1, 2]", y_pred="unit")
    (left,) = (
        kink.left
        for kink in result.certificate.kinks
        if kink.at == "y_pred = square(y_true - y_pred)"
    )
    least, largest = map(float, left.split(" … "))
    assert least <= 1.25 < largest <= 2.25
