"""What came of a training on one's own signs: ``report.md`` and the picture of what is confused."""

from __future__ import annotations

import shlex
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chereme.data.pose_clips import Entry
from chereme.data.prepare import Preparation
from chereme.metrics import top_k, top_k_interval
from chereme.training.sign_splits import Division

_GROUPS = 5  # signers: of fewer, clips are drawn for the interval, and not signers
_SIGNS = 60  # that a picture shows; of more, those that are confused most
_ROWS = 200  # of the clips that were not used


@dataclass(frozen=True)
class Guess:
    """A clip of the test, the gloss that is ranked first and the place of the right one."""

    entry: Entry
    gloss: str
    place: int


@dataclass(frozen=True)
class Report:
    """All that is told of a training. ``entries`` are the clips that were prepared, ``guesses``
    what was read in those of the test; ``about``: settings, by name."""

    name: str
    model: Path
    folder: Path
    preparation: Preparation
    entries: tuple[Entry, ...]
    division: Division
    guesses: tuple[Guess, ...]
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trained(self) -> tuple[Entry, ...]:
        """The clips that were trained on."""
        return tuple(entry for entry in self.entries if entry.split == "train")

    @property
    def glosses(self) -> tuple[str, ...]:
        """Those that the recogniser knows."""
        return tuple(sorted({entry.label for entry in self.trained}))

    @property
    def command(self) -> str:
        """How it is used."""
        return f"chereme recognize CLIP --model {shlex.quote(str(self.model))}"

    def scores(self) -> list[dict[str, Any]]:
        """Accuracies in per cent with their 95 % intervals, and of what; none without a test.

        Top-5 is told where there are more than five signs.
        """
        if not self.guesses:
            return []
        places = [guess.place for guess in self.guesses]
        labels = [guess.entry.label for guess in self.guesses]
        signers = [guess.entry.signer for guess in self.guesses]
        by_signer = len(set(signers) - {""}) >= _GROUPS and "" not in signers
        found = []
        for k in (1, 5):
            if k < len(self.glosses):
                low, high = top_k_interval(places, labels, k, groups=signers if by_signer else None)
                scored = top_k(places, labels, k)
                found.append(
                    {
                        "test_set": f"{len(places)} clips of {self._who()}",
                        "metric": f"top-{k} accuracy, per cent",
                        "value": round(scored.per_instance, 1),
                        "per_class": round(scored.per_class, 1),
                        "interval": [round(low, 1), round(high, 1)],
                    }
                )
        return found

    def _who(self) -> str:
        return {
            "signer": "signers that were not trained on",
            "clip": "the signers that were trained on",
            "given": "the folder's own split",
            "none": "nobody",
        }[self.division.by]

    def description(self) -> dict[str, Any]:
        """What the bundle tells of itself, see ``chereme.training.export_isolated``."""
        signers = len({entry.signer for entry in self.trained} - {""})
        about = {
            "name": self.folder.resolve().name,
            "clips": len(self.trained),
            "signers": signers or "not known",
        }
        return {"name": self.name, "training_data": [about], "metrics": self.scores()}

    def summary(self) -> str:
        """The score in a line."""
        if not self.guesses:
            return "not tested: no clips were kept aside"
        parts = [
            f"{score['metric'].split(',')[0]} {score['value']:g} % "
            f"({score['interval'][0]:g} to {score['interval'][1]:g})"
            for score in self.scores()
        ]
        return f"{', '.join(parts)}, of {self.scores()[0]['test_set']}"


