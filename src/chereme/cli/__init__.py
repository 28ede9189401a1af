"""The command line: one module per verb, all of them thin.

Text goes to standard output, progress and warnings to standard error. Exit code 0: all done; 1:
some input failed, the others still ran; 2: wrong use.
"""

from chereme.cli.app import app, main

__all__ = ["app", "main"]
