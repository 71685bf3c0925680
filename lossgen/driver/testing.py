"""``lossgen test``: the generated tests of specs, run by pytest.

In a process of its own: TensorFlow is no part of lossgen, and pytest reads the
configuration of the project that it is started in.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lossgen.diagnostics.diagnostic import Report
from lossgen.driver.boundary import FINE, PROBLEMS, WRONG_USAGE
from lossgen.driver.discovery import Selection, UsageError, read_spec
from lossgen.driver.project import Project
from lossgen.frontend.reader import read
from lossgen.frontend.schema import read_specs

_EXIT_CODES = {0: FINE, 4: WRONG_USAGE}


def find_tests(
    project: Project, selection: Selection, report: Report
) -> tuple[Path, ...]:
    """The test files of specs.

    Args:
        project: Says where tests are.
        selection: The specs.
        report: Takes the faults of specs that cannot be read; these have no tests.

    Raises:
        UsageError: If a loss has no test file: it was not built yet.
    """
    names = [
        spec.name.value
        for file in selection.files
        for spec in read_specs(read(read_spec(file), report), report, project.defaults)
    ]
    found = [project.tests / f"test_{name}.py" for name in names]
    missing = [path for path in found if not path.is_file()]
    if missing and not report.has_errors:
        shown = ", ".join(project.relative(path) for path in missing)
        raise UsageError(f"no such test: {shown}; `lossgen build` writes it")
    return tuple(found)


def run_tests(files: Sequence[Path]) -> int:
    """Run test files and return the exit code of the command.

    Raises:
        UsageError: If pytest is not installed beside lossgen.
    """
    if importlib.util.find_spec("pytest") is None:
        raise UsageError(f"pytest is not installed for {sys.executable}")
    command = [sys.executable, "-m", "pytest", *map(str, files)]
    return _EXIT_CODES.get(subprocess.run(command, check=False).returncode, PROBLEMS)
