"""status.csv: rows as they were written, but for one that was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from chereme.datasets.status import Row, StatusFile, read_status
from chereme.errors import InputError

ROWS = [
    Row("a/b", "train", "done", shard="train-000000.tar", frames=7, seen=5),
    Row('c,"d"\n', "dev", "dropped", "cannot be read", "two\nlines, and a comma"),
    Row("e", "", "dropped", "no label", stage="reader"),
]


def test_rows_come_back(tmp_path: Path) -> None:
    assert read_status(tmp_path) == []
    with StatusFile(tmp_path, ROWS[:1]) as status:
        for row in ROWS[1:]:
            status.add(row)
        assert read_status(tmp_path) == status.rows == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["status.csv"]


def test_a_row_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    with StatusFile(tmp_path, ROWS):
        pass
    path = tmp_path / "status.csv"
    data = path.read_bytes()
    begins = [data.index(start) for start in (b"a/b", b'"c,', b"e,,dropped")]
    for cut in range(begins[0], len(data)):
        path.write_bytes(data[:cut])
        whole = sum(cut >= end for end in begins[1:])
        assert read_status(tmp_path) == ROWS[:whole], data[:cut]


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "status.csv").write_text("id,colour\na,red\n")
    with pytest.raises(InputError, match=r"expected the columns id,split.*'id,colour'"):
        read_status(tmp_path)
    with StatusFile(tmp_path, ROWS[:1]):
        pass
    text = (tmp_path / "status.csv").read_text()
    (tmp_path / "status.csv").write_text(text.replace(",7,5", ",seven,5"))
    with pytest.raises(InputError, match="expected rows of 9 cells"):
        read_status(tmp_path)
