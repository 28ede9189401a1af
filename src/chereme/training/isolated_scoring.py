"""The score of a recogniser of isolated signs on a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError, InputError
from chereme.formats.arrays import plain_arrays
from chereme.metrics import UNRANKED, ranks, top_k, top_k_interval

TOP = (1, 2, 5)
Floats = NDArray[np.floating[Any]]


def gloss_ranks(logits: Floats, labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The rank of the right gloss of each clip; ``UNRANKED`` where it is not among ``classes``."""
    column = {name: number for number, name in enumerate(classes)}
    known = np.array([label in column for label in labels], bool)
    result = np.full(len(labels), UNRANKED)
    if known.any():
        truth = np.array([column[label] for label in labels if label in column])
        result[known] = ranks(logits[known], truth)
    return result


def score_glosses(
    clip_ranks: NDArray[np.integer[Any]],
    entries: Sequence[Entry],
    classes: Sequence[str],
    dropped: Sequence[Entry] = (),
) -> dict[str, Any]:
    """Accuracies in per cent, per instance and per class, of clips of these `gloss_ranks`, with
    95 % intervals by bootstrap: whole signers are drawn, where they are known, since clips of a
    signer resemble each other. Clips that the preparation ``dropped`` count as read wrongly."""
    entries = [*entries, *dropped]
    clip_ranks = np.append(clip_ranks, np.full(len(dropped), UNRANKED))
    labels = [entry.label for entry in entries]
    signers = [entry.signer or f"\0{number}" for number, entry in enumerate(entries)]
    result: dict[str, Any] = {
        "clips": len(entries),
        "dropped": len(dropped),
        "glosses": len(set(labels)),
        "unknown_glosses": len(set(labels) - set(classes)),
        "signers": len({entry.signer for entry in entries} - {""}),
    }
    for k in TOP:
        found = top_k(clip_ranks, labels, k)
        low, high = top_k_interval(clip_ranks, labels, k, groups=signers)
        result[f"top{k}"] = round(found.per_instance, 2)
        result[f"top{k}_class"] = round(found.per_class, 2)
        result[f"top{k}_interval"] = [round(low, 2), round(high, 2)]
    return result


class Predictions(NamedTuple):
    """What a recogniser says of the clips of a split: ``logits (N, K)`` of the ``classes``.
    ``signers``: "" where nobody knows."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    signers: tuple[str, ...]
    classes: tuple[str, ...]
    logits: Floats

    def save(self, path: Path) -> None:
        """Write them to an ``.npz`` file."""
        np.savez_compressed(
            path,
            ids=np.array(self.ids),
            labels=np.array(self.labels),
            signers=np.array(self.signers),
            classes=np.array(self.classes),
            logits=self.logits.astype(np.float32),
        )

    @staticmethod
    def of(entries: Sequence[Entry], classes: Sequence[str], logits: Floats) -> Predictions:
        """Those of these clips."""
        ids = tuple(entry.id for entry in entries)
        labels = tuple(entry.label for entry in entries)
        signers = tuple(entry.signer for entry in entries)
        return Predictions(ids, labels, signers, tuple(classes), logits)

    @staticmethod
    def load(path: str | Path) -> Predictions:
        """Read them. BundleError for another file."""
        try:
            arrays = plain_arrays(path)
            ids, labels, signers, classes = (
                tuple(arrays[key].tolist()) for key in ("ids", "labels", "signers", "classes")
            )
            return Predictions(ids, labels, signers, classes, arrays["logits"])
        except (InputError, LookupError) as error:
            raise BundleError(
                f"{path}: expected the predictions of a recogniser of isolated signs, as 'chereme "
                f"train' writes them beside metrics.json; got something else ({error})"
            ) from error
