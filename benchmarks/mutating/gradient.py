"""Mutations that change the gradient of a loss and leave its value alone."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

from mutating.kinds import Kind
from mutating.source import Edit, Module, Site, called


class GradientAlone(Kind):
    """What only the gradient hangs on.

    The inner function of a custom gradient and the helpers that only it calls are
    mutated by all other kinds under this name. Elsewhere `tf.stop_gradient` is dropped,
    or put around what depends on y_pred.
    """

    name = "gradient"

    def __init__(self, module: Module, others: Sequence[Kind]) -> None:
        """Find the functions that have a part in the gradient alone."""
        self._others = others
        functions = {
            node.name: node
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef)
        }
        inner = [part for item in functions.values() for part in _inner(item)]
        self._inner = {id(node) for part in inner for node in ast.walk(part)}
        self._helpers = _called_only_from(self._inner, functions)
        self._depending = {
            name: _depending(node)
            for name, node in functions.items()
            if "y_pred" in _names(node) and not name.startswith("_")
        }

    def covers(self, site: Site) -> bool:
        """Whether nothing but the gradient hangs on a site."""
        return id(site.node) in self._inner or any(
            name in self._helpers for name in site.functions
        )

    def edits(self, site: Site) -> Iterator[Edit]:
        """Other gradients of the same value."""
        node = site.node
        if self.covers(site):
            for kind in self._others:
                yield from kind.edits(site)
        elif isinstance(node, ast.Call) and called(node) == "stop_gradient":
            yield Edit(node, node.args[0], "stop_gradient dropped")
        elif isinstance(node, ast.Name) and self._can_be_stopped(site, node):
            yield Edit(node, _stopped(node), "gradient stopped")

    def _can_be_stopped(self, site: Site, node: ast.Name) -> bool:
        depending = [self._depending.get(item, ()) for item in site.functions]
        if not any(node.id in names for names in depending):
            return False
        if isinstance(node.ctx, ast.Store):
            return False
        for around in site.around:
            if isinstance(around, (ast.Compare, ast.Attribute, ast.Subscript)):
                return False
            if called(around) in _WITHOUT_GRADIENT:
                return False
        return True


_WITHOUT_GRADIENT = ("stop_gradient", "shape", "getattr", "_inputs", "equal")


def _stopped(node: ast.expr) -> ast.expr:
    function = ast.Attribute(ast.Name("tf", ast.Load()), "stop_gradient", ast.Load())
    return ast.Call(function, [node], [])


def _names(node: ast.AST) -> set[str]:
    names = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return names | {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}


def _inner(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The gradient function that a function with a custom gradient returns."""
    if not any("custom_gradient" in ast.unparse(d) for d in function.decorator_list):
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            gradient = node.value.elts[-1]
            if isinstance(gradient, ast.Lambda):
                yield gradient
    yield from (item for item in function.body if isinstance(item, ast.FunctionDef))


def _called_only_from(
    inner: set[int], functions: dict[str, ast.FunctionDef]
) -> set[str]:
    """The helpers that are mentioned in gradient functions and nowhere else."""
    found: set[str] = set()
    for name in functions:
        mentions = [
            id(node) in inner or owner in found
            for owner, function in functions.items()
            if owner != name
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and node.id == name
        ]
        if mentions and all(mentions):
            found.add(name)
    return found


class _Values(ast.NodeTransformer):
    """Takes out attributes of tensors: a type or a shape has no gradient."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Constant(None)


_CONSTANT = {"y_true", "kept", "from_logits"}
"""Names through which no gradient flows, whatever they are computed from."""


def _depending(function: ast.FunctionDef) -> set[str]:
    """The names whose gradient by y_pred may not be 0."""
    found = {"y_pred"}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign) or isinstance(node.value, ast.Compare):
            continue
        if called(node.value) == "stop_gradient":
            continue
        if found & _names(_Values().visit(copy.deepcopy(node.value))):
            for target in node.targets:
                found |= _names(target) - _CONSTANT
    return found
