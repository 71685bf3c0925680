"""The mutants that the benchmark makes of generated modules, told by hand."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from mutating.comparing import IDENTICAL, Verdict, difference
from mutating.equivalence import statement_around
from mutating.generating import KINDS, mutants, sampled
from mutating.report import Result, Tally, faults
from mutating.rewrites import REWRITES, Rewrite
from mutating.source import Mutant
from mutating.trial import AT_IMPORT, HANG, KILLED, SURVIVED, Outcome

ROOT = Path(__file__).resolve().parents[1]

GENERATED = sorted((ROOT / "generated").glob("[!t]*.py"))


def changes(text: str, kind: str) -> set[str]:
    """What mutants of a kind have in the place of what."""
    found = mutants(dedent(text))
    return {f"{m.old} -> {m.new}" for m in found if m.kind == kind}


def function(*lines: str) -> str:
    """A module with a loss of these lines."""
    body = "".join(f"    {line}\n" for line in lines)
    return f"def loss(y_true, y_pred):\n{body}"


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("return a + b", "operators", {"a + b -> (a - b)"}),
        ("return a - b", "operators", {"a - b -> (a + b)"}),
        ("return a * b", "operators", {"a * b -> (a / b)"}),
        ("return a / b", "operators", {"a / b -> (a * b)"}),
        ("return -a", "operators", {"-a -> a"}),
        ("return not a", "operators", {"not a -> a"}),
        ("return a <= b", "operators", {"a <= b -> (a > b)", "a <= b -> (a < b)"}),
        ("return a is None", "operators", {"a is None -> (a is not None)"}),
        ("return a and b", "operators", {"a and b -> (a or b)"}),
        ("a &= b", "operators", {"a &= b -> a |= b"}),
        ("return [-1] + [1] * a", "operators", set()),
        ("return a * 2", "constants, 1 %", {"2 -> 2.02"}),
        ("return a * 1e-18", "constants, 1 %", {"1e-18 -> 1.01e-18"}),
        ("return f(a, 0.0)", "constants, 1 %", {"0.0 -> 0.01"}),
        ("return a != -1", "constants, 1 %", {"-1 -> (-1.01)"}),
        ("return f(a, axis=-1)", "constants, 1 %", set()),
        ("return a[-1]", "constants, 1 %", set()),
        ("return a * True", "constants, 1 %", set()),
        ("return a * 2", "constants, sign", {"2 -> (-2)"}),
        ("return a != -1", "constants, sign", {"-1 -> 1"}),
        ("return f(a, 0.0)", "constants, sign", set()),
        ("return a - b", "arguments", {"a - b -> (b - a)"}),
        ("return a / b", "arguments", {"a / b -> (b / a)"}),
        ("return a**b", "arguments", {"a**b -> (b ** a)"}),
        ("return a + b", "arguments", set()),
        ("return tf.square(a - b)", "arguments", set()),
        ("return tf.abs(a - b)", "arguments", set()),
        ("return tf.maximum(a, b)", "arguments", set()),
        (
            "return tf.subtract(a, 1)",
            "arguments",
            {"tf.subtract(a, 1) -> tf.subtract(1, a)"},
        ),
        ("return f(a, b)", "arguments", {"f(a, b) -> f(b, a)"}),
        ("return isinstance(a, b)", "arguments", set()),
        ("return a + b", "terms", {"a + b -> a", "a + b -> b"}),
        ("return a - b", "terms", {"a - b -> a", "a - b -> (-b)"}),
        ("return a * b", "terms", {"a * b -> a", "a * b -> b"}),
        (
            "return a + b + c",
            "terms",
            {"a + b + c -> (a + b)", "a + b -> a", "a + b -> b"},
        ),
        ("return a / b", "terms", {"a / b -> a", "a / b -> (1 / b)"}),
        ("return a**2", "terms", {"a**2 -> a"}),
        ("return a and b", "terms", {"a and b -> b", "a and b -> a"}),
        ("return tf.square(a)", "terms", {"tf.square(a) -> a"}),
        (
            "return tf.maximum(a, b)",
            "terms",
            {"tf.maximum(a, b) -> a", "tf.maximum(a, b) -> b"},
        ),
        ("return f(a, axis=-1)", "axis", {"-1 -> 0"}),
        ("return f(a, axis=axes)", "axis", {"axes -> (-1)"}),
        ("return f(a, keepdims=True)", "axis", {"f(a, keepdims=True) -> f(a)"}),
        ("return a[..., b]", "axis", {"a[..., b] -> a[b, ...]"}),
        ("return a[:-1]", "axis", {"a[:-1] -> a[:1]"}),
        ("return tf.reshape(a, b)", "axis", {"tf.reshape(a, b) -> a"}),
        (
            "return tf.reduce_sum(a)",
            "reduction",
            {"tf.reduce_sum(a) -> tf.reduce_mean(a)"},
        ),
        (
            "return tf.reduce_max(a)",
            "reduction",
            {"tf.reduce_max(a) -> tf.reduce_min(a)"},
        ),
        ("return tf.maximum(a, 1)", "guard", {"tf.maximum(a, 1) -> a"}),
        (
            "return tf.clip_by_value(a, b, c)",
            "guard",
            {"tf.clip_by_value(a, b, c) -> a"},
        ),
        (
            "return tf.grad_pass_through(tf.nn.relu)(a)",
            "guard",
            {"tf.grad_pass_through(tf.nn.relu) -> tf.nn.relu"},
        ),
        (
            "return tf.math.xlogy(a, b)",
            "guard",
            {"tf.math.xlogy(a, b) -> (a * tf.math.log(b))"},
        ),
        ("return tf.where(a, b, 1.0)", "guard", {"tf.where(a, b, 1.0) -> b"}),
        ("return tf.where(kept, b, 1.0)", "guard", set()),
        ("return tf.where(kept, b, 1.0)", "mask", {"tf.where(kept, b, 1.0) -> b"}),
        ("a &= b", "mask", {"a &= b -> pass"}),
        ("a._keras_mask = b", "mask", {"a._keras_mask = b -> pass"}),
        ("return a | b", "mask", {"a | b -> a", "a | b -> b"}),
        (
            "return tf.where(a, b, c)",
            "branches",
            {"tf.where(a, b, c) -> tf.where(a, c, b)"},
        ),
        ("return b if a else c", "branches", {"b if a else c -> (c if a else b)"}),
        ("return f(a, name=name)", "default", {"f(a, name=name) -> f(a)"}),
        ("return f(a, b=self.b)", "default", {"f(a, b=self.b) -> f(a)"}),
        ("return f(a, b=c)", "default", set()),
        ("return tf.cast(a, b)", "cast", {"tf.cast(a, b) -> a"}),
        ("return a.astype(float)", "cast", {"a.astype(float) -> a"}),
        ("_check(a)", "check", {"_check(a) -> pass"}),
        ("return tf.stop_gradient(a)", "gradient", {"tf.stop_gradient(a) -> a"}),
        ("return tf.abs(y_pred)", "gradient", {"y_pred -> tf.stop_gradient(y_pred)"}),
        ("return tf.abs(y_true)", "gradient", set()),
        ("return tf.cast(a, y_pred.dtype)", "gradient", set()),
    ],
)
def test_mutants_of_a_line(line: str, kind: str, expected: set[str]) -> None:
    assert changes(function(line), kind) == expected


def test_a_check_is_dropped_whole():
    text = function("if a:", "    raise ValueError(f'{a} + {b}')", "return c")
    found = [m for m in mutants(text) if m.kind == "check"]
    assert [m.text for m in found] == [function("pass", "return c")]
    assert found[0].note == "check dropped"


def test_defaults_of_parameters():
    text = (
        "def f(a: int = 1.0, *, b=False, c='d', reduction='sum_over', dtype=None): ..."
    )
    assert changes(text, "default") == {
        "1.0 -> 2.0",
        "False -> True",
        "'d' -> 'other_d'",
        "'sum_over' -> 'sum'",
        "None -> 'float64'",
    }


def test_keys_of_the_configuration():
    text = """
        @registered
        class A:
            def get_config(self):
                return {**super().get_config(), "a": 1}

            def other(self):
                return {"b": 2}
        """
    assert changes(text, "configuration") == {
        "registered -> (lambda cls: cls)",
        "{**super().get_config(), \"a\": 1} -> {'a': 1}",
        '{**super().get_config(), "a": 1} -> {**super().get_config()}',
    }


def test_a_custom_gradient_is_mutated_under_its_own_name():
    text = """
        @tf.custom_gradient
        def f(x):
            return x + 1, lambda upstream: g(x) * upstream

        def g(x):
            return -x

        def h(x):
            return x / 3
        """
    gradient = changes(text, "gradient")
    assert {"g(x) * upstream -> (g(x) / upstream)", "-x -> x"} <= gradient
    assert not any("x + 1" in change or "x / 3" in change for change in gradient)
    assert changes(text, "operators") == {"x + 1 -> (x - 1)", "x / 3 -> (x * 3)"}


def test_words_for_people_are_left_alone():
    text = '''
        """Adds 1 + 2."""

        def f(a: int | None = None) -> int | None:
            """Returns 3 * 4."""
            raise ValueError(f"{a + 1} is wrong")
        '''
    assert mutants(dedent(text)) == []


def test_a_threshold_is_told_from_a_factor():
    notes = {
        m.old: m.note
        for m in mutants(function("return tf.where(a < 3, a * 4, tf.minimum(a, 5))"))
        if m.kind == "constants, 1 %"
    }
    assert notes == {
        "3": "threshold, 1 % off",
        "4": "constant, 1 % off",
        "5": "threshold, 1 % off",
    }


def test_everything_else_stays_as_it_is():
    text = function("# why", "b = (a  +  1)  # 'é'", "return b")
    (mutant,) = [m for m in mutants(text) if m.kind == "operators"]
    assert mutant.text == text.replace("a  +  1", "(a - 1)")
    assert mutant.diff(text) == [
        "-     b = (a  +  1)  # 'é'",
        "+     b = ((a - 1))  # 'é'",
    ]
    assert (mutant.line, mutant.in_formula) == (3, True)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.stem)
def test_mutants_of_generated_modules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = mutants(text)
    assert len(found) >= 40
    assert {m.kind for m in found} >= set(KINDS) - {"reduction"}
    assert len({m.text for m in found} | {text}) == len(found) + 1


def test_a_sample_is_spread_over_kinds_and_parts() -> None:
    found = mutants((ROOT / "generated" / "huber.py").read_text(encoding="utf-8"))
    taken = sampled(found, 60)
    assert len(taken) == 60
    assert taken == sampled(list(reversed(found)), 60)
    for kind in KINDS:
        there, mine = (_of_kind(some, kind) for some in (found, taken))
        assert len(mine) >= min(4, len(there))
        if any(m.in_formula for m in there):
            assert any(m.in_formula for m in mine)


def _of_kind(some: list[Mutant], kind: str) -> list[Mutant]:
    return [mutant for mutant in some if mutant.kind == kind]


def test_no_more_are_taken_than_there_are() -> None:
    found = mutants(function("return a + b"))
    assert len(sampled(found, 100)) == len(found)


ONE = np.array([1.0, np.nan, np.inf], np.float32)
NEXT = np.array([1 + 2.0**-23, np.nan, np.inf], np.float32)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ONE, ONE.copy(), 0.0),
        (ONE, NEXT, 1.0),
        (NEXT, ONE, 1.0),
        (ONE, ONE.astype(np.float64), np.inf),
        (ONE, ONE[:2], np.inf),
        (ONE, np.float32([1, 1, np.inf]), np.inf),
        (ONE, np.float32([1, np.nan, -np.inf]), np.inf),
        (np.float32([0.0]), np.float32([-0.0]), 0.0),
        (np.array([True]), np.array([False]), np.inf),
        (None, ONE, np.inf),
        (None, None, 0.0),
        (None, 0, np.inf),
        (1, True, np.inf),
        (float("nan"), float("nan"), 0.0),
        ("a", "b", np.inf),
        (("raises", "ValueError", "a"), ("raises", "TypeError", "a"), np.inf),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, np.inf),
    ],
)
def test_difference_of_results(one: object, other: object, expected: float) -> None:
    assert difference(one, other)[0] == expected


def test_where_results_differ() -> None:
    one = {"a": 1, "b": ({"c": ONE}, 2)}
    assert difference(one, {"a": 1, "b": ({"c": NEXT}, 2)}) == (1.0, ", b, c")
    assert difference(one, {"a": 2, "b": ({"c": NEXT}, 2)}) == (np.inf, ", a")


def result(kind: str, status: str, *, equivalent: bool = False) -> Result:
    (mutant, *_) = (m for m in mutants(function("return a + b")) if m.kind == "terms")
    mutant = replace(mutant, kind=kind)
    verdict = Verdict(equivalent, IDENTICAL) if status == SURVIVED else None
    return Result("loss", mutant, (), Outcome(status), verdict)


def test_equivalent_mutants_do_not_count() -> None:
    results = [
        result("terms", KILLED),
        result("terms", HANG),
        result("terms", AT_IMPORT),
        result("terms", SURVIVED),
        result("terms", SURVIVED, equivalent=True),
    ]
    tally = Tally.of(results)
    assert tally == Tally(mutants=5, equivalent=1, at_import=1, killed=3, survived=1)
    assert tally.score == 0.75


def test_scores_are_held_to_their_bars() -> None:
    killed = [result("terms", KILLED)] * 39
    # 39 of 40 are enough for a loss, but neither for a kind nor in total.
    below = faults([*killed, result("terms", SURVIVED)])
    assert [line.partition(":")[0] for line in below] == ["total", "terms"]
    assert faults([*killed, result("axis", SURVIVED, equivalent=True)]) == []
    assert len(faults([result("axis", SURVIVED)])) == 3


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda item: item.what)
def test_rewrites_fit_the_modules(rewrite: Rewrite) -> None:
    path = ROOT / "generated" / f"{rewrite.loss}.py"
    text = path.read_text(encoding="utf-8")
    compile(rewrite.applied(text), path.name, "exec")


def test_there_are_a_dozen_rewrites() -> None:
    assert len(REWRITES) >= 12


def test_a_rewrite_that_fits_no_more_is_told() -> None:
    with pytest.raises(ValueError, match="0 times"):
        REWRITES[0].applied("")


def test_the_statement_around_a_change_decides_which_probes_are_run():
    text = (
        "def loss(y_pred, scale=1.0):\n"  # 1, which an import runs
        "    if scale:\n"  # 2
        "        y_pred = (\n"  # 3
        "            y_pred\n"  # 4
        "            * 2\n"  # 5
        "        )\n"  # 6
        "    def gradient(upstream, times=3):\n"  # 7, which a call runs
        "        return upstream\n"  # 8
        "    return gradient\n"  # 9
        "LIMIT = 1\n"  # 10
    )
    expected = {
        range(1, 2): None,
        range(2, 3): range(2, 7),
        range(5, 6): range(3, 7),
        range(3, 8): None,
        range(7, 8): range(7, 9),
        range(8, 9): range(8, 9),
        range(10, 11): None,
    }
    assert {lines: statement_around(text, lines) for lines in expected} == expected


def test_only_what_depends_on_the_prediction_has_a_gradient_to_stop():
    text = function(
        "y_true, y_pred = _inputs(y_true, y_pred)",
        "scale = tf.stop_gradient(tf.abs(y_pred))",
        "scaled = y_true / scale",
        "condition = y_pred < scaled",
        "return tf.where(condition, scaled, tf.square(y_pred))",
    )
    stopped = {item for item in changes(text, "gradient") if "-> tf.stop" in item}
    assert stopped == {"y_pred -> tf.stop_gradient(y_pred)"}
