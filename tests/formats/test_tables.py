import pytest

from chereme.errors import InputError, LimitError
from chereme.formats.tables import MAX_BYTES, read_rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_with_the_lines_they_begin_on(tmp_path, encoding, end):
    lines = ["", "a, b", ",", '"two', 'lines, ""x""",c', "\N{GREEK SMALL LETTER ALPHA},"]
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(lines).encode(encoding))
    assert list(read_rows(path)) == [
        (2, ["a", " b"]),
        (4, [f'two{end}lines, "x"', "c"]),
        (6, ["\N{GREEK SMALL LETTER ALPHA}", ""]),
    ]


def test_a_quote_that_does_not_end_is_an_error(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\nc,"d\ne,f\n')
    with pytest.raises(InputError, match=r"t\.csv, line 2: expected CSV"):
        list(read_rows(path))


def test_other_encodings_and_missing_files(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("h\xe9".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8 text, got the byte 0xe9 at position 1; save"):
        list(read_rows(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_rows(tmp_path / "none.csv"))


def test_the_largest_table(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(LimitError, match=r"t\.csv: expected at most 67,108,864 bytes"):
        list(read_rows(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    "first", ["sep=;", '"sep=;"', '"sep=;";;', "sep=;;;", " SEP=; ", "sep=\t", '"sep=\t"']
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_first_line_that_names_the_separator(tmp_path, first, encoding):
    separator = "\t" if "\t" in first else ";"
    path = tmp_path / "t.csv"
    path.write_bytes(f"{first}\r\na,b{separator}c\r\nsep=;{separator}d\r\n".encode(encoding))
    rows = [cells for _, cells in read_rows(path)]
    assert rows[0] == ["a,b", "c"]
    assert len(rows) == 2  # no other row is taken for one


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_utf_16_without_a_mark_is_named(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes("path,label\na,b\n".encode(encoding))
    with pytest.raises(InputError, match="without a byte-order mark; save"):
        list(read_rows(path))
