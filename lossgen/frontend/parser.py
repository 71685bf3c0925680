"""Expression text to expression tree.

The text is read by ``ast.parse`` and translated through a whitelist; nothing of it is
ever evaluated. Text is restricted to printable ASCII, so that columns are characters
and no identifier is folded into another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.foreign_calls import describe, with_axis
from lossgen.frontend.reader import shorten
from lossgen.frontend.vocabulary import answer_to, answer_to_argument, answer_to_axis
from lossgen.ir.abbreviations import written_out
from lossgen.ir.expr import (
    Apply,
    Axis,
    Constant,
    Expr,
    Number,
    Role,
    constant_value,
    depends_on,
    tree_size,
    walk,
)
from lossgen.ir.functions import CALLS, CONDITIONS, Function, Kind
from lossgen.ir.spec import Text

MAX_LENGTH = 10_000
MAX_DEPTH = 100
MAX_TREE = 5_000
MAX_TREE_DEPTH = 150
MAX_DIGITS = 1_000

Lookup = Callable[[str, Span], "Expr | None"]
"""Finds what a name stands for; reports the unknown ones and returns None."""

_CONSTANTS = ("pi", "e")
_LOOKALIKES = {
    "\u2212": "-",
    "\u2013": "-",
    "\u00d7": "*",
    "\u00b7": "*",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u00b2": "**2",
    "\u03c0": "pi",
    "\u221e": "oo",
}
_NOT_IN_EXPRESSIONS = re.compile(r"[#\\$?`;]")
_OPTIONS = (ast.Constant, ast.List, ast.Tuple)  # such as an axis of another library
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
_UNSUPPORTED: dict[type[ast.AST], str] = {
    ast.Lambda: "`lambda` is not part of the language; name a part under `where:`",
    ast.Subscript: "indexing is not part of the language; parts of the last axis get "
    "names under `channels`, and no formula sees the neighbours of an element: let the "
    "model return their differences as y_pred",
    ast.List: "lists are not part of the language",
    ast.Tuple: "tuples are not part of the language",
    ast.Set: "sets are not part of the language",
    ast.Dict: "dictionaries are not part of the language",
    ast.ListComp: "comprehensions are not part of the language",
    ast.GeneratorExp: "comprehensions are not part of the language",
    ast.SetComp: "comprehensions are not part of the language",
    ast.DictComp: "comprehensions are not part of the language",
    ast.JoinedStr: "strings are not part of the language",
    ast.NamedExpr: "`:=` is not part of the language; name a part under `where:`",
    ast.Starred: "`*` arguments are not part of the language",
    ast.Await: "`await` is not part of the language",
    ast.Yield: "`yield` is not part of the language",
    ast.YieldFrom: "`yield` is not part of the language",
}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Mod: "`%` is not part of the language; of y_true and parameters it is "
    "`a - b*floor(a/b)`",
    ast.FloorDiv: "`//` is not part of the language; `floor(a/b)` works on y_true",
    ast.MatMult: "`@` is not part of the language; let the model return a product of "
    "matrices as y_pred (that of each row with its own is `sum(a*b, axis=last)`)",
    ast.BitAnd: "`&` is not part of the language; write `and`",
    ast.BitOr: "`|` is not part of the language; write `or`",
    ast.LShift: "`<<` is not part of the language",
    ast.RShift: "`>>` is not part of the language",
    ast.Invert: "`~` is not part of the language; write `not`",
    ast.Is: "`is` is not part of the language",
    ast.IsNot: "`is not` is not part of the language",
    ast.In: "`in` is not part of the language",
    ast.NotIn: "`not in` is not part of the language",
}


def parse(text: Text, report: Report) -> ast.expr | None:
    """Parse an expression's text; reports what is wrong and returns None then."""
    value = text.value
    if not value.strip():
        report.add("LG201", "the expression is empty", text.span())
        return None
    if len(value) > MAX_LENGTH:
        report.add(
            "LG213",
            f"the expression has {len(value)} characters; {MAX_LENGTH} are allowed",
            text.span(0, 1),
            help="split the loss into named parts under `where:`",
        )
        return None
    if not (_has_plain_characters(text, report) and _is_balanced(text, report)):
        return None
    # Python limits what it converts, and says so in its own words.
    digits = re.search(rf"\d{{{MAX_DIGITS},}}", value)
    if digits:
        message = f"the number has {len(digits[0])} digits"
        report.add("LG215", message, text.span(*digits.span()))
        return None
    # A newline ends a Python expression; parentheses around the text would let
    # `a) + (b` through.
    line = re.sub(r"[\r\n\t]", " ", value)
    indent = len(line) - len(line.lstrip())
    try:
        return _Shift(indent).visit(ast.parse(line[indent:], mode="eval").body)  # type: ignore[no-any-return]
    except SyntaxError as error:
        _report_syntax(error, text, indent, report)
    except (RecursionError, MemoryError, ValueError):
        report.add("LG213", "the expression is nested too deeply", text.span(0, 1))
    return None


