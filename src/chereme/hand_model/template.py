"""The data of a parametric hand: a mesh, its blend shapes, its skeleton and its skin weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chereme._imports import require
from chereme.errors import InputError, LimitError, UsageError

Array = NDArray[Any]
Side = Literal["right", "left"]

# The skeleton that all hands share, in MANO's order: the wrist, then index, middle, little, ring
# finger and thumb, three joints each from palm to tip.
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
JOINTS = len(PARENTS)
POSE = 3 * (JOINTS - 1)
FORMAT, FORMAT_VERSION = "chereme hand template", "1"
BUNDLED = {"open": Path(__file__).with_name("open_hand.safetensors")}

_FLOATS = (
    "v_template",
    "shapedirs",
    "posedirs",
    "joint_regressor",
    "weights",
    "components",
    "pose_mean",
)
_INTEGERS = ("faces", "parents")
_MAY_BE_SPARSE = ("posedirs", "joint_regressor", "weights")
_AXIAL_EXTRAS = ("joint_axes",)  # rotation axes: a mirror turns their y and z, not their x
_MIRROR = np.array([-1.0, 1.0, 1.0])
_AXIAL_MIRROR = -_MIRROR
_MAX_VERTICES = 100_000  # of a file: what it leaves out as zeros takes memory all the same
_SUM_TOLERANCE = 1e-4  # of a vertex's weights: allows for storage in single precision


def expected_shapes(vertices: int, betas: int, faces: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a hand with that many vertices, shape parameters and faces."""
    return {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, betas),
        "posedirs": (vertices, 3, 9 * (JOINTS - 1)),
        "joint_regressor": (JOINTS, vertices),
        "weights": (vertices, JOINTS),
        "faces": (faces, 3),
        "parents": (JOINTS,),
        "components": (POSE, POSE),
        "pose_mean": (POSE,),
    }


