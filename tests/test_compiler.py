import ast

import pytest
from losses import OPTIONS

from lossgen import compiler
from lossgen.backend.header import read_header
from lossgen.calculus.steps import OutOfTimeError
from lossgen.compiler import check_source, compile_source
from lossgen.diagnostics.codes import CODES
from lossgen.diagnostics.source import SourceFile

GOOD = "name: {}\nloss: (y_true - y_pred)**2\n"
UNDEFINED = "name: broken\nloss: y_true*log(y_pred)\n"


def source(*documents):
    return SourceFile("specs/losses.yaml", "---\n".join(documents))


def codes(item):
    return [found.code.id for found in item.diagnostics]


@pytest.fixture(scope="module")
def several():
    documents = (GOOD.format("one"), UNDEFINED, GOOD.format("two"))
    return compile_source(source(*documents), OPTIONS)


def test_text_to_artifacts(several):
    module, test = several[0].artifacts
    assert (module.path, module.kind) == ("one.py", "module")
    assert (test.path, test.kind) == ("test_one.py", "test")
    for artifact in (module, test):
        ast.parse(artifact.text)
        header = read_header(artifact.text)
        assert header is not None
        assert header.spec_path == "specs/losses.yaml"
    assert "def one(" in module.text
    assert "from one import one as loss_function\n" in test.text
    assert several[0].diagnostics == ()


def test_a_bad_document_does_not_stop_the_others(several):
    assert [item.name for item in several] == ["one", "broken", "two"]
    assert [len(item.artifacts) for item in several] == [2, 0, 2]
    assert [item.checked is None for item in several] == [False, True, False]
    assert any(code.startswith("LG3") for code in codes(several[1]))
    (span,) = {found.span for found in several[1].diagnostics if found.span}
    assert span.source.text[span.start : span.end] in UNDEFINED


STAGES = [
    (compiler, "check"),
    (compiler, "lower"),
    (compiler, "placeholders"),
    (compiler, "reference"),
    (compiler.module_stage, "emit_module"),
    (compiler.test_stage, "emit_test"),
    (compiler, "write_header"),
]


@pytest.mark.parametrize("error", [ZeroDivisionError, OutOfTimeError, RecursionError])
@pytest.mark.parametrize(("module", "stage"), STAGES, ids=[name for _, name in STAGES])
def test_a_fault_in_a_document_does_not_stop_the_others(
    monkeypatch, module, stage, error
):
    work, left = getattr(module, stage), [2]

    def at_fault(*args):
        left[0] -= 1
        if left[0] == 0:  # at the second document
            raise error("for good reason")
        return work(*args)

    monkeypatch.setattr(module, stage, at_fault)
    if stage == "write_header":  # once a file
        left[0] = 3
    documents = [GOOD.format(name) for name in ("one", "two", "three")]
    found = compile_source(source(*documents), OPTIONS)
    assert [item.name for item in found] == ["one", "two", "three"]
    assert [len(item.artifacts) for item in found] == [2, 0, 2]
    (fault,) = found[1].diagnostics
    assert (fault.code.id, fault.span.first[0]) == ("LG901", 4)
    assert fault.message == f"{error.__name__}: for good reason"


@pytest.mark.parametrize(
    ("documents", "refused"),
    [
        ((GOOD.format("one"), "nam: two\nloss: y_pred\n", "name: 3\n"), 2),
        (("name: [\n", GOOD.format("two"), "", "loss: y_pred\n"), 3),
        ((GOOD.format("one"), UNDEFINED, "--\n", "3\n"), 3),
    ],
)
def test_each_document_counts_once(documents, refused):
    """A document is refused for its YAML, its keys or its formula, and once."""
    found = compile_source(source(*documents), OPTIONS)
    assert len(found) == len(documents)
    assert sum(item.checked is None for item in found) == refused
    lines = [item.diagnostics[0].span.first[0] for item in found if item.diagnostics]
    assert lines == sorted(lines)


