"""``chereme prepare``: clips and what teachers say of them, for training.

Where ``chereme.datasets``, which finds hands and writes them, and ``chereme.teachers``, which know
nothing of data sets, come together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chereme.datasets.clips import CropSettings, TrackedClip
from chereme.datasets.corpus import Corpus
from chereme.datasets.prepare import Preparation, Teaching, Vectors, make_mediapipe
from chereme.datasets.prepare import prepare as prepare_clips
from chereme.errors import UsageError
from chereme.recognition.hand_landmarks import MakeDetector
from chereme.teachers import Clip, Teacher
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.teachers.precomputed import PrecomputedTeacher
from chereme.teachers.synthetic import SyntheticTeacher
from chereme.video import Limits

TEACHERS = ("hamer", "hamer-vit", "landmarks", "synthetic", "precomputed")


@dataclass(frozen=True)
class TeacherFiles:
    """What teachers need: ``checkpoint`` of HaMeR, ``vectors`` the folders of precomputed ones."""

    checkpoint: Path | None = None
    vectors: Sequence[Path] = field(default_factory=tuple)


def open_teachers(names: Sequence[str], files: TeacherFiles = TeacherFiles()) -> list[Teacher]:
    """The teachers of these names, of ``TEACHERS``; ``precomputed`` is one for each folder.

    HaMeR runs on the GPU in bfloat16 where there is one.
    """
    unknown = [name for name in names if name not in TEACHERS]
    if unknown:
        raise UsageError(f"teacher: expected {', '.join(TEACHERS)}, got {', '.join(unknown)}")
    for needs, given, option in (
        ({"hamer", "hamer-vit"}, files.checkpoint is not None, "--checkpoint hamer.ckpt"),
        ({"precomputed"}, bool(files.vectors), "--vectors DIR"),
    ):
        if bool(needs & set(names)) != given:
            named = " or ".join(sorted(needs))
            raise UsageError(f"teacher: {named} goes with {option}, and neither without the other")
    teachers: list[Teacher] = []
    for name in dict.fromkeys(names):
        if name == "landmarks":
            teachers.append(LandmarkTeacher())
        elif name == "synthetic":
            teachers.append(SyntheticTeacher())
        elif name == "precomputed":
            teachers += [PrecomputedTeacher(folder) for folder in files.vectors]
        else:
            teachers.append(_open_hamer(name, files.checkpoint))
    called = [teacher.name for teacher in teachers]
    if bad := [name for name in called if called.count(name) > 1 or "." in name]:
        raise UsageError(
            f"teacher: expected names without a dot, each once, got {', '.join(bad)}; "
            "rename the folders of the vectors"
        )
    return teachers


def _open_hamer(name: str, checkpoint: Path | None) -> Teacher:
    import torch

    from chereme.teachers.hamer import HamerTeacher

    assert checkpoint is not None
    on_gpu = torch.cuda.is_available()
    return HamerTeacher.from_checkpoint(
        checkpoint,
        level="vit" if name == "hamer-vit" else "transformer",
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        device="cuda" if on_gpu else "cpu",
        batch_size=256 if on_gpu else 8,
    )


def teaching(teachers: Sequence[Teacher]) -> Teaching:
    """The teachers as the preparation takes them."""

    def embed(tracked: TrackedClip) -> Mapping[str, Vectors]:
        if not teachers:
            return {}
        # The pictures that the student will see, losses of JPEG included.
        sample, track = tracked.sample, tracked.track
        clip = Clip(sample.id, sample.crops, track, tracked.recording, tracked.truth)
        return {teacher.name: Vectors(*teacher.embed_clip(clip)) for teacher in teachers}

    return Teaching({teacher.name: teacher.dim for teacher in teachers}, embed)


def crop_settings(size: int | None) -> CropSettings:
    """How crops are cut, ``size`` pixels wide or as by default."""
    return CropSettings() if size is None else CropSettings(size=size)


def prepare(
    corpus: Corpus,
    folder: str | Path,
    teachers: Sequence[Teacher],
    *,
    size: int | None = None,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    retry: bool = False,
    limits: Limits | None = None,
    make_detector: MakeDetector = make_mediapipe,
    progress: Callable[[int, int], None] | None = None,
) -> Preparation:
    """Prepare ``corpus`` in ``folder`` with the vectors of ``teachers``.

    ``size``: pixels of a side of the crops. Otherwise as ``chereme.datasets.prepare.prepare``.
    """
    return prepare_clips(
        corpus,
        folder,
        teaching=teaching(teachers),
        settings=crop_settings(size),
        workers=workers,
        engine=engine,
        retry=retry,
        limits=limits,
        make_detector=make_detector,
        progress=progress,
    )
