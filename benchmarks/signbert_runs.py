"""Data and runs of the rows of SignBERT's tables on what is here, for ``signbert_tables.py --run``.

A run is ``chereme train`` with its options; a recogniser's is then read on each test clip, into
``ranks.json`` beside ``metrics.json``. What is there is not done again, and what was cut off goes
on from its ``last.ckpt``.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from signbert_plans import Plan

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.pose_clips import Entry, PoseClip, PoseCorpus, write_poses
from chereme.errors import InputError
from chereme.metrics import joint_errors, ranks
from chereme.synthesis.isolated import IsolatedSigns
from chereme.systems.signbert.data import PoseBatch, PoseData
from chereme.systems.signbert.masking import OPERATIONS
from chereme.systems.signbert.recognizer import SignBertPretraining
from chereme.systems.signbert.reconstruction_scores import (
    Reconstructed,
    reconstruct,
    reconstruction_scores,
)
from chereme.systems.signbert.task import load_signbert
from chereme.systems.signbert.tokens import HandPoses, Tokens, to_pixels
from chereme.training.cli import main as train

_TRUE_SEED = 14  # of the population whose true joints are known
_LETTER_FRAMES = 6
_PARTS = {
    **dict.fromkeys(("hand1", "hand2", "animation"), "train"),
    **dict.fromkeys(("hand3", "manual"), "dev"),
    **dict.fromkeys(("hand4", "hand5", "wild", "recording"), "test"),
}


@dataclass(frozen=True)
class Sizes:
    """How much data is made. Every signer signs each gloss once in ``signs``.

    ``glosses``: of ``signs``; ``train``, ``dev``, ``test``: signers; ``true``: clips by as many
    other signers as in the test, with their true joints; ``unlabelled``: clips of ``others`` other
    glosses by other signers.
    """

    glosses: int = 50
    train: int = 20
    dev: int = 5
    test: int = 20
    true: int = 400
    unlabelled: int = 6000
    others: int = 200


# -- data ------------------------------------------------------------------------------------------
def make_data(folder: Path, exemplars: Path, sizes: Sizes = Sizes()) -> None:
    """Folders of poses, those that are not there yet.

    ``signs``: made-up signs as a detector finds them, of signers that differ between train, dev
    and test. ``true``: the same signs by other signers, with their true joints; ``detected``: those
    clips as a detector finds them. ``unlabelled``: other signs by other signers. ``letters``:
    photographs of letters and recordings, see ``letter_clips``.
    """

    def known(noise: bool) -> Iterator[PoseClip]:
        signs = IsolatedSigns(
            sizes.true, sizes.glosses, signers=sizes.test, seed=_TRUE_SEED, noise=noise
        )
        return _of(signs, "test")

    made = {
        "signs": lambda: _signs(sizes),
        "true": lambda: known(noise=False),
        "detected": lambda: known(noise=True),
        "unlabelled": lambda: _of(
            IsolatedSigns(sizes.unlabelled, sizes.others, seed=20, lexicon_seed=1), "train"
        ),
        "letters": lambda: letter_clips(Exemplars.load(exemplars)),
    }
    for name, clips in made.items():
        if not (folder / name / "clips.csv").is_file():
            print(f"data: {name}: {write_poses(clips(), folder / name):,} clips", flush=True)


def _signs(sizes: Sizes) -> Iterator[PoseClip]:
    for seed, split in ((11, "train"), (12, "dev"), (13, "test")):
        signers = getattr(sizes, split)
        yield from _of(
            IsolatedSigns(sizes.glosses * signers, sizes.glosses, signers=signers, seed=seed), split
        )


def _of(signs: IsolatedSigns, split: str) -> Iterator[PoseClip]:
    """The clips in which a hand is seen, all of one split."""
    for clip in signs:
        if clip.present.any():
            yield clip._replace(entry=replace(clip.entry, split=split))


def letter_clips(exemplars: Exemplars) -> Iterator[PoseClip]:
    """Letters that do not move, of real hands, as short clips of a right hand.

    Of a photograph what the detector found in changed copies of it, in a random order, so that a
    clip has the detector's noise and no movement. Of a recording frames in a row. Photographs in
    the wild are of several people, whose names nobody noted: no signer.
    """
    still = (exemplars.label != "") & ~np.isin(exemplars.label, MOVING)
    numbers = np.flatnonzero(still)

    def source(number: int) -> tuple[str, str, int]:
        signer = str(exemplars.signer[number])
        one = 0 if signer == "recording" else int(exemplars.picture[number])
        return signer, str(exemplars.label[number]), one

    for (signer, letter, _), members in groupby(numbers.tolist(), source):
        found = list(members)
        first = int(exemplars.picture[found[0]])
        if signer == "recording":
            whole = len(found) // _LETTER_FRAMES
            parts = np.array(found[: whole * _LETTER_FRAMES]).reshape(whole, _LETTER_FRAMES)
        else:
            rng = np.random.default_rng(first)
            parts = np.resize(rng.permutation(found), (1, _LETTER_FRAMES))
        for turn, part in enumerate(parts):
            joints = np.full((_LETTER_FRAMES, 2, 21, 2), np.nan, np.float32)
            joints[:, 1] = exemplars.landmarks[part, :, :2]
            entry = Entry(
                f"{signer}-{letter}-{first:05d}-{turn:03d}",
                letter,
                "" if signer == "wild" else signer,
                _PARTS[signer],
                10.0,
                _LETTER_FRAMES,
            )
            yield PoseClip(entry, joints, np.isfinite(joints).all(-1).astype(np.float32))


def training_clips(folder: Path) -> int:
    """How many clips of a folder are trained on."""
    return sum(entry.split == "train" for entry in PoseCorpus(folder).entries)


# -- runs ------------------------------------------------------------------------------------------
def run_all(runs: Sequence[Plan], minutes: float | None) -> None:
    """Train and score what is not there yet, in this order, for ``minutes`` at most."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # Lightning's, of workers, loggers and arguments
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    for number, run in enumerate(runs, 1):
        about = f"{number} of {len(runs)}, {run.folder}"
        lacking = [folder for folder in run.needs if not _trained(folder)]
        if lacking:
            print(f"{about}: left out: {lacking[0]} is not trained", flush=True)
            continue
        began = time.monotonic()
        if not _trained(run.folder):
            if deadline is not None and began > deadline:
                print(f"{about}: not begun, the time is over; the same command goes on with it")
                return
            last = run.folder / "last.ckpt"
            train([*run.options, *([f"--resume={last}"] if last.is_file() else [])])
        if not (run.folder / "ranks.json").is_file():
            write_ranks(run.folder)
        if run.masks is not None and not (run.folder / "masks.json").is_file():
            write_masks(run.folder, run.masks)
        print(f"{about}: {time.monotonic() - began:.0f} s", flush=True)


