"""Pose2Gloss on RWTH-BOSTON-104, cross-validated: docs/results_signx.md from runs/signx/boston104.

    python benchmarks/boston104.py [--runs runs/signx/boston104] [--output docs/results_signx.md]

makes the page alone, of the runs that there are. What is written by hand under "In words" stays.

    python benchmarks/boston104.py --run --root ../shared/data/boston104
        [--folds 5] [--tested 0 1 2] [--rows ctc_only whole ...] [--by folds signers longer]
        [--epochs N] [--minutes 60]

trains every row on every fold first, the baseline and the whole model before the others. What is
finished is not run again, and what was cut off goes on where it was. "longer" are the folds again,
with more epochs.

    python benchmarks/boston104.py --overfit --root ../shared/data/boston104

trains the whole model on 20 sentences until it knows them by heart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chereme.datasets import boston104
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import write_tracks
from chereme.metrics import accuracy_interval, pool
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.metrics.translation import bleu, gloss_edits

CONFIGS = "configs/signx"
BASELINE, WIDER = "ctc_only", "ctc_large"
ROWS = {
    BASELINE: "CTC BiGRU, the baseline",
    WIDER: "CTC BiGRU, wider",
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
BY_HEART = 20
LONGER = 240  # epochs
REMARKS = "## In words"
Words = tuple[str, ...]
Reading = dict[str, str]  # a sentence of readings.json


@dataclass(frozen=True)
class Plan:
    """A run: its folder, and the options of ``chereme train``."""

    folder: Path
    options: tuple[str, ...]


def plans(
    root: str,
    runs: Path,
    rows: Sequence[str],
    by: Sequence[str],
    folds: int,
    epochs: int | None,
    tested: Sequence[int] | None = None,
) -> list[Plan]:
    """All runs: row by row, first of folds, then of signers; ``tested``: of these folds alone."""
    return [
        plan(root, runs, row, way, folds, fold, epochs)
        for way in by
        for row in rows
        for fold in range(3 if way == "signers" else folds)
        if tested is None or fold in tested
    ]


def plan(
    root: str, runs: Path, row: str, by: str, folds: int, fold: int, epochs: int | None
) -> Plan:
    folder = runs / division(by, folds) / row / f"fold_{fold}"
    if by == "longer":
        by, epochs = "folds", LONGER if epochs is None else epochs
    return Plan(
        folder,
        (
            *(f"--config={file}" for file in configs(row)),
            f"--output={folder}",
            f"--data.init_args.root={root}",
            f"--data.init_args.split_by={by}",
            f"--data.init_args.folds={folds}",
            f"--data.init_args.fold={fold}",
            *([] if epochs is None else [f"--trainer.max_epochs={epochs}"]),
            "--trainer.enable_progress_bar=false",
        ),
    )


def configs(row: str) -> list[str]:
    """The files of a row, each changing what those before it say."""
    rows = {BASELINE: [], WIDER: [WIDER], "whole": ["whole"]}.get(row, ["whole", row])
    return [f"{CONFIGS}/boston104.yaml", *(f"{CONFIGS}/rows/{name}.yaml" for name in rows)]


def division(by: str, folds: int) -> str:
    """The folder of the runs of one way to divide the sentences."""
    return "signers" if by == "signers" else f"{by}_{folds}"


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


def overfit(root: str, folder: Path, *more: str) -> None:
    """The whole model on `BY_HEART` different sentences, which are watched and tested too."""
    from chereme.training.cli import main as train

    tracks, rows, said = boston104.read_tracks(root), [], set[Words]()
    for sentence in boston104.read(root).sentences:
        if sentence.words in said or len(said) == BY_HEART:
            continue
        said.add(sentence.words)
        path = folder / "sentences" / f"{sentence.id}.npz"
        write_tracks(tracks[sentence.id], path)
        for split in ("train", "dev"):
            name = f"{split}-{sentence.id}"
            rows.append(Item(path, " ".join(sentence.words), name, sentence.signer, split=split))
    write_manifest(rows, folder / "manifest.csv")
    train(
        [
            *(f"--config={file}" for file in configs("whole")),
            f"--config={CONFIGS}/overfit.yaml",
            f"--output={folder}",
            f"--data.init_args.root={folder / 'manifest.csv'}",
            "--trainer.enable_progress_bar=false",
            *more,
        ]
    )


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


def gain(
    runs: dict[int, list[Reading]], base: dict[int, list[Reading]], way: str, base_way: str = "ctc"
) -> str:
    """The WER of the same sentences less that of ``base``, with a 95 % bootstrap over the different
    sentences; nothing where there is none to compare with."""
    both = sorted(runs.keys() & base.keys())
    ours = {row["id"]: row for fold in both for row in runs[fold]}
    theirs = {row["id"]: row for fold in both for row in base[fold]}
    ids = sorted(ours.keys() & theirs.keys())
    if not ids:
        return ""
    true = words([ours[i] for i in ids], "glosses")
    own = gloss_edits(true, words([ours[i] for i in ids], way))
    other = gloss_edits(true, words([theirs[i] for i in ids], base_way))
    amounts = np.array(
        [(a.edits - b.edits, a.reference_length) for a, b in zip(own, other, strict=True)]
    )
    edits, length = resampled_totals(amounts, groups=true)
    low, high = percentiles(100.0 * edits / length, 0.95)
    more, glosses = amounts.sum(axis=0)
    return f"{100 * more / glosses:+.1f} [{low:+.1f}, {high:+.1f}]"


def folds_table(runs: Path, folds: int, by: str = "folds") -> str:
    """WER and BLEU of every row over folds, of "longer" of those that there are."""
    head = (
        *("", "read by", "WER", "95 %", "substituted, deleted, inserted"),
        *("BLEU-1", "BLEU-4", "against the baseline", "against Pose2Gloss", "folds"),
    )
    base, whole = (read_runs(runs / division(by, folds) / row) for row in (BASELINE, "whole"))
    lines: list[Sequence[str]] = []
    for row, name in ROWS.items():
        found = read_runs(runs / division(by, folds) / row)
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
                    "" if row in (BASELINE, WIDER, "whole") else gain(found, whole, way, way),
                    f"{len(found)} of {folds}",
                )
            )
        if not ways and by == "folds":
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


def memory_table(runs: Path, folds: int) -> str:
    """How much of what is said was signed in training, by row; the sentences themselves first."""
    of = {row: read_runs(runs / division("folds", folds) / row) for row in ROWS}
    signed = {fold: words(rows, "glosses") for fold, rows in of[BASELINE].items()}
    taught = {
        fold: [own for other in signed if other != fold for own in signed[other]] for fold in signed
    }

    def shares(said: dict[int, list[Words]]) -> list[str]:
        whole, seen, pairs = 0, 0, 0
        for fold, readings in said.items():
            sentences = set(taught[fold])
            known = {pair for own in sentences for pair in pairwise(own)}
            whole += sum(own in sentences for own in readings)
            found = [pair for own in readings for pair in pairwise(own)]
            seen, pairs = seen + sum(pair in known for pair in found), pairs + len(found)
        count = sum(len(own) for readings in said.values() for own in readings)
        true = sum(len(own) for fold in said for own in signed[fold])
        sentences_said = sum(len(readings) for readings in said.values())
        return [
            f"{100 * whole / sentences_said:.0f} %",
            f"{100 * seen / pairs:.0f} %" if pairs else "",
            f"{count / true:.2f}",
        ]

    head = ("", "read by", "sentences of training", "pairs of training", "glosses said for one")
    if len(signed) < folds:  # what training had is not known
        return table(head, [])
    lines: list[Sequence[str]] = [("what was signed", "", *shares(signed))]
    for row, name in ROWS.items():
        for way in WAYS:
            said = {f: words(r, way) for f, r in of[row].items() if all(way in one for one in r)}
            if said:
                lines.append((linked(row, name), WAYS[way], *shares(said)))
    return table(head, lines)


def linked(row: str, name: str) -> str:
    file = "boston104" if row == BASELINE else f"rows/{row}"
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


def about(runs: Path, key: str, way: str = "*") -> str:
    """What the runs of one way to divide the sentences say of themselves, each thing once."""
    found = {
        str(json.loads(path.read_text(encoding="utf-8"))[key])
        for path in runs.glob(f"{way}/*/fold_*/metrics.json")
    }
    return ", ".join(sorted(found)) or NOT_RUN


def by_heart(runs: Path) -> str:
    """What became of the sentences that were trained on and tested."""
    path = runs / "overfit" / "metrics.json"
    if not path.is_file():
        return f"{NOT_RUN}."
    found = json.loads(path.read_text(encoding="utf-8"))
    rates = ", ".join(f"{WAYS[way]} {found['dev'][way]['wer']:.1f}" for way in WAYS)
    return f"WER after {found['steps']} steps, read by {rates}."


def remarks_of(page: Path) -> str:
    """What somebody wrote under ``REMARKS`` in a page that is there, for the next one."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return text.partition(f"{REMARKS}\n")[2].partition("\n## ")[0].strip()


