"""Isolated clips as the joints of both hands, of a whole data set in one file that is read in
place.

A folder of poses holds

- ``poses.npy``: ``(N, 2, 21, 3)`` float32, the frames of all clips one after the other; left and
  right hand of the signer; x and y in pixels (x right, y down) and the confidence, 0..1. A joint
  that was not seen has the confidence 0 and the place NaN.
- ``clips.csv``: a row for each clip, in the order of its frames.
- ``status.csv``: what became of each clip (`chereme.datasets.status`), where the data set was
  found.
- ``landmarks/``: what the detector saw in recordings, so that they are looked at only once.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.clips import damage_of
from chereme.datasets.corpus import LEAST_FRAMES, Corpus, Unusable
from chereme.datasets.engine import Engine, Where
from chereme.datasets.preparation import (
    Preparation,
    Progress,
    alone_in,
    prepare_clips,
)
from chereme.datasets.shards import UNSPLIT
from chereme.datasets.sign_clips import (
    Confidence,
    SignerItem,
    in_box,
    keypoints_of,
    rated,
    read_frames,
)
from chereme.datasets.status import Row
from chereme.errors import InputError
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.hands.both import SIDES, both_hands, sign_span
from chereme.hands.detector import own_detector
from chereme.recognition.hand_landmarks import MakeDetector, detect_hands, is_landmark_file
from chereme.types import NUM_JOINTS, FloatArray, Landmarks
from chereme.video import Limits
from chereme.video.reader import FOLDER_RATE

POSES, CLIPS, SEEN = "poses.npy", "clips.csv", "landmarks"


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip without its frames. ``label`` is its gloss, empty where nobody knows it; ``signer``
    and ``split`` are empty where they are not stated; ``rate`` is in frames a second."""

    id: str
    label: str
    signer: str
    split: str
    rate: float
    frames: int


_COLUMNS = tuple(own.name for own in fields(Entry))


class PoseClip(NamedTuple):
    """``joints (T, 2, 21, 2)`` float32 pixels, NaN where not seen; ``confidence (T, 2, 21)``."""

    entry: Entry
    joints: FloatArray
    confidence: FloatArray

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(T, 2)``: the left and the right hand were seen."""
        present: NDArray[np.bool_] = np.any(self.confidence > 0, axis=-1)
        return present


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSequence(Item):
    """A clip whose joints are known: nothing is looked for in it. It may have no label."""

    label: str = ""
    clip: PoseClip = field(compare=False, repr=False)


# -- reading ---------------------------------------------------------------------------------------
class PoseCorpus:
    """The clips of a folder of poses: ``entries`` in memory, frames on the disk until asked for.

    InputError for a folder without poses, or whose files do not fit together.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.entries = tuple(_read_entries(self.folder / CLIPS))
        self._ends = np.cumsum([entry.frames for entry in self.entries], dtype=np.int64)
        found, wanted = self._frames.shape, (int(sum(e.frames for e in self.entries)), 2, 21, 3)
        if found != wanted:
            raise InputError(
                f"{self.folder / POSES}: expected numbers of shape {wanted}, as {CLIPS} lists "
                f"them, got {found}; prepare the clips again"
            )

    @cached_property
    def _frames(self) -> NDArray[np.float32]:
        path = self.folder / POSES
        try:
            frames: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: expected the joints of prepared clips ({error}); prepare the clips again"
            ) from error
        return frames

    def __getstate__(self) -> dict[str, Any]:
        # A worker maps the file itself, rather than being sent all of it.
        return {name: value for name, value in vars(self).items() if name != "_frames"}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> PoseClip:
        entry, end = self.entries[index], int(self._ends[index])
        frames = np.array(self._frames[end - entry.frames : end])
        return PoseClip(entry, frames[..., :2], frames[..., 2])


def _read_entries(path: Path) -> Iterator[Entry]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            for row in rows:
                yield Entry(**{**row, "rate": float(row["rate"]), "frames": int(row["frames"])})  # type: ignore[arg-type]
    except OSError as error:
        raise InputError(
            f"{path}: expected the list of a folder of poses ({error.strerror}); give a folder "
            "that 'chereme prepare' or chereme.datasets.pose_clips wrote"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected the columns {','.join(_COLUMNS)} and numbers in the last two "
            f"({error}); prepare the clips again"
        ) from error


