"""Data of the studies of rendered and made-up signs, as benchmarks/*.yaml name it.

    python benchmarks/data.py signbert FOLDER [--exemplars runs/exemplars.npz] [--share 0.1]
    python benchmarks/data.py rendered FOLDER hands|frame [--workers 2] [--share 0.1]

What is there is not made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from jsonargparse import auto_cli

from chereme.datasets.clips import CropSettings
from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.pose_clips import Entry, PoseClip, write_poses
from chereme.datasets.prepare_crops import prepare_generated
from chereme.synthesis.filmed_signs import FilmedSigns, known
from chereme.synthesis.isolated import IsolatedSigns

LETTER_FRAMES = 6
SIZES = {"hands": 64, "frame": 96}  # pixels of crops, and of whole frames
SPLITS = {
    **dict.fromkeys(("hand1", "hand2", "animation"), "train"),
    **dict.fromkeys(("hand3", "manual"), "dev"),
    **dict.fromkeys(("hand4", "hand5", "wild", "recording"), "test"),
}


def signbert(
    folder: Path, exemplars: Path = Path("runs/exemplars.npz"), share: float = 1.0
) -> None:
    """Folders of poses. ``signs``: made-up signs as a detector finds them, of signers that differ
    between train, dev and test, each of whom signs 50 glosses once; ``true``: the same signs by
    other signers, with their true joints; ``unlabelled``: other signs by other signers;
    ``letters``: of real hands.

    Args:
        share: of the clips, for a trial.
    """

    def some(number: int) -> int:
        return max(3, round(share * number))

    def made(split: str, count: int, glosses: int, **options: int | bool) -> Iterator[PoseClip]:
        for clip in IsolatedSigns(count, glosses, **options):  # type: ignore[arg-type]
            yield clip._replace(entry=replace(clip.entry, split=split))

    def signs() -> Iterator[PoseClip]:
        for seed, split, signers in ((11, "train", 20), (12, "dev", 5), (13, "test", 20)):
            number = some(signers)
            yield from made(split, some(50) * number, some(50), signers=number, seed=seed)

    makers = {
        "signs": signs,
        "true": lambda: made("test", some(400), some(50), signers=some(20), seed=14, noise=False),
        "unlabelled": lambda: made("train", some(6000), some(200), seed=20, lexicon_seed=1),
        "letters": lambda: letter_clips(Exemplars.load(exemplars).select(only=(*SPLITS,))),
    }
    for name, maker in makers.items():
        if not (folder / name / "clips.csv").is_file():
            print(f"{name}: {write_poses(maker(), folder / name):,} clips", flush=True)
    (folder / "made").touch()


def letter_clips(exemplars: Exemplars) -> Iterator[PoseClip]:
    """Letters that do not move, of real hands, as short clips of a right hand.

    Of a photograph what the detector found in changed copies of it, in a random order, so that a
    clip has the detector's noise and no movement. Of a recording frames in a row. Photographs in
    the wild are of several people, whose names nobody noted: no signer.
    """
    still = (exemplars.label != "") & ~np.isin(exemplars.label, MOVING)

    def source(number: int) -> tuple[str, str, int]:
        signer = str(exemplars.signer[number])
        one = 0 if signer == "recording" else int(exemplars.picture[number])
        return signer, str(exemplars.label[number]), one

    for (signer, letter, _), members in groupby(np.flatnonzero(still).tolist(), source):
        found = list(members)
        first = int(exemplars.picture[found[0]])
        if signer == "recording":
            whole = len(found) // LETTER_FRAMES
            parts = np.array(found[: whole * LETTER_FRAMES]).reshape(whole, LETTER_FRAMES)
        else:
            rng = np.random.default_rng(first)
            parts = np.resize(rng.permutation(found), (1, LETTER_FRAMES))
        for turn, part in enumerate(parts):
            joints = np.full((LETTER_FRAMES, 2, 21, 2), np.nan, np.float32)
            joints[:, 1] = exemplars.landmarks[part, :, :2]
            name = f"{signer}-{letter}-{first:05d}-{turn:03d}"
            who = "" if signer == "wild" else signer
            entry = Entry(name, letter, who, SPLITS[signer], 10.0, LETTER_FRAMES)
            yield PoseClip(entry, joints, np.isfinite(joints).all(-1).astype(np.float32))


def rendered(
    folder: Path, view: Literal["hands", "frame"], workers: int = 1, share: float = 1.0
) -> None:
    """Six glosses, and three pairs that differ only in where the hand is, by 22 signers, as crops
    of the hand or as whole frames."""
    count, settings = max(22, round(share * 792)), CropSettings(size=SIZES[view])
    signs = {"glosses": 6, "pairs": 3, "signers": 22, "held_out": 4, "seed": 1}
    maker = FilmedSigns(count, **signs, view=view, settings=settings)
    print(f"{folder}: {prepare_generated(maker, folder, known(), workers=workers)} clips")
    (folder / "made").touch()


if __name__ == "__main__":
    auto_cli([signbert, rendered])
