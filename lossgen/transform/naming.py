"""Name the shared subexpressions of a lowered loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from lossgen.ir.expr import (
    ONE,
    Apply,
    Constant,
    Expr,
    Number,
    Role,
    Symbol,
    neg,
    walk,
)
from lossgen.ir.functions import FUNCTIONS, Kind
from lossgen.ir.local_names import fresh
from lossgen.ir.program import Assign

_CHEAP = ("neg", "add", "mul")
_USES_OF_A_CONDITION = 3  # which compares what has a name
_NOUNS = {
    "add": "term",
    "mul": "product",
    "div": "ratio",
    "pow": "power",
    "abs": "magnitude",
    "max": "maximum",
    "min": "minimum",
    "where": "branch",
    "sum": "total",
    "mean": "average",
    "any": "some",
    "amax": "largest",
    "amin": "smallest",
    "ones_like": "ones",
    "stop_gradient": "held",
}

COUNTS = "counts"
"""What hints at which components of a mixture add something."""

_SCALE = "scale"
_COMMENTS = {
    _SCALE: "So scaled, squares do not overflow, and a constant beside them stays.",
    COUNTS: "A component that adds nothing gets no gradient: its own may be infinite.",
}
"""What is said of terms with such a hint."""


def local_name(symbol: Symbol) -> str:
    """The name of a symbol in generated code: a channel goes by its own name."""
    return symbol.name.rpartition(".")[2]


def name_hints(
    exprs: Sequence[Expr],
    names: Mapping[Expr, str],
    rewrite: Callable[[Expr], Expr],
) -> dict[Expr, str]:
    """Names for what became of ``f(name)`` and ``1 - name`` in the author's trees.

    ``log(p_t)`` may be rewritten beyond recognition; its new form is still the
    logarithm of ``p_t``, and is called so.
    """
    hints: dict[Expr, str] = {}
    for expr in exprs:
        for node in walk(expr):
            words = _words(node, names)
            if words is not None:
                hints.setdefault(rewrite(node), words)
    return hints


def scaled_inputs(expr: Expr) -> dict[Expr, Expr]:
    """The inputs that are divided by the size of the largest in the batch, or nearly.

    What the author named is in terms of the quotients then.

    Returns:
        The quotients by input.
    """
    found: dict[Expr, Expr] = {}
    for node in walk(expr):
        if isinstance(node, Apply) and node.op == "div":
            top, scale = node.args
            if isinstance(top, Symbol) and _is_scale(scale, top):
                found[top] = node
    return found


def _is_scale(node: Expr, symbol: Symbol) -> bool:
    """Whether it is the largest size of all elements of a batch, within two limits.

    It is that of a symbol and others, and has no slope:
    ``stop_gradient(clip(max(max(abs(u), …), axis=batch), 1, limit))``.
    """
    path = ("stop_gradient", "clip", "amax", "max", "abs")
    parts: list[Expr] = [node]
    for op in path:
        parts = [
            arg
            for part in parts
            if isinstance(part, Apply) and part.op == op
            for arg in part.args
        ]
    return symbol in parts


def scaled_names(scaled: Mapping[Expr, Expr]) -> dict[Expr, str]:
    """Names for what `scaled_inputs` finds."""
    names: dict[Expr, str] = {}
    for symbol, quotient in scaled.items():
        assert isinstance(symbol, Symbol)
        names[quotient] = f"scaled_{local_name(symbol)}"
        names[quotient.children[1]] = _SCALE
    return names


def name_shared(
    result: Expr, names: Mapping[Expr, str], hints: Mapping[Expr, str], taken: set[str]
) -> tuple[list[Assign], Expr]:
    """Assign names to what the author named and to costly terms used twice.

    Args:
        result: The expression to take apart.
        names: The author's names, which come first.
        hints: Names to prefer for other shared terms.
        taken: Names that cannot be used; grows by those given.

    Returns:
        The assignments in order, and what is left of the result.
    """
    own = {
        node: fresh(names[node], taken)
        for node in walk(result)
        if node in names and node != result
    }
    uses: dict[Expr, int] = {}
    for node in walk(result):
        for child in node.children:
            uses[child] = uses.get(child, 0) + 1
    assignments: list[Assign] = []
    replaced: dict[Expr, Expr] = {}
    given: dict[Expr, str] = dict(names)
    for node in walk(result):
        if not isinstance(node, Apply) or node == result:
            continue
        inner = _inner(node, replaced)
        if node not in names and uses[node] < _worth(inner):
            continue
        word = hints.get(node) or _words(node, given) or _noun(node)
        target = Symbol(own.get(node) or fresh(word, taken), Role.DERIVED)
        given[node] = target.name
        comment = _COMMENTS.get(hints.get(node, ""))
        assignments.append(Assign(target, inner, comment))
        replaced[node] = target
    return assignments, _inner(result, replaced)


def _inner(node: Expr, replaced: Mapping[Expr, Expr]) -> Expr:
    """The node with named terms inside it replaced by their names."""
    if not isinstance(node, Apply):
        return node
    return _replace(node, {key: to for key, to in replaced.items() if key != node})


def _replace(node: Apply, replaced: Mapping[Expr, Expr]) -> Expr:
    done: dict[Expr, Expr] = {}
    for part in walk(node):
        if part in replaced:
            done[part] = replaced[part]
        elif isinstance(part, Apply):
            done[part] = Apply(part.op, tuple(done[a] for a in part.args), part.axis)
        else:
            done[part] = part
    return done[node]


def _worth(node: Expr) -> float:
    """From how many uses on a term is worth a name."""
    if _is_condition(node):
        plain = not any(isinstance(arg, Apply) for arg in node.children)
        return _USES_OF_A_CONDITION if plain else 2
    return 2 if _is_costly(node) else inf


def _is_condition(node: Expr) -> bool:
    if not isinstance(node, Apply) or node.op not in FUNCTIONS:
        return False
    return FUNCTIONS[node.op].kind in (Kind.COMPARISON, Kind.LOGIC)


def _is_costly(node: Expr) -> bool:
    """Whether computing a term takes long enough, or much room, to do it once."""
    if not isinstance(node, Apply) or node.op == "neg":
        return False
    if node.op in ("lowest", "highest", "above", "below", "ones_like", "any"):
        return False
    if not any(isinstance(part, Symbol) for part in walk(node)):
        return False
    if node.op in _CHEAP:
        return sum(isinstance(part, Apply) for part in walk(node)) > 3
    return True


def _noun(node: Apply) -> str:
    if _is_condition(node):
        return "condition"
    if node.op == "flat":
        (inner,) = node.args
        assert isinstance(inner, Apply)
        return _noun(inner)
    if node.op == "add" and any(
        isinstance(arg, Apply) and arg.op == "neg" for arg in node.args
    ):
        return "difference"
    return _NOUNS.get(node.op, node.op)


def _words(node: Expr, names: Mapping[Expr, str]) -> str | None:
    """A name such as ``log_p_t``, if the argument has a name."""
    if not isinstance(node, Apply):
        return None
    if node.op == "where":
        return _safe(node, names)
    if node.op == "add" and len(node.args) == 2 and node.args[0] == ONE:
        inner = _called(neg(node.args[1]), names)
        return f"one_minus_{inner}" if inner else None
    inner = _called(node.args[0], names) if node.args else None
    if inner is None or node.op in _CHEAP:
        return None
    if len(node.args) == 1:
        return f"{'abs' if node.op == 'abs' else _noun(node)}_{inner}"
    return None


def _safe(node: Apply, names: Mapping[Expr, str]) -> str | None:
    """A name for a term that is a constant where a condition does not hold."""
    _, *branches = node.args
    terms = [term for term in branches if not isinstance(term, Number)]
    if not terms:
        return "indicator"
    if len(terms) > 1:
        return None
    (term,) = terms
    word = _called(term, names)
    if word is None and isinstance(term, Apply):
        word = _noun(term)
    return f"safe_{word}"


def _called(node: Expr, names: Mapping[Expr, str]) -> str | None:
    if isinstance(node, Symbol):
        return local_name(node)
    if isinstance(node, (Number, Constant)):
        return None
    return names.get(node)