# -- writing ---------------------------------------------------------------------------------------
class PoseWriter:
    """Writes clips to a folder, which has them when this is left without an error."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.entries: list[Entry] = []
        self._part = self.folder / f"{POSES}.part"
        self._file = self._part.open("wb")
        self._write_header(0)

    def _write_header(self, frames: int) -> None:
        # numpy leaves room for any number of rows, so that it can be written last.
        self._file.seek(0)
        shape = (frames, len(SIDES), NUM_JOINTS, 3)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)  # type: ignore[no-untyped-call]

    def add(self, clip: PoseClip) -> None:
        """Write a clip. InputError for one without frames, or of another shape."""
        shape = (clip.entry.frames, len(SIDES), NUM_JOINTS)
        if not clip.entry.frames or clip.joints.shape != (*shape, 2):
            raise InputError(f"{clip.entry.id}: expected joints {(*shape, 2)} of at least a frame")
        if clip.confidence.shape != shape:
            raise InputError(f"{clip.entry.id}: expected confidences {shape}")
        seen = (clip.confidence > 0) & np.isfinite(clip.joints).all(-1)
        frames = np.empty((*shape, 3), "<f4")
        frames[..., :2] = np.where(seen[..., None], clip.joints, np.nan)
        # Scores of detectors may be a little above 1.
        frames[..., 2] = np.where(seen, clip.confidence, 0.0).clip(0.0, 1.0)
        self._file.write(frames.tobytes())
        self.entries.append(clip.entry)

    def __enter__(self) -> PoseWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write_header(sum(entry.frames for entry in self.entries))
        self._file.close()
        if kind is not None:
            self._part.unlink()
            return
        listed = _write_entries(self.folder, self.entries)
        self._part.replace(self.folder / POSES)
        listed.replace(self.folder / CLIPS)


def _write_entries(folder: Path, entries: Iterable[Entry]) -> Path:
    listed = folder / f"{CLIPS}.part"
    with listed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows([getattr(entry, name) for name in _COLUMNS] for entry in entries)
    return listed


def relabel(folder: str | Path, change: Callable[[Entry], Entry]) -> tuple[Entry, ...]:
    """Change labels, signers or splits of the clips of a folder of poses, and nothing of their
    frames; what is known of them then."""
    folder = Path(folder)
    entries = tuple(change(entry) for entry in _read_entries(folder / CLIPS))
    _write_entries(folder, entries).replace(folder / CLIPS)
    return entries


def write_poses(
    clips: Iterable[PoseClip], folder: str | Path, *, progress: Progress | None = None
) -> int:
    """Write clips to a folder of poses; how many.

    ``progress``: called with the clips done, and all of them, where ``clips`` has a length.
    """
    with PoseWriter(folder) as writer:
        for done, clip in enumerate(clips, start=1):
            writer.add(clip)
            if progress is not None:
                progress(done, len(clips) if isinstance(clips, Sized) else done)
    return len(writer.entries)


# -- from recordings -------------------------------------------------------------------------------
def pose_clip(item: Item, seen: Landmarks, rate: float = FOLDER_RATE) -> PoseClip:
    """``seen`` in ``item`` as a clip, from the first frame in which a hand was seen to the last.

    ``rate``: of a single frame, which has none. Unusable where no hand was seen.
    """
    joints, confidence = both_hands(seen, item.hand)
    cut = sign_span(confidence)
    if cut is None:
        raise Unusable("no hand seen", f"in {len(seen.timestamps)} frames")
    times = seen.timestamps
    if len(times) > 1:
        rate = float((len(times) - 1) / (times[-1] - times[0]))
    entry = Entry(
        item.id, item.label, item.signer or "", item.split or "", rate, cut.stop - cut.start
    )
    return PoseClip(entry, joints[cut], confidence[cut])


def prepare_poses(
    corpus: Corpus,
    folder: str | Path,
    *,
    rate: float | None = None,
    keypoints: tuple[Path, str] | None = None,
    confidence: Confidence = "detector",
    workers: int = 1,
    engine: Where = "local",
    limits: Limits | None = None,
    make_detector: MakeDetector = own_detector,
    progress: Progress | None = None,
) -> Preparation:
    """Find both hands in the clips of ``corpus`` and write them to ``folder``.

    Items are landmark files (``.npz``, ``.pose``), or recordings, in which the detector looks once:
    what it saw stays in the folder, so that a run that was stopped loses little. Clips that cannot
    be used are listed in ``status.csv``, and so are clips of one frame, which are kept.

    Args:
        rate: frames a second of folders of frames (default 30), and of landmark files in the place
            of what they say.
        confidence: of the joints that the detector finds, see ``sign_clips.SignSettings``.
        workers: processes that look for hands. A clip on which one dies is dropped, if there are
            several.
        engine: where these are: on this machine, or on those of a Ray cluster.
        limits: the largest recordings and files of landmarks to accept.
        make_detector: another hand detector; with several workers one that can be pickled.
        progress: called with the clips that are done with, and all.

    InputError if no clip can be used, or another process is at work in the folder.
    """
    folder = Path(folder)
    (folder / SEEN).mkdir(parents=True, exist_ok=True)
    reading = {"rate": rate, "limits": limits}
    look = partial(
        _look,
        folder=folder / SEEN,
        reading=reading,
        keypoints=keypoints,
        confidence=confidence,
    )
    with alone_in(folder), PoseWriter(folder) as writer:

        def write(item: Item, clip: PoseClip) -> Row:
            writer.add(clip)
            frames, seen = clip.entry.frames, int(clip.present.any(axis=1).sum())
            remark = "one frame only" if frames == 1 else ""
            split = item.split or UNSPLIT
            return Row(item.id, split, "done", remark, shard=POSES, frames=frames, seen=seen)

        work = Engine[PoseClip](look, make_detector, workers, engine)
        return prepare_clips(corpus, folder, work, write, progress=progress)


def prepare_joints(corpus: Corpus, folder: str | Path) -> Preparation:
    """Write the `JointSequence` items of ``corpus`` to ``folder``."""
    return prepare_poses(corpus, folder)


def _look(
    item: Item,
    *,
    make_detector: MakeDetector,
    folder: Path,
    reading: dict[str, Any],
    keypoints: tuple[Path, str] | None,
    confidence: Confidence,
) -> PoseClip:
    """The clip of an item, or Unusable; ``folder`` has what was seen in recordings before."""
    if isinstance(item, JointSequence):
        return item.clip
    try:
        if is_landmark_file(item.path):
            seen = detect_hands(item.path, start=item.start, end=item.end, **reading).landmarks
        elif keypoints is not None:
            read = read_frames(item, reading["rate"] or FOLDER_RATE, reading["limits"])
            damage_of(read.info, LEAST_FRAMES)
            found = keypoints_of(item, *keypoints, read)
            seen = found.hands(read.timestamps, read.width, read.height)
        else:
            seen = _seen_in_recording(item, folder, reading, make_detector)
            seen = rated(item, seen, confidence)
        return pose_clip(item, seen, reading["rate"] or FOLDER_RATE)
    except Unusable:
        raise
    except InputError as error:
        raise Unusable("cannot be read", str(error)) from error


def _seen_in_recording(
    item: Item, folder: Path, reading: dict[str, Any], make_detector: MakeDetector
) -> Landmarks:
    box = item.box if isinstance(item, SignerItem) else None
    stat = item.path.stat() if item.path.exists() else None
    about = (
        item.path.resolve(),
        item.start,
        item.end,
        reading["rate"],
        stat and (stat.st_size, stat.st_mtime),
        *((box,) if box else ()),
    )
    kept = folder / f"{hashlib.sha256(repr(about).encode()).hexdigest()[:24]}.npz"
    if kept.exists():
        return detect_hands(kept, limits=reading["limits"]).landmarks
    found = detect_hands(
        item.path,
        start=item.start,
        end=item.end,
        make_detector=in_box(item, make_detector),
        **reading,
    )
    damage_of(found.info, LEAST_FRAMES)
    part = kept.with_name(f"part-{kept.name}")
    write_landmarks(found.landmarks, part)
    part.replace(kept)
    return found.landmarks
