"""A module's text with its syntax tree, and edits that keep the rest as it stands."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Edit:
    """A node of the tree and what takes its place."""

    node: ast.expr | ast.stmt
    new: ast.expr | ast.stmt
    note: str


@dataclass(frozen=True)
class Mutant:
    """A module with one edit."""

    kind: str
    note: str
    line: int
    lines: range
    old: str
    new: str
    in_formula: bool
    part: str = field(repr=False)
    text: str = field(repr=False)

    @property
    def signature(self) -> str:
        """Equal for mutants of equal code: the tree of the part that the edit is in."""
        return ast.dump(ast.parse(self.part))

    @property
    def name(self) -> str:
        """What tells it from the others of its module."""
        return f"{self.kind}, line {self.line}: {self.note}: {self.old} -> {self.new}"

    def diff(self, original: str) -> list[str]:
        """The lines that differ, with ``-`` and ``+``."""
        lines = difflib.ndiff(original.splitlines(), self.text.splitlines())
        return [line for line in lines if line[:2] in ("- ", "+ ")]


@dataclass(frozen=True)
class Site:
    """A node, and those around it from the innermost outwards."""

    node: ast.AST
    around: tuple[ast.AST, ...]

    @property
    def parent(self) -> ast.AST:
        """The node that it is part of."""
        return self.around[0]

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The names of functions around it, lambdas left out."""
        return tuple(n.name for n in self.around if isinstance(n, ast.FunctionDef))

    @property
    def in_formula(self) -> bool:
        """Whether it is in a function that computes, not in the class or a check."""
        if any(isinstance(node, ast.ClassDef) for node in self.around):
            return False
        return bool(self.functions) and self.functions[-1] not in _SURROUNDINGS

    @cached_property
    def structural(self) -> bool:
        """Whether it tells axes or sizes: another number there fails at once."""
        child = self.node
        for node in self.around:
            if isinstance(node, ast.Subscript) and child is node.slice:
                return True
            if isinstance(node, ast.List):
                return True
            if isinstance(node, ast.keyword) and node.arg in _STRUCTURAL_KEYWORDS:
                return True
            if isinstance(node, ast.Call) and called(node) in _STRUCTURAL_CALLS:
                return child is not node.args[0] if node.args else True
            child = node
        return False


_SURROUNDINGS = (
    *("_inputs", "_prediction", "_matched", "_kept", "_spread", "_labelled"),
    *("_per_class", "_check", "_plain"),
)
"""The helpers of all losses, which prepare arguments and refuse bad ones."""

_STRUCTURAL_KEYWORDS = ("axis", "rank", "keepdims", "num", "num_or_size_splits")
_STRUCTURAL_CALLS = ("list", "range", "reshape", "split", "squeeze", "one_hot")


def called(node: ast.AST) -> str:
    """The last part of the name that a call calls, or ''."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


class Module:
    """The text of a module and the sites where it can be mutated."""

    def __init__(self, text: str) -> None:
        """Parse the text."""
        self.text = text
        self.tree = ast.parse(text)
        self._bytes = text.encode()
        # The columns of `ast` count bytes.
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """All nodes but annotations, docstrings and messages, in order of the text."""
        return tuple(_sites(self.tree, ()))

    @cached_property
    def signatures(self) -> frozenset[str]:
        """The trees of the parts, as they are before an edit."""
        return frozenset(
            ast.dump(ast.parse(self._bytes[start:end].decode()))
            for start, end in self._parts
        )

    @cached_property
    def _parts(self) -> tuple[tuple[int, int], ...]:
        """Where functions, classes and statements of the module begin and end."""
        found = []
        for node in self.tree.body:
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(item.lineno for item in decorators)])
            assert node.end_lineno is not None
            found.append((self._starts[first - 1], self._starts[node.end_lineno]))
        return tuple(found)

    def mutant(self, kind: str, edit: Edit, *, in_formula: bool = True) -> Mutant:
        """The module with an edit, in which everything else is as it was."""
        start = self._offset(edit.node.lineno, edit.node.col_offset)
        assert edit.node.end_lineno is not None
        assert edit.node.end_col_offset is not None
        end = self._offset(edit.node.end_lineno, edit.node.end_col_offset)
        new = ast.unparse(ast.fix_missing_locations(edit.new))
        if not isinstance(edit.new, (*_ATOMS, ast.stmt)):
            new = f"({new})"
        old = self._bytes[start:end].decode()
        first, last = next(part for part in self._parts if part[0] <= start < part[1])

        def spliced(begin: int | None, stop: int | None) -> str:
            before, after = self._bytes[begin:start], self._bytes[end:stop]
            return (before + new.encode() + after).decode()

        return Mutant(
            kind,
            edit.note,
            edit.node.lineno,
            range(edit.node.lineno, edit.node.end_lineno + 1),
            " ".join(old.split()),
            " ".join(new.split()),
            in_formula,
            spliced(first, last),
            spliced(None, None),
        )

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column


_ATOMS = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.Dict)


def _sites(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[Site]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "ctx", "op", "ops"):
            continue
        for child in value if isinstance(value, list) else (value,):
            if not isinstance(child, ast.AST) or _says_nothing(child):
                continue
            inner = (node, *around)
            yield Site(child, inner)
            yield from _sites(child, inner)


def _says_nothing(node: ast.AST) -> bool:
    """Whether it is a docstring, an import, or text for people."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom))
