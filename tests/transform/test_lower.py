import builtins
import keyword

import numpy as np
import pytest
from losses import ROOT, T, lowered, resolved, resolved_all, unproved
from mpmath import mp, mpf
from standin import array, run_block

from lossgen.analysis.spelling import spell
from lossgen.calculus.evaluate import evaluate
from lossgen.ir.expr import Apply, Axis, Role, symbols, walk
from lossgen.ir.extent import FULL
from lossgen.oracle.placeholders import placeholders
from lossgen.oracle.samples import sample
from lossgen.transform.lower import lower
from lossgen.transform.stabilize import to_logits


def names(block):
    return [item.target.name for item in block.assignments]


def ops(block):
    exprs = [*(item.value for item in block.assignments), block.result]
    return {n.op for e in exprs for n in walk(e) if isinstance(n, Apply)}


# The whole of it ----------------------------------------------------------------------

FILES = [*(ROOT / "specs").glob("*.yaml"), *(ROOT / "tests/cases/good").glob("*.yaml")]
LOSSES = {
    loss.name: loss for path in sorted(FILES) for loss in resolved_all(path.read_text())
}


def kept_rows(loss, batch):
    """Labels some of which the mask drops, and where it keeps them."""
    inputs = dict(batch.inputs)
    if loss.mask is None:
        return inputs, None
    for value in (-1.0, np.nan, 0.0, 100.0, -100.0):
        for item in loss.of_role(Role.Y_TRUE):
            spoilt = batch.inputs[item.name].copy()
            spoilt.reshape(-1)[1::3] = value
            inputs[item.name] = spoilt
        mask = evaluate(loss.mask, {**inputs, **batch.parameters})
        mask = np.asarray(mask, bool)
        if mask.any() and not mask.all():
            return inputs, mask
    raise AssertionError("no label that the mask drops")


def environment(loss, program, inputs, mask, parameters):
    """What the emitted code computes a block with: see `emit_module`."""
    known = {name: array(value) for name, value in parameters.items()}
    harmless = placeholders(loss)
    for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED):
        value = array(inputs[item.name])
        if mask is not None:
            at = harmless.y_true if item.role is Role.Y_TRUE else harmless.y_pred
            # A channel of length 1 is kept with any element of its row.
            narrow = value.shape[-1] == 1
            here = mask.any(axis=-1, keepdims=True) if narrow else mask
            value = np.where(here, value, mpf(at))
        known[item.name] = value
    if loss.spec.y_true.sparse:
        known["labels"] = np.argmax(inputs["y_true"], axis=-1)[..., np.newaxis]
    shape = max((value.shape for value in known.values()), key=lambda s: (len(s), s))
    kept = np.ones(shape, bool) if mask is None else np.broadcast_to(mask, shape)
    known["kept"] = kept
    filled = program.body.filled
    if filled is not None:
        axes = {Axis.LAST: (-1,), Axis.BATCH: (0,)}.get(filled) or tuple(
            range(1, len(shape))
        )
        known["kept"] = kept | ~kept.any(axis=axes, keepdims=True)
    return known


# With an epsilon some samples lie beyond the guard points: see test_guard.
EXACT = [name for name, loss in LOSSES.items() if loss.spec.epsilon is None]


@pytest.mark.parametrize("name", EXACT)
def test_blocks_compute_the_formula(name):
    loss = LOSSES[name]
    program = lower(unproved(loss))
    batch = sample(loss, 4, 5, defaults=True)
    inputs, mask = kept_rows(loss, batch)
    blocks = [(program.body, loss.expression, inputs)]
    if program.logits is not None:
        moved = {**inputs, "y_pred": 20 * batch.inputs["y_pred"] - 10}
        blocks.append((program.logits, to_logits(loss)(loss.expression), moved))
    for block, formula, point in blocks:
        with mp.workdps(40):
            exact = {**point, **batch.parameters}
            expected = evaluate(formula, exact, mask=mask, digits=40)
            known = environment(loss, program, point, mask, batch.parameters)
            found = np.asarray(run_block(block, loss, known))
            assert block.extent <= FULL
            if block.flat:
                axes = (
                    (-1,)
                    if "spatial" in block.extent
                    else tuple(range(1, expected.ndim))
                )
                expected = expected.squeeze(axis=axes)
            if mask is not None and found.ndim and found.shape != expected.shape:
                expected = averaged(expected, found.shape)
            for a, b in np.broadcast(found, expected):
                if b is not None:
                    # Constants such as log(2*pi) are printed as Python's floats.
                    assert abs(a - b) <= mpf("1e-12") * (1 + abs(b))


