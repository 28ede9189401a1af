"""Clips of one hand -> a folder of prepared clips (``chereme.datasets.shards``), with what teachers
say of them: those of a data set, in which the hand is looked for, and those that are made up.

The next run with the same settings goes on where one was stopped, and ends with the same tars as
one that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from chereme.datasets.clips import CropSettings, TeacherCrop, TrackedClip, track_clip
from chereme.datasets.corpus import Corpus, Unusable
from chereme.datasets.engine import Engine, Found, Where, generate
from chereme.datasets.preparation import (
    Preparation,
    Progress,
    alone_in,
    prepare_clips,
)
from chereme.datasets.shards import (
    LIMIT,
    SIZE,
    UNSPLIT,
    Precision,
    Sample,
    ShardWriter,
    clip_of,
    clips_in,
)
from chereme.datasets.sign_clips import SignSettings
from chereme.datasets.status import Row, read_status
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.hands.detector import own_detector
from chereme.recognition.hand_landmarks import MakeDetector
from chereme.teachers import Clip, Teacher
from chereme.video import Limits

SETTINGS = "preparation.json"
_FORMAT = 1
HAMER = ("hamer", "hamer-vit")  # the teachers that have a crop of their own


def prepare_crops(
    corpus: Corpus,
    folder: str | Path,
    teachers: Sequence[Teacher] = (),
    *,
    size: int = SIZE,
    teacher_crop: TeacherCrop = "shared",
    precision: Precision = "half",
    workers: int = 1,
    engine: Where = "local",
    retry: bool = False,
    tar_bytes: int = LIMIT,
    limits: Limits | None = None,
    make_detector: MakeDetector = own_detector,
    progress: Progress | None = None,
) -> Preparation:
    """Prepare the clips of ``corpus`` in ``folder``, or what is not done of them yet.

    Args:
        teachers: their vectors go with the clips.
        size: pixels of a side of the crops.
        teacher_crop: what HaMeR sees: the crops, as the paper says, or its own, twice as wide.
        precision: of the teachers' vectors in the shards.
        workers: processes that find and cut hands. The tars do not depend on their number.
        engine: where these are: on this machine, or on those of a Ray cluster.
        retry: try clips again that an earlier run dropped.
        tar_bytes: bytes of a tar at most.
        limits: the largest recordings to accept.
        make_detector: another hand detector; with several workers one that can be pickled.
        progress: called with the clips that this run has done with, and those that it has to.

    UsageError if ``folder`` was prepared with other settings; InputError if no clip at all could be
    used, or if another process is at work there.
    """
    settings = CropSettings(size=size, teacher_crop=teacher_crop, precision=precision)
    if teacher_crop == "own" and not any(teacher.name in HAMER for teacher in teachers):
        raise UsageError(f"teacher_crop: own is for {' or '.join(HAMER)}, which is not asked for")

    def samples(clip: TrackedClip) -> tuple[Sequence[Sample], str]:
        try:
            return [taught(clip, teachers)], clip.remark
        except InputError as error:
            raise Unusable("refused by a teacher", str(error)) from error

    look = partial(track_clip, settings=settings, limits=limits)
    return prepare_samples(
        corpus,
        Path(folder),
        settings,
        {teacher.name: teacher.dim for teacher in teachers},
        Engine[TrackedClip](look, make_detector, workers, engine),
        samples,
        retry=retry,
        tar_bytes=tar_bytes,
        progress=progress,
    )


def prepare_samples(
    corpus: Corpus,
    folder: Path,
    settings: CropSettings,
    vectors: Mapping[str, int],
    work: Engine[Found],
    samples: Callable[[Found], tuple[Sequence[Sample], str]],
    *,
    retry: bool = False,
    tar_bytes: int = LIMIT,
    progress: Progress | None = None,
) -> Preparation:
    """Write the samples of the clips of ``corpus`` to shards in ``folder``, or of those that are
    not done yet.

    Args:
        settings: how they are made, with the length of their ``vectors`` by name.
        work: looks at a clip.
        samples: of what was found, the hand that signs first, and what is damaged, in words;
            Unusable where there is none.
        retry, tar_bytes, progress: as of `prepare_crops`, as are the errors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        check_settings(folder, corpus.name, settings, vectors)
        splits = [item.split or UNSPLIT for item in corpus.items]
        with _shard_writers(folder, splits, tar_bytes, settings.precision) as writers:
            kept = _kept(folder, writers, retry, {item.id for item in corpus.items})
            if {item.id for item in corpus.items} - {row.id for row in kept}:
                work.make_detector(False).close()  # what is wrong with all clips is no clip's fault

            def write(item: Item, found: Found) -> Row:
                hands, damage = samples(found)
                sign = hands[0]
                shard = writers[sign.split].add(*hands)
                remark = ("frames damaged", damage) if damage else ("", "")
                seen = int(sign.present.sum())
                return _row(item.id, sign.split, shard, len(sign.jpegs), seen, *remark)

            return prepare_clips(
                corpus, folder, work, write, kept=kept, teachers=vectors, progress=progress
            )


class ClipGenerator(Protocol):
    """Clips that are made up, by their number, always the same ones; can be pickled."""

    @property
    def name(self) -> str:
        """Of the collection, for ``preparation.json``."""

    @property
    def settings(self) -> CropSettings:
        """How crops are cut."""

    def __len__(self) -> int: ...

    def describe(self, index: int) -> tuple[str, str]:
        """Id and split of a clip, at once."""

    def clip(self, index: int) -> TrackedClip:
        """The clip itself."""


