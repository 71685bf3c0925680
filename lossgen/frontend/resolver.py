"""A spec's names to their meanings."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.domains import parse_domain, real
from lossgen.frontend.parser import build, names_in, parse
from lossgen.frontend.reader import shorten
from lossgen.frontend.sizes import check_sizes, with_parameter_sizes
from lossgen.frontend.typos import suggestion
from lossgen.frontend.vocabulary import answer_to
from lossgen.ir.domain import Bound, Domain, DomainKind
from lossgen.ir.expr import (
    ONE,
    Apply,
    Axis,
    Expr,
    Role,
    Symbol,
    depends_on,
    symbols,
    walk,
)
from lossgen.ir.functions import CALLS
from lossgen.ir.loss import Loss, Variable
from lossgen.ir.spec import (
    ChannelSpec,
    Default,
    LossSpec,
    ParameterSpec,
    TensorSpec,
    Text,
)

_SHOWN = 8  # names of a cycle

_DECLARE = "declare it under `params`, or name a part of the formula under `where`"

_TAKEN = ("y_true", "y_pred", "e", "pi", "oo")


def resolve(
    spec: LossSpec, report: Report, doubtful: Collection[str] | None = None
) -> Loss | None:
    """Give every name of a spec its meaning.

    Args:
        spec: The spec as written.
        report: Takes everything that is wrong, not only the first fault.
        doubtful: Names whose declaration is not in the spec because it is faulty; None
            where the spec is all there is.

    Returns:
        The loss, or None if an error was reported.
    """
    variables = tuple(_variables(spec, report))
    scope = _Scope(spec, variables, report, doubtful or ())
    expression = scope.expression(spec.loss, condition=False)
    mask = scope.expression(spec.mask, condition=True) if spec.mask else None
    assume = tuple(scope.expression(text, condition=True) for text in spec.assume)
    if doubtful is None:
        if None not in (expression, *assume) and not (spec.mask and not mask):
            scope.report_unused()
        if expression is not None and not depends_on(expression, Role.Y_PRED):
            report.add("LG216", "the loss does not use y_pred", spec.loss.span())
    if spec.mask and mask and depends_on(mask, Role.Y_PRED):
        report.add(
            "LG209",
            "a mask depends on y_true and parameters only",
            spec.mask.span(),
            help="mark what counts in a channel of y_true",
        )
    _check_defaults(spec, variables, report)
    _check_mask_axes(spec, mask, report)
    if expression is not None and mask is not None:
        _check_indices(spec, expression, mask, report)
    if report.has_errors or expression is None or doubtful is not None:
        return None
    loss = Loss(
        spec=spec,
        expression=expression,
        definitions=scope.definitions,
        variables=variables,
        mask=mask,
        assume=tuple(condition for condition in assume if condition is not None),
    )
    check_sizes(loss, report)
    return None if report.has_errors else with_parameter_sizes(loss)


# Variables ------------------------------------------------------------------------


def _variables(spec: LossSpec, report: Report) -> Iterator[Variable]:
    sizes: dict[str, None] = {}
    for name, role, tensor in (
        ("y_true", Role.Y_TRUE, spec.y_true),
        ("y_pred", Role.Y_PRED, spec.y_pred),
    ):
        if tensor.unused:
            continue
        for variable in _tensor(name, role, tensor, report):
            if isinstance(variable.size, str):
                sizes.setdefault(variable.size)
            yield variable
    for parameter in spec.params:
        yield _parameter(parameter, report)
    counting = Domain(
        DomainKind.COUNT, Bound(ONE, 1.0, False), Bound(None, math.inf, True), "size"
    )
    for size in sizes:
        yield Variable(Symbol(size, Role.SIZE), counting, "scalar")


def _tensor(
    name: str, role: Role, tensor: TensorSpec, report: Report
) -> Iterator[Variable]:
    if not tensor.channels:
        yield Variable(
            Symbol(name, role),
            _sized_domain(tensor, name, role, report),
            "elements",
            tensor.size,
            tensor.description,
        )
    for channel in tensor.channels:
        full = f"{name}.{channel.name.value}"
        yield Variable(
            Symbol(full, role),
            _sized_domain(channel, full, role, report),
            "elements",
            channel.size,
            channel.description,
        )


def _parameter(parameter: ParameterSpec, report: Report) -> Variable:
    name = parameter.name.value
    domain = _domain(parameter.domain, name, Role.PARAMETER, report)
    if parameter.domain and domain.along_last_axis and not parameter.shape:
        message = f"`{domain.text}` needs a last axis, and `{name}` is a single number"
        report.add("LG306", message, parameter.domain.span(), help="add `shape: last`")
    return Variable(
        Symbol(name, Role.PARAMETER),
        domain,
        parameter.shape or "scalar",
        description=parameter.description,
        default=parameter.default,
    )


def _domain(text: Text | None, name: str, role: Role, report: Report) -> Domain:
    if text is None:
        return real()
    return parse_domain(text, name, role, report) or real()


def _sized_domain(
    declared: TensorSpec | ChannelSpec, name: str, role: Role, report: Report
) -> Domain:
    domain = _domain(declared.domain, name, role, report)
    if declared.size == 1 and declared.domain and domain.along_last_axis:
        message = f"`{domain.text}` needs a last axis of length 2 or more"
        report.add("LG306", message, declared.domain.span())
    return domain


def _check_mask_axes(spec: LossSpec, mask: Expr | None, report: Report) -> None:
    """Samples that are masked or of weight 0 must not decide what others keep."""
    nodes = () if mask is None else walk(mask)
    if spec.mask and any(isinstance(n, Apply) and n.axis is Axis.BATCH for n in nodes):
        message = "a mask looks at each sample alone, and has no `axis=batch`"
        remedy = "write `axis=sample`, or mark what counts in a channel of y_true"
        report.add("LG206", message, spec.mask.span(), help=remedy)


def _check_indices(
    spec: LossSpec, expression: Expr, mask: Expr, report: Report
) -> None:
    """A class index that is none shows where the formula uses it."""
    alone = depends_on(mask, Role.Y_TRUE) and not depends_on(expression, Role.Y_TRUE)
    if spec.mask and spec.y_true.sparse and alone:
        message = "`sparse` class indices have a part in the mask alone"
        remedy = "remove `sparse`, or use y_true in the formula"
        report.add("LG111", message, spec.mask.span(), help=remedy)


def _check_defaults(
    spec: LossSpec, variables: Sequence[Variable], report: Report
) -> None:
    domains = {item.name: item.domain for item in variables}
    for parameter in spec.params:
        domain = domains[parameter.name.value]
        if parameter.default is None:
            continue
        for value in _flat(parameter.default):
            if not domain.contains(value):
                report.add(
                    "LG307",
                    f"the default {value} of `{parameter.name.value}` is outside its "
                    f"domain {domain.text}",
                    parameter.default_span,
                )
        if domain.along_last_axis:
            _check_sum(parameter, domain, report)
        _check_length(parameter, variables, report)


def _check_sum(parameter: ParameterSpec, domain: Domain, report: Report) -> None:
    """Report rows of a default that do not sum to 1, up to rounding."""
    rows = np.array(parameter.default, dtype=float)
    single = parameter.shape and not rows.ndim  # for every class
    if single or not np.allclose(np.atleast_1d(rows).sum(axis=-1), 1.0, atol=1e-6):
        message = f"the default of `{parameter.name.value}` must be a list of sum 1"
        report.add(
            "LG307", f"{message}: its domain is {domain.text}", parameter.default_span
        )


def _check_length(
    parameter: ParameterSpec, variables: Sequence[Variable], report: Report
) -> None:
    """Report a list with one value per class where no such list can be meant."""
    default = parameter.default
    if parameter.shape != "last" or not isinstance(default, tuple):
        return
    name = parameter.name.value
    sizes = {v.size for v in variables if v.role in (Role.Y_TRUE, Role.Y_PRED)} - {1}
    if isinstance(default[0], tuple):
        message = f"the default of `{name}` must be a flat list, one value per class"
        report.add("LG105", message, parameter.default_span)
    elif (
        len(default) > 1
        and sizes
        and all(isinstance(size, int) and size != len(default) for size in sizes)
    ):
        known = " or ".join(str(size) for size in sorted(sizes, key=str))
        message = f"the default of `{name}` has {len(default)} values for {known}"
        report.add("LG214", message, parameter.default_span)


def _flat(default: Default) -> Iterator[float]:
    if isinstance(default, tuple):
        for item in default:
            yield from _flat(item)
    else:
        yield default


# Names ----------------------------------------------------------------------------


class _Scope:
    """The names of one spec, resolved on demand."""

    def __init__(
        self,
        spec: LossSpec,
        variables: Sequence[Variable],
        report: Report,
        doubtful: Collection[str],
    ) -> None:
        self._report = report
        self._doubtful = doubtful
        self._used: set[str] = set()
        self._spec = spec
        self._variables = {item.name: item.symbol for item in variables}
        self._variables.update(self._short_names(variables))
        self._where = self._declarations(spec)
        self._trees: dict[str, ast.expr | None] = {
            name: parse(text, report) for name, (_, text) in self._where.items()
        }
        self._uses: dict[str, dict[str, Span]] = {
            name: names_in(tree, self._where[name][1]) if tree else {}
            for name, tree in self._trees.items()
        }
        self._resolved: dict[str, Expr | None] = {}
        for name in self._in_order():
            self._resolved[name] = self._definition(name)
        self._used.clear()

    @property
    def definitions(self) -> tuple[tuple[str, Expr], ...]:
        """The ``where`` names in dependency order."""
        return tuple(
            (name, expr) for name, expr in self._resolved.items() if expr is not None
        )

    def expression(self, text: Text, *, condition: bool) -> Expr | None:
        """Parse and resolve one expression."""
        tree = parse(text, self._report)
        if tree is None:
            return None
        return build(tree, text, self._lookup, self._report, condition=condition)

    def report_unused(self) -> None:
        """Report the declared names that no expression reaches."""
        used = self._reachable()
        for name, (label, _) in self._where.items():
            if name not in used:
                self._unused("where", name, label.span())
        for parameter in self._spec.params:
            if parameter.name.value not in {*used, *_TAKEN}:
                self._unused("parameter", parameter.name.value, parameter.name.span())
        for name, tensor in (
            ("y_true", self._spec.y_true),
            ("y_pred", self._spec.y_pred),
        ):
            for channel in tensor.channels:
                if f"{name}.{channel.name.value}" not in used:
                    self._unused("channel", channel.name.value, channel.name.span())
        y_true = self._spec.y_true
        if not y_true.unused and not y_true.channels and "y_true" not in used:
            self._report.add(
                "LG211",
                "the loss does not use y_true",
                y_true.span or self._spec.loss.span(),
                help="say so with `y_true: unused`",
            )

    def _reachable(self) -> set[str]:
        """What the loss, the mask and the assumptions use, also through names."""
        seen: set[str] = set()
        queue = sorted(self._used)
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            expr = self._resolved.get(name)
            if expr is not None:
                seen.update(symbol.name for symbol in symbols(expr))
            queue.extend(n for n in self._uses.get(name, ()) if n in self._where)
        return seen

    def _unused(self, kind: str, name: str, span: Span) -> None:
        remedy = (
            "leave it out of `channels`, and its values out of what the loss is given"
            if kind == "channel"
            else "use it in the loss, or remove it"
        )
        message = f"nothing uses the {kind} name `{name}`"
        self._report.add("LG211", message, span, help=remedy)

    def _short_names(self, variables: Sequence[Variable]) -> dict[str, Symbol]:
        """Channels by their own name, where only one tensor has it."""
        owners: dict[str, list[Symbol]] = {}
        for item in variables:
            if item.channel:
                owners.setdefault(item.channel, []).append(item.symbol)
        return {name: found[0] for name, found in owners.items() if len(found) == 1}

    def _declarations(self, spec: LossSpec) -> dict[str, tuple[Text, Text]]:
        found: dict[str, tuple[Text, Text]] = {}
        taken = {*self._variables, *_TAKEN}
        for parameter in spec.params:
            if parameter.name.value in _TAKEN:
                self._reserved(parameter.name)
        for label, text in spec.where:
            if label.value in taken:
                self._reserved(label)
            else:
                found[label.value] = (label, text)
        names = [item.name.value for item in spec.params]
        channels = {
            c.name.value for t in (spec.y_true, spec.y_pred) for c in t.channels
        }
        for parameter in spec.params:
            if (
                parameter.name.value in channels
                or names.count(parameter.name.value) > 1
            ):
                self._reserved(parameter.name)
        return found

    def _reserved(self, label: Text) -> None:
        self._report.add(
            "LG212", f"the name `{label.value}` has a meaning already", label.span()
        )

    def _lookup(self, name: str, span: Span) -> Expr | None:
        self._used.add(name)
        if name in self._where:
            return self._resolved.get(name)
        symbol = self._variables.get(name)
        if symbol is not None:
            self._used.add(symbol.name)
            return symbol
        if name.rpartition(".")[2] in self._doubtful:
            return None
        message = f"unknown name `{shorten(name)}`"
        self._report.add("LG203", message, span, help=self._hint(name))
        return None

    def _hint(self, name: str) -> str:
        tensors = {n.partition(".")[0] for n in self._variables if "." in n}
        if name in tensors:
            return f"{name} is split into channels; write {self._channels(name)}"
        if name == "y_true" and self._spec.y_true.unused:
            return "the spec says `y_true: unused`"
        if f"y_true.{name}" in self._variables and f"y_pred.{name}" in self._variables:
            return f"both tensors have it: write `y_true.{name}` or `y_pred.{name}`"
        if name in CALLS:
            return f"`{name}` is a function"
        near = suggestion(name, [*self._variables, *self._where, "pi"])
        if "." in name:
            return (
                near or f"declare it under the `channels` of {name.partition('.')[0]}"
            )
        return near or answer_to(name) or _DECLARE

    def _channels(self, tensor: str) -> str:
        """The channels of a tensor as a formula may call them."""
        full = [name for name in self._variables if name.startswith(f"{tensor}.")]
        short = {name: name.partition(".")[2] for name in full}
        names = [short[n] if short[n] in self._variables else n for n in full]
        shown = [f"`{name}`" for name in names[:4]] + ["…"] * (len(names) > 4)
        return " or ".join(shown) if len(shown) < 3 else ", ".join(shown)

    def _in_order(self) -> Iterator[str]:
        """The ``where`` names, each behind those that it uses; cycles are reported."""
        done: set[str] = set()
        for start in self._where:
            path = {start: iter(self._uses[start].items())} if start not in done else {}
            while path:
                name, uses = next(reversed(path.items()))
                for used, span in uses:
                    if used in path:
                        self._report_cycle([*path], used, span)
                    elif used in self._where and used not in done:
                        path[used] = iter(self._uses[used].items())
                        break
                else:
                    del path[name]
                    done.add(name)
                    yield name

    def _report_cycle(self, path: list[str], name: str, span: Span) -> None:
        cycle = [*path[path.index(name) :], name]
        if len(cycle) > _SHOWN:
            cycle[_SHOWN - 1 : -1] = ["..."]
        self._report.add("LG210", f"cyclic names: {' -> '.join(cycle)}", span)

    def _definition(self, name: str) -> Expr | None:
        tree, (_, text) = self._trees[name], self._where[name]
        if tree is None:
            return None
        return build(tree, text, self._lookup, self._report, condition=_is_test(tree))


def _is_test(tree: ast.expr) -> bool:
    """Whether a named expression is a condition."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return tree.func.id == "is_finite"
    return isinstance(tree, (ast.Compare, ast.BoolOp)) or (
        isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
    )
