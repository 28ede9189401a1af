"""SignBERT's tables on what is here: docs/results_signbert.md from runs/signbert/here.

    python benchmarks/signbert_tables.py [--runs runs/signbert/here]
        [--output docs/results_signbert.md]

makes the page alone, of the runs that there are. What is written by hand under "In words" stays.

    chereme prepare exemplars --root DATA -o runs/exemplars.npz
    python benchmarks/signbert_tables.py --run [--exemplars runs/exemplars.npz] [--seeds 3]
        [--minutes 60]

makes the data first, then trains and scores every row: pre-trainings of Tables 1, 2, 4, 5 and 6,
and recognition from each and from scratch, as `plans` says. What is finished is not run again;
``--commands`` prints the commands instead.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from signbert_plans import (
    ABLATION_SHARE,
    BASE,
    CONFIGS,
    FULL,
    LONGER,
    PROBE,
    SAME,
    SHARES,
    SHORT,
    SOURCES,
    TABLE_1,
    Budget,
    Setting,
    config_of,
    plans,
)
from signbert_scores import (
    RESTORED,
    TESTS,
    Clips,
    gain,
    hits,
    restored,
    restored_alone,
    restoring,
    seeds_of,
    table,
    top1,
)

WORDS = "## In words"
PAPER_RECONSTRUCTION = {  # PCK at 20 pixels and AUC, of the masked input and of the output
    "table_1/m3": (88.81, 91.02, 99.90, 99.54),
    "table_1/m5": (82.26, 85.65, 99.89, 99.53),
    "table_1/m7": (76.19, 80.91, 99.85, 99.53),
    "table_1/m9": (70.85, 76.63, 99.81, 99.50),
    "table_1/m11": (66.29, 72.85, 99.79, 99.44),
    "table_2/joint": (86.38, 89.02, 95.13, 95.49),
    "table_2/frame": (80.85, 80.85, 95.33, 95.57),
    "table_2/both": (81.43, 82.32, 95.14, 95.48),
}
PAPER_TOP_1 = {  # MSASL100, per instance
    "scratch": 63.01,
    "table_4/joint": 72.66,
    "table_4/frame": 74.77,
    "table_4/both": 76.09,
    "table_5/fc1": 73.05,
    "table_5/fc2": 74.24,
    "table_5/hand_model": 76.09,
    "table_6/n2": 74.11,
    "table_6/n3": 76.09,
    "table_6/n4": 75.69,
    "table_6/n5": 74.90,
}
NOT_RUN = (
    ("3", "table_3/nmfs_csl", "NMFs-CSL"),
    ("4 to 7 as printed", "table_4/both", "MSASL (and WLASL, NMFs-CSL, SLR500 to pre-train on)"),
    ("6, N = 5", "table_6/n5", "time alone"),
    ("7, data of pre-training", "table_7/p25", "MSASL, WLASL, NMFs-CSL and SLR500"),
    ("8, 9, 10, 11", "finetune", "MSASL, WLASL, SLR500, and RGB or full-frame partners"),
)
MASKS = (*(f"M = {m}" for m in (3, 5, 7, 9, 11)), "masked joints", "masked frames", "both")
MASKS += ("detector",)
LABELS = {
    "table_1/m3": "M = 3",
    "table_1/m5": "M = 5",
    "table_1/m7": "M = 7",
    "table_1/m9": "M = 9",
    "table_1/m11": "M = 11",
    "table_2/joint": "masked joints",
    "table_2/frame": "masked frames",
    "table_2/both": "both",
    **dict.fromkeys(LONGER, "masked joints, three times the steps"),
    "scratch": "no pre-training",
    "table_4/joint": "masked joints",
    "table_4/frame": "masked frames",
    "table_4/both": "both",
    "table_5/fc1": "1-layer fc",
    "table_5/fc2": "2-layer fc",
    "table_5/hand_model": "hand model",
    "table_6/n2": "N = 2",
    "table_6/n3": "N = 3",
    "table_6/n4": "N = 4",
}


def _linked(row: str) -> str:
    return f"[{LABELS[row]}](../{config_of(row)})"


def reconstruction(runs: Path, rows: Sequence[str]) -> list[str]:
    """Known joints, of the masked input and of the output: a row for each pre-training."""
    lines = []
    for row in rows:
        found = seeds_of(runs / SAME.get(row, row), "metrics.json").values()
        paper = PAPER_RECONSTRUCTION.get(row)
        said = "-" if paper is None else "{:.2f}, {:.2f} → {:.2f}, {:.2f}".format(*paper)
        cells = restoring([run["test"] for run in found])
        lines.append([_linked(row), said, *cells, str(len(found))])
    return table(["", "paper: PCK@20, AUC", *RESTORED, "seeds"], lines)


def starts(runs: Path, clips: Clips) -> list[str]:
    """Recognition with so many labels: from scratch, pre-trained, and a linear probe."""
    lines = []
    for share in SHARES:
        folder = runs / clips.task / f"labels_{share}"
        found = {
            start: seeds_of(folder / start, "ranks.json") for start in ("scratch", BASE, PROBE)
        }
        some = next((next(iter(run.values())) for run in found.values() if run), None)
        labels = next(
            (
                str(run["training_clips"])
                for start in found
                for run in seeds_of(folder / start, "metrics.json").values()
            ),
            "",
        )
        cells = [f"{share} %", labels, str(len(hits(some, clips))) if some else ""]
        cells += [top1(run, clips) if run else "not run" for run in found.values()]
        cells.append(gain(found[BASE], found["scratch"], clips))
        lines.append([*cells, "/".join(str(len(run)) for run in found.values())])
    columns = ["labels", "training clips", "test clips", "from scratch", "fine-tuned"]
    return table([*columns, "linear probe", "fine-tuned - scratch", "seeds"], lines)


def ablation(runs: Path, rows: Sequence[str], pretrained: int | None = None) -> list[str]:
    """Recognition from each short pre-training, and how well that restores known joints; or, with
    ``pretrained``, from the whole pre-training of this seed."""
    folder = runs / "signs" / f"labels_{ABLATION_SHARE}"
    scratch = seeds_of(folder / "scratch", "ranks.json")
    lines = []
    for row in rows:
        name = SAME.get(row, row)
        if row != "scratch" and pretrained is None:
            name = f"{SHORT}{name}"
        run = seeds_of(folder / name, "ranks.json", pretrained)
        about = seeds_of(runs / name, "metrics.json")
        tests = [
            one["test"]
            for seed, one in about.items()
            if pretrained is None or seed == f"seed_{pretrained}"
        ]
        cells = [LABELS[row] if row == "scratch" else _linked(row), f"{PAPER_TOP_1[row]:.2f}"]
        cells += [restored(tests, m)[1] if tests else "-" for m in ("pck20", "auc")]
        cells.append(restored_alone(tests, "pck20") if tests else "-")
        more = "" if row == "scratch" else gain(run, scratch, TESTS[0])
        cells += [top1(run, TESTS[0]) if run else "not run", more]
        lines.append([*cells, str(len(run))])
    columns = ["", "paper: top-1, MSASL100", "output, PCK@20", "output, AUC"]
    return table([*columns, "masked alone, PCK@20", "top-1", "more than scratch", "seeds"], lines)


def maskings(runs: Path, row: str) -> list[str]:
    """How the network of a row restores known joints from every masking."""
    found = seeds_of(runs / row, "masks.json").values()
    rows = [[name, *restoring([run[name] for run in found])] for name in MASKS]
    return table(["", *RESTORED], rows)


def begins(runs: Path) -> list[str]:
    """Fine-tuning from the pre-training of its own seed, and always from the first."""
    rows = []
    for clips in TESTS:
        for share in SHARES:
            folder = runs / clips.task / f"labels_{share}" / BASE
            own, first = (seeds_of(folder, "ranks.json", which) for which in (None, 1))
            cells = [top1(run, clips) if run else "not run" for run in (own, first)]
            both = f"{len(own)}/{len(first)}"
            rows.append([f"{clips.title}, {share} %", *cells, gain(own, first, clips), both])
    return table(["", "its own", "the first", "its own - the first", "seeds"], rows)


def remarks_of(page: Path) -> str:
    """What somebody wrote under ``WORDS`` in a page that is there, for the next one."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return text.partition(f"{WORDS}\n")[2].partition("\n## ")[0].strip()


