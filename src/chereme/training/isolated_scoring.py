"""The score of a recogniser of isolated signs on a split, and of the hands that it reconstructs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError, InputError
from chereme.formats.arrays import plain_arrays
from chereme.hands.skeleton import palm_size
from chereme.metrics import UNRANKED, ranks, top_k, top_k_interval

TOP = (1, 2, 5)
Floats = NDArray[np.floating[Any]]


def places_of(logits: Floats, labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The rank of the right gloss of each clip; ``UNRANKED`` where it is not among ``classes``."""
    column = {name: number for number, name in enumerate(classes)}
    known = np.array([label in column for label in labels], bool)
    places = np.full(len(labels), UNRANKED)
    if known.any():
        truth = np.array([column[label] for label in labels if label in column])
        places[known] = ranks(logits[known], truth)
    return places


def score_glosses(
    places: NDArray[np.integer[Any]],
    entries: Sequence[Entry],
    classes: Sequence[str],
    dropped: Sequence[Entry] = (),
) -> dict[str, Any]:
    """Accuracies in per cent of the `places_of` these clips, per instance and per class, with 95 %
    intervals: of whole signers that are drawn, where they are known, since clips of a signer
    resemble each other. Clips that the preparation ``dropped`` count as read wrongly."""
    entries = [*entries, *dropped]
    places = np.append(places, np.full(len(dropped), UNRANKED))
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
        found = top_k(places, labels, k)
        low, high = top_k_interval(places, labels, k, groups=signers)
        result[f"top{k}"] = round(found.per_instance, 2)
        result[f"top{k}_class"] = round(found.per_class, 2)
        result[f"top{k}_interval"] = [round(low, 2), round(high, 2)]
    return result


class Reprojection(NamedTuple):
    """Errors of projected joints, one row for each frame of a hand: distances ``(N, 21)`` in crop
    units, NaN where nobody knows the joint, as they are and relative to the wrist; and the
    ``palm (N,)`` length of that hand, NaN where it is not known."""

    absolute: Floats
    relative: Floats
    palm: Floats

    @staticmethod
    def of(projected: Floats, truth: Floats) -> Reprojection:
        """Of joints ``(N, 21, 2)`` against ``(N, 21, 2)``, or ``(N, 21, 3)`` with depth in the same
        unit, from which the palm's length is known however the hand is turned."""
        error = projected - truth[..., :2]
        relative = error - error[:, :1]
        palm = palm_size(truth) if truth.shape[-1] == 3 else np.full(len(truth), np.nan)
        return Reprojection(
            np.linalg.norm(error, axis=-1), np.linalg.norm(relative[:, 1:], axis=-1), palm
        )


def score_reprojection(found: Sequence[Reprojection], size: int) -> dict[str, Any] | None:
    """Mean errors in pixels of crops of that size, and as parts of the palm's length where it is
    known; None where no joint is."""
    if not found:
        return None
    absolute, relative, palm = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(absolute).any():
        return None
    pixels = size / 2
    result: dict[str, Any] = {
        "frames": int(np.isfinite(absolute).any(axis=1).sum()),
        "joints": int(np.isfinite(absolute).sum()),
        "pixels": round(float(np.nanmean(absolute)) * pixels, 3),
        "pixels_relative": round(float(np.nanmean(relative)) * pixels, 3),
    }
    if np.isfinite(palm).any():
        result["palms"] = round(float(np.nanmean(absolute / palm[:, None])), 4)
        result["palms_relative"] = round(float(np.nanmean(relative / palm[:, None])), 4)
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