def _trained(folder: Path) -> bool:
    return (folder / "metrics.json").is_file()


def write_ranks(folder: Path) -> None:
    """``ranks.json`` of a recogniser: of each test clip by its id, the rank of the right gloss and
    the signer; nothing for a pre-training.

    InputError where the data of a run has glosses of its own, which it was not trained on.
    """
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if metrics["kind"] != "recognizer":
        return
    model, about = load_signbert(folder / "best.ckpt")
    data = PoseData(
        metrics["data"]["train"],
        test=metrics["data"]["test"],
        frames=about["frames"],
        sampling=about["sampling"],
        batch_size=64,
    )
    data.setup("test")
    if data.classes != tuple(about["classes"]):
        raise InputError(f"{folder}: expected the glosses that it was trained on in its data")
    found: dict[str, tuple[int, str]] = {}
    signers = [entry.signer for entry in data.entries("test")]
    for batch in data.whole("test"):
        with torch.no_grad():
            logits = model(batch.poses).numpy()
        places = ranks(logits, batch.classes.numpy()).tolist()
        for name, place in zip(batch.ids, places, strict=True):
            found[name] = (place, signers[len(found)])
    part = folder / "ranks.part"
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(folder / "ranks.json")


# -- one network, every masking -------------------------------------------------------------------
def write_masks(folder: Path, data: Path) -> None:
    """``masks.json`` of a pre-training: how well it restores the true joints of unseen signers, by
    masking, whatever its own was: with 1 to M joints masked in all tokens, or some operations on
    half of them; and, as "detector", what becomes of a detector's joints without any masks."""
    model = load_signbert(folder / "best.ckpt").model
    assert isinstance(model, SignBertPretraining)
    config, masking = model.config, model.config.masking
    maskings = {
        f"M = {most}": replace(masking, share=1.0, operations=("joint",), max_joints=most)
        for most in (3, 5, 7, 9, 11)
    }
    maskings["masked joints"] = replace(masking, operations=("joint", "identity"))
    maskings["masked frames"] = replace(masking, operations=("frame", "identity"))
    maskings["both"] = replace(masking, operations=OPERATIONS)
    loaded = _loaded(folder, data / "true")
    found = {}
    for name, own in maskings.items():
        model.config = replace(config, masking=own)
        heard = [reconstruct(model, batch, i) for i, batch in enumerate(loaded.whole("test"))]
        found[name] = reconstruction_scores(heard, loaded.entries("test"))
    model.config = config
    found["detector"] = denoised(model, _loaded(folder, data / "detected"), loaded)
    part = folder / "masks.part"
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(folder / "masks.json")


