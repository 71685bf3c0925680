"""Whatever a spec says, its words stay words."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import OPTIONS, resolved, unproved

from lossgen.analysis.check import check
from lossgen.backend.emit_module import emit_module
from lossgen.backend.prose import domain_words, item, module_docstring, paragraph, safe
from lossgen.diagnostics.diagnostic import Report
from lossgen.ir.expr import Role
from lossgen.ir.program import Placeholders
from lossgen.transform.lower import lower

NASTY = [
    '"""',
    'a""""b',
    '"',
    'ends in a quote"',
    "ends in a backslash\\",
    'both \\"""',
    "\\N{BULLET} \\x41 \\u0041",
    "'''",
    "{{ 1 + 1 }} {% raise %} {# gone #}",
    "{{ helpers.__class__ }}",
    "line\u2028separator\u2029and\x85next",
    "carriage\rreturn\x0band\x0cfeeds",
    "null\x00 and escape\x1b[31m",
    "right\u202eto left",
    "# coding: latin-1",
    "%s %(name)s {0} {name}",
    "grün αβγ 損失 🙂",
    "__import__('os').abort()",
    'x"""\nimport os\nos.abort()\n"""',
]
TEXT = """\
loss: a*(y_true - y_pred)**2
y_true: {domain: real, description: Targets.}
params: {a: {default: 1.0, description: Scale.}}
"""


def spoken(text):
    """A loss that says a text wherever it can."""
    loss = resolved(TEXT)
    spec = replace(
        loss.spec,
        title=text,
        description=f"{text}\n\n{text}",
        references=(text, text),
        y_true=replace(loss.spec.y_true, description=text),
        y_pred=replace(loss.spec.y_pred, description=text),
    )
    variables = tuple(replace(v, description=text) for v in loss.variables)
    return replace(loss, spec=spec, variables=variables)


def docstrings(loss):
    tree = ast.parse(
        emit_module(lower(unproved(loss)), Placeholders(0.0, 0.0), OPTIONS)
    )
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    return tree, _plain(ast.get_docstring(tree)), _plain(ast.get_docstring(function))


def _plain(text):
    """As words: control characters are printed as blanks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def outline(tree):
    """The code without its docstrings and strings."""
    names = [type(node).__name__ for node in ast.walk(tree)]
    calls = [ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return names, calls


@pytest.mark.parametrize("text", NASTY)
def test_text_stays_inert(text):
    expected, _, _ = docstrings(spoken("Plain words"))
    tree, module, function = docstrings(spoken(text))
    assert outline(tree) == outline(expected)
    words = _plain(text).rstrip(".")
    assert module.count(words) >= 4
    assert function.count(words) >= 3


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_reads_back(text):
    """What stands between the quotes evaluates to the text."""
    source = f'"""{safe(text)}\n"""'
    expected = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    assert ast.literal_eval(source) == f"{expected}\n"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.text("ab\\\"'{}% -\u2028", min_size=1), max_size=20).map(" ".join))
def test_module_docstrings_read_back(text):
    lines = module_docstring(spoken(text))
    value = ast.literal_eval('"""' + "\n".join(lines) + '\n"""')
    assert _plain(value).count(_plain(text).rstrip(".")) >= 4


def test_wrapping():
    words = "word " * 60
    assert max(map(len, paragraph(words, 8))) <= 80
    entry = item("gamma", words, 4)
    assert entry[0].startswith("    gamma: word")
    assert all(line.startswith(" " * 8) for line in entry[1:])
    assert max(map(len, entry)) + 4 <= 88
    assert paragraph("x" * 200, 0) == ["x" * 200]


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("real", "real"),
        ("unit", "in [0, 1]"),
        ("binary", "0 or 1"),
        ("'[0, 2*pi)'", "in [0, 2*pi)"),
        ("'{0, 1, 2}'", "in {0, 1, 2}"),
        ("'y_true >= 0'", "`y_true >= 0`"),
    ],
)
def test_domains_in_words(domain, words):
    loss = resolved(f"loss: y_true*y_pred\ny_true: {domain}\n")
    assert domain_words(loss.of_role(Role.Y_TRUE)[0]) == words


def _function_docstring(text):
    return docstrings(resolved(text))[2]


def test_function_docstring():
    found = _function_docstring(
        """\
        loss: sum(weight*d**2, axis=last)
        where: {d: y_true - y_pred}
        mask: y_true != -1
        params: {weight: {default: 1.0, domain: positive, description: The weight.}}
        """
    )
    assert "`sum(weight*d**2, axis=last)` with `d = y_true - y_pred`" in found
    assert "over the elements where `y_true != -1`" in found
    assert "weight: The weight, positive." in found
    assert "of shape `y_pred.shape[:-1]`" in found
    assert "averaged over the last axis" not in found


def test_function_docstring_names_what_is_special():
    averaged = _function_docstring("loss: (y_true - y_pred)**2\n")
    assert "averaged over the last axis" in averaged
    assert "y_true receives no gradient" in averaged
    guarded = _function_docstring("loss: y_true*log(y_pred)\ny_pred: positive\n")
    assert "Where y_pred is below 1e-18, value and gradient are those at" in guarded
    tied = _function_docstring("loss: mean(y_true*y_pred, axis=batch)\n")
    assert "one and the same for the whole batch" in tied
    untargeted = _function_docstring("loss: y_pred**2\ny_true: unused\n")
    assert "The loss has no target, but `fit` wants one: pass zeros" in untargeted


def test_the_slopes_at_a_kink():
    text = "loss: abs(d) + 3*d\nwhere: {d: y_pred - y_true}"
    checked = check(resolved(text), Report())
    source = emit_module(lower(checked), Placeholders(0.0, 1.0), OPTIONS)
    words = "the derivative is 2 on the left and 4 on the right."
    assert words in " ".join(source.split())


def test_how_large_inputs_may_be():
    """(2*R)**2 * 2**20 < 2**128 up to R = 9e15; exp(100) is beyond."""
    square = "(y_pred - y_true)**2"
    plain = "In float32 exact to rounding for inputs up to {} in size."
    assert plain.format("1e15") in docstring(square, exact_to=1e18)
    assert plain.format("50") in docstring(square, exact_to=50.0)
    scaled = docstring("exp(y_pred) + a*y_true", "params: {a: 2.0}", exact_to=1e18)
    sizes = "y_true up to 1e18, y_pred up to 30 in size (default parameters)."
    assert f"exact to rounding for {sizes}" in scaled
    # Nothing is proved of the overflow of this one.
    root = docstring("sqrt(abs(y_pred - y_true))", exact_to=1e18)
    assert plain.format("1e18") in root
    bounded = docstring("y_pred*y_true", "y_true: unit\ny_pred: unit", exact_to=1e18)
    assert "In float32 exact to rounding." in bounded
    assert "exact to rounding" not in docstring(square, exact_to=None)


def docstring(formula, *lines, exact_to):
    """The docstring of a generated function, on one line."""
    loss = resolved("\n".join([f"loss: {formula}", *lines]) + "\n")
    program = replace(lower(unproved(loss)), exact_to=exact_to)
    source = emit_module(program, Placeholders(0.0, 0.5), OPTIONS)
    functions = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    return " ".join((ast.get_docstring(functions[0]) or "").split())
