"""What SignBERT's runs on what is here reached, in the cells of ``signbert_tables.py``."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from signbert_plans import begun


def seeds_of(folder: Path, name: str, pretrained: int | None = None) -> dict[str, dict[str, Any]]:
    """What the file ``name`` says of each seed of a row; seeds without it are not there.

    Recognition that began with a pre-training counts where that had the same seed; or, with
    ``pretrained``, where it had this one.
    """
    paths = sorted([*folder.glob(f"seed_*/{name}"), *folder.glob(f"from_*/seed_*/{name}")])
    found = {}
    for path in paths:
        seed, whence = path.parent.name, path.parent.parent.name
        begins = begun(pretrained or int(seed.removeprefix("seed_")))
        if not whence.startswith("from_") or whence == begins:
            found[seed] = json.loads(path.read_text(encoding="utf-8"))
    return found


def spread(values: Sequence[float]) -> str:
    """Mean ± deviation."""
    more = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{more}"


def bounds(tests: Sequence[dict[str, Any]], name: str) -> str:
    """The intervals of all seeds, from the lowest bound to the highest."""
    found = [test[f"{name}_interval"] for test in tests]
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


def restored(tests: Sequence[dict[str, Any]], measure: str) -> list[str]:
    """Of one measure, the input's and the output's over all joints."""
    given = spread([test[f"input_{measure}"] for test in tests])
    return [given, f"{spread([test[measure] for test in tests])} {bounds(tests, measure)}"]


def restored_alone(tests: Sequence[dict[str, Any]], measure: str) -> str:
    """The same over masked joints alone."""
    name = f"masked_{measure}"
    if any(test.get(name) is None for test in tests):
        return "-"
    given = statistics.mean(test[f"masked_input_{measure}"] for test in tests)
    return f"{given:.1f} → {spread([test[name] for test in tests])} {bounds(tests, name)}"


RESTORED = (
    *("input, PCK@20", "output, PCK@20", "input, AUC", "output, AUC"),
    *("masked alone, PCK@20", "masked alone, AUC"),
)


def restoring(tests: Sequence[dict[str, Any]]) -> list[str]:
    """The cells of ``RESTORED``."""
    if not tests:
        return ["not run"] * len(RESTORED)
    cells = [cell for measure in ("pck20", "auc") for cell in restored(tests, measure)]
    return cells + [restored_alone(tests, measure) for measure in ("pck20", "auc")]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
