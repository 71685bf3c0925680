import ast
import re
import subprocess
import sys
from functools import cache

import pytest
from losses import OPTIONS, ROOT, catalogue, resolved, resolved_all, unproved

from lossgen.backend.emit_module import HELPER_TEMPLATES, emit_module
from lossgen.backend.signature import default_source
from lossgen.ir.program import Placeholders
from lossgen.oracle.placeholders import placeholders
from lossgen.transform.lower import lower

CASES = ROOT / "tests" / "cases" / "good"
LOSSES = {
    **catalogue(),
    **{
        loss.name: loss
        for path in sorted(CASES.glob("*.yaml"))
        for loss in resolved_all(path.read_text("utf-8"))
    },
}
# One of each kind; the formatter takes most of the time.
CHOSEN = [
    *catalogue(),
    *(
        name
        for index, name in enumerate(sorted(set(LOSSES) - set(catalogue())))
        if index % 4 == 0
    ),
]
HELPERS = {name.removeprefix("helpers/").split(".")[0] for name in HELPER_TEMPLATES}
EACH = pytest.mark.parametrize("name", CHOSEN)


@cache
def text(name):
    loss = LOSSES[name]
    return emit(loss, placeholders(loss))


def emit(loss, harmless=None):
    program = lower(unproved(loss))
    return emit_module(program, harmless or Placeholders(0.5, 0.5), OPTIONS)


def of(spec):
    return emit(resolved(spec))


@EACH
def test_modules_have_a_function_and_a_class(name):
    tree = ast.parse(text(name))
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    (loss_class,) = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    assert functions[0] == name
    assert loss_class.name == LOSSES[name].class_name
    assert ast.get_docstring(tree)
    assert {*functions[1:]} <= HELPERS


@EACH
def test_no_helper_is_left_over(name):
    tree = ast.parse(text(name))
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} - {name}
    used = {
        inner.id
        for n in tree.body
        for inner in ast.walk(n)
        if isinstance(inner, ast.Name) and inner.id != getattr(n, "name", None)
    }
    assert defined == {word for word in used if word in HELPERS}


@EACH
def test_imports(name):
    """Only what a Keras user has anyway; nothing of lossgen."""
    imported = set()
    for node in ast.walk(ast.parse(text(name))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert {"keras", "tensorflow"} <= imported
    rest = {item.split(".")[0] for item in imported} - {"keras", "tensorflow"}
    assert rest <= sys.stdlib_module_names


def test_nothing_is_unused(tmp_path):
    for name in CHOSEN:
        (tmp_path / f"{name}.py").write_text(text(name), encoding="utf-8")
    checks = "F,E,W,I,B,A,C4,UP,RET"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", checks]
    command += ["--line-length", "88", "--target-version", "py310", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@EACH
def test_local_names_are_used(name):
    """Every assigned name is read, but for channels that come with another."""
    for function in ast.walk(ast.parse(text(name))):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
        stored = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        loaded = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        assert {w for w in stored - loaded if not w.startswith("_")} == set()


@pytest.mark.parametrize("name", list(catalogue())[:4])
def test_same_spec_same_text(name):
    assert emit(LOSSES[name], placeholders(LOSSES[name])) == text(name)


def test_signature():
    tree = ast.parse(
        of(
            """\
            loss: c*sum(b*w*abs(y_true - y_pred)*log(y_pred), axis=last)
            y_pred: {domain: simplex, logits: softmax}
            params:
              b: {default: 2}
              c: {}
              w: {default: [1, 2, 0.5], shape: last}
            """
        )
    )
    function = tree.body[[type(n) for n in tree.body].index(ast.FunctionDef)]
    assert ast.unparse(function.args) == (
        "y_true: tf.Tensor, y_pred: tf.Tensor, *, b: float | tf.Tensor=2.0, "
        "c: float | tf.Tensor, "
        "w: float | Sequence[Any] | tf.Tensor=(1.0, 2.0, 0.5), from_logits: bool=False"
    )
    (loss_class,) = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    init = next(n for n in loss_class.body if getattr(n, "name", "") == "__init__")
    assert [arg.arg for arg in init.args.args] == [
        *("self", "c", "b", "w", "from_logits", "name", "reduction", "dtype")
    ]


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (1, "1.0"),
        (0.25, "0.25"),
        (1e-7, "1e-07"),
        ((1, 2.5), "(1.0, 2.5)"),
        ((1,), "(1.0,)"),
        (((1, 2), (3, 4)), "((1.0, 2.0), (3.0, 4.0))"),
    ],
)
def test_defaults(default, expected):
    assert default_source(default) == expected


@pytest.mark.parametrize(
    ("domain", "test"),
    [
        ("positive", "lambda v: v > 0"),
        ("unit", "lambda v: (v >= 0) & (v <= 1)"),
        ("real", "lambda v: v == v"),
        ("count", "lambda v: (v >= 0) & (v % 1 == 0)"),
        ("sign", "lambda v: (v == -1) | (v == 1)"),
        ("a > 2", "lambda v: v > 2"),
    ],
)
def test_checks_of_parameters(domain, test):
    found = of(
        f"loss: a*y_true*y_pred\nparams: {{a: {{domain: {domain}, default: 1}}}}\n"
        if domain != "a > 2"
        else "loss: a*y_true*y_pred\nparams: {a: {domain: a > 2, default: 3}}\n"
    )
    assert test in " ".join(found.split())


def test_guard_reads_as_explained():
    found = of("loss: -y_true*log(y_pred)\ny_pred: positive\n")
    body = re.search(r"    # Beyond this point, .*?return", found, re.DOTALL)
    assert body is not None
    held = " ".join(body[0].split()).replace("( ", "(").replace(" )", ")")
    clip = "lambda y_pred: tf.maximum(y_pred, 1e-18)"
    assert f"y_pred = tf.grad_pass_through({clip})(y_pred)" in held


def test_formatted():
    for name in CHOSEN:
        lines = text(name).splitlines()
        assert max(map(len, lines)) <= 88 or "http" in max(lines, key=len)
        assert not any(line != line.rstrip() for line in lines)
        assert text(name).endswith("\n")


def test_no_module_has_a_name_that_is_not_defined(tmp_path):
    """All modules of the cases, in one run of mypy."""
    for name in sorted(set(LOSSES) - set(catalogue())):
        (tmp_path / f"{name}.py").write_text(text(name), "utf-8")
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--strict", "."]
    # TensorFlow and Keras are not followed.
    command += ["--ignore-missing-imports", "--follow-imports", "skip"]
    command += ["--allow-subclassing-any", "--allow-untyped-calls"]
    command += ["--allow-untyped-decorators", "--allow-any-unimported"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
