"""Figures 2 and 3 of the pose-distilled fingerspelling paper, of the test clips of some shards.

    python tools/spelling_figures.py meshes --shards DIR --output figure_2.jpg \\
        [--student RUN/best.ckpt] [--hamer hamer.ckpt --template MANO.safetensors]
    python tools/spelling_figures.py readings --shards DIR --output figure_3.jpg \\
        --pose RUN --ours RUN [--alphabet chicago] [--hamer ...]

Figure 2: a crop, the teacher's mesh, and the mesh of the student, whose features lead back to the
teacher's vector by the projections of its training. Figure 3: of each clip the teacher's meshes,
the crops below them, its text, and what the networks of two runs read.

The teacher's mesh is HaMeR's, of the vectors in the shards; without ``--hamer`` it is the hand
model that fits the detected joints. The hand model is the open hand, unless ``--template`` names a
file of ``chereme hand-model convert``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from numpy.typing import NDArray

from chereme._imports import require
from chereme.datasets.shards import Sample, read_shards
from chereme.decoding import beam_search
from chereme.errors import InputError, UsageError
from chereme.hands.both import choose_frames
from chereme.hands.skeleton import palm_size
from chereme.synthesis.hand_pictures import PAPER, sheet
from chereme.systems.fingerspelling.checkpoints import load_checkpoint, load_distillation
from chereme.systems.fingerspelling.data import ShardData
from chereme.systems.fingerspelling.scoring import read_batch
from chereme.systems.fingerspelling.task import LateFusionTask
from chereme.systems.hand_aware.reconstruction import LandmarkFit, Reconstruction
from chereme.systems.hand_aware.reconstruction_plot import GAP, mesh_in_crop
from chereme.teachers.hamer_crop import hamer_box
from chereme.teachers.hamer_mano import ManoRegression
from chereme.training.augmentation import resize
from chereme.training.shards import vectors_of

Image = NDArray[np.uint8]
Frames = NDArray[np.integer[Any]]
_BEAM = 5  # the paper's


class Meshes:
    """Meshes in the crops of a sample, of the frames in which the hand was seen.

    Args:
        template: "open", or a file of ``chereme hand-model convert``.
        hamer: HaMeR's checkpoint, or None.
        own: whether HaMeR saw crops of its own (``chereme prepare --teacher-crop own``).
    """

    def __init__(
        self, template: str = "open", hamer: ManoRegression | None = None, own: bool = False
    ) -> None:
        self.fit, self.hamer, self.own = LandmarkFit(template), hamer, own

    def of_teacher(self, sample: Sample, frames: Frames) -> Reconstruction:
        """HaMeR's hands, or those that fit the detected joints."""
        if self.hamer is not None:
            return self.of_vectors("hamer", vectors_in(sample, "hamer", frames), sample, frames)
        return self._fitted(sample.landmarks[frames].astype(np.float64), sample, frames)

    def of_vectors(
        self, teacher: str, vectors: torch.Tensor, sample: Sample, frames: Frames
    ) -> Reconstruction:
        """What vectors ``(N, D)`` of that teacher say of the hands. UsageError for a teacher whose
        vectors say no hand."""
        if teacher == "hamer" and self.hamer is not None:
            return self._regressed(vectors, sample, frames)
        if teacher != "landmarks":
            raise UsageError(
                f"teacher: expected landmarks, or hamer with --hamer hamer.ckpt, whose vectors say "
                f"a hand, got {teacher}"
            )
        # They begin with the joints but for the wrist, from the wrist on, in palm lengths.
        seen = sample.landmarks[frames].astype(np.float64)
        joints = vectors[:, :60].double().numpy().reshape(-1, 20, 3)
        placed = seen[:, :1] + joints * palm_size(seen)[:, None, None]
        return self._fitted(np.concatenate([seen[:, :1], placed], axis=1), sample, frames)

    def _fitted(self, joints: NDArray[Any], sample: Sample, frames: Frames) -> Reconstruction:
        return self.fit(sample.decode(frames), joints, sample.confidence[frames])

    def _regressed(self, vectors: torch.Tensor, sample: Sample, frames: Frames) -> Reconstruction:
        assert self.hamer is not None
        found = self.hamer(vectors)
        hands = self.fit.layer(found.betas, found.hand_pose, found.global_orient)
        camera = found.camera.numpy()
        boxes = [(sample.size / 2, sample.size / 2, sample.size)] * len(frames)
        if self.own:
            boxes = [hamer_box(points) for points in sample.landmarks[frames, :, :2]]
        squares = np.array(boxes)
        scale = camera[:, 0] * squares[:, 2] / 2
        offset = squares[:, :2] + scale[:, None] * camera[:, 1:]
        vertices, joints = (v.numpy().astype(np.float32) for v in (hands.vertices, hands.joints))
        return Reconstruction(self.fit.layer.template, vertices, joints, scale, offset)


def vectors_in(sample: Sample, teacher: str, frames: Frames) -> torch.Tensor:
    """The teacher's vectors of some frames. InputError where the shards have none."""
    if teacher not in sample.teacher:
        raise InputError(
            f"clip {sample.id}: expected vectors of the teacher {teacher}, got those of "
            f"{', '.join(sample.teacher) or 'none'}; prepare it with that teacher"
        )
    return torch.from_numpy(sample.teacher[teacher][frames].astype(np.float32))


