"""The lowered loss: ordered assignments in the author's names."""

from __future__ import annotations

from dataclasses import dataclass

from lossgen.ir.expr import Expr, Symbol


@dataclass(frozen=True)
class Assign:
    """``target = value``, with the reason for it where there is one."""

    target: Symbol
    value: Expr
    comment: str | None = None


@dataclass(frozen=True)
class Block:
    """Assignments in order, and the expression that they lead to."""

    assignments: tuple[Assign, ...]
    result: Expr
