"""How well a recogniser of one's own signs tells signs that it does not know, on real signs.

    python benchmarks/unknown_signs.py --data ../shared/data --output runs/unknown_signs

Thirteen signs by two people and sixteen by a team: a recogniser is trained on the team and on one
of the two, without a third of the signs, and asked for clips of the other, who is not trained on:
signs that it knows; those left out; letters; and other people's, five signs of another language and
handshapes in photographs. Each third is left out once, for each of the two: six folds. In each, a
network trained as before (without other signs) stands beside the one that is used. Folds that are
done are not done again, and one that was cut off goes on.

Scores: "probability" of the likeliest gloss; "energy" (log-sum-exp of logits); "distance" to the
nearest class; "other class" (probability with a class of made-up signs); "both" (what is used: that
class's logit knows the distance). Of each the area under the ROC curve, and the false acceptances
where a tenth of the known clips is rejected; mean, smallest and largest of the folds. Then the rule
itself: settled on the one half of the person's clips, measured on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from numpy.typing import NDArray
from results import markdown

from chereme.datasets.pose_clips import CLIPS, Entry, PoseClip, write_poses
from chereme.metrics.calibration import acceptance_threshold, separation
from chereme.recognition.config import Abstention
from chereme.systems.own_signs.abstention import Rule, ValOutputs, measure, predict, settle
from chereme.systems.own_signs.recipe import Run, no_bars, plan, write_others

ASPECTS = {"cam": 1.88, "danial": 1.79, "team": 16 / 9, "libras": 16 / 9}
RATE, HEIGHT = 15.0, 480.0
KINDS = ("left_out", "letters", "libras", "handshapes")
_NEVER = -1e9  # the logit of other signs, of a network that has none


# -- clips -----------------------------------------------------------------------------------------
def sequences(file: Path, signer: str | None = None) -> Iterator[PoseClip]:
    """Clips of ``data/sequences``: without frame 0, which is of another moment; zeros not seen."""
    with np.load(file) as data:
        hands, labels = data["hands"][:, 1:], data["label"].tolist()
        signers = data["signer"].tolist() if signer is None else [signer] * len(labels)
    for number, (frames, label, who) in enumerate(zip(hands, labels, signers, strict=True)):
        if who not in ASPECTS:
            continue
        seen = (frames != 0).any((-2, -1))
        where = np.flatnonzero(seen.any(1))
        if not len(where):
            continue
        cut = slice(where[0], where[-1] + 1)
        joints = frames[cut, ..., :2] * [HEIGHT * ASPECTS[who], HEIGHT]
        joints = np.where(seen[cut, :, None, None], joints, np.nan).astype(np.float32)
        confidence = np.repeat(seen[cut, :, None], 21, axis=2).astype(np.float32)
        gloss = {"thanks": "thank-you"}.get(label, label)
        entry = Entry(f"{file.stem}-{number}", gloss, who, "", RATE, len(joints))
        yield PoseClip(entry, joints, confidence)


def handshapes(data: Path, frames: int = 6) -> Iterator[PoseClip]:
    """Photographs of one man's handshapes, as short clips."""
    with np.load(data / "handshapes_261" / "handshapes_261_landmarks.npz") as file:
        found = np.flatnonzero(file["detected"])
        points = file["image_landmarks"][..., :2] * file["image_size"][:, None]
    for number in found[::3]:
        joints = np.full((frames, 2, 21, 2), np.nan, np.float32)
        joints[:, 1] = points[number]
        confidence = np.isfinite(joints).all(-1).astype(np.float32)
        entry = Entry(f"handshape-{number}", "handshape", "man", "", RATE, frames)
        yield PoseClip(entry, joints, confidence)


def some(clips: list[PoseClip], count: int, seed: int) -> list[PoseClip]:
    """``count`` clips of each gloss by each signer."""
    groups: dict[tuple[str, str], list[PoseClip]] = {}
    for clip in clips:
        groups.setdefault((clip.entry.label, clip.entry.signer), []).append(clip)
    rng = np.random.default_rng(seed)
    return [
        groups[key][number]
        for key in sorted(groups)
        for number in rng.permutation(len(groups[key]))[:count]
    ]


def as_split(clips: list[PoseClip], split: str, kind: str = "") -> Iterator[PoseClip]:
    """``clips`` in a split; those that are unknown are labelled by their kind."""
    for clip in clips:
        label = f"?{kind}" if kind else clip.entry.label
        yield clip._replace(entry=replace(clip.entry, label=label, split=split))


