"""The Keras module of a loss."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from lossgen.backend.formatting import format_source
from lossgen.backend.layout import Layout, channel_names, layout
from lossgen.backend.printer import Printer, literal
from lossgen.backend.prose import (
    function_docstring,
    module_docstring,
    parameter_arguments,
    safe,
)
from lossgen.backend.shape import Shape, result_shape
from lossgen.backend.templating import render
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import Apply, Axis, Expr, Role, symbols, walk
from lossgen.ir.extent import FULL, extents
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.options import Options
from lossgen.ir.program import Block, LossProgram, Placeholders
from lossgen.ir.spec import Default

TEMPLATE = "loss_module.py.jinja"

_HELPERS = (
    *("_inputs", "_prediction", "_matched", "_kept", "_spread", "_labelled"),
    *("_one_hot", "_picked", "_filled", "_per_class", "_check", "_plain"),
    *("_above", "_below", "_log_cosh", "_logaddexp", "_normal_cdf"),
    *("_normal_logcdf", "_trigamma", "_norm", "_log_softmax", "_l2_normalize"),
    *("_softmax_over", "_log_softmax_over", "_cumsum_over"),
)
"""The helper functions that the template can supply, in the order it places them."""

_NEED_MATH = {"math", "_normal_cdf", "_normal_logcdf"}
"""Helpers, and what else the printer asks for, that use Python's ``math``."""

HELPER_TEMPLATES = tuple(f"helpers/{name}.py.jinja" for name in _HELPERS)
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
    return format_source(
        render(
            TEMPLATE, _Module(program, placeholders).context(options), options.templates
        )
    )


def default_source(default: Default) -> str:
    """A parameter's default as Python source."""
    if isinstance(default, tuple):
        inner = ", ".join(default_source(item) for item in default)
        return f"({inner},)" if len(default) == 1 else f"({inner})"
    return repr(float(default))


