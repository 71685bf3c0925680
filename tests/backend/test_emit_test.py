import ast
import subprocess
import sys
from dataclasses import replace

import pytest
from losses import OPTIONS, resolved, unproved

from lossgen.backend.emit_test import emit_test
from lossgen.ir.options import Options
from lossgen.ir.reference import EndRow, ReferenceCase, ReferenceRow, ReferenceTable
from lossgen.oracle.placeholders import placeholders
from lossgen.transform.lower import lower

ROW = ReferenceRow(
    y_true=(0.1,),
    y_pred=(1 / 3,),
    value=0.25,
    value_tolerance=1e-7,
    gradient=(-1 / 3,),
    gradient_tolerance=(1e-7,),
)
TABLE = ReferenceTable((ReferenceCase({}, (ROW, ROW)),), (), ())
SQUARED = "loss: (y_true - y_pred)**2\n"


def emit(text, table=TABLE, options=OPTIONS):
    loss = resolved(text)
    return emit_test(lower(unproved(loss)), table, placeholders(loss), options)


def constant(source, name):
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.target.id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"no {name}")


def cases(source):
    """Name, parameters and the constant that holds the rows, of each case."""
    (listed,) = (
        node.value.elts
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "CASES"
    )
    found = [call.args for call in listed]
    return [
        (name.value, ast.literal_eval(parameters), rows.id)
        for name, parameters, rows in found
    ]


def written_tests(source):
    functions = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    return {f.name for f in functions if f.name.startswith("test_")}


def test_numbers_are_placed_with_12_digits_and_inputs_with_9():
    source = emit(SQUARED, TABLE)
    assert cases(source) == [("training", {}, "TRAINING")]
    row = (0.1, 0.333333333, 0.25, 1e-07, -0.333333333333, 1e-07)
    assert constant(source, "TRAINING") == [row, row]


def test_several_elements_of_a_sample_are_lists():
    row = replace(ROW, y_true=(0.0, 1.0), y_pred=(0.5, 0.5), gradient=(0.0, 1.0))
    source = emit(SQUARED, ReferenceTable((ReferenceCase({}, (row,)),), (), ()))
    ((y_true, y_pred, value, *_),) = constant(source, "TRAINING")
    assert (y_true, y_pred, value) == ([0.0, 1.0], [0.5, 0.5], 0.25)


def test_parameters_are_passed_on():
    text = (
        "loss: a*w*(y_true - y_pred)**2\n"
        "params: {a: {}, w: {default: 2.0, domain: positive}}\n"
    )
    case = ReferenceCase({"a": 1.5, "w": 2.0}, (ROW,))
    source = emit(text, ReferenceTable((case,), (), ()))
    ((_, parameters, _),) = cases(source)
    assert parameters == {"a": 1.5, "w": 2.0}
    assert constant(source, "REQUIRED") == {"a": 1.5}
    assert '("w", -1.1)' in source
    assert '("a", float("nan"))' in source


BASE = {
    "test_ragged_and_sparse_tensors_are_refused",
    "test_defaults",
    "test_value_and_gradient",
    "test_double_precision",
    "test_half_precision_is_computed_in_single",
    "test_forward_mode",
    "test_reductions_and_weights",
    "test_no_reduction",
    "test_more_axes",
    "test_weights_and_masks_that_do_not_fit_are_refused",
    "test_in_its_own_process",
    "test_a_trailing_axis_of_one_may_be_left_out",
    "test_copies_are_equal",
    "test_dropped_samples_may_hold_nan",
    "test_masked_samples_may_hold_nan",
    "test_a_batch_of_weight_0_may_hold_nan",
    "test_configuration_round_trip",
    "test_fit_save_and_load",
}


def test_every_loss_has_these():
    assert written_tests(emit(SQUARED)) == {
        *BASE,
        "test_labels_receive_no_gradient",
        "test_mismatched_shapes_raise",
        "test_shapes_that_are_known_late",
        "test_labels_may_have_a_trailing_axis_of_one",
    }


