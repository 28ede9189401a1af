"""A picture of a table of handshapes: every row as the open hand shows it to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError, UsageError
from chereme.formats.outputs import new_file
from chereme.hand_model.anatomy import angles_to_hand_pose
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.hand_pictures import mesh_picture, sheet
from chereme.synthesis.handshapes import Handshape, bundled, read_table

Image = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")
_TILE = (152, 168)  # pixels
_SPAN = 0.21  # metres that a tile is wide
_DOWN = np.array([0.0, 0.6, 0.0])  # how much the forearm hangs rather than goes on from the hand


def handshape_sheet(handshapes: Sequence[Handshape], *, columns: int = 9) -> Image:
    """``(H, W, 3)`` RGB: each handshape from the front, with its letter and its variant below."""
    layer = open_hand()
    angles = np.stack([h.joint_angles() for h in handshapes])
    turns = np.stack([h.orientation() for h in handshapes])
    pose = angles_to_hand_pose(angles, layer.template.extras["joint_axes"])
    with torch.no_grad():
        out = layer(torch.zeros(1, layer.num_betas), _tensor(pose), _tensor(turns))
    # In the model's rest frame the fingers point to -x.
    tiles = [
        mesh_picture(vertices, layer.template, turn[:, 0] + _DOWN, size=_TILE, span=_SPAN)
        for vertices, turn in zip(out.vertices.numpy(), turns, strict=True)
    ]
    labels = [f"{h.letter.upper()}\n{h.variant}" for h in handshapes]
    return sheet(tiles, labels, columns, gap=8)


def write_sheet(output: str | Path, table: str | Path | None = None) -> tuple[Handshape, ...]:
    """Write the sheet of a table's filled rows (None: the bundled ASL table) as .jpg or .png.

    Returns what is on it. Raises ``UsageError`` for another kind of file, ``InputError`` for a
    table that cannot be read or has no filled row."""
    output = Path(output)
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{output}: expected a name that ends in {', '.join(SUFFIXES)}")
    handshapes = bundled("asl") if table is None else tuple(read_table(table))
    if not handshapes:
        raise InputError(f"{table}: expected at least one row with its angles filled in, got none")
    picture = require("PIL.Image").fromarray(handshape_sheet(handshapes))
    with new_file(output, overwrite=True) as part:
        picture.save(part, quality=84, optimize=True)
    return handshapes


def _tensor(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
