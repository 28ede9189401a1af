"""What ``chereme recognize`` writes of each input, found before anything is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chereme.cli.console import debugging, report, say
from chereme.errors import CheremeError, OutputError, UsageError

FORMS = ("txt", "json", "srt", "vtt", "tsv", "eaf")
ALL = "all"
_DOCUMENTS = (
    *(".csv", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt", ".rtf", ".md", ".pdf", ".html"),
    *(".xml", ".textgrid", ".ass", ".ssa", ".sbv", ".ttml", ".jsonl", ".pose", ".npz"),
)


@dataclass(slots=True)
class Failure:
    """Why a block ended."""

    error: Exception | None = None


@dataclass(slots=True)
class Job:
    """An input with the files that are written of it, by format, its film, and the annotation that
    it goes into.

    ``failed``: there is a file that cannot be written; ``done``: there is nothing to read it for.
    """

    source: Path
    files: dict[str, Path]
    film: Path | None = None
    into: Path | None = None
    failed: bool = False
    done: bool = False

    @contextmanager
    def failing(self) -> Iterator[Failure]:
        """Tells an error that a user can mend, and ends the block: the rest goes on."""
        failure = Failure()
        try:
            yield failure
        except (CheremeError, OSError) as error:
            if isinstance(error, BrokenPipeError) or debugging():
                raise
            report(error)
            failure.error = error
            self.failed = True

    def check(self, *, overwrite: bool, skip_existing: bool) -> None:
        """Leave out what cannot be written, or is there already, and tell so."""
        from chereme.formats.outputs import check_output

        asked = [*self.files.items(), *([] if self.film is None else [("", self.film)])]
        present = 0
        for form, path in asked:
            try:
                if skip_existing and os.path.isfile(path):
                    present += 1
                else:
                    check_output(path, overwrite=overwrite)
                    continue
            except OutputError as error:
                report(error)
                self.failed = True
                present += os.path.isfile(path)
            if form:
                del self.files[form]
            else:
                self.film = None
        if asked and present == len(asked) and self.into is None:
            self.done = True
            if not self.failed:
                files = ", ".join(str(path) for _, path in asked)
                say(f"{self.source}: skipped, as all is there ({files})")


def parse_forms(given: Sequence[str], output: Path | None, inputs: int) -> tuple[str, ...]:
    """The formats that ``--format`` and the name of ``-o`` ask for, or ``("all",)``.

    Raises UsageError for one that does not exist, for more than one output can hold, and for a
    name that says another.
    """
    names = [name.strip().lower() for text in given for name in text.split(",")]
    if unknown := [name for name in names if name not in (*FORMS, ALL)]:
        raise UsageError(
            f"--format: expected some of {', '.join(FORMS)} with commas between, or {ALL}, got "
            f"{unknown[0]!r}"
        )
    forms = (ALL,) if ALL in names else tuple(dict.fromkeys(names))
    if output is not None and is_one_file(output):
        own = output.suffix.lower().removeprefix(".")
        if inputs > 1:
            raise UsageError(
                f"several inputs do not fit one file: expected a folder, got -o {output}"
            )
        if forms not in ((), (own,)):
            raise UsageError(
                f"-o {output} is a file of {own}, but --format says {', '.join(forms)}: leave out "
                "--format, or give a folder"
            )
        return (own,)
    if output is not None:
        _check_folder(output)
    if output is None and (len(forms) > 1 or forms == (ALL,)):
        raise UsageError("several formats do not fit one output: give a folder with -o DIR")
    if output is None and inputs > 1 and forms not in ((), ("txt",), ("json",)):
        raise UsageError(
            f"several inputs as {forms[0]} do not fit one output: give a folder with -o DIR"
        )
    return forms or ("txt",)


def _check_folder(output: Path) -> None:
    """UsageError for a name that looks like that of a file, but is not one that is written."""
    from chereme.video.folders import FILMS, PICTURES

    if output.suffix.lower() in {*_DOCUMENTS, *FILMS, *PICTURES} and not os.path.lexists(output):
        raise UsageError(
            f"-o {output}: expected a folder, or a file that ends in .{', .'.join(FORMS)}; if "
            "it is the name of a folder, make that first"
        )


def is_one_file(output: Path) -> bool:
    """Whether ``-o`` names a file, not a folder."""
    return output.suffix.lower().removeprefix(".") in FORMS and not os.path.isdir(output)


def plan(
    inputs: Sequence[Path], forms: Sequence[str], output: Path | None, overlay: Path | None
) -> list[Job]:
    """What is to be done. Raises UsageError for films that cannot be."""
    from chereme.formats.transcripts import output_sets
    from chereme.recognition.overlay import overlay_paths

    if output is None:
        files: list[list[Path]] = [[] for _ in inputs]
    elif is_one_file(output):
        files = [[output]]
    else:
        files = output_sets(inputs, output, forms)
    films = overlay_paths(list(inputs), overlay) if overlay else [None for _ in inputs]
    return [
        Job(source, dict(zip(forms if paths else (), paths, strict=True)), film)
        for source, paths, film in zip(inputs, files, films, strict=True)
    ]
