from __future__ import annotations

import pytest
from losses import resolved

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import SourceFile
from lossgen.frontend.reader import read
from lossgen.frontend.resolver import resolve
from lossgen.frontend.schema import read_specs


def mismatches(text: str) -> list[tuple[str, str]]:
    """The places where lengths differ, each with what is said."""
    text = f"name: a_loss\n{text}"
    report = Report()
    (spec,) = read_specs(read(SourceFile("spec.yaml", text), report), report)
    loss = resolve(spec, report)
    assert {item.code.id for item in report} <= {"LG214"}
    assert (loss is None) is report.has_errors
    return [
        (text[item.span.start : item.span.end], item.message)
        for item in report
        if item.span
    ]


MIXTURE = """
y_true: {size: 1}
y_pred:
  channels: {logit: {size: K}, mean: {size: K}, spread: {size: 1, domain: positive}}
"""


@pytest.mark.parametrize(
    "text",
    [
        "loss: y_pred - y_true\n",
        "loss: y_pred - y_true\ny_true: {size: 3}\ny_pred: {size: 3}\n",
        "loss: y_pred - y_true\ny_true: {size: Q}\ny_pred: {size: Q}\n",
        # A declared broadcast, either way
        "loss: y_pred - y_true\ny_true: {size: 1}\ny_pred: {size: Q}\n",
        "loss: y_pred - y_true\ny_true: {size: Q}\ny_pred: {size: 1}\n",
        "loss: y_pred - y_true\ny_true: {size: 1}\n",
        # A collapsed axis has length 1.
        "loss: y_pred - sum(y_true, axis=last)\ny_true: {size: 2}\ny_pred: {size: 3}\n",
        "loss: y_pred - max(y_true, axis=sample)\n"
        "y_true: {size: 2}\ny_pred: {size: 3}\n",
        # Parameters broadcast against what they meet.
        "loss: w * y_pred - y_true\nparams: {w: {shape: last}}\ny_true: {size: 1}\n",
        "loss: w * y_pred - y_true\nparams: {w: {shape: elements}}\n",
        "loss: w * y_pred - y_true\nparams: {w: 1}\n"
        "y_true: {size: 1}\ny_pred: {size: 4}\n",
        # The number that a size stands for has no axis.
        "loss: (y_pred - y_true) / Q\ny_true: {size: 1}\ny_pred: {size: Q}\n",
        "loss: sum(softmax(logit, axis=last) * (mean - y_true) / spread, axis=last)"
        f"{MIXTURE}",
        f"loss: spread * logsumexp(logit + mean, axis=last) - y_true{MIXTURE}",
    ],
)  # fmt: skip
def test_what_fits(text: str) -> None:
    assert mismatches(text) == []


@pytest.mark.parametrize(
    ("text", "place", "lengths"),
    [
        (
            "loss: square(y_pred - y_true)\ny_true: {size: 2}\ny_pred: {size: 3}\n",
            "y_pred - y_true",
            "3 and 2",
        ),
        (
            "loss: y_true * y_pred\ny_true: {size: J}\ny_pred: {size: K}\n",
            "y_true * y_pred",
            "J and K",
        ),
        (
            "loss: y_pred - y_true\ny_true: {size: 2}\n",
            "y_pred - y_true",
            "that of the tensor and 2",
        ),
        # An axis that stays keeps its length.
        (
            "loss: y_pred - sum(y_true, axis=batch)\n"
            "y_true: {size: 2}\ny_pred: {size: 3}\n",
            "y_pred - sum(y_true, axis=batch)",
            "3 and 2",
        ),
        (
            "loss: y_pred + mean(y_true, axis=spatial)\n"
            "y_true: {size: 2}\ny_pred: {size: 3}\n",
            "y_pred + mean(y_true, axis=spatial)",
            "3 and 2",
        ),
        (
            "loss: y_pred * softmax(y_true, axis=last)\n"
            "y_true: {size: 2}\ny_pred: {size: 3}\n",
            "y_pred * softmax(y_true, axis=last)",
            "3 and 2",
        ),
        (
            "loss: where(y_true > 0, y_pred, 0)\n"
            "y_true: {size: 2}\ny_pred: {size: 3}\n",
            "where(y_true > 0, y_pred, 0)",
            "2 and 3",
        ),
        (
            "loss: max(0, a, b) - y_true\ny_true: {size: 1}\n"
            "y_pred: {channels: {a: {size: 2}, b: {size: 4}}}\n",
            "max(0, a, b)",
            "2 and 4",
        ),
        (
            "loss: a + sum(b, axis=last) - y_true\ny_true: {size: 1}\n"
            "assume: a < b\ny_pred: {channels: {a: {size: J}, b: {size: K}}}\n",
            "a < b",
            "J and K",
        ),
        (
            "loss: d * sum(y_pred, axis=last)\nwhere: {d: y_pred - y_true}\n"
            "y_true: {size: 2}\ny_pred: {size: 3}\n",
            "y_pred - y_true",
            "3 and 2",
        ),
    ],
)
def test_what_does_not_fit(text: str, place: str, lengths: str) -> None:
    message = f"last axes of different lengths meet here: {lengths}"
    assert mismatches(text) == [(place, message)]


def test_each_place_is_named() -> None:
    found = mismatches(
        "loss: (a - b) * y_true + (b - c)\ny_true: {size: 1}\n"
        "y_pred: {channels: {a: {size: 2}, b: {size: 3}, c: {size: 4}}}\n"
    )
    assert ("a - b", "last axes of different lengths meet here: 2 and 3") in found
    assert ("b - c", "last axes of different lengths meet here: 3 and 4") in found


TWO = "{channels: {a: {size: J}, b: {size: K}}}"
BOTH = "mean(a, axis=last) + mean(b, axis=last)"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (f"loss: {BOTH}\ny_true: unused\ny_pred: {TWO}\n", [TWO]),
        (f"loss: {BOTH} + y_true\ny_true: {{size: 1}}\ny_pred: {TWO}\n", [TWO]),
        (f"loss: ({BOTH})*mean(y_true, axis=last)\ny_true: {{size: J}}\n"
         f"y_pred: {TWO}\n", []),
        (f"loss: ({BOTH})*mean(y_true, axis=last)\ny_true: {{size: L}}\n"
         f"y_pred: {TWO}\n", [TWO]),
        (f"loss: ({BOTH})*mean(y_pred, axis=last)\ny_true: {TWO}\n"
         "y_pred: {size: K}\n", []),
        (f"loss: ({BOTH})*mean(y_pred, axis=last)\ny_true: {TWO}\n"
         "y_pred: {size: K}\nmask: mean(a, axis=last) > 0\n", [TWO]),
    ],
)  # fmt: skip
def test_sizes_that_no_length_tells(text: str, places: list[str]) -> None:
    message = "nothing tells the sizes `J` and `K` apart"
    assert mismatches(text) == [(place, message) for place in places]


def test_a_parameter_has_the_size_of_what_it_meets() -> None:
    loss = resolved("""
        loss: sum(a*y_pred.part, axis=last) + mean(c*b*y_pred.rest, axis=last) + y_true
        y_true: {size: 1}
        y_pred: {channels: {part: {size: 5}, rest: {size: K}}}
        params: {a: {shape: last}, b: {shape: last}, c: {domain: real}}
    """)
    sizes = {item.name: item.size for item in loss.parameters}
    assert sizes == {"a": 5, "b": "K", "c": None}
