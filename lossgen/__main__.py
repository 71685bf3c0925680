"""``python -m lossgen``, the command line."""

from lossgen.cli import main

if __name__ == "__main__":
    main()