def document(runs: Path, remarks: str = "") -> str:
    """The page in Markdown; ``remarks``: what the tables say, in words."""
    every = [*seeds_of(runs / BASE, "metrics.json").values()]
    about = every[0] if every else {}
    test = about.get("test", {})
    budget = Budget()
    lines = [
        _HEAD.format(
            machine=about.get("device", "-"),
            steps=budget.pretraining,
            single=budget.single,
            recognition=budget.recognition,
        )
    ]
    lines += [WORDS, "", remarks or "Nothing has been said yet.", ""]
    lines += ["## One network, every masking", "", _MASKS, "", *maskings(runs, BASE), ""]
    lines += ["### Pre-trained on masked joints alone", "", _MASKS_JOINT, ""]
    lines += [*maskings(runs, "table_4/joint"), ""]
    lines += ["## Table 1: single frames, masked joints", "", _TABLE_1, ""]
    lines += reconstruction(runs, TABLE_1)
    where = f"{test.get('clips', 0)} clips, {test.get('tokens', 0)} tokens"
    lines += [
        "",
        "## Table 2: clips",
        "",
        _TABLE_2.format(where=where, long=budget.long, steps=budget.pretraining),
        "",
    ]
    lines += reconstruction(runs, ("table_2/joint", *LONGER, "table_2/frame", "table_2/both"))
    lines += ["", "## Pre-training against none (Table 4, rows 1 and 4)", "", _STARTS]
    for clips in TESTS:
        lines += ["", f"### {clips.title[0].upper()}{clips.title[1:]}", ""]
        lines += starts(runs, clips)
    lines += ["", "### Other pre-trainings", "", _BEGINS, "", *begins(runs)]
    lines += ["", f"## Ablations, with {ABLATION_SHARE} % of the labels", ""]
    lines.append(_ABLATIONS.format(ablation=budget.ablation))
    for title, rows in (
        ("Table 4: masking", ("scratch", "table_4/joint", "table_4/frame", "table_4/both")),
        ("Table 5: decoder", ("table_5/fc1", "table_5/fc2", "table_5/hand_model")),
        ("Table 6: layers", ("table_6/n2", "table_6/n3", "table_6/n4")),
    ):
        lines += ["", f"### {title}", "", *ablation(runs, rows)]
    lines += ["", "### Tables 4 and 5, pre-trained as long as above", ""]
    lines += [_FULL.format(steps=budget.pretraining), ""]
    lines += ablation(runs, (*FULL[:2], BASE, *FULL[2:]), pretrained=1)
    lines += ["", "## Not run", ""]
    lines += table(
        ["table", "config", "needs"],
        [[name, f"[{run}](../{CONFIGS}/{run}.yaml)", needs] for name, run, needs in NOT_RUN],
    )
    return "\n".join(lines) + "\n"


