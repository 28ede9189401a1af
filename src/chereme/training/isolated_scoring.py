"""The score of a recogniser of isolated signs on a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError, InputError, UsageError
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
    subsets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Accuracies in per cent, per instance and per class, of clips of these `gloss_ranks`, with
    95 % intervals by bootstrap: whole signers are drawn, where they are known, since clips of a
    signer resemble each other. Clips that the preparation ``dropped`` count as read wrongly.
    ``subsets``: the subset of a clip by its id; under this name is the same of each subset."""
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
    of_entry = [(subsets or {}).get(entry.id, "") for entry in entries]
    parts = {
        name: score_glosses(
            clip_ranks[[own == name for own in of_entry]],
            [entry for entry, own in zip(entries, of_entry, strict=True) if own == name],
            classes,
        )
        for name in sorted(set(of_entry) - {""})
    }
    return result | ({"subsets": parts} if parts else {})


class Predictions(NamedTuple):
    """What a recogniser says of the clips of a split: ``logits (N, K)`` of the ``classes``, all
    equal for a clip that its preparation dropped. ``signers``, ``subsets``: "" where nobody
    knows."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    signers: tuple[str, ...]
    classes: tuple[str, ...]
    logits: Floats
    subsets: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write them to an ``.npz`` file."""
        np.savez_compressed(
            path,
            ids=np.array(self.ids),
            labels=np.array(self.labels),
            signers=np.array(self.signers),
            classes=np.array(self.classes),
            logits=self.logits.astype(np.float32),
            subsets=np.array(self.subsets),
        )

    @staticmethod
    def of(
        entries: Sequence[Entry],
        classes: Sequence[str],
        logits: Floats,
        subsets: Mapping[str, str],
    ) -> Predictions:
        """Those of these clips; ``subsets``: by id, of those that are in one. Clips behind the rows
        of ``logits`` are such as were dropped."""
        silent = np.zeros((len(entries) - len(logits), len(classes)), logits.dtype)
        return Predictions(
            tuple(entry.id for entry in entries),
            tuple(entry.label for entry in entries),
            tuple(entry.signer for entry in entries),
            tuple(classes),
            np.concatenate([logits, silent]),
            tuple(subsets.get(entry.id, "") for entry in entries),
        )

    def score(self) -> dict[str, Any]:
        """`score_glosses`; of a clip that was dropped no gloss is right."""
        found = gloss_ranks(self.logits, self.labels, self.classes)
        found[np.ptp(self.logits, axis=1) == 0] = UNRANKED
        entries = [
            Entry(name, label, signer, "", 0.0, 0)
            for name, label, signer in zip(self.ids, self.labels, self.signers, strict=True)
        ]
        subsets = dict(zip(self.ids, self.subsets, strict=True))
        return score_glosses(found, entries, self.classes, subsets=subsets)

    @staticmethod
    def load(path: str | Path) -> Predictions:
        """Read them. BundleError for another file."""
        try:
            arrays = plain_arrays(path)
            ids, labels, signers, classes, subsets = (
                tuple(arrays[key].tolist())
                for key in ("ids", "labels", "signers", "classes", "subsets")
            )
            logits = arrays["logits"]
            if logits.shape != (len(ids), len(classes)) or not np.isfinite(logits).all():
                raise InputError(f"logits of shape {logits.shape}, or NaN among them")
            return Predictions(ids, labels, signers, classes, logits, subsets)
        except (InputError, LookupError) as error:
            raise BundleError(
                f"{path}: expected the predictions of a recogniser of isolated signs, as 'chereme "
                f"train' writes them beside metrics.json; got something else ({error})"
            ) from error


def late_fusion(
    *logits: Floats, of: Literal["probabilities", "logits"] = "probabilities"
) -> NDArray[np.float64]:
    """The sum of the predictions ``(..., K)`` of several recognisers (Hu et al. 2021,
    *Hand-model-aware sign language recognition*, "Inference").

    Choice: "directly summing their prediction results" is read as summing probabilities, which are
    of one scale whatever the recogniser; "logits" sums what goes before.

    Raises:
        InputError: no predictions, or of different shapes.
    """
    if of not in ("probabilities", "logits"):
        raise UsageError(f"of: expected probabilities or logits, got {of!r}")
    shapes = {one.shape for one in logits}
    if len(shapes) != 1:
        raise InputError(
            "late fusion: expected predictions for the same clips and classes, got shapes "
            f"{sorted(shapes)}"
        )
    found = np.stack(logits).astype(np.float64)
    if of == "probabilities":
        found = np.exp(found - found.max(-1, keepdims=True))
        found /= found.sum(-1, keepdims=True)
    total: NDArray[np.float64] = found.sum(0)
    return total


def fuse(each: Sequence[Predictions]) -> Predictions:
    """`late_fusion` of predictions, whatever the order of their clips and classes; the sums are its
    ``logits``. InputError where clips, labels or classes differ."""
    first = each[0]
    about = [dict(zip(one.ids, one.labels, strict=True)) for one in each]
    for one, labels in zip(each, about, strict=True):
        alone = [name for name, _ in sorted(labels.items() ^ about[0].items())]
        alone += sorted(set(one.classes) ^ set(first.classes))
        if alone:
            raise InputError(
                "late fusion: expected predictions of the same clips and glosses, got others: "
                f"{alone[0]} is not the same in all"
            )
    aligned = []
    for one in each:
        rows, columns = (
            [{name: place for place, name in enumerate(own)}[name] for name in wanted]
            for own, wanted in ((one.ids, first.ids), (one.classes, first.classes))
        )
        aligned.append(one.logits[np.ix_(rows, columns)])
    return first._replace(logits=late_fusion(*aligned))
