"""The clips of a folder of shards, read one by one in any order.

A sample of a shard is a clip of one hand (`chereme.datasets.shards`). Where both hands of a clip
were cut out there are two samples, whose ids are the clip's with "@left" or "@right" behind it; the
one that signs comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from sys import intern
from typing import Any, TypeVar

from chereme.datasets.pose_clips import Entry
from chereme.datasets.prepare_crops import SETTINGS, read_settings
from chereme.datasets.shards import UNSPLIT, Sample, clip_of, descriptions, read_sample
from chereme.errors import InputError, UsageError

T = TypeVar("T")
BRIDGE = 0.2  # seconds: gaps that ``chereme.datasets.clips`` fills, by the default of bridge_gaps


class ShardCorpus:
    """The clips in the shards of a folder: ``entries`` in memory, the rest on the disk until asked
    for.

    ``seen``: in how many frames of each clip a hand was seen. InputError for a folder without
    shards, a damaged shard, or hands of a clip that do not fit each other.
    """

    def __init__(self, folder: str | Path) -> None:
        self._paths = sorted(Path(folder).glob("*-[0-9]*.tar"))
        if not self._paths:
            raise InputError(
                f"{folder}: expected prepared clips, train-000000.tar and so on, but there are "
                "none; make them with 'chereme prepare', or name another folder"
            )
        # There may be a hundred thousand: of each hand the numbers of its shard and its first byte.
        entries: dict[str, Entry] = {}
        hands: dict[str, tuple[int, ...]] = {}
        seen: dict[str, int] = {}
        for number, path in enumerate(self._paths):
            for begin, about in descriptions(path):
                entry = _entry(about)
                name = entry.id
                hands[name] = (*hands.get(name, ()), number, begin)
                seen[name] = seen.get(name, 0) + about.get("seen", 0)
                first = entries.setdefault(name, entry)
                fits = (first.frames, first.label) == (entry.frames, entry.label)
                if not fits or len(hands[name]) > 4:
                    raise InputError(
                        f"clip {name}: expected one hand, or two of the same gloss and number of "
                        "frames; got others (the same id twice?); prepare the clips again"
                    )
        self.entries, self._hands = tuple(entries.values()), tuple(hands.values())
        self.seen = tuple(seen.values())

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[Sample, ...]:
        """The hands of a clip, one or two."""
        return self.read(index)

    def read(
        self, index: int, teachers: Collection[str] | None = None, *, mirrored: bool = False
    ) -> tuple[Sample, ...]:
        """The hands of a clip with the vectors of these teachers alone; None: of all. Those of
        ``mirrored`` crops too, if asked for."""
        where = self._hands[index]
        wanted = partial(_wanted, teachers=teachers, mirrored=mirrored)
        return tuple(
            read_sample(self._paths[number], begin, wanted)
            for number, begin in zip(where[::2], where[1::2], strict=True)
        )


def _wanted(ending: str, teachers: Collection[str] | None, mirrored: bool) -> bool:
    """Whether a file of a sample is read."""
    kind, _, name = ending.removesuffix(".npy").partition(".")
    if kind not in ("teacher", "mirrored"):
        return True
    return (mirrored or kind == "teacher") and (teachers is None or name in teachers)


def _entry(about: dict[str, Any]) -> Entry:
    split = about["split"]
    return Entry(
        clip_of(about["id"]),
        intern(about["label"]),
        intern(about["signer"] or ""),
        "" if split == UNSPLIT else intern(split),
        about["rate"],
        about["frames"],
    )


def contents_of(folder: str) -> str | None:
    """Whether the shards in a folder are of "crops", "frames" or "keypoints"; None where nothing
    there says so."""
    if not (Path(folder) / SETTINGS).is_file():
        return None
    return getattr(read_settings(folder), "into", None)


def crop_of(folders: Sequence[str]) -> dict[str, Any]:
    """How the crops in ``folders`` were cut out, as a bundle says it; ``around``: of boxes by the
    shoulders, which no bundle can say.

    UsageError if it was in different ways; InputError if a folder does not say.
    """
    found = {folder: read_settings(folder) for folder in folders}
    boxes = {
        folder: (made.padding, made.smoothing, getattr(made, "around", "hand"))
        for folder, made in found.items()
    }
    wanted = "crops of one padding, smoothing and place, as in serving"
    padding, smoothing, around = _one_for_all(boxes, wanted)
    cut = {"padding": padding, "smoothing": smoothing, "bridge": BRIDGE}
    return cut if around == "hand" else cut | {"around": around}


def vectors_of(folders: Sequence[str]) -> dict[str, str]:
    """What the teachers of ``folders`` saw, and in what precision their vectors are stored.

    UsageError if it is not the same in all; InputError if a folder does not say.
    """
    found: dict[str, dict[str, str]] = {}
    for folder in folders:
        made = read_settings(folder)
        found[folder] = {"teacher_crop": made.teacher_crop, "precision": made.precision}
    return _one_for_all(found, "vectors of one teacher_crop and precision")


def _one_for_all(found: Mapping[str, T], wanted: str) -> T:
    """What was found in the first folder; UsageError if another has something else."""
    first = next(iter(found))
    for folder, other in found.items():
        if other != found[first]:
            raise UsageError(
                f"shards: expected {wanted}, got {found[first]} in {first} and {other} in "
                f"{folder}; prepare one of them again"
            )
    return found[first]
