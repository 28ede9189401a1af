"""Which clips of one's own signs are trained on, and which the recogniser is tested on."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from chereme.datasets.pose_clips import Entry
from chereme.datasets.splits import signer_folds
from chereme.errors import some

By = Literal["signer", "clip", "given", "none"]
FRACTION = 0.2
"""Of the clips, that is tested on."""
_LEAST = 3  # clips of a gloss; of fewer none is spared for the test


@dataclass(frozen=True)
class Division:
    """``tested``: ids of the clips that are not trained on; ``unused``: those that a folder has
    put aside (its split dev beside a split test). ``by``: whether the test is of other
    "signer"s, of other "clip"s of the same ones, as the folder "given" has it, or "none".
    ``notes``: what whoever reads the score has to know."""

    by: By
    tested: frozenset[str]
    unused: frozenset[str] = frozenset()
    notes: tuple[str, ...] = field(default_factory=tuple)

    def split(self, entry: Entry) -> str:
        """The split of a clip: train, test, or dev for one that is not used."""
        return "test" if entry.id in self.tested else "dev" if entry.id in self.unused else "train"


def divide(entries: Sequence[Entry], *, test: bool = True, seed: int = 0) -> Division:
    """Divide clips: as their splits say, if they have some; by their signers, if these are known
    and are several; else by clips, a part of those of each gloss.

    Every gloss keeps clips to train on, so that the recogniser knows it. ``test``: False to train
    on all clips.
    """
    if not test:
        notes = ("All clips were trained on, as was asked: how well it reads others is not known.",)
        return Division("none", frozenset(), notes=notes)
    if any(entry.split for entry in entries):
        return _as_given(entries)
    nameless = [entry for entry in entries if not entry.signer]
    signers = {entry.signer for entry in entries} - {""}
    if len(signers) >= 2:
        found = _by_signer(entries, signers, seed)
        if found is not None:
            return found
        why = "No gloss is signed by two signers"
    elif signers and not nameless:
        why = f"All clips are of one signer ({signers.pop()})"
    else:
        why = "The signers are not known (--signer REGEX finds them in <gloss>/<clip>)"
    return _by_clip(entries, why, seed)


def _as_given(entries: Sequence[Entry]) -> Division:
    splits = Counter(entry.split for entry in entries)
    name = "test" if splits["test"] else "dev"
    tested = [entry for entry in entries if entry.split == name]
    unused = {e.id for e in entries if e.split == "dev"} - {e.id for e in tested}
    notes = [f"The test is the folder's own split {name}."] if tested else []
    if unused:
        notes.append(
            f"{len(unused):,} clips of the split dev are used for nothing: there is a split test."
        )
    return _checked("given", tested, entries, notes, frozenset(unused))


def _by_signer(entries: Sequence[Entry], signers: set[str], seed: int) -> Division | None:
    """None where nothing would be left to test."""
    labels = {entry.label for entry in entries}

    def cost(fold: tuple[str, ...]) -> tuple[int, int, float]:
        """Glosses that nobody else signs, those that the test lacks, and how far it is from
        ``FRACTION``: a signer of one gloss is no test of the others."""
        trained = {entry.label for entry in entries if entry.signer not in fold}
        mine = [entry.label for entry in entries if entry.signer in fold]
        share = len(mine) / len(entries)
        return len(labels - trained), len(labels - {*mine} & trained), abs(share - FRACTION)

    folds = signer_folds(signers, min(len(signers), round(1 / FRACTION)), seed)
    chosen = min(folds, key=cost)
    trained = {entry.label for entry in entries if entry.signer not in chosen}
    mine = [entry for entry in entries if entry.signer in chosen]
    tested = [entry for entry in mine if entry.label in trained]
    if not tested:
        return None
    names = ", ".join(chosen)
    notes = [f"The test is of signers that are not trained on: {names}."]
    if alone := sorted({entry.label for entry in mine} - trained):
        notes.append(
            f"Signed by nobody but the tested signers, and so trained on and not tested: "
            f"{', '.join(alone)}. The recogniser has seen these hands in them."
        )
    if nameless := sum(not entry.signer for entry in entries):
        notes.append(
            f"{nameless:,} clips have no signer and are trained on; if they show a tested signer, "
            "the score is too good."
        )
    return _checked("signer", tested, entries, notes)


def _by_clip(entries: Sequence[Entry], why: str, seed: int) -> Division:
    of_label: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        of_label[entry.label].append(entry)

    def order(entry: Entry) -> bytes:
        return hashlib.sha256(f"test {seed}\0{entry.id}".encode()).digest()

    tested: list[Entry] = []
    for clips in of_label.values():
        if len(clips) >= _LEAST:
            tested += sorted(clips, key=order)[: max(1, round(FRACTION * len(clips)))]
    if not tested:
        few = f"No gloss has {_LEAST} clips: all are trained on, and how well it reads is not known"
        return Division("none", frozenset(), notes=(f"{few}.",))
    note = (
        f"{why}: the test is of other clips of the same signers. The accuracy is NOT that of "
        "unseen signers, which is lower."
    )
    return _checked("clip", tested, entries, [note])


def _checked(
    by: By,
    tested: Sequence[Entry],
    entries: Sequence[Entry],
    notes: Sequence[str],
    unused: frozenset[str] = frozenset(),
) -> Division:
    """The division, with notes on the glosses of which one half is lacking."""
    ids = frozenset(entry.id for entry in tested)
    trained = {entry.label for entry in entries if entry.id not in ids | unused}
    more = []
    if unknown := sorted({entry.label for entry in tested} - trained):
        more.append(f"Tested but not trained on, and so always read wrongly: {some(unknown, 20)}.")
    if untested := sorted(trained - {entry.label for entry in tested}):
        more.append(f"Trained on but not tested: {some(untested, 20)}.")
    return Division(by if ids else "none", ids, unused, (*notes, *more))
