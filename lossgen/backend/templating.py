"""Jinja as lossgen uses it: strict, and free of logic."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pickle import UnpicklingError
from typing import Any

import jinja2
from jinja2.bccache import Bucket

_SYNTAX: dict[str, Any] = {
    "autoescape": False,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}
"""What templates are read by."""


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
        **_SYNTAX,
        bytecode_cache=_codes(directories[-1]),
    )
    return environment.get_template(template).render(**context)


def sources(names: Sequence[str], directories: Sequence[str]) -> list[str]:
    """The texts of templates, for the fingerprint of what was generated with them."""
    loader = jinja2.FileSystemLoader(list(directories))
    environment = jinja2.Environment(loader=loader)
    return [loader.get_source(environment, name)[0] for name in names]


class _Codes(jinja2.FileSystemBytecodeCache):
    """What templates were compiled to, kept as Python keeps what modules were.

    In memory, and in ``__pycache__`` in the folder of the templates if it can be
    written to. Compiling them took a third of the time that a simple loss needs.
    """

    def __init__(self, folder: str) -> None:
        syntax = sha256(repr(_SYNTAX).encode()).hexdigest()[:8]
        made_by = f"{sys.implementation.cache_tag}-{jinja2.__version__}-{syntax}"
        pattern = f"%s.{made_by}.jinja.cache"
        super().__init__(os.path.join(folder, "__pycache__"), pattern)
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))
        if bucket.code is None:
            with suppress(OSError, EOFError, UnpicklingError):  # or cut short
                super().load_bytecode(bucket)
            self._remember(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._remember(bucket)
        if not sys.dont_write_bytecode:
            with suppress(OSError):  # read-only, or full: it is compiled again
                os.makedirs(self.directory, exist_ok=True)
                super().dump_bytecode(bucket)

    def _remember(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._known[bucket.key, bucket.checksum] = bucket.code


_codes = cache(_Codes)
