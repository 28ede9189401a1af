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
import json
import math
import shlex
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CONFIGS = "configs/signbert"
SHARES = (10, 25, 100)  # per cent of the labels
BASE = "table_4/both"  # the paper's own setting
PROBE = f"{BASE}+probe"
SOURCES = ("unlabelled", "signs", "letters")  # of pre-training
TABLE_1 = tuple(f"table_1/m{most}" for most in (3, 5, 7, 9, 11))
TABLE_2 = (BASE, "table_4/joint", "table_4/frame")
SHORT = "short/"  # rows that are pre-trained for Budget.ablation, to be compared with each other
MASKINGS = tuple(f"{SHORT}{row}" for row in ("table_4/both", "table_4/joint", "table_4/frame"))
DECODERS = tuple(f"{SHORT}{row}" for row in ("table_4/both", "table_5/fc1", "table_5/fc2"))
LAYERS = tuple(f"{SHORT}{row}" for row in ("table_6/n2", "table_6/n4"))
# Files that say the same as another: one run is the row of several tables.
SAME = {"table_2/both": BASE, "table_5/hand_model": BASE, "table_6/n3": BASE}
SAME |= {f"table_2/{name}": f"table_4/{name}" for name in ("joint", "frame")}
ABLATION_SHARE = 25
WORDS = "## In words"
CHECKS = 5  # of the split dev in a run
_CLIPS, _FRAMES = 16, 64  # a step; frames where they are single ones
_RATE = 2e-3  # of recognition


@dataclass(frozen=True)
class Plan:
    """A run: its folder, options of ``chereme train``, and the folders that it begins with;
    ``masks``: the data on which it restores joints from every masking, if it does."""

    name: str
    folder: Path
    options: tuple[str, ...]
    needs: tuple[Path, ...] = ()
    masks: Path | None = None


@dataclass(frozen=True)
class Budget:
    """Equal for all rows that are compared: ``pretraining``, ``ablation`` (of rows that are
    compared with each other alone) and ``recognition`` steps of 16 clips, ``single`` steps of 64
    frames (Table 1)."""

    pretraining: int = 5130
    ablation: int = 1025
    recognition: int = 400
    single: int = 2400


@dataclass(frozen=True)
class Setting:
    """``data``: folder of the folders of poses; ``clips``: what is trained on in each of them;
    ``output``: where runs go."""

    data: Path
    clips: dict[str, int]
    output: Path
    budget: Budget = Budget()


def plans(setting: Setting, seeds: Sequence[int]) -> list[Plan]:
    """All runs, the weightiest comparison first.

    Each row is pre-trained with the first seed alone, and recognition begins there with each seed.
    Last are the other rows and seeds of what is reconstructed.
    """
    first = seeds[0]
    made = [pretraining(setting, BASE, first)]
    for task in ("signs", "letters"):
        made += _recognitions(setting, task, SHARES, ("scratch", BASE), seeds, first)
    made += _recognitions(setting, "signs", SHARES, (PROBE,), seeds, first)
    for rows in (DECODERS, MASKINGS):
        made += [pretraining(setting, row, first) for row in rows]
        made += _recognitions(setting, "signs", (ABLATION_SHARE,), rows, seeds, first)
    made += [pretraining(setting, row, first) for row in (*TABLE_1, *LAYERS)]
    made += _recognitions(setting, "signs", (ABLATION_SHARE,), LAYERS, seeds, first)
    made += _recognitions(setting, "letters", SHARES, (PROBE,), seeds, first)
    for seed in seeds:
        made += [pretraining(setting, row, seed) for row in (*TABLE_1, *TABLE_2)]
    return list({plan.folder: plan for plan in made}.values())


def _recognitions(
    setting: Setting,
    task: str,
    shares: Sequence[int],
    starts: Sequence[str],
    seeds: Sequence[int],
    first: int,
) -> list[Plan]:
    return [
        recognition(setting, task, share, start, seed, first)
        for seed in seeds
        for share in shares
        for start in starts
    ]


