"""Reads the official MANO_RIGHT.pkl and MANO_LEFT.pkl: without chumpy, and without running anything
that they contain.

MANO: Romero, Tzionas, Black, "Embodied Hands", SIGGRAPH Asia 2017; files of release 1.2.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.inert_pickle import (
    PLAIN_NAMES,
    Note,
    as_array,
    as_integer,
    read_inert,
)
from chereme.hand_model.template import JOINTS, HandTemplate, Side, expected_shapes

Array = NDArray[Any]

MANO_LICENCE = (
    "MANO licence of the Max Planck Society (https://mano.is.tue.mpg.de/license.html): "
    "registered users, non-commercial research, no redistribution"
)
MAX_BYTES = 32 * 2**20  # the official files have under 4 MB
VERTICES, BETAS, FACES = 778, 10, 1538

_CSC, _SELECT, _CH = "scipy.sparse.csc_matrix", "chumpy.reordering.Select", "chumpy.ch.Ch"
_NAMES = PLAIN_NAMES | {
    ("scipy.sparse.csc", "csc_matrix"): _CSC,
    ("scipy.sparse._csc", "csc_matrix"): _CSC,
    ("chumpy.reordering", "Select"): _SELECT,
    ("chumpy.ch", "Ch"): _CH,
}
# What a template calls a field -> what the file calls it.
_FIELDS = {
    "v_template": "v_template",
    "shapedirs": "shapedirs",
    "posedirs": "posedirs",
    "joint_regressor": "J_regressor",
    "weights": "weights",
    "faces": "f",
    "parents": "kintree_table",
    "components": "hands_components",
    "pose_mean": "hands_mean",
}
_NO_PARENT = 2**32 - 1  # -1 in the file's unsigned numbers


def tip_vertices(side: Side) -> dict[str, tuple[int, ...]]:
    """MANO's fingertip vertices as three code bases have them, thumb first.

    ``hamer`` is also smplx's and WiLoR's, ``manopth`` also manotorch's, ``papers`` that of
    hand-model-aware recognition and SignBERT (whose paper lists the thumb last).
    """
    return {
        "hamer": (744, 320, 443, 554, 671),
        "manopth": (745, 317, 444 if side == "right" else 445, 556, 673),
        "papers": (734, 333, 443, 555, 678),
    }


def read_mano(path: str | Path, *, right: str | Path | None = None) -> HandTemplate:
    """Read an official MANO file as it is released.

    Which hand it is shows in its mesh: a right hand's fingers point to -x.

    Args:
        path: ``MANO_RIGHT.pkl`` or ``MANO_LEFT.pkl``.
        right: with a left hand, the right hand of the same release. In the released left hand the
            shape directions have the x of the right hand's, not mirrored (smplx issue 48), so that
            betas deform it wrongly. With the right hand to compare, this is found, and mended.
            Choice: without it nothing is changed, for the left file alone does not tell.

    Raises:
        InputError: the file is missing or damaged, mentions anything that a MANO file has no use
            for, or has not the fields and shapes of MANO; all that is missing or wrong is named.
        LimitError: the file is far larger than a MANO file.
        UsageError: ``right`` with a file that is a right hand itself.
    """
    template = _read(Path(path))
    if right is None:
        return template
    if template.side == "right":
        raise UsageError(f"{path}: is a right hand; only a left one is compared with the right one")
    other = _read(Path(right))
    if other.side == "left":
        raise UsageError(f"{right}: expected the right hand of the same release, got a left one")
    if _has_unmirrored_shapes(template, other):
        mended = template.shapedirs * np.array([-1.0, 1.0, 1.0])[:, None]
        template = replace(template, shapedirs=mended)
    return template


def _has_unmirrored_shapes(left: HandTemplate, right: HandTemplate) -> bool:
    """Whether the x of the left hand's shape directions is nearer to the right hand's than to its
    mirror image."""
    ours, theirs = left.shapedirs[:, 0], right.shapedirs[:, 0]
    return bool(np.linalg.norm(ours - theirs) < np.linalg.norm(ours + theirs))


def _read(path: Path) -> HandTemplate:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected MANO_RIGHT.pkl or MANO_LEFT.pkl")
    if path.stat().st_size > MAX_BYTES:
        raise LimitError(
            f"{path}: expected a MANO file of at most {MAX_BYTES >> 20} MB, got "
            f"{path.stat().st_size >> 20} MB"
        )
    try:
        content = read_inert(path.read_bytes(), _NAMES)
        return _template(content)
    except InputError as error:
        raise type(error)(f"{path}: expected an official MANO file: {error}") from error


def _template(content: Any) -> HandTemplate:
    if not isinstance(content, dict):
        raise InputError("expected a dictionary of arrays, got something else")
    arrays: dict[str, Any] = {}
    problems = []
    wanted = expected_shapes(VERTICES, BETAS, FACES) | {"parents": (2, JOINTS)}
    for key, name in _FIELDS.items():
        if name not in content:
            problems.append(f"{name}: missing")
            continue
        try:
            array = _as_array(content[name])
        except InputError as error:
            problems.append(f"{name}: {error}")
            continue
        if array.shape != wanted[key]:
            problems.append(f"{name}: expected shape {wanted[key]}, got {array.shape}")
        elif key in ("faces", "parents") and array.dtype.kind not in "iu":
            problems.append(f"{name}: expected whole numbers, got {array.dtype}")
        arrays[key] = array
    if problems:
        raise InputError("; ".join(problems))
    parents = arrays["parents"][0].astype(np.int64)
    arrays["parents"] = np.where(parents == _NO_PARENT, -1, parents)
    with np.errstate(invalid="ignore"):  # numbers that are not finite are refused below
        joints = arrays["joint_regressor"] @ arrays["v_template"]
    side: Side = "right" if joints[1:, 0].mean() < joints[0, 0] else "left"
    return HandTemplate(
        name="mano", side=side, licence=MANO_LICENCE, tips=tip_vertices(side), **arrays
    )


def _as_array(value: Any) -> Array:
    """An array, a chumpy object of one, or a selection of it; a sparse matrix as a full one."""
    state = value.state if isinstance(value, Note) and isinstance(value.state, dict) else {}
    match value.what if isinstance(value, Note) else "":
        case what if what == _CSC:
            return _dense(state)
        case what if what == _SELECT:
            return _selected(state)
        case what if what == _CH:
            return as_array(state.get("x"))
    return as_array(value)


def _selected(state: dict[Any, Any]) -> Array:
    """chumpy's Select: entries ``idxs`` of the flattened ``a``, in ``preferred_shape``."""
    source, shape = state.get("a"), state.get("preferred_shape")
    if isinstance(source, Note) and source.what == _CH and isinstance(source.state, dict):
        source = source.state.get("x")
    flat, indices = as_array(source).reshape(-1), as_array(state.get("idxs")).reshape(-1)
    if isinstance(shape, Note):
        shape = as_array(shape).reshape(-1).tolist()
    if not isinstance(shape, (tuple, list)):
        raise InputError("a selection without its shape")
    sizes = tuple(map(as_integer, shape))
    if indices.dtype.kind not in "iu" or not _within(indices, len(flat)):
        raise InputError("a selection of entries that are not there")
    if min(sizes, default=0) < 0 or math.prod(sizes) != len(indices):
        raise InputError(f"a selection of {len(indices)} entries that do not fill its shape")
    selected: Array = flat[indices].reshape(sizes)
    return selected


