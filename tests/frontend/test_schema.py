import json
import sys
from collections.abc import Iterable

import pytest
from clock import processor_time
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgen.diagnostics.diagnostic import Diagnostic, Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.keys import PROPERTIES
from lossgen.frontend.reader import MAX_STRUCTURE, read
from lossgen.frontend.schema import json_schema, read_specs
from lossgen.ir.spec import LossSpec

FOCAL = """\
name: binary_focal
title: Binary focal loss
reference: Lin et al. 2017, https://arxiv.org/abs/1708.02002
loss: -alpha_t * (1 - p_t)**gamma * log(p_t)
where:
  p_t: y_true * y_pred + (1 - y_true) * (1 - y_pred)
  alpha_t: y_true * alpha + (1 - y_true) * (1 - alpha)
y_true: binary
y_pred: {domain: probability, logits: sigmoid}
params:
  alpha: {default: 0.25, domain: "[0, 1]", description: Weight of the positive class.}
  gamma: {default: 2.0, domain: gamma >= 0}
"""
HEAD = "name: a\nloss: y_pred\n"
KEYS = """
    name loss where y_true y_pred params mask smoothness properties assume epsilon
    allow title description reference
"""


def run(text: str) -> tuple[tuple[LossSpec, ...], list[Diagnostic]]:
    report = Report()
    specs = read_specs(read(SourceFile("spec.yaml", text), report), report)
    return specs, list(report)


def spec_of(text: str) -> LossSpec:
    (spec,), found = run(text)
    assert found == []
    return spec


def found_at(found: Iterable[Diagnostic]) -> list[tuple[str, str]]:
    """Codes, each with the text that its span covers."""
    return [
        (item.code.id, item.span.source.text[item.span.start : item.span.end])
        for item in found
        if item.span
    ]


def test_a_whole_spec() -> None:
    spec = spec_of(FOCAL)
    assert spec.name.value == "binary_focal"
    assert spec.loss.value == "-alpha_t * (1 - p_t)**gamma * log(p_t)"
    assert spec.loss.span().first == (4, 7)
    assert [name.value for name, _ in spec.where] == ["p_t", "alpha_t"]
    assert spec.where[0][0].span().first == (6, 3)
    assert spec.y_true.domain is not None
    assert spec.y_true.domain.value == "binary"
    assert spec.y_pred.logits == "sigmoid"
    alpha, gamma = spec.params
    assert (alpha.name.value, alpha.default, alpha.shape) == ("alpha", 0.25, None)
    assert alpha.domain is not None
    assert alpha.domain.value == "[0, 1]"
    assert alpha.description == "Weight of the positive class."
    assert gamma.default_span is not None
    assert gamma.default_span.first == (12, 20)
    assert spec.smoothness == "continuous"
    assert spec.title == "Binary focal loss"
    assert spec.references == ("Lin et al. 2017, https://arxiv.org/abs/1708.02002",)


def test_defaults_of_a_short_spec() -> None:
    spec = spec_of(HEAD)
    assert spec.y_true.domain is None
    assert not spec.y_true.unused
    assert spec.params == spec.where == spec.assume == spec.properties == ()
    assert (spec.mask, spec.epsilon, spec.title) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("y_pred: [0, 1]", "[0, 1]"),
        ("y_pred: {0, 1}", "{0, 1}"),
        ("y_pred: {-1, 1}", "{-1, 1}"),
        ("y_pred: (0, 1)", "(0, 1)"),
        ("y_pred: {domain: [0, 1]}", "[0, 1]"),
        ("y_pred: {domain: {0, 1, 2}}", "{0, 1, 2}"),
        ("y_pred: {domain: '[0, oo)'}", "[0, oo)"),
        ("y_pred: 0 < y_pred < 1", "0 < y_pred < 1"),
    ],
)
def test_domains_are_taken_for_what_they_look_like(written: str, text: str) -> None:
    domain = spec_of(f"{HEAD}{written}\n").y_pred.domain
    assert domain is not None
    assert domain.value == text
    span = domain.span()
    assert span.source.text[span.start : span.end] == text


