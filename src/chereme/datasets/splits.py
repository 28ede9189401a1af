"""Signer-independent cross-validation: every signer is tested once, by a model that never saw them.

The order of signers is that of the SHA-256 of seed and name. It is the same on every machine and
with every version of every library, and one signer more or less leaves the order of the others as
it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split

DevBy = Literal["signer", "clip"]


def signer_folds(signers: Iterable[str], folds: int, seed: int = 0) -> list[tuple[str, ...]]:
    """The test signers of each fold: each signer once, folds as equal in number as can be.

    Raises UsageError for fewer than two folds, or more than there are signers.
    """
    names = _shuffled(set(signers), f"fold {seed}")
    if not 2 <= folds <= len(names):
        raise UsageError(
            f"folds: expected 2 to {len(names)}, the number of signers, got {folds}; with the "
            "number of signers each is tested alone"
        )
    return [tuple(sorted(names[fold::folds])) for fold in range(folds)]


def leave_signers_out(
    items: Sequence[Item],
    test_signers: Iterable[str],
    *,
    dev_fraction: float = 0.2,
    dev_by: DevBy = "signer",
    seed: int = 0,
) -> list[Item]:
    """The items with their split set: test for ``test_signers``, train and dev for the others.

    ``dev_by="signer"``: dev is whole signers, drawn until their clips come nearest to
    ``dev_fraction`` of those that are not tested, so that no signer is in two splits.
    ``dev_by="clip"``: dev is that share of the clips, so that train and dev share signers; test
    shares none in either case.

    Raises InputError if an item has no signer, or test, train or dev would be empty; UsageError for
    a share that is not between 0 and 1.
    """
    if not 0 < dev_fraction < 1:
        raise UsageError(f"dev_fraction: expected a share between 0 and 1, got {dev_fraction:g}")
    tested = set(test_signers)
    clips: Counter[str] = Counter()
    for item in items:
        if item.signer is None:
            raise InputError(
                f"{item.id}: expected a signer, got none; without it nobody can tell whether a "
                "split is signer-independent: fill the column signer"
            )
        clips[item.signer] += 1

    target = dev_fraction * sum(count for signer, count in clips.items() if signer not in tested)
    if dev_by == "signer":
        dev: set[str] = set()
        others = _shuffled(clips.keys() - tested, f"dev {seed}")
        got = 0
        for signer in others[1:]:  # the first is left for training, whatever the share
            if not dev or abs(got + clips[signer] - target) < abs(got - target):
                dev.add(signer)
                got += clips[signer]
        splits: list[Split] = [
            "test" if item.signer in tested else "dev" if item.signer in dev else "train"
            for item in items
        ]
    else:
        ids = _shuffled({i.id for i in items if i.signer not in tested}, f"dev {seed}")
        held = set(ids[: max(1, round(target))])
        splits = [
            "test" if item.signer in tested else "dev" if item.id in held else "train"
            for item in items
        ]
    for name in ("train", "dev", "test"):
        if name not in splits:
            raise InputError(
                f"leave signers out: expected clips in train, dev and test, got none in {name} "
                f"({len(items)} clips of {len(clips)} signers, tested: "
                f"{', '.join(sorted(tested)) or 'nobody'}); two signers have to be left over"
            )
    return [replace(item, split=split) for item, split in zip(items, splits, strict=True)]


def _shuffled(names: Iterable[str], purpose: str) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{purpose}\0{name}".encode()).digest())
