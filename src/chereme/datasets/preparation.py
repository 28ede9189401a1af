"""What preparing a data set has in common, whatever is made of its clips.

A run may be stopped at any moment, by whatever: the next one goes on where it was. A clip that
cannot be used is listed in ``status.csv`` and does not end the run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chereme.datasets.corpus import SPLITS, Corpus, Unusable
from chereme.datasets.engine import Engine, Found
from chereme.datasets.shards import UNSPLIT
from chereme.datasets.status import MANIFEST, Row, StatusFile
from chereme.errors import InputError
from chereme.formats.manifests import Item
from chereme.formats.outputs import LOCK

Progress = Callable[[int, int], None]
"""Is called with what is done, and what is to do."""


@dataclass(frozen=True)
class Preparation:
    """What came of it: a row for each clip of the data set, see ``chereme.datasets.status``;
    ``teachers``: the length of the vectors of each."""

    corpus: Corpus
    rows: tuple[Row, ...]
    teachers: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many clips are prepared."""
        return sum(row.status == "done" for row in self.rows)

    def report(self) -> str:
        """In lines of text: n of N clips, why the others are not there, and each split."""
        clips, published = self.corpus.rows, self.corpus.published
        known = f" ({published['all']:,} published)" if "all" in published else ""
        lines = [f"{self.corpus.name}: {self.done:,} of {clips:,} clips prepared{known}"]
        dropped = Counter(row.reason for row in self.rows if row.status == "dropped")
        if dropped:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
            lines.append(f"  dropped {dropped.total():,}: {reasons}")
        for split in (*SPLITS, UNSPLIT):
            rows = [row for row in self.rows if row.split == split]
            done = [row for row in rows if row.status == "done"]
            if rows:
                frames, seen = sum(r.frames for r in done), sum(r.seen for r in done)
                lines.append(
                    f"  {split}: {len(done):,} of {len(rows):,} clips, {frames:,} frames"
                    + (f", the hand seen in {seen / frames:.1%}" if frames else "")
                )
        for name, dim in self.teachers.items():
            lines.append(f"  teacher {name}: {dim} numbers a frame")
        return "\n".join(lines)


def prepare_clips(
    corpus: Corpus,
    folder: Path,
    engine: Engine[Found],
    write: Callable[[Item, Found], Row],
    *,
    kept: Iterable[Row] = (),
    teachers: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Preparation:
    """Look at each clip of ``corpus`` and ``write`` what came of it, which gives its row.

    ``kept``: the rows of clips that earlier runs have done with. InputError if no clip at all could
    be used.
    """
    kept = list(kept)
    known = {row.id for row in kept}
    # Clips that have gone from the disk since they were prepared count as prepared.
    gone = known - {item.id for item in corpus.items}
    left_out = [
        Row(found.id, "", "dropped", found.reason, found.detail, stage="reader")
        for found in corpus.findings
        if found.dropped and found.id not in gone
    ]
    todo = [item for item in corpus.items if item.id not in known]
    corpus.write(folder / MANIFEST)
    with StatusFile(folder, [*left_out, *kept]) as status:
        for done, (item, outcome) in enumerate(zip(todo, engine.run(todo), strict=True), start=1):
            try:
                if isinstance(outcome, Unusable):
                    raise outcome
                status.add(write(item, outcome))
            except Unusable as error:
                split = item.split or UNSPLIT
                status.add(Row(item.id, split, "dropped", error.reason, error.detail))
            if progress is not None:
                progress(done, len(todo))
        result = Preparation(corpus, tuple(status.rows), dict(teachers or {}))
    if not result.done:
        first = next((f" (the first: {r.id}: {r.detail})" for r in result.rows if r.reason), "")
        raise InputError(f"{result.report()}{first}; nothing was prepared")
    return result


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the same folder; the system lets go if this one dies."""
    with (folder / LOCK).open("w") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{folder}: another process is preparing clips there; wait for it, or end it"
                ) from error
        yield