def prepare_generated(
    generator: ClipGenerator,
    folder: str | Path,
    teachers: Sequence[Teacher] = (),
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> int:
    """Write all clips of ``generator`` to shards in ``folder``; the number of clips there.

    Args:
        teachers: their vectors go with the clips.
        workers: processes that make clips. The tars do not depend on their number.
        progress: called with the clips that this run has made, and those that it has to.

    UsageError if ``folder`` holds clips made in another way.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = [generator.describe(index) for index in range(len(generator))]
    dims = {teacher.name: teacher.dim for teacher in teachers}
    with alone_in(folder):
        check_settings(folder, generator.name, generator.settings, dims)
        with _shard_writers(folder, [split for _, split in about]) as writers:
            begun = (clip for writer in writers.values() for clip in writer.recovered)
            whole = (clip for path in folder.glob("*.tar") for clip in clips_in(path)[0])
            known = {clip["id"] for clip in (*begun, *whole)}
            todo = [index for index, (name, _) in enumerate(about) if name not in known]
            for done, clip in enumerate(generate(generator.clip, todo, workers), start=1):
                writers[clip.sample.split].add(taught(clip, teachers))
                if progress is not None:
                    progress(done, len(todo))
    return len(about)


@contextmanager
def _shard_writers(
    folder: Path, splits: Iterable[str], tar_bytes: int = LIMIT, precision: Precision = "half"
) -> Iterator[dict[str, ShardWriter]]:
    """A writer for each split; without an error their tars are whole at the end of the block."""
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                ShardWriter(folder, split, limit=tar_bytes, precision=precision)
            )
            for split in dict.fromkeys(splits)
        }
        yield writers
        for writer in writers.values():
            writer.finish()


def taught(clip: TrackedClip, teachers: Sequence[Teacher]) -> Sample:
    """The sample of ``clip`` with the vectors of ``teachers``; InputError where one refuses it."""
    if not teachers:
        return clip.sample
    # The pictures that the student will see, losses of JPEG included.
    sample = clip.sample
    seen = Clip(
        sample.id,
        sample.crops,
        clip.track,
        clip.recording,
        clip.truth,
        sample.landmarks,
        clip.hamer_crops,
    )
    found = {teacher.name: teacher.embed_clip(seen) for teacher in teachers}
    return replace(
        clip.sample,
        teacher={name: vectors.crop for name, vectors in found.items()},
        teacher_mirrored={n: v.mirrored for n, v in found.items() if v.mirrored is not None},
    )


def _row(
    id: str, split: str, shard: str, frames: int, seen: int, reason: str = "", detail: str = ""
) -> Row:
    return Row(id, split, "done", reason, detail, shard=shard, frames=frames, seen=seen)


def _kept(
    folder: Path, writers: Mapping[str, ShardWriter], retry: bool, ids: Collection[str]
) -> list[Row]:
    """What earlier runs have done with: what the tars hold, and the clips that were dropped;
    ``ids``: of all clips, of each of which a tar has one sample, or both hands."""
    reported = [row for row in read_status(folder) if row.stage == "preparation"]
    # Clips of which no row tells: in the tars that were being written, and in all others if
    # somebody has taken status.csv away.
    unreported = {w.current: w.recovered for w in writers.values() if w.recovered}
    for path in set(folder.glob("*.tar")) - {folder / row.shard for row in reported}:
        unreported[path.name] = clips_in(path)[0]
    found: dict[str, Row] = {}
    for shard, about in ((shard, one) for shard, clips in unreported.items() for one in clips):
        name = about["id"] if about["id"] in ids else clip_of(about["id"])
        row = _row(name, about["split"], shard, about["frames"], about["seen"])
        found.setdefault(name, row)  # the hand that signs is the first
    kept = {
        row.id: row
        for row in reported
        if row.id in found
        or (row.status == "done" and (folder / row.shard).is_file())
        or (row.status == "dropped" and not retry)
    }
    return list({**found, **kept}.values())


def check_settings(
    folder: Path, name: str, settings: CropSettings, teachers: Mapping[str, int]
) -> None:
    """Write down how ``folder`` is prepared, or compare with what it was prepared with.

    ``name``: of the data set; ``teachers``: the length of the vectors of each, by name.

    Raises:
        UsageError: ``folder`` was prepared with other settings.
        InputError: what is written there cannot be read.
    """
    path = folder / SETTINGS
    asked: dict[str, Any] = {
        "format": _FORMAT,
        "dataset": name,
        "crop": asdict(settings),
        "teachers": dict(teachers),
    }
    if not path.exists():
        fresh = path.with_suffix(".json.part")
        fresh.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
        return
    found = _settings_in(path)
    with suppress(TypeError):  # what is no such settings is other ones
        found["crop"] = asdict(type(settings)(**found["crop"]))  # those that came later: defaults
    other = [key for key in asked if found.get(key) != asked[key]]
    if other:
        raise UsageError(
            f"{folder}: was prepared otherwise ("
            + "; ".join(f"{key}: {found.get(key)} there, {asked[key]} now" for key in other)
            + "); go on with the same settings, or name another folder"
        )


def read_settings(folder: str | Path) -> CropSettings:
    """How the crops in ``folder`` were made; InputError where nothing there says so."""
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected it beside the shards, to say how their crops were "
            "made, as 'chereme prepare' writes it; copy it there, or prepare the data again"
        )
    crop: Any = _settings_in(path).get("crop")
    try:
        # The default of a setting that came later is what was done before it came.
        return SignSettings(**crop) if "into" in crop else CropSettings(**crop)
    except TypeError as error:
        raise InputError(f"{path}: expected the settings of crops, got {crop!r}") from error


def _settings_in(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"{type(found).__name__} in the place of an object")
    except ValueError as error:
        raise InputError(
            f"{path}: expected the settings of a preparation ({error}); delete the folder and "
            "prepare the data again"
        ) from error
    return found
