"""A data set -> a folder of prepared clips (``chereme.datasets.shards``), in pieces if need be.

A run may be stopped at any moment, by whatever: the next one with the same settings goes on where
it was, and ends with the same tars as one that was never stopped. A clip that cannot be used is
told of in ``status.csv`` and does not end the run.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from chereme.datasets.clips import AS_SERVED, CropSettings, TrackedClip, Unusable, track_clip
from chereme.datasets.corpus import SPLITS, Corpus
from chereme.datasets.engine import Engine, Outcome
from chereme.datasets.ray_engine import run_on_ray
from chereme.datasets.shards import LIMIT, UNSPLIT, Sample, ShardWriter, clips_in
from chereme.datasets.status import MANIFEST, Row, StatusFile, read_status
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.formats.outputs import LOCK
from chereme.hands.detector import MediaPipeDetector
from chereme.recognition.hand_landmarks import MakeDetector
from chereme.types import FloatArray
from chereme.video import Limits

SETTINGS = "preparation.json"
_FORMAT = 1


class Vectors(NamedTuple):
    """What one teacher says of a clip: ``(T, D)`` of its crops and, if it can, of them mirrored."""

    crop: FloatArray
    mirrored: FloatArray | None


@dataclass(frozen=True)
class Teaching:
    """The teachers of a preparation, as this module needs them.

    ``dims``: the length of the vectors of each, by name. ``embed`` gives the vectors of a clip, by
    the teacher's name; it runs in the process that writes, on one clip after the other, and raises
    InputError for a clip that a teacher cannot take.
    """

    dims: Mapping[str, int]
    embed: Callable[[TrackedClip], Mapping[str, Vectors]]


NO_TEACHING = Teaching({}, lambda clip: {})


@dataclass(frozen=True)
class Preparation:
    """What came of it: a row for each clip of the data set, see ``chereme.datasets.status``."""

    corpus: Corpus
    rows: tuple[Row, ...]
    teachers: Mapping[str, int]

    @property
    def done(self) -> int:
        """How many clips are in the tars."""
        return sum(row.status == "done" for row in self.rows)

    def report(self) -> str:
        """In lines of text: n of N clips, why the others are not there, and each split."""
        clips, published = self.corpus.rows, self.corpus.published
        known = f" ({published['all']:,} published)" if "all" in published else ""
        lines = [f"{self.corpus.name}: {self.done:,} of {clips:,} clips prepared{known}"]
        dropped = Counter(row.reason for row in self.rows if row.status == "dropped")
        if dropped:
            lines.append(f"  dropped {dropped.total():,}: {_counted(dropped)}")
        for split in (*SPLITS, UNSPLIT):
            rows = [row for row in self.rows if row.split == split]
            done = [row for row in rows if row.status == "done"]
            if rows:
                frames, seen = sum(r.frames for r in done), sum(r.seen for r in done)
                lines.append(
                    f"  {split}: {len(done):,} of {len(rows):,} clips, {frames:,} frames"
                    + (f", the hand seen in {seen / frames:.1%}" if frames else "")
                )
        for name, dim in self.teachers.items():
            lines.append(f"  teacher {name}: {dim} numbers a frame")
        return "\n".join(lines)


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())


def make_mediapipe(still: bool) -> MediaPipeDetector:
    """The package's own detector, for a video or a single picture."""
    return MediaPipeDetector(still=still)


