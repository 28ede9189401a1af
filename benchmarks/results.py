"""What the runs of a study reached: of each test item its edits, and the tables that are made of
them and of ``metrics.json``. See run.py for the file that describes a table."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from studies import Row, Run, Study, filled

from chereme.metrics import EditCounts, accuracy_interval, pool
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.metrics.translation import gloss_edits


class Item(NamedTuple):
    """``counts``: its edits, of a sign one where it is not the best guess; ``group``: what is drawn
    as a whole in a bootstrap."""

    group: str
    counts: EditCounts


Items = Mapping[str, Item]  # by set and id, as "photographs/17"


# -- what runs have written ------------------------------------------------------------------------
def items(study: Study, run: Run) -> Items:
    """The test items of a finished run; none of one that recognises nothing, as pre-trainings."""
    file = {"letters": "items.json", "signs": "test.npz"}.get(study.items, "readings.json")
    where = (run.folder,) if study.items == "letters" else run.parts
    if not all((folder / file).is_file() for folder in where):
        return {}
    if study.items == "letters":  # run.py writes it, since each test set is scored apart
        found = json.loads((run.folder / "items.json").read_text(encoding="utf-8"))
        return {key: Item(key, EditCounts(*counts)) for key, counts in found.items()}
    if study.items == "signs":
        return _signs(run)
    rows = json.loads((run.folder / "readings.json").read_text(encoding="utf-8"))["sentences"]
    made: dict[str, Item] = {}
    for way in dict.fromkeys(key for row in rows for key in row):
        if way in ("id", "signer", "split", "glosses"):
            continue
        true, read = ([tuple(row[key].split()) for row in rows] for key in ("glosses", way))
        for row, counts in zip(rows, gloss_edits(true, read), strict=True):
            made[f"{row['split']}/{way}/{row['id']}"] = Item(row[study.group], counts)
    return made


def _signs(run: Run) -> Items:
    """By gloss, id and subset, if any. A fusion adds up the probabilities of its parts."""
    from chereme.errors import InputError
    from chereme.training.isolated_scoring import Predictions, fuse, gloss_ranks

    each = [Predictions.load(folder / "test.npz") for folder in run.parts]
    try:
        first = fuse(each) if len(each) > 1 else each[0]
    except InputError as error:
        raise SystemExit(f"{run.folder}: {error}") from error
    ranks = gloss_ranks(first.logits, first.labels, first.classes)
    several = len({*first.signers} - {""}) > 4
    made = {}
    for name, label, signer, subset, rank in zip(*first[:3], first.subsets, ranks, strict=True):
        group = signer if several and signer else name
        key = f"{label}/{name}/{subset}" if subset else f"{label}/{name}"
        made[key] = Item(group, EditCounts(1, int(rank != 1)))
    return made


def chosen(study: Study, found: Items, name: str) -> Items:
    """Those of a set of items, by what is left of their keys."""
    pattern = re.compile(study.sets.get(name, f"^{re.escape(name)}/"))
    return {pattern.sub("", key, count=1): it for key, it in found.items() if pattern.search(key)}


def metric(run: Run, path: str) -> Any:
    """A value of ``metrics.json``, "test.bleu.0", or of another file, "masks.json:both.auc"."""
    file, _, path = path.rpartition(":")
    where = run.folder / (file or "metrics.json")
    value: Any = json.loads(where.read_text(encoding="utf-8")) if where.is_file() else None
    for key in path.split("."):
        if isinstance(value, list):
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = None if value is None else value.get(key)
    return value


# -- figures ---------------------------------------------------------------------------------------
def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean ± standard deviation."""
    if not values:
        return "-"
    more = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{more}"


def difference(own: Mapping[int, Items], base: Mapping[int, Items]) -> tuple[float, float, float]:
    """Edits of the same items and repeats in ``own`` more than in ``base``, in per cent of what is
    read, and a 95 % bootstrap: all repeats of an item together, as these depend on each other."""
    totals: dict[str, Any] = {}
    groups: dict[str, str] = {}
    for repeat in own.keys() & base.keys():
        for key in own[repeat].keys() & base[repeat].keys():
            mine, other = own[repeat][key], base[repeat][key]
            pair = np.array([mine.counts.edits - other.counts.edits, mine.counts.reference_length])
            totals[key] = totals.get(key, 0) + pair
            groups[key] = mine.group
    keys = sorted(totals)
    amounts = np.array([totals[key] for key in keys])
    more, length = resampled_totals(amounts, groups=[groups[key] for key in keys], resamples=2000)
    low, high = percentiles(100 * more[length > 0] / length[length > 0])
    return 100 * amounts[:, 0].sum() / amounts[:, 1].sum(), low, high


