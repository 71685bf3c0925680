"""The helper of the generated module that says which labels count."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lossgen.backend.emission import Emission
from lossgen.backend.printer import AXIS_LINES, Printer
from lossgen.ir.expr import Role, depends_on, symbols
from lossgen.ir.loss import Variable


def labelled_call(emission: Emission, owner: str = "") -> str:
    """The call; ``owner`` is what parameters are attributes of (``self.``)."""
    extra = "".join(f", {owner}{p.name}" for p in _mask_parameters(emission))
    like = ", y_pred" if _speaks_of_entries(emission) else ""
    return f"_labelled(y_true{like}{extra})"


def labelled_parameters(emission: Emission) -> str:
    """The parameters of the helper behind y_true."""
    like = ", y_pred: tf.Tensor" if _speaks_of_entries(emission) else ""
    return like + "".join(f", {p.name}: Any" for p in _mask_parameters(emission))


def labelled_body(emission: Emission) -> tuple[list[str], set[str]]:
    """The lines of the helper, and the helpers that it needs in turn."""
    kept = emission.program.kept
    ignore = emission.loss.spec.y_true.ignore
    if kept is None:
        return [f"return tf.not_equal(y_true, {ignore})"], set()
    printer = Printer(emission.names, like="y_true")
    source = printer.source(kept)
    lines = [
        f"{p.name} = keras.ops.convert_to_tensor({p.name}, y_true.dtype)"
        for p in _mask_parameters(emission)
    ]
    if ignore is not None:
        lines.append(f"labelled = tf.not_equal(y_true, {ignore})")
    if _speaks_of_entries(emission):
        like = emission.classes
        lines += emission.layout.sizes
        lines += _split(emission.layout.split_pred, {like})
        lines += [
            "y_true = tf.cast(y_true[..., 0], tf.int32)",
            f"y_true = tf.one_hot(y_true, tf.shape({like})[-1], dtype=y_pred.dtype)",
        ]
    else:
        full = {symbol.name for symbol in symbols(kept)}
        used = {name for key, name in emission.names.items() if key in full}
        lines += [
            *emission.layout.sizes_true,
            *_split(emission.layout.split_true, used),
        ]
    for axis, line in AXIS_LINES.items():
        if axis in printer.axes:
            lines.append(line.format("y_true"))
    if ignore is not None:
        lines.append(f"kept = {source}")
        source = "kept & labelled"
    return [*lines, f"return {source}"], printer.helpers


def _speaks_of_entries(emission: Emission) -> bool:
    """Whether the mask asks for the one-hot rows of integer labels."""
    kept = emission.program.kept
    return emission.masks_entries and kept is not None and depends_on(kept, Role.Y_TRUE)


def _mask_parameters(emission: Emission) -> list[Variable]:
    kept = emission.program.kept
    if kept is None:
        return []
    used = {symbol.name for symbol in symbols(kept)}
    return [p for p in emission.loss.parameters if p.name in used]


def _split(lines: Sequence[str], used: Collection[str]) -> Iterator[str]:
    """Lines that split channels off; those that are not used get a `_`."""
    for line in lines:
        targets, _, source = line.partition(" = ")
        names = [t if t in used else f"_{t}" for t in targets.split(", ")]
        yield f"{', '.join(names)} = {source}"
