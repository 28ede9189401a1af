"""What the verbs share: errors in one line, warnings, and a progress bar, all on standard error."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
import time
import warnings
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperGroup

from chereme.errors import CheremeError, UsageError
from chereme.formats.escapes import escape, escape_json

if TYPE_CHECKING:
    from rich.progress import Progress

SHOW_AFTER = 2.0  # seconds; shorter work shows no progress
LINE_EVERY = 10.0  # seconds between lines where there is no terminal


class CheremeGroup(TyperGroup):
    """Turns the errors that a user can mend into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                if "" in ctx.args:  # as a path this would be the current folder
                    raise UsageError(
                        "an argument is empty (''): if it comes from a variable of the shell, that "
                        "variable is not set"
                    )
                return super().invoke(ctx)
        except CheremeError as error:
            if debugging():
                raise
            report(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output has gone (as `| head` does). Python would complain once more
            # when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            if debugging():
                raise
            # A file or folder that cannot be written, a full disk: the message names it.
            report(error)
            raise typer.Exit(1) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What the library warns of, without the line of code that noticed it."""
    if issubclass(category, UserWarning):
        say(f"warning: {message}")


def open_streams() -> None:
    """Make standard output and standard error such that anything may be written to them.

    Where they are closed, the next file that is opened would get their place, and what libraries
    print with it. Names of files may have characters that a console's encoding lacks.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def debugging() -> bool:
    """Whether CHEREME_DEBUG=1 asks for tracebacks."""
    return os.environ.get("CHEREME_DEBUG", "0") not in ("", "0")


def tell(line: str) -> None:
    """One line on standard output, whatever names it holds."""
    typer.echo(escape(line))


def tell_json(document: Any) -> None:
    """A JSON document as one line on standard output, in ASCII where that is not UTF-8.

    NaN and infinity, which JSON has not, become null.
    """
    finite = json.loads(json.dumps(document), parse_constant=lambda name: None)
    typer.echo(escape_json(json.dumps(finite, ensure_ascii=not _is_utf8(sys.stdout))))


def _is_utf8(stream: Any) -> bool:
    try:
        return codecs.lookup(stream.encoding).name == "utf-8"
    except (AttributeError, LookupError, TypeError):  # a stream of the user's own
        return False


def say(message: str) -> None:
    """One line on standard error, whatever names it holds."""
    typer.echo(f"chereme: {escape(message)}", err=True)


def report(error: Exception) -> None:
    """An error as one line; indented lines go on the one before."""
    say("error: " + re.sub(r"\s*\n\s+", " ", str(error)))


def warn(source: str, message: str) -> None:
    """A warning about one input."""
    say(f"warning: {source}: {message}")


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """Frames (or other units) done, rate and time left, on standard error, after two seconds.

    A bar that goes away on a terminal; a line every ten seconds elsewhere. It is called with the
    number done and, where known, the number expected.
    """

    def __init__(self, name: str, unit: str = "frames") -> None:
        self.name, self.unit = name, unit
        self._began = self._shown = time.monotonic()
        self._bar: Progress | None = None
        self._task: Any = None

    def __call__(self, done: int, expected: int | None) -> None:
        now = time.monotonic()
        if now - self._began < SHOW_AFTER:
            return
        if sys.stderr.isatty():
            self._show_bar(done, expected)
        elif self._shown == self._began or now - self._shown > LINE_EVERY:
            self._shown = now
            say(self._line(done, expected, now - self._began))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show_bar(self, done: int, expected: int | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(escape(self.name), total=expected, rate=0.0)
        total = expected if expected is None else max(expected, done)
        rate = done / (time.monotonic() - self._began)
        self._bar.update(self._task, completed=done, total=total, rate=rate)

    def _line(self, done: int, expected: int | None, seconds: float) -> str:
        rate = done / seconds
        if expected is None or expected < done:
            return f"{self.name}: {done} {self.unit}, {rate:.0f} a second"
        left = (expected - done) / rate
        return (
            f"{self.name}: {done} of {expected} {self.unit}, {rate:.0f} a second, {left:.0f} s left"
        )