_HEAD = """\
# SignBERT: results on what is here

Made by `python benchmarks/signbert_tables.py` from `metrics.json` and `ranks.json` of each run. The
paper is *SignBERT* (see [its page](papers/signbert.md)). Its data sets have to be asked for from
their owners ([datasets](datasets.md)) and are not here: **figures can be compared between rows, not
with the paper's.**

    chereme prepare exemplars --root DATA -o runs/exemplars.npz
    python benchmarks/signbert_tables.py --run

makes the data, trains every row and writes this page; `--commands` prints the `chereme train` of
each row. What is finished is not run again. Machine: {machine}.

- All rows share [recipes/small.yaml](../configs/signbert/recipes/small.yaml): a quarter of the
  parameters, 8 frames of a clip. Pre-training: {steps} steps of 16 clips (Table 1: {single} of 64
  frames). Recognition: {recognition} steps of 16 clips, the best of five checks on the split dev.
  The recipe was chosen in [trials](papers/signbert.md#training) in which no gloss of the split test
  was looked at, and no signer of the reconstructions below.
- Made-up signs (`chereme.synthesis.isolated`): 50 glosses, joints with the noise and the losses of
  a detector. 1,000 clips of 20 signers to train on, 250 of 5 others to watch, 1,000 of 20 others to
  test.
- Letters: the 24 that do not move, of real hands. A clip is one photograph, as the detector sees
  changed copies of it, so that there is noise but no movement; or six frames in a row of a
  recording. 1,218 clips of two people and an animated hand to train on, a third person and a
  handshape manual to watch. Tested are two other people, photographs of several others in the wild,
  and a recorded one.
- Pre-training reads both training sets and 6,000 made-up clips of 200 other glosses by other
  signers, without labels.
- "±" is the deviation over seeds, which draw the weights, the order, the masks, and which labels
  are kept. In brackets are 95 % bootstraps, of whole signers where there are several, else of
  clips; of reconstructions from the lowest bound of the seeds to the highest.
"""
_MASKS = """\
The pre-training of the paper's setting ("both"), on clips, with every masking in the test: PCK at
20 pixels of crops of 256 x 256, and the area under it from 20 to 40, over all joints of all tokens,
masked or not, and over the masked joints alone. It was trained on joints with a detector's noise;
these are the true joints of 400 clips of the 50 glosses by 20 unseen signers. "M": 1 to M joints of
every token are masked (zero, or disturbed), as in Table 1; the next three as in Table 2, half of
the tokens being chosen. "Detector": no masks, but the joints as the made-up detector finds them,
against the true ones."""
_MASKS_JOINT = """\
The same of the network that never met a masked frame (Table 2, first row; one seed)."""
_TABLE_1 = """\
A network for each row, of single frames, M in training as in the test."""
_TABLE_2 = """\
A network for each row, the masking in training as in the test: {where}. The second row is the
first, trained for {long} steps instead of {steps}, in a cycle of the rate of its own."""
_STARTS = """\
Top-1 in per cent. Each seed has its own pre-training to begin with, and its own labels, the same
for each start. The probe trains the prediction head alone. Differences are of all seeds together,
their intervals of the test clips, not of the seeds."""
_BEGINS = """\
The same fine-tuning, seed by seed with the same labels, from the pre-training of its own seed, as
above, and always from the first."""
_ABLATIONS = """\
Made-up signs, top-1 in per cent of the same test clips. These rows are pre-trained for {ablation}
steps alone, each seed its own, and compared with each other; beside top-1 is how well they restore
true joints."""

