from __future__ import annotations

from fractions import Fraction

import pytest

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import read
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import read_specs
from lossgen.ir.domain import DomainKind
from lossgen.ir.expr import Apply, Expr, Number, Role, Symbol
from lossgen.ir.loss import Loss

T = Symbol("y_true", Role.Y_TRUE)
P = Symbol("y_pred", Role.Y_PRED)


def run(text: str) -> tuple[Loss | None, list[tuple[str, str]]]:
    """The loss, and the codes found, each with the text that is marked."""
    text = f"name: a_loss\n{text}"
    report = Report()
    (spec,) = read_specs(read(SourceFile("spec.yaml", text), report), report)
    assert list(report) == []
    loss = resolve(spec, report)
    return loss, [
        (item.code.id, text[item.span.start : item.span.end])
        for item in report
        if item.span
    ]


def loss_of(text: str) -> Loss:
    loss, faults = run(text)
    assert faults == []
    assert loss is not None
    return loss


def op(name: str, *args: Expr) -> Apply:
    return Apply(name, args)


def n(value: int) -> Number:
    return Number(Fraction(value))


def minus(left: Expr, right: Expr) -> Apply:
    return op("add", left, op("neg", right))


def test_a_loss_of_two_tensors() -> None:
    loss = loss_of("loss: square(y_pred - y_true)\n")
    assert loss.expression == op("square", minus(P, T))
    assert [item.symbol for item in loss.variables] == [T, P]
    assert [item.domain.text for item in loss.variables] == ["real", "real"]
    assert [item.shape for item in loss.variables] == ["elements", "elements"]
    assert (loss.definitions, loss.mask, loss.assume) == ((), None, ())
    assert (loss.name, loss.class_name) == ("a_loss", "ALoss")


def test_variables() -> None:
    loss = loss_of(
        "loss: sum(w * xlogy(y_true, p) + m * shift * K / p, axis=last)\n"
        "y_true: {domain: unit, size: K, description: labels}\n"
        "y_pred: {channels: {p: {domain: probability, size: K}}}\n"
        "params:\n"
        "  w: {default: [1, 2], shape: last, domain: w > 0}\n"
        "  m: {shape: elements}\n"
        "  shift: -1.5\n"
    )
    found = {
        item.name: (item.role, item.domain.text, item.shape, item.size, item.default)
        for item in loss.variables
    }
    assert found == {
        "y_true": (Role.Y_TRUE, "unit", "elements", "K", None),
        "y_pred.p": (Role.Y_PRED, "probability", "elements", "K", None),
        "w": (Role.PARAMETER, "w > 0", "last", "K", (1, 2)),
        "m": (Role.PARAMETER, "real", "elements", "K", None),
        "shift": (Role.PARAMETER, "real", "scalar", None, -1.5),
        "K": (Role.SIZE, "size", "scalar", None, None),
    }
    assert [item.name for item in loss.parameters] == ["w", "m", "shift"]
    assert loss.variable("y_true").description == "labels"
    assert loss.variable("y_pred.p").channel == "p"
    assert loss.variable("K").domain.kind is DomainKind.COUNT
    assert loss.variable("K").domain.lower.approx == 1


def test_named_parts_are_written_out() -> None:
    loss = loss_of(
        "loss: r * s\nwhere:\n  s: r + 2 * d\n  r: square(d)\n  d: y_pred - y_true\n"
    )
    d = minus(P, T)
    r = op("square", d)
    s = op("add", r, op("mul", n(2), d))
    assert loss.expression == op("mul", r, s)
    # Each behind those that it uses.
    assert loss.definitions == (("d", d), ("r", r), ("s", s))


def test_named_conditions() -> None:
    loss = loss_of(
        "loss: where(near, d**2, 0 if bad else abs(d))\n"
        "where:\n"
        "  d: y_pred - y_true\n"
        "  near: abs(d) < 1 and not bad\n"
        "  bad: not is_finite(y_true)\n"
    )
    d = minus(P, T)
    bad = op("not", op("is_finite", T))
    near = op("and", op("lt", op("abs", d), n(1)), op("not", bad))
    inner = op("where", bad, n(0), op("abs", d))
    assert loss.expression == op("where", near, op("pow", d, n(2)), inner)


