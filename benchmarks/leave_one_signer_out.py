"""Accuracy on hands that training never saw: leave one signer out, for each source of exemplars.

    python benchmarks/leave_one_signer_out.py --exemplars runs/exemplars.npz --lm runs/lm/lm.onnx \\
        --output runs/loso

For each signer a recogniser is trained on all the others (fewer steps than the bundled one), then
asked for that signer's still letters and for words and letter strings composed from that signer's
hands alone, words that neither recogniser nor language model drew in training. The weight of the
language model and the bonus for length are tuned on one half of the texts of all folds together,
as many strings as words, for what is spelled is often in no dictionary; every figure with the
language model is on the other half. Folds that are done are not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.words import Shares, TextSampler
from chereme.decoding import OnnxLanguageModel, beam_search, greedy
from chereme.decoding.tuning import tune
from chereme.hands.normalise import landmark_features
from chereme.metrics import accuracy_interval, edit_counts, pool
from chereme.recognition.config import Still
from chereme.recognition.ctc_letters import read_still
from chereme.synthesis.spelling import Speller
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.text import ASL_LETTERS
from chereme.training.cli import main as train
from chereme.types import HandTrack

CONFIG = Path(__file__).parents[1] / "configs" / "fingerspelling" / "landmarks.yaml"
SIGNERS = ("hand1", "hand2", "hand3", "hand4", "hand5", "wild", "recording")
SHARES = {
    "words": Shares(0.5, 0.15, 0.15, 0.15, 0.05, 0.0, 0.0),
    "strings": Shares(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
}
ALPHAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
BETAS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0)
Texts = list[tuple[str, np.ndarray]]  # and what the model makes of them


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
    still = Still(letters=letters, duration=0.6, margin=-np.inf)
    read = []
    for row in rows:
        picture = hands.landmarks[[row, row]].astype(np.float64)
        times = np.array([0.0, still.duration])
        track = HandTrack(picture, np.ones((2, 21)), times, 1, 1, "right")
        read.append(read_still(log_probs(model, track, rate), ASL_LETTERS, still).text)
    truth = hands.label[rows].tolist()
    right = [a == b for a, b in zip(truth, read, strict=True)]
    letter_recall = {
        c: round(float(np.mean([r for r, t in zip(right, truth, strict=True) if t == c])), 3)
        for c in sorted(set(truth))
    }
    return {"n": len(rows), "top1": 100 * float(np.mean(right)), "recall": letter_recall}


def compose(model: Any, rate: float, hands: Exemplars, shares: Shares, count: int) -> Texts:
    """Texts composed from one signer's hands."""
    speller, rng = Speller(hands), np.random.default_rng(2024)
    sampler = TextSampler(shares=shares, split="held_out", max_length=12)
    made = []
    while len(made) < count:
        text = sampler.sample(rng)
        if set(text) <= set(speller.letters):
            made.append((text, log_probs(model, speller.spell(text, rng).track, rate)))
    return made


def counts_of(pairs: Texts, **search: Any) -> list[Any]:
    """Edit counts of each text, read greedily or by beam search."""
    decode = (lambda p: beam_search(p, **search)[0]) if search else greedy
    return [edit_counts(text, ASL_LETTERS.decode(decode(p).symbols)) for text, p in pairs]


def summary(counts: list[Any], groups: list[str] | None = None) -> dict[str, Any]:
    """Pooled letter accuracy and its 95 % interval (resampling signers where given)."""
    low, high = accuracy_interval(counts, groups=groups)
    total = pool(counts)
    return {
        "texts": len(counts),
        "letters": total.reference_length,
        "letter_accuracy": round(total.accuracy, 2),
        "interval": [round(low, 2), round(high, 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--exemplars", type=Path, required=True)
    parser.add_argument("--lm", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2, help="of 500 steps")
    parser.add_argument("--texts", type=int, default=150)
    parser.add_argument("--signers", nargs="+", default=SIGNERS)
    parser.add_argument("--more", action="append", default=[], help="options of chereme train")
    given = parser.parse_args()
    torch.set_num_threads(1)

    exemplars = Exemplars.load(given.exemplars)
    folds: dict[str, dict[str, Any]] = {}
    texts: dict[str, dict[str, Texts]] = {kind: {} for kind in SHARES}
    for signer in given.signers:
        folder = given.output / signer
        if not (folder / "done").exists():
            train(
                [
                    *("--config", str(CONFIG), "--output", str(folder)),
                    f"--trainer.max_epochs={given.epochs}",
                    "--trainer.enable_progress_bar=false",
                    f"--data.init_args.exemplars={given.exemplars}",
                    f"--data.init_args.held_out=[{signer}]",
                    *given.more,
                ]
            )
            (folder / "done").touch()
        model, rate, *_ = load_checkpoint(folder / "last.ckpt")
        hands = exemplars.select(only=(signer,))
        folds[signer] = {"stills": read_stills(model, rate, hands)}
        for kind, shares in SHARES.items():
            made = texts[kind][signer] = compose(model, rate, hands, shares, given.texts)
            folds[signer][f"{kind}_greedy"] = summary(counts_of(made[1::2]))
        print(signer, json.dumps(folds[signer]), flush=True)

    lm = OnnxLanguageModel(given.lm)
    tuning = [pair for of in texts.values() for made in of.values() for pair in made[::2]]
    trials = tune(
        [p for _, p in tuning],
        [ASL_LETTERS.encode(text) for text, _ in tuning],
        lm=lm,
        alphas=ALPHAS,
        betas=BETAS,
    )
    # Of the settings that are as good, the smallest bonus: it doubles letters that are held long.
    near = [t for t in trials if t.counts.accuracy > trials[0].counts.accuracy - 0.25]
    best = min(near, key=lambda trial: (trial.beta, trial.alpha))
    search = {"width": best.width, "lm": lm, "alpha": best.alpha, "beta": best.beta}
    pooled: dict[str, Any] = {}
    for kind, of in texts.items():
        groups = [signer for signer, made in of.items() for _ in made[1::2]]
        plain = [c for made in of.values() for c in counts_of(made[1::2])]
        searched = []
        for signer, made in of.items():
            counts = counts_of(made[1::2], **search)
            folds[signer][f"{kind}_lm"] = summary(counts)
            searched += counts
        pooled[f"{kind}_greedy"] = summary(plain, groups)
        pooled[f"{kind}_lm"] = summary(searched, groups)
    stills = [fold["stills"] for fold in folds.values()]
    report = {
        "steps_per_fold": given.epochs * 500,
        "folds": folds,
        "decoding": {"beam_width": best.width, "alpha": best.alpha, "beta": best.beta},
        "stills_top1": {
            "n": sum(still["n"] for still in stills),
            "mean_over_signers": round(float(np.mean([still["top1"] for still in stills])), 2),
        },
        **pooled,
    }
    (given.output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({k: v for k, v in report.items() if k != "folds"}, indent=2))


if __name__ == "__main__":
    main()