class _Module:
    """Collects what the template places."""

    def __init__(self, program: LossProgram, placeholders: Placeholders) -> None:
        self.program = program
        self.loss: Loss = program.checked.loss
        self.placeholders = placeholders
        self.shape: Shape = result_shape(self.loss, program.body.extent)
        self.layout: Layout = layout(self.loss)
        labels = "labels" if self._needs_one_hot() else "y_true"
        self.printer = Printer({**channel_names(self.loss), "labels": labels})
        self.helpers: set[str] = {"_inputs", "_kept", "_spread"}
        if self.loss.spec.y_true.unused:
            self.helpers |= {"_prediction"}
            self.helpers -= {"_inputs"}

    def context(self, options: Options) -> dict[str, object]:
        """Everything that the template places."""
        loss = self.loss
        body = list(self._body())
        labelled = self._labelled_source()
        self.helpers |= self.printer.helpers - {"math"}
        if loss.parameters:
            self.helpers |= {"_check", "_plain"}
        if "_inputs" in self.helpers:
            self.helpers |= {"_prediction", "_matched"}
        if self.program.kept is not None or loss.spec.y_true.ignore is not None:
            self.helpers.add("_labelled")
        return {
            "name": loss.name,
            "class_name": loss.class_name,
            "package": options.package,
            "module_docstring": module_docstring(loss),
            "function_docstring": function_docstring(self.program, self.shape),
            "parameter_docs": parameter_arguments(loss),
            "uses_math": bool(_NEED_MATH & self.printer.helpers),
            "uses_callable": bool(loss.parameters),
            "uses_sequence": any(p.shape != "scalar" for p in loss.parameters),
            "function_parameters": self._function_parameters(),
            "constructor_parameters": self._constructor_parameters(),
            "parameters": [p.name for p in loss.parameters],
            "checks": [_check(p) for p in loss.parameters],
            "logits": bool(loss.spec.y_pred.logits),
            "unused_target": loss.spec.y_true.unused,
            "sparse": loss.spec.y_true.sparse,
            "prepare": self._prepare(),
            "like": self.layout.like,
            "stops_gradient": not loss.spec.y_true.gradient,
            "body": body,
            "kept_shape": self._kept_shape(),
            "kept_lines": self._kept_lines(),
            "labelled": labelled,
            "kept_inputs": self._kept_inputs(),
            "labelled_parameters": self._labelled_parameters(),
            "masks_labels": "_labelled" in self.helpers,
            "target_placeholder": repr(self.placeholders.y_true),
            "prediction_placeholder": repr(self.placeholders.y_pred),
            "batched": self.shape.batched,
            "spatial": any(
                isinstance(node, Apply) and node.axis is Axis.SPATIAL
                for node in walk(loss.expression)
            ),
            "helpers": [name for name in _HELPERS if name in self.helpers],
            "ignore": loss.spec.y_true.ignore,
        }

    # Signatures -------------------------------------------------------------------

    def _function_parameters(self) -> list[str]:
        return [_parameter(p) for p in self.loss.parameters] + self._from_logits()

    def _constructor_parameters(self) -> list[str]:
        required = [p for p in self.loss.parameters if p.default is None]
        optional = [p for p in self.loss.parameters if p.default is not None]
        return [_parameter(p) for p in (*required, *optional)] + self._from_logits()

    def _from_logits(self) -> list[str]:
        return ["from_logits: bool = False"] if self.loss.spec.y_pred.logits else []

    # The function's body ----------------------------------------------------------

    def _prepare(self) -> str:
        if self.loss.spec.y_true.unused:
            return "y_pred = _prediction(y_pred)"
        return "y_true, y_pred = _inputs(y_true, y_pred)"

    def _body(self) -> Iterator[str]:
        if self.loss.spec.y_pred.logits:
            yield 'if getattr(y_pred, "_keras_logits", None) is not None:'
            yield "    y_pred, from_logits = y_pred._keras_logits, True"
        taken = "y_pred" if self.loss.spec.y_true.unused else "y_true, y_pred"
        if self.shape.batched:
            yield 'kept = getattr(y_pred, "_kept", None)'
        yield f"{taken} = {self._prepare().partition(' = ')[2]}"
        yield from self._parameters()
        masking = list(self._masking())
        computed = self._computation()
        for axis, line in self._axes():
            if axis in self.printer.axes:
                yield line
        yield from masking
        yield from computed

    def _parameters(self) -> Iterator[str]:
        for p in self.loss.parameters:
            yield f"{p.name} = keras.ops.convert_to_tensor({p.name}, y_pred.dtype)"
            if p.shape == "last":
                self.helpers.add("_per_class")
                yield f'{p.name} = _per_class("{p.name}", {p.name}, {self._element()})'
            elif p.shape == "elements":
                shape = f"tf.shape({self._element()})"
                yield f"{p.name} = tf.broadcast_to({p.name}, {shape})"

    def _element(self) -> str:
        """A tensor, or channel, of the shape that elements have."""
        items = [*self.loss.of_role(Role.Y_PRED), *self.loss.of_role(Role.Y_TRUE)]
        wide = [item for item in items if item.size != 1]
        return channel_names(self.loss)[(wide or items)[0].name]

    def _axes(self) -> Iterator[tuple[Axis, str]]:
        yield Axis.SAMPLE, "sample_axes = list(range(1, y_pred.shape.rank))"
        yield Axis.SPATIAL, "spatial_axes = list(range(1, y_pred.shape.rank - 1))"

    def _split(self) -> Iterator[str]:
        yield from self.layout.sizes
        yield from self.layout.split_true
        yield from self.layout.split_pred
        for size in self.loss.of_role(Role.SIZE):
            owner = next(
                item
                for item in self.loss.of_role(Role.Y_PRED, Role.Y_TRUE)
                if item.size == size.name
            )
            tensor = channel_names(self.loss)[owner.name]
            if self._uses(size.name):
                yield f"{size.name} = tf.cast(tf.shape({tensor})[-1], y_pred.dtype)"

    def _uses(self, name: str) -> bool:
        blocks = [self.program.body, self.program.logits]
        return any(_mentions(block, name) for block in blocks if block is not None)

    def _masking(self) -> Iterator[str]:
        """Where elements take part, and harmless values for those that do not."""
        ignoring = self.loss.spec.y_true.ignore is not None
        yield from self._split()
        if self.program.kept is not None or ignoring:
            labelled = f"_labelled(y_true{self._labelled_arguments('')})"
            if self.shape.batched:
                yield f"labelled = {labelled}"
                yield "kept = labelled if kept is None else labelled & kept"
            else:
                yield f"kept = {labelled}"
            yield from self._sanitized()
        elif self.shape.batched:
            shape = f"tf.shape({self._element()})"
            yield f"kept = tf.broadcast_to(True if kept is None else kept, {shape})"
        yield from self._some()
        if self._needs_one_hot():
            self.helpers |= {"_one_hot", "_picked"}
            if self._uses("labels"):
                yield "labels = y_true"
            yield "y_true = _one_hot(y_true, y_pred)"

    def _needs_one_hot(self) -> bool:
        """Whether integer labels are used otherwise than to pick an entry."""
        return self.loss.spec.y_true.sparse and self._uses("y_true")

    def _sanitized(self) -> Iterator[str]:
        names = channel_names(self.loss)
        for item in self.loss.of_role(Role.Y_TRUE, Role.Y_PRED):
            name = names[item.name]
            is_target = item.role is Role.Y_TRUE
            value = self.placeholders.y_true if is_target else self.placeholders.y_pred
            yield f"{name} = tf.where(kept, {name}, {value!r})"
        sizes = {item.size for item in self.loss.of_role(Role.Y_TRUE, Role.Y_PRED)}
        uneven = len(sizes) > 1 or self.loss.spec.y_true.sparse
        if self.program.kept is not None:
            extent = extents(self.loss, self.program.kept)[self.program.kept]
            uneven = uneven or extent != FULL
        if uneven and self._masks_reductions():
            yield f"kept = tf.broadcast_to(kept, tf.shape({self._element()}))"

    def _some(self) -> Iterator[str]:
        """Rows in which nothing is kept are computed on placeholders, then dropped."""
        filled = self.program.body.filled
        if self.shape.repeated or filled is Axis.BATCH:
            yield "some = tf.reduce_any(kept)"
        elif self._drops_rows():
            axes = "-1" if self.shape.kind == "rows" else "sample_axes"
            if axes == "sample_axes":
                self.printer.axes.add(Axis.SAMPLE)
            kept = "labelled" if self.shape.batched else "kept"
            yield f"some = tf.reduce_any({kept}, axis={axes}, keepdims=True)"
        if filled is None:
            return
        yield "# Where nothing is kept, all is computed on placeholders, then dropped."
        yield "kept |= ~some"

    def _masks_reductions(self) -> bool:
        labels_alone = self.program.kept is None and not self.shape.batched
        return not (labels_alone and self.shape.kind == "rows")

    def _drops_rows(self) -> bool:
        """Whether it takes a reduction to see which values nothing is kept of."""
        if not self.shape.masked or self.shape.kind == "elements":
            return False
        return self.program.kept is not None or self.shape.kind == "batch"

    def _computation(self) -> list[str]:
        """The blocks; where more than a return follows, they meet behind an else."""
        body, logits = self.program.body, self.program.logits
        if logits is None:
            lines, source = self._block(body)
            return [*lines, *self._finish(source, body)]
        indent = "    "
        logit_lines, logit_source = self._block(logits)
        lines, source = self._block(body)
        end = self._finish(source, body)
        alike = (logits.extent, logits.flat) == (body.extent, body.flat)
        if not alike or (len(end) <= 2 and not self.shape.masked):
            early = [*logit_lines, *self._finish(logit_source, logits)]
            return ["if from_logits:", *(indent + x for x in early), *lines, *end]
        either = [*logit_lines, f"values = {logit_source}"]
        other = [*lines, f"values = {source}"]
        branches = ["if from_logits:", *(indent + line for line in either), "else:"]
        return [*branches, *(indent + line for line in other), *end[1:]]

    def _block(self, block: Block) -> tuple[list[str], str]:
        lines: list[str] = []
        for assignment in block.assignments:
            if assignment.comment:
                lines.append(f"# {safe(assignment.comment)}")
            value = self.printer.source(assignment.value)
            lines.append(f"{assignment.target.name} = {value}")
        return lines, self.printer.source(block.result)

    def _finish(self, source: str, block: Block) -> list[str]:
        """From the result of a block to what the function returns."""
        if self.shape.repeated:
            return [
                f"values = {source}",
                "value = tf.where(some, tf.reduce_mean(values), 0.0)",
                "return tf.repeat(value, tf.shape(y_pred)[0])",
            ]
        if self.shape.kind == "elements":
            kept = "labelled" if self.shape.batched else "kept"
            return [
                f"values = {source}",
                f"values = tf.where({kept}, values, 0.0)",
                f"values._keras_mask = {kept}",
                "return values",
            ]
        if not self.shape.masked:
            return self._rows(source, block)
        squeeze = {"rows": "tf.squeeze({}, axis=-1)", "batch": "tf.reshape({}, [-1])"}
        flat = squeeze[self.shape.kind].format
        kept = "labelled" if self.shape.batched else "kept"
        kept = flat("some" if self._drops_rows() else kept)
        *lines, last = self._rows(source, block)
        if not lines:
            lines = [f"values = {source}"]
            last = last.replace(source, "values")
        return [
            *lines,
            f"kept = {kept}",
            f"values = tf.where(kept, {last.removeprefix('return ')}, 0.0)",
            "values._keras_mask = kept",
            "return values",
        ]

    def _rows(self, source: str, block: Block) -> list[str]:
        """One value a row, or a sample; the last axis is averaged over if left."""
        if "last" in block.extent:
            axes = "-1" if self.shape.kind == "rows" else "sample_axes"
            if axes != "-1":
                self.printer.axes.add(Axis.SAMPLE)
            mean = f"return tf.reduce_mean(values, axis={axes})"
            return [f"values = {source}", mean]
        if block.flat:
            return [f"return {source}"]
        if self.shape.kind == "rows":
            return [f"return tf.squeeze({source}, axis=-1)"]
        return [f"return tf.reshape({source}, [-1])"]

    # The class --------------------------------------------------------------------

    def _kept_shape(self) -> str:
        return {
            "elements": f"tf.shape({self._element_source()})",
            "rows": "tf.shape(y_pred)[:-1]",
            "batch": "tf.shape(y_pred)[:1]",
        }[self.shape.kind]

    def _kept_lines(self) -> list[str]:
        return {
            "elements": [],
            "rows": ["kept = kept[..., tf.newaxis]"],
            "batch": ["kept = tf.reshape(kept, [-1] + [1] * (y_pred.shape.rank - 1))"],
        }[self.shape.kind]

    def _kept_inputs(self) -> tuple[str, str]:
        """Conditions under which y_true and y_pred stay as they are."""
        true, pred = self._kept_by("y_true"), self._kept_by("y_pred")
        if not (self.shape.masked or self.program.kept is not None):
            return true, pred
        labelled = f"_labelled(y_true{self._labelled_arguments('self.')})"
        if self.loss.spec.y_true.channels:
            labelled = f"tf.reduce_any({labelled}, axis=-1, keepdims=True)"
        return f"{true} | ~{labelled}", pred

    def _kept_by(self, tensor: str) -> str:
        """Where a tensor counts; a row of several channels counts as a whole."""
        if self.shape.kind != "elements" or tensor == self._element_source():
            return "kept"
        names = {item.name: item.size for item in self.loss.variables}
        sizes = {item.size for item in self.loss.of_role(Role.Y_TRUE, Role.Y_PRED)}
        if tensor in names and len(sizes) == 1:
            return "kept"
        return "tf.reduce_any(kept, axis=-1, keepdims=True)"

    def _element_source(self) -> str:
        """A tensor of the shape that elements have, before channels are split."""
        items = [*self.loss.of_role(Role.Y_PRED), *self.loss.of_role(Role.Y_TRUE)]
        whole = [item.name for item in items if item.size != 1 and not item.channel]
        if whole:
            return whole[0]
        source = self.layout.split_pred[0].partition(" = ")[2]
        return f"{source}[0]" if len(self.loss.of_role(Role.Y_PRED)) > 1 else source

    def _labelled_source(self) -> list[str]:
        if self.program.kept is None:
            return [f"return tf.not_equal(y_true, {self.loss.spec.y_true.ignore})"]
        lines = [
            f"{p.name} = keras.ops.convert_to_tensor({p.name}, y_true.dtype)"
            for p in self._mask_parameters()
        ]
        lines += self._split_for_mask(self.program.kept)
        printer = Printer(channel_names(self.loss))
        source = printer.source(self.program.kept).replace("y_pred.", "y_true.")
        self.printer.helpers |= printer.helpers
        for axis, line in self._axes():
            if axis in printer.axes:
                lines.append(line.replace("y_pred.", "y_true."))
        return [*lines, f"return {source}"]

    def _split_for_mask(self, kept: Expr) -> Iterator[str]:
        """The channels of y_true; those that the mask does not use get a `_`."""
        used = {
            name
            for full, name in channel_names(self.loss).items()
            if full in {symbol.name for symbol in symbols(kept)}
        }
        for line in self.layout.split_true:
            targets, _, source = line.partition(" = ")
            names = [t if t in used else f"_{t}" for t in targets.split(", ")]
            yield f"{', '.join(names)} = {source}"

    def _mask_parameters(self) -> list[Variable]:
        kept = self.program.kept
        if kept is None:
            return []
        from_mask = {s.name for s in symbols(kept)}
        return [p for p in self.loss.parameters if p.name in from_mask]

    def _labelled_arguments(self, owner: str) -> str:
        return "".join(f", {owner}{p.name}" for p in self._mask_parameters())

    def _labelled_parameters(self) -> str:
        return "".join(f", {p.name}: Any" for p in self._mask_parameters())


