"""The Keras module of a loss."""

from __future__ import annotations

import re

from lossgen.backend.emission import Emission
from lossgen.backend.formatting import format_source
from lossgen.backend.function_body import FunctionBody, prepare
from lossgen.backend.label_mask import (
    labelled_body,
    labelled_call,
    labelled_parameters,
)
from lossgen.backend.prose import (
    function_docstring,
    module_docstring,
    parameter_arguments,
)
from lossgen.backend.shape import is_spatial
from lossgen.backend.signature import (
    constructor_parameters,
    function_parameters,
    parameter_check,
)
from lossgen.backend.templating import render, sources
from lossgen.ir.expr import Role
from lossgen.ir.options import Options
from lossgen.ir.program import LossProgram, Placeholders

TEMPLATE = "loss_module.py.jinja"

_HELPERS = (
    *("_inputs", "_prediction", "_matched", "_kept", "_spread", "_varied"),
    *("_labelled",),
    *("_one_hot", "_picked", "_valid", "_filled", "_per_class", "_listed"),
    *("_check", "_plain"),
    *("_above", "_below", "_sigmoid", "_tanh", "_log_cosh", "_log1p_square"),
    *("_with_slopes", "_log_difference", "_log1p_difference", "_log1pmx", "_expm1mx"),
    *("_acos", "_exp_tilted", "_powm1", "_pow1pm1"),
    *("_geman_mcclure", "_kl_div", "_itakura_saito", "_logaddexp", "_normal_cdf"),
    *("_stirling", "_stirling_error", "_lgamma", "_lgamma_below"),
    *("_lgamma_difference", "_digamma"),
    *("_digamma_difference", "_digamma_excess", "_log_beta", "_log_beta_excess"),
    *("_log_multiset", "_poisson_peak", "_negative_binomial", "_tweedie"),
    *("_log_i0e", "_log_i0", "_bessel_deficit"),
    *("_normal_logcdf", "_trigamma", "_norm", "_softmax", "_log_softmax"),
    *("_log1m_softmax", "_l2_normalize"),
    *("_softmax_over", "_log_softmax_over", "_cumsum_over"),
    *("_logcumsumexp", "_logcumsumexp_over"),
)
"""The helper functions that the template can supply, in the order it places them."""


def _template_of(name: str) -> str:
    return f"helpers/{name}.py.jinja"


HELPER_TEMPLATES = tuple(map(_template_of, _HELPERS))
"""The templates that `TEMPLATE` includes."""


def emit_module(
    program: LossProgram, placeholders: Placeholders, options: Options
) -> str:
    """The source of the module, formatted, without the header.

    Args:
        program: The lowered loss.
        placeholders: What stands in for dropped elements.
        options: The registration name and the template directories.
    """
    context = _context(Emission(program, placeholders), options)
    return format_source(render(TEMPLATE, context, options.templates))


def _context(emission: Emission, options: Options) -> dict[str, object]:
    """Everything that the template places."""
    loss = emission.loss
    body = FunctionBody(emission)
    lines = body.lines()
    labelled, labelled_helpers = labelled_body(emission)
    called = body.helpers | (labelled_helpers if emission.masks_labels else set())
    called, callees_use_math = _with_callees(called, options)
    helpers = called | _standing_helpers(emission)
    ranked = any(p.shape != "elements" for p in loss.parameters)
    return {
        "name": loss.name,
        "class_name": loss.class_name,
        "package": options.package,
        # Keras saves a function by its name alone, without arguments.
        "serializable": all(p.default is not None for p in loss.parameters),
        "module_docstring": module_docstring(loss),
        "function_docstring": function_docstring(emission.program, emission.shape),
        "parameter_docs": parameter_arguments(loss),
        "uses_math": "math" in called or callees_use_math,
        "uses_callable": bool(loss.parameters),
        "uses_sequence": any(p.shape != "scalar" for p in loss.parameters),
        "function_parameters": function_parameters(loss),
        "constructor_parameters": constructor_parameters(loss),
        "parameters": [p.name for p in loss.parameters],
        "checks": [parameter_check(p, ranked) for p in loss.parameters],
        "ranked": ranked,
        "unranked": any(p.shape == "elements" for p in loss.parameters),
        "logits": bool(loss.spec.y_pred.logits),
        "unused_target": loss.spec.y_true.unused,
        "sparse": loss.spec.y_true.sparse,
        "prepare": prepare(emission),
        "like": emission.layout.like,
        "length": emission.layout.length,
        "stops_gradient": not loss.spec.y_true.gradient,
        "body": lines,
        "kept_shape": _kept_shape(emission),
        "kept_lines": _kept_lines(emission),
        "kept_inputs": _kept_inputs(emission),
        "labelled": labelled,
        "labelled_parameters": labelled_parameters(emission),
        "keeps_labels": emission.masks_labels and emission.shape.kind != "elements",
        "target_placeholder": emission.placeholder(Role.Y_TRUE),
        "prediction_placeholder": emission.placeholder(Role.Y_PRED),
        "batched": emission.shape.batched,
        "spatial": is_spatial(loss),
        "channels": len(loss.of_role(Role.Y_PRED)) > 1,
        "helpers": [name for name in _HELPERS if name in helpers],
    }


