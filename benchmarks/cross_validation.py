"""Accuracy on hands that training never saw, for each source of hands.

    python benchmarks/cross_validation.py spelling --exemplars runs/exemplars.npz \\
        --lm runs/lm/lm.onnx --output runs/loso
    python benchmarks/cross_validation.py letters \\
        --exemplars '[runs/exemplars.npz, runs/digits.npz]' --output runs/letters/others

For each source a recogniser is trained on all the others, for fewer steps than the bundled one,
then asked for what the detector saw of that source's still letters, and for texts or clips of
letters composed from that source's hands alone. Folds that are done are not done again, and one
that was cut off goes on. ``report.json`` has the figures of each source and of all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import letter_clips
from jsonargparse import auto_cli
from recordings import WORDS, texts_of

from chereme.datasets.exemplars import DIGITS, MOVING, Exemplars, concat_exemplars
from chereme.datasets.pose_clips import Entry, write_poses
from chereme.datasets.words import Shares
from chereme.decoding import OnnxLanguageModel, beam_search, greedy
from chereme.decoding.tuning import tune
from chereme.hands.normalise import landmark_features
from chereme.metrics import accuracy_interval, edit_counts, pool
from chereme.recognition.config import Still
from chereme.recognition.ctc_letters import read_still
from chereme.synthesis.letters import LOOK_ALIKES, LetterClips
from chereme.synthesis.spelling import Speller
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.task import load_signbert
from chereme.text import ASL_LETTERS
from chereme.training.cli import main as train
from chereme.training.isolated_scoring import gloss_ranks, score_glosses
from chereme.types import HandTrack

SIGNERS = ("hand1", "hand2", "hand3", "hand4", "hand5", "wild", "recording")
LETTER_FOLDS = (("hand3", "hand4", "hand5"), ("wild",), ("recording",))
SHARES = {"words": WORDS, "strings": Shares(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)}
ALPHAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
BETAS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0)
Texts = list[tuple[str, np.ndarray]]  # and what the model makes of them
Ranked = list[tuple[Entry, int]]  # clips, and the rank of the right gloss of each


def trained(folder: Path, config: str, *options: str) -> Path:
    """The last checkpoint of the fold in ``folder``, trained as far as it is not yet."""
    last = folder / "last.ckpt"
    if not (folder / "metrics.json").is_file():
        more = (f"--resume={last}",) if last.is_file() else ()
        quiet = "--trainer.enable_progress_bar=false"
        train([f"--config=configs/{config}.yaml", f"--output={folder}", quiet, *options, *more])
    return last


def write_report(folder: Path, report: dict[str, Any]) -> None:
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({k: v for k, v in report.items() if k != "folds"}, indent=2))


def recall(labels: Sequence[str], right: Sequence[bool]) -> dict[str, float]:
    """Per cent of the clips of each label that are read right."""
    labels, hits = np.array(labels), np.array(right)
    return {c: round(100 * float(hits[labels == c].mean()), 1) for c in sorted(set(labels))}


# -- spelling --------------------------------------------------------------------------------------
def log_probs(model: Any, track: HandTrack, rate: float) -> np.ndarray:
    """``(T', V)`` of one right-hand track."""
    features, _ = landmark_features(track, rate)
    with torch.no_grad():
        logits = model(torch.from_numpy(features)[None])[0][0]
    result: np.ndarray = logits.log_softmax(-1).double().numpy()
    return result


def read_stills(model: Any, rate: float, hands: Exemplars) -> dict[str, Any]:
    """Top-1 over the static letters: the first view of each picture."""
    letters = tuple(c for c in ASL_LETTERS.symbols if c not in MOVING)
    known = np.flatnonzero(np.isin(hands.label, letters))
    _, first = np.unique(hands.picture[known], return_index=True)
    rows = known[first]
    if len(rows) > 600:  # the recordings: hundreds of almost equal frames a letter
        rows = np.random.default_rng(0).permutation(rows)[:600]
    still, right = Still(letters=letters, duration=0.6, margin=-np.inf), []
    for row in rows:
        picture = hands.landmarks[[row, row]].astype(np.float64)
        times = np.array([0.0, still.duration])
        track = HandTrack(picture, np.ones((2, 21)), times, 1, 1, "right")
        read = read_still(log_probs(model, track, rate), ASL_LETTERS, still).text
        right.append(read == hands.label[row])
    of_letters = recall(hands.label[rows].tolist(), right)
    return {"n": len(rows), "top1": 100 * float(np.mean(right)), "recall": of_letters}


def compose(model: Any, rate: float, hands: Exemplars, shares: Shares, count: int) -> Texts:
    """Texts composed from one signer's hands, that no training drew."""
    speller, rng = Speller(hands), np.random.default_rng(2024)
    return [
        (text, log_probs(model, speller.spell(text, rng).track, rate))
        for text in texts_of({*speller.letters}, shares, count, rng)
    ]


def read_texts(texts: dict[str, Texts], **search: Any) -> dict[str, dict[str, Any]]:
    """Letter accuracies and 95 % intervals of each signer, and "all", of whom signers are drawn;
    read greedily or by beam search."""
    decode = (lambda p: beam_search(p, **search)[0]) if search else greedy
    counts = {
        signer: [edit_counts(text, ASL_LETTERS.decode(decode(p).symbols)) for text, p in made]
        for signer, made in texts.items()
    }
    groups = [signer for signer, own in counts.items() for _ in own]
    counts["all"] = [one for own in counts.values() for one in own]
    result = {}
    for signer, own in counts.items():
        low, high = accuracy_interval(own, groups=groups if signer == "all" else None)
        total = pool(own)
        result[signer] = {
            "texts": len(own),
            "letters": total.reference_length,
            "letter_accuracy": round(total.accuracy, 2),
            "interval": [round(low, 2), round(high, 2)],
        }
    return result


def spelling(
    exemplars: Path,
    output: Path,
    lm: Path,
    epochs: int = 2,
    texts: int = 150,
    signers: tuple[str, ...] = SIGNERS,
) -> None:
    """The recogniser of landmarks.

    The weight of the language model and the bonus for length are tuned on one half of the texts of
    all folds together, as many strings as words, for what is spelled is often in no dictionary;
    every figure of texts is of the other half.

    Args:
        epochs: of 500 steps.
        texts: words of each signer, and as many strings.
    """
    hands, made = Exemplars.load(exemplars), {kind: dict[str, Texts]() for kind in SHARES}
    folds: dict[str, dict[str, Any]] = {}
    for signer in signers:
        last = trained(
            output / signer,
            "fingerspelling/landmarks",
            f"--trainer.max_epochs={epochs}",
            f"--data.init_args.exemplars={exemplars}",
            f"--data.init_args.held_out=[{signer}]",
        )
        model, rate, *_ = load_checkpoint(last)
        own = hands.select(only=(signer,))
        folds[signer] = {"stills": read_stills(model, rate, own)}
        for kind, shares in SHARES.items():
            made[kind][signer] = compose(model, rate, own, shares, texts)
        print(signer, json.dumps(folds[signer]), flush=True)
    network = OnnxLanguageModel(lm)
    tuning = [pair for of in made.values() for own in of.values() for pair in own[::2]]
    references = [ASL_LETTERS.encode(text) for text, _ in tuning]
    trials = tune([p for _, p in tuning], references, lm=network, alphas=ALPHAS, betas=BETAS)
    # Of the settings that are as good, the smallest bonus: it doubles letters that are held long.
    near = [t for t in trials if t.counts.accuracy > trials[0].counts.accuracy - 0.25]
    best = min(near, key=lambda trial: (trial.beta, trial.alpha))
    decoding = {"width": best.width, "alpha": best.alpha, "beta": best.beta}
    pooled = {}
    for kind, of in made.items():
        tested = {signer: own[1::2] for signer, own in of.items()}
        for way, search in (("greedy", {}), ("lm", {"lm": network, **decoding})):
            for signer, figures in read_texts(tested, **search).items():
                (pooled if signer == "all" else folds[signer])[f"{kind}_{way}"] = figures
    stills = [fold["stills"] for fold in folds.values()]
    top1 = round(float(np.mean([still["top1"] for still in stills])), 2)
    total = {"n": sum(still["n"] for still in stills), "mean_over_signers": top1}
    about = {"steps_per_fold": epochs * 500, "decoding": decoding, "stills_top1": total}
    write_report(output, {"folds": folds, **about, **pooled})


# -- single letters and digits ---------------------------------------------------------------------
def ranked(folder: Path, kind: str) -> Iterator[tuple[Entry, int]]:
    """What the recogniser of a fold makes of its test clips of a kind."""
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
    entries = data.entries("test")
    with torch.no_grad():
        logits = [model(batch.poses).numpy() for batch in data.whole("test")]
    places = gloss_ranks(np.concatenate(logits), [e.label for e in entries], about["classes"])
    yield from zip(entries, places.tolist(), strict=True)


def scores(found: Ranked, *, by_signer: bool) -> dict[str, Any]:
    """Letters; digits of a shape of their own; and those that look like a letter. Intervals are of
    clips that are drawn, or of signers, of whom those in the wild count as one."""
    parts: dict[str, Ranked] = {"letters": [], "digits": [], "look_alikes": []}
    for entry, place in found:
        one = replace(entry, signer=(entry.signer or "wild") if by_signer else ""), place
        digit = "look_alikes" if entry.label in LOOK_ALIKES else "digits"
        parts[digit if entry.label in DIGITS else "letters"].append(one)
    result: dict[str, Any] = {}
    for name, some in parts.items():
        if some:
            entries, places = zip(*some, strict=True)
            said = score_glosses(np.array(places), entries, [e.label for e in entries])
            kept = ("clips", "signers", "top1", "top1_interval", "top2", "top2_interval")
            result[name] = {key: said[key] for key in kept}
    entries, places = zip(*parts["letters"], strict=True)
    result["recall"] = recall([e.label for e in entries], [place == 1 for place in places])
    return result


def letters(
    exemplars: list[Path],
    output: Path,
    clips: int = 6400,
    epochs: int = 10,
    folds: tuple[tuple[str, ...], ...] = LETTER_FOLDS,
) -> None:
    """The recogniser of single letters and digits.

    Args:
        clips: to train on, of each fold.
        folds: the signers that are left out together.
    """
    hands = concat_exemplars([Exemplars.load(path) for path in exemplars])
    figures: dict[str, dict[str, Any]] = {}
    pooled: dict[str, Ranked] = {"photographed": [], "composed": []}
    for signers in folds:
        folder = output / "_".join(signers)
        if not (folder / "composed" / "clips.csv").is_file():
            own = letter_clips(hands.select(only=signers))
            tested = (c._replace(entry=replace(c.entry, split="test")) for c in own)
            write_poses(tested, folder / "photographed")
            write_poses(LetterClips(hands, clips, test=signers), folder / "composed")
        trained(
            folder / "run",
            "signbert/letters",
            f"--trainer.max_epochs={epochs}",
            f"--trainer.check_val_every_n_epoch={epochs}",
            f"--data.init_args.poses=[{folder / 'composed'}]",
        )
        for kind, all_of_kind in pooled.items():
            found = list(ranked(folder, kind))
            all_of_kind += found
            figures.setdefault(folder.name, {})[kind] = scores(found, by_signer=False)
        print(folder.name, json.dumps(figures[folder.name]), flush=True)
    everything = {kind: scores(found, by_signer=True) for kind, found in pooled.items()}
    write_report(output, {"clips": clips, "epochs": epochs, "folds": figures, **everything})


if __name__ == "__main__":
    torch.set_num_threads(1)
    auto_cli([spelling, letters], as_positional=False)
