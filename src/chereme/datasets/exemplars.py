"""Exemplars: single views of real hands showing a letter, from which sequences are composed.

``build_exemplars`` reads the open collections in the layout of the data folder (photographs,
landmark recordings, letter animations), runs the hand detector of the package over the photographs,
several times each under small changes of the picture, because the detector's own errors are part of
what the recogniser must live with, and writes one ``.npz``:

``landmarks (N, 21, 3)`` right hand, isotropic units (x right, y down, z away from the camera),
``label (N,)`` one letter (or digit), or ``''`` for a hand that spells nothing, ``signer (N,)``,
``picture (N,)`` index of the photograph or recording that it comes from, ``vectors (N, 1152)`` what
the hand network sees in that view (of the picture or of its mirror image; all zeros where there is
no picture), and the motions of J and Z (``motion_landmarks (M, T, 21, 3)``, ``motion_label (M,)``,
``motion_signer (M,)``).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError
from chereme.formats.arrays import plain_arrays
from chereme.hands.detector import HandDetector
from chereme.hands.skeleton import mirror, palm_size

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
MOVING = ("j", "z")
# Digits whose handshape is no letter's: hands that spell nothing.
_SILENT_DIGITS = "3578"
# Letters whose handshape in the handshape manual also has the letter's orientation (palm view).
UPRIGHT_LETTERS = "abdefiklrstuvwxy"
_MOTION_FRAMES = 24
VECTOR = 1152  # numbers that the hand network says of a picture
_RECORDED = "letters_landmarks/borisgraudt.npz"
_COLLECTIONS = (
    *("letters_studio/index.csv", "letters_wild/index.csv", "handshapes_261/index.csv"),
    *(_RECORDED, "transitions_animation/index.csv"),
)

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

    def __post_init__(self) -> None:
        if self.vectors is None:
            none = np.zeros((len(self.landmarks), VECTOR), np.float16)
            object.__setattr__(self, "vectors", none)

    @classmethod
    def of(
        cls, still: Sequence[tuple[Any, ...]], moving: Sequence[tuple[Any, ...]] = ()
    ) -> Exemplars:
        """From (landmarks, label, signer, picture, vector or None) of hands, and (landmarks, label,
        signer) of motions."""
        landmarks, label, signer, picture, vectors = (
            zip(*still, strict=True) if still else ((),) * 5
        )
        none = np.zeros(VECTOR, np.float16)
        motions, motion_label, motion_signer = zip(*moving, strict=True) if moving else ((),) * 3
        return cls(
            np.array(landmarks, np.float32).reshape(-1, 21, 3),
            np.array(label, np.str_),
            np.array(signer, np.str_),
            np.array(picture, np.int64),
            np.array(motions, np.float32).reshape(-1, _MOTION_FRAMES, 21, 3),
            np.array(motion_label, np.str_),
            np.array(motion_signer, np.str_),
            np.array([none if v is None else v for v in vectors], np.float16).reshape(-1, VECTOR),
        )

    @classmethod
    def load(cls, path: str | Path) -> Exemplars:
        """Read an exemplar file; ``InputError`` if it is missing, damaged or something else."""
        try:
            arrays = plain_arrays(path)
            arrays.setdefault("vectors", None)  # type: ignore[arg-type]  # files of before
            exemplars = cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
            for name in ("landmarks", "motion_landmarks"):
                array = getattr(exemplars, name)
                if array.shape[-2:] != (21, 3) or not np.isfinite(array).all():
                    raise ValueError(f"{name} are not finite numbers of shape (..., 21, 3)")
            if exemplars.vectors.shape != (len(exemplars.landmarks), VECTOR):
                raise ValueError(f"vectors are {exemplars.vectors.shape}, not (N, {VECTOR})")
        except (InputError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: expected an exemplar file (.npz), got {error!r}; make one with "
                "'chereme prepare exemplars --root DATA -o exemplars.npz'"
            ) from error
        return exemplars

    def save(self, path: str | Path) -> None:
        """Write an exemplar file."""
        # Given a name, numpy would add .npz to one without.
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **{n: getattr(self, n) for n in self.__dataclass_fields__})

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
        )


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


@dataclass(frozen=True)
class _Photo:
    path: Path
    label: str
    signer: str
    handedness: str | None  # known handedness, None: ask the detector
    aspect: float = 1.0  # width to multiply by to undo a stretch


def collection_file(root: Path, name: str) -> Path:
    """A file of one of the collections in ``root``, by its folder and name. InputError if it is not
    there."""
    path = root / name
    if not path.is_file():
        raise InputError(
            f"{path}: not found; expected the collection {name.partition('/')[0]} in the root "
            "folder, with the others that are needed (docs/training.md)"
        )
    return path


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _photos(root: Path, digits: bool) -> Iterator[_Photo]:
    shown = DIGITS if digits else LETTERS + _SILENT_DIGITS
    for row in rows_of(root / "letters_studio" / "index.csv"):
        if row["label"] in shown:
            label = row["label"] if digits or row["label"] in LETTERS else ""
            yield _Photo(root / "letters_studio" / row["path"], label, row["signer"], "right")
    if digits:
        return
    for row in rows_of(root / "letters_wild" / "index.csv"):
        # Stretched from 3:4 to a square in the collection. Handedness is partly guessed there.
        yield _Photo(root / "letters_wild" / row["path"], row["label"], "wild", None, 0.75)
    for row in rows_of(root / "handshapes_261" / "index.csv"):
        letters = [c for c in row["fingerspelling"].split(",") if c and c in UPRIGHT_LETTERS]
        if row["angle"] == "1" and letters:
            yield _Photo(root / "handshapes_261" / row["path"], letters[0], "manual", "right")


def _vary(image: NDArray[np.uint8], rng: np.random.Generator, first: bool) -> tuple[Any, Any]:
    """A changed copy of a photograph with a wide border, and its 2x3 map from old to new pixels."""
    cv2 = require("cv2", "train")
    height, width = image.shape[:2]
    side = int(max(height, width) * rng.uniform(1.0, 1.8))  # tight crops need a border to be found
    scale = 320 / side
    angle = 0.0 if first else rng.uniform(-20, 20)
    to_new = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    to_new[:, 2] += 160 - np.array([width / 2, height / 2])
    border = tuple(int(c) for c in np.median(image.reshape(-1, 3), axis=0))
    new = cv2.warpAffine(
        image,
        to_new,
        (320, 320),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )
    if not first:
        if rng.random() < 0.5:
            new = cv2.GaussianBlur(new, (0, 0), rng.uniform(0.5, 1.8))
        gain, lift = rng.uniform(0.7, 1.3), rng.uniform(-20, 20)
        noise = rng.normal(0, rng.uniform(0, 8), new.shape)
        new = np.clip(new * gain + lift + noise, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(new), to_new


def _detect_photo(photo: _Photo, detector: HandDetector, variants: int, rng: Any) -> list[Floats]:
    """Landmarks ``(21, 3)`` of a photograph, at most one per variant, as a right hand."""
    cv2 = require("cv2", "train")
    found: list[Floats] = []
    image = cv2.imread(str(photo.path))
    if image is None:
        raise InputError(f"{photo.path}: expected a photograph, it could not be read")
    if photo.aspect != 1.0:
        image = cv2.resize(image, (int(image.shape[1] * photo.aspect), image.shape[0]))
    image = image[..., ::-1]
    for variant in range(variants):
        changed, to_new = _vary(image, rng, first=variant == 0)
        hands = detector.detect(changed, 0.0)
        if not hands:
            continue
        hand = max(hands, key=lambda d: d.score)
        points = hand.landmarks.astype(np.float64)
        linear = np.linalg.inv(to_new[:, :2])
        points[:, :2] = (points[:, :2] - to_new[:, 2]) @ linear.T
        points[:, 2] *= np.sqrt(abs(np.linalg.det(linear)))
        if (photo.handedness or hand.handedness) == "left":
            points = mirror(points, image.shape[1])
        found.append(points)
    return _agreeing(found)


def _agreeing(found: list[Floats]) -> list[Floats]:
    """The detections of one photograph that lie near their joint-wise median, at least two.

    A detector that has mistaken something else for the hand rarely does so twice in the same way.
    """
    if len(found) < 2:
        return []
    middle = np.median(np.stack(found), axis=0)
    limit = 0.35 * palm_size(middle)
    near = [p for p in found if np.linalg.norm((p - middle)[:, :2], axis=-1).mean() < limit]
    return near if len(near) >= 2 else []


def _recordings(root: Path) -> Iterator[tuple[Floats, str, str]]:
    """Letter recordings of the landmark collection: ``(21, 3), label, signer``, every third frame.

    They show a mirrored right (or a left) hand: the thumb is on the wrong side."""
    with np.load(root / _RECORDED, allow_pickle=False) as file:
        landmarks, labels = file["landmarks"].astype(np.float64), file["label"]
        landmarks[..., [0, 2]] *= float(file["aspect"])
    for index in range(0, len(landmarks), 3):
        if labels[index] not in MOVING:
            yield mirror(landmarks[index], None), str(labels[index]), "recording"


def _animations(root: Path) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Hold of each letter and of rest ``(21, 3)``, and motions of J and Z ``(T, 21, 3)``."""
    folder = root / "transitions_animation"
    pose_format = require("pose_format")
    holds: dict[str, Floats] = {}
    motions: dict[str, Floats] = {}
    for row in rows_of(folder / "index.csv"):
        wanted = (row["from"] == "rest" and row["kind"] == "transition") or row["to"] in MOVING
        if not wanted and row["to"] != "rest":
            continue
        data = (folder / "poses" / row["file"]).read_bytes()
        points = np.asarray(pose_format.Pose.read(data).body.data.filled(0))[:, 0]
        points = (points.astype(np.float64) + np.array([1.5, 0.8, 1.0])) * 200.0
        if row["to"] in MOVING and row["from"] == "rest":
            motions[row["to"]] = points[-_MOTION_FRAMES:]
        holds.setdefault(row["to"], points[-1])
    return holds, motions