# -- folds -----------------------------------------------------------------------------------------
def folds(
    data: Path, people: Sequence[str], thirds: Sequence[int]
) -> Iterator[tuple[str, list[PoseClip], dict[str, list[PoseClip]]]]:
    """Name, clips to train on, and clips to ask for, by what they are."""
    folder = data / "sequences"
    words = [c for c in sequences(folder / "traduttore_words.npz") if len(c.entry.label) > 1]
    team = list(sequences(folder / "kelhuynh_signs.npz", "team"))
    letters = list(sequences(folder / "traduttore_letters.npz"))
    letters = [c for c in letters if len(c.entry.label) == 1 and c.entry.label.isalpha()]
    libras = list(sequences(folder / "libras_signs.npz", "libras"))[::2]
    shapes = list(handshapes(data))
    signs = np.random.default_rng(1).permutation(sorted({c.entry.label for c in words}))
    for person in people:
        for third in thirds:
            out = set(signs[third::3].tolist())
            mine = [c for c in words if c.entry.signer == person]
            others = [c for c in words if c.entry.signer != person] + team
            trained = some([c for c in others if c.entry.label not in out], 8, 0)
            known = {c.entry.label for c in trained}
            yield (
                f"{person}-{third}",
                trained,
                {
                    "known": some([c for c in mine if c.entry.label in known], 20, 1),
                    "left_out": some([c for c in mine if c.entry.label in out], 20, 1),
                    "letters": some([c for c in letters if c.entry.signer == person], 6, 1),
                    "libras": libras,
                    "handshapes": shapes,
                },
            )


def asked(folder: Path, others: bool, epochs: int | None, bar: Any) -> ValOutputs:
    """What a recogniser says of the clips of a fold, trained with ``others`` or as before."""
    clips = sum(1 for line in (folder / "poses" / CLIPS).open() if ",train," in line)
    run = Run(
        folder, write_others(folder, clips, 0) if others else None, plan(clips, epochs=epochs)
    )
    where = folder / ("others" if others else "plain")
    val_outputs, _ = predict(where / "last.ckpt", run.train(where, bar))
    if not others:
        never = np.full((len(val_outputs.logits), 1), _NEVER)
        val_outputs = replace(
            val_outputs, logits=np.concatenate([val_outputs.logits, never], axis=1)
        )
    return val_outputs


def scores(
    plain: ValOutputs, used: ValOutputs, known: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Of each clip how surely it shows a known sign, by each method."""
    always, rule = Rule(1.0, Abstention(other=True)), settle(used.part(known))
    largest = plain.logits.max(1)
    energy = largest + np.log(np.exp(plain.logits - largest[:, None]).sum(1))
    nothing = replace(used, distances=np.full_like(used.distances, always.scale))
    return {
        "probability": plain.best(always),
        "energy": energy,
        "distance": -plain.distances,
        "other class": nothing.best(always),
        "both": used.best(rule),
    }


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
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
    figures: dict[str, Any] = {"top1": [], "rule": {}, "scale": [], "thresholds": []}
    for name, trained, tested in folds(data, people, thirds):
        folder = output / name
        if not (folder / "poses" / CLIPS).is_file():
            clips = [*as_split(trained, "train"), *as_split(tested["known"], "test")]
            for kind in KINDS:
                clips += as_split(tested[kind], "test", kind)
            write_poses(clips, folder / "poses")
        with no_bars(name, "steps") as bar:
            plain, used = (asked(folder, others, epochs, bar) for others in (False, True))
        label = np.array([entry.label for entry in used.entries])
        known = ~np.char.startswith(label, "?")
        figures["top1"].append([float(h.part(known).right().mean()) for h in (plain, used)])
        rule = settle(used.part(known))
        figures["scale"].append(rule.scale)
        figures["thresholds"].append(rule.abstention.min_probability)
        for method, score in scores(plain, used, known).items():
            threshold = acceptance_threshold(score[known], 0.1)
            for kind in KINDS:
                unknown = score[label == f"?{kind}"]
                pair = separation(score[known], unknown), float((unknown >= threshold).mean())
                rows.setdefault(method, {}).setdefault(kind, []).append(pair)
        for kind in KINDS:
            measured = measure([used.part(known | (label == f"?{kind}"))])
            figures["rule"].setdefault(kind, []).append(measured and measured.to_dict())
        print(name, figures["top1"][-1], flush=True)
        figures["methods"] = rows
        (output / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    lines = []
    for method, kinds in rows.items():
        cells = [method]
        for pairs in kinds.values():
            area, accepted = (100 * np.array(values) for values in zip(*pairs, strict=True))
            low, high = accepted.min(), accepted.max()
            cells.append(f"{area.mean():.1f}, {accepted.mean():.1f} ({low:.0f}-{high:.0f})")
        lines.append(cells)
    print("area under the ROC curve, false acceptances at 10 % false rejections, per cent:\n")
    print(markdown(("", *KINDS), lines))
    print("\ntop-1, trained as before and with other signs:", np.mean(figures["top1"], axis=0))
    for kind, found in figures["rule"].items():
        means = {key: round(float(np.mean([one[key] for one in found])), 1) for key in found[0]}
        print(kind, json.dumps(means))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
