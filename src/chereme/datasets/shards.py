"""Prepared clips on disk: tars of cropped hands, their landmarks, and what teachers say of them.

A folder of tars in the layout of WebDataset, ``<split>-000000.tar`` and so on. A sample is a clip
of one hand: files whose names share what stands before the first dot, the clip's id, escaped:

    <key>.0000.jpg            the crop of frame 0; there is none for a frame without a hand
    <key>.landmarks.npy       and confidence.npy, boxes.npy; see ``Sample``
    <key>.teacher.<name>.npy  vectors of a teacher; mirrored.<name>.npy those of mirrored crops
    <key>.json                id, label, signer and so on; always the last

Whole frames, and clips of which nothing but keypoints is kept, are such samples too.

A tar that is being written is called ``<split>-000000.tar.part``. Clips are added to it whole and
put on the disk one by one, so that one that is cut off is gone on with after its last whole clip.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.types import NUM_JOINTS, FloatArray, Handedness

SIZE = 256  # pixels of a side of a crop
QUALITY = 92  # of JPEG
LIMIT = 1 << 28  # bytes of a tar
UNSPLIT = "unsplit"  # the split of clips of data sets without splits
Precision = Literal["half", "single"]
_BLOCK = 512  # bytes; the unit of tars
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip of T frames of one hand, seen as a right hand: those of left hands are mirrored.

    ``jpegs``: the crop of each frame, or None where no hand was seen. ``landmarks (T, 21, 3)``
    float32 in pixels of the crop (x right, y down, z in the same scale), NaN where no hand was
    seen; ``confidence (T, 21)``. ``boxes (T, 4)``: left, top, right, bottom of the crop in pixels
    of the frame, of the mirrored frame for a left hand. ``handedness`` is the signer's own hand,
    ``rate`` frames a second, ``size`` the side S of the crops.

    ``teacher``: by the teacher's name, ``(T, D)`` vectors of the crops, float16 or float32;
    ``teacher_mirrored`` those of the crops flipped left-right, so that a clip that is flipped in
    training meets its own. Rows of frames without a hand mean nothing.

    Raises InputError for arrays that do not have T rows.
    """

    id: str
    label: str
    signer: str | None
    split: str
    rate: float
    handedness: Handedness
    jpegs: tuple[bytes | None, ...]
    landmarks: FloatArray
    confidence: FloatArray
    boxes: FloatArray
    teacher: Mapping[str, FloatArray] = field(default_factory=dict)
    teacher_mirrored: Mapping[str, FloatArray] = field(default_factory=dict)
    size: int = SIZE

    def __post_init__(self) -> None:
        frames = len(self.jpegs)
        expected: list[tuple[str, FloatArray, tuple[int, ...]]] = [
            ("landmarks", self.landmarks, (frames, NUM_JOINTS, 3)),
            ("confidence", self.confidence, (frames, NUM_JOINTS)),
            ("boxes", self.boxes, (frames, 4)),
        ]
        for name, vectors in (*self.teacher.items(), *self.teacher_mirrored.items()):
            expected.append((f"vectors of {name}", vectors, (frames, vectors.shape[-1])))
        for name, array, shape in expected:
            if array.shape != shape:
                raise InputError(
                    f"clip {self.id}: {name}: expected shape {shape} for {frames} frames, "
                    f"got {array.shape}"
                )

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(T,)`` True where the hand was seen."""
        return np.array([jpeg is not None for jpeg in self.jpegs], bool)

    @property
    def crops(self) -> NDArray[np.uint8]:
        """``(T, S, S, 3)`` RGB, black where no hand was seen. Decoded anew at each access."""
        return self.decode(range(len(self.jpegs)))

    def decode(self, frames: Iterable[int]) -> NDArray[np.uint8]:
        """``(N, S, S, 3)`` RGB: the crops of some frames."""
        return np.stack([self._crop(frame) for frame in frames])

    def _crop(self, frame: int) -> NDArray[np.uint8]:
        from PIL import Image

        jpeg = self.jpegs[frame]
        if jpeg is None:
            return np.zeros((self.size, self.size, 3), np.uint8)
        try:
            with Image.open(io.BytesIO(jpeg), formats=["JPEG", "PNG"]) as picture:
                got = f"{picture.width}x{picture.height}"
                if picture.size == (self.size, self.size):
                    return np.array(picture.convert("RGB"))
        except (OSError, SyntaxError):  # of its data, of its header
            got = "one that is damaged"
        raise InputError(
            f"clip {self.id}, frame {frame}: expected a crop of {self.size}x{self.size} "
            f"pixels, got {got}; prepare the data again"
        )


def clip_of(name: str) -> str:
    """Id of the clip that a sample is of: of two hands of a clip each has its side behind it."""
    clip, _, side = name.rpartition("@")
    return clip if clip and side in ("left", "right") else name


def jpeg_of(crop: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """The JPEG of a crop ``(S, S, 3)`` RGB."""
    from PIL.Image import fromarray

    buffer = io.BytesIO()
    fromarray(crop).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shards(folder: str | Path, split: str) -> list[Path]:
    """The whole tars of a split, in order. InputError if there is none."""
    folder = Path(folder)
    paths = sorted(folder.glob(f"{split}-[0-9]*.tar"))
    if not paths:
        begun = any(folder.glob(f"{split}-[0-9]*.tar.part"))
        raise InputError(
            f"{folder}: expected prepared clips, {split}-000000.tar and so on, but there are none"
            + (
                ", only what a preparation has begun; let 'chereme prepare' go on to its end"
                if begun
                else "; make them with 'chereme prepare', or name another split"
            )
        )
    return paths


def read_shards(folder: str | Path, split: str) -> Iterator[Sample]:
    """All clips of a split, one after the other. InputError if there is none, or a tar is bad."""
    for path in shards(folder, split):
        yield from read_shard(path)


def read_shard(path: str | Path) -> Iterator[Sample]:
    """The clips of one tar, in constant memory. InputError naming it if it is damaged."""
    with _damage_reported(path), tarfile.open(path, "r:") as tar:
        for _, parts in _clips(tar):
            yield _sample(parts)
        # Of a header that is damaged, or lacking, tarfile makes the end of the tar.
        with Path(path).open("rb") as raw:
            raw.seek(tar.offset)
            if raw.read(len(_END)) != _END:
                raise ValueError(f"it breaks off after {tar.offset} bytes")


def descriptions(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of each clip of a tar where its files begin, in bytes, and what its ``.json`` says."""
    with _damage_reported(path), tarfile.open(path, "r:") as tar:
        for begin, parts in _clips(tar, lambda ending: False):
            yield begin, json.loads(parts["json"])


