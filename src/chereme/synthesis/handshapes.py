"""Handshapes as tables of joint angles: one row for each way in which signers form a letter.

The tables (``tables/asl.csv``, ``tables/greek.csv``) are made to be read and filled by linguists.
All angles are in degrees:

- ``<finger>_mcp``, ``_pip``, ``_dip``: flexion of the finger's joints, 0 = straight on from the
  bone before, positive towards the palm; ``_spread``: to the thumb side, at the MCP joint.
- ``thumb_cmc``: across the palm, towards the fingers; ``thumb_spread``: out of the plane of the
  palm; ``thumb_mcp``, ``thumb_ip``: flexion. 0 = the relaxed thumb of the open hand.
- ``turn``, ``tilt``, ``roll``: where the palm looks. All zero: palm to the camera, fingers up.
  First ``tilt`` leans the fingers towards the camera, then ``turn`` brings the thumb side towards
  the camera (180: the back of the hand is seen), then ``roll`` turns it clockwise in the picture.

J and Z are given by the handshape that they start from; their movements are in ``strokes``.
A row without angles is a letter that nobody has filled in yet: it cannot be spelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.datasets.exemplars import Exemplars
from chereme.errors import InputError
from chereme.formats.tables import read_rows
from chereme.hand_model import HandLayer, HandOutput
from chereme.hand_model.anatomy import DIGIT_JOINTS, angles_to_hand_pose
from chereme.hands.skeleton import FINGERS
from chereme.synthesis.retargeting import opposition

Floats = NDArray[np.floating[Any]]

_ANGLES = tuple(
    f"{finger}_{name}"
    for finger in FINGERS
    for name in (
        ("cmc", "spread", "mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip", "spread")
    )
)
_TURNS = ("turn", "tilt", "roll")
COLUMNS = ("letter", "variant", *_TURNS, *_ANGLES, "source")
# The palm to the camera, fingers up: the model's fingers point to -x and its palm to -y.
_UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_DOWN = np.array([0.0, 0.6, 0.0])  # how much the forearm hangs rather than goes on from the hand


@dataclass(frozen=True)
class Handshape:
    """One row: ``angles`` by column name in degrees, and where the palm looks."""

    letter: str
    variant: str
    turn: float
    tilt: float
    roll: float
    angles: dict[str, float]
    source: str

    def joint_angles(self) -> Floats:
        """``(15, 3)`` radians (flexion, twist, abduction) in the hand model's joint order."""
        joints = np.zeros((15, 3))
        for finger, of_wrist_on in DIGIT_JOINTS.items():
            names = ("cmc", "mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip")
            rows = np.array(of_wrist_on) - 1
            joints[rows, 0] = [self.angles[f"{finger}_{name}"] for name in names]
            joints[rows[0], 2] = self.angles[f"{finger}_spread"]
        thumb = DIGIT_JOINTS["thumb"][0] - 1
        joints[thumb, 1] = opposition(joints[thumb, 0])
        return np.radians(joints)

    def orientation(self) -> Floats:
        """``(3, 3)`` rotation of the hand model into camera axes (x right, y down, z away)."""
        turned = Rotation.from_euler("xyz", [self.tilt, self.turn, self.roll], degrees=True)
        matrix: Floats = turned.as_matrix() @ _UPRIGHT
        return matrix

    def elbow(self) -> Floats:
        """``(3,)`` direction from the wrist to the elbow, in camera axes."""
        # In the model's rest frame the fingers point to -x.
        direction: Floats = self.orientation()[:, 0] + _DOWN
        return direction


def read_table(path: str | Path) -> list[Handshape]:
    """The filled rows of a table of handshapes; ``InputError`` names the line that is wrong."""
    rows = read_rows(path)
    _, header = next(rows, (1, []))
    lacking = [c for c in COLUMNS if c not in header]
    if lacking:
        raise InputError(
            f"{path}: expected a table of handshapes with the columns {','.join(COLUMNS)}; "
            f"{','.join(lacking)} missing"
        )
    shapes = [
        _handshape(dict(zip(header, cells, strict=False)), f"{path}, line {line}")
        for line, cells in rows
    ]
    return [shape for shape in shapes if shape is not None]


def _handshape(row: dict[str, str], where: str) -> Handshape | None:
    if not row["letter"]:
        raise InputError(f"{where}: expected a letter, got none")
    if not any(row.get(name) for name in (*_TURNS, *_ANGLES)):
        return None
    degrees = {name: _degrees(row, name, where) for name in (*_TURNS, *_ANGLES)}
    turn, tilt, roll = (degrees.pop(name) for name in _TURNS)
    return Handshape(row["letter"], row["variant"], turn, tilt, roll, degrees, row["source"])


def _degrees(row: dict[str, str], name: str, where: str) -> float:
    try:
        value = float(row.get(name) or "nan")
    except ValueError:
        value = float("nan")
    if not -360 <= value <= 360:
        raise InputError(
            f"{where}, column {name}: expected degrees between -360 and 360, got "
            f"{row.get(name, '')!r}; fill in all angles of a handshape, or none"
        )
    return value


@cache
def bundled(name: str) -> tuple[Handshape, ...]:
    """The handshapes of a table of the package: ``asl`` (letters and digits) or ``greek``."""
    return tuple(read_table(Path(__file__).with_name("tables") / f"{name}.csv"))


def posed(handshapes: Sequence[Handshape], layer: HandLayer) -> HandOutput:
    """The handshapes shown by the hand model's mean hand, in metres and camera axes."""
    angles = np.stack([h.joint_angles() for h in handshapes])
    hand_pose = angles_to_hand_pose(angles, layer.template.extras["joint_axes"])
    with torch.no_grad():
        hands: HandOutput = layer(
            torch.zeros(len(handshapes), layer.num_betas),
            torch.from_numpy(hand_pose).float(),
            torch.from_numpy(np.stack([h.orientation() for h in handshapes])).float(),
        )
    return hands


def to_exemplars(handshapes: tuple[Handshape, ...], layer: HandLayer) -> Exemplars:
    """The handshapes shown by the hand model's mean hand, for ``Speller``.

    Each variant counts as a signer of its own, so that the variants of a letter come up equally
    often."""
    moving = np.zeros((0, 24, 21, 3), np.float32)
    none = np.zeros(0, dtype=str)
    return Exemplars(
        posed(handshapes, layer).joints.numpy(),
        np.array([h.letter for h in handshapes]),
        np.array([h.variant for h in handshapes]),
        np.arange(len(handshapes)),
        moving,
        none,
        none,
    )
