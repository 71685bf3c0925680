"""What keeps bad values out of results: guards, masks, choices, each removed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mutating.kinds import Kind, is_number
from mutating.source import Edit, Site, called


class RemovedGuard(Kind):
    """The main argument in the place of what keeps it within bounds."""

    name = "guard"

    def edits(self, site: Site) -> Iterator[Edit]:
        """A clipped, bounded or chosen value as it comes."""
        node = site.node
        if not isinstance(node, ast.Call) or not node.args:
            return
        name = called(node)
        if name in ("clip_by_value", "relu", "_below") or name == "grad_pass_through":
            yield Edit(node, node.args[0], f"{name} dropped")
        elif name in ("maximum", "minimum") and any(map(is_number, node.args)):
            kept = next(item for item in node.args if not is_number(item))
            yield Edit(node, kept, f"{name} dropped")
        elif name == "xlogy":
            times, log = node.args
            attribute = node.func
            assert isinstance(attribute, ast.Attribute)
            function = ast.Attribute(attribute.value, "log", attribute.ctx)
            plain = ast.BinOp(times, ast.Mult(), ast.Call(function, [log], []))
            yield Edit(node, plain, "xlogy without its 0")
        elif name == "where" and len(node.args) == 3 and not _tells_mask(node.args[0]):
            for branch in node.args[1:]:
                if not is_number(branch):
                    yield Edit(node, branch, "choice dropped")


class RemovedMask(Kind):
    """Masked values let through, masks not passed on."""

    name = "mask"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Values as they come, and statements about masks left out."""
        node = site.node
        if isinstance(node, ast.Call) and called(node) == "where":
            if len(node.args) == 3 and _tells_mask(node.args[0]):
                first, second = node.args[1:]
                main = second if is_number(first) else first
                yield Edit(node, main, "mask dropped")
        elif isinstance(node, ast.Call) and called(node) == "boolean_mask":
            yield Edit(node, node.args[0], "mask dropped")
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
                yield Edit(node, ast.Pass(), "statement dropped")
        elif isinstance(node, ast.Assign):
            if any(_is_attached(target) for target in node.targets):
                yield Edit(node, ast.Pass(), "statement dropped")
        elif isinstance(node, ast.BinOp) and isinstance(
            node.op, (ast.BitAnd, ast.BitOr)
        ):
            for side in (node.left, node.right):
                yield Edit(node, side, "condition dropped")


_MASKS = ("kept", "mask", "labelled", "inside", "some", "first")


def _tells_mask(node: ast.expr) -> bool:
    """Whether a condition says what counts."""
    names = (
        item.id if isinstance(item, ast.Name) else ""
        for item in ast.walk(node)
        if isinstance(item, ast.Name)
    )
    return any(word in name for name in names for word in _MASKS)


def _is_attached(target: ast.expr) -> bool:
    """Whether it is an attribute that says something about a tensor to Keras."""
    return isinstance(target, ast.Attribute) and target.attr.startswith("_ke")


class SwappedBranches(Kind):
    """Each branch where the other belongs."""

    name = "branches"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Choices the other way round."""
        node = site.node
        if isinstance(node, ast.Call) and called(node) == "where":
            if len(node.args) == 3:
                args = [node.args[0], node.args[2], node.args[1]]
                yield Edit(node, ast.Call(node.func, args, []), "branches swapped")
        elif isinstance(node, ast.IfExp):
            new = ast.IfExp(node.test, node.orelse, node.body)
            yield Edit(node, new, "branches swapped")


class DroppedCast(Kind):
    """Values left in the type that they have."""

    name = "cast"

    def edits(self, site: Site) -> Iterator[Edit]:
        """What was to be converted."""
        node = site.node
        if not isinstance(node, ast.Call):
            return
        if called(node) in ("cast", "identity"):
            yield Edit(node, node.args[0], f"{called(node)} dropped")
        elif called(node) == "convert_to_tensor":
            yield Edit(node, node.args[0], "conversion dropped")
            if len(node.args) == 2:
                call = ast.Call(node.func, node.args[:1], node.keywords)
                yield Edit(node, call, "type dropped")
        elif called(node) == "astype":
            assert isinstance(node.func, ast.Attribute)
            yield Edit(node, node.func.value, "astype dropped")


class RemovedCheck(Kind):
    """Bad arguments let through, and cases forgotten."""

    name = "check"

    def edits(self, site: Site) -> Iterator[Edit]:
        """A condition and what hangs on it left out."""
        node = site.node
        if isinstance(node, ast.If) and not node.orelse:
            refuses = isinstance(node.body[-1], ast.Raise)
            note = "check dropped" if refuses else "case dropped"
            yield Edit(node, ast.Pass(), note)
        elif isinstance(node, ast.Expr) and called(node.value).startswith(
            ("_check", "assert")
        ):
            yield Edit(node, ast.Pass(), "check dropped")
