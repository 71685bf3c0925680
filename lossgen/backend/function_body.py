"""The body of the generated function, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from lossgen.backend.emission import Emission
from lossgen.backend.label_mask import labelled_call
from lossgen.backend.printer import AXIS_LINES, Printer
from lossgen.backend.prose import safe
from lossgen.ir.expr import Axis, Role
from lossgen.ir.extent import FULL, SCALAR, extents
from lossgen.ir.loss import Variable
from lossgen.ir.program import Block

_INDENT = "    "


class FunctionBody:
    """Writes the body; afterwards ``helpers`` are those that it calls."""

    def __init__(self, emission: Emission) -> None:
        """Prepare to write."""
        self._emission = emission
        self._loss = emission.loss
        self._shape = emission.shape
        labels = "labels" if emission.program.needs_one_hot else "y_true"
        self._printer = Printer({**emission.names, "labels": labels})
        self._extra: set[str] = set()

    @property
    def helpers(self) -> set[str]:
        """The helpers, ``math`` included, that the lines use."""
        return self._printer.helpers | self._extra

    def lines(self) -> list[str]:
        """The lines, without indentation."""
        # Which axes need a line is known when all else is written.
        masking, computation = list(self._masking()), self._computation()
        axes = [
            line.format("y_pred")
            for axis, line in AXIS_LINES.items()
            if axis in self._printer.axes
        ]
        prepared = [*self._inputs(), *self._split(), *self._parameters()]
        return [*prepared, *axes, *masking, *computation]

    def _inputs(self) -> Iterator[str]:
        if self._loss.spec.y_pred.logits:
            yield 'if getattr(y_pred, "_keras_logits", None) is not None:'
            yield "    y_pred, from_logits = y_pred._keras_logits, True"
        if self._shape.batched:
            yield 'kept = getattr(y_pred, "_kept", None)'
        yield prepare(self._emission)

    def _parameters(self) -> Iterator[str]:
        for p in self._loss.parameters:
            like = self._like(p)
            if p.shape == "last":
                self._extra |= {"_per_class", "_listed"}
                yield f'{p.name} = _per_class("{p.name}", {p.name}, {like})'
                continue
            yield f"{p.name} = keras.ops.convert_to_tensor({p.name}, y_pred.dtype)"
            if p.shape == "elements":
                yield f"{p.name} = tf.broadcast_to({p.name}, tf.shape({like}))"

    def _like(self, parameter: Variable) -> str:
        """The tensor that a parameter has the size of."""
        names = self._emission.names
        tensors = self._loss.of_role(Role.Y_PRED, Role.Y_TRUE)
        same = (names[item.name] for item in tensors if item.size == parameter.size)
        return self._emission.element if parameter.size is None else next(same)

    def _split(self) -> Iterator[str]:
        layout = self._emission.layout
        yield from (*layout.sizes, *layout.split_true, *layout.split_pred)
        for size in self._loss.of_role(Role.SIZE):
            tensors = self._emission.tensors
            owner = next(item for item in tensors if item.size == size.name)
            tensor = self._emission.names[owner.name]
            if self._emission.program.uses(size.name):
                yield f"{size.name} = tf.cast(tf.shape({tensor})[-1], y_pred.dtype)"

    # Masks ------------------------------------------------------------------------

    def _masking(self) -> Iterator[str]:
        """Where elements take part, and harmless values for those that do not."""
        if self._emission.masks_labels:
            labelled = labelled_call(self._emission)
            if self._shape.batched:
                yield f"labelled = {labelled}"
                yield "kept = labelled if kept is None else labelled & kept"
            else:
                yield f"kept = {labelled}"
            yield from self._sanitized()
        elif self._shape.batched:
            shape = f"tf.shape({self._emission.element})"
            yield f"kept = tf.broadcast_to(True if kept is None else kept, {shape})"
        yield from self._some()
        if self._emission.program.needs_one_hot:
            self._extra.add("_one_hot")
            if self._emission.program.uses("labels"):
                yield "labels = y_true"
            like = self._emission.classes
            yield f"y_true, {like} = _one_hot(y_true, {like})"

    def _sanitized(self) -> Iterator[str]:
        placeholders = self._emission.placeholders
        items = self._loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        condition = self._emission.program.kept
        extent = SCALAR
        if condition is not None:
            extent = extents(self._loss, condition)[condition]
        wide = "last" in extent and {item.size for item in items} != {1}
        for item in items:
            name = self._emission.names[item.name]
            value = placeholders.of(item)
            kept = "kept"
            labels = item.role is Role.Y_TRUE and self._loss.spec.y_true.sparse
            if wide and (labels or item.size == 1):
                kept = "tf.reduce_any(kept, axis=-1, keepdims=True)"
            yield f"{name} = tf.where({kept}, {name}, {value!r})"
        uneven = len({item.size for item in items}) > 1 or self._loss.spec.y_true.sparse
        uneven = uneven or (condition is not None and extent != FULL)
        used = self._shape.kind == "elements" or self._emission.program.uses("kept")
        if uneven and used:
            yield f"kept = tf.broadcast_to(kept, tf.shape({self._emission.element}))"

    def _some(self) -> Iterator[str]:
        """Rows in which nothing is kept are computed on placeholders, then dropped."""
        filled = self._emission.program.body.filled
        some = "some"
        if filled is Axis.BATCH:
            some = "tf.reduce_any(kept)"  # Keras drops the values, with weights of 0
        elif self._shape.repeated:
            yield "some = tf.reduce_any(kept)"
        elif self._drops_rows():
            axes = self._inner_axes()
            yield f"some = tf.reduce_any({self._kept()}, axis={axes}, keepdims=True)"
        if filled is None:
            return
        yield "# Where nothing is kept, all is computed on placeholders, then dropped."
        yield f"kept |= ~{some}"

    def _kept(self) -> str:
        """Where labels count; ``kept`` may leave out whole samples besides."""
        return "labelled" if self._shape.batched else "kept"

    def _inner_axes(self) -> str:
        """The axes within a row, or within a sample."""
        if self._shape.kind == "rows":
            return "-1"
        self._printer.axes.add(Axis.SAMPLE)
        return "sample_axes"

    def _drops_rows(self) -> bool:
        """Whether it takes a reduction to see which values nothing is kept of."""
        if not self._shape.masked or self._shape.kind == "elements":
            return False
        if self._emission.program.kept is not None or self._shape.kind == "batch":
            return True
        # For the sake of reductions a label was spread over its row.
        return self._emission.program.uses("kept") and not self._shape.batched

    # Values -----------------------------------------------------------------------

    def _computation(self) -> list[str]:
        """The blocks; where more than a return follows, they meet behind an else."""
        body, logits = self._emission.program.body, self._emission.program.logits
        if logits is None:
            lines, source = self._block(body)
            return [*lines, *self._finish(source, body)]
        logit_lines, logit_source = self._block(logits)
        lines, source = self._block(body)
        end = self._finish(source, body)
        alike = (logits.extent, logits.flat) == (body.extent, body.flat)
        if not alike or (len(end) <= 2 and not self._shape.masked):
            early = [*logit_lines, *self._finish(logit_source, logits)]
            return ["if from_logits:", *_indented(early), *lines, *end]
        either = [*logit_lines, f"values = {logit_source}"]
        other = [*lines, f"values = {source}"]
        branches = ["if from_logits:", *_indented(either), "else:", *_indented(other)]
        return [*branches, *end[1:]]

    def _block(self, block: Block) -> tuple[list[str], str]:
        lines: list[str] = []
        for assignment in block.assignments:
            if assignment.comment:
                lines.append(f"# {safe(assignment.comment)}")
            value = self._printer.source(assignment.value)
            lines.append(f"{self._printer.source(assignment.target)} = {value}")
        return lines, self._printer.source(block.result)

    def _finish(self, source: str, block: Block) -> list[str]:
        """From the result of a block to what the function returns."""
        if self._shape.repeated:
            value = "tf.reduce_mean(values)"
            if self._emission.program.body.filled is not Axis.BATCH:
                value = f"tf.where(some, {value}, 0.0)"
            return [
                f"values = {source}",
                f"value = {value}",
                "return tf.repeat(value, tf.shape(y_pred)[0])",
            ]
        if self._shape.kind == "elements":
            return [
                f"values = {source}",
                f"values = tf.where({self._kept()}, values, 0.0)",
                f"values._keras_mask = {self._kept()}",
                "return values",
            ]
        if self._shape.masked:
            return self._masked_rows(source, block)
        lines, result = self._rows(source, block)
        return [*lines, f"return {result}"]

    def _masked_rows(self, source: str, block: Block) -> list[str]:
        kept = "some" if self._drops_rows() else self._kept()
        flat = f"tf.reshape({kept}, [-1])"
        if self._shape.kind == "rows":
            flat = f"tf.squeeze({kept}, axis=-1)"
        return [
            f"values = {source}",
            f"kept = {flat}",
            f"values = tf.where(kept, {self._rows('values', block)[1]}, 0.0)",
            "values._keras_mask = kept",
            "return values",
        ]

    def _rows(self, source: str, block: Block) -> tuple[list[str], str]:
        """One value a row, or a sample; the last axis is averaged over if left."""
        if "last" in block.extent:
            mean = f"tf.reduce_mean(values, axis={self._inner_axes()})"
            return [f"values = {source}"], mean
        if block.flat:
            return [], source
        if self._shape.kind == "rows":
            return [], f"tf.squeeze({source}, axis=-1)"
        return [], f"tf.reshape({source}, [-1])"


def prepare(emission: Emission) -> str:
    """The line that makes tensors of matching shapes of what was given."""
    if emission.loss.spec.y_true.unused:
        return "y_pred = _prediction(y_pred)"
    return "y_true, y_pred = _inputs(y_true, y_pred)"


def _indented(lines: list[str]) -> list[str]:
    return [_INDENT + line for line in lines]