def prepare(
    corpus: Corpus,
    folder: str | Path,
    *,
    teaching: Teaching = NO_TEACHING,
    settings: CropSettings = AS_SERVED,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    retry: bool = False,
    limit: int = LIMIT,
    limits: Limits | None = None,
    make_detector: MakeDetector = make_mediapipe,
    progress: Callable[[int, int], None] | None = None,
) -> Preparation:
    """Prepare the clips of ``corpus`` in ``folder``, or what is not done of them yet.

    Args:
        teaching: teachers, whose vectors go with the clips.
        workers: processes that find and cut hands. The tars do not depend on their number.
        engine: where these are: on this machine, or on those of a cluster.
        retry: try clips again that an earlier run dropped.
        limit: bytes of a tar.
        limits: the largest recordings to accept.
        make_detector: another hand detector; with several workers one that can be pickled.
        progress: called with the clips that this run has done with, and those that it has to.

    UsageError if ``folder`` was prepared with other settings; InputError if no clip at all could be
    used, or if another process is at work there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder), ExitStack() as stack:
        check_settings(folder, corpus.name, settings, teaching.dims)
        corpus.write(folder / MANIFEST)
        splits = dict.fromkeys(item.split or UNSPLIT for item in corpus.items)
        writers = {
            split: stack.enter_context(ShardWriter(folder, split, limit=limit)) for split in splits
        }
        kept = _kept(folder, writers, retry)
        known = {row.id for row in kept}
        status = stack.enter_context(StatusFile(folder, [*_left_out(corpus, known), *kept]))
        todo = [item for item in corpus.items if item.id not in known]
        if todo:
            make_detector(False).close()  # what is wrong with all clips is no clip's fault
        look = partial(track_clip, settings=settings, limits=limits)
        work = Engine[TrackedClip](look, make_detector, workers)
        outcomes = run_on_ray(work, todo) if engine == "ray" and todo else work.run(todo)
        for done, (item, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
            status.add(_finish(item, outcome, teaching, writers[item.split or UNSPLIT]))
            if progress is not None:
                progress(done, len(todo))
        for writer in writers.values():
            writer.finish()
        result = Preparation(corpus, tuple(status.rows), teaching.dims)
    if not result.done:
        first = next((f" (the first: {r.id}: {r.detail})" for r in result.rows if r.reason), "")
        raise InputError(f"{result.report()}{first}; nothing was prepared")
    return result


def _finish(item: Item, outcome: Outcome, teaching: Teaching, writer: ShardWriter) -> Row:
    """Have the teachers look at a clip, write it, and say what became of it."""
    split = item.split or UNSPLIT
    if isinstance(outcome, Unusable):
        return Row(item.id, split, "dropped", outcome.reason, outcome.detail)
    try:
        sample = taught(outcome, teaching)
    except InputError as error:
        return Row(item.id, split, "dropped", "refused by a teacher", str(error))
    shard = writer.add(sample)
    return _done(sample, shard, outcome.remark)


def taught(clip: TrackedClip, teaching: Teaching) -> Sample:
    """The sample of ``clip`` with the vectors of its teachers; InputError where one refuses it."""
    vectors = teaching.embed(clip)
    return replace(
        clip.sample,
        teacher={name: v.crop for name, v in vectors.items()},
        teacher_mirrored={n: v.mirrored for n, v in vectors.items() if v.mirrored is not None},
    )


def _done(sample: Sample, shard: str, remark: str) -> Row:
    seen = int(sample.present.sum())
    reason, detail = ("frames damaged", remark) if remark else ("", "")
    return Row(
        id=sample.id,
        split=sample.split,
        status="done",
        reason=reason,
        detail=detail,
        shard=shard,
        frames=len(sample.jpegs),
        seen=seen,
    )


def _left_out(corpus: Corpus, known: set[str]) -> list[Row]:
    """The rows that the reader of the data set could not use.

    Not those of ``known`` clips that have gone from the disk since they were prepared.
    """
    gone = known - {item.id for item in corpus.items}
    return [
        Row(found.id, "", "dropped", found.reason, found.detail, stage="reader")
        for found in corpus.findings
        if found.dropped and found.id not in gone
    ]


def _kept(folder: Path, writers: Mapping[str, ShardWriter], retry: bool) -> list[Row]:
    """What earlier runs have done with: what the tars hold, and the clips that were dropped."""
    told = [row for row in read_status(folder) if row.stage == "preparation"]
    # Clips of which no row tells: in the tars that were being written, and in all others if
    # somebody has taken status.csv away.
    there = {w.current: w.recovered for w in writers.values() if w.recovered}
    for path in set(folder.glob("*.tar")) - {folder / row.shard for row in told}:
        there[path.name] = clips_in(path)[0]
    found = {about["id"]: _found(about, shard) for shard in there for about in there[shard]}
    kept = {
        row.id: row
        for row in told
        if row.id in found
        or (row.status == "done" and (folder / row.shard).is_file())
        or (row.status == "dropped" and not retry)
    }
    return list({**found, **kept}.values())


def _found(about: Mapping[str, Any], shard: str) -> Row:
    return Row(
        id=about["id"],
        split=about["split"],
        status="done",
        shard=shard,
        frames=about["frames"],
        seen=about["seen"],
    )


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
        return CropSettings(**crop)
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


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the same folder; the system lets go if this one dies."""
    with (folder / LOCK).open("w") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{folder}: another process is preparing clips there; wait for it, or end it"
                ) from error
        yield
