"""What ``lossgen show`` prints: one loss, or the result of one stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lossgen.analysis.overflow import ELEMENTS
from lossgen.analysis.ranges import range_of
from lossgen.analysis.spelling import spell, spell_symbol
from lossgen.backend.prose import sizes_text
from lossgen.calculus.differentiate import directional_derivative
from lossgen.driver.catalogue import catalogue_files
from lossgen.driver.discovery import UsageError, find_specs, read_spec
from lossgen.driver.outcome import summarize
from lossgen.driver.outline import outline
from lossgen.driver.project import Project
from lossgen.driver.summary import certificate_lines
from lossgen.frontend.reader import document_of
from lossgen.ir.expr import ONE, Apply, Role, Symbol, walk
from lossgen.oracle.accuracy import Measured
from lossgen.oracle.evaluation import on_logits
from lossgen.transform.forms import FORMS
from lossgen.transform.rules import RULES

if TYPE_CHECKING:
    from lossgen.compiler import Compilation
    from lossgen.diagnostics.source import SourceFile
    from lossgen.ir.loss import Loss, Variable
    from lossgen.ir.program import LossProgram
    from lossgen.ir.spec import LossSpec, TensorSpec

STAGES: dict[str, Callable[[Compilation], str]] = {
    "read": lambda item: outline(item.spec),
    "resolve": lambda item: outline(item.checked.loss if item.checked else None),
    "check": lambda item: outline(item.checked.certificate if item.checked else None),
    "lower": lambda item: outline(item.program),
    "reference": lambda item: outline(item.table),
    "module": lambda item: _artifact(item, "module"),
    "test": lambda item: _artifact(item, "test"),
}
"""What ``--stage`` takes, in the order of the compiler."""


def find_spec(project: Project, spec: str) -> SourceFile:
    """A spec file, or the loss of a name among the project's or the catalogue's.

    Of a file with several losses only the one of that name is kept, at its place. A
    file of the project may go by its own name, too.

    Raises:
        UsageError: If there is none.
        SpecError: With LG110, if a file cannot be read.
    """
    if Path(spec).is_file():
        return read_spec(find_specs(project, [Path(spec)]).files[0])
    present = [path for path in project.specs if path.exists()]
    own = find_specs(project, present).files if present else ()
    for file in (*own, *catalogue_files()):
        source = read_spec(file)
        if spec in source.text:
            alone = document_of(source, spec)
            if alone is not None:
                return alone
    for file in own:
        if file.path.stem == spec:
            return read_spec(file)
    hint = "give a file, or the `name` of a loss in the configured specs"
    raise UsageError(f"no loss {spec}; {hint}")


def show(compilation: Compilation, spec_path: str, stage: str | None = None) -> str:
    """One loss in words, or what one stage made of it.

    Raises:
        UsageError: If there is no such stage.
    """
    if stage is None:
        return _portrait(compilation, spec_path)
    if stage not in STAGES:
        raise UsageError(f"no stage {stage}; there are {', '.join(STAGES)}")
    return STAGES[stage](compilation)


def _artifact(compilation: Compilation, kind: str) -> str:
    return "".join(item.text for item in compilation.artifacts if item.kind == kind)


def _portrait(compilation: Compilation, spec_path: str) -> str:
    if compilation.spec is None:
        return ""
    lines = [
        *_formula_lines(compilation.spec),
        "",
        *certificate_lines(summarize(spec_path, compilation), details=True),
        *_analysis_lines(compilation),
    ]
    return "".join(f"{line}\n" for line in lines)


def _analysis_lines(compilation: Compilation) -> list[str]:
    if compilation.checked is None or compilation.program is None:
        return []
    loss = compilation.checked.loss
    lines = ["", f"  range: {range_of(loss.expression, loss)}"]
    for variable in loss.of_role(Role.Y_PRED):
        lines.append(f"  {_derivative(loss, variable)}")
    return [*lines, "", *_rewriting_lines(loss, compilation.program)]


def _rewriting_lines(loss: Loss, program: LossProgram) -> Iterator[str]:
    """The rules that fired, those declined, and what both come to."""
    reasons = {rule.name: rule.reason for rule in RULES}
    reasons |= {form.name: form.reason for form in FORMS}
    yield f"  rules that fired: {'' if program.rules else 'none'}".rstrip()
    for name in program.rules:
        yield f"    {name}: {reasons[name]}"
    if program.declined:
        yield "  rules that were declined:"
    for item in program.declined:
        yield f"    {item.rule}: with it {item.used}; without {item.unused}"
    if any(
        isinstance(form, Apply) and form.op == "with_slopes"
        for form in (program.stable, program.stable_logits)
    ):
        yield "  the gradient is computed in closed form: reverse mode loses its digits"
    yield from _reach_lines(program)
    yield "  largest errors in float32, on points of the whole domain:"
    measure = Measured(loss, logits=False)
    yield f"    as written: {measure(loss.expression)}"
    yield f"    as computed: {measure(program.stable)}"
    if program.stable_logits is not None:
        measure = Measured(loss, logits=True)
        yield f"    as written, from logits: {measure(on_logits(loss))}"
        yield f"    as computed, from logits: {measure(program.stable_logits)}"


def _reach_lines(program: LossProgram) -> Iterator[str]:
    """Up to which size of the inputs nothing overflows."""
    for block, of in ((program.body, ""), (program.logits, ", from logits")):
        if block is None:
            continue
        if block.reach is None:
            yield f"  an operation of float32 may overflow{of}"
        else:
            sizes = sizes_text(block.reach)
            yield (
                f"  nothing overflows in float32{of} for {sizes}{' and ' * bool(sizes)}"
                f"reductions of up to {ELEMENTS:,} elements (default parameters)"
            )


def _derivative(loss: Loss, variable: Variable) -> str:
    """The derivative, or where elements are tied to one another, along a direction."""
    name = spell_symbol(variable.name)
    tied = any(isinstance(n, Apply) and n.axis for n in walk(loss.expression))
    direction = Symbol(f"d_{name}", Role.DERIVED) if tied else ONE
    change = directional_derivative(loss.expression, {variable.symbol: direction}, loss)
    along = f" along d_{name}" if tied else ""
    return f"derivative by {name}{along}: {spell(change)}"


def _formula_lines(spec: LossSpec) -> list[str]:
    lines = [spec.title or spec.name.value]
    lines += [f"  {reference}" for reference in spec.references]
    lines += ["", f"  loss = {' '.join(spec.loss.value.split())}"]
    for name, text in spec.where:
        lines.append(f"    {name.value} = {' '.join(text.value.split())}")
    lines += [f"  y_true: {_tensor(spec.y_true)}", f"  y_pred: {_tensor(spec.y_pred)}"]
    for item in spec.params:
        domain = item.domain.value if item.domain else "real"
        default = "" if item.default is None else f", default {item.default}"
        lines.append(f"  {item.name.value}: {domain}{default}")
    return lines


def _tensor(tensor: TensorSpec) -> str:
    if tensor.unused:
        return "unused"
    if tensor.channels:
        return ", ".join(
            f"{item.name.value} {item.domain.value if item.domain else 'real'}"
            for item in tensor.channels
        )
    return tensor.domain.value if tensor.domain else "real"
