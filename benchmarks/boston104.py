"""Pose2Gloss on RWTH-BOSTON-104, cross-validated: docs/results_signx.md from runs/signx/boston104.

    python benchmarks/boston104.py [--runs runs/signx/boston104] [--output docs/results_signx.md]

makes the page alone, of the runs that there are.

    python benchmarks/boston104.py --run --root ../shared/data/boston104
        [--folds 5] [--rows ctc_only whole ...] [--by folds signers] [--epochs N] [--minutes 60]

trains every row on every fold first, the baseline and the whole model before the others. What is
finished is not run again, and what was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chereme.metrics import accuracy_interval, pool
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.metrics.translation import bleu, gloss_edits

CONFIGS = "configs/signx"
BASELINE = "ctc_only"
ROWS = {
    BASELINE: "CTC BiGRU, the baseline",
    "ctc_large": "CTC BiGRU, wider",
    "whole": "Pose2Gloss",
    "no_diffusion": "without diffusion",
    "no_noise": "without `l_noise`",
    "no_text": "without `l_text`",
    "no_word": "without `l_word`",
    "no_contrast": "without `l_contrast`",
    "no_ngram": "without `l_ngram`",
    "no_ctc": "without the CTC head",
    "no_smoothing": "without label smoothing",
    "learnable": "learnt coefficients",
}
WAYS = {"beam": "decoder", "ctc": "CTC"}
NOT_RUN = "not run"
Words = tuple[str, ...]
Reading = dict[str, str]  # a sentence of readings.json


@dataclass(frozen=True)
class Plan:
    """A run: its folder, and the options of ``chereme train``."""

    folder: Path
    options: tuple[str, ...]


def plans(
    root: str, runs: Path, rows: Sequence[str], by: Sequence[str], folds: int, epochs: int | None
) -> list[Plan]:
    """All runs: row by row, first of folds, then of signers."""
    return [
        plan(root, runs, row, way, folds, fold, epochs)
        for way in by
        for row in rows
        for fold in range(folds if way == "folds" else 3)
    ]


def plan(
    root: str, runs: Path, row: str, by: str, folds: int, fold: int, epochs: int | None
) -> Plan:
    folder = runs / division(by, folds) / row / f"fold_{fold}"
    own = [] if row == "whole" else [f"--config={CONFIGS}/rows/{row}.yaml"]
    return Plan(
        folder,
        (
            f"--config={CONFIGS}/boston104.yaml",
            *own,
            f"--output={folder}",
            f"--data.init_args.root={root}",
            f"--data.init_args.split_by={by}",
            f"--data.init_args.folds={folds}",
            f"--data.init_args.fold={fold}",
            *([] if epochs is None else [f"--trainer.max_epochs={epochs}"]),
            "--trainer.enable_progress_bar=false",
        ),
    )


def division(by: str, folds: int) -> str:
    """The folder of the runs of one way to divide the sentences."""
    return f"folds_{folds}" if by == "folds" else "signers"


def run_all(made: Sequence[Plan], minutes: float | None) -> None:
    """Train and score what is not there yet, in this order, for ``minutes`` at most."""
    from chereme.training.cli import main as train

    warnings.filterwarnings("ignore")  # Lightning's, of workers, loggers and arguments
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    for number, run in enumerate(made, 1):
        about = f"{number} of {len(made)}, {run.folder}"
        if (run.folder / "metrics.json").is_file():
            print(f"{about}: finished before", flush=True)
            continue
        began, limit = time.monotonic(), []
        if deadline is not None:
            left = int(deadline - began)
            if left < 1:
                print(f"{about}: not begun, the time is over; the same command goes on with it")
                return
            limit = [f"--trainer.max_time=00:{left // 3600:02}:{left // 60 % 60:02}:{left % 60:02}"]
        last = run.folder / "last.ckpt"
        train([*run.options, *limit, *([f"--resume={last}"] if last.is_file() else [])])
        end = "finished" if (run.folder / "metrics.json").is_file() else "cut off"
        print(f"{about}: {end} after {time.monotonic() - began:.0f} s", flush=True)


# -- figures ---------------------------------------------------------------------------------------
def read_runs(folder: Path) -> dict[int, list[Reading]]:
    """The readings of the tested sentences of a row, by fold."""
    found = {}
    for path in sorted(folder.glob("fold_*/readings.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))["sentences"]
        fold = int(path.parent.name.removeprefix("fold_"))
        found[fold] = [row for row in rows if row["split"] == "test"]
    return found


def words(rows: Sequence[Reading], key: str) -> list[Words]:
    return [tuple(row[key].split()) for row in rows]


def error_rate(rows: Sequence[Reading], way: str) -> float:
    return pool(gloss_edits(words(rows, "glosses"), words(rows, way))).error_rate


def spread(values: Sequence[float]) -> str:
    """Mean ± deviation over the folds."""
    off = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{off}"


def gain(runs: dict[int, list[Reading]], base: dict[int, list[Reading]], way: str) -> str:
    """The WER of the same sentences less that of the baseline, with a 95 % bootstrap over the
    different sentences; nothing where there is none to compare with."""
    both = sorted(runs.keys() & base.keys())
    ours = {row["id"]: row for fold in both for row in runs[fold]}
    theirs = {row["id"]: row for fold in both for row in base[fold]}
    ids = sorted(ours.keys() & theirs.keys())
    if not ids:
        return ""
    true = words([ours[i] for i in ids], "glosses")
    own = gloss_edits(true, words([ours[i] for i in ids], way))
    other = gloss_edits(true, words([theirs[i] for i in ids], "ctc"))
    amounts = np.array(
        [(a.edits - b.edits, a.reference_length) for a, b in zip(own, other, strict=True)]
    )
    edits, length = resampled_totals(amounts, groups=true)
    low, high = percentiles(100.0 * edits / length, 0.95)
    more, glosses = amounts.sum(axis=0)
    return f"{100 * more / glosses:+.1f} [{low:+.1f}, {high:+.1f}]"


def folds_table(runs: Path, folds: int) -> str:
    """WER and BLEU of every row over folds."""
    head = (
        *("", "read by", "WER", "95 %", "substituted, deleted, inserted"),
        *("BLEU-1", "BLEU-4", "WER against the baseline", "folds"),
    )
    base = read_runs(runs / division("folds", folds) / BASELINE)
    lines = []
    for row, name in ROWS.items():
        found = read_runs(runs / division("folds", folds) / row)
        ways = [way for way in WAYS if any(way in some for fold in found.values() for some in fold)]
        for way in ways:
            pooled = [some for fold in found.values() for some in fold]
            true = words(pooled, "glosses")
            counts = gloss_edits(true, words(pooled, way))
            total = pool(counts)
            low, high = accuracy_interval(counts, groups=true)
            kinds = (total.substitutions, total.deletions, total.insertions)
            scores = {
                order: [bleu(words(f, "glosses"), words(f, way), order) for f in found.values()]
                for order in (1, 4)
            }
            lines.append(
                (
                    linked(row, name),
                    WAYS[way],
                    spread([error_rate(fold, way) for fold in found.values()]),
                    f"[{100 - high:.1f}, {100 - low:.1f}]",
                    ", ".join(f"{100 * kind / total.reference_length:.1f}" for kind in kinds),
                    spread(scores[1]),
                    spread(scores[4]),
                    "" if row == BASELINE else gain(found, base, way),
                    f"{len(found)} of {folds}",
                )
            )
        if not ways:
            lines.append((linked(row, name), *[NOT_RUN] * (len(head) - 1)))
    return table(head, lines)


def signers_table(runs: Path) -> str:
    """WER of every row by the signer that was tested and not trained on."""
    rows = {row: read_runs(runs / "signers" / row) for row in ROWS}
    found = {some["signer"] for row in rows.values() for fold in row.values() for some in fold}
    signers = sorted(found) or ["signers"]
    lines = []
    for row, name in ROWS.items():
        of = {fold[0]["signer"]: fold for fold in rows[row].values() if fold}
        ways = [way for way in WAYS if any(way in some for fold in of.values() for some in fold)]
        for way in ways:
            rates = {signer: error_rate(fold, way) for signer, fold in of.items()}
            each = [f"{rates[s]:.1f}" if s in rates else NOT_RUN for s in signers]
            lines.append((linked(row, name), WAYS[way], *each, spread(list(rates.values()))))
        if not ways:
            lines.append((linked(row, name), *[NOT_RUN] * (len(signers) + 2)))
    return table(("", "read by", *signers, "mean"), lines)


def linked(row: str, name: str) -> str:
    file = "boston104" if row == "whole" else f"rows/{row}"
    return f"[{name}](../{CONFIGS}/{file}.yaml)"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


# -- the page --------------------------------------------------------------------------------------
def floors(runs: Path, way: str) -> str:
    """The share of glosses of each fold that its training has not."""
    of: dict[str, Any] = {}
    for path in sorted((runs / way).glob("*/fold_*/metrics.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        of[path.parent.name] = found["test"]["unseen_glosses"]
    return ", ".join(f"{of[fold]:.1f} %" for fold in sorted(of)) or NOT_RUN


def about(runs: Path, key: str) -> str:
    """What the runs say of themselves, each thing once."""
    found = {
        str(json.loads(path.read_text(encoding="utf-8"))[key])
        for path in runs.glob("*/*/fold_*/metrics.json")
    }
    return ", ".join(sorted(found)) or NOT_RUN


def document(runs: Path, folds: int) -> str:
    return f"""# SignX: results on what is here