def test_mask_and_assume() -> None:
    loss = loss_of(
        "loss: a * y_pred\nparams: {a: 1, b: 2}\n"
        "mask: y_true != -1\nassume: [a > 0, b > a]\n"
    )
    a, b = Symbol("a", Role.PARAMETER), Symbol("b", Role.PARAMETER)
    assert loss.mask == op("ne", T, op("neg", n(1)))
    assert loss.assume == (op("gt", a, n(0)), op("gt", b, a))


def test_channels_by_short_and_full_names() -> None:
    loss = loss_of(
        "loss: square(y_pred.time - y_true.time) * event + scale\n"
        "y_true: {channels: {time: real, event: binary}}\n"
        "y_pred: {channels: {time: real, scale: positive}}\n"
    )
    event, scale = (
        Symbol("y_true.event", Role.Y_TRUE),
        Symbol("y_pred.scale", Role.Y_PRED),
    )
    times = minus(
        Symbol("y_pred.time", Role.Y_PRED), Symbol("y_true.time", Role.Y_TRUE)
    )
    expected = op("add", op("mul", op("square", times), event), scale)
    assert loss.expression == expected


def test_an_unused_target_is_no_variable() -> None:
    loss = loss_of("loss: square(y_pred)\ny_true: unused\n")
    assert [item.name for item in loss.variables] == ["y_pred"]


def test_an_axis_is_no_name() -> None:
    loss = loss_of(
        "loss: square(last) * y_true\nwhere: {last: 'sum(y_pred, axis=last)'}\n"
    )
    assert [name for name, _ in loss.definitions] == ["last"]


D = "loss: square(y_pred - y_true)\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("loss: y_ped - y_true\n", [("LG203", "y_ped")]),
        # One fault, one finding, however often the name is used.
        (
            "loss: d + d * e2 + y_pred\nwhere: {d: y_tru - 1, e2: d}\n",
            [("LG203", "y_tru")],
        ),
        ("loss: y_pred - y_true\ny_true: unused\n", [("LG203", "y_true")]),
        (
            "loss: y_pred - y_true\ny_pred: {channels: {m: real}}\n",
            [("LG203", "y_pred")],
        ),
        (
            "loss: m - n\n"
            "y_pred: {channels: {m: real}}\ny_true: {channels: {m: real}}\n",
            [("LG203", "m"), ("LG203", "n")],
        ),
        ("loss: N * y_pred - y_true\n", [("LG203", "N")]),
        # Cycles
        (
            "loss: a * y_pred\nwhere: {a: b + y_true, b: a - 1}\n",
            [("LG210", "a")],
        ),
        ("loss: a * y_pred\nwhere: {a: a + y_true}\n", [("LG210", "a")]),
        (
            "loss: a + c\nwhere: {a: b, b: a, c: d, d: c}\n",
            [("LG210", "a"), ("LG210", "c")],
        ),
        # Unused
        (f"{D}where: {{d: y_true + 1}}\n", [("LG211", "d")]),
        (f"{D}where: {{d: f + 1, f: y_true}}\n", [("LG211", "d"), ("LG211", "f")]),
        (f"{D}params: {{d: 1}}\n", [("LG211", "d")]),
        (f"{D}params: {{d: 1}}\nwhere: {{f: d}}\n", [("LG211", "d"), ("LG211", "f")]),
        (
            "loss: a - y_true\ny_pred: {channels: {a: real, b: real}}\n",
            [("LG211", "b")],
        ),
        ("loss: square(y_pred)\n", [("LG211", "square(y_pred)")]),
        ("loss: square(y_pred)\ny_true: unit\n", [("LG211", "unit")]),
        # Names with a meaning
        (f"{D}where: {{y_true: 1}}\n", [("LG212", "y_true")]),
        (f"{D}where: {{e: 1}}\n", [("LG212", "e")]),
        (f"{D}params: {{oo: 1}}\n", [("LG212", "oo")]),
        (
            "loss: y_pred - y_true + a\nwhere: {a: 1}\nparams: {a: 2}\n",
            [("LG212", "a")],
        ),
        (
            "loss: a - y_true + y_pred.a\n"
            "y_pred: {channels: {a: real}}\nparams: {a: 1}\n",
            [("LG212", "a")],
        ),
        # Kinds
        ("loss: y_pred > y_true\n", [("LG208", "y_pred > y_true")]),
        (
            "loss: y_pred - y_true + c\nwhere: {c: y_true > 0}\n",
            [("LG208", "c")],
        ),
        (f"{D}mask: y_true\n", [("LG208", "y_true")]),
        (f"{D}assume: y_true + 1\n", [("LG208", "y_true + 1")]),
        (f"{D}mask: y_pred > 0\n", [("LG209", "y_pred > 0")]),
        (
            "loss: floor(d) + y_true\nwhere: {d: 2 * y_pred}\n",
            [("LG209", "floor(d)")],
        ),
        # The whole
        ("loss: square(y_true)\n", [("LG216", "square(y_true)")]),
        (
            "loss: square(y_true) + d\nwhere: {d: 1}\nassume: y_pred > 0\n",
            [("LG216", "square(y_true) + d")],
        ),
        # Domains and defaults
        (f"{D}y_pred: positiv\n", [("LG306", "positiv")]),
        (
            "loss: a * y_pred - y_true\nparams: {a: {default: -1, domain: positive}}\n",
            [("LG307", "-1")],
        ),
        (
            "loss: a * y_pred - y_true\n"
            "params: {a: {default: [1, 0], domain: positive, shape: last}}\n",
            [("LG307", "[1, 0]")],
        ),
        (
            "loss: a * y_pred - y_true\nparams: {a: {default: 0.5, domain: count}}\n",
            [("LG307", "0.5")],
        ),
    ],
)  # fmt: skip
def test_faults(text: str, faults: list[tuple[str, str]]) -> None:
    loss, found = run(text)
    assert loss is None
    assert found == faults