@pytest.mark.parametrize(
    ("text", "table", "more"),
    [
        ("loss: y_pred**2\ny_true: unused\n", TABLE, set()),
        (
            "loss: -y_true*log(y_pred)\n"
            "y_pred: {domain: probability, logits: sigmoid}\n",
            ReferenceTable(
                TABLE.probabilities,
                TABLE.probabilities,
                (EndRow((0.0,), (0.0,), 1.0, 1e-6, (-1e18,), (1e12,)),),
                far_logits=(-1000.0,),
            ),
            {
                "test_mismatched_shapes_raise",
                "test_shapes_that_are_known_late",
                "test_labels_may_have_a_trailing_axis_of_one",
                "test_labels_receive_no_gradient",
                "test_logits_that_keras_attached_are_used",
                "test_value_and_gradient_from_logits",
                "test_double_precision_from_logits",
                "test_finite_for_any_logit",
                "test_ends_of_the_domain",
            },
        ),
        (
            "loss: -sum(y_true*log(y_pred), axis=last)\ny_pred: simplex\n"
            "y_true: {domain: one_hot, sparse: true, ignore: -1}\n",
            TABLE,
            {
                "test_mismatched_shapes_raise",
                "test_shapes_that_are_known_late",
                "test_labels_may_have_a_trailing_axis_of_one",
                "test_labels_of_other_types",
                "test_labels_out_of_range_are_no_zero_rows",
                "test_ignored_labels_count_for_nothing",
            },
        ),
        (
            "loss: a*y_pred\ny_true: unused\nparams: {a: {default: 1, domain: unit}}\n",
            TABLE,
            {
                "test_parameters_outside_their_domain_are_refused",
                "test_parameters_at_the_ends_of_their_domain_are_taken",
                "test_the_configuration_holds_floats",
            },
        ),
        (
            "loss: a*y_pred\ny_true: unused\nparams: {a: {default: 1}}\n",
            ReferenceTable(
                (ReferenceCase({"a": 1.0}, (ROW, ROW)),),
                (),
                (),
                curvatures=((0.0, 0.0), (2.0, 1e-15)),
                parameter_slopes={"a": (1.0, 1e-15)},
            ),
            {
                "test_parameters_outside_their_domain_are_refused",
                "test_the_configuration_holds_floats",
                "test_parameters_may_be_tensors_of_another_type",
                "test_second_derivative",
                "test_gradients_by_parameters",
                "test_variables_take_effect_without_a_new_trace",
            },
        ),
    ],
)
def test_further_tests_where_they_apply(text, table, more):
    assert written_tests(emit(text, table)) == BASE | more


@pytest.mark.parametrize(
    ("module", "path"),
    [(None, "some_loss"), ("package.losses", "package.losses.some_loss")],
)
def test_where_the_module_is_imported_from(module, path):
    source = emit(SQUARED, options=Options("lossgen", module, ".", OPTIONS.templates))
    assert f"from {path} import SomeLoss as LossClass\n" in source
    assert f"from {path} import some_loss as loss_function\n" in source


def test_nothing_is_unused_and_the_text_is_the_same_every_time(tmp_path):
    source = emit(SQUARED)
    assert emit(SQUARED) == source
    path = tmp_path / "test_some_loss.py"
    path.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,B"]
    found = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_not_a_number_can_be_written():
    row = ReferenceRow((float("nan"),), (float("inf"),), 0.0, 0.0, (0.0,), (0.0,))
    source = emit(SQUARED, ReferenceTable((ReferenceCase({}, (row,)),), (), ()))
    assert '(float("nan"), float("inf"), 0.0' in source


def test_a_step_changes_nothing_where_the_samples_are_flat():
    """A loss whose samples all have the gradient 0 cannot be lowered from there."""
    flat = replace(ROW, gradient=(0.0,), gradient_tolerance=(0.0,))
    source = emit(SQUARED, ReferenceTable((ReferenceCase({}, (flat,)),), (), ()))
    assert "assert after == before" in source
    assert "assert after < before" in emit(SQUARED)


def test_several_features_are_averaged_where_a_sample_is_one_element():
    three = ReferenceTable((ReferenceCase({}, (ROW, ROW, ROW)),), (), ())
    name = "test_features_are_averaged_over"
    assert name in written_tests(emit(SQUARED, three))
    assert name not in written_tests(emit(SQUARED))  # too few samples to make one of
    sized = SQUARED + "y_true: {size: 1}\ny_pred: {size: 1}\n"
    assert name not in written_tests(emit(sized, three))


def test_defaults_are_written_down():
    text = "loss: a*w*(y_true - y_pred)**2\nparams: {a: {}, w: {default: 2.0}}\n"
    case = ReferenceCase({"a": 1.5, "w": 2.0}, (ROW,))
    source = emit(text, ReferenceTable((case,), (), ()))
    assert constant(source, "DEFAULTS") == {"w": 2.0}
