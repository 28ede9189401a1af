"""The paper's tables beside what was reached here: docs/results.md from runs/*/metrics.json.

    python benchmarks/fingerspelling_tables.py [--runs runs] [--output docs/results.md]

A row is a file configs/fingerspelling/<run>.yaml, whose command is in its first lines; it writes
runs/<run>/metrics.json. Folds and seeds are runs of their own, in runs/<run>/fold_K or seed_K.

    python benchmarks/fingerspelling_tables.py --commands --recipe small --shards data/mixed \\
        --symbols 27 --teacher hamer=landmarks:DIM --teacher hamer-vit=synthetic:DIM

prints instead the commands of Table 2 on other data with other teachers, for runs/<data>/<run>;
with --seeds N those of N seeds each.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDS = 7
CONFIGS = "configs/fingerspelling"


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
    return "\n".join(lines) + "\n"


# -- the same rows on other data ------------------------------------------------------------------
def commands(
    recipe: str,
    shards: str,
    symbols: int,
    alphabet: str,
    teachers: dict[str, tuple[str, int]],
    seed: int | None = None,
) -> list[str]:
    """Commands of the rows of Table 2 on ``shards``; rows whose teacher is not there are left out.

    ``teachers``: for hamer and hamer-vit, the name of the vectors in its place and their width.
    """
    output, part_of = f"runs/{Path(shards).name}", "" if seed is None else f"/seed_{seed}"
    data = f"--data.init_args.shards=[{shards}] --data.init_args.alphabet={alphabet}"
    made = []
    for row in (row for row in ROWS if row.table == 2):
        name = row.run.rpartition("/")[2]
        wanted = None if name == "rgb" else "hamer-vit" if "vit" in name else "hamer"
        if wanted is not None and wanted not in teachers:
            continue
        parts = [
            f"--config {CONFIGS}/{row.run}.yaml",
            f"--output={output}/{row.run}{part_of}",
            data,
        ]
        if name == "late_fusion":
            runs = [f"{output}/table_2/{part}{part_of}" for part in ("rgb", "pose_transformer")]
            parts.append(f"--model.init_args.runs=[{','.join(runs)}]")
        else:
            if seed is not None:
                parts.append(f"--seed_everything={seed} --data.init_args.seed={seed}")
            parts.insert(0, f"--config {CONFIGS}/recipes/{recipe}.yaml")
            parts.append(f"--model.init_args.config.sequence.num_symbols={symbols}")
        if wanted is not None:
            teacher, dim = teachers[wanted]
            parts.append(f"--data.init_args.teacher={teacher}")
            if name.startswith("distil"):
                parts.append(f"--model.init_args.distillation.teacher_dim={dim}")
            elif name != "late_fusion":
                parts.append(f"--model.init_args.config.pose.dim={dim}")
        made.append("chereme train " + " ".join(parts))
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
    parser.add_argument("--commands", action="store_true", help="print commands for other data")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--shards", default="data/mixed")
    parser.add_argument("--alphabet", default="asl")
    parser.add_argument("--symbols", type=int, default=27)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--teacher", type=_teacher, action="append", default=[])
    given = parser.parse_args(args)
    if given.commands:
        teachers = dict(given.teacher)
        what = given.recipe, given.shards, given.symbols, given.alphabet, teachers
        for seed in range(1, given.seeds + 1) if given.seeds else [None]:
            print(*commands(*what, seed), sep="\n")
        return
    given.output.write_text(document(given.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
