"""Runs the rows of a paper's tables, and writes the tables into the page of results.

    python benchmarks/run.py TABLES [STUDY ...] [--rows ROW ...] [--repeats 1 2] [--minutes 60]
    python benchmarks/run.py TABLES [STUDY ...] --commands
    python benchmarks/run.py TABLES [STUDY ...] --report

TABLES is fingerspelling, hand_aware, signbert or signx: the file benchmarks/TABLES.yaml, whose
named studies are run. A run is ``chereme train`` with the files of a row. What is finished is not
run again, and what was cut off goes on where it was, so the same command can be given in pieces of
``--minutes``. ``--commands`` prints the runs instead, ``--report`` writes the tables of the runs
that there are. The scores and checkpoints of a run are in the folder that its command names.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from results import cells, markdown, put
from studies import Run, Study, Tables, filled

QUIET = ("--trainer.enable_progress_bar=false",)


def run_all(
    study: Study,
    rows: Sequence[str],
    repeats: Sequence[int],
    minutes: float | None,
) -> None:
    """Train and score what is not there yet, one repeat of all rows after the other, so that what
    there is can be compared."""
    from chereme.errors import CheremeError
    from chereme.training.cli import main as train

    warnings.filterwarnings("ignore")  # Lightning's, of workers, loggers and arguments
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    made = [filled(it, {study.repeat: n}) for n in repeats for it in study.prepare.items()]
    for path, command in made:
        if not Path(path).exists():
            print(command, flush=True)
            program, *rest = shlex.split(command)
            start = [sys.executable, *([] if program == "python" else ["-m", program])]
            subprocess.run([*start, *rest])  # rows that need what is not made are left out
    order = [(repeat, row) for repeat in repeats for row in rows if repeat in study.runs(row)]
    for number, (repeat, row) in enumerate(order, 1):
        run = study.runs(row)[repeat]
        about = f"{number} of {len(order)}, {run.folder}"
        lacking = [folder for folder in run.needs if not (folder / "metrics.json").is_file()]
        if lacking:
            print(f"{about}: left out: {lacking[0]} is not trained", flush=True)
            continue
        began = time.monotonic()
        if not run.finished:
            left = None if deadline is None else deadline - began
            if left is not None and left < 1:
                print(f"{about}: not begun, the time is over; the same command goes on with it")
                return
            try:
                train([*run.options, *QUIET, *going_on(run, left)])
            except CheremeError as error:
                print(f"{about}: left out: {error}", flush=True)
                continue
            if not run.finished:
                print(f"{about}: cut off, the time is over; the same command goes on with it")
                return
        if study.tests and not (run.folder / "items.json").is_file():
            score_letters(run, study)
        print(f"{about}: done after {time.monotonic() - began:.0f} s", flush=True)


def score_letters(run: Run, study: Study) -> None:
    """``items.json``: of each clip of each test set the edits of what is read without a search.

    A test set without the vectors that the networks read is left out.
    """
    from chereme.datasets.shards import read_shards
    from chereme.metrics import edit_counts
    from chereme.systems.fingerspelling.data import ShardData
    from chereme.systems.fingerspelling.scoring import best_path, read_batch
    from chereme.systems.fingerspelling.task import LateFusionTask
    from chereme.training.task import write_metrics

    task = LateFusionTask([str(part) for part in run.parts])
    teacher = None
    if task.inputs.vector_dim is not None:
        about = (run.parts[-1] / "metrics.json").read_text(encoding="utf-8")
        teacher = json.loads(about)["teacher"]
    found: dict[str, list[int]] = {}
    for folder in study.tests:
        if teacher is not None and teacher not in next(read_shards(folder, "test")).teacher:
            continue
        data = ShardData(
            [folder], test=[folder], alphabet=study.alphabet, teacher=teacher, workers=0
        )
        data.inputs = task.inputs
        data.list_clips(("test",))
        for batch in data.whole("test"):
            for reading in read_batch(task.logits, batch):
                counts = edit_counts(reading.text, best_path(reading, data.alphabet), "htk")
                found[f"{Path(folder).name}/{reading.id}"] = [*astuple(counts)]
    run.folder.mkdir(parents=True, exist_ok=True)
    write_metrics(run.folder / "items.json", found)


def going_on(run: Run, seconds: float | None) -> list[str]:
    """Options to begin or to go on with a run, for some time."""
    import torch

    last = run.folder / "last.ckpt"
    options = [f"--resume={last}"] if last.is_file() else []
    if seconds is None:
        return options
    if options:  # Lightning counts the time of the pieces before
        timer = torch.load(last, weights_only=True)["callbacks"].get("Timer")
        seconds += timer["time_elapsed"]["train"] if timer else 0.0
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    limit = f"{hours // 24:02}:{hours % 24:02}:{minutes:02}:{rest:02}"
    return [*options, f"--trainer.max_time={limit}"]


def report(tables: Tables, names: Sequence[str], page: Path) -> None:
    """Put the tables of these studies into the page."""
    text = page.read_text(encoding="utf-8")
    for name in names:
        study = tables.studies[name]
        own = {key: spec for key, spec in tables.tables.items() if spec["study"] == name}
        for key, spec in own.items():
            text = put(text, key, markdown(*cells(study, spec)))
    page.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables")
    parser.add_argument("studies", nargs="*", metavar="study")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="these alone")
    parser.add_argument("--repeats", nargs="+", type=int, metavar="N", help="these seeds or folds")
    parser.add_argument("--minutes", type=float, help="after which to stop, all runs together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--commands", action="store_true", help="print the runs")
    parser.add_argument("--report", action="store_true", help="run nothing")
    given = parser.parse_args(arguments)
    tables = Tables.load(given.tables)
    names = given.studies or (list(tables.studies) if given.report or given.commands else [])
    if not names or (unknown := set(names) - tables.studies.keys()):
        parser.error(f"study: expected some of {', '.join(tables.studies)}, got {names}")
    for name in names:
        study = tables.studies[name]
        rows = given.rows or list(study.rows)
        if unknown := set(rows) - study.rows.keys():
            parser.error(f"--rows: {', '.join(sorted(unknown))}: not in the study {name}")
        if given.commands:
            runs = [run for row in rows for run in study.runs(row).values()]
            print(*(run.command for run in runs if run.options), sep="\n")
        elif not given.report:
            import torch

            torch.set_num_threads(given.threads)
            repeats = given.repeats or study.repeats.get(study.repeat, [0])
            run_all(study, rows, repeats, given.minutes)
    if not given.commands:
        report(tables, names, tables.page)


if __name__ == "__main__":
    main()
