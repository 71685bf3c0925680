"""What a plan says of the files: the findings of ``build`` and of ``--check``."""

from __future__ import annotations

from lossgen.diagnostics.diagnostic import Diagnostic, diagnostic
from lossgen.driver.output import Change, OutputPlan, State

_BLOCKING = {
    State.EDITED: (
        "LG501",
        "edited by hand",
        "move the change into the spec; --diff shows it, --force overwrites it",
    ),
    State.FOREIGN: (
        "LG502",
        "not written by lossgen",
        "move it away, rename the loss, or overwrite it with --force",
    ),
}
_DRIFT = {
    **_BLOCKING,
    State.UPDATE: ("LG503", "out of date", "run `lossgen build`"),
    State.CREATE: ("LG504", "missing", "run `lossgen build`"),
    State.ORPHAN: ("LG505", "orphaned", "run `lossgen build --prune`"),
}


def find_drift(plan: OutputPlan) -> tuple[Diagnostic, ...]:
    """A finding for each file that is not what the specs say."""
    return tuple(_finding(change, *_DRIFT[change.state]) for change in plan.of(*_DRIFT))


def find_blocked(plan: OutputPlan) -> tuple[Diagnostic, ...]:
    """A finding for each file that a build leaves alone unless forced."""
    return tuple(
        _finding(change, *_BLOCKING[change.state]) for change in plan.of(*_BLOCKING)
    )


def _finding(change: Change, code: str, what: str, way_out: str) -> Diagnostic:
    message = f"{change.shown} is {what}"
    if change.state is State.ORPHAN:
        message += f": no loss in {change.origin} writes it"
        if change.edited:
            message += ", and it was edited by hand"
            way_out = "remove it, or take over its header"
    return diagnostic(code, message, path=change.shown, help=way_out)