def test_parameters() -> None:
    params = spec_of(
        f"{HEAD}params: {{a: 1, b: -2.5, c: , d: {{domain: real}}, "
        "e: {default: [[1, 2], [3, 4]], shape: elements}, f: 1e-7, g: 0x10}\n"
    ).params
    assert {item.name.value: item.default for item in params} == {
        "a": 1,
        "b": -2.5,
        "c": None,
        "d": None,
        "e": ((1, 2), (3, 4)),
        "f": 1e-7,
        "g": 16,
    }
    assert isinstance(params[0].default, int)


def test_channels() -> None:
    tensor = spec_of(
        f"{HEAD}y_pred:\n  channels:\n    mean: real\n    logit: {{size: K}}\n"
        "    rest: {size: 3, domain: positive}\n"
    ).y_pred
    assert [(item.name.value, item.size) for item in tensor.channels] == [
        ("mean", None),
        ("logit", "K"),
        ("rest", 3),
    ]
    assert tensor.channels[2].domain is not None
    assert tensor.channels[0].span.first == (5, 5)


def test_labels_and_flags() -> None:
    spec = spec_of(
        f"{HEAD}y_true: {{domain: one_hot, sparse: true, ignore: -1}}\n"
        "mask: y_true != -1\nsmoothness: C1\nproperties: [convex]\nassume: a > 0\n"
        "epsilon: 1e-7\nallow: {LG407: hinge}\nreference: [one, two]\n"
    )
    assert (spec.y_true.sparse, spec.y_true.ignore) == (True, -1)
    assert (spec.smoothness, spec.epsilon) == ("C1", 1e-7)
    assert [item.value for item in spec.assume] == ["a > 0"]
    assert [(code.value, reason) for code, reason in spec.allow] == [("LG407", "hinge")]
    assert spec.references == ("one", "two")


def test_unused_target() -> None:
    tensor = spec_of(f"{HEAD}y_true: unused\n").y_true
    assert tensor.unused
    assert tensor.domain is None


def test_prose_is_kept_verbatim() -> None:
    text = '"""\\"{{ x }} {% raw %} \\\\n \'quotes\' #2 é'
    spec = spec_of(f"{HEAD}description: |\n  {text}\n  second\n")
    assert spec.description == f"{text}\nsecond"


@pytest.mark.parametrize(
    ("added", "code", "place", "words"),
    [
        ("los: 1", "LG103", "los", "did you mean `loss`?"),
        ("logits: sigmoid", "LG103", "logits", "under `y_pred`"),
        ("y_true: {foo: 1}", "LG103", "foo", "the keys are domain"),
        ("y_true: {logits: sigmoid}", "LG103", "logits", "under `y_pred`"),
        ("y_pred: {domian: real}", "LG103", "domian", "`domain`"),
        ("params: {x: {defualt: 1}}", "LG103", "defualt", "`default`"),
        ("y_pred: {channels: {c: {domian: real}}}", "LG103", "domian", "`domain`"),
        ("smoothness: smoth", "LG103", "smoth", "`smooth`"),
        ("smoothness: refused", "LG103", "refused", "`smooth`, `C1`"),
        ("properties: [convx]", "LG103", "convx", "`convex`"),
        ("allow: {LG999: why}", "LG103", "LG999", ""),
        ("allow: {kink: why}", "LG103", "kink", "LG402"),
        ("allow: {LG301: why}", "LG103", "LG301", ""),
        ("params: {x: {shape: lst, default: 1}}", "LG103", "lst", "`last`"),
    ],
)
def test_unknown_keys_and_words(added: str, code: str, place: str, words: str) -> None:
    specs, found = run(f"{HEAD}{added}\n")
    assert specs == ()
    assert found_at(found) == [(code, place)]
    assert words in (found[0].help or "")


