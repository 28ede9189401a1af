"""The command line: one module per verb, all of them thin.

Text goes to standard output, progress and warnings to standard error. Exit code 0: all done; 1:
some input failed, the others still ran; 2: wrong use.
"""

try:
    from chereme.cli.app import app, main
except KeyboardInterrupt:  # importing takes a moment
    raise SystemExit(130) from None

__all__ = ["app", "main"]