def _with_callees(names: set[str], options: Options) -> tuple[set[str], bool]:
    """Helpers with those that they call in turn, and whether one uses ``math``."""
    found, waiting, uses_math = set(), sorted(names), False
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in _HELPERS:
            (text,) = sources([_template_of(name)], options.templates)
            waiting.extend(word for word in _WORD.findall(text) if word in _HELPERS)
            uses_math |= bool(_MATH.search(text))
    return found, uses_math


_WORD = re.compile(r"\b_\w+")
_MATH = re.compile(r"(?<!\.)\bmath\.")


def _standing_helpers(emission: Emission) -> set[str]:
    """The helpers that do not depend on the formula."""
    helpers = {"_prediction", "_kept", "_spread"}
    if not emission.loss.spec.y_true.unused:
        helpers |= {"_inputs", "_matched"}
    if emission.loss.parameters:
        helpers |= {"_check", "_plain"}
    if emission.masks_labels:
        helpers.add("_labelled")
    if emission.placeholders.varied:
        helpers.add("_varied")
    return helpers


def _kept_lines(emission: Emission) -> list[str]:
    """What the mask of the values has to be for the inputs, and for the mean."""
    if emission.shape.kind == "rows":
        return ["kept = kept[..., tf.newaxis]"]
    if emission.shape.kind == "batch":
        return ["kept = tf.reshape(kept, [-1] + [1] * (y_pred.shape.rank - 1))"]
    everywhere = "tf.ones_like(kept) if mask is None else mask"
    return [
        "# What replaces a label that is masked must not count in the mean.",
        f"mask = {labelled_call(emission, 'self.')} & ({everywhere})",
    ]


def _kept_shape(emission: Emission) -> str:
    """The shape of the values, and so of their weights."""
    return {
        "elements": f"tf.shape({emission.element_source})",
        "rows": "tf.shape(y_pred)[:-1]",
        "batch": "tf.shape(y_pred)[:1]",
    }[emission.shape.kind]


def _kept_inputs(emission: Emission) -> tuple[str, str]:
    """Conditions under which y_true and y_pred stay as they are."""
    true, pred = _kept_by(emission, "y_true"), _kept_by(emission, "y_pred")
    if not emission.masks_labels or emission.shape.kind == "elements":
        return true, pred
    labelled = labelled_call(emission, "self.")
    if emission.loss.spec.y_true.channels or emission.masks_entries:
        labelled = f"tf.reduce_any({labelled}, axis=-1, keepdims=True)"
    return f"{true} | ~{labelled}", pred


def _kept_by(emission: Emission, tensor: str) -> str:
    """Where a tensor counts; a row of several channels counts as a whole.

    So does one of which an integer names an entry.
    """
    is_index = tensor == "y_true" and emission.loss.spec.y_true.sparse
    if emission.shape.kind != "elements" or tensor == emission.element_source:
        return "kept"
    tensors = emission.loss.of_role(Role.Y_TRUE, Role.Y_PRED)
    whole = any(item.name == tensor for item in tensors)
    if whole and not is_index and len({item.size for item in tensors}) == 1:
        return "kept"
    return "tf.reduce_any(kept, axis=-1, keepdims=True)"