def pretraining(setting: Setting, row: str, seed: int) -> Plan:
    """A row's pre-training on all clips of the split train, whatever their labels."""
    folder = setting.output / row / f"seed_{seed}"
    single, budget = row in TABLE_1, setting.budget
    steps = budget.single if single else budget.pretraining
    if row.startswith(SHORT):
        steps = budget.ablation
    options = [
        *("--config", f"{CONFIGS}/pretrain.yaml", "--config", f"{CONFIGS}/recipes/small.yaml"),
        *("--config", f"{CONFIGS}/{row.removeprefix(SHORT)}.yaml"),
        f"--data.init_args.poses=[{_joined(setting, SOURCES)}]",
        f"--data.init_args.dev=[{_joined(setting, ('signs', 'letters'))}]",
        f"--data.init_args.test=[{_joined(setting, ('true',))}]",
        *([f"--data.init_args.batch_size={_FRAMES}"] if single else []),
        *_steps(
            sum(setting.clips[name] for name in SOURCES),
            _FRAMES if single else _CLIPS,
            steps,
        ),
        *_own(folder, seed),
    ]
    return Plan(row, folder, tuple(options), masks=setting.data if row == BASE else None)


def recognition(
    setting: Setting, task: str, share: int, start: str, seed: int, pretrained: int
) -> Plan:
    """Recognition of ``task``; ``start``: "scratch", a row that was pre-trained, or the same with
    "+probe", a linear probe; ``pretrained``: the seed of that. A seed has the same labels, whatever
    it starts from."""
    name = f"{task}/labels_{share}/{start}"
    folder = setting.output / name / f"seed_{seed}"
    row, _, probe = start.partition("+")
    config = "scratch" if row == "scratch" else "finetune"
    needs: tuple[Path, ...] = ()
    options = [
        *("--config", f"{CONFIGS}/{config}.yaml", "--config", f"{CONFIGS}/recipes/small.yaml")
    ]
    if row != "scratch":
        needs = (setting.output / row / f"seed_{pretrained}",)
        options.append(f"--model.init_args.initial={needs[0]}/best.ckpt")
    options += [
        *(["--model.init_args.freeze=true"] if probe else []),
        f"--model.init_args.optimiser.learning_rate={_RATE}",
        f"--data.init_args.poses=[{_joined(setting, (task,))}]",
        f"--data.init_args.share={share / 100:g}",
        f"--data.init_args.share_seed={seed}",
        *_steps(round(setting.clips[task] * share / 100), _CLIPS, setting.budget.recognition),
        *_own(folder, seed),
    ]
    return Plan(name, folder, tuple(options), needs)


def _joined(setting: Setting, names: Sequence[str]) -> str:
    return ",".join(str(setting.data / name) for name in names)


def _own(folder: Path, seed: int) -> list[str]:
    return [f"--output={folder}", f"--seed_everything={seed}", f"--data.init_args.seed={seed}"]


