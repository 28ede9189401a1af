"""Tables as people and spreadsheets make them: CSV with any line ends and quoted separators.

Excel writes semicolons where the comma is the decimal sign, and tabs in UTF-16 as "Unicode text".
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from chereme.errors import InputError
from chereme.formats.files import read_file

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAX_BYTES = 64 << 20  # a million rows
_SEPARATORS = ",;\t"
# Excel fills its rows up with separators; other programs quote what holds one.
_NAMED = re.compile(rf' *"?sep=([{_SEPARATORS}])"?[ {_SEPARATORS}]*', re.IGNORECASE)


def read_rows(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that are not blank, each with the line that it begins on.

    Cells come as they are written. Columns are separated by that of comma, semicolon and tab which
    is the most frequent in the first row, or that a first line ``sep=;`` names. The text is UTF-8,
    or UTF-16 or UTF-32 with a byte-order mark. Raises InputError if the file cannot be read, is of
    another encoding, or has a quote that does not end (which would swallow the rows after it);
    LimitError above 64 MiB.
    """
    path = Path(path)
    try:
        data = read_file(path, MAX_BYTES)
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
        if encoding == "utf-8-sig" and b"\0" in data[:4]:
            raise InputError(
                f"{path}: expected UTF-8 text, got zero bytes, as in UTF-16 without a byte-order "
                "mark; save the table as CSV in UTF-8"
            )
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected UTF-8 text, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save the table as CSV in UTF-8"
        ) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    named = _NAMED.fullmatch(first)
    separator = named[1] if named else _most_frequent(first)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1  # of the row's beginning; quoted cells may hold line ends
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if not named:
                    yield line, cells
                named = None  # the row that names the separator is no row of the table
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: expected CSV, got a bad row ({error})") from error


def _most_frequent(header: str) -> str:
    bare = re.sub('"[^"]*"', "", header)
    return max(_SEPARATORS, key=bare.count)  # the comma, where none is more frequent