def read_sample(path: str | Path, begin: int, wanted: Callable[[str], bool]) -> Sample:
    """The clip of a tar whose files begin at that byte; ``wanted``: which of its files are read, by
    their endings (``0000.jpg``, ``teacher.NAME.npy``)."""
    with _damage_reported(path), Path(path).open("rb") as file:
        file.seek(begin)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for _, parts in _clips(tar, wanted):
                return _sample(parts)
        raise ValueError(f"there is no clip at byte {begin}")


def _clips(
    tar: tarfile.TarFile, wanted: Callable[[str], bool] = lambda ending: True
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Of each clip where its files begin and, by ending, those ``wanted`` and ``json``."""
    parts: dict[str, bytes] = {}
    begin: int | None = None
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # or all are kept
        begin = member.offset if begin is None else begin
        ending = member.name.partition(".")[2]
        if ending == "json" or wanted(ending):
            file = tar.extractfile(member)
            if file is None:
                raise ValueError(f"{member.name} is not a file")
            parts[ending] = file.read()
        if ending == "json":
            yield begin, parts
            parts, begin = {}, None
    if begin is not None:
        raise ValueError(f"it breaks off after {tar.offset} bytes")


@contextmanager
def _damage_reported(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path}: expected a tar of prepared clips, but it is damaged ({error}); delete it and "
            "run 'chereme prepare' again, which makes what is missing"
        ) from error


def write(samples: Iterable[Sample], folder: str | Path, *, limit: int = LIMIT) -> list[Path]:
    """Write samples, each to its split's tars of at most ``limit`` bytes (or one clip).

    Returns the tars written. A tar gets its name when it is whole.
    """
    writers: dict[str, ShardWriter] = {}
    with ExitStack() as stack:
        for sample in samples:
            if sample.split not in writers:
                writer = ShardWriter(folder, sample.split, limit=limit)
                writers[sample.split] = stack.enter_context(writer)
            writers[sample.split].add(sample)
        return [path for writer in writers.values() for path in writer.finish()]


class ShardWriter:
    """Adds clips of one split to the tars in ``folder``, going on with what is there.

    ``recovered``: the descriptions (what is in ``.json``) of the clips in a tar that was begun.
    Leaving its context closes the file, and leaves the tar as begun: ``finish`` makes it whole.
    ``precision``: of teachers' vectors; half, but for those with a number too large for it.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        limit: int = LIMIT,
        precision: Precision = "half",
    ) -> None:
        self._folder, self._split, self._limit = Path(folder), split, limit
        self._precision = precision
        self._folder.mkdir(parents=True, exist_ok=True)
        self._finished: list[Path] = []
        begun = sorted(self._folder.glob(f"{split}-[0-9]*.tar.part"))
        self._number = _number(begun[0]) if begun else self._free_number()
        self._file = self._part.open("ab") if begun else None
        self.recovered: list[dict[str, Any]] = []
        if self._file is not None:
            self.recovered, size = clips_in(self._part)
            self._file.truncate(size)

    @property
    def current(self) -> str:
        """Name of the tar that is being written, as it will be called."""
        return f"{self._split}-{self._number:06d}.tar"

    @property
    def _part(self) -> Path:
        return self._folder / f"{self.current}.part"

    def _free_number(self) -> int:
        complete = self._folder.glob(f"{self._split}-[0-9]*.tar")
        return max((_number(path) + 1 for path in complete), default=0)

    def add(self, *hands: Sample) -> str:
        """Write a clip, the samples of its hands; the name of its tar. When this returns, the clip
        is on the disk."""
        data = b"".join(_packed(one, self._precision, more=one is not hands[-1]) for one in hands)
        if self._file is not None and self._file.tell() + len(data) + len(_END) > self._limit:
            self._complete()
        if self._file is None:
            self._number = self._free_number()
            self._file = self._part.open("wb")
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        return self.current

    def finish(self) -> list[Path]:
        """Make the tar that was begun whole; the tars that were written since opening."""
        if self._file is not None:
            self._complete()
        return self._finished

    def _complete(self) -> None:
        assert self._file is not None
        empty = self._file.seek(0, os.SEEK_END) == 0
        self._file.write(_END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        if empty:  # cut off within its first clip, which has not come again
            self._part.unlink()
            return
        path = self._folder / self.current
        self._part.rename(path)
        self._finished.append(path)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0].rpartition("-")[2])