Made by `python benchmarks/boston104.py` from `readings.json` and `metrics.json` of each run. The
paper's data set, ASLLRP with five pose tracks, is not here ([the paper's page](papers/signx.md)):
**figures can be compared between rows, not with the paper's.**

    python benchmarks/boston104.py --run --root DATA/boston104

trains every row on every fold and writes this page; what is finished is not run again. Machine:
{about(runs, "device")}. Epochs: {about(runs, "epochs")}.

- Data: RWTH-BOSTON-104, places of both hands and the nose; 161 sentences of three signers, 710
  glosses, 112 different. Its published test sentences are not here.
- Pose2Gloss is [boston104.yaml](../{CONFIGS}/boston104.yaml), with a CTC head and two recurrent
  layers before the latent; other rows change one thing. The baseline has the same encoder and
  recurrent layers, CTC, and nothing else; "wider", as many parameters learn as in Pose2Gloss.
- All rows are trained for the same epochs and the last weights are scored: no tested sentence
  chose anything in its fold.
- Word error rate (WER) and BLEU in per cent: mean ± deviation over the folds. In brackets, 95 %
  bootstraps over the different sentences of all folds. Decoder and CTC are read by beam search (5).
- "WER against the baseline": on the same sentences; below 0 is better.

## Folds

Repetitions of a sentence are in one fold, signers in all. Glosses of each fold that no training
sentence has, a floor of its WER: {floors(runs, division("folds", folds))}.

{folds_table(runs, folds)}
## Signers that were not trained on

Each signer is tested alone, by a model of the two others, which have signed many of the same
sentences. Glosses that they have not signed: {floors(runs, "signers")}.

{signers_table(runs)}"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="store_true", help="train what is not there yet")
    parser.add_argument("--root", default="../shared/data/boston104", help="folder of the tables")
    parser.add_argument("--runs", type=Path, default=Path("runs/signx/boston104"))
    parser.add_argument("--output", type=Path, default=Path("docs/results_signx.md"))
    parser.add_argument("--folds", type=int, default=5, help="how many")
    parser.add_argument(
        "--by", nargs="+", choices=("folds", "signers"), default=["folds", "signers"]
    )
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--epochs", type=int, help="instead of those of the config")
    parser.add_argument("--minutes", type=float, help="stop after so many; go on another time")
    given = parser.parse_args(arguments)
    if given.run:
        made = plans(given.root, given.runs, given.rows, given.by, given.folds, given.epochs)
        run_all(made, given.minutes)
    given.output.write_text(document(given.runs, given.folds), encoding="utf-8")


if __name__ == "__main__":
    main()