def _loaded(folder: Path, poses: Path) -> PoseData:
    """The clips of ``poses``, read as the run in ``folder`` reads them."""
    about = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    loaded = PoseData(
        about["data"]["train"],
        dev=about["data"]["dev"],
        test=[str(poses)],
        frames=about["frames"],
        sampling=about["sampling"],
        batch_size=64,
    )
    loaded.labelled = False
    loaded.setup("test")
    return loaded


def denoised(model: SignBertPretraining, noisy: PoseData, true: PoseData) -> dict[str, Any]:
    """The errors of a detector's joints in ``noisy``, before and after the network, against those
    of the same clips in ``true``, in pixels of the crop that the detector's joints give."""
    of = {name: poses for batch in true.whole("test") for name, poses in _each(batch)}
    heard = []
    for batch in noisy.whole("test"):
        rows = [row for row, name in enumerate(batch.ids) if name in of]
        if not rows:
            continue
        some = HandPoses(*(part[rows] for part in batch.poses))
        names = [batch.ids[row] for row in rows]
        with torch.no_grad():
            tokens = model.encoder.tokens(some)
            restored = model.decoder(model.encoder(tokens)).joints
        raw = torch.zeros_like(some.joints)
        for row, name in enumerate(names):
            raw[row, : len(of[name])] = of[name]
        truth = _into_crop(raw, some.joints, tokens)
        errors = [
            joint_errors(to_pixels(x)[tokens.present].numpy(), to_pixels(truth)[tokens.present])
            for x in (tokens.joints, restored)
        ]
        clips = tuple(names[row] for row in tokens.present.nonzero()[:, 0].tolist())
        none = np.zeros(errors[0].shape, bool)
        heard.append(Reconstructed(0.0, 0, errors[0], errors[1], clips, none))
    entries = [entry for entry in noisy.entries("test") if entry.id in of]
    return reconstruction_scores(heard, entries)


def _each(batch: PoseBatch) -> Iterator[tuple[str, torch.Tensor]]:
    for row, name in enumerate(batch.ids):
        yield name, batch.poses.joints[row][batch.poses.mask[row]]


def _into_crop(raw: torch.Tensor, given: torch.Tensor, tokens: Tokens) -> torch.Tensor:
    """``raw (B, T, H, 21, 2)`` in the crop units that ``given``, the joints seen, have in
    ``tokens``: scaled along x and y as these were (least squares), and moved."""
    weight = tokens.seen[..., None].to(raw)
    count = weight.sum(3, keepdim=True).clamp_min(1)
    middle = (given * weight).sum(3, keepdim=True) / count
    there = (tokens.joints * weight).sum(3, keepdim=True) / count
    off = (given - middle) * weight
    scale = (off * (tokens.joints - there)).sum(3, keepdim=True) / off.square().sum(
        3, keepdim=True
    ).clamp_min(1e-9)
    return (raw - middle) * scale + there
