"""Exemplars: single views of real hands showing a letter, from which sequences are composed.

``build_exemplars`` reads the open collections (``chereme.datasets.letter_collections``), looks at
each picture several times (``chereme.datasets.hand_views``), leaves out letters of people that all
others contradict (``chereme.datasets.label_checks``), and makes one ``.npz``:

``landmarks (N, 21, 3)`` right hand, isotropic units (x right, y down, z away from the camera),
``label (N,)`` one letter (or digit), or ``''`` for a hand that spells nothing, ``signer (N,)``,
``picture (N,)`` index of the photograph or recording that it comes from, ``vectors (N, 1152)`` what
the hand network sees in that view (of the picture or of its mirror image; all zeros where there is
no picture), and the motions of J and Z (``motion_landmarks (M, T, 21, 3)``, ``motion_label (M,)``,
``motion_signer (M,)``). ``left_out`` says in a line each which letters of whom were left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.datasets import letter_collections as collections
from chereme.datasets.hand_views import Eyes, own_eyes, views
from chereme.datasets.label_checks import doubtful, is_left, references
from chereme.datasets.letter_collections import DIGITS, LETTERS, MOTION_FRAMES, MOVING, Recorded
from chereme.formats.arrays import expected_archive, plain_arrays, write_arrays
from chereme.hands.skeleton import mirror
from chereme.types import VECTOR_SIZE

__all__ = [
    "DIGITS",
    "LETTERS",
    "MOVING",
    "Exemplars",
    "build_exemplars",
    "concat_exemplars",
    "set_apart",
]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Exemplars:
    """The content of an exemplar file; see the module's text for shapes."""

    landmarks: Floats
    label: NDArray[np.str_]
    signer: NDArray[np.str_]
    picture: NDArray[np.int64]
    motion_landmarks: Floats
    motion_label: NDArray[np.str_]
    motion_signer: NDArray[np.str_]
    vectors: NDArray[np.float16] = None  # type: ignore[assignment]  # not given: all zeros
    left_out: NDArray[np.str_] = None  # type: ignore[assignment]  # not given: none

    def __post_init__(self) -> None:
        if self.vectors is None:
            none = np.zeros((len(self.landmarks), VECTOR_SIZE), np.float16)
            object.__setattr__(self, "vectors", none)
        if self.left_out is None:
            object.__setattr__(self, "left_out", np.zeros(0, np.str_))

    @classmethod
    def of(
        cls, still: Sequence[tuple[Any, ...]], moving: Sequence[tuple[Any, ...]] = ()
    ) -> Exemplars:
        """From (landmarks, label, signer, picture, vector or None) of hands, and (landmarks, label,
        signer) of motions."""
        landmarks, label, signer, picture, vectors = (
            zip(*still, strict=True) if still else ((),) * 5
        )
        none = np.zeros(VECTOR_SIZE, np.float16)
        motions, motion_label, motion_signer = zip(*moving, strict=True) if moving else ((),) * 3
        return cls(
            np.array(landmarks, np.float32).reshape(-1, 21, 3),
            np.array(label, np.str_),
            np.array(signer, np.str_),
            np.array(picture, np.int64),
            np.array(motions, np.float32).reshape(-1, MOTION_FRAMES, 21, 3),
            np.array(motion_label, np.str_),
            np.array(motion_signer, np.str_),
            np.array([none if v is None else v for v in vectors], np.float16).reshape(
                -1, VECTOR_SIZE
            ),
        )

    @classmethod
    def load(cls, path: str | Path) -> Exemplars:
        """Read an exemplar file; ``InputError`` if it is missing, damaged or something else."""
        command = "chereme prepare exemplars --root DATA -o exemplars.npz"
        with expected_archive(path, "an exemplar file", command):
            arrays = plain_arrays(path)
            arrays.setdefault("left_out", np.zeros(0, np.str_))  # says nothing of the hands
            exemplars = cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
            for name in ("landmarks", "motion_landmarks"):
                array = getattr(exemplars, name)
                if array.shape[-2:] != (21, 3) or not np.isfinite(array).all():
                    raise ValueError(f"{name} are not finite numbers of shape (..., 21, 3)")
            if exemplars.vectors.shape != (len(exemplars.landmarks), VECTOR_SIZE):
                raise ValueError(f"vectors are {exemplars.vectors.shape}, not (N, {VECTOR_SIZE})")
        return exemplars

    def save(self, path: str | Path) -> Exemplars:
        """Write an exemplar file, and return what was written."""
        write_arrays(path, {n: getattr(self, n) for n in self.__dataclass_fields__})
        return self

    def report(self) -> str:
        """Hands, pictures and motions of each signer, and what was left out, as lines of text."""
        motions = Counter(self.motion_signer.tolist())
        lines = []
        for signer in sorted({*self.signer.tolist(), *motions}):
            own = self.signer == signer
            lines.append(
                f"{signer}: {own.sum():,} hands of {len(np.unique(self.picture[own])):,} pictures "
                f"or recordings, {motions[signer]} motions"
            )
        return "\n".join([*lines, *(f"left out: {line}" for line in self.left_out.tolist())])

    def select(self, *, without: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> Exemplars:
        """The exemplars of some signers: all but ``without``, or ``only`` those named."""

        def keep(signer: NDArray[np.str_]) -> NDArray[np.bool_]:
            return np.isin(signer, only) if only else ~np.isin(signer, without)

        still, moving = keep(self.signer), keep(self.motion_signer)
        return Exemplars(
            self.landmarks[still],
            self.label[still],
            self.signer[still],
            self.picture[still],
            self.motion_landmarks[moving],
            self.motion_label[moving],
            self.motion_signer[moving],
            self.vectors[still],
            self.left_out,
        )

    def _doubtful(self) -> tuple[NDArray[np.bool_], list[str]]:
        return doubtful(self.landmarks, self.vectors, self.label, self.signer, self.picture)

    def _kept(self, keep: NDArray[np.bool_], left_out: Sequence[str]) -> Exemplars:
        still = ("landmarks", "label", "signer", "picture", "vectors")
        parts = {name: getattr(self, name)[keep] for name in still}
        return replace(self, **parts, left_out=np.array(left_out, np.str_))


def concat_exemplars(parts: Sequence[Exemplars]) -> Exemplars:
    """All exemplars of ``parts``; pictures of different parts stay different ones."""
    arrays: dict[str, Any] = {}
    for name in Exemplars.__dataclass_fields__:
        arrays[name] = np.concatenate([getattr(part, name) for part in parts])
    last = np.cumsum([0, *(part.picture.max(initial=0) + 1 for part in parts)])
    arrays["picture"] = np.concatenate(
        [part.picture + first for part, first in zip(parts, last, strict=False)]
    )
    return Exemplars(**arrays)


def set_apart(hands: Exemplars, others: Exemplars) -> tuple[Exemplars, Exemplars]:
    """Those of ``hands`` whose labels hands of ``others`` do not contradict (``doubtful``), and
    those whose labels they do."""
    wrong, lines = concat_exemplars([hands, others])._doubtful()
    own = wrong[: len(hands.label)]
    lines = [line for line in lines if line.partition(" ")[0] in hands.signer]
    return hands._kept(~own, []), hands._kept(own, lines)


def build_exemplars(
    root: str | Path,
    eyes: Eyes = own_eyes,
    *,
    digits: bool = False,
    people_dev: bool = False,
    variants: int = 3,
    workers: int = 2,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Exemplars:
    """Read the collections under ``root`` into ``Exemplars``.

    Args:
        root: folder with the collections of ``letter_collections.COLLECTIONS``; letters_studio
            alone for digits, letters_people_dev alone for ``people_dev``.
        eyes: what looks at pictures, see ``chereme.datasets.hand_views``.
        digits: the digits 0 to 9, which photographs alone have, in the place of the letters.
        people_dev: the people that nothing is trained on, in the place of all others; all that they
            show, doubtful or not.
        variants: views of each picture of a burst; twice as many of others.
        workers: processes that look at pictures.
        progress: called with the pictures done and those expected.

    ``InputError`` if a collection is missing or a photograph cannot be read.
    """
    root = Path(root)
    needed = collections.DEV_COLLECTIONS if people_dev else collections.COLLECTIONS
    for name in needed[: 1 if digits else None]:  # before any long work
        collections.collection_file(root, name)
    pictures = list(
        collections.dev_pictures(root) if people_dev else collections.pictures(root, digits)
    )
    seen = views(pictures, eyes, variants=variants, workers=workers, seed=seed, progress=progress)
    still: list[tuple[Any, ...]] = [
        (view.landmarks, picture.label, picture.signer, number, view.vector)
        for number, (picture, own) in enumerate(zip(pictures, seen, strict=True))
        for view in own
    ]
    if digits or people_dev:
        return Exemplars.of(still)
    found = Exemplars.of(still)
    number = len(pictures)
    holds, drawn = collections.animations(root)
    for label, points in holds.items():
        still.append((points, "" if label == "rest" else label, "animation", number, None))
        number += 1
    for recorded in collections.recordings(root):
        own = _right_hand(recorded, found)
        still += [(points, recorded.label, recorded.signer, number, None) for points in own]
        number += 1
    moving = [(points, label, "animation") for label, points in drawn.items()]
    for recorded in collections.motions(root):
        moving.append((_right_hand(recorded, found), recorded.label, recorded.signer))
    everything = Exemplars.of(still, moving)
    wrong, lines = everything._doubtful()
    return everything._kept(~wrong, lines)


def _right_hand(recorded: Recorded, known: Exemplars) -> Floats:
    if recorded.side is None:
        right = references(known.landmarks, known.label, recorded.label)
        is_right = not len(right) or not is_left(recorded.landmarks, right)
    else:
        is_right = recorded.side == "right"
    return recorded.landmarks if is_right else mirror(recorded.landmarks, None)
