"""A loss, resolved and then checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lossgen.diagnostics.diagnostic import Diagnostic
from lossgen.ir.domain import Domain
from lossgen.ir.expr import Apply, Expr, Role, Symbol
from lossgen.ir.spec import Default, LossSpec

Size = int | str | None
"""Length of a last axis: a number, a named size, or None for that of the tensor."""


@dataclass(frozen=True)
class Variable:
    """An input by the name that expressions use.

    ``y_true``, ``y_pred``, a channel (``y_pred.mean``), a parameter or a named size.
    ``shape`` is ``elements`` for tensors and their channels; for parameters ``scalar``,
    ``last`` or ``elements``.
    """

    symbol: Symbol
    domain: Domain
    shape: str
    size: Size = None
    description: str | None = None
    default: Default | None = None

    @property
    def name(self) -> str:
        """The full name, ``y_pred.mean`` for a channel."""
        return self.symbol.name

    @property
    def role(self) -> Role:
        """What the name stands for."""
        return self.symbol.role

    @property
    def channel(self) -> str | None:
        """The channel's own name, for a channel."""
        return self.name.partition(".")[2] or None


@dataclass(frozen=True)
class Loss:
    """A spec whose names are resolved.

    ``expression``, the definitions, ``mask`` and ``assume`` are the author's trees,
    with ``where`` names expanded; ``definitions`` remembers, in dependency order, which
    tree each name stood for.
    """

    spec: LossSpec
    expression: Expr
    definitions: tuple[tuple[str, Expr], ...]
    variables: tuple[Variable, ...]
    mask: Expr | None
    assume: tuple[Expr, ...]

    @property
    def name(self) -> str:
        """The snake_case name."""
        return self.spec.name.value

    @property
    def class_name(self) -> str:
        """The CamelCase name."""
        return "".join(
            part[:1].upper() + part[1:] for part in self.name.split("_") if part
        )

    def of_role(self, *roles: Role) -> tuple[Variable, ...]:
        """The variables with one of the roles, in order of declaration."""
        return tuple(item for item in self.variables if item.role in roles)

    @property
    def parameters(self) -> tuple[Variable, ...]:
        """The parameters, in order of declaration."""
        return self.of_role(Role.PARAMETER)

    @property
    def varies_by_element(self) -> bool:
        """Whether a parameter has one value for each element of a batch."""
        return any(item.shape == "elements" for item in self.parameters)

    def variable(self, name: str) -> Variable:
        """The variable with a full name."""
        return next(item for item in self.variables if item.name == name)


class Smoothness(Enum):
    """Verdicts, from the strongest to the weakest."""

    SMOOTH = "smooth"
    C1 = "C1"
    CONTINUOUS = "continuous"
    DISCONTINUOUS = "discontinuous"
    REFUSED = "refused"

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return list(Smoothness).index(self)


@dataclass(frozen=True)
class Kink:
    """Where the loss is not differentiable.

    ``at`` names the locus in the author's words (``y_pred = y_true``). ``left`` and
    ``right`` are the one-sided derivatives there with respect to y_pred, as short
    texts; None where a kink may lie, but was not found. ``order`` is the first
    derivative that differs (1: a corner, 0: a jump).
    """

    at: str
    left: str | None
    right: str | None
    order: int
    node: Apply


@dataclass(frozen=True)
class Property:
    """A claim about the loss and what became of it.

    ``bound`` is the formula, in the parameters, of a bound that was proved.
    """

    name: str
    status: str  # proved | refuted | unknown
    detail: str | None = None
    bound: str | None = None


@dataclass(frozen=True)
class Certificate:
    """What the check established."""

    smoothness: Smoothness
    kinks: tuple[Kink, ...]
    properties: tuple[Property, ...]
    assumed: tuple[str, ...]
    infinite_ends: tuple[str, ...]


@dataclass(frozen=True)
class CheckedLoss:
    """A loss that passed the check: holding one proves that the check ran."""

    loss: Loss
    certificate: Certificate
    diagnostics: tuple[Diagnostic, ...]
