"""Names that a spec chooses, against those that the generated code has of its own.

What could collide is read off the generated code, so that no list goes stale.
"""

import ast
import re
import symtable
from dataclasses import replace
from functools import cache

import pytest
from losses import OPTIONS, ROOT, catalogue, resolved, resolved_all, unproved

from lossgen.backend import emit_module
from lossgen.frontend.names import (
    RESERVED_LOSSES,
    RESERVED_PARAMETERS,
    RESERVED_VARIABLES,
    loss_name_fault,
    name_fault,
)
from lossgen.ir.program import Placeholders
from lossgen.transform.lower import lower

TESTS = sorted((ROOT / "generated").glob("test_*.py"))
NEUTRAL = "some_neutral_name"


@pytest.fixture(autouse=True)
def unformatted(monkeypatch):
    """The formatter takes most of the time, and changes no name."""
    monkeypatch.setattr(emit_module, "format_source", lambda source: source)


def module(loss):
    program = lower(unproved(loss))
    return emit_module.emit_module(program, Placeholders(0.5, 0.5), OPTIONS)


# Losses ---------------------------------------------------------------------------


def called(loss, name):
    spec = replace(loss.spec, name=replace(loss.spec.name, value=name))
    return replace(loss, spec=spec)


@cache
def modules():
    """The modules of many losses, all with the same name."""
    found = list(catalogue().values())
    for name in ("labels", "masks", "parameters"):
        path = ROOT / "tests" / "cases" / "good" / f"{name}.yaml"
        found += resolved_all(path.read_text("utf-8"))
    return [(loss, module(called(loss, NEUTRAL))) for loss in found]


def bound_around(table, word, outside=()):
    """The names bound in the scopes that a use of a word looks through."""
    functions = [t for t in outside if t.get_type() != "class"]
    if word in table.get_identifiers():
        for scope in (*functions, table):
            for symbol in scope.get_symbols():
                if symbol.is_local():
                    yield symbol.get_name()
    for inner in table.get_children():
        yield from bound_around(inner, word, (*outside, table))


def test_losses_cannot_have_names_that_their_module_gives_away():
    functions, classes = set(), set()
    for _, source in modules():
        table = symtable.symtable(source, "module", "exec")
        functions.update(bound_around(table, NEUTRAL))
        classes.update(bound_around(table, "SomeNeutralName"))
    own = {NEUTRAL, "SomeNeutralName"}
    assert functions > RESERVED_LOSSES
    assert {"Any", "Callable", "Sequence"} < classes
    assert [name for name in functions - own if not loss_name_fault(name)] == []
    assert [name for name in classes - own if not loss_name_fault(name.lower())] == []


def test_generated_tests_bind_no_name_that_the_author_chose():
    for path in TESTS:
        name = path.stem.removeprefix("test_")
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        assert {"loss_function", "LossClass"} <= used
        assert not used & {name, "".join(map(str.title, name.split("_")))}


@pytest.mark.parametrize(
    "name",
    [
        "loss", "run", "path", "target", "gradient", "values", "value", "mode", "np",
        "columns", "evaluate", "assert_close", "repeated", "case", "cases", "kept",
        "mask", "call", "dtype", "get_config", "reduction", "kernel", "prediction",
        "testing", "contest", "huber_test", "setup_module", "pytestmark",
    ],
)  # fmt: skip
def test_losses_can_have_other_names_of_generated_files(name):
    assert loss_name_fault(name) is None
    compile(module(called(resolved("loss: (y_true - y_pred)**2"), name)), "m", "exec")


# Parameters, channels, sizes, and the names under `where` -----------------------------

