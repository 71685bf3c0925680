"""The verdict on each loss of ``tests/cases/verdicts`` and the time that it takes.

python benchmarks/verdicts.py
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print the table."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from verdict_cases import load, timed

    cases = load()
    timed(cases[0])  # what is imported at first use is no part of a loss's time
    times = []
    wrong = 0
    print(f"{'family':<22} {'loss':<40} {'verdict':<30} {'ms':>6}")
    for case in cases:
        given, seconds = timed(case)
        times.append(seconds)
        right = case.expected.agrees(given)
        wrong += not right
        verdict = " ".join((given.verdict, ", ".join(given.codes))).strip()
        if given.kinks:
            verdict += f", {len(given.kinks)} kink{'s' * (len(given.kinks) > 1)}"
        note = "" if right else "  WRONG"
        print(
            f"{case.family:<22} {case.name:<40} {verdict:<30}"
            f" {1000 * seconds:>6.0f}{note}"
        )
    print(
        f"{len(cases)} losses, {len(cases) - wrong} right, {wrong} wrong; "
        f"median {1000 * statistics.median(times):.0f} ms, "
        f"max {1000 * max(times):.0f} ms, total {sum(times):.1f} s"
    )


if __name__ == "__main__":
    main()