def _dense(state: dict[Any, Any]) -> Array:
    """scipy's csc_matrix: ``data`` at rows ``indices``, column after column, as ``indptr`` says."""
    data, rows, starts = (as_array(state.get(key)) for key in ("data", "indices", "indptr"))
    shape = state.get("_shape")
    if not isinstance(shape, tuple) or tuple(map(as_integer, shape)) != (JOINTS, VERTICES):
        raise InputError(f"expected a sparse matrix of shape {(JOINTS, VERTICES)}")
    if (
        not data.ndim == rows.ndim == starts.ndim == 1
        or rows.dtype.kind not in "iu"
        or starts.dtype.kind not in "iu"
        or len(starts) != VERTICES + 1
        or len(rows) != len(data)
        or not _within(rows, JOINTS)
        or not _within(starts, len(data) + 1)
        or np.any(np.diff(starts.astype(np.int64)) < 0)
        or starts[0] != 0
        or starts[-1] != len(data)
    ):
        raise InputError("a sparse matrix whose parts do not fit together")
    dense = np.zeros((JOINTS, VERTICES))
    np.add.at(dense, (rows, np.repeat(np.arange(VERTICES), np.diff(starts))), data)
    return dense


def _within(indices: Array, count: int) -> bool:
    return len(indices) == 0 or bool(indices.min() >= 0 and indices.max() < count)