def averaged(values, shape):
    """The mean over the kept elements, down to a shape."""
    result = np.empty(shape, dtype=object)
    padded = shape if len(shape) == values.ndim else (*shape, 1)
    for index in np.ndindex(shape):
        cell = tuple(
            slice(None) if padded[k] == 1 and values.shape[k] != 1 else i
            for k, i in enumerate((*index, 0)[: values.ndim])
        )
        items = [item for item in np.ravel(values[cell]) if item is not None]
        result[index] = sum(items) / len(items) if items else None
    return result


@pytest.mark.parametrize("name", LOSSES)
def test_names_are_usable_and_used(name):
    loss = LOSSES[name]
    program = lower(unproved(loss))
    for block in (program.body, program.logits):
        if block is None:
            continue
        # A prediction that is held at a kink or inside its guard keeps its name.
        given = [
            item.target.name
            for item in block.assignments
            if item.target.role is not Role.Y_PRED
            and getattr(item.value, "op", None) != "guarded"
        ]
        assert len(given) == len(set(given))
        inputs = {variable.name.rpartition(".")[2] for variable in loss.variables}
        assert not set(given) & inputs
        for word in given:
            assert word.isidentifier()
            assert not keyword.iskeyword(word)
        exprs = [*(item.value for item in block.assignments), block.result]
        used = {s.name for expr in exprs for s in symbols(expr)}
        assert set(given) <= used
        assert not ops(block) & {"select"}


# By hand ------------------------------------------------------------------------------


def test_author_names_are_kept_in_order():
    program = lowered(
        """\
        loss: abs(scaled) + relu(scaled)
        where:
          scaled: error/2
          error: y_pred - y_true
        """
    )
    assert names(program.body) == ["error", "scaled"]
    assert spell(program.body.result) == "abs(scaled) + relu(scaled)"


@pytest.mark.parametrize("word", ["exp", "sum", "tf", "kept", "values", "abs", "value"])
def test_no_generated_name_hides_another(word):
    """Only what the author calls so is called so."""
    program = lowered(
        "loss: abs(y_true - y_pred)*sum(abs(y_true - y_pred), axis=last)\n"
    )
    assert word not in names(program.body)


def test_generated_names_hide_no_builtin():
    for loss in LOSSES.values():
        program = lower(unproved(loss))
        author = {name for name, _ in loss.definitions}
        for block in (program.body, program.logits):
            given = set(names(block)) if block else set()
            assert not (given - author) & set(dir(builtins)), loss.name


def test_parameters_are_not_reused_as_names():
    program = lowered(
        """\
        loss: difference*(y_true - y_pred)**3*exp((y_true - y_pred)**3)
        params: {difference: 2.0}
        """
    )
    assert "difference" not in names(program.body)


@pytest.mark.parametrize(
    ("formula", "flat"),
    [
        ("sum(abs(y_true - y_pred), axis=last)", True),
        ("sqrt(sum(y_true*y_pred, axis=last)) + norm(y_pred, axis=last)", True),
        ("1 - sum(y_true*y_pred, axis=sample)/sum(y_true + y_pred, axis=sample)", True),
        # A term that is broadcast back needs its axis.
        ("mean(abs(y_true - mean(y_pred, axis=last)), axis=last)", True),
        ("sum(softmax(y_pred, axis=last)*y_true, axis=last)", True),
        ("sum(y_true, axis=last)*mean(y_pred, axis=sample)", False),
        (
            "max(y_true, axis=last) + sum(y_pred*max(y_true, axis=last), axis=last)",
            False,
        ),
        ("(y_true - y_pred)**2", False),
        ("sum(y_true*y_pred, axis=spatial)", False),
        ("sum(y_true*y_pred, axis=batch)", False),
    ],
)
def test_reductions_drop_their_axis_where_nothing_needs_it(formula, flat):
    program = lowered(f"loss: {formula}\n")
    assert program.body.flat is flat
    assert ("flat" in ops(program.body)) is flat