class Reader:
    """Reads each run once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._items: dict[Path, Items] = {}

    def items(self, row: str, name: str) -> dict[int, Items]:
        """Of each finished repeat, the items of a set."""
        found = {}
        for repeat, run in self.study.runs(row).items():
            if run.finished:
                if run.folder not in self._items:
                    self._items[run.folder] = items(self.study, run)
                if some := chosen(self.study, self._items[run.folder], name):
                    found[repeat] = some
        return found

    def rates(self, row: str, name: str) -> dict[int, float]:
        """Accuracy in per cent, or of what is measured by its errors, the error rate."""
        found = {}
        for repeat, some in self.items(row, name).items():
            pooled = pool(item.counts for item in some.values())
            found[repeat] = pooled.error_rate if self.study.measure == "error" else pooled.accuracy
        return found

    def values(self, row: str, path: str) -> dict[int, Any]:
        """A metric of each finished repeat."""
        runs = self.study.runs(row).items()
        found = {r: metric(run, path) for r, run in runs if run.finished}
        return {r: value for r, value in found.items() if value is not None}

    def cell(self, row: Row, column: Mapping[str, Any]) -> str:
        """One cell; "" where there is nothing to say."""
        digits = column.get("digits", self.study.digits)
        if "paper" in column:
            return row.paper
        if "runs" in column:
            runs = self.study.runs(row.name).values()
            return f"{sum(run.finished for run in runs)} of {len(runs)}"
        if path := column.get("metric"):
            found = self.values(row.name, path)
            text = spread([*found.values()], digits) if found else ""
            if found and column.get("interval"):
                bounds = [*self.values(row.name, f"{path}_interval").values()]
                low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
                text += f" [{low:.1f}, {high:.1f}]"
            return text
        name = column["set"]
        some = self.items(row.name, name)
        if not some:
            return ""
        if column["show"] == "rate":
            return spread([*self.rates(row.name, name).values()], digits)
        if column["show"] == "items":
            return str(len(next(iter(some.values()))))
        groups, counts = zip(*(item for one in some.values() for item in one.values()), strict=True)
        if column["show"] == "interval":
            low, high = accuracy_interval(counts, groups=groups)
            if self.study.measure == "error":
                low, high = 100 - high, 100 - low
            return f"[{low:.1f}, {high:.1f}]"
        if column["show"] == "kinds":
            total = pool(counts)
            kinds = (total.substitutions, total.deletions, total.insertions)
            return ", ".join(f"{100 * kind / total.reference_length:.1f}" for kind in kinds)
        over, over_set = column.get("over") or row.against, column.get("over_set", name)
        itself = (over, over_set) == (row.name, name)
        base = self.items(over, over_set) if over and not itself else {}
        if not some.keys() & base.keys():
            return ""
        more, low, high = difference(some, base)
        if self.study.measure != "error":
            more, low, high = 0.0 - more, 0.0 - high, 0.0 - low
        return f"{more:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


# -- tables ----------------------------------------------------------------------------------------
def cells(study: Study, spec: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of a table: its rows, for each of the values under ``each``."""
    reader, columns = Reader(study), spec["columns"]
    each: Mapping[str, Mapping[Any, str]] = spec.get("each", {})
    head = [*spec.get("heads", [""] * len(each)), "", *(column["head"] for column in columns)]
    lines = []
    for values in product(*each.values()):
        given = dict(zip(each, values, strict=True))
        labels = [each[name][value] for name, value in given.items()]
        for row in study.matching(filled(spec.get("rows", ["*"]), given)):
            found = [reader.cell(row, filled(column, given)) for column in columns]
            figures = [i for i, c in enumerate(columns) if "paper" not in c and "runs" not in c]
            if not any(run.finished for run in study.runs(row.name).values()):
                found[figures[0]] = "not run"
            elif not any(found[i] for i in figures):
                continue  # its runs have nothing of the kind
            lines.append([*labels, study.linked(row), *found])
    return head, lines


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def put(page: str, name: str, table: str) -> str:
    """``page`` with the table between its marks ``<!-- table: NAME -->`` and ``<!-- end -->``. A
    page without these stays as it is, and the table is printed."""
    start = f"<!-- table: {name} -->"
    before, found, after = page.partition(start)
    _, end, rest = after.partition("<!-- end -->")
    if not found or not end:
        print(f"{name}:\n\n{table}\n")
        return page
    return f"{before}{start}\n\n{table}\n\n{end}{rest}"
