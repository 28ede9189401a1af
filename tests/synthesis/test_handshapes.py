"""Tables of handshapes: all letters are there, angles mean what they say, bad rows are named."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.synthesis.articulation import encode
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.handshapes import COLUMNS, Handshape, bundled, read_table, to_exemplars

ASL = bundled("asl")


def test_all_letters_and_digits_are_there() -> None:
    letters = [shape.letter for shape in ASL]
    assert set(letters) == set(string.ascii_lowercase + string.digits)
    assert len({(shape.letter, shape.variant) for shape in ASL}) == len(ASL)
    # Letters that signers form in different ways.
    assert all(letters.count(letter) >= 2 for letter in "acdegkmnopqtvx")


def test_greek_is_a_table_to_be_filled() -> None:
    """No documented source could be had: nothing is invented."""
    assert bundled("greek") == ()
    path = Path(__file__).parents[2] / "src/chereme/synthesis/tables/greek.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line[0] for line in lines[1:]] == list("αβγδεζηθικλμνξοπρστυφχψω")


@pytest.mark.parametrize("shape", ASL, ids=lambda s: f"{s.letter} {s.variant}")
def test_angles_stay_within_the_limits_of_the_hand(shape: Handshape) -> None:
    limits = open_hand().template.extras["pose_limits"]
    angles = shape.joint_angles()
    assert np.all(angles >= limits[..., 0] - 1e-6)
    assert np.all(angles <= limits[..., 1] + 1e-6)


def row(**values: object) -> dict[str, str]:
    cells: dict[str, object] = dict.fromkeys(COLUMNS, 0)
    cells |= {"letter": "a", "variant": "test", "source": "test", **values}
    return {name: str(value) for name, value in cells.items()}


def table(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    lines = [",".join(columns), *(",".join(r[c] for c in columns) for r in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("turns", "fingers", "thumb", "palm"),
    [
        ({}, (0, -1, 0), (1, 0, 0), (0, 0, -1)),
        ({"turn": 180}, (0, -1, 0), (-1, 0, 0), (0, 0, 1)),
        ({"turn": 90}, (0, -1, 0), (0, 0, -1), (-1, 0, 0)),  # the thumb side comes to the camera
        ({"tilt": 90}, (0, 0, -1), (1, 0, 0), (0, 1, 0)),  # the fingers lean to the camera
        ({"roll": 90}, (1, 0, 0), (0, 1, 0), (0, 0, -1)),  # clockwise
        ({"turn": 180, "roll": 90}, (1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ],
)
def test_where_the_palm_looks(
    tmp_path: Path, turns: dict, fingers: tuple, thumb: tuple, palm: tuple
) -> None:
    (shape,) = read_table(table(tmp_path / "t.csv", row(**turns)))
    rotation = shape.orientation()
    # The model's fingers point to -x, its thumb side is +z, its palm looks to -y.
    np.testing.assert_allclose(rotation @ [-1, 0, 0], fingers, atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, 0, 1], thumb, atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, -1, 0], palm, atol=1e-12)


def test_a_bent_finger_points_where_its_angles_say(tmp_path: Path) -> None:
    bent = row(index_mcp=90, middle_pip=90, ring_dip=60, little_spread=10)
    straight, shown = (
        to_exemplars(tuple(read_table(table(tmp_path / "t.csv", r))), open_hand()).landmarks[0]
        for r in (row(), bent)
    )

    def direction(points: np.ndarray, joint: int) -> np.ndarray:
        bone = points[joint + 1] - points[joint]
        return bone / np.linalg.norm(bone)

    def angle(joint: int) -> float:
        cosine = direction(straight, joint) @ direction(shown, joint)
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    assert [angle(5), angle(6)] == pytest.approx([90, 90], abs=0.1)
    assert angle(9) == pytest.approx(0, abs=0.1)
    assert [angle(10), angle(11)] == pytest.approx([90, 90], abs=1)  # the tip moves with the skin
    assert angle(14) == pytest.approx(0, abs=0.1)
    assert angle(17) == pytest.approx(10, abs=0.1)
    assert direction(shown, 5)[2] < -0.9  # towards the palm, which faces the camera
    # Abduction to the thumb's side: to the right of the picture.
    assert direction(shown, 17)[0] > direction(straight, 17)[0]


def test_exemplars_are_right_hands_with_the_palm_to_the_camera() -> None:
    shapes = tuple(s for s in ASL if s.letter == "b")
    exemplars = to_exemplars(shapes, open_hand())
    assert exemplars.landmarks.shape == (len(shapes), 21, 3)
    normal = encode(exemplars.landmarks.astype(float))
    points = exemplars.landmarks
    assert np.all(points[:, 5, 0] > points[:, 17, 0])  # index to the right of the little finger
    assert np.all(points[:, 12, 1] < points[:, 0, 1])  # fingers up
    assert len(normal) == len(shapes)
    assert exemplars.label.tolist() == ["b"] * len(shapes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(index_mcp="bent")], "line 2, column index_mcp: expected degrees .* got 'bent'"),
        ([row(), row(roll=1000)], "line 3, column roll: expected degrees .* got '1000'"),
        ([row(thumb_ip="")], "line 2, column thumb_ip: .* all angles of a handshape, or none"),
        ([row(letter="")], "line 2: expected a letter"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path / "t.csv", *rows))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", row(), columns=tuple(c for c in COLUMNS if c != "ring_pip"))
    with pytest.raises(InputError, match="ring_pip missing"):
        read_table(path)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="missing"):
        read_table(tmp_path / "empty.csv")