def names_in(tree: ast.expr, text: Text) -> dict[str, Span]:
    """The names that an expression uses, in order, and where it does so first.

    Functions and axes are left out: their names are their own.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    apart = {id(call.func) for call in calls}
    apart.update(id(keyword.value) for call in calls for keyword in call.keywords)
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in apart
    ]
    found: dict[str, Span] = {}
    for node in sorted(nodes, key=lambda node: node.col_offset):
        span = text.span(node.col_offset, node.end_col_offset)
        found.setdefault(node.id, span)
    return found


def build(
    tree: ast.expr, text: Text, lookup: Lookup, report: Report, *, condition: bool
) -> Expr | None:
    """Translate parsed text into an expression tree.

    Args:
        tree: What ``parse`` returned for ``text``.
        text: The expression's text, for positions.
        lookup: Gives the meaning of a name.
        report: Takes what is wrong.
        condition: Whether a condition is wanted, not a number.

    Returns:
        The tree, or None if anything in it was reported.
    """
    translator = _Translator(text, _ignoring(_bound_names(tree), lookup), report)
    expr = translator.translate(tree, 0)
    if expr is None:
        return None
    if tree_size(expr) > MAX_TREE:
        report.add(
            "LG213",
            f"written out, the expression has more than {MAX_TREE} terms",
            text.span(),
        )
        return None
    if _depth(expr) > MAX_TREE_DEPTH:
        message = f"written out, more than {MAX_TREE_DEPTH} operations are nested"
        report.add("LG213", message, text.span())
        return None
    return expr if translator.expect(expr, tree, condition) else None


def _depth(expr: Expr) -> int:
    depths: dict[Expr, int] = {}
    for node in walk(expr):
        depths[node] = 1 + max((depths[child] for child in node.children), default=0)
    return depths[expr]


def _bound_names(tree: ast.expr) -> frozenset[str]:
    """The names that `:=`, comprehensions and `lambda` would bind."""
    bound = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    bound.update(node.arg for node in ast.walk(tree) if isinstance(node, ast.arg))
    return frozenset(bound)


def _ignoring(names: frozenset[str], lookup: Lookup) -> Lookup:
    """Without a word about names whose binding is reported already."""
    return lambda name, span: None if name in names else lookup(name, span)


def _has_plain_characters(text: Text, report: Report) -> bool:
    for index, char in enumerate(text.value):
        if char not in "\n\r\t" and not " " <= char <= "~":
            plain = _LOOKALIKES.get(char)
            report.add(
                "LG201",
                f"the character U+{ord(char):04X} is not allowed in an expression",
                text.span(index, index + 1),
                help=f"write `{plain}`" if plain else "use ASCII characters",
            )
            return False
    wrong = _NOT_IN_EXPRESSIONS.search(text.value)
    if wrong:
        report.add(
            "LG201",
            f"the character `{wrong.group()}` has no place in an expression",
            text.span(*wrong.span()),
        )
    return wrong is None


_CLOSING = {"(": ")", "[": "]", "{": "}"}


def _is_balanced(text: Text, report: Report) -> bool:
    """Whether brackets pair up; said here, where every Python says the same."""
    value = text.value
    if "'" in value or '"' in value:
        return True
    opened: list[int] = []
    for found in re.finditer(r"[][(){}]", value):
        place, bracket = found.start(), found[0]
        problem = None
        if bracket in _CLOSING:
            opened.append(place)
            if len(opened) > MAX_DEPTH:
                message = "the expression is nested too deeply"
                report.add("LG213", message, text.span(place, place + 1))
                return False
        elif not opened:
            problem = f"`{bracket}` closes nothing"
        elif _CLOSING[value[opened[-1]]] != bracket:
            problem = f"`{value[opened[-1]]}` is closed by `{bracket}`"
        else:
            opened.pop()
        if problem:
            report.add("LG201", problem, text.span(place, place + 1))
            return False
    if opened:
        span = text.span(opened[-1], opened[-1] + 1)
        report.add("LG201", f"`{value[opened[-1]]}` is not closed", span)
    return not opened


def _report_syntax(error: SyntaxError, text: Text, indent: int, report: Report) -> None:
    value = text.value
    last = len(value.rstrip()) - 1
    # Where the text ends too early, Python points behind it or nowhere.
    start = min(indent + error.offset - 1, last) if error.offset else last
    end = max(start + 1, indent + (error.end_offset or 0) - 1)
    # What Python guesses behind the first sentence differs between its versions.
    problem, _, guess = (error.msg or "").partition(". ")
    plain = problem in ("", "invalid syntax")
    message = "cannot parse this" if plain else f"cannot parse this: {problem}"
    before, rest = value[:start].rstrip(), value[start:]
    remedy = None
    if rest.startswith("="):
        remedy = "name a part under `where:`; `==` compares"
    elif "comma" in guess or re.match(r"[\w)]\w*[\w(]", f"{before[-1:]}{rest[:2]}"):
        remedy = "is an operator missing, such as `*`?"
    report.add("LG201", message, text.span(start, end), help=remedy)


class _Shift(ast.NodeTransformer):
    """Moves column offsets by the indentation that was cut off."""

    def __init__(self, by: int) -> None:
        self._by = by

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if self._by and isinstance(node, (ast.expr, ast.keyword)):
            node.col_offset += self._by
            node.end_col_offset = (node.end_col_offset or 0) + self._by
        return super().generic_visit(node)


class _Translator:
    """Translates one expression; every method reports and returns None on a fault."""

    def __init__(self, text: Text, lookup: Lookup, report: Report) -> None:
        self._text = text
        self._lookup = lookup
        self._report = report
        self._too_deep = False

    def translate(self, node: ast.expr, depth: int) -> Expr | None:
        """Translate one node; ``depth`` counts the nesting."""
        if depth > MAX_DEPTH:
            if not self._too_deep:
                self._fail("LG213", "the expression is nested too deeply", node)
            self._too_deep = True
            return None
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node, depth)
        if isinstance(node, ast.BinOp):
            return self._binary(node, depth)
        if isinstance(node, ast.BoolOp):
            op = "and" if isinstance(node.op, ast.And) else "or"
            return self._apply(op, node.values, node, depth, conditions=True)
        if isinstance(node, ast.Compare):
            return self._compare(node, depth)
        if isinstance(node, ast.IfExp):
            return self._where([node.test, node.body, node.orelse], node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        message = _UNSUPPORTED.get(
            type(node), "this Python syntax is not part of the language"
        )
        return self._foreign(message, node)

    def expect(self, expr: Expr, node: ast.expr, condition: bool) -> bool:
        """Report a condition where a number stands, or the reverse."""
        is_condition = isinstance(expr, Apply) and expr.op in CONDITIONS
        if is_condition is condition:
            return True
        message = (
            "a condition is wanted here, and this is a number"
            if condition
            else "a condition is not a number"
        )
        way_out = (
            "compare it, as in `y_true > 0`"
            if condition
            else "write `1 if condition else 0`"
        )
        self._fail("LG208", message, node, way_out)
        return False

    def _span(self, node: ast.AST) -> Span:
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        return self._text.span(start, end)

    def _fail(
        self, code: str, message: str, node: ast.AST, help: str | None = None
    ) -> Expr | None:
        """Report a fault; the value, always None, is what the caller returns."""
        self._report.add(code, message, self._span(node), help=help)
        return None

    def _foreign(self, text: str, node: ast.AST) -> Expr | None:
        """Report syntax of Python; behind a semicolon stands the way out."""
        message, _, way_out = text.partition("; ")
        return self._fail("LG202", message, node, way_out or None)

    def _number(self, node: ast.Constant) -> Expr | None:
        source = self._text.value[node.col_offset : node.end_col_offset]
        if isinstance(node.value, (str, bytes)):
            way_out = "names stand without quotes" if node.value else None
            return self._fail("LG202", _UNSUPPORTED[ast.JoinedStr], node, way_out)
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            return self._fail(
                "LG202", f"`{source[:20]}` is not a number of the language", node
            )
        plain = re.fullmatch(r"[0-9_]*\.?[0-9_]*(e[+-]?[0-9_]+)?", source.lower())
        if not plain:
            return self._fail("LG215", "numbers are written in decimal", node)
        if node.value in (float("inf"), 0) and re.search(
            "[1-9]", source.lower().partition("e")[0]
        ):
            return self._fail("LG215", "the number is outside the float64 range", node)
        exact = Fraction(source.replace("_", ""))
        return Number(exact, span=self._span(node))

    def _name(self, node: ast.Name) -> Expr | None:
        if node.id in _CONSTANTS:
            return Constant(node.id, span=self._span(node))
        if node.id == "oo":
            return self._fail("LG203", "`oo` stands only in domains", node)
        found = self._lookup(node.id, self._span(node))
        return found and _at(found, self._span(node))

    def _attribute(self, node: ast.Attribute) -> Expr | None:
        tensor = node.value
        if (
            isinstance(tensor, ast.Name)
            and tensor.id in ("y_true", "y_pred")
            and not node.attr.startswith("_")
        ):
            found = self._lookup(f"{tensor.id}.{node.attr}", self._span(node))
            return found and _at(found, self._span(node))
        way_out = f"write `{node.attr}`" if node.attr in _CONSTANTS else None
        if way_out is None and isinstance(tensor, ast.Name):
            way_out = answer_to(tensor.id)
        message = "attribute access is not part of the language"
        return self._fail("LG202", message, node, way_out)

    def _unary(self, node: ast.UnaryOp, depth: int) -> Expr | None:
        if isinstance(node.op, ast.USub):
            return self._apply("neg", [node.operand], node, depth)
        if isinstance(node.op, ast.Not):
            return self._apply("not", [node.operand], node, depth, conditions=True)
        if isinstance(node.op, ast.UAdd):
            return self.translate(node.operand, depth + 1)
        return self._foreign(_OPERATORS[type(node.op)], node)

    def _binary(self, node: ast.BinOp, depth: int) -> Expr | None:
        pair = [node.left, node.right]
        if isinstance(node.op, ast.BitXor):
            return self._fail("LG207", "`^` is not a power", node, "write `**`")
        if isinstance(node.op, ast.Sub):
            left, right = self._numbers(pair, depth)
            if left is None or right is None:
                return None
            minus = Apply("neg", (right,), span=right.span)
            return Apply("add", (left, minus), span=self._span(node))
        ops: dict[type[ast.operator], str] = {
            ast.Add: "add",
            ast.Mult: "mul",
            ast.Div: "div",
            ast.Pow: "pow",
        }
        if type(node.op) in ops:
            return self._apply(ops[type(node.op)], pair, node, depth)
        return self._foreign(_OPERATORS[type(node.op)], node)

    def _compare(self, node: ast.Compare, depth: int) -> Expr | None:
        sides = self._numbers([node.left, *node.comparators], depth)
        links: list[Expr] = []
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if type(op) not in _COMPARISONS:
                return self._foreign(_OPERATORS[type(op)], node)
            if left is None or right is None:
                return None
            name = _COMPARISONS[type(op)]
            if name in ("eq", "ne") and not self._is_data(name, (left, right), node):
                return None
            links.append(Apply(name, (left, right), span=self._span(node)))
        if len(links) == 1:
            return links[0]
        return Apply("and", tuple(links), span=self._span(node))

    def _where(self, parts: list[ast.expr], node: ast.expr, depth: int) -> Expr | None:
        condition = self.translate(parts[0], depth + 1)
        branches = self._numbers(parts[1:], depth)
        if condition is None or not self.expect(condition, parts[0], True):
            return None
        if branches[0] is None or branches[1] is None:
            return None
        return Apply(
            "where", (condition, branches[0], branches[1]), span=self._span(node)
        )

    def _call(self, node: ast.Call, depth: int) -> Expr | None:
        if not isinstance(node.func, (ast.Name, ast.Attribute)):
            return self._fail("LG202", "only functions by name can be called", node)
        if isinstance(node.func, ast.Attribute) or node.func.id not in CALLS:
            code, message, way_out = describe(node.func, node, self._text)
            self._fail(code, message, node.func, way_out)
            for arg in node.args:
                if not isinstance(arg, _OPTIONS):
                    self.translate(arg, depth + 1)
            return None
        name = node.func.id
        known = self._has_known_keywords(node)
        axis, has_axis = self._axis(node) if known else (None, False)
        function = self._select(name, has_axis, node) if known else None
        if function is None or (has_axis and axis is None):
            for arg in node.args:
                self.translate(arg, depth + 1)
            return None
        if not self._has_arity(function, node):
            return None
        if function.op == "where":
            return self._where(node.args, node, depth)
        args = self._numbers(node.args, depth)
        if any(arg is None for arg in args):
            return None
        present = tuple(arg for arg in args if arg is not None)
        if function.kind is Kind.DATA and not self._is_data(name, present, node):
            return None
        span = self._span(node)
        formula = written_out(function.op, present[0], axis, span)
        return formula or Apply(function.op, present, axis, span=span)

    def _has_known_keywords(self, node: ast.Call) -> bool:
        for keyword in node.keywords:
            if keyword.arg is None:
                self._fail("LG202", _UNSUPPORTED[ast.Starred], keyword)
            elif keyword.arg != "axis":
                message = f"unknown argument `{shorten(keyword.arg)}`"
                self._fail("LG205", message, keyword, answer_to_argument(keyword.arg))
        for keyword in [item for item in node.keywords if item.arg == "axis"][1:]:
            self._fail("LG205", "`axis=` stands twice", keyword)
        return len(node.keywords) < 2 and all(
            keyword.arg == "axis" for keyword in node.keywords
        )

    def _axis(self, node: ast.Call) -> tuple[Axis | None, bool]:
        if not node.keywords:
            return None, False
        value = node.keywords[0].value
        allowed = [axis.value for axis in Axis]
        if isinstance(value, ast.Name) and value.id in allowed:
            return Axis(value.id), True
        self._fail(
            "LG206",
            "`axis=` is one of " + ", ".join(f"`{name}`" for name in allowed),
            value,
            answer_to_axis(ast.unparse(value)),
        )
        return None, True

    def _select(self, name: str, has_axis: bool, node: ast.Call) -> Function | None:
        for function in CALLS[name]:
            if function.takes_axis is has_axis:
                if len(CALLS[name]) == 2 and not has_axis and len(node.args) == 1:
                    break
                return function
        if has_axis:
            self._fail("LG206", f"`{name}` takes no axis", node)
            return None
        message = f"`{name}` needs `axis=`: last, spatial, sample or batch"
        self._fail("LG206", message, node, with_axis(name, node, self._text))
        return None

    def _has_arity(self, function: Function, node: ast.Call) -> bool:
        low, high, given = function.min_args, function.max_args, len(node.args)
        if low <= given and (high is None or given <= high):
            return True
        wanted = f"{low} or more" if high is None else str(low)
        noun = "argument" if wanted == "1" else "arguments"
        self._fail(
            "LG205",
            f"`{function.surface}` takes {wanted} {noun}, and {given} are given",
            node,
            answer_to_argument("base") if function.surface == "log" else None,
        )
        return False

    def _is_data(self, name: str, args: tuple[Expr, ...], node: ast.expr) -> bool:
        if not any(depends_on(arg, Role.Y_PRED) for arg in args):
            return True
        spelt = {"eq": "==", "ne": "!="}.get(name, name)
        self._fail(
            "LG209",
            f"`{spelt}` of y_pred has gradient 0 almost everywhere",
            node,
            "it works on y_true and parameters only",
        )
        return False

    def _numbers(self, nodes: list[ast.expr], depth: int) -> list[Expr | None]:
        found = [self.translate(node, depth + 1) for node in nodes]
        return [
            expr if expr is not None and self.expect(expr, node, False) else None
            for expr, node in zip(found, nodes, strict=True)
        ]

    def _apply(
        self,
        op: str,
        nodes: list[ast.expr],
        node: ast.expr,
        depth: int,
        *,
        conditions: bool = False,
    ) -> Expr | None:
        found = [self.translate(arg, depth + 1) for arg in nodes]
        args = tuple(
            expr
            for expr, arg in zip(found, nodes, strict=True)
            if expr is not None and self.expect(expr, arg, conditions)
        )
        if len(args) < len(nodes):
            return None
        result = Apply(op, args, span=self._span(node))
        try:
            constant_value(result)
        except OverflowError:
            return self._fail("LG215", "the constant leaves the float64 range", node)
        except ZeroDivisionError:
            return self._fail("LG302", "division by zero", node)
        return result


def _at(expr: Expr, span: Span) -> Expr:
    """A name's meaning; a symbol takes the place where the name stands."""
    return expr if isinstance(expr, Apply) else replace(expr, span=span)
