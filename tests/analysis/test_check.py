import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

SCRIPT = """
from test_smoothness import REFUSED, VERDICTS, checked
for name, case in (*VERDICTS.items(), *REFUSED.items()):
    result, found = checked(case[0], **case[1])
    print(name, result and result.certificate)
    for item in found:
        print(item.code.id, item.message, item.notes, item.help)
"""


def output(seed):
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    environment["PYTHONPATH"] = os.pathsep.join((str(HERE), str(HERE.parents[1])))
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_findings_do_not_depend_on_the_hash_seed():
    first, second = output(1), output(20240229)
    assert len(first) > 1000
    assert first == second