_FULL = """\
{steps} steps, of the first seed alone: all seeds of recognition begin with that one pre-training.
"Both" has the hand model, as the first two; the last two have "both" as masking."""


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/signbert/here"))
    parser.add_argument("--output", type=Path, default=Path("docs/results_signbert.md"))
    parser.add_argument("--run", action="store_true", help="make the data, train and score first")
    parser.add_argument("--commands", action="store_true", help="print the commands instead")
    parser.add_argument("--data", type=Path, default=Path("runs/signbert/data"))
    parser.add_argument("--exemplars", type=Path, default=Path("runs/exemplars.npz"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="some runs alone: table_5/fc1...")
    parser.add_argument("--minutes", type=float, help="after which no other run begins")
    given = parser.parse_args(args)
    if given.run or given.commands:
        # Torch is not needed to make the page.
        from signbert_runs import make_data, run_all, training_clips

        make_data(given.data, given.exemplars)
        clips = {name: training_clips(given.data / name) for name in SOURCES}
        setting = Setting(given.data, clips, given.runs)
        chosen = plans(setting, range(1, given.seeds + 1))
        unknown = set(given.rows or ()) - {plan.name for plan in chosen}
        if unknown:
            parser.error(f"--rows: {', '.join(sorted(unknown))}: no such run")
        chosen = [plan for plan in chosen if given.rows is None or plan.name in given.rows]
        if given.commands:
            print(*(f"chereme train {shlex.join(plan.options)}" for plan in chosen), sep="\n")
            return
        run_all(chosen, given.minutes)
    page = document(given.runs, remarks_of(given.output))
    given.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