@pytest.mark.parametrize(
    ("added", "place", "message"),
    [
        (
            "params: {x: {default: abc}}",
            "abc",
            "`default` must be a finite number or a nested list of numbers, "
            "not the text 'abc'",
        ),
        (
            "params: {x: abc}",
            "abc",
            "`x` must be a finite number or a nested list of numbers, "
            "not the text 'abc'",
        ),
        (
            "params: {x: true}",
            "true",
            "`x` must be a finite number or a nested list of numbers, "
            "not the truth value true",
        ),
        (
            "params: {x: .nan}",
            ".nan",
            "`x` must be a finite number or a nested list of numbers, "
            "not the number .nan",
        ),
        ("params: [x]", "[x]", "`params` must be a mapping, not a list"),
        ("where: 3", "3", "`where` must be a mapping, not the number 3"),
        ("where: {w: [1]}", "[1]", "`w` must be an expression, not a list"),
        ("mask:", "mask", "`mask` must be an expression, not empty"),
        ("y_true:", "y_true", "`y_true` must be a domain, not empty"),
        ("y_true: {domain: true}", "true", None),
        ("y_true: {sparse: 1, domain: one_hot}", "1", None),
        ("y_true: {size: 0}", "0", None),
        ("y_true: {size: 1.5}", "1.5", None),
        ("epsilon: -1", "-1", "`epsilon` must be a number between 0 and 1, "
         "not the number -1"),
        ("epsilon: true", "true", None),
        ("title: [a]", "[a]", "`title` must be text, not a list"),
        ("title: |\n  a\n  b", "|\n  a\n  b", "`title` must be a single line"),
        ("allow: {LG402: }", "LG402", "`LG402` must be text, not empty"),
        ("properties: [[convex]]", "[convex]", None),
        ("params: {x: {default: [[1], [2, 3]], shape: last}}", "[[1], [2, 3]]",
         "`default` has rows of different lengths"),
        ('title: "a\\x07"', "\\x07", "`title` must not hold the control character "
         "U+0007"),
        ('description: "\\ud800"', "\\ud800", None),
        ('reference: ["\\u202e"]', "\\u202e", None),
    ],
)  # fmt: skip
def test_wrong_types(added: str, place: str, message: str | None) -> None:
    specs, found = run(f"{HEAD}{added}\n")
    assert specs == ()
    assert found_at(found) == [("LG105", place)]
    if message:
        assert found[0].message == message


@pytest.mark.parametrize("key", ["name", "loss"])
def test_missing_keys(key: str) -> None:
    lines = [line for line in HEAD.splitlines() if not line.startswith(key)]
    _, found = run("\n".join(lines))
    assert [(item.code.id, item.message) for item in found] == [
        ("LG104", f"the key `{key}` is missing")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "class", "sum", "2d", "Focal", "focal-loss", "focal loss", "../focal", "a/b",
        "é", "tensorflow", "keras", "numpy", "json", "distutils", "tomllib", "none",
        "exception_group", "_focal", "focal__loss", "x" * 61, "12", "tf", "y_pred",
        "annotations", "sequence", "test_focal", "packaging",
    ],
)  # fmt: skip
def test_names_a_loss_cannot_have(name: str) -> None:
    _, found = run(f"name: {name}\nloss: y_pred\n")
    assert found_at(found) == [("LG106", name)]


@pytest.mark.parametrize("name", ["focal", "l1", "huber_2", "a", "loss", "path", "run"])
def test_names_a_loss_can_have(name: str) -> None:
    assert spec_of(f"name: {name}\nloss: y_pred\n").name.value == name


def test_a_path_is_called_a_path() -> None:
    _, found = run("name: ../up\nloss: y_pred\n")
    assert "path" in found[0].message


def test_every_standard_module_is_refused() -> None:
    for name in sorted(sys.stdlib_module_names):
        specs, _ = run(f"name: '{name}'\nloss: y_pred\n")
        assert specs == (), name


@pytest.mark.parametrize(
    ("added", "code", "place"),
    [
        ("params: {self: 1}", "LG212", "self"),
        ("params: {from_logits: 1}", "LG212", "from_logits"),
        ("y_pred: {size: from_logits}", "LG212", "from_logits"),
        ("y_pred: {channels: {Any: real}}", "LG212", "Any"),
        ("params: {lambda: 1}", "LG106", "lambda"),
        ("params: {__x: 1}", "LG106", "__x"),
        ("params: {é: 1}", "LG106", "é"),
        ("where: {a b: 1}", "LG106", "a b"),
        ("where: {print: 1}", "LG106", "print"),
        ("y_pred: {channels: {1b: real}}", "LG106", "1b"),
        ("y_pred: {size: 'not'}", "LG106", "'not'"),
    ],
)
def test_names_inside_a_spec(added: str, code: str, place: str) -> None:
    _, found = run(f"{HEAD}{added}\n")
    assert found_at(found) == [(code, place)]