class Student:
    """What a student has learned of its teacher's vectors; of the checkpoint of its run."""

    def __init__(self, checkpoint: Path) -> None:
        self.model = load_checkpoint(checkpoint).model
        self.distillation, self.teacher = load_distillation(checkpoint)

    @torch.no_grad()
    def vectors(self, sample: Sample, frames: Frames) -> torch.Tensor:
        """The teacher's vectors ``(N, D)`` of some frames, as the student predicts them."""
        crops = resize(sample.decode(frames), self.model.config.rgb.image_size)
        pictures = torch.from_numpy(crops).permute(0, 3, 1, 2)[None].float() / 255
        count = torch.tensor([len(frames)])
        features = self.model.encode(pictures, count, torch.ones(1, len(frames), dtype=torch.bool))
        return self.distillation.predict(features[0], vectors_in(sample, self.teacher, frames))


def some_frames(sample: Sample, count: int) -> Frames:
    """So many of the frames in which the hand was seen, spread; fewer where there are fewer."""
    seen = np.flatnonzero(sample.present)
    return seen[choose_frames(len(seen), min(count, len(seen)), "spread", None)]


def beside(pictures: Sequence[Image]) -> Image:
    """Pictures of one height in a row."""
    gap = np.full((len(pictures[0]), GAP, 3), PAPER, np.uint8)
    row: Image = np.concatenate([part for one in pictures for part in (one, gap)][:-1], axis=1)
    return row


def below(pictures: Sequence[Image]) -> Image:
    """Pictures of one width, one below the other."""
    return beside([one.transpose(1, 0, 2) for one in pictures]).transpose(1, 0, 2)


def chosen(shards: Path, clips: int, ids: Sequence[str]) -> list[Sample]:
    """The test clips of these ids, or the first ones, in which a hand was seen."""
    found = (s for s in read_shards(shards, "test") if s.present.any() and (not ids or s.id in ids))
    samples = list(islice(found, len(ids) or clips))
    if len(samples) < max(1, len(ids)):
        wanted = ", ".join(sorted(set(ids) - {sample.id for sample in samples})) or "one clip"
        raise InputError(f"{shards}: expected test clips with a hand, found not: {wanted}")
    return samples


def made_by(shards: Path, hamer: Path | None, template: str) -> Meshes:
    if hamer is None:
        return Meshes(template)
    own = vectors_of([str(shards)])["teacher_crop"] == "own"
    return Meshes(template, ManoRegression.from_checkpoint(hamer), own)


def save(page: Image, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    require("PIL.Image").fromarray(page).save(output, quality=90)


def meshes(
    shards: Path,
    output: Path,
    student: Path | None = None,
    hamer: Path | None = None,
    template: str = "open",
    clips: int = 6,
    ids: Sequence[str] = (),
) -> None:
    """Figure 2: crops beside the meshes of the teacher and the student."""
    makes = made_by(shards, hamer, template)
    pupil = None if student is None else Student(student)
    tiles, labels = [], []
    for sample in chosen(shards, clips, ids):
        frames = some_frames(sample, 1)
        (crop,) = sample.decode(frames)
        shown = [crop, mesh_in_crop(crop, makes.of_teacher(sample, frames))]
        if pupil is not None:
            predicted = pupil.vectors(sample, frames)
            hands = makes.of_vectors(pupil.teacher, predicted, sample, frames)
            shown.append(mesh_in_crop(crop, hands))
        tiles.append(beside(shown))
        labels.append(f"{sample.label}\n{', '.join(('crop', 'teacher', 'student')[: len(shown)])}")
    save(sheet(tiles, labels, 2), output)


def readings(
    shards: Path,
    output: Path,
    pose: Path,
    ours: Path,
    alphabet: str = "asl",
    hamer: Path | None = None,
    template: str = "open",
    frames: int = 6,
    clips: int = 4,
    ids: Sequence[str] = (),
) -> None:
    """Figure 3: meshes over crops, the text, and what a pose-only network and ours read."""
    makes = made_by(shards, hamer, template)
    texts = [read_by(run, shards, alphabet) for run in (pose, ours)]
    tiles, labels = [], []
    for sample in chosen(shards, clips, ids):
        some = some_frames(sample, frames)
        crops = [*sample.decode(some)]
        hands = makes.of_teacher(sample, some)
        drawn = [mesh_in_crop(crop, hands, place) for place, crop in enumerate(crops)]
        blank = [np.full_like(crops[0], PAPER)] * (frames - len(crops))
        tiles.append(below([beside([*drawn, *blank]), beside([*crops, *blank])]))
        by_pose, by_ours = (text[sample.id] for text in texts)
        labels.append(f"{sample.label}\npose-only: {by_pose}, ours: {by_ours}")
    save(sheet(tiles, labels, 1), output)


def read_by(run: Path, shards: Path, alphabet: str) -> dict[str, str]:
    """What the network of a run reads of each test clip, by id."""
    task = LateFusionTask([str(run)])
    teacher = None
    if task.inputs.vector_dim is not None:
        teacher = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["teacher"]
    data = ShardData(
        [str(shards)], test=[str(shards)], alphabet=alphabet, teacher=teacher, workers=0
    )
    data.inputs = task.inputs
    data.list_clips(("test",))
    return {
        reading.id: data.alphabet.decode(beam_search(reading.log_probs, width=_BEAM)[0].symbols)
        for batch in data.whole("test")
        for reading in read_batch(task.logits, batch)
    }


if __name__ == "__main__":
    auto_cli([meshes, readings], as_positional=False)