def _parameter(variable: Variable) -> str:
    kind = (
        "float | tf.Tensor"
        if variable.shape == "scalar"
        else ("Sequence[Any] | tf.Tensor")
    )
    default = (
        "" if variable.default is None else f" = {default_source(variable.default)}"
    )
    return f"{variable.name}: {kind}{default}"


def _check(variable: Variable) -> str:
    rank = {"scalar": "", "last": ", rank=1", "elements": ", rank=None"}[variable.shape]
    words = safe(" ".join(variable.domain.text.split())).replace('"', "'")
    holds = _holds(variable.domain)
    return f'_check("{variable.name}", {variable.name}, "{words}", {holds}{rank})'


def _holds(domain: Domain) -> str:
    if domain.labels:
        tests = [f"(v == {literal(value)})" for value in domain.labels]
        return f"lambda v: {' | '.join(tests)}"
    tests = [_side(domain.lower, ">"), _side(domain.upper, "<")]
    if domain.kind is DomainKind.COUNT:
        tests.append("v % 1 == 0")
    if domain.kind is DomainKind.SIMPLEX:
        tests.append("abs(v.sum(axis=-1) - 1) < 1e-6")
    present = [test for test in tests if test]
    if not present:
        return "lambda v: v == v"
    if len(present) == 1:
        return f"lambda v: {present[0]}"
    return "lambda v: " + " & ".join(f"({test})" for test in present)


def _side(bound: Bound, sign: str) -> str:
    if bound.value is None:
        return ""
    number = bound.rational
    text = literal(number if number is not None else Fraction(repr(bound.approx)))
    return f"v {sign}{'' if bound.open else '='} {text}"


def _mentions(block: Block, name: str) -> bool:
    exprs = [block.result, *(item.value for item in block.assignments)]
    return any(s.name == name for expr in exprs for s in symbols(expr))