@pytest.mark.parametrize(
    ("added", "place"),
    [
        ("title: Focal #2", "#2"),
        ("title: #2", "#2"),
        ("description: see issue #12 there", "#12"),
        ("reference: [Lin #2\n]", "#2"),
        ("y_true: {domain: one_hot, sparse: yes}", "yes"),
        ("y_true: {gradient: On}", "On"),
    ],
)
def test_needs_quotes(added: str, place: str) -> None:
    _, found = run(f"{HEAD}{added}\n")
    assert found_at(found) == [("LG107", place)]


@pytest.mark.parametrize(
    "added", ["title: Focal # a comment", "title: 'Focal' #2", "title: C#"]
)
def test_ordinary_comments_are_fine(added: str) -> None:
    assert spec_of(f"{HEAD}{added}\n").title in ("Focal", "C#")


@pytest.mark.parametrize(
    ("added", "place"),
    [
        ("y_true: {domain: real, sparse: true}", "sparse"),
        ("y_true: {sparse: true}", "sparse"),
        ("y_true: {domain: one_hot, ignore: -1}", "ignore"),
        ("y_true: {domain: one_hot, sparse: true, gradient: true}", "gradient"),
        ("y_pred: {domain: unit, logits: sigmoid}", "logits"),
        ("y_pred: {logits: sigmoid}", "logits"),
        ("y_pred: {domain: probability, logits: softmax}", "logits"),
        ("y_pred: {domain: simplex, logits: sigmoid}", "logits"),
        ("y_pred: {channels: {a: real}, domain: real}", "domain"),
        ("y_pred: {channels: {a: real}, logits: sigmoid}", "logits"),
        ("y_true: {domain: unused, gradient: true}", "gradient"),
        ("y_true: unused\nmask: y_true > 0", "mask"),
        ("y_pred: unused", "unused"),
        ("params: {w: [1, 2]}", "[1, 2]"),
    ],
)
def test_keys_that_do_not_go_together(added: str, place: str) -> None:
    _, found = run(f"{HEAD}{added}\n")
    assert found_at(found) == [("LG111", place)]


@pytest.mark.parametrize(
    "domain", ["probability", '"(0, 1)"', "0 < y_pred < 1", "'(0,1)'"]
)
def test_domains_of_a_sigmoid(domain: str) -> None:
    spec_of(f"{HEAD}y_pred: {{domain: {domain}, logits: sigmoid}}\n")


def test_all_problems_are_reported_in_one_run() -> None:
    _, found = run(
        "name: sum\nlos: 1\nname: b\nparams: {a: x, self: 1}\n"
        "y_pred: {domain: unit, logits: sigmoid}\nepsilon: 2\ntitle: A #1\n"
    )
    assert sorted(item.code.id for item in found) == [
        "LG102", "LG103", "LG104", "LG105", "LG105", "LG106", "LG107", "LG111", "LG212",
    ]  # fmt: skip


def test_of_very_many_unknown_keys_the_last_are_counted() -> None:
    keys = "".join(f"k{i}: 1\n" for i in range(1, 61))
    _, found = run(f"{HEAD}{keys}params: {{a: {{b: 1}}}}\nepsilon: 2\n")
    codes = [item.code.id for item in found]
    assert codes == ["LG103"] * 51 + ["LG105"]
    assert "`k50`" in found[49].message
    assert found[50].message == "and 11 more unknown keys from here on"
    assert found_at(found)[50] == ("LG103", "k51")