@dataclass(frozen=True, eq=False)
class HandTemplate:
    """A parametric hand with the interface of MANO (Romero et al. 2017).

    Lengths are metres in the model's frame, which for a right hand is that of MANO's: fingers to
    -x, palm facing -y, thumb towards +z, the origin near the middle knuckle; a left hand is its
    mirror image in x. Joints are in MANO's order (see ``PARENTS``). V vertices, B shape parameters,
    F faces; everything is checked on creation, and an ``InputError`` names all that is wrong.
    """

    name: str
    side: Side
    licence: str
    v_template: Array  # (V, 3)
    shapedirs: Array  # (V, 3, B): displacement of each vertex by a unit of each beta
    posedirs: Array  # (V, 3, 135): by each entry of (R - I), joints 1..15, row by row
    joint_regressor: Array  # (16, V): the rest joints as means of vertices
    weights: Array  # (V, 16): how much each joint moves each vertex; rows sum to 1
    faces: Array  # (F, 3) int64: counter-clockwise seen from outside
    parents: Array  # (16,) int64, the root's is -1
    components: Array  # (45, 45): principal directions of hand_pose, one a row, axis-angle
    pose_mean: Array  # (45,) axis-angle
    tips: Mapping[str, tuple[int, ...]]  # named sets of fingertip vertices, thumb first
    extras: Mapping[str, Array] = field(default_factory=dict)  # what only some templates have

    def __post_init__(self) -> None:
        for key in _FLOATS:
            object.__setattr__(self, key, np.asarray(getattr(self, key), dtype=np.float64))
        for key in _INTEGERS:
            array = np.asarray(getattr(self, key))
            if array.dtype.kind not in "iu":
                raise InputError(f"{key}: expected whole numbers, got {array.dtype}")
            object.__setattr__(self, key, array.astype(np.int64))
        tips = {name: tuple(int(v) for v in ids) for name, ids in self.tips.items()}
        object.__setattr__(self, "tips", tips)
        extras = {name: np.asarray(array) for name, array in self.extras.items()}
        object.__setattr__(self, "extras", extras)
        problems = list(_problems(self))
        if problems:
            raise InputError(f"hand template {self.name!r}: " + "; ".join(problems))

    @classmethod
    def load(cls, source: str | Path = "open", *, side: Side | None = None) -> HandTemplate:
        """Read a template that ``save`` has written.

        Args:
            source: a ``.safetensors`` file, or "open": the hand that comes with chereme.
            side: mirror the hand where it is the other one; None keeps it as it is.

        Raises:
            InputError: the file is missing, damaged, of another kind or version, or its arrays do
                not fit together (LimitError: or have far too many vertices).
            UsageError: a side that is neither "right" nor "left".
        """
        if side not in (None, "right", "left"):
            raise UsageError(f"side: expected 'right' or 'left', got {side!r}")
        path = BUNDLED.get(str(source), Path(source))
        template = _read(path)
        return template if side in (None, template.side) else template.mirrored()

    def save(self, path: str | Path, *, dtype: DTypeLike = np.float64) -> None:
        """Write a ``.safetensors`` file; ``dtype`` is the floating type of its arrays.

        Double precision keeps them as they are; single is enough for millimetres and takes half.
        Arrays that are mostly zeros are stored sparsely, so that corrective shapes that touch a few
        vertices, or none, cost next to nothing.
        """
        tensors: dict[str, Array] = {key: getattr(self, key).astype(np.int32) for key in _INTEGERS}
        for key in _FLOATS:
            array = getattr(self, key).astype(dtype)
            flat = array.reshape(-1)
            (used,) = np.nonzero(flat)
            if key in _MAY_BE_SPARSE and len(used) * (4 + array.itemsize) < array.nbytes:
                tensors[f"{key}.indices"] = used.astype(np.int32)
                tensors[f"{key}.values"] = flat[used]
            else:
                tensors[key] = array
        for name, array in self.extras.items():
            tensors[f"extras.{name}"] = array.astype(dtype) if array.dtype.kind == "f" else array
        metadata = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "side": self.side,
            "licence": self.licence,
            "tips": json.dumps(self.tips),
        }
        save = require("safetensors.numpy", extra="train").save
        # It would write the bytes of a view in another order than its own.
        contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        Path(path).write_bytes(save(contiguous, metadata=metadata))

    def tip_vertices(self, name: str | None = None) -> tuple[int, ...]:
        """The fingertip vertices of that name, thumb first; None: the first set there is.

        UsageError for a name that there is not.
        """
        name = next(iter(self.tips)) if name is None else name
        if name not in self.tips:
            raise UsageError(f"tips: hand {self.name!r} has {', '.join(self.tips)}; got {name!r}")
        return self.tips[name]

    def mirrored(self) -> HandTemplate:
        """The other hand: the mirror image in x.

        A pose of this hand with the y and z of every axis-angle vector negated, of ``hand_pose``
        and of ``global_orient``, gives the mirrored hand's vertices this hand's with x negated. The
        same ``betas``, and the same PCA coefficients, give mirrored hands as they are.

        The extra ``joint_axes``, where there is one, is mirrored as axes of rotation: the same
        (flexion, twist, abduction) make a mirrored pose.
        """
        vertices, joints = len(self.v_template), JOINTS - 1
        # R of the mirrored pose is M R M, with M = diag(-1, 1, 1).
        both = np.einsum("c,a,b->cab", _MIRROR, _MIRROR, _MIRROR)
        posedirs = self.posedirs.reshape(vertices, 3, joints, 3, 3) * both[:, None]
        axial = np.tile(_AXIAL_MIRROR, joints)
        return replace(
            self,
            side="left" if self.side == "right" else "right",
            v_template=self.v_template * _MIRROR,
            shapedirs=self.shapedirs * _MIRROR[:, None],
            posedirs=posedirs.reshape(self.posedirs.shape),
            faces=self.faces[:, ::-1],
            components=self.components * axial,
            pose_mean=self.pose_mean * axial,
            extras={
                name: array * _AXIAL_MIRROR[:, None] if name in _AXIAL_EXTRAS else array
                for name, array in self.extras.items()
            },
        )


def _problems(template: HandTemplate) -> Iterable[str]:
    """What is wrong with a template, one phrase each."""
    if template.side not in ("right", "left"):
        yield f"side: expected 'right' or 'left', got {template.side!r}"
    wrong = list(_shape_problems(template))
    yield from wrong
    for key in _FLOATS:
        if not np.isfinite(getattr(template, key)).all():
            yield f"{key}: expected finite numbers, got some that are not"
    if wrong:
        return
    sums = template.weights.sum(1)
    if abs(sums - 1).max() > _SUM_TOLERANCE:
        worst = int(abs(sums - 1).argmax())
        yield f"weights: expected rows that sum to 1, got {sums[worst]:.6g} at vertex {worst}"
    vertices = len(template.v_template)
    if template.faces.min() < 0 or template.faces.max() >= vertices:
        yield (
            f"faces: expected vertices 0..{vertices - 1}, got {template.faces.min()}.."
            f"{template.faces.max()}"
        )
    if tuple(template.parents) != PARENTS:
        yield (
            f"parents: expected a wrist with five chains of three joints, {list(PARENTS)}, "
            f"got {template.parents.tolist()}"
        )
    if not template.tips:
        yield "tips: expected at least one named set of fingertip vertices, got none"
    for name, ids in template.tips.items():
        if len(ids) != 5 or min(ids) < 0 or max(ids) >= vertices:
            yield f"tips {name!r}: expected five vertices of 0..{vertices - 1}, got {list(ids)}"