def test_only_the_document_counts_for_the_fingerprint(several):
    (alone,) = compile_source(source(GOOD.format("two")), OPTIONS)
    assert alone.artifacts == several[2].artifacts
    hashes = {read_header(item.artifacts[0].text).inputs_hash for item in several[::2]}
    assert len(hashes) == 2


def test_a_file_that_cannot_be_read():
    (found,) = check_source(source("name: [\n"))
    assert (found.name, found.spec, found.checked) == (None, None, None)
    assert [code[:3] for code in codes(found)] == ["LG1"]


def test_a_document_with_an_unknown_name():
    (found,) = check_source(source("name: some_loss\nloss: y_true - y_prd\n"))
    assert found.name == "some_loss"
    assert found.checked is None
    assert "LG203" in codes(found)


def test_warnings_can_be_allowed():
    kinked = "name: some_loss\nloss: relu(y_true*y_pred)\n"
    (loud,) = check_source(source(kinked))
    assert loud.checked is not None
    silenced = set(codes(loud))
    assert silenced
    allowed = "".join(f"  {code}: on purpose\n" for code in sorted(silenced))
    (quiet,) = check_source(source(f"{kinked}allow:\n{allowed}"))
    assert codes(quiet) == []


NUMBERS = ["LG601", "LG602", "LG603"]


@pytest.mark.parametrize("code", NUMBERS)
def test_what_goes_wrong_in_float32_is_told_and_can_be_allowed(code):
    example = CODES[code].example
    (loud,) = compile_source(source(f"{example}\n"), OPTIONS)
    assert code in codes(loud)
    assert len(loud.artifacts) == 2
    told = {item for item in codes(loud) if item.startswith("LG6")}
    allowed = "".join(f"  {item}: on purpose\n" for item in sorted(told))
    (quiet,) = compile_source(source(f"{example}\nallow:\n{allowed}"), OPTIONS)
    assert not told & set(codes(quiet))


def test_what_runs_out_of_steps_is_told_and_built(monkeypatch):
    monkeypatch.setattr(compiler, "MAX_STEPS", 1000)
    text = "name: some_loss\nloss: log(1 + exp(y_pred)) - y_true*y_pred\ny_true: unit\n"
    (found,) = compile_source(source(text), OPTIONS)
    told = [item for item in found.diagnostics if item.code.id == "LG604"]
    assert [item.message.partition(",")[0] for item in told] == [
        "not all forms were compared",
        "what is computed was not compared at all points: that took more than 1",
    ]
    assert len(found.artifacts) == 2
    assert "softplus" in found.artifacts[0].text  # the rules need no steps
    assert found.program.exact_to is None


def test_few_reference_values_are_a_warning():
    """Sines of ever larger numbers: no precision settles them."""
    inner = "y_pred"
    for _ in range(4):
        inner = f"(1 + sin(exp(1000)*{inner}))"
    loss = f"square(y_pred - y_true) + where(y_true > 0, stop_gradient({inner}), 0)"
    text = (
        f"name: some_loss\nloss: {loss}\ny_true: {{domain: '{{0, 1, 2, 3, 4, 5}}'}}\n"
    )
    (found,) = compile_source(source(f"{text}smoothness: discontinuous\n"), OPTIONS)
    (told,) = [item for item in found.diagnostics if item.code.id == "LG605"]
    assert "no number of digits settles them, such as at y_true = " in told.notes[0]
    assert len(found.artifacts) == 2


def test_the_docstring_says_how_large_inputs_may_be():
    (found,) = compile_source(source(GOOD.format("one")), OPTIONS)
    text = found.artifacts[0].text
    assert "exact to rounding for inputs up to 1e15 in size." in " ".join(text.split())
    example = CODES["LG603"].example  # as far as anybody can tell
    (found,) = compile_source(source(f"{example}\n"), OPTIONS)
    assert "exact to rounding" not in " ".join(found.artifacts[0].text.split())


def test_an_empty_file():
    assert [item.artifacts for item in compile_source(source(""), OPTIONS)] in (
        [],
        [()],
    )