@pytest.mark.parametrize(
    ("keys", "code"),
    [("allow", "LG103"), ("where", "LG106"), ("params", "LG106")],
)
def test_of_very_many_faulty_entries_the_last_are_counted(keys: str, code: str) -> None:
    entries = "".join(f"  {i}k: 1\n" for i in range(1, 61))
    _, found = run(f"{HEAD}epsilon: 2\nk: 1\n{keys}:\n{entries}")
    assert found_at(found) == [
        ("LG105", "2"),
        ("LG103", "k"),
        *((code, f"{i}k") for i in range(1, 52)),
    ]
    assert "`50k`" in found[51].message
    assert found[52].message == "and 10 more faults of this kind from here on"


def test_a_bad_document_does_not_stop_the_others() -> None:
    specs, found = run(f"{HEAD}---\nname: b\n---\nname: [\n---\n---\n{HEAD}")
    assert [spec.loss.value for spec in specs] == ["y_pred", "y_pred"]
    assert [item.code.id for item in found] == ["LG104", "LG101", "LG108"]


@pytest.mark.parametrize("fault", ["name: b", "where: {w: max(a, b)}"])
def test_a_document_with_a_fault_of_the_reader_is_left_out(fault: str) -> None:
    specs, found = run(f"{HEAD}{fault}\n---\n{HEAD}")
    assert [spec.span.first for spec in specs] == [(5, 1)]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [("[a]", "LG105"), ("a", "LG105"), ("3", "LG105"), ("~", "LG108"), ("{}", "LG104")],
)
def test_documents_that_are_no_mapping(text: str, code: str) -> None:
    specs, found = run(text)
    assert specs == ()
    assert {item.code.id for item in found} == {code}


def test_json_schema_has_the_keys_of_the_language() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == set(KEYS.split())
    assert schema["required"] == ["name", "loss"]
    assert schema["additionalProperties"] is False
    assert all("description" in field for field in schema["properties"].values())
    claims = schema["properties"]["properties"]["anyOf"][0]["enum"]
    assert claims == list(PROPERTIES)
    assert "REFUSED" not in json.dumps(schema).upper()
    assert "LG402" in json.dumps(schema["properties"]["allow"])
    assert "LG301" not in json.dumps(schema["properties"]["allow"])


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{i}: 1\n" for i in range(2_900)),
        "".join(f"k{i}: 1\n" for i in range(MAX_STRUCTURE // 2)),
        f"{HEAD}properties: [{'convx, ' * (MAX_STRUCTURE - 10)}]",
        HEAD + "allow:\n" + "".join(f" LG{i}: a\n" for i in range(1_400)),
        "---\nname: a\n" * 350,
        f"{HEAD}params: {{a: {'[' * 25}1{']' * 25}}}",
        f"{HEAD}params: {{a: {'9' * 50_000}}}",
        f"{HEAD}params: &p {{a: *p}}",
        f"{HEAD}title: {'A #b' * 20_000}",
        "name: " + "a/" * 40_000,
    ],
    ids=lambda text: repr(text[:30]),
)
def test_hostile_documents_are_refused_quickly(text: str) -> None:
    with processor_time() as clock:
        specs, found = run(text)
    assert clock.seconds < 1
    assert specs == ()
    assert all(len(item.message) < 300 for item in found)


_WORDS = """
    name loss where y_true y_pred params domain sparse channels size default shape
    a b real 1 0.5 true null LG402 | > & * ! % @ ` # , : - ? [ ] { } ( ) ' " \\ é
    &a *a --- ...
"""
_BLANKS = [" ", "  ", "\n", "\n  ", "\n- ", ": ", ", ", "\t", "\r\n"]
_PIECES = st.sampled_from([*_WORDS.split(), *_BLANKS])


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=40).map("".join))
def test_no_text_makes_a_traceback(text: str) -> None:
    specs, found = run(text)
    assert specs or found
    for item in found:
        assert item.span is not None
        assert 0 <= item.span.start <= item.span.end <= len(text) + 1


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_no_value_makes_a_traceback(text: str) -> None:
    for key in ("loss", "title", "y_pred", "name"):
        run(f"name: a\n{key}: {text}\n")
        run(f"name: a\n{key}: {json.dumps(text)}\n")
