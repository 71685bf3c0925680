"""Jinja as lossgen uses it: strict, and free of logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from jinja2.bccache import Bucket


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
        bytecode_cache=_CODES,
    )
    return environment.get_template(template).render(**context)


def sources(names: Sequence[str], directories: Sequence[str]) -> list[str]:
    """The texts of templates, for the fingerprint of what was generated with them."""
    loader = jinja2.FileSystemLoader(list(directories))
    environment = jinja2.Environment(loader=loader)
    return [loader.get_source(environment, name)[0] for name in names]


class _Codes(jinja2.BytecodeCache):
    """What templates were compiled to, by their source; no two specs need it twice."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


_CODES = _Codes()
