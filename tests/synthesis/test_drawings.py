"""The line drawings of handshapes, and the file of them that the web page has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import chereme
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.drawings import COLOURS, SIZE, handshape_drawings
from chereme.synthesis.hand_pictures import SPAN, portrait
from chereme.synthesis.handshapes import bundled, posed
from chereme.synthesis.sheet import write_sheet

PAGE = Path(chereme.__file__).parent / "web" / "page" / "handshapes.svg"
SVG = "{http://www.w3.org/2000/svg}"
FIRST = {h.letter: h for h in reversed(bundled("asl"))}


def symbols(text: str) -> dict[str, ElementTree.Element]:
    return {s.get("id", ""): s for s in ElementTree.fromstring(text).iter(f"{SVG}symbol")}


def outlines(path: str) -> Iterator[NDArray[np.int64]]:
    """The polygons of a path of moves, relative lines and closings."""
    for part in path.split("z")[:-1]:
        start, steps = part.removeprefix("M").split("l")
        numbers = np.array(re.findall(r"-?\d+", steps), int).reshape(-1, 2)
        yield np.cumsum([np.array(start.split(), int), *numbers], axis=0)


def filled(path: str) -> NDArray[np.bool_]:
    """The pixels that an even-odd fill covers: outlines lie in each other, never across."""
    covered = np.zeros(SIZE[::-1], bool)
    for polygon in outlines(path):
        image = Image.new("1", (4 * SIZE[0], 4 * SIZE[1]))
        ImageDraw.Draw(image).polygon((4 * polygon).ravel().tolist(), fill=1)
        covered ^= np.asarray(image)[2::4, 2::4]
    return covered


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def drawn() -> dict[str, ElementTree.Element]:
    return symbols(handshape_drawings([FIRST[letter] for letter in "aoz"]))


@pytest.mark.parametrize("letter", "ao")
def test_the_outline_is_that_of_the_rendered_hand(
    drawn: dict[str, ElementTree.Element], letter: str
) -> None:
    """Of O with the hole that thumb and fingers leave."""
    layer = open_hand()
    (vertices,) = posed([FIRST[letter]], layer).vertices.numpy()
    elbow = FIRST[letter].elbow()
    frame = portrait(vertices, layer.template, elbow, size=SIZE, span=SPAN)
    outline = drawn[letter][0].get("d", "")
    assert overlap(filled(outline), frame.coverage > 0.5) > 0.97
    assert len(list(outlines(outline))) == (2 if letter == "o" else 1)


def test_each_tone_lies_within_the_one_before(drawn: dict[str, ElementTree.Element]) -> None:
    for symbol in drawn.values():
        layers = [filled(path.get("d", "")) for path in symbol if path.get("fill") != "none"]
        *tones, lines = layers
        for darker, lighter in pairwise(tones):
            assert 0 < lighter.sum() < darker.sum()
            assert (lighter & ~darker).sum() < 0.02 * lighter.sum()
        assert 0 < lines.sum() < 0.1 * tones[0].sum()


def test_a_page_may_set_every_colour(drawn: dict[str, ElementTree.Element]) -> None:
    painted = {v for path in drawn["z"] for k, v in path.items() if k in ("fill", "stroke")}
    assert painted - {"none"} == {f"var(--hand-{name},{c})" for name, c in COLOURS.items()}


def test_z_begins_at_the_tip_of_the_index_finger(drawn: dict[str, ElementTree.Element]) -> None:
    x, y = map(int, re.findall(r"-?\d+", drawn["z"][-1].get("d", ""))[:2])
    hand = filled(drawn["z"][0].get("d", ""))
    highest = np.argwhere(hand)[0]
    assert np.hypot(*(highest[::-1] - [x, y])) < 12
    assert len(drawn["a"]) == len(drawn["z"]) - 1


def test_the_page_shows_the_table(tmp_path: Path) -> None:
    """After a change of the table: chereme hand-model sheet --overwrite -o .../handshapes.svg"""
    there = symbols(PAGE.read_text())
    assert PAGE.stat().st_size <= 150_000
    assert there.keys() == FIRST.keys()
    assert write_sheet(tmp_path / "now.svg") == bundled("asl")
    now = symbols((tmp_path / "now.svg").read_text())
    for letter, symbol in there.items():
        assert [path.get("fill") for path in symbol] == [path.get("fill") for path in now[letter]]
        outlines_of = [filled(one[letter][0].get("d", "")) for one in (there, now)]
        assert overlap(*outlines_of) > 0.98