def _shape_problems(template: HandTemplate) -> Iterable[str]:
    """Which arrays have not the shape that ``v_template``, ``shapedirs`` and ``faces`` ask for."""
    letters = {-1: "V", -2: "B", -3: "F"}  # shown for a count that cannot be told
    counts = (
        len(template.v_template) or 1 if template.v_template.ndim == 2 else -1,
        template.shapedirs.shape[2] or 1 if template.shapedirs.ndim == 3 else -2,
        len(template.faces) or 1 if template.faces.ndim == 2 else -3,
    )
    for key, expected in expected_shapes(*counts).items():
        shape = getattr(template, key).shape
        if shape != expected:
            wanted = str(tuple(letters.get(n, n) for n in expected)).replace("'", "")
            yield f"{key}: expected shape {wanted}, got {shape}"


def _read(path: Path) -> HandTemplate:
    safetensors = require("safetensors", extra="train")
    if not path.is_file():
        known = ", ".join(map(repr, BUNDLED))
        raise InputError(f"{path}: no such hand template; expected a .safetensors file, or {known}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected a .safetensors file; it cannot be read as one ({error}); make one "
            "of a MANO file with: chereme hand-model convert"
        ) from None
    found = metadata.get("format"), metadata.get("format_version")
    if found != (FORMAT, FORMAT_VERSION):
        raise InputError(
            f"{path}: expected a {FORMAT!r} of version {FORMAT_VERSION}, got {found[0]!r} of "
            f"version {found[1]!r}; make it anew with this version of chereme"
        )
    try:
        return HandTemplate(**_unpack(tensors, metadata))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def _unpack(tensors: dict[str, Array], metadata: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a template from what is stored."""
    for key, ndim in (("v_template", 2), ("shapedirs", 3), ("faces", 2)):
        if key not in tensors:
            raise InputError(f"missing: {key}")
        if tensors[key].ndim != ndim:
            raise InputError(f"{key}: expected {ndim} dimensions, got shape {tensors[key].shape}")
    vertices = len(tensors["v_template"])
    if vertices > _MAX_VERTICES:
        raise LimitError(f"expected at most {_MAX_VERTICES} vertices, got {vertices}")
    shapes = expected_shapes(vertices, tensors["shapedirs"].shape[-1], len(tensors["faces"]))
    if "posedirs" not in tensors and "posedirs.indices" not in tensors:
        tensors["posedirs"] = np.zeros(shapes["posedirs"])
    for key in _MAY_BE_SPARSE:
        if f"{key}.indices" in tensors and f"{key}.values" in tensors:
            indices, values = tensors.pop(f"{key}.indices"), tensors.pop(f"{key}.values")
            flat = np.zeros(int(np.prod(shapes[key])))
            if (
                indices.dtype.kind not in "iu"
                or indices.shape != values.shape
                or np.any((indices < 0) | (indices >= len(flat)))
            ):
                raise InputError(f"{key}: its sparse entries do not fit its shape {shapes[key]}")
            flat[indices] = values
            tensors[key] = flat.reshape(shapes[key])
    texts = ("name", "side", "licence", "tips")
    missing = [key for key in (*_FLOATS, *_INTEGERS) if key not in tensors]
    missing += [key for key in texts if key not in metadata]
    if missing:
        raise InputError("missing: " + ", ".join(missing))
    try:
        tips = {str(k): tuple(map(int, v)) for k, v in json.loads(metadata["tips"]).items()}
    except (ValueError, TypeError, AttributeError):
        raise InputError("tips: expected a JSON object of lists of vertices") from None
    prefix = "extras."
    extras = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    known = {f.name for f in fields(HandTemplate)}
    arrays = {key: array for key, array in tensors.items() if key in known}
    return {**arrays, **{k: metadata[k] for k in texts}, "tips": tips, "extras": extras}
