"""Teacher vectors that another program has written: one ``.npy`` a clip.

Paper: "Seeing in 2D, Thinking in 3D", Table 1, compares HaMeR with EXPOSE, FrankMocap and PIXIE.
Whoever has run one of these stores its vectors as ``<folder>/<clip id>.npy (T, D)``, a row for each
frame, and where clips are to be flipped ``<folder>/<clip id>.flip.npy`` for the mirrored crops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.teachers import Clip, ClipEmbeddings


class PrecomputedTeacher:
    """Reads vectors from ``folder``, at any depth: ids may contain ``/``.

    ``name`` is the folder's unless given. InputError if the folder holds no vectors.
    """

    def __init__(self, folder: str | Path, name: str | None = None) -> None:
        self.folder = Path(folder)
        self.name = name if name is not None else self.folder.resolve().name
        self._first = min(self.folder.rglob("*.npy"), default=None)
        if self._first is None:
            raise InputError(
                f"{folder}: expected a folder with teacher vectors, <clip id>.npy (T, D) each, "
                + (
                    "found no .npy file in it"
                    if self.folder.is_dir()
                    else "there is no such folder"
                )
            )
        self.dim = _read(self._first).shape[1]

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """The stored vectors of ``clip``, ``mirrored`` None where the clip has no such file.

        InputError naming the file if it is absent or no array of finite numbers, has not a row for
        each frame, or is not as wide as the others.
        """
        path = self._path(clip.id, ".npy")
        if not path.is_file():
            raise InputError(f"{path}: expected the vectors of clip {clip.id}, found no such file")
        flipped = self._path(clip.id, ".flip.npy")
        return ClipEmbeddings(
            self._load(path, clip), self._load(flipped, clip) if flipped.is_file() else None
        )

    def _path(self, clip_id: str, ending: str) -> Path:
        path = self.folder / f"{clip_id}{ending}"
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError(f"clip {clip_id}: expected an id that stays inside {self.folder}")
        return path

    def _load(self, path: Path, clip: Clip) -> NDArray[np.float32]:
        vectors = _read(path)
        frames = len(clip.crops)
        if vectors.shape != (frames, self.dim):
            raise InputError(
                f"{path}: expected shape {(frames, self.dim)} (frames of the clip, width of "
                f"{self._first}), got {vectors.shape}"
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{path}: expected finite numbers, got NaN or infinity in {frames - finite.sum()} "
                f"of {frames} frames, first in frame {finite.argmin()}"
            )
        return vectors.astype(np.float32)


def _read(path: Path) -> NDArray[np.floating[Any]]:
    """The array ``(T, D)`` in ``path``, from the disk as it is used."""
    try:
        vectors = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a .npy file of numbers ({error})") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InputError(
            f"{path}: expected floating-point vectors (T, D), got {vectors.dtype} {vectors.shape}"
        )
    array: NDArray[np.floating[Any]] = vectors
    return array
