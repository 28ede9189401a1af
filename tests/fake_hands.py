"""Hands of MANO's shape with made-up numbers, and pickles written as Python 2 wrote MANO's."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any, ClassVar

import numpy as np

from chereme.hand_model.template import PARENTS, HandTemplate, Side

MANO_TIPS = {
    "hamer": (744, 320, 443, 554, 671),
    "manopth": (745, 317, 444, 556, 673),
    "papers": (734, 333, 443, 555, 678),
}


def random_template(
    seed: int = 0,
    *,
    num_vertices: int = 778,
    num_faces: int = 1538,
    side: Side = "right",
    **changes: Any,
) -> HandTemplate:
    """A hand of hand-like size whose every number is drawn at random."""
    rng = np.random.default_rng(seed)
    few = tuple(int(v) for v in rng.choice(num_vertices, 5, replace=False))
    fields: dict[str, Any] = {
        "name": "random",
        "side": side,
        "licence": "none",
        "v_template": rng.normal(0, 0.05, (num_vertices, 3)),
        "shapedirs": rng.normal(0, 0.005, (num_vertices, 3, 10)),
        "posedirs": rng.normal(0, 0.002, (num_vertices, 3, 135)),
        "joint_regressor": rng.dirichlet(np.full(num_vertices, 0.1), 16),
        "weights": rng.dirichlet(np.full(16, 0.3), num_vertices),
        "faces": rng.integers(0, num_vertices, (num_faces, 3)),
        "parents": np.array(PARENTS),
        "components": np.linalg.qr(rng.normal(size=(45, 45)))[0],
        "pose_mean": rng.normal(0, 0.3, 45),
        "tips": MANO_TIPS if num_vertices == 778 else {"few": few},
    }
    return HandTemplate(**(fields | changes))


def sines(shape: tuple[int, ...], phase: float, amplitude: float) -> np.ndarray:
    """``amplitude sin(0.1 i + phase)``, i counting the entries in C order."""
    return (amplitude * np.sin(0.1 * np.arange(np.prod(shape)) + phase)).reshape(shape)


class Ch:
    """Stands for ``chumpy.ch.Ch``."""

    def __init__(self, x: np.ndarray) -> None:
        self.__dict__.update({"x": x, "_dirty_vars": {"x"}, "_itr": None, "_depends_on_deps": {}})


class Select:
    """Stands for ``chumpy.reordering.Select``."""

    def __init__(self, a: Any, idxs: np.ndarray, preferred_shape: Any) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


_PYTHON2 = {
    (__name__, "Ch"): ("chumpy.ch", "Ch"),
    (__name__, "Select"): ("chumpy.reordering", "Select"),
    ("scipy.sparse._csc", "csc_matrix"): ("scipy.sparse.csc", "csc_matrix"),
    ("builtins", "set"): ("__builtin__", "set"),
    ("builtins", "object"): ("__builtin__", "object"),
    ("copyreg", "_reconstructor"): ("copy_reg", "_reconstructor"),
}


class Python2Pickler(pickle._Pickler):
    """Writes names and byte strings as Python 2 did; protocols 0 to 2."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_text(self, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        if not self.bin:
            self.write(pickle.STRING + repr(raw)[1:].encode() + b"\n")
        elif len(raw) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_text

    def save_global(self, value: Any, name: str | None = None) -> None:
        key = value.__module__, name or value.__qualname__
        module, name = _PYTHON2.get(key, key)
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(value)

    dispatch[type] = dispatch[type(sines)] = save_global


def python2_pickle(content: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol).dump(content)
    return buffer.getvalue()


def mano_content(template: HandTemplate) -> dict[str, Any]:
    """What an official MANO file holds, in the classes that it uses."""
    from scipy.sparse import csc_matrix

    every = np.concatenate([template.shapedirs, 7 + 0 * template.shapedirs], axis=2)
    places = np.arange(every.size).reshape(every.shape)[:, :, :10]
    parents = template.parents.astype(np.uint32)
    return {
        "v_template": template.v_template,
        "shapedirs": Select(Ch(every), places.ravel(), template.shapedirs.shape),
        "posedirs": template.posedirs,
        "J_regressor": csc_matrix(template.joint_regressor),
        "weights": template.weights,
        "kintree_table": np.stack([parents, np.arange(16, dtype=np.uint32)]),
        "f": template.faces.astype(np.uint32),
        "hands_components": template.components,
        "hands_mean": template.pose_mean,
        "hands_coeffs": np.zeros((4, 45)),
        "J": template.joint_regressor @ template.v_template,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def fingers_to(direction: float, template: HandTemplate) -> dict[str, Any]:
    """``joint_regressor`` of joints whose fingers lie to that side of the wrist in x."""
    order = np.argsort(template.v_template[:, 0] * direction)
    regressor = np.zeros_like(template.joint_regressor)
    regressor[0, order[:40]] = 1 / 40
    regressor[1:, order[-40:]] = 1 / 40
    return {"joint_regressor": regressor}
