"""The command line: arguments to driver to exit code.

The driver is imported inside the commands, so that ``lossgen --help`` imports neither
SymPy nor Black nor NumPy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lossgen.driver.formats import Format

_Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Specs or folders of specs."),
]
_Format = Annotated[Format, typer.Option("--format", help="How findings are printed.")]
_Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Number of processes; by default as many as pay off."),
]
_NoCache = Annotated[
    bool,
    typer.Option("--no-cache", help="Compile every spec, changed or not."),
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compiles specs of loss functions to Keras modules and their tests.",
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A console that lacks a character is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="lossgen")


def _print_version(asked: bool) -> None:
    if asked:
        from lossgen.driver.version import version

        print(f"lossgen {version()}")
        raise typer.Exit


def _import_path(value: str | None) -> str | None:
    from lossgen.driver.project import is_import_path

    if value is not None and not is_import_path(value):
        raise typer.BadParameter("must be an import path such as mypackage.losses")
    return value


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def build(
    paths: _Paths = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail on any drift.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where modules go.")
    ] = None,
    tests: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where tests go.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE",
            callback=_import_path,
            help="How tests import the modules, such as mypackage.losses.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what was edited by hand.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove unedited orphans.")
    ] = False,
    templates: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Templates, searched first."),
    ] = None,
    no_cache: _NoCache = False,
    jobs: _Jobs = None,
    format_: _Format = Format.TEXT,
) -> None:
    """Compile specs and write modules and tests."""

    def action() -> int:
        from lossgen.driver import commands
        from lossgen.driver.build import BuildMode
        from lossgen.driver.project import Overrides

        return commands.run_build(
            paths or (),
            BuildMode(check=check, dry=diff, force=force, prune=prune),
            Overrides(out, tests, tuple(templates or ()), module),
            with_diff=diff,
            cached=not no_cache,
            jobs=jobs,
            format_=format_,
        )

    _exit(action, format_)


@app.command()
def check(
    paths: _Paths = None,
    no_cache: _NoCache = False,
    jobs: _Jobs = None,
    format_: _Format = Format.TEXT,
) -> None:
    """Check specs: all that a build would find. Writes nothing."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_check(
            paths or (), cached=not no_cache, jobs=jobs, format_=format_
        )

    _exit(action, format_)


@app.command("test")
def run_generated_tests(paths: _Paths = None) -> None:
    """Run the generated tests, with pytest."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_test(paths or ())

    _exit(action)


@app.command()
def show(
    spec: Annotated[str, typer.Argument(help="A file, or the name of a loss.")],
    stage: Annotated[
        str | None, typer.Option(help="Print the result of this stage.")
    ] = None,
) -> None:
    """Show one loss: its formula and what is known of it."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_show(spec, stage)

    _exit(action)


@app.command()
def optimize(
    spec: Annotated[str, typer.Argument(help="A file, or the name of a loss.")],
    budget: Annotated[
        int, typer.Option(min=1, help="How many forms to measure at most.")
    ] = 400,
    always: Annotated[
        bool, typer.Option("--always", help="Search even where all is good enough.")
    ] = False,
    format_: _Format = Format.TEXT,
) -> None:
    """Search for a more accurate form, and name the rule that is missing."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_optimize(
            spec, budget=budget, always=always, format_=format_
        )

    _exit(action, format_)


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(help="Such as LG301; none lists them all.")
    ] = None,
) -> None:
    """Explain a diagnostic: what it means, why it matters, the way out."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_explain(code)

    _exit(action)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of the loss, in snake_case.")],
    model: Annotated[
        str | None,
        typer.Option("--from", metavar="CATALOGUE", help="Copy this loss."),
    ] = None,
) -> None:
    """Write a commented spec to start from."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_new(name, model)

    _exit(action)


@app.command("list")
def list_(jobs: _Jobs = None, format_: _Format = Format.TEXT) -> None:
    """List the catalogue: name, family, verdict, properties."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_list(jobs=jobs, format_=format_)

    _exit(action, format_)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a spec, for editors."""

    def action() -> int:
        from lossgen.driver import commands

        return commands.run_schema()

    _exit(action)


def _exit(action: Callable[[], int], format_: Format = Format.TEXT) -> NoReturn:
    from lossgen.driver.boundary import guard

    raise typer.Exit(guard(action, format_))
