"""Docstrings and comments of the generated module.

Text from a spec is untrusted: nothing in it may end a docstring or a comment.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from lossgen.analysis.slopes import is_sampled
from lossgen.analysis.spelling import spell_symbol
from lossgen.backend.shape import Shape
from lossgen.ir.expr import Number, Role
from lossgen.ir.loss import Certificate, Loss, Variable
from lossgen.ir.program import Guard, LossProgram

_WIDTH = 88


def safe(text: str) -> str:
    """Text that can stand inside a triple-quoted docstring."""
    printable = "".join(
        char if char.isprintable() or char == "\n" else " " for char in text
    )
    return printable.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def paragraph(text: str, indent: int) -> list[str]:
    """Wrap one paragraph of safe text at the line length."""
    words = " ".join(text.split())
    return textwrap.wrap(
        words,
        width=_WIDTH - indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def item(name: str, text: str, indent: int) -> list[str]:
    """Wrap one entry of an ``Args:`` section; further lines are indented."""
    lines = textwrap.wrap(
        f"{name}: {' '.join(text.split())}",
        width=_WIDTH - indent - 4,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"    {line}" for line in lines]


def title(loss: Loss) -> str:
    """The loss's title, without a full stop."""
    text = loss.spec.title or loss.name.replace("_", " ").capitalize()
    return safe(" ".join(text.split()).rstrip("."))


def module_docstring(loss: Loss) -> list[str]:
    """Title, description and references."""
    head = title(loss)
    lines = [f"{head}, as a function and as a Keras loss."]
    if len(lines[0]) + 3 > _WIDTH:
        lines = [f"{loss.class_name}, as a function and as a Keras loss.", ""]
        lines += paragraph(f"{head}.", 0)
    if loss.spec.description:
        for part in safe(loss.spec.description).split("\n\n"):
            lines += ["", *paragraph(part, 0)]
    references = [safe(text) for text in loss.spec.references]
    if len(references) == 1:
        lines += ["", *paragraph(f"Reference: {references[0]}", 0)]
    elif references:
        lines += ["", "References:"]
        for text in references:
            wrapped = textwrap.wrap(
                text,
                _WIDTH - 6,
                break_long_words=False,
                break_on_hyphens=False,
            )
            lines += [f"    {line}" for line in wrapped]
    return lines


def function_docstring(program: LossProgram, shape: Shape) -> list[str]:
    """Formula, limits, arguments, result and errors of the function."""
    loss = program.checked.loss
    lines = [_summary(loss), "", *_formula(loss, shape)]
    for text in _remarks(program):
        lines += ["", *paragraph(text, 4)]
    lines += ["", "Args:", *arguments(loss)]
    lines += ["", "Returns:", *_section(_returns(loss, shape)), "", "Raises:"]
    lines += _raises(loss)
    return lines


def arguments(loss: Loss) -> list[str]:
    """The entries of the function's ``Args:`` section."""
    lines = item("y_true", _y_true(loss), 4) + item("y_pred", _y_pred(loss), 4)
    return lines + parameter_arguments(loss)


def parameter_arguments(loss: Loss) -> list[str]:
    """The entries for the parameters and ``from_logits``."""
    lines: list[str] = []
    for variable in loss.parameters:
        lines += item(variable.name, _parameter(variable), 4)
    if loss.spec.y_pred.logits:
        lines += item("from_logits", "Whether y_pred holds logits.", 4)
    return lines


def _section(text: str) -> list[str]:
    return [f"    {line}" for line in paragraph(text, 8)]


def _summary(loss: Loss) -> str:
    text = f"Computes the {_lower_first(title(loss))} of each sample."
    return text if len(text) + 7 <= _WIDTH else "Computes the loss of each sample."


def _lower_first(text: str) -> str:
    """Lower the first letter of an ordinary word; names and acronyms keep theirs."""
    word = text.partition(" ")[0]
    return text[:1].lower() + text[1:] if word[1:].islower() else text


def _code(text: str) -> str:
    return f"`{safe(' '.join(text.split()))}`"


