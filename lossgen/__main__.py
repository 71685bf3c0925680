"""``lossgen`` and ``python -m lossgen``: the command line.

A build with nothing to do ends here: what it would say is known before the command line
is imported, which takes longer than all of the rest.
"""

import sys

from lossgen.driver.replay import replay


def main() -> None:
    """Run the command line."""
    said = replay(sys.argv[1:])
    if said is None:
        from lossgen.driver.garbage import look_rarely_for_garbage

        look_rarely_for_garbage()  # from now on: the imports make the most objects

        from lossgen.cli import main as run

        run()
    else:
        print(said)


if __name__ == "__main__":
    main()