def _steps(clips: int, batch: int, steps: int) -> list[str]:
    """Options for so many steps, or nearly, and ``CHECKS`` checks, the last at the end."""
    period = steps / CHECKS
    every = math.ceil(period / max(1, clips // batch))  # epochs between checks
    return [
        f"--data.init_args.steps_per_epoch={round(period / every)}",
        f"--trainer.max_epochs={CHECKS * every}",
        f"--trainer.check_val_every_n_epoch={every}",
    ]


# -- what was reached -----------------------------------------------------------------------------
def seeds_of(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """What the file ``name`` says of each seed of a row; seeds without it are not there."""
    paths = sorted(folder.glob(f"seed_*/{name}"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def spread(values: Sequence[float]) -> str:
    """Mean ± deviation."""
    more = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{more}"


def bounds(runs: Sequence[dict[str, Any]], name: str) -> str:
    """The intervals of all seeds, from the lowest bound to the highest."""
    found = [run["test"][f"{name}_interval"] for run in runs]
    return f"[{min(low for low, _ in found):.1f}, {max(high for _, high in found):.1f}]"


Ranks = dict[str, tuple[int, str]]  # of each test clip: the rank of the right gloss, its signer


@dataclass(frozen=True)
class Clips:
    """Test clips that are told apart in the tables; ``belongs``: by a clip's id."""

    task: str
    title: str
    belongs: Callable[[str], bool]


TESTS = (
    Clips("signs", "made-up signs, unseen made-up signers", lambda _: True),
    Clips("letters", "photographs, unseen signers", lambda name: name.startswith("hand")),
    Clips("letters", "photographs in the wild", lambda name: name.startswith("wild")),
    Clips("letters", "recordings, an unseen signer", lambda name: name.startswith("recording")),
)


def hits(found: Ranks, clips: Clips) -> dict[str, bool]:
    """Of each of these clips, whether the best guess is right."""
    return {name: place == 1 for name, (place, _) in found.items() if clips.belongs(name)}


def top1(runs: dict[str, Ranks], clips: Clips) -> str:
    """Top-1 in per cent: mean ± deviation over the seeds."""
    return spread([100 * statistics.mean(hits(run, clips).values()) for run in runs.values()])


def gain(runs: dict[str, Ranks], base: dict[str, Ranks], clips: Clips) -> str:
    """Points of top-1 more than ``base``, of the seeds that both have, and a 95 % bootstrap: of
    whole signers where there are several, else of clips."""
    seeds = [seed for seed in runs if seed in base]
    if not seeds:
        return ""
    pairs = [(hits(runs[seed], clips), hits(base[seed], clips)) for seed in seeds]
    names = list(pairs[0][0])
    more = np.array([sum(int(a[n]) - int(b[n]) for a, b in pairs) for n in names]) / len(seeds)
    who = {name: runs[seeds[0]][name][1] or name for name in names}
    groups = who if len(set(who.values())) > 4 else {name: name for name in names}
    number = {group: i for i, group in enumerate(dict.fromkeys(groups.values()))}
    place = np.array([number[groups[name]] for name in names])
    total, count = np.bincount(place, more), np.bincount(place)
    share = np.full(len(count), 1 / len(count))
    drawn = np.random.default_rng(0).multinomial(len(count), share, size=2000)
    low, high = np.percentile(100 * (drawn @ total) / (drawn @ count), [2.5, 97.5])
    return f"{100 * more.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


# -- the page -------------------------------------------------------------------------------------
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


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _linked(row: str) -> str:
    return f"[{LABELS[row]}](../{CONFIGS}/{row}.yaml)"


def reconstruction(runs: Path, rows: Sequence[str]) -> list[str]:
    """Known joints, of the masked input and of the output: a row for each pre-training."""
    lines = []
    for row in rows:
        found = list(seeds_of(runs / SAME.get(row, row), "metrics.json").values())
        paper = PAPER_RECONSTRUCTION.get(row)
        cells = [_linked(row)]
        cells.append("-" if paper is None else "{:.2f}, {:.2f} → {:.2f}, {:.2f}".format(*paper))
        if not found:
            lines.append([*cells, *["not run"] * 5])
            continue
        for name in ("pck20", "auc"):
            given = spread([run["test"][f"input_{name}"] for run in found])
            reached = spread([run["test"][name] for run in found])
            cells += [given, f"{reached} {bounds(found, name)}"]
        lines.append([*cells, str(len(found))])
    columns = ["", "paper: PCK@20, AUC", "input, PCK@20", "output, PCK@20"]
    return table([*columns, "input, AUC", "output, AUC", "seeds"], lines)


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


def ablation(runs: Path, rows: Sequence[str]) -> list[str]:
    """Recognition from each short pre-training, and how well that restores known joints."""
    folder = runs / "signs" / f"labels_{ABLATION_SHARE}"
    scratch = seeds_of(folder / "scratch", "ranks.json")
    lines = []
    for row in rows:
        name = row if row == "scratch" else f"{SHORT}{SAME.get(row, row)}"
        run = seeds_of(folder / name, "ranks.json")
        about = list(seeds_of(runs / name, "metrics.json").values())
        cells = [LABELS[row] if row == "scratch" else _linked(row), f"{PAPER_TOP_1[row]:.2f}"]
        for measure in ("pck20", "auc"):
            reached = spread([one["test"][measure] for one in about]) if about else ""
            cells.append(f"{reached} {bounds(about, measure)}" if about else "-")
        more = "" if row == "scratch" else gain(run, scratch, TESTS[0])
        cells += [top1(run, TESTS[0]) if run else "not run", more]
        lines.append([*cells, str(len(run))])
    columns = ["", "paper: top-1, MSASL100", "output, PCK@20", "output, AUC", "top-1"]
    return table([*columns, "more than scratch", "seeds"], lines)


def maskings(runs: Path) -> list[str]:
    """How one network restores known joints from every masking."""
    found = list(seeds_of(runs / BASE, "masks.json").values())
    rows = []
    for name in MASKS:
        cells = [name]
        if not found:
            rows.append([*cells, *["not run"] * 4])
            continue
        for measure in ("pck20", "auc"):
            scores = [run[name] for run in found]
            reached = spread([score[measure] for score in scores])
            tests = [{"test": score} for score in scores]
            cells.append(spread([score[f"input_{measure}"] for score in scores]))
            cells.append(f"{reached} {bounds(tests, measure)}")
        rows.append(cells)
    columns = ["", "input, PCK@20", "output, PCK@20", "input, AUC", "output, AUC"]
    return table(columns, rows)


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
    lines += ["## One network, every masking", "", _MASKS, "", *maskings(runs), ""]
    lines += ["## Table 1: single frames, masked joints", "", _TABLE_1, ""]
    lines += reconstruction(runs, TABLE_1)
    where = f"{test.get('clips', 0)} clips, {test.get('tokens', 0)} tokens"
    lines += ["", "## Table 2: clips", "", _TABLE_2.format(where=where), ""]
    lines += reconstruction(runs, ("table_2/joint", "table_2/frame", "table_2/both"))
    lines += ["", "## Pre-training against none (Table 4, rows 1 and 4)", "", _STARTS]
    for clips in TESTS:
        lines += ["", f"### {clips.title[0].upper()}{clips.title[1:]}", ""]
        lines += starts(runs, clips)
    lines += ["", f"## Ablations, with {ABLATION_SHARE} % of the labels", ""]
    lines.append(_ABLATIONS.format(ablation=budget.ablation))
    for title, rows in (
        ("Table 4: masking", ("scratch", "table_4/joint", "table_4/frame", "table_4/both")),
        ("Table 5: decoder", ("table_5/fc1", "table_5/fc2", "table_5/hand_model")),
        ("Table 6: layers", ("table_6/n2", "table_6/n3", "table_6/n4")),
    ):
        lines += ["", f"### {title}", "", *ablation(runs, rows)]
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
masked or not. It was trained on joints with a detector's noise; these are the true joints of 400
clips of the 50 glosses by 20 unseen signers. "M": 1 to M joints of every token are masked (zero, or
disturbed), as in Table 1; the next three as in Table 2, half of the tokens being chosen.
"Detector": no masks, but the joints as the made-up detector finds them, against the true ones."""
_TABLE_1 = """\
A network for each row, of single frames, M in training as in the test."""
_TABLE_2 = """\
A network for each row, the masking in training as in the test: {where}."""
_STARTS = """\
Top-1 in per cent. All seeds begin with one pre-training, the first; each has its own labels, the
same for each start. The probe trains the prediction head alone. Differences are of all seeds
together."""
_ABLATIONS = """\
Made-up signs, top-1 in per cent of the same test clips. These rows are pre-trained for {ablation}
steps alone, with the first seed, and compared with each other; beside top-1 is how well they
restore true joints."""


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
