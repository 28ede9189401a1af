"""The sheet of handshapes, and the page of the documentation that it is in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chereme.errors import InputError, UsageError
from chereme.synthesis.corpus import Pictures, write_clip
from chereme.synthesis.handshapes import COLUMNS, bundled
from chereme.synthesis.sheet import handshape_sheet, write_sheet

DOCS = Path(__file__).parents[2] / "docs"
ASL = bundled("asl")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "hello.mp4"
    write_clip("hi", path, seed=1, pictures=Pictures(96, 64))
    return path


def test_a_tile_for_each_row() -> None:
    shapes = [next(h for h in ASL if h.letter == letter) for letter in "abg"]
    page = handshape_sheet(shapes, columns=2).astype(int)
    row, column = handshape_sheet(shapes[:1]).shape[:2]
    assert page.shape[0] > 1.8 * row
    assert page.shape[1] > 1.8 * column
    # Down to the label: A and B differ by their fingers, and the last place is empty.
    first, second = page[8:150, 8:150], page[8:150, column : column + 142]
    assert np.mean(np.abs(first - second).max(-1) > 20) > 0.05
    assert np.ptp(page[row:, column + 8 :], axis=(0, 1)).max() == 0


def test_what_is_written(tmp_path: Path) -> None:
    """A table of someone's own, half filled."""
    row = ASL[0]
    angles = [row.turn, row.tilt, row.roll, *(row.angles[c] for c in COLUMNS[5:-1])]
    filled = ",".join(["α", "mine", *map(str, angles), "me"])
    table = tmp_path / "greek.csv"
    table.write_text(f"{','.join(COLUMNS)}\n{filled}\nβ{',' * 26}\n", encoding="utf-8")
    shown = write_sheet(tmp_path / "made" / "greek.png", table)
    assert [(h.letter, h.variant) for h in shown] == [("α", "mine")]
    with Image.open(tmp_path / "made" / "greek.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), handshape_sheet(shown))


def test_nothing_to_show(tmp_path: Path) -> None:
    table = tmp_path / "empty.csv"
    table.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty\.csv: expected at least one row"):
        write_sheet(tmp_path / "empty.png", table)
    with pytest.raises(UsageError, match=r"ends in \.jpg, \.jpeg, \.png"):
        write_sheet(tmp_path / "sheet.pdf")
    assert list(tmp_path.iterdir()) == [table]


def test_the_picture_of_the_docs_shows_the_table(tmp_path: Path) -> None:
    """After a change of the table: chereme hand-model sheet -o docs/handshapes.jpg"""
    path = DOCS / "handshapes.jpg"
    assert path.stat().st_size <= 250_000
    write_sheet(tmp_path / "now.jpg")
    with Image.open(path) as picture, Image.open(tmp_path / "now.jpg") as now:
        assert picture.size == now.size
        away = np.abs(np.asarray(picture).astype(float) - np.asarray(now)).mean(-1)
    # A finger bent by five degrees is a spot, which a mean over the page would not show.
    rows, columns = (n // 40 for n in away.shape)
    spots = away[: rows * 40, : columns * 40].reshape(rows, 40, columns, 40).mean((1, 3))
    assert spots.max() < 1.5


def test_the_code_of_the_docs_runs(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clip.parent)
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / "synthesis.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert names["hand"].joints.shape[1:] == (21, 3)  # type: ignore[attr-defined]


def test_the_docs_name_all_arrays_and_columns(clip: Path) -> None:
    page = (DOCS / "synthesis.md").read_text()
    with np.load(clip.with_suffix(".npz")) as file:
        for name in file.files:
            assert f"`{name}`" in page, name
    for column in COLUMNS:
        if not column.startswith(("middle", "ring", "little")):
            assert f"`{column}`" in page, column
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page):
        assert (DOCS / target).exists(), target
