"""CSV tables as people make them: with or without byte-order mark, any line ends, quoted commas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from chereme.errors import InputError
from chereme.formats.files import read_file


def read_rows(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV table that are not blank, each with the line that it begins on.

    Cells come as they are written. Raises InputError if the file cannot be read, is not UTF-8, or
    has a quote that does not end (which would swallow the rows after it).
    """
    path = Path(path)
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected UTF-8 text, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save the table as CSV in UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1  # of the row's beginning; quoted cells may hold line ends
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: expected CSV, got a bad row ({error})") from error