def test_inner_reductions_keep_their_axis():
    program = lowered("loss: mean(abs(y_true - mean(y_pred, axis=last)), axis=last)\n")
    exprs = [*(a.value for a in program.body.assignments), program.body.result]
    flats = [n for e in exprs for n in walk(e) if getattr(n, "op", "") == "flat"]
    assert len(flats) == 1


SPARSE = "y_true: {domain: one_hot, sparse: true}\ny_pred: simplex\n"


def test_sparse_labels_pick_their_entry():
    program = lowered(f"loss: -sum(y_true*log(y_pred), axis=last)\n{SPARSE}")
    assert "take" in ops(program.body)
    exprs = [*(a.value for a in program.body.assignments), program.body.result]
    assert not any(s.role is Role.Y_TRUE for e in exprs for s in symbols(e))


@pytest.mark.parametrize(
    "formula",
    ["sum((y_true - y_pred)**2, axis=last)", "sum(y_true + y_pred, axis=last)"],
)
def test_sums_that_see_all_classes_stay(formula):
    program = lowered(f"loss: {formula}\n{SPARSE}")
    assert "take" not in ops(program.body)


@pytest.mark.parametrize(
    ("formula", "picks"),
    [
        ("sum(y_true*(y_pred - max(y_pred, axis=last)), axis=last)", True),
        ("sum(y_true*(y_pred + mean(y_pred, axis=batch)), axis=last)", True),
        ("sum(y_true*y_true*exp(y_pred + y_true), axis=last)", True),
        ("sum(y_true*where(y_true == 1, y_pred**2, 3*y_pred), axis=last)", True),
        ("sum(relu(y_pred)**2 if y_true == 1 else 0, axis=last)", True),
        ("sum(y_pred**2 if y_true > 0 and y_pred > 0 else 0, axis=last)", True),
        ("sum(y_true*log_softmax(y_pred - y_true, axis=last), axis=last)", False),
        ("sum(y_true*(y_pred + mean(y_true, axis=batch)), axis=last)", False),
        ("sum(y_true*cumsum(y_true*y_pred, axis=last), axis=last)", False),
        # A row of its own, which an index cannot be checked against.
        ("sum(y_true*mean(y_pred, axis=last), axis=last)", False),
    ],
)
def test_labels_pick_where_an_axis_sees_no_more_of_them(formula, picks):
    declared = "y_true: {domain: one_hot, sparse: true}\nsmoothness: discontinuous\n"
    program = lowered(f"loss: {formula}\n{declared}")
    exprs = [*(a.value for a in program.body.assignments), program.body.result]
    assert ("take" in ops(program.body)) == picks
    assert any(s.role is Role.Y_TRUE for e in exprs for s in symbols(e)) != picks


def test_parameters_lack_the_axes_that_they_are_reduced_over():
    keys = "params: {a: 2.0, w: {shape: last, domain: positive}}\n"
    formula = "norm(a, axis=sample) + mean(w, axis=batch) + softmax(a, axis=last)"
    loss = f"loss: {formula} + sum(w, axis=sample) + y_true*y_pred\n"
    program = lowered(loss + keys)
    expected = "abs(a) + w + 1 + sum(w, axis=last) + y_true*y_pred"
    assert spell(program.body.result) == expected


def test_logits_have_no_guard():
    program = lowered(
        "loss: -y_true*log(y_pred)\ny_pred: {domain: probability, logits: sigmoid}\n"
    )
    assert names(program.body) == ["y_pred"]
    assert names(program.logits) == []
    assert spell(program.logits.result) == "-y_true*log_sigmoid(y_pred)"
    assert program.rules == ("log-of-exponentials",)


