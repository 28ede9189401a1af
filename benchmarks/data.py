"""Data of the studies of rendered and made-up signs, as benchmarks/*.yaml name it.

    python benchmarks/data.py signbert FOLDER [--exemplars runs/exemplars.npz] [--share 0.1]
    python benchmarks/data.py hand_aware|frames FOLDER [--workers 2] [--share 0.1]

``signbert``: folders of poses. ``signs``: made-up signs as a detector finds them, of signers that
differ between train, dev and test; ``true``: the same signs by other signers, with their true
joints; ``unlabelled``: other signs by other signers; ``letters``: of real hands. ``hand_aware``:
rendered signs as crops of the hand, ``frames`` as whole frames. What is there is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

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


def signbert(folder: Path, exemplars: Path, share: float) -> None:
    """All folders of poses. Every signer of ``signs`` signs each of 50 glosses once."""

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
        "letters": lambda: letter_clips(Exemplars.load(exemplars)),
    }
    for name, maker in makers.items():
        if not (folder / name / "clips.csv").is_file():
            print(f"{name}: {write_poses(maker(), folder / name):,} clips", flush=True)


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


def rendered(folder: Path, view: str, workers: int, share: float) -> None:
    """Six glosses, and three pairs that differ only in where the hand is, by 22 signers."""
    maker = FilmedSigns(
        max(22, round(share * 792)),
        glosses=6,
        pairs=3,
        signers=22,
        held_out=4,
        seed=1,
        view=view,  # type: ignore[arg-type]
        settings=CropSettings(size=SIZES[view]),
    )

    def report(done: int, of: int) -> None:
        if done % 50 == 0:
            print(f"{folder}: {done} of {of} clips", flush=True)

    prepare_generated(maker, folder, known(), workers=workers, progress=report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=("signbert", "hand_aware", "frames"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--exemplars", type=Path, default=Path("runs/exemplars.npz"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the clips, for a trial")
    given = parser.parse_args()
    if given.study == "signbert":
        signbert(given.folder, given.exemplars, given.share)
    else:
        view = "frame" if given.study == "frames" else "hands"
        rendered(given.folder, view, given.workers, given.share)
    (given.folder / "made").touch()


if __name__ == "__main__":
    main()
