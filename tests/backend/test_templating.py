"""Templates are compiled once, as Python modules are."""

import sys

import jinja2
import pytest

from lossgen.backend import templating
from lossgen.backend.templating import render


@pytest.fixture(autouse=True)
def _a_process_that_may_write(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    templating._codes.cache_clear()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "greeting.jinja").write_text("Hello, {{ name }}!\n")
    return tmp_path


def rendered(*folders, name="you"):
    return render("greeting.jinja", {"name": name}, [str(folder) for folder in folders])


def in_another_process(monkeypatch):
    """Nothing is remembered, and compiling is a fault."""
    templating._codes.cache_clear()

    def refuse(*_args, **_keywords):
        raise AssertionError("compiled once more")

    monkeypatch.setattr(jinja2.Environment, "compile", refuse)


def test_another_process_does_not_compile_a_template(folder, monkeypatch):
    assert rendered(folder) == "Hello, you!\n"
    in_another_process(monkeypatch)
    assert rendered(folder, name="all") == "Hello, all!\n"


def test_a_template_that_has_changed_is_compiled(folder, monkeypatch):
    rendered(folder)
    (folder / "greeting.jinja").write_text("Goodbye, {{ name }}!\n")
    assert rendered(folder) == "Goodbye, you!\n"
    in_another_process(monkeypatch)
    assert rendered(folder) == "Goodbye, you!\n"


def test_templates_that_are_read_in_another_way_are_compiled(folder, monkeypatch):
    (folder / "greeting.jinja").write_text("{% if name %}\nHello\n{% endif %}\n")
    assert rendered(folder) == "Hello\n"
    templating._codes.cache_clear()
    monkeypatch.setitem(templating._SYNTAX, "trim_blocks", False)
    assert rendered(folder) == "\nHello\n\n"


def test_own_templates_are_not_mixed_up_with_others_of_their_name(folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "greeting.jinja").write_text("Hi {{ name }}\n")
    assert rendered(folder) == "Hello, you!\n"
    assert rendered(own, folder) == "Hi you\n"
    assert not (own / "__pycache__").exists()  # a project is not written to
    templating._codes.cache_clear()
    assert rendered(own, folder) == "Hi you\n"
    assert rendered(folder) == "Hello, you!\n"


def test_nothing_need_be_written(folder):
    (folder / "__pycache__").write_text("no folder can be made here")
    assert rendered(folder) == rendered(folder) == "Hello, you!\n"


@pytest.mark.parametrize("length", [0, 5, 20, 40, 100, 200])
def test_what_was_cut_short_is_compiled_again(folder, length):
    rendered(folder)
    (kept,) = (folder / "__pycache__").iterdir()
    whole = kept.read_bytes()
    assert len(whole) > 200
    kept.write_bytes(whole[:length])
    templating._codes.cache_clear()
    assert rendered(folder) == "Hello, you!\n"
    assert kept.read_bytes() == whole


def test_where_python_writes_no_bytecode_neither_does_lossgen(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder) == "Hello, you!\n"
    assert [path.name for path in folder.iterdir()] == ["greeting.jinja"]