def document(runs: Path, folds: int, remarks: str = "") -> str:
    return f"""# SignX: results on what is here

Made by `python benchmarks/boston104.py` from `readings.json` and `metrics.json` of each run. The
paper's data set, ASLLRP with five pose tracks, is not here ([the paper's page](papers/signx.md)):
**figures can be compared between rows, not with the paper's.**

    python benchmarks/boston104.py --run --root DATA/boston104

trains every row on every fold and writes this page; what is finished is not run again. Machine:
{about(runs, "device")}. Epochs: {about(runs, "epochs", division("folds", folds))}.

{REMARKS}

{remarks or "Nothing has been said yet."}

## What was compared

- Data: RWTH-BOSTON-104, places of both hands and the nose; 161 sentences of three signers, 710
  glosses, 112 different. Its published test sentences are not here.
- The baseline, [boston104.yaml](../{CONFIGS}/boston104.yaml), is a track encoder, two recurrent
  layers and CTC; "wider", as many parameters learn as in Pose2Gloss. Pose2Gloss has the same before
  its latent, and a CTC head too; the rows after it change one thing of it.
- All rows are trained for the same epochs and the last weights are scored: no tested sentence
  chose anything in its fold.
- Word error rate (WER) and BLEU in per cent: mean ± deviation over the folds. In brackets, 95 %
  bootstraps over the different sentences of all folds. Decoder and CTC are read by beam search (5).
- "Against the baseline": WER on the same sentences less the baseline's; "against Pose2Gloss", less
  that of the whole, read the same way. Below 0 is better. Rows of fewer than all folds can be
  compared with others in these two columns alone.

## Folds

Repetitions of a sentence are in one fold, signers in all. Glosses of each fold that no training
sentence has, a floor of its WER: {floors(runs, division("folds", folds))}.

{folds_table(runs, folds)}
## Trained for longer

The same for {LONGER} epochs (`--by longer`).

{folds_table(runs, folds, "longer")}
## What was said before

Readings that are, gloss by gloss, a sentence of their training; the pairs of glosses in a row, of
those that were said, that training has; and how many glosses were said for one that was signed.

{memory_table(runs, folds)}
## Signers that were not trained on

Each signer is tested alone, by a model of the two others, which have signed many of the same
sentences. Glosses that they have not signed: {floors(runs, "signers")}.

{signers_table(runs)}
## Sentences by heart

Pose2Gloss, every loss and diffusion on, trained on {BY_HEART} different sentences without dropout,
made sentences or changes ([overfit.yaml](../{CONFIGS}/overfit.yaml)), and read on the same:
{by_heart(runs)}

    python benchmarks/boston104.py --overfit --root DATA/boston104
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="store_true", help="train what is not there yet")
    parser.add_argument("--overfit", action="store_true", help="learn 20 sentences by heart")
    parser.add_argument("--root", default="../shared/data/boston104", help="folder of the tables")
    parser.add_argument("--runs", type=Path, default=Path("runs/signx/boston104"))
    parser.add_argument("--output", type=Path, default=Path("docs/results_signx.md"))
    parser.add_argument("--folds", type=int, default=5, help="how many")
    parser.add_argument(
        "--by",
        nargs="+",
        choices=("folds", "signers", "longer"),
        default=["folds", "signers"],
    )
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--tested", nargs="+", type=int, help="these folds alone")
    parser.add_argument("--epochs", type=int, help="instead of those of the config")
    parser.add_argument("--minutes", type=float, help="stop after so many; go on another time")
    given = parser.parse_args(arguments)
    if given.run:
        made = plans(
            given.root,
            given.runs,
            given.rows,
            given.by,
            given.folds,
            given.epochs,
            given.tested,
        )
        run_all(made, given.minutes)
    if given.overfit:
        overfit(given.root, given.runs / "overfit")
    remarks = remarks_of(given.output)
    given.output.write_text(document(given.runs, given.folds, remarks), encoding="utf-8")


if __name__ == "__main__":
    main()