def test_masks():
    program = lowered("loss: (y_true - y_pred)**2\nmask: y_true != -1\n")
    assert spell(program.kept) == "y_true != -1"
    assert lowered("loss: (y_true - y_pred)**2\n").kept is None
    summed = lowered("loss: sum(y_true*y_pred, axis=last)\nmask: y_true != -1\n")
    assert "where" in ops(summed.body)


def test_lowering_is_deterministic():
    for loss in LOSSES.values():
        assert repr(lower(unproved(loss))) == repr(lower(unproved(loss)))


@pytest.mark.parametrize(
    "keys",
    [
        "loss: abs(d) + d\n",
        "loss: abs(d) + d\ny_pred: positive\n",
        "loss: abs(d) + d + logsumexp(y_pred, axis=last)\n",
    ],
)
def test_a_difference_that_has_a_name_stays_one_term_of_a_sum(keys):
    """(abs(d) + y_pred) - y_true is not 0 where abs(d) + d is."""
    program = lower(unproved(resolved(keys + "where: {d: y_pred - y_true}\n")))
    (shared,) = (item for item in program.body.assignments if item.target.name == "d")
    sums = [n for n in walk(program.body.result) if getattr(n, "op", None) == "add"]
    assert any(shared.target in node.args for node in sums)
    assert not any(T in symbols(node) for node in sums)


def test_shared_terms_have_no_comment():
    """A clipped prediction with one is a guard, of which the docstring tells."""
    block = lowered("loss: tanh(y_pred)*(y_true - tanh(y_pred))**2\n").body
    (shared,) = block.assignments
    assert (spell(shared.value), shared.comment) == ("tanh(y_pred)", None)


@pytest.mark.parametrize(
    ("condition", "named"), [("y_pred > y_true", False), ("2*y_pred > y_true", True)]
)
def test_a_condition_that_computes_is_named_where_it_is_used_twice(condition, named):
    branches = (f"where({condition}, {a}, {b})" for a, b in ((1, 2), (3, 5)))
    block = lowered(f"loss: y_pred*({'*'.join(branches)})\n").body
    assert [item.target.name for item in block.assignments] == ["condition"] * named


CONCORDANCE = """
loss: 1 - 2*covariance/(var_true + var_pred + (mean_true - mean_pred)**2 + 0.1)
where:
  mean_true: mean(y_true, axis=batch)
  mean_pred: mean(y_pred, axis=batch)
  var_true: mean((y_true - mean_true)**2, axis=batch)
  var_pred: mean((y_pred - mean_pred)**2, axis=batch)
  covariance: mean((y_true - mean_true)*(y_pred - mean_pred), axis=batch)
"""


def test_what_the_author_named_is_named_so_when_it_is_scaled():
    block = lowered(CONCORDANCE.lstrip()).body
    own = {"mean_true", "mean_pred", "var_true", "var_pred", "covariance"}
    assert {*own, "scale", "scaled_y_true", "scaled_y_pred"} <= set(names(block))
    said = {item.target.name: item.comment for item in block.assignments}
    assert (
        said["scale"]
        == "So scaled, squares do not overflow, and a constant beside them stays."
    )
    assert all(said[name] is None for name in own)


def test_a_divisor_of_the_author_is_not_called_a_scale():
    text = "loss: abs(r)*(y_true - r)**2\nwhere: {r: y_pred/stop_gradient(1 + a)}\n"
    block = lowered(text.replace("+ a", "+ abs(y_pred)")).body
    assert names(block) == ["r"]


def test_a_formula_keeps_its_shape_where_no_length_is_lost():
    """Rules match sums as the parser leaves them, not as an equal copy has them."""
    formula = "xlogy(y_true, y_true/y_pred) - y_true + y_pred"
    program = lowered(f"loss: {formula}\ny_true: nonnegative\ny_pred: positive\n")
    assert "kl_div" in ops(program.body)
