"""What the parts of the generated module have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lossgen.backend.layout import Layout, layout
from lossgen.backend.shape import Shape, result_shape
from lossgen.ir.expr import Role
from lossgen.ir.local_names import channel_names
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.program import LossProgram, Placeholders


@dataclass(frozen=True)
class Emission:
    """A lowered loss with what is decided about its module before any line is."""

    program: LossProgram
    placeholders: Placeholders

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.program.checked.loss

    def placeholder(self, role: Role) -> str:
        """What stands in for a dropped row of y_true or y_pred, as source text."""
        if self.placeholders.varied:
            y_true = role is Role.Y_TRUE
            return "_varied(y_true, 0.0)" if y_true else "_varied(y_pred, 1.0)"
        items = self.loss.of_role(role)
        values = [self.placeholders.of(item) for item in items]
        if len(set(values)) == 1:
            return repr(values[0])
        sizes = [item.size if isinstance(item.size, int) else 1 for item in items]
        pairs = zip(values, sizes, strict=True)
        return repr([value for value, size in pairs for _ in range(size)])

    @cached_property
    def shape(self) -> Shape:
        """The shape of what the function returns."""
        return result_shape(self.loss, self.program.body.extent)

    @cached_property
    def layout(self) -> Layout:
        """The lines that take y_true and y_pred apart."""
        return layout(self.loss)

    @cached_property
    def names(self) -> dict[str, str]:
        """The local name of each tensor or channel, by its full name."""
        return channel_names(self.loss)

    @cached_property
    def tensors(self) -> tuple[Variable, ...]:
        """Predictions and targets, or their channels."""
        return (*self.loss.of_role(Role.Y_PRED), *self.loss.of_role(Role.Y_TRUE))

    @property
    def element(self) -> str:
        """A tensor, or channel, of the shape that elements have."""
        wide = [item for item in self.tensors if item.size != 1]
        return self.names[(wide or self.tensors)[0].name]

    @property
    def element_source(self) -> str:
        """The same before channels are split off."""
        whole = [v.name for v in self.tensors if v.size != 1 and not v.channel]
        if whole:
            return whole[0]
        if not self.layout.split_pred:
            return self.tensors[0].name
        source = self.layout.split_pred[0].partition(" = ")[2]
        return f"{source}[0]" if len(self.loss.of_role(Role.Y_PRED)) > 1 else source

    @property
    def classes(self) -> str:
        """The prediction, or its channel, that has an entry for each class."""
        target, *_ = self.loss.of_role(Role.Y_TRUE)
        tensors = self.loss.of_role(Role.Y_PRED)
        same = [item for item in tensors if item.size == target.size]
        return self.names[(same or tensors)[0].name]

    @property
    def masks_entries(self) -> bool:
        """Whether a mask speaks of the one-hot rows that integer labels stand for."""
        return self.loss.spec.y_true.sparse and self.program.kept is not None

    @property
    def masks_labels(self) -> bool:
        """Whether labels say themselves that they do not count."""
        return self.program.kept is not None or self.loss.spec.y_true.ignore is not None