# -- the text --------------------------------------------------------------------------------------
def write_report(report: Report, path: Path, picture: str | None) -> None:
    """Write ``report`` as Markdown; ``picture``: the name of that of what is confused."""
    signers = sorted({entry.signer for entry in report.entries} - {""})
    told = {
        "clips found": f"{report.preparation.corpus.rows:,}",
        "clips used": f"{len(report.entries):,}",
        "trained on": f"{len(report.trained):,}",
        "tested on": f"{len(report.guesses):,}",
        "signs": f"{len(report.glosses):,}",
        "signers": ", ".join(signers) or "not known",
        **{name.replace("_", " "): f"{value}" for name, value in report.about.items()},
    }
    lines = [f"# {report.name}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in told.items()]
    lines += ["", "## How well it reads", "", *_scored(report), ""]
    lines += [f"- {note}" for note in report.notes]
    lines += ["", *_per_sign(report), ""]
    if picture is not None:
        lines += [f"![What was signed, and what was read]({picture})", ""]
    lines += [*_unused(report), "## How to use it", "", "```console", f"$ {report.command}", "```"]
    lines += [
        "",
        "A clip shows one sign, cut out about as the clips above are. Any other sign is read as "
        "one of these, too: look at the probability.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _scored(report: Report) -> list[str]:
    scores = report.scores()
    if not scores:
        return ["It was not tested, as no clips were kept aside."]
    lines = [f"Of {scores[0]['test_set']}:", ""]
    lines += ["| | of all clips | 95 % interval | mean of the signs |", "|---|---|---|---|"]
    lines += [
        f"| {score['metric'].split(',')[0]} | {score['value']:g} % | {score['interval'][0]:g} to "
        f"{score['interval'][1]:g} % | {score['per_class']:g} % |"
        for score in scores
    ]
    return [*lines, "", f"Guessing would be right in {100 / len(report.glosses):.2g} %."]


def _per_sign(report: Report) -> list[str]:
    trained = Counter(entry.label for entry in report.trained)
    tested = Counter(guess.entry.label for guess in report.guesses)
    right = Counter(guess.gloss for guess in report.guesses if guess.gloss == guess.entry.label)
    lines = ["| sign | trained on | tested | right | taken for |", "|---|---|---|---|---|"]
    for gloss in sorted(trained.keys() | tested.keys()):
        wrong = Counter(
            guess.gloss
            for guess in report.guesses
            if guess.entry.label == gloss and guess.gloss != gloss
        )
        others = ", ".join(f"{name} {count}" for name, count in wrong.most_common(3))
        counts = f"{trained[gloss]} | {tested[gloss]} | {right[gloss] if tested[gloss] else ''}"
        lines.append(f"| {_cell(gloss)} | {counts} | {_cell(others)} |")
    return lines


def _unused(report: Report) -> list[str]:
    rows = [row for row in report.preparation.rows if row.status == "dropped"]
    if not rows:
        return []
    lines = ["## Clips that were not used", "", "| clip | why | |", "|---|---|---|"]
    lines += [f"| {_cell(r.id)} | {_cell(r.reason)} | {_cell(r.detail)} |" for r in rows[:_ROWS]]
    if len(rows) > _ROWS:
        lines += ["", f"And {len(rows) - _ROWS:,} more: `poses/status.csv`."]
    return [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


# -- the picture -----------------------------------------------------------------------------------
def confusions(report: Report) -> tuple[list[str], np.ndarray]:
    """Glosses, and how often each (row) was read as each (column); of many signs those that are
    confused most."""
    names = sorted({g.gloss for g in report.guesses} | {g.entry.label for g in report.guesses})
    if len(names) > _SIGNS:
        wrong = Counter(
            name
            for guess in report.guesses
            for name in {guess.gloss, guess.entry.label}
            if guess.gloss != guess.entry.label
        )
        names = sorted(sorted(names, key=lambda name: -wrong[name])[:_SIGNS])
    place = {name: number for number, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), int)
    for guess in report.guesses:
        if guess.entry.label in place and guess.gloss in place:
            table[place[guess.entry.label], place[guess.gloss]] += 1
    return names, table


def draw_confusions(report: Report, path: Path) -> None:
    """Draw what was signed (rows) and what was read (columns), as shares of each row."""
    from matplotlib.figure import Figure

    names, table = confusions(report)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.5 + 0.28 * len(names), 4.5, 20))
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("read")
    axes.set_ylabel("signed")
    every = len(names) < len({entry.label for entry in report.entries})
    axes.set_title(f"{report.name}: the signs that are confused most" if every else report.name)
    for row, column in zip(*np.nonzero(table), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        count = str(table[row, column])
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a script that the font has no letters for
        figure.savefig(path)
