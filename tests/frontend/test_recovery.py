"""Specs with faulty keys: what is said of their expressions in the same run.

The faults of the keys themselves are tested elsewhere.
"""

import pytest
from clock import processor_time

from lossgen.compiler import check_source
from lossgen.diagnostics.source import SourceFile


def said(*lines: str) -> list[str]:
    source = SourceFile("spec.yaml", "\n".join(lines) + "\n")
    found = [item for each in check_source(source) for item in each.diagnostics]
    return [
        f"{item.code.id} {item.span.first[0]}:{item.span.first[1]} {item.message}"
        for item in found
        if item.span
    ]


def unknown(*lines: str) -> list[str]:
    """The messages on names and functions, LG203 and LG204."""
    return [item for item in said(*lines) if item[:5] in ("LG203", "LG204")]


NAME = "name: some_loss"


@pytest.mark.parametrize(
    "lines",
    [
        [f"k{i}: 1" for i in range(1_400)],
        ["allow:", *(f"  LX{i}: a" for i in range(1_400))],
        ["where:", *(f"  {i}a: 1" for i in range(1_400))],
        ["name: b", "---"] * 300,
    ],
    ids=lambda lines: lines[0],
)
def test_hostile_documents_are_refused_quickly(lines: list[str]) -> None:
    with processor_time() as clock:
        found = said("name: a", "loss: y_prd", *lines)
    assert clock.seconds < 1
    assert len(found) > 50


@pytest.mark.parametrize(
    "params",
    [
        ["params: {alpha: one}"],
        ["params: {alpha: }", "where: {alpha: 1}"],
        ["params: {alpha: {defualt: 1}}"],
        ["params: {alpha: [1, 2]}"],
        ["params: {alpha: {default: true}}"],
        ["params: alpha"],
        ["params: [alpha]"],
        ["params: [{alpha: 1}]"],
        ["params: {beta: {alpha: 1}}"],
        ["params:", "alpha: 1"],
        ["parms: {alpha: 1}"],
        ["params: 1", "where: {alpha: true}"],
        ["where: {alpha: [1]}"],
        ["where: alpha = 1"],
        ["were: {alpha: y_true}"],
        ["where: {alpha: beta}", "params: {beta: one}"],
        ["y_pred: {channels: {alpha: true}}"],
        ["y_pred: {chanels: {alpha: real}}"],
        ["y_pred: {size: true}", "y_true: {sise: alpha}"],
        ["alpha: 2"],
    ],
)
def test_what_a_faulty_entry_may_declare_is_not_unknown(params: list[str]) -> None:
    found = said(NAME, "loss: alpha*abs(y_pred - y_true)", *params)
    assert found
    assert not unknown(NAME, "loss: alpha*abs(y_pred - y_true)", *params)
    assert unknown(NAME, "loss: alpha*abs(y_prd - y_true)", *params) == [
        "LG203 2:17 unknown name `y_prd`"
    ]


def test_a_key_that_is_no_name() -> None:
    assert unknown(
        NAME,
        "loss: al-pha*abs(y_pred - y_true) + al_pha + alpha + beta",
        "params: {al-pha: 1}",
    ) == ["LG203 2:54 unknown name `beta`"]


def test_names_of_sound_entries_are_suggested() -> None:
    source = SourceFile(
        "spec.yaml",
        f"{NAME}\nloss: alpa*sqare(y_pred - y_true)\nparams: {{alpha: 1, b: x}}\n",
    )
    (item,) = check_source(source)
    assert [(each.code.id, each.help) for each in item.diagnostics] == [
        ("LG203", "did you mean `alpha`?"),
        ("LG204", "did you mean `square`?"),
        ("LG105", None),
    ]


def test_expressions_under_faulty_keys_are_read_too() -> None:
    lines = ["loss: ok*y_pred**2", "where:", "  no-name: y_tru", "  ok: exxp(y_true)"]
    assert unknown(NAME, *lines) == [
        "LG203 4:12 unknown name `y_tru`",
        "LG204 5:7 unknown function `exxp`",
    ]


@pytest.mark.parametrize(
    "faulty", ["allow: {LG1: a}", "allow: {LG402: [a]}", "properties: [convx]"]
)
def test_expressions_are_read_beside_faulty_lists(faulty: str) -> None:
    found = unknown(NAME, "loss: y_prd + alpha", "params: {alpha: 1}", faulty)
    assert found == ["LG203 2:7 unknown name `y_prd`"]


@pytest.mark.parametrize(
    "faulty", ["name: Some-Loss", "", "name: some_loss\nloss:", "name: [a]"]
)
def test_without_a_name_or_a_loss(faulty: str) -> None:
    loss = "" if "loss" in faulty.partition("\n")[2] else "loss: slope*y_pred"
    lines = [faulty, loss, "y_true: unused", "where:", "  slope: 2*tow"]
    text = "\n".join(line for line in lines if line)
    line = text.count("\n") + 1
    assert unknown(text) == [f"LG203 {line}:12 unknown name `tow`"]


def test_nothing_is_said_of_unused_names_in_doubt() -> None:
    found = said(NAME, "loss: y_pred", "params: {alpha: 1, beta: x}", "where: {c: 1}")
    assert [item[:5] for item in found] == ["LG105"]


def test_conditions_among_the_names() -> None:
    found = said(
        NAME,
        "loss: y_pred**2 if inside else y_true",
        "where: {inside: y_pred > 1, x: true}",
    )
    assert [item[:5] for item in found] == ["LG105"]


def test_several_keys_that_are_no_names() -> None:
    lines = [
        "where: {no-name: 1}",
        "params: {no+name: 1}",
        "y_pred: {channels: {1a: real}}",
    ]
    assert [item[:5] for item in said(NAME, "loss: y_true + no", *lines)] == [
        "LG106"
    ] * 3