def _formula(loss: Loss, shape: Shape) -> list[str]:
    spec = loss.spec
    text = _code(spec.loss.value)
    if spec.where:
        named = [
            f"`{label.value} = {safe(' '.join(value.value.split()))}`"
            for label, value in spec.where
        ]
        text += f" with {_listed(named)}"
    if spec.mask is not None:
        text += f", over the elements where {_code(spec.mask.value)}"
    if shape.averaged:
        text += ", averaged over the last axis"
    return paragraph(f"{text}.", 4)


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def _remarks(program: LossProgram) -> Iterable[str]:
    loss, certificate = program.checked.loss, program.checked.certificate
    if program.needs_one_hot:
        yield "Labels are spread to one-hot rows, a number for each sample and class."
    for guard in program.guards:
        variable = loss.variable(guard.prediction.name)
        name = variable.channel or variable.name
        yield (
            f"Where {name} is {_beyond(guard, variable)}, value and gradient are those "
            "at that point, and finite."
        )
    for kink in certificate.kinks:
        if kink.order == 0 and kink.left is None:
            yield f"May jump where `{safe(kink.at)}`."
        elif kink.order == 0:
            yield f"Jumps at `{safe(kink.at)}`."
        elif kink.left is None or kink.right is None:
            yield f"May have a kink where `{safe(kink.at)}`."
        elif is_sampled(kink.left) or is_sampled(kink.right):
            yield (
                f"Not differentiable at `{safe(kink.at)}`: the data decide about the "
                "derivative on either side."
            )
        elif kink.order == 1:
            yield (
                f"Not differentiable at `{safe(kink.at)}`: the derivative is "
                f"{safe(kink.left)} on the left and {safe(kink.right)} on the right."
            )
    yield from _exactness(program)
    if loss.assume:
        texts = [_code(text.value) for text in loss.spec.assume]
        yield f"Assumes, without a check, that {_listed(texts)}."
    yield from _properties(loss, certificate)


def _exactness(program: LossProgram) -> Iterable[str]:
    """Up to which size of the inputs results are exact to rounding."""
    size, loss = program.exact_to, program.checked.loss
    if size is None:
        return
    names = [
        item.name
        for item in loss.of_role(Role.Y_TRUE, Role.Y_PRED)
        if _may_be_large(item)
    ]
    shown = dict(program.reach or ((name, size) for name in names))
    sizes = sizes_text((name, min(size, limit)) for name, limit in shown.items())
    held = " (default parameters)" if loss.parameters else ""
    yield f"In float32 exact to rounding{f' for {sizes}' if sizes else ''}{held}."


def _may_be_large(variable: Variable) -> bool:
    domain = variable.domain
    return domain.lower.value is None or domain.upper.value is None


def sizes_text(reach: Iterable[tuple[str, float]]) -> str:
    """The sizes of the inputs in words."""
    by_size: dict[float, list[str]] = {}
    for name, size in sorted(reach, key=lambda item: -item[1]):
        by_size.setdefault(size, []).append(spell_symbol(name))
    parts = [
        f"{'inputs' if len(by_size) == 1 else _listed(names)} up to {_power(size)}"
        for size, names in by_size.items()
    ]
    return f"{', '.join(parts)} in size" if parts else ""


def _power(size: float) -> str:
    return f"1e{round(math.log10(size))}" if size > 1e3 else f"{size:g}"


def _properties(loss: Loss, certificate: Certificate) -> Iterable[str]:
    """What was proved of the loss."""
    proved = {
        item.name: item for item in certificate.properties if item.status == "proved"
    }
    words = [_PROPERTIES[name] for name in proved if name in _PROPERTIES]
    if words:
        yield f"The loss is {_listed(words)}."
    if "bounded_gradient" in proved:
        held = " as a probability" if loss.spec.y_pred.logits else ""
        bound = _code(proved["bounded_gradient"].bound or "")
        yield f"The derivative by each element of y_pred{held} is {bound} at most."
    centres = [_CENTRES[name] for name in proved if name in _CENTRES]
    if centres:
        yield f"Its expectation is least where y_pred is {' or '.join(centres)}."


_PROPERTIES = {
    "nonnegative": "nonnegative",
    "zero_at_target": "0 where y_pred = y_true",
    "convex": "convex in y_pred",
    "symmetric": "symmetric in y_true and y_pred",
}

_CENTRES = {
    "mean_consistent": "the mean of y_true",
    "proper": "the probabilities of the labels (a proper scoring rule)",
}


def _beyond(guard: Guard, variable: Variable) -> str:
    """Says where the guard points of a prediction lie, and on which side it counts."""
    parts = []
    for point, end, word in (
        (guard.low, variable.domain.lower, "below"),
        (guard.high, variable.domain.upper, "above"),
    ):
        if isinstance(point, Number):
            parts.append(f"{word} {float(point.value):.9g}")
        elif point is not None:
            other = "above" if word == "below" else "below"
            parts.append(f"{word} the number next {other} {end.approx:g}")
    return " or ".join(parts)