SPECS = {
    "guarded channels with a mask": """
        loss: (y_true.time - y_pred.time)**2*exp(-2*spread) + gap**2 + abs(gap)*shift
        where: {gap: y_true.time - spread}
        params: {shift: 1.0}
        y_true: {channels: {time: positive, event: binary}}
        y_pred: {channels: {time: positive, spread: probability}}
        mask: event > shift
    """,
    "logits with sizes": """
        loss: -(y_true*log(y_pred) + gain*log(1 - y_pred))/width + sqrt(y_pred)*gap/rows
        where: {gap: y_true**2}
        y_true: {domain: binary, size: width}
        y_pred: {domain: probability, logits: sigmoid, size: width}
        params:
          gain: {shape: last, domain: positive}
          rows: {shape: elements, domain: positive}
    """,
    "a mask of integer labels": """
        loss: -sum(y_true*log(y_pred)*gap, axis=last)
        where: {gap: "1 - sum(y_pred**2, axis=last)"}
        mask: allowed > 0
        y_true: {domain: one_hot, sparse: true, ignore: -1}
        y_pred: {domain: simplex, logits: softmax}
        params: {allowed: {shape: last, domain: nonnegative, default: [1, 0, 1]}}
    """,
    "a masked batch": """
        loss: mean(rate*(gap - mean(gap, axis=batch))**2, axis=batch)
        where: {gap: "max(abs(y_true - y_pred), axis=sample)"}
        mask: y_true < rate
        params: {rate: 1.0}
    """,
    "a spatial ratio": """
        loss: 1 - (2*gap + rate)/(sum(y_true + y_pred, axis=spatial) + rate)
        where: {gap: "sum(y_true*y_pred, axis=spatial)"}
        y_true: unit
        y_pred: unit
        params: {rate: 1.0}
    """,
    "a kink": """
        loss: rate*(abs(gap) + gap) + pi
        where: {gap: y_pred - y_true}
        params: {rate: 1.0}
    """,
}
ASSIGNED_LAST = {"values", "value"}
"""Assigned when the formula has been computed: nothing is used under them again."""


def chosen(text):
    """What a spec names, each with the names that are refused for it."""
    loss = resolved(text)
    parameters = {item.name for item in loss.parameters}
    for item in loss.variables:
        if item.symbol.name not in ("y_true", "y_pred"):
            name = item.channel or item.name
            extra = RESERVED_PARAMETERS if name in parameters else set()
            yield name, RESERVED_VARIABLES | extra
    yield from ((name, set()) for name, _ in loss.definitions)


def scopes(source):
    """The names that occur in each function, in order."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.Lambda)
    return [list(names(n)) for n in ast.walk(tree) if isinstance(n, functions)]


def names(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name):
            yield child.id
        elif isinstance(child, ast.arg):
            yield child.arg
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield from names(child)


def pattern(words):
    """Which of the names are the same."""
    return [words.index(word) for word in words]


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_a_name_in_a_spec_changes_no_other(text):
    for name, refused in dict(chosen(text)).items():
        neutral = re.sub(rf"\b{name}\b", NEUTRAL, text)
        expected = scopes(module(resolved(neutral)))
        beside = {word for scope in expected if NEUTRAL in scope for word in scope}
        local = {word for word in beside if not name_fault(word)}
        usable = local - refused - {NEUTRAL, "y_true", "y_pred"}
        for word in sorted(usable - ASSIGNED_LAST):
            if not re.search(rf"\b{word}\b", neutral):
                found = scopes(module(resolved(neutral.replace(NEUTRAL, word))))
                assert [*map(pattern, found)] == [*map(pattern, expected)], word


def test_no_parameter_takes_the_place_of_an_argument():
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                keywords = {item.arg for item in node.keywords}
                if None in keywords:
                    assert keywords - {None} <= RESERVED_PARAMETERS, path.name
            elif isinstance(node, ast.FunctionDef) and node.args.kwarg:
                assert not node.args.args + node.args.kwonlyargs, path.name


def test_no_parameter_takes_the_place_of_an_attribute():
    reserved = RESERVED_PARAMETERS | RESERVED_VARIABLES
    for loss, source in modules():
        parameters = {item.name for item in loss.parameters}
        (body,) = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef))
        used = {
            node.attr
            for node in ast.walk(body)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        methods = {node.name for node in body.body if isinstance(node, ast.FunctionDef)}
        own = (used - parameters) | methods
        assert {name for name in own if not name.startswith("__")} <= reserved
