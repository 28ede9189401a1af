"""The paper's tables beside what was reached here: docs/results.md from runs/*/metrics.json.

    python benchmarks/fingerspelling_tables.py [--runs runs] [--output docs/results.md]

A row is a file configs/fingerspelling/<run>.yaml, whose command is in its first lines; it writes
runs/<run>/metrics.json. Folds and seeds are runs of their own, in runs/<run>/fold_K or seed_K.

    python benchmarks/fingerspelling_tables.py --run data/rendered data/photographs --steps 300 \\
        --seeds 3 --teacher hamer=landmarks:228 --teacher hamer-vit=synthetic:106

runs Table 2 on other data (folders of shards) with other teachers, each row for as many steps on
the same batches, into runs/here/<run>/seed_K, and goes on with what was cut off; ``--commands``
prints the commands instead.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

FOLDS = 7
CHECKS = 6  # of the split dev in a run of so many steps
CONFIGS = "configs/fingerspelling"
# Of the losses of distillation, as the paper has them.
WEIGHTS = {"cos_weight": 0.1, "reg_rgb_weight": 0.01, "reg_pos_weight": 0.01}
HERE = "here"  # folder of the runs on our own data


@dataclass(frozen=True)
class Row:
    """A row that can be run. ``paper``: letter accuracy; ``run``: its config and output folder."""

    table: int
    label: str
    run: str
    paper: float
    needs: str


WILD, PLUS, GREEK = "ChicagoFSWild", "ChicagoFSWild+", "the Greek corpus"
HAMER = "HaMeR's weights"


def _ours(table: int, run: str, paper: float, data: str) -> Row:
    return Row(table, "Ours", run, paper, f"{data}, {HAMER}")


ROWS: tuple[Row, ...] = (
    Row(1, "EXPOSE", "table_1/expose", 89.11, f"{GREEK}, vectors of EXPOSE"),
    Row(1, "FrankMocap", "table_1/frankmocap", 90.97, f"{GREEK}, vectors of FrankMocap"),
    Row(1, "PIXIE", "table_1/pixie", 94.55, f"{GREEK}, vectors of PIXIE"),
    Row(1, "HAMER", "table_1/hamer", 96.27, f"{GREEK}, {HAMER}"),
    Row(2, "RGB-only", "table_2/rgb", 63.50, WILD),
    *(
        Row(2, label, f"table_2/{name}", paper, f"{WILD}, {HAMER}")
        for label, name, paper in (
            ("Pose-only (ViT)", "pose_vit", 60.50),
            ("Pose-only (Trans.)", "pose_transformer", 62.00),
            ("Early - RGB & Pose (Trans.)", "early_fusion", 64.30),
            ("Late - RGB & Pose (Trans.)", "late_fusion", 66.32),
            ("Pose (ViT) - MSE", "distil_vit_mse", 64.15),
            ("Pose (ViT) - Cosine", "distil_vit_cosine", 63.70),
            ("Pose (Trans.) - MSE", "distil_transformer_mse", 66.24),
            ("Pose (Trans.) - Cosine", "distil_transformer_cosine", 65.60),
            ("Proj. Pose (Trans.) - MSE", "distil_projected_mse", 66.95),
            ("Proj. Pose (Trans.) - Cosine (Ours)", "distil_projected_cosine", 67.10),
        )
    ),
    _ours(3, "table_2/distil_projected_cosine", 67.10, WILD),
    _ours(4, "table_4/ours", 75.38, PLUS),
    _ours(5, "table_5/ours", 96.70, GREEK),
    _ours(6, "table_2/distil_projected_cosine", 67.10, WILD),
)
TITLES = {
    1: "Vectors of hand models as the sole stream, Greek corpus",
    2: "Ablation, ChicagoFSWild",
    3: "ChicagoFSWild",
    4: "ChicagoFSWild+",
    5: "Greek corpus",
    6: "Size and time, ChicagoFSWild (paper: 65 M parameters, 14 ms a frame on an RTX 3090)",
}


# -- what was reached -----------------------------------------------------------------------------
def read_runs(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """The metrics of a row's run, or of its folds or seeds, and which of these it is."""
    if (folder / "metrics.json").is_file():
        return [_read(folder)], "run"
    for kind in ("fold", "seed"):
        found = sorted(path.parent for path in folder.glob(f"{kind}_*/metrics.json"))
        if found:
            return [_read(path) for path in found], kind
    return [], "run"


