"""What is done about each kind of kink, and what remains one-sided."""

import pytest
from losses import lowered


def targets(block):
    return [item.target.name for item in block.assignments]


@pytest.mark.parametrize(
    ("loss", "first"),
    [
        ("abs(d)", []),  # sign(0) is 0
        ("relu(d) - relu(-d)", []),  # a relu leans
        ("2*abs(d) + d", ["y_pred"]),  # slopes -1 and 3: held
        ("where(d > 0, 2*d, -d)", ["y_pred"]),  # a branch of the author, held
        ("abs(d) + y_true*d", ["tie", "least_slope", "rise", "y_pred"]),
    ],
)
def test_no_more_than_is_needed(loss, first):
    block = lowered(f"loss: {loss}\nwhere: {{d: y_pred - y_true}}").body
    assert block.one_sided == ()
    assert [name for name in targets(block) if name != "d"] == first


@pytest.mark.parametrize(
    "loss",
    [
        "abs(y_true*d) + d",
        "square(sum(abs(d) + y_true*d, axis=last) - 8)",
        "exp(-mean(abs(d) + y_true*d, axis=last))",
        "abs(d) + sinh(y_true)*d",
        "abs(d) + abs(d - 1) + y_true*y_pred",
        "abs(y_true*d - 1) + 3*d",  # the kink is at a quotient
    ],
)
def test_data_decide(loss):
    block = lowered(f"loss: {loss}\nwhere: {{d: y_pred - y_true}}").body
    assert block.one_sided == ()
    assert "rise" in targets(block)


def test_names_of_the_author_stay():
    block = lowered(
        "loss: abs(y_pred - tie)*rise + least_slope*y_pred\n"
        "params: {tie: {default: 1, domain: real}}\n"
        "where: {rise: 1 + y_true**2, least_slope: y_true + 1}\n"
    ).body
    names = targets(block)
    assert len(names) == len(set(names))
    assert "tie" not in names
    assert "rise_2" in names


def test_what_depends_on_another_channel_remains():
    block = lowered(
        "loss: log(scale) + (abs(d) + y_true*d)/scale\n"
        "y_pred: {channels: {centre: real, scale: positive}}\n"
        "where: {d: centre - y_true}\n"
    ).body
    assert block.one_sided == ("centre = y_true",)
    assert "rise" not in targets(block)


def test_what_stands_inside_and_outside_of_a_reduction_remains():
    block = lowered(
        "loss: abs(d) + y_true*d + square(mean(y_pred, axis=last))\n"
        "where: {d: y_pred - y_true}\n"
    ).body
    assert block.one_sided == ("y_pred = y_true",)


def test_logits_have_slopes_of_their_own():
    program = lowered(
        "loss: abs(y_pred - 1/2) + 2*y_true*y_pred\n"
        "y_true: unit\n"
        "y_pred: {domain: probability, logits: sigmoid}\n"
    )
    for block in (program.body, program.logits):
        assert block.one_sided == ()
        assert "rise" in targets(block)
