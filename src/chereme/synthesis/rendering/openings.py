"""Where a mesh is cut open, so that another grows out of it without a seam."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError

Ints = NDArray[np.integer[Any]]


def cut_open(faces: Ints, beyond: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """``(faces (F', 3), rim (C,))``: the faces without a vertex ``beyond (V,)``, and the vertices
    round the one opening that they leave, in the order in which the faces run along it.

    A mesh that is open already may have its opening there. Raises ``InputError`` where there is
    not just one opening, or where it touches itself.
    """
    kept = faces[~beyond[faces].any(axis=1)]
    starts = kept.ravel()
    ends = np.roll(kept, -1, axis=1).ravel()
    count = np.int64(len(beyond))
    single = ~np.isin(starts * count + ends, ends * count + starts)
    after = dict(zip(starts[single].tolist(), ends[single].tolist(), strict=True))
    rim = [next(iter(after))] if after else []
    while rim and len(rim) <= len(after) and after[rim[-1]] != rim[0]:
        rim.append(after[rim[-1]])
    if not rim or len(rim) != single.sum():
        raise InputError(
            "mesh: expected one opening whose rim does not touch itself, got "
            f"{single.sum()} edges on rims, {len(rim)} of them on the first; cut elsewhere"
        )
    return kept, np.array(rim, dtype=np.int64)


def grown(rim: Ints, first: int, rings: int) -> Ints:
    """Faces of ``rings`` rings that continue a mesh at its ``rim (C,)``; the vertices of the rings,
    C each, are numbered from ``first`` on and stand in the order of the rim."""
    around = len(rim)
    number = np.concatenate([rim[None], first + np.arange(rings * around).reshape(rings, around)])
    here, there = number[:-1], number[1:]
    here_next, there_next = np.roll(here, -1, axis=1), np.roll(there, -1, axis=1)
    # The shared edges are run through the other way round than by the faces before.
    faces = [np.stack([here_next, here, there], -1), np.stack([here_next, there, there_next], -1)]
    grown_faces: Ints = np.concatenate(faces).reshape(-1, 3)
    return grown_faces
