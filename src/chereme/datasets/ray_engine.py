"""Many clips at once on the machines of a cluster, by Ray Data.

Every machine must see the recordings under the same paths. The tars are written by the process that
starts the work. Deviation from ``chereme.datasets.engine``: a clip on which a process dies is tried
again by Ray, and ends the run if that goes on; what is done stays done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chereme._imports import require
from chereme.datasets.clips import TrackedClip
from chereme.datasets.engine import Engine, Outcome, Tracker
from chereme.formats.manifests import Item

_CLIPS = 4  # of a block, which is the unit of Ray's work and of its results


class _Actor:
    """A worker on some machine."""

    def __init__(self, engine: Engine[TrackedClip]) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._track = Tracker(engine)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": self._track(row["item"])}


def run_on_ray(engine: Engine[TrackedClip], items: Sequence[Item]) -> Iterator[Outcome]:
    """As ``Engine.run``: ``engine.workers`` actors of one CPU each, outcomes in order.

    Takes the cluster that ``RAY_ADDRESS`` names, or starts Ray on this machine.
    """
    data = require("ray.data", extra="ray")
    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = data.from_items(
        [{"item": item} for item in items], override_num_blocks=-(-len(items) // _CLIPS)
    )
    outcomes = rows.map(
        _Actor, fn_constructor_args=(engine,), concurrency=engine.workers, num_cpus=1
    )
    for row in outcomes.iter_rows():
        yield row["outcome"]
