"""What a loss says of itself: its defaults, and its configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mutating.kinds import Kind, is_number
from mutating.source import Edit, Site


class ChangedDefault(Kind):
    """Other defaults, and arguments not passed on, so that a default takes effect."""

    name = "default"

    def edits(self, site: Site) -> Iterator[Edit]:
        """Another default in the place of each."""
        node = site.node
        if isinstance(node, ast.arguments):
            args = [*node.posonlyargs, *node.args]
            pairs = list(zip(args[::-1], node.defaults[::-1], strict=False))[::-1]
            named = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            pairs += [(arg, default) for arg, default in named if default]
            for arg, default in pairs:
                for new in _other_default(arg.arg, default):
                    yield Edit(default, new, f"default of {arg.arg}")
        elif isinstance(node, ast.Call):
            for index, keyword in enumerate(node.keywords):
                if keyword.arg and _last_name(keyword.value) == keyword.arg:
                    rest = node.keywords[:index] + node.keywords[index + 1 :]
                    new = ast.Call(node.func, node.args, rest)
                    yield Edit(node, new, f"{keyword.arg} not passed on")


def _other_default(name: str, default: ast.expr) -> Iterator[ast.expr]:
    if not isinstance(default, ast.Constant):
        return
    value = default.value
    if name == "rank":
        yield ast.Constant(None)
    elif isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)) and is_number(default):
        yield ast.Constant(2 * value or 1.0)
    elif name == "reduction":
        yield ast.Constant("sum")
    elif isinstance(value, str):
        yield ast.Constant(f"other_{value}")
    elif name == "dtype":
        yield ast.Constant("float64")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class DroppedConfigKey(Kind):
    """A configuration from which something cannot be made again."""

    name = "configuration"

    def edits(self, site: Site) -> Iterator[Edit]:
        """A key left out, or the class unknown to Keras."""
        node = site.node
        if isinstance(node, ast.Dict) and "get_config" in site.functions:
            for index, key in enumerate(node.keys):
                keys = node.keys[:index] + node.keys[index + 1 :]
                values = node.values[:index] + node.values[index + 1 :]
                what = ast.unparse(key) if key else "what Keras has"
                yield Edit(node, ast.Dict(keys, values), f"{what} left out")
        elif isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                same = ast.parse("lambda cls: cls", mode="eval").body
                yield Edit(decorator, same, "not registered")
