"""Jinja as lossgen uses it: strict, and free of logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2


def render(
    template: str, context: Mapping[str, Any], directories: Sequence[str]
) -> str:
    """Place a context in a template.

    Args:
        template: The template's file name.
        context: What the template places.
        directories: Where templates lie; the first that has it wins.

    Raises:
        jinja2.TemplateError: If the template is faulty or asks for what is not there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(list(directories)),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**context)


def sources(names: Sequence[str], directories: Sequence[str]) -> list[str]:
    """The texts of templates, for the fingerprint of what was generated with them."""
    loader = jinja2.FileSystemLoader(list(directories))
    environment = jinja2.Environment(loader=loader)
    return [loader.get_source(environment, name)[0] for name in names]