def test_the_order_of_names_is_free() -> None:
    names = [f"a{k}: log_cosh(a{k - 1})" for k in range(1, 60)] + [
        "a0: y_pred - y_true"
    ]
    upwards, downwards = "\n  ".join(reversed(names)), "\n  ".join(names)
    one = loss_of(f"loss: a59\nwhere:\n  {upwards}\n")
    other = loss_of(f"loss: a59\nwhere:\n  {downwards}\n")
    assert one.expression == other.expression
    assert one.definitions == other.definitions
    assert [name for name, _ in one.definitions] == [f"a{k}" for k in range(60)]


@pytest.mark.parametrize("step", [1, -1])
def test_names_that_use_too_many_others(step: int) -> None:
    names = [f"a{k}: -(a{k - 1})" for k in range(1, 400)][::step]
    listed = "\n  ".join([*names, "a0: y_pred - y_true"])
    # a0 has three levels, a147 has 150.
    assert run(f"loss: a399\nwhere:\n  {listed}\n")[1] == [("LG213", "-(a147)")]


def test_names_that_double() -> None:
    # a0 has 4 nodes, the next one twice as many and one, and so on: a9 has 2559.
    names = "\n  ".join(f"a{k}: a{k - 1} + a{k - 1}" for k in range(1, 40))
    text = f"loss: a39\nwhere:\n  a0: y_pred - y_true\n  {names}\n"
    assert run(text)[1] == [("LG213", "a9 + a9")]


def test_a_long_cycle_is_told_briefly() -> None:
    names = ", ".join(f"a{k}: a{(k + 1) % 300}" for k in range(300))
    text = f"name: a_loss\nloss: a0 + y_pred + y_true\nwhere: {{{names}}}\n"
    report = Report()
    (spec,) = read_specs(read(SourceFile("spec.yaml", text), report), report)
    assert resolve(spec, report) is None
    (item,) = report
    assert item.message == (
        "cyclic names: a0 -> a1 -> a2 -> a3 -> a4 -> a5 -> a6 -> ... -> a0"
    )