def domain_words(variable: Variable) -> str:
    """A domain in the words of a docstring."""
    domain = variable.domain
    words = {
        "real": "real",
        "positive": "positive",
        "nonnegative": "nonnegative",
        "probability": "in (0, 1)",
        "unit": "in [0, 1]",
        "binary": "0 or 1",
        "sign": "-1 or 1",
        "count": "whole numbers from 0 on",
        "one_hot": "one-hot over the last axis",
        "simplex": "nonnegative with sum 1 over the last axis",
    }
    text = safe(" ".join(domain.text.split()))
    return words.get(
        text, f"`{text}`" if any(c in text for c in "<>=") else f"in {text}"
    )


def _y_true(loss: Loss) -> str:
    tensor = loss.spec.y_true
    if tensor.unused:
        return (
            "Ignored. The loss has no target, but `fit` wants one: pass zeros, one for "
            "each sample."
        )
    described = (
        f"{safe(tensor.description).rstrip('.')}; " if tensor.description else ""
    )
    if tensor.sparse:
        left_out = "" if tensor.ignore is None else f", or {tensor.ignore} to ignore"
        return (
            f"{described or 'Labels, '}class indices{left_out}, of shape "
            "`y_pred.shape[:-1]` up to a trailing 1."
        )
    variables = loss.of_role(Role.Y_TRUE)
    if tensor.channels:
        return f"{described or 'Targets; '}{_channels(variables)} along the last axis."
    domain = domain_words(variables[0])
    masked = "" if loss.mask is None else " where the mask keeps them"
    shape = (
        "of the shape of y_pred up to a trailing 1"
        if variables[0].size == loss.of_role(Role.Y_PRED)[0].size
        else f"with a last axis of length {variables[0].size}"
        if variables[0].size is not None
        else "of the shape of one channel"
    )
    return f"{described or 'Targets, '}{domain}{masked}, {shape}."


def _channels(variables: Sequence[Variable]) -> str:
    parts = []
    for variable in variables:
        size = f" ({variable.size})" if variable.size is not None else ""
        described = (
            f", {safe(variable.description).rstrip('.')}"
            if variable.description
            else ""
        )
        parts.append(f"{variable.channel}{size}, {domain_words(variable)}{described}")
    return "; ".join(parts)


def _y_pred(loss: Loss) -> str:
    tensor = loss.spec.y_pred
    variables = loss.of_role(Role.Y_PRED)
    described = (
        f"{safe(tensor.description).rstrip('.')}; " if tensor.description else ""
    )
    shape = "of shape (batch, ..., features) or (batch,)"
    if tensor.channels:
        return (
            f"{described or 'Predictions; '}{_channels(variables)}, one after the "
            "other along the last axis."
        )
    text = f"{described or 'Predictions, '}{domain_words(variables[0])}"
    if tensor.logits:
        return (
            f"{text}, or logits, {shape}. Logits that Keras attached to a "
            f"{tensor.logits} output are used in place of the probabilities."
        )
    return f"{text}, {shape}."


def _parameter(variable: Variable) -> str:
    text = safe(variable.description or "Parameter").rstrip(".")
    shapes = {
        "last": ", one value per class or one for all",
        "elements": ", broadcast against y_pred",
    }
    return f"{text}, {domain_words(variable)}{shapes.get(variable.shape, '')}."


def _returns(loss: Loss, shape: Shape) -> str:
    words = {
        "elements": "of the shape of one channel of y_pred"
        if loss.spec.y_pred.channels
        else "of the shape of y_pred",
        "rows": "of shape `y_pred.shape[:-1]`",
        "batch": "of shape (batch,)",
    }
    text = f"The values, {words[shape.kind]}"
    if shape.repeated:
        text += ", one and the same for the whole batch (of a replica)"
    if shape.masked:
        text += ", 0 where nothing is kept, with that mask attached for Keras"
    text += "; in float32 or, for a y_pred of float64, in float64."
    if not loss.spec.y_true.unused and not loss.spec.y_true.gradient:
        text += " y_true receives no gradient."
    return text


def _raises(loss: Loss) -> list[str]:
    lines = item("TypeError", "If y_true or y_pred is ragged or sparse.", 4)
    return lines + item(
        "ValueError",
        "If the shapes do not match; `tf.errors.InvalidArgumentError` if that shows "
        "only when the graph runs.",
        4,
    )
