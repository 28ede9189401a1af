"""What came of a training on one's own signs: ``report.md`` and the picture of what is confused."""

from __future__ import annotations

import shlex
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chereme.datasets.pose_clips import Entry
from chereme.datasets.preparation import Preparation
from chereme.metrics import top_k, top_k_interval
from chereme.recognition.config import Abstention
from chereme.systems.own_signs.abstention import REJECTED, UNTESTED, Measured
from chereme.systems.own_signs.splits import Division

_GROUPS = 5  # signers: of fewer, clips are drawn for the interval, and not signers
_SIGNS = 60  # that a picture shows; of more, those that are confused most
_ROWS = 200  # of the clips that were not used


@dataclass(frozen=True)
class Guess:
    """A clip of the test, the gloss that is ranked first, and the rank of the right one."""

    entry: Entry
    gloss: str
    rank: int


@dataclass(frozen=True)
class Report:
    """All that is told of a training. ``entries`` are the clips that were prepared, ``guesses``
    what was read in those of the test; ``about``: settings, by name. ``abstention``: when no answer
    is given; ``known``: how that does on the test, ``unknown``: on that of recognisers that were
    trained without some of the signs."""

    name: str
    model: Path
    folder: Path
    preparation: Preparation
    entries: tuple[Entry, ...]
    division: Division
    guesses: tuple[Guess, ...]
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    abstention: Abstention = UNTESTED.abstention
    known: Measured | None = None
    unknown: Measured | None = None

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

        Top-5 is facts where there are more than five signs.
        """
        if not self.guesses:
            return []
        ranks = [guess.rank for guess in self.guesses]
        labels = [guess.entry.label for guess in self.guesses]
        signers = [guess.entry.signer for guess in self.guesses]
        by_signer = len(set(signers) - {""}) >= _GROUPS and "" not in signers
        found = []
        for k in (1, 5):
            if k < len(self.glosses):
                low, high = top_k_interval(ranks, labels, k, groups=signers if by_signer else None)
                scored = top_k(ranks, labels, k)
                found.append(
                    {
                        "test_set": f"{len(ranks)} clips of {self.who}",
                        "metric": f"top-{k} accuracy, per cent",
                        "value": round(scored.per_instance, 1),
                        "per_class": round(scored.per_class, 1),
                        "interval": [round(low, 1), round(high, 1)],
                    }
                )
        return found

    @property
    def who(self) -> str:
        """Of whom the clips of the test are."""
        return {
            "signer": "signers that were not trained on",
            "clip": "the signers that were trained on",
            "given": "the folder's own split",
            "none": "nobody",
        }[self.division.by]

    def description(self) -> dict[str, Any]:
        """What the bundle tells of itself, see ``chereme.training.export``."""
        signers = len({entry.signer for entry in self.trained} - {""})
        about = {
            "name": self.folder.resolve().name,
            "clips": len(self.trained),
            "signers": signers or "not known",
        }
        metrics = self.scores()
        for measured, of in ((self.known, "all signs"), (self.unknown, "recognisers without some")):
            if measured is not None:
                metrics.append({"test_set": f"abstention: {self.who}, {of}", **measured.to_dict()})
        return {
            "name": self.name,
            "training_data": [about],
            "metrics": metrics,
            "abstention": asdict(self.abstention),
        }

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
    facts = {
        "clips found": f"{report.preparation.corpus.rows:,}",
        "clips used": f"{len(report.entries):,}",
        "trained on": f"{len(report.trained):,}",
        "tested on": f"{len(report.guesses):,}",
        "signs": f"{len(report.glosses):,}",
        "signers": ", ".join(signers) or "not known",
        **{name.replace("_", " "): f"{value}" for name, value in report.about.items()},
    }
    lines = [f"# {report.name}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    lines += ["", "## How well it reads", "", *_scored(report), ""]
    lines += [f"- {note}" for note in report.notes]
    lines += [
        "",
        *_per_sign(report),
        "",
        "## When it gives no answer",
        "",
        *_abstaining(report),
        "",
    ]
    if picture is not None:
        lines += [f"![What was signed, and what was read]({picture})", ""]
    lines += [*_unused(report), "## How to use it", "", "```console", f"$ {report.command}", "```"]
    lines += [
        "",
        "A clip shows one sign, cut out about as the clips above are.",
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


def _abstaining(report: Report) -> list[str]:
    how = report.abstention
    lines = [
        f"Where no sign has a probability of {how.min_probability:.2f}, after a temperature of "
        f"{how.temperature:.2f}, there is no answer. Another threshold: `--min-probability P`; 0 "
        "always gives the likeliest sign.",
    ]
    if report.known is not None:
        before, after = report.known.calibration
        lines += [
            "",
            f"The threshold is the highest that rejects at most {100 * REJECTED:.0f} % of the "
            "clips of the test. Each half was measured with what the other half settled:",
            "",
            "| | |",
            "|---|---|",
            f"| known signs that are rejected | {100 * report.known.rejected:.1f} % of "
            f"{report.known.known:,} clips |",
            f"| right answers | {100 * report.known.right:.1f} % of those given |",
            f"| expected calibration error among these signs | {100 * before:.1f} %, "
            f"{100 * after:.1f} % with the temperature |",
        ]
    left = report.unknown
    if left is None or left.accepted is None:
        return [
            *lines,
            "",
            "How many clips of other signs are given an answer was not measured: for that, some "
            "signs are left out of a training, and there have to be six or more, and a test.",
        ]
    return [
        *lines,
        "",
        f"Signs that it does not know: {len(left.signs)} signs were left out of a training, and "
        f"their clips are of {report.who}.",
        "",
        "| | |",
        "|---|---|",
        f"| other signs that are given an answer (false acceptance) | {100 * left.accepted:.1f} % "
        f"of {left.unknown:,} clips |",
        f"| known signs that are rejected (false rejection) | {100 * left.rejected:.1f} % of "
        f"{left.known:,} clips |",
        f"| a known sign is more probable than another one | {100 * (left.separation or 0):.1f} % "
        "of pairs |",
    ]


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
    row_of = {name: number for number, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), int)
    for guess in report.guesses:
        if guess.entry.label in row_of and guess.gloss in row_of:
            table[row_of[guess.entry.label], row_of[guess.gloss]] += 1
    return names, table


def draw_confusions(report: Report, path: Path) -> None:
    """Draw what was signed (rows) and what was read (columns), as fractions of each row."""
    from matplotlib.figure import Figure

    names, table = confusions(report)
    fractions = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.5 + 0.28 * len(names), 4.5, 20))
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("read")
    axes.set_ylabel("signed")
    every = len(names) < len({entry.label for entry in report.entries})
    axes.set_title(f"{report.name}: the signs that are confused most" if every else report.name)
    for row, column in zip(*np.nonzero(table), strict=True):
        colour = "white" if fractions[row, column] > 0.5 else "black"
        count = str(table[row, column])
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a script that the font has no letters for
        figure.savefig(path)
