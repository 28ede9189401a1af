"""``python -m chereme``: the command ``chereme``."""

from chereme.cli import main

if __name__ == "__main__":
    main()
