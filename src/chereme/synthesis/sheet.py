"""Pictures of a table of handshapes, as the open hand shows them to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError, UsageError
from chereme.formats.outputs import new_file, write_file
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.drawings import handshape_drawings
from chereme.synthesis.hand_pictures import SPAN, mesh_picture, sheet
from chereme.synthesis.handshapes import Handshape, bundled, posed, read_table

Image = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png", ".svg")
_TILE = (152, 168)  # pixels


def handshape_sheet(handshapes: Sequence[Handshape], *, columns: int = 9) -> Image:
    """``(H, W, 3)`` RGB: each handshape from the front, with its letter and its variant below."""
    layer = open_hand()
    tiles = [
        mesh_picture(vertices, layer.template, handshape.elbow(), size=_TILE, span=SPAN)
        for handshape, vertices in zip(
            handshapes, posed(handshapes, layer).vertices.numpy(), strict=True
        )
    ]
    labels = [f"{h.letter.upper()}\n{h.variant}" for h in handshapes]
    return sheet(tiles, labels, columns, gap=8)


def write_sheet(output: str | Path, table: str | Path | None = None) -> tuple[Handshape, ...]:
    """Write the sheet of a table's filled rows (None: the bundled ASL table) as .jpg or .png, or
    drawings of its letters as .svg.

    Returns the rows. Raises ``UsageError`` for another kind of file, ``InputError`` for a
    table that cannot be read or has no filled row."""
    output = Path(output)
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{output}: expected a name that ends in {', '.join(SUFFIXES)}")
    handshapes = bundled("asl") if table is None else tuple(read_table(table))
    if not handshapes:
        raise InputError(f"{table}: expected at least one row with its angles filled in, got none")
    if output.suffix.lower() == ".svg":
        write_file(output, handshape_drawings(handshapes).encode(), overwrite=True)
        return handshapes
    picture = require("PIL.Image").fromarray(handshape_sheet(handshapes))
    with new_file(output, overwrite=True) as part:
        picture.save(part, quality=84, optimize=True)
    return handshapes
