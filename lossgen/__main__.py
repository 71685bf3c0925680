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
        from lossgen.driver.garbage import look_rarely_for_garbage, skip_last_search

        look_rarely_for_garbage()  # from now on: the imports make the most objects

        from lossgen.cli import main as run

        try:
            run()
        finally:
            skip_last_search()
    else:
        print(said)


if __name__ == "__main__":
    main()
