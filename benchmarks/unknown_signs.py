"""How well a recogniser of one's own signs tells signs that it does not know, on real signs.

    python benchmarks/unknown_signs.py --data ../shared/data --output runs/unknown_signs

Of thirteen signs by two people and sixteen by a team a recogniser is trained on the team and on one
of the two, without a third of the signs, and asked for clips of the other: signs that it knows;
those left out; letters; and of others, five signs of another language and handshapes. Each third is
left out once, for each of the two. In each of the six folds a network trained without other signs
stands beside the one that is used. Folds that are done are not done again, one cut off goes on.

Scores: "probability" of the likeliest gloss; "distance" to the nearest class; "other class"
(probability with a class of made-up signs); "both" (what is used: that class's logit knows the
distance). Of each the false acceptances where a tenth of the known clips is rejected; mean,
smallest and largest of the folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from results import markdown

from chereme.datasets.letter_collections import WEBCAM_RATE, sequences
from chereme.datasets.pose_clips import CLIPS, Entry, PoseClip, write_poses
from chereme.datasets.recorded_signs import recorded_clip
from chereme.metrics.calibration import acceptance_threshold
from chereme.recognition.config import Abstention
from chereme.systems.own_signs.abstention import Rule, ValOutputs, predict, settle
from chereme.systems.own_signs.recipe import Run, no_bars, plan, write_others

KINDS = ("left_out", "letters", "libras", "handshapes")
_NEVER = -1e9  # the logit of other signs, of a network that has none


# -- clips -----------------------------------------------------------------------------------------
def recorded(root: Path, name: str, signer: str | None = None) -> Iterator[PoseClip]:
    """Clips of a file of ``sequences``, those that show a hand."""
    for number, one in enumerate(sequences(root, name)):
        label = {"thanks": "thank-you"}.get(one.label, one.label)
        known = one._replace(signer=signer or one.signer, label=label)
        clip = recorded_clip(f"{name}-{number}", known)
        if clip is not None and known.signer in (signer, "cam", "danial"):
            yield clip


def handshapes(root: Path, frames: int = 6) -> Iterator[PoseClip]:
    """Photographs of one man's handshapes, as short clips."""
    with np.load(root / "handshapes_261" / "handshapes_261_landmarks.npz") as file:
        found = np.flatnonzero(file["detected"])
        points = file["image_landmarks"][..., :2] * file["image_size"][:, None]
    for number in found[::3]:
        joints = np.full((frames, 2, 21, 2), np.nan, np.float32)
        joints[:, 1] = points[number]
        confidence = np.isfinite(joints).all(-1).astype(np.float32)
        entry = Entry(f"handshape-{number}", "handshape", "man", "", WEBCAM_RATE, frames)
        yield PoseClip(entry, joints, confidence)


def some(clips: list[PoseClip], count: int, seed: int) -> list[PoseClip]:
    """``count`` clips of each gloss by each signer."""
    groups: dict[tuple[str, str], list[PoseClip]] = {}
    for clip in clips:
        groups.setdefault((clip.entry.label, clip.entry.signer), []).append(clip)
    rng = np.random.default_rng(seed)
    orders = ((own, rng.permutation(len(own))[:count]) for _, own in sorted(groups.items()))
    return [own[number] for own, numbers in orders for number in numbers]


# -- folds -----------------------------------------------------------------------------------------
Fold = dict[str, list[PoseClip]]  # clips to train on ("train"), and to ask for, by what they are


def folds(root: Path, people: Sequence[str], thirds: Sequence[int]) -> Iterator[tuple[str, Fold]]:
    words = [c for c in recorded(root, "traduttore_words") if len(c.entry.label) > 1]
    team = list(recorded(root, "kelhuynh_signs", "team"))
    letters = [c for c in recorded(root, "traduttore_letters") if len(c.entry.label) == 1]
    libras, shapes = list(recorded(root, "libras_signs", "libras"))[::2], list(handshapes(root))
    signs = np.random.default_rng(1).permutation(sorted({c.entry.label for c in words}))
    for person in people:
        mine = [c for c in words if c.entry.signer == person]
        others = [c for c in words if c.entry.signer != person] + team
        own = [c for c in letters if c.entry.signer == person and c.entry.label.isalpha()]
        for third in thirds:
            out = set(signs[third::3].tolist())
            trained = some([c for c in others if c.entry.label not in out], 8, 0)
            glosses = {c.entry.label for c in trained}
            fold = {"train": trained, "letters": some(own, 6, 1)}
            fold["known"] = some([c for c in mine if c.entry.label in glosses], 20, 1)
            fold["left_out"] = some([c for c in mine if c.entry.label in out], 20, 1)
            yield f"{person}-{third}", fold | {"libras": libras, "handshapes": shapes}


def write_fold(fold: Fold, folder: Path) -> None:
    """The clips of a fold; those that are unknown are labelled by their kind."""
    clips: list[PoseClip] = []
    for kind in ("train", "known", *KINDS):
        split, label = ("train" if kind == "train" else "test"), f"?{kind}"
        for clip in fold[kind]:
            own = label if kind in KINDS else clip.entry.label
            clips.append(clip._replace(entry=replace(clip.entry, label=own, split=split)))
    write_poses(clips, folder / "poses")


def asked(folder: Path, clips: int, others: bool, epochs: int, bar: Any) -> ValOutputs:
    """What a recogniser says of the clips of a fold, trained with ``others`` or without."""
    made = write_others(folder, clips, 0) if others else None
    where = folder / ("others" if others else "plain")
    data = Run(folder, made, plan(clips, epochs=epochs)).train(where, bar)
    outputs, _ = predict(where / "last.ckpt", data)
    if others:
        return outputs
    never = np.full((len(outputs.logits), 1), _NEVER)
    return replace(outputs, logits=np.concatenate([outputs.logits, never], axis=1))


def main(
    data: Path,
    output: Path,
    epochs: int = 25,
    people: tuple[str, ...] = ("cam", "danial"),
    thirds: tuple[int, ...] = (0, 1, 2),
) -> None:
    """Args:
    people: to ask for.
    thirds: of the signs to leave out.
    """
    torch.set_num_threads(1)
    always = Rule(1.0, Abstention(other=True))
    rows: dict[str, dict[str, list[float]]] = {}
    for name, fold in folds(data, people, thirds):
        folder, clips = output / name, len(fold["train"])
        if not (folder / "poses" / CLIPS).is_file():
            write_fold(fold, folder)
        with no_bars(name, "steps") as bar:
            plain, used = (asked(folder, clips, others, epochs, bar) for others in (False, True))
        label = np.array([entry.label for entry in used.entries])
        known = ~np.char.startswith(label, "?")
        nothing = replace(used, distances=np.full_like(used.distances, always.scale))
        scores = {
            "probability": plain.best(always),
            "distance": -plain.distances,
            "other class": nothing.best(always),
            "both": used.best(settle(used.part(known))),
        }
        for method, score in scores.items():
            accepted = score >= acceptance_threshold(score[known], 0.1)
            for kind in KINDS:
                share = 100 * float(accepted[label == f"?{kind}"].mean())
                rows.setdefault(method, {}).setdefault(kind, []).append(share)
        top1 = (100 * one.part(known).right().mean() for one in (plain, used))
        print(f"{name}: top-1 without and with other signs", *top1, flush=True)
    lines = [
        [name, *(f"{np.mean(own):.0f} ({min(own):.0f}-{max(own):.0f})" for own in kinds.values())]
        for name, kinds in rows.items()
    ]
    print(markdown(("", *KINDS), lines))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