def _packed(sample: Sample, precision: Precision, more: bool = False) -> bytes:
    """The files of a sample as a part of a tar; ``more``: another hand of its clip follows."""
    key = quote(sample.id, safe="").replace(".", "%2E")
    files: dict[str, bytes] = {
        f"{frame:04d}.jpg": jpeg for frame, jpeg in enumerate(sample.jpegs) if jpeg is not None
    }
    arrays = {
        "landmarks": sample.landmarks.astype(np.float32),
        "confidence": sample.confidence.astype(np.float32),
        "boxes": sample.boxes.astype(np.float32),
        **{f"teacher.{name}": _stored(v, precision) for name, v in sample.teacher.items()},
        **{f"mirrored.{n}": _stored(v, precision) for n, v in sample.teacher_mirrored.items()},
    }
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    description = {
        "id": sample.id,
        "label": sample.label,
        "signer": sample.signer,
        "split": sample.split,
        "rate": sample.rate,
        "handedness": sample.handedness,
        "size": sample.size,
        "frames": len(sample.jpegs),
        "seen": int(sample.present.sum()),
        **({"more": True} if more else {}),
    }
    files["json"] = json.dumps(description, ensure_ascii=False).encode()
    return b"".join(_member(f"{key}.{ending}", data) for ending, data in files.items())


def _stored(vectors: FloatArray, precision: Precision) -> FloatArray:
    """In that precision, in single where a number is too large for half."""
    if precision == "single" or np.abs(vectors).max(initial=0) > np.finfo(np.float16).max:
        return vectors.astype(np.float32)
    return vectors.astype(np.float16)


def _member(name: str, data: bytes) -> bytes:
    # The same clip gives the same bytes: no times, no owners.
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % _BLOCK)


def clips_in(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The descriptions of the samples of whole clips in a tar, which may be cut off, and where they
    end."""
    found: list[dict[str, Any]] = []
    hands: list[dict[str, Any]] = []  # of a clip of which more may follow
    end = 0
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                stop = member.offset_data + -(-member.size // _BLOCK) * _BLOCK
                if stop > size:
                    break
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    hands.append(json.loads(file.read()))
                    if not hands[-1].get("more"):
                        found += hands
                        hands, end = [], stop
    except (tarfile.TarError, OSError, ValueError):
        pass  # cut off: what was found before it is whole
    return found, end


def _sample(parts: Mapping[str, bytes]) -> Sample:
    about = json.loads(parts["json"])
    arrays = {
        ending.removesuffix(".npy"): np.load(io.BytesIO(data), allow_pickle=False)
        for ending, data in parts.items()
        if ending.endswith(".npy")
    }

    def vectors(kind: str) -> dict[str, FloatArray]:
        return {n.removeprefix(kind): a for n, a in arrays.items() if n.startswith(kind)}

    return Sample(
        id=about["id"],
        label=about["label"],
        signer=about["signer"],
        split=about["split"],
        rate=about["rate"],
        handedness=about["handedness"],
        jpegs=tuple(parts.get(f"{frame:04d}.jpg") for frame in range(about["frames"])),
        landmarks=arrays["landmarks"],
        confidence=arrays["confidence"],
        boxes=arrays["boxes"],
        teacher=vectors("teacher."),
        teacher_mirrored=vectors("mirrored."),
        size=about["size"],
    )
