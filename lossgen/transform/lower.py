"""A checked loss to the program that is emitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from lossgen.analysis.overflow import reach
from lossgen.ir.accuracy import Measure
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import (
    Apply,
    Axis,
    Expr,
    Role,
    Symbol,
    replace_nodes,
    substitute,
    walk,
)
from lossgen.ir.extent import COLLAPSING, FULL, Extent, extents
from lossgen.ir.local_names import local_names
from lossgen.ir.loss import CheckedLoss, Loss
from lossgen.ir.program import Block, Guard, LossProgram
from lossgen.transform.closed_form import slope_names
from lossgen.transform.components import protect_components
from lossgen.transform.guard import guarded, guards
from lossgen.transform.joints import derivative_at_joints
from lossgen.transform.label_entries import take_labels
from lossgen.transform.leaky import without_leaky_maximum
from lossgen.transform.masking import mask_reductions
from lossgen.transform.naming import (
    name_hints,
    name_shared,
    scaled_inputs,
    scaled_names,
)
from lossgen.transform.safe_branches import always_taken, protect_branches
from lossgen.transform.selection import selected
from lossgen.transform.single import with_lengths, without_single
from lossgen.transform.stabilize import to_logits

KEPT = Symbol("kept", Role.DERIVED)
"""Where the label mask keeps elements, in the names of the blocks."""


Settle = Callable[[Expr, tuple[Guard, ...]], tuple[Guard, ...]]
"""From what is computed, and guard points as close as may be, to those that serve."""


def lower(
    checked: CheckedLoss,
    measure: Callable[[bool], Measure] | None = None,
    settle: Settle | None = None,
) -> LossProgram:
    """Rewrite, guard, mask and name a loss.

    Args:
        checked: The loss and its certificate.
        measure: Gives what measures forms of the loss, or of its form that takes
            logits. Without it no rule is declined.
        settle: Moves guard points to where value and slope are finite.

    Returns:
        The program, for probabilities and, where the spec says so, for logits.
    """
    loss = checked.loss
    fired: dict[str, None] = {}
    written = with_lengths(loss.expression, loss)
    chosen = selected(loss, written, None if measure is None else measure(False), fired)
    stable, declined, is_unfinished = chosen, chosen.declined, chosen.is_unfinished
    computed = _protected(stable.form, loss)
    held = guards(loss, stable.form)
    if settle is not None:
        held = settle(computed, held)
    body = _block(loss, stable.rewrite, stable.form, held)
    logits, stable_logits = None, None
    if loss.spec.y_pred.logits:
        substituted = to_logits(loss)
        on_logits = substituted(written)
        chosen = selected(
            loss, on_logits, None if measure is None else measure(True), fired
        )
        of_logits, stable_logits = chosen.rewrite, chosen.form
        logits = _block(
            loss,
            lambda expr: of_logits(substituted(expr)),
            stable_logits,
            None,
        )
        declined = (*declined, *chosen.declined)
        is_unfinished |= chosen.is_unfinished
    kept = None if loss.mask is None else stable.rewrite(loss.mask)
    return LossProgram(
        checked,
        body,
        logits,
        kept,
        held,
        tuple(fired),
        declined,
        computed,
        None if stable_logits is None else _protected(stable_logits, loss),
        is_unfinished=is_unfinished,
    )


def _protected(expr: Expr, loss: Loss) -> Expr:
    """A form in which no branch and no component that is not taken spoils a slope."""
    return protect_components(
        protect_branches(expr, loss, always_taken(expr)), loss, {}
    )


def _block(
    loss: Loss,
    rewrite: Callable[[Expr], Expr],
    expr: Expr,
    guards: tuple[Guard, ...] | None,
) -> Block:
    """One form as assignments; ``guards`` is None for the one that takes logits."""
    own = loss if guards is not None else _on_logits(loss)
    written = dict(loss.definitions)
    names = {rewrite(expr): name for name, expr in written.items()}
    names = {expr: name for expr, name in names.items() if isinstance(expr, Apply)}
    hints = name_hints(
        [loss.expression, *written.values()],
        {expr: name for name, expr in written.items()},
        rewrite,
    )
    names |= slope_names(expr)
    scaled = scaled_inputs(expr)
    names |= {substitute(key, scaled): name for key, name in names.items()}
    hints |= scaled_names(scaled)
    inputs = {*local_names(loss), *_LOCALS}
    lean = derivative_at_joints(replace(own, expression=expr))
    expr = lean(expr)
    names = {lean(key): name for key, name in names.items()}
    hints = {lean(key): name for key, name in hints.items()}
    with_guard = guarded(expr, loss, guards or ())
    assignments, expr = with_guard.assignments, with_guard.expression
    names = _renamed(names, with_guard.renamed)
    hints = _renamed(hints, with_guard.renamed)
    components: dict[Expr, str] = {}
    always = always_taken(expr)
    steps: list[Callable[[Expr], Expr]] = [
        lambda e: without_single(e, loss),
        without_leaky_maximum,
        lambda e: protect_branches(e, loss, always),
        lambda e: protect_components(e, loss, components),
    ]
    if loss.spec.y_true.sparse and loss.mask is None:
        # A mask may drop the entry that a label names.
        steps.append(lambda e: take_labels(e, loss))
    axes = _masked_axes(expr, loss)
    filled = None
    if axes:
        expr = _averaged(expr, loss)
        filled = _filled(expr, loss)
        steps.append(lambda e: mask_reductions(e, KEPT, loss, axes, filled))
    for step in steps:
        expr = step(expr)
        names = {step(key): name for key, name in {**names, **components}.items()}
        hints = {step(key): name for key, name in {**hints, **components}.items()}
    extent = extents(loss, expr)[expr]
    leaves = flat_leaves(expr, extent, loss)
    flat: dict[Expr, Expr] = {leaf: Apply("flat", (leaf,)) for leaf in leaves}
    expr = replace_nodes(expr, flat)
    names = {replace_nodes(key, flat): name for key, name in names.items()}
    hints = {replace_nodes(key, flat): name for key, name in hints.items()}
    taken = {*inputs, *(item.target.name for item in assignments)}
    shared, result = name_shared(expr, names, hints, taken)
    block = Block((*assignments, *shared), result, extent, bool(leaves), filled)
    return replace(block, reach=reach(block, own))


def _on_logits(loss: Loss) -> Loss:
    """The loss as one of logits, which may be any number."""
    domain = Domain(
        DomainKind.INTERVAL, Bound(None, -inf, True), Bound(None, inf, True), "real"
    )
    variables = tuple(
        replace(item, domain=domain) if item.role is Role.Y_PRED else item
        for item in loss.variables
    )
    return replace(loss, variables=variables)


def _masked_axes(expr: Expr, loss: Loss) -> frozenset[Axis]:
    """The axes along which operations must skip elements.

    A label mask may drop any element. Samples that Keras drops matter only where the
    batch is reduced, ignored labels only where more than their own row is.
    """
    axes = frozenset(node.axis for node in walk(expr) if isinstance(node, Apply))
    used = frozenset(axis for axis in axes if axis is not None)
    if loss.mask is not None:
        return used | {Axis.LAST, Axis.SAMPLE}
    ignoring = loss.spec.y_true.ignore is not None
    if ignoring and used - {Axis.LAST}:
        return used - {Axis.LAST} | {Axis.SAMPLE}
    return used & {Axis.BATCH}


def _averaged(expr: Expr, loss: Loss) -> Expr:
    """The mean over what is left within a sample, or a row, where labels are dropped.

    Where all or nothing is, the mean is plain, and left to the backend.
    """
    extent = extents(loss, expr)[expr]
    row = {"batch", "spatial"} <= extent
    ignoring = loss.spec.y_true.ignore is not None and not row
    if (
        not (loss.mask is not None or ignoring)
        or "last" not in extent
        or extent == FULL
    ):
        return expr
    return Apply("mean", (expr,), Axis.LAST if row else Axis.SAMPLE)


def _filled(expr: Expr, loss: Loss) -> Axis | None:
    """The axis along which a row, or a batch, without kept elements counts as kept."""
    axes = {node.axis for node in walk(expr) if isinstance(node, Apply)}
    extent = extents(loss, expr)[expr]
    labelled = loss.mask is not None or loss.spec.y_true.ignore is not None
    if Axis.BATCH in axes:
        return None if labelled else Axis.BATCH
    if extent == FULL:
        return None
    if not {"batch", "spatial"} <= extent:
        return Axis.SAMPLE
    # What sees more than a row must not take one that is dropped for a kept one.
    return Axis.LAST if axes <= {None, Axis.LAST} else None


_LOCALS = frozenset(
    [
        "tf",
        "keras",
        "math",
        "Any",
        "Callable",
        "Sequence",
        "self",
        "y_true",
        "y_pred",
        "from_logits",
        "kept",
        "some",
        "labelled",
        "values",
        "value",
        "sample_axes",
        "spatial_axes",
        "abs",
        "max",
        "min",
        "pow",
        "round",
        "sum",
    ]
)
"""Names that the template or Python has given away."""


def _renamed(words: dict[Expr, str], renamed: dict[Expr, Expr]) -> dict[Expr, str]:
    return {replace_nodes(expr, renamed): name for expr, name in words.items()}


def flat_leaves(result: Expr, extent: Extent, loss: Loss) -> tuple[Apply, ...]:
    """The collapsing operations that need not keep their axis as length 1.

    They are all of those that the result is made of elementwise, provided that they
    collapse the same axis, and that nothing broadcasts them, or what is made of them,
    back.
    """
    wanted = {FULL - {"last"}: Axis.LAST, frozenset({"batch"}): Axis.SAMPLE}.get(extent)
    if wanted is None:
        return ()
    found = extents(loss, result)
    above: dict[Expr, None] = {}
    leaves: dict[Apply, None] = {}
    stack = [result]
    while stack:
        node = stack.pop()
        if node in above or node in leaves or not found[node]:
            continue
        if not isinstance(node, Apply):
            return ()
        if node.op in COLLAPSING and node.axis is wanted:
            leaves.setdefault(node)
        elif node.axis is not None or node.op == "take":
            return ()
        else:
            above.setdefault(node)
            stack.extend(node.args)
    for node in walk(result):
        if node in above:
            continue
        if any(child in leaves or child in above for child in node.children):
            return ()
    return tuple(leaves)