def _read(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def accuracy(runs: Sequence[dict[str, Any]], kind: str, name: str) -> str:
    """Test letter accuracy: of folds over all of their letters, of seeds mean and deviation."""
    scored = [run["test"] for run in runs if run["test"][name] is not None]
    if not scored:
        return "no letters"
    values = [test[name] for test in scored]
    if kind == "seed" and len(values) > 1:
        return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
    letters = sum(test["letters"] for test in scored)
    return f"{sum(test[name] * test['letters'] for test in scored) / letters:.2f}"


def remark(runs: Sequence[dict[str, Any]], kind: str) -> str:
    """How a number came about, from the first run."""
    first = runs[0]
    parts = [
        f"{len(runs)} of {FOLDS} folds" if kind == "fold" else "",
        f"{len(runs)} seeds" if kind == "seed" else "",
        f"{first['epochs']} epochs of batch {first['batch_size']}" if "epochs" in first else "",
        f"{first['test']['clips']} clips",
        "with LM" if first["decoding"]["lm"] else "without LM",
        first["device"],
    ]
    return ", ".join(part for part in parts if part)


def line(row: Row, runs_folder: Path) -> str:
    """The row in Markdown."""
    runs, kind = read_runs(runs_folder / row.run)
    head = f"| {row.label} | [{row.run}](../{CONFIGS}/{row.run}.yaml) | {row.paper:.2f} | "
    if not runs:
        return f"{head}not run: needs {row.needs} | | |{' | |' if row.table == 6 else ''}"
    cells = [accuracy(runs, kind, n) for n in ("letter_accuracy", "letter_accuracy_unit")]
    if row.table == 6:
        time = runs[0]["ms_per_frame"]
        cells += [f"{runs[0]['parameters'] / 1e6:.1f} M", "-" if time is None else f"{time:.2f} ms"]
    return head + " | ".join([*cells, remark(runs, kind)]) + " |"


def document(runs_folder: Path) -> str:
    """All tables in Markdown."""
    lines = [
        "# Results",
        "",
        "Made by `python benchmarks/fingerspelling_tables.py` from `metrics.json` of each run. The "
        "paper is",
        "*Seeing in 2D, Thinking in 3D* (see [its page](papers/fingerspelling_distillation.md)); "
        "numbers are letter",
        "accuracies of the test split in per cent, with the two alignments in use (the paper does "
        "not say which is its):",
        "HTK's costs, as the code of ChicagoFSWild, and unit costs. The command of a row is in the "
        "first lines of its",
        "config. The data sets and HaMeR's weights have to be asked for from their owners; see "
        "[datasets](datasets.md).",
    ]
    for table, title in TITLES.items():
        more = ["parameters", "network, a frame"] if table == 6 else []
        columns = ["", "config", "paper", "here, HTK", "here, unit", *more, "how"]
        lines += ["", f"## Table {table}: {title}", ""]
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += [line(row, runs_folder) for row in ROWS if row.table == table]
    return "\n".join([*lines, *section_here(runs_folder / HERE)]) + "\n"


# -- Table 2 on what is here ----------------------------------------------------------------------
def section_here(folder: Path) -> list[str]:
    """Table 2 on our own data, in Markdown; ``folder`` holds table_2/<row>/seed_K."""
    rows = with_heavier(folder)
    found = {row.run: _scores(folder / row.run) for row in rows}
    tests = {name: None for runs in found.values() for run in runs for name in run["scores"]}
    columns = ["", "config", "paper", "teacher here"]
    for test in tests:
        letters = next(
            run["scores"][test]["letters"]
            for runs in found.values()
            for run in runs
            if test in run["scores"]
        )
        columns += [f"{test}, {letters} letters", f"{test}: more than RGB-only"]
    lines = ["", "## Table 2 on what is here", "", _ABOUT_HERE, ""]
    lines += ["| " + " | ".join([*columns, "how"]) + " |", "|" + "---|" * (len(columns) + 1)]
    for row in rows:
        run, _, _ = row.run.partition("_x")
        paper = f"{row.paper:.2f}" if run == row.run else "-"
        head = f"| {row.label} | [{row.run}](../{CONFIGS}/{run}.yaml) | {paper} | "
        runs = found[row.run]
        cells = [(runs[0]["teacher"] or "-") if runs else "not run"]
        for test in tests:
            cells += [here(runs, test), gain(runs, found["table_2/rgb"], test)]
        lines.append(head + " | ".join([*cells, _how(runs)]) + " |")
    return lines


def with_heavier(folder: Path) -> list[Row]:
    """The rows of Table 2, each before those of its runs with heavier distillation."""
    rows = []
    for row in (row for row in ROWS if row.table == 2):
        rows.append(row)
        name = row.run.rpartition("/")[2]
        weights = sorted(int(p.name.rpartition("_x")[2]) for p in folder.glob(f"table_2/{name}_x*"))
        for weight in weights:
            label, run = f"{row.label}, weights x {weight}", heavier_run(row.run, weight)
            rows.append(replace(row, label=label, run=run))
    return rows


_ABOUT_HERE = """\
The same rows against each other on rendered hands and photographs. **Neither the paper's data nor
HaMeR**: in the place of both of its vectors are those of the teacher named in the row (`landmarks`:
228 numbers of MediaPipe's world landmarks; `synthetic`: 106 of the true pose of the hand model, of
rendered hands alone). So the order of the rows can be compared with the paper's, the figures not.
Each row is trained for as many steps on the same batches; late fusion reads two such networks.
Rows that read crops alone all begin with one RGB-only recogniser (`--initial`), those that read
vectors with random weights; what came of it is told [here](papers/fingerspelling_distillation.md).
Letter accuracy (HTK) without a search, of signers that are in no other split: mean ± deviation over
the seeds. "More than RGB-only": points, and a 95 % bootstrap over the clips, all seeds together."""


def _scores(folder: Path) -> list[dict[str, Any]]:
    """Metrics of the seeds of a row, by seed, with ``scores.json`` as "scores"."""
    paths = sorted(folder.glob("seed_*/scores.json"))
    return [
        {**_read(path.parent), "seed": path.parent.name, "scores": json.loads(path.read_text())}
        for path in paths
    ]


def here(runs: Sequence[dict[str, Any]], test: str) -> str:
    """Letter accuracy of a row on a test set."""
    scored = [run["scores"][test]["letter_accuracy"] for run in runs if test in run["scores"]]
    if not scored:
        return "no vectors" if runs else ""
    spread = f" ± {statistics.stdev(scored):.2f}" if len(scored) > 1 else ""
    return f"{statistics.mean(scored):.2f}{spread}"


def gain(runs: Sequence[dict[str, Any]], rgb: Sequence[dict[str, Any]], test: str) -> str:
    """Points more than RGB-only, of the seeds that both have and on the same clips."""
    theirs = {run["seed"]: run["scores"][test]["edits"] for run in rgb if test in run["scores"]}
    pairs = [
        (run["scores"][test]["edits"], theirs[run["seed"]])
        for run in runs
        if test in run["scores"] and run["seed"] in theirs
    ]
    if not pairs or runs is rgb:
        return ""
    names = list(pairs[0][0])
    fewer = np.array([sum(other[n][0] - own[n][0] for own, other in pairs) for n in names])
    letters = np.array([sum(own[n][1] for own, _ in pairs) for n in names])
    share = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(0).multinomial(len(names), share, size=2000)
    some = drawn @ letters > 0
    low, high = np.percentile((drawn @ fewer)[some] / (drawn @ letters)[some], [2.5, 97.5])
    return f"{100 * fewer.sum() / letters.sum():+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


def _how(runs: Sequence[dict[str, Any]]) -> str:
    if not runs:
        return ""
    seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    if "steps" not in runs[0]:  # late fusion
        return seeds
    return f"{seeds}, {runs[0]['steps']} steps of {runs[0]['batch_size']} clips"


# -- the same rows on other data ------------------------------------------------------------------
@dataclass(frozen=True)
class Plan:
    """A row on other data: options of ``chereme train``, its folder, what late fusion reads."""

    row: str
    folder: Path
    options: tuple[str, ...]
    parts: tuple[Path, ...]
    teacher: str | None


def heavier_run(run: str, weight: int) -> str:
    """The folder of a row whose distillation weighs ``weight`` times as much."""
    return run if weight == 1 else f"{run}_x{weight}"


@dataclass(frozen=True)
class Setting:
    """What all rows have in common. ``output``: folder of table_2/<row>.

    ``teachers``: for hamer and hamer-vit, the name of the vectors in its place and their width.
    ``steps``: of each run; None: as many epochs as the recipe says. ``initial``: first weights of
    the rows with a ResNet; None: as the recipe says. ``weight``: what the paper's weights of
    distillation are multiplied by, in rows of their own.
    """

    recipe: str
    shards: tuple[str, ...]
    symbols: int
    alphabet: str
    teachers: dict[str, tuple[str, int]]
    output: Path = Path("runs") / HERE
    steps: int | None = None
    initial: str | None = None
    weight: int = 1


def plans(setting: Setting, seed: int) -> list[Plan]:
    """The rows of Table 2; those whose teacher is not there are left out."""
    made = []
    for row in (row for row in ROWS if row.table == 2):
        name = row.run.rpartition("/")[2]
        wanted = None if name == "rgb" else "hamer-vit" if "vit" in name else "hamer"
        if wanted is not None and wanted not in setting.teachers:
            continue
        heavier = setting.weight if name.startswith("distil") else 1
        folder = setting.output / heavier_run(row.run, heavier) / f"seed_{seed}"
        options = [
            *("--config", f"{CONFIGS}/{row.run}.yaml"),
            f"--output={folder}",
            f"--data.init_args.shards=[{','.join(setting.shards)}]",
            f"--data.init_args.alphabet={setting.alphabet}",
        ]
        parts: tuple[Path, ...] = (folder,)
        if name == "late_fusion":
            parts = tuple(
                setting.output / f"table_2/{part}/seed_{seed}"
                for part in ("rgb", "pose_transformer")
            )
            options.append(f"--model.init_args.runs=[{','.join(map(str, parts))}]")
        else:
            options = [
                *("--config", f"{CONFIGS}/recipes/{setting.recipe}.yaml", *options),
                *(f"--seed_everything={seed}", f"--data.init_args.seed={seed}"),
                f"--model.init_args.config.sequence.num_symbols={setting.symbols}",
            ]
            if setting.steps is not None:
                options += [
                    *("--trainer.max_epochs=-1", f"--trainer.max_steps={setting.steps}"),
                    f"--data.init_args.steps_per_epoch={max(1, setting.steps // CHECKS)}",
                ]
            if setting.initial is not None and not name.startswith("pose"):
                options.append(f"--model.init_args.initial={setting.initial}")
        teacher = None
        if wanted is not None:
            teacher, dim = setting.teachers[wanted]
            options.append(f"--data.init_args.teacher={teacher}")
            if name.startswith("distil"):
                given = "--model.init_args.distillation"
                options.append(f"{given}.teacher_dim={dim}")
                if heavier != 1:
                    options += [f"{given}.{k}={heavier * v:g}" for k, v in WEIGHTS.items()]
            elif name != "late_fusion":
                options.append(f"--model.init_args.config.pose.dim={dim}")
        made.append(Plan(name, folder, tuple(options), parts, teacher))
    return made


def _teacher(text: str) -> tuple[str, tuple[str, int]]:
    stands_for, _, given = text.partition("=")
    name, _, dim = given.partition(":")
    if stands_for not in ("hamer", "hamer-vit") or not dim.isdigit():
        raise argparse.ArgumentTypeError(f"expected hamer=NAME:WIDTH or hamer-vit=..., got {text}")
    return stands_for, (name, int(dim))


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--run", nargs="+", metavar="SHARDS", help="train Table 2 on other data")
    other.add_argument("--commands", nargs="+", metavar="SHARDS", help="print how to instead")
    parser.add_argument(
        "--test", nargs="+", default=[], metavar="SHARDS", help="to test on as well"
    )
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help="some rows alone: rgb, pose_vit..."
    )
    parser.add_argument("--steps", type=int, help="of each run, else the epochs of the recipe")
    parser.add_argument("--initial", help="first weights of what reads crops, see letter_resnet.py")
    parser.add_argument("--weight", type=int, default=1, help="times the paper's, of distillation")
    parser.add_argument("--minutes", type=float, help="after which to stop, all runs together")
    parser.add_argument("--recipe", default="tiny")
    parser.add_argument("--alphabet", default="asl")
    parser.add_argument("--symbols", type=int, default=27)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--teacher", type=_teacher, action="append", default=[])
    given = parser.parse_args(args)
    folders = given.run or given.commands
    if folders:
        setting = Setting(
            given.recipe,
            tuple(folders),
            given.symbols,
            given.alphabet,
            dict(given.teacher),
            given.runs / HERE,
            given.steps,
            given.initial,
            given.weight,
        )
        chosen = [plan for seed in range(1, given.seeds + 1) for plan in plans(setting, seed)]
        unknown = set(given.rows or ()) - {plan.row for plan in chosen}
        if unknown:
            parser.error(
                f"--rows: {', '.join(sorted(unknown))}: no such row, or none with a --teacher"
            )
        chosen = [plan for plan in chosen if given.rows is None or plan.row in given.rows]
        if given.commands:
            print(*(f"chereme train {shlex.join(plan.options)}" for plan in chosen), sep="\n")
            return
        # Torch is not needed to make the page.
        from fingerspelling_runs import run_all

        run_all(chosen, folders, given.test, given.alphabet, given.minutes)
    given.output.write_text(document(given.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
