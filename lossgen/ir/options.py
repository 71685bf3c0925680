"""What the configuration contributes to the generated text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossgen.ir.spec import Text


@dataclass(frozen=True)
class SpecDefaults:
    """Values of the keys that a spec leaves out; what is empty is not set."""

    smoothness: str | None = None
    properties: tuple[Text, ...] = ()
    epsilon: float | None = None
    allow: tuple[tuple[Text, str], ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values without their places, for the fingerprint; none if none is set."""
        values = {
            "smoothness": self.smoothness,
            "properties": [item.value for item in self.properties],
            "epsilon": self.epsilon,
            "allow": [(code.value, reason) for code, reason in self.allow],
        }
        return tuple(f"{key}={value!r}" for key, value in values.items() if value)


NO_DEFAULTS = SpecDefaults()
"""Those of a project that sets none."""


@dataclass(frozen=True)
class Options:
    """Everything from the configuration that shapes the output.

    ``package`` is the Keras registration name; ``module`` the import path that tests
    use, None where a module lies beside its test; ``spec_root`` the folder to which
    spec paths in headers are relative (no part of the fingerprint); ``templates`` the
    template folders, searched in order; ``defaults`` what a spec says that leaves a key
    out.
    """

    package: str
    module: str | None
    spec_root: str
    templates: tuple[str, ...]
    defaults: SpecDefaults = NO_DEFAULTS
