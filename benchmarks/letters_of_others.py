"""The recogniser of single letters and digits on hands that training never saw.

    python benchmarks/letters_of_others.py --exemplars runs/exemplars.npz runs/digits.npz \\
        --output runs/letters/others

For each source of hands a recogniser is trained on clips of all the others, fewer and for fewer
steps than the bundled one, and asked for the photographs and recordings of these hands, as the
detector saw them, and for clips composed from these hands alone, with movement, J and Z. Folds that
are done are not done again, and one that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import letter_clips

from chereme.datasets.exemplars import DIGITS, Exemplars, concat_exemplars
from chereme.datasets.pose_clips import Entry, PoseClip, write_poses
from chereme.synthesis.letters import LOOK_ALIKES, LetterClips
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.task import load_signbert
from chereme.training.cli import main as train
from chereme.training.isolated_scoring import gloss_ranks, score_glosses

CONFIG = Path(__file__).parents[1] / "configs" / "signbert" / "letters.yaml"
FOLDS = (("hand3", "hand4", "hand5"), ("wild",), ("recording",))
Read = list[tuple[Entry, int]]  # clips, and the rank of the right gloss of each


def fold_folder(output: Path, signers: Sequence[str]) -> Path:
    return output / "_".join(signers)


def make_fold(
    output: Path, signers: Sequence[str], exemplars: Exemplars, clips: int, epochs: int
) -> None:
    """Clips and recogniser of a fold, what is not there yet."""
    folder = fold_folder(output, signers)
    if not (folder / "composed" / "clips.csv").is_file():
        hands = exemplars.select(only=tuple(signers))
        write_poses(photographed(hands), folder / "photographed")
        write_poses(LetterClips(exemplars, clips, test=tuple(signers)), folder / "composed")
    if (folder / "run" / "metrics.json").is_file():
        return
    last = folder / "run" / "last.ckpt"
    train(
        [
            *("--config", str(CONFIG), "--output", str(folder / "run")),
            f"--trainer.max_epochs={epochs}",
            f"--trainer.check_val_every_n_epoch={epochs}",
            f"--data.init_args.poses=[{folder / 'composed'}]",
            *([f"--resume={last}"] if last.is_file() else []),
        ]
    )


def photographed(hands: Exemplars) -> Iterable[PoseClip]:
    """Letters and digits without movement, as short clips; all of the split test."""
    for clip in letter_clips(hands):
        yield clip._replace(entry=replace(clip.entry, split="test"))


def read(folder: Path, kind: str) -> Read:
    """What the recogniser of a fold makes of its test clips of this kind."""
    model, about = load_signbert(folder / "run" / "last.ckpt")
    data = PoseData(
        [str(folder / "composed")],
        dev=[],
        test=[str(folder / kind)],
        frames=about["frames"],
        sampling=about["sampling"],
        batch_size=64,
    )
    data.setup("test")
    entries, logits = data.entries("test"), []
    for batch in data.whole("test"):
        with torch.no_grad():
            logits.append(model(batch.poses).numpy())
    places = gloss_ranks(np.concatenate(logits), [e.label for e in entries], about["classes"])
    return list(zip(entries, places.tolist(), strict=True))


def scores(found: Read, *, by_signer: bool) -> dict[str, Any]:
    """Letters; digits of a shape of their own; and those that look like a letter. Intervals are of
    clips that are drawn, or of signers, of whom those in the wild count as one."""
    names = [(entry.signer or "wild") if by_signer else "" for entry, _ in found]
    found = [(replace(e, signer=name), p) for (e, p), name in zip(found, names, strict=True)]
    parts = {
        "letters": [one for one in found if one[0].label not in DIGITS],
        "digits": [one for one in found if one[0].label in DIGITS and one[0].label not in "0269"],
        "look_alikes": [one for one in found if one[0].label in LOOK_ALIKES],
    }
    result: dict[str, Any] = {}
    for name, some in parts.items():
        if some:
            entries, places = zip(*some, strict=True)
            said = score_glosses(np.array(places), entries, [e.label for e in entries])
            kept = ("clips", "signers", "top1", "top1_interval", "top2", "top2_interval")
            result[name] = {key: said[key] for key in kept}
    letters = parts["letters"]
    result["recall"] = {
        label: round(100 * float(np.mean([p == 1 for e, p in letters if e.label == label])), 1)
        for label in sorted({e.label for e, _ in letters})
    }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exemplars", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6400, help="to train on, of each fold")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", nargs="+", metavar="SIGNER", help="those of some signers alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    exemplars = concat_exemplars([Exemplars.load(path) for path in given.exemplars])
    report: dict[str, Any] = {"clips": given.clips, "epochs": given.epochs, "folds": {}}
    pooled: dict[str, Read] = {"photographed": [], "composed": []}
    for signers in FOLDS:
        if given.folds and not set(signers) & set(given.folds):
            continue
        make_fold(given.output, signers, exemplars, given.clips, given.epochs)
        folder = fold_folder(given.output, signers)
        for kind, all_of_kind in pooled.items():
            found = read(folder, kind)
            all_of_kind += found
            report["folds"].setdefault(folder.name, {})[kind] = scores(found, by_signer=False)
        print(folder.name, json.dumps(report["folds"][folder.name]), flush=True)
    report |= {kind: scores(found, by_signer=True) for kind, found in pooled.items()}
    if not given.folds:
        (given.output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({kind: report[kind] for kind in pooled}, indent=2))


if __name__ == "__main__":
    main()