def _zigzags(root: Path) -> Iterator[Floats]:
    """Real strokes of Z: windows of the repeated zig-zag in the landmark collection."""
    with np.load(root / _RECORDED, allow_pickle=False) as file:
        is_z = file["label"] == "z"
        landmarks = file["landmarks"][is_z].astype(np.float64)
        landmarks[..., [0, 2]] *= float(file["aspect"])
        segment = file["segment"][is_z]
    for value in np.unique(segment):
        run = mirror(landmarks[segment == value], None)
        for start in range(0, len(run) - 13, 6):
            source = np.linspace(start, start + 13, _MOTION_FRAMES)
            low = np.minimum(source.astype(int), len(run) - 2)
            part = (source - low)[:, None, None]
            yield run[low] * (1 - part) + run[low + 1] * part


def build_exemplars(
    root: str | Path,
    detector: HandDetector,
    *,
    digits: bool = False,
    variants: int = 6,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Exemplars:
    """Read the collections under ``root`` into ``Exemplars``.

    Args:
        root: folder with letters_studio, letters_wild, handshapes_261, letters_landmarks and
            transitions_animation; letters_studio alone for digits.
        detector: a still-image hand detector (``chereme.hands.detector.HandDetector``).
        digits: the digits 0 to 9, which photographs alone have, in the place of the letters.
        variants: times that each photograph is shown to the detector.
        progress: called with the photographs done and those expected.

    ``InputError`` if a collection is missing or a photograph cannot be read.
    """
    root = Path(root)
    for name in _COLLECTIONS[: 1 if digits else None]:  # before any long work
        collection_file(root, name)
    rng = np.random.default_rng(seed)
    found: list[tuple[Any, ...]] = []
    photos = list(_photos(root, digits))
    picture = 0
    for photo in photos:
        picture += 1
        if progress is not None:
            progress(picture, len(photos))
        found += [
            (points, photo.label, photo.signer, picture, None)
            for points in _detect_photo(photo, detector, variants, rng)
        ]
    moving: list[tuple[Floats, str, str]] = []
    if not digits:
        for points, label, signer in _recordings(root):
            picture += 1
            found.append((points, label, signer, picture, None))
        holds, motions = _animations(root)
        for label, points in holds.items():
            picture += 1
            found.append((points, "" if label == "rest" else label, "animation", picture, None))
        moving += [(points, label, "animation") for label, points in motions.items()]
        moving += [(points, "z", "recording") for points in _zigzags(root)]
    return Exemplars.of(found, moving)
