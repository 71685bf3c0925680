"""What the configuration contributes to the generated text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Everything from the configuration that shapes the output.

    ``package`` is the Keras registration name; ``module`` the import path that tests
    use, None where a module lies beside its test; ``spec_root`` the folder to which
    spec paths in headers are relative (no part of the fingerprint); ``templates`` the
    template folders, searched in order.
    """

    package: str
    module: str | None
    spec_root: str
    templates: tuple[str, ...]
