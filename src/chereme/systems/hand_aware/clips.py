"""Clips of isolated signs as shards hold them: the crops of one hand or of both, read one by one.

A sample of a shard is a clip of one hand (`chereme.datasets.shards`) and its label a gloss. Where
both hands of a clip were cut out there are two samples, whose ids are the clip's with "@left" or
"@right" behind it; the one that signs comes first.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chereme.datasets.pose_clips import Entry
from chereme.datasets.shards import UNSPLIT, Sample
from chereme.errors import InputError

_TEACHER = "teacher."


@dataclass(frozen=True)
class _Stored:
    """Where a sample lies: its shard, and ``spans``, (first byte, bytes) of each of its files."""

    path: Path
    about: dict[str, Any]
    spans: dict[str, tuple[int, int]]

    def read(self, teachers: Collection[str] | None) -> Sample:
        """The sample with the vectors of these teachers (None: all), its pictures not decoded."""
        with self.path.open("rb") as file:

            def bytes_of(ending: str) -> bytes:
                first, count = self.spans[ending]
                file.seek(first)
                return file.read(count)

            arrays = {
                ending.removesuffix(".npy"): np.load(
                    io.BytesIO(bytes_of(ending)), allow_pickle=False
                )
                for ending in self.spans
                if ending.endswith(".npy") and _wanted(ending, teachers)
            }
            names = [f"{frame:04d}.jpg" for frame in range(self.about["frames"])]
            jpegs = tuple(bytes_of(name) if name in self.spans else None for name in names)
        about = self.about
        return Sample(
            **{k: about[k] for k in ("id", "label", "signer", "split", "rate", "handedness")},
            jpegs=jpegs,
            landmarks=arrays["landmarks"],
            confidence=arrays["confidence"],
            boxes=arrays["boxes"],
            teacher={
                name.removeprefix(_TEACHER): array
                for name, array in arrays.items()
                if name.startswith(_TEACHER)
            },
            size=about["size"],
        )


class SignCorpus:
    """The clips in the shards of a folder: ``entries`` in memory, the rest on the disk until asked
    for.

    ``seen``: in how many frames of each clip a hand was seen. InputError for a folder without
    shards, a damaged shard, or hands of a clip that do not fit each other.
    """

    def __init__(self, folder: str | Path) -> None:
        paths = sorted(Path(folder).glob("*-[0-9]*.tar"))
        if not paths:
            raise InputError(
                f"{folder}: expected prepared clips, train-000000.tar and so on, but there are "
                "none; make them with 'chereme prepare', or name another folder"
            )
        clips: dict[str, list[_Stored]] = {}
        for path in paths:
            for stored in _stored(path):
                clips.setdefault(_clip(stored.about["id"]), []).append(stored)
        self._clips = list(clips.values())
        self.entries = tuple(_entry(name, hands) for name, hands in clips.items())
        self.seen = tuple(sum(hand.about["seen"] for hand in hands) for hands in self._clips)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[Sample, ...]:
        """The hands of a clip, one or two."""
        return self.read(index)

    def read(self, index: int, teachers: Collection[str] | None = None) -> tuple[Sample, ...]:
        """The hands of a clip with the vectors of these teachers alone; None: of all."""
        return tuple(stored.read(teachers) for stored in self._clips[index])


def _wanted(ending: str, teachers: Collection[str] | None) -> bool:
    """Whether a file of a sample is read: no vectors of mirrored crops are, nor of teachers that
    nobody asks for."""
    kind, _, rest = ending.removesuffix(".npy").partition(".")
    if not rest:
        return True
    return kind == "teacher" and (teachers is None or rest in teachers)


def _clip(name: str) -> str:
    """Id of the clip that a sample is of."""
    clip, _, side = name.rpartition("@")
    return clip if clip and side in ("left", "right") else name


def _entry(name: str, hands: list[_Stored]) -> Entry:
    first = hands[0].about
    for other in hands[1:]:
        if len(hands) > 2 or any(first[key] != other.about[key] for key in ("frames", "label")):
            raise InputError(
                f"clip {name}: expected one hand, or two of the same gloss and number of frames; "
                "got others (the same id twice?); prepare the clips again"
            )
    split = first["split"]
    return Entry(
        name,
        first["label"],
        first["signer"] or "",
        "" if split == UNSPLIT else split,
        first["rate"],
        first["frames"],
    )


def _stored(path: Path) -> Iterator[_Stored]:
    spans: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                ending = member.name.partition(".")[2]
                if ending == "json":
                    file = tar.extractfile(member)
                    about = json.loads(file.read()) if file else {}
                    yield _Stored(path, {"seen": 0, **about}, spans)
                    spans = {}
                else:
                    spans[ending] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: expected a tar of prepared clips, but it is damaged ({error}); delete it and "
            "make it again"
        ) from error
