"""Labels and sides of hands that other people's hands contradict.

Collections hold wrong labels, letters that somebody shows in another way than all others, and hands
that were mistaken for something else. A linear classifier that never saw a person says what it
reads in that person's hands; what it contradicts throughout is not taught.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chereme.datasets.letter_collections import LETTERS, MOVING
from chereme.hands.normalise import shape_features
from chereme.hands.skeleton import mirror, palm_size

FOLDS = 5
_LEAST_READ = 0.25  # of a person's pictures of a letter that models of the others read right
_FEWEST = 5  # pictures that say something about a letter
_SURE, _UNLIKELY = 0.98, 0.001  # a picture that is another letter for sure, and its own never
_STEPS = 60
_REFERENCES = 120  # hands of a letter to compare with
# J begins as an I, and stills of it are any moment.
_AS_STILL = {"j": "i"}

Floats = NDArray[np.floating[Any]]


def doubtful(
    landmarks: Floats,
    vectors: Floats,
    label: NDArray[np.str_],
    signer: NDArray[np.str_],
    picture: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which hands to leave out ``(N,)``, and a line of text on each letter of a signer left out.

    Args:
        landmarks: ``(N, 21, 3)``, right hands.
        vectors: ``(N, 1152)``, zeros where there is no picture: judged by landmarks alone.
        label: letters; ``''`` is neither judged nor learned from.
        signer: who is left out of what judges the hand.
        picture: hands of the same picture are judged together.
    """
    classes = [letter for letter in LETTERS if letter not in _AS_STILL]
    number = {letter: index for index, letter in enumerate(classes)}
    target = np.array([number.get(_AS_STILL.get(one, one), -1) for one in label.tolist()])
    features = shape_features(landmarks.astype(np.float64)).astype(np.float32)
    seen = vectors.any(axis=1)
    said = np.full((len(label), len(classes)), np.nan, np.float32)
    for judged, known in ((seen, seen), (~seen, np.ones(len(label), bool))):
        own = (
            np.concatenate([features, vectors.astype(np.float32)], 1)
            if judged is seen
            else features
        )
        _, first = np.unique(picture, return_index=True)
        learned = np.zeros(len(label), bool)
        learned[first] = True
        learned &= known & (target >= 0)
        for fold in _folds(signer[judged & (target >= 0)]):
            left_out = np.isin(signer, fold)
            train, test = learned & ~left_out, judged & left_out & (target >= 0)
            if len(np.unique(target[train])) > 1 and test.any():
                said[test] = _said(
                    own[train], target[train], signer[train], own[test], len(classes)
                )
    return _contradicted(said, target, label, signer, picture)


def _folds(signer: NDArray[np.str_]) -> list[list[str]]:
    """Signers in groups of about as many hands each."""
    names, counts = np.unique(signer, return_counts=True)
    folds: list[list[str]] = [[] for _ in range(min(FOLDS, len(names)))]
    size = [0] * len(folds)
    for index in np.argsort(-counts, kind="stable"):
        smallest = int(np.argmin(size))
        folds[smallest].append(str(names[index]))
        size[smallest] += int(counts[index])
    return folds


def _said(
    train: Floats, target: NDArray[Any], signer: NDArray[np.str_], test: Floats, classes: int
) -> NDArray[np.float32]:
    """Probabilities ``(N, classes)`` of a linear classifier; people weigh alike within a letter."""
    middle, spread = train.mean(axis=0), train.std(axis=0) + 1e-3
    x = torch.from_numpy((train - middle) / spread)
    y = torch.from_numpy(target)
    _, group, counts = np.unique(
        np.char.add(signer, target.astype(str)), return_inverse=True, return_counts=True
    )
    weight = torch.from_numpy(1 / np.sqrt(counts[group])).float()
    weight /= weight.sum()
    scores = torch.nn.Linear(x.shape[1], classes)
    torch.nn.init.zeros_(scores.weight)
    torch.nn.init.zeros_(scores.bias)
    optimizer = torch.optim.LBFGS(
        scores.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = torch.nn.functional.cross_entropy(scores(x), y, reduction="none")
        value = (weight * each).sum() + 3e-4 * scores.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other where the machine is busy
    optimizer.step(loss)  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    with torch.no_grad():
        said = scores(torch.from_numpy((test - middle) / spread)).softmax(dim=1)
    array: NDArray[np.float32] = said.numpy()
    return array


def _contradicted(
    said: Floats,
    target: NDArray[Any],
    label: NDArray[np.str_],
    signer: NDArray[np.str_],
    picture: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], list[str]]:
    out = np.zeros(len(label), bool)
    judged = np.isfinite(said).all(axis=1) & ~np.isin(label, MOVING)
    names, first, which = np.unique(picture[judged], return_index=True, return_inverse=True)
    if not len(names):
        return out, []
    mean = np.zeros((len(names), said.shape[1]))
    np.add.at(mean, which, said[judged])
    mean /= np.bincount(which)[:, None]
    own = target[judged][first]
    right = mean.argmax(axis=1) == own
    wrong = (mean.max(axis=1) > _SURE) & (mean[np.arange(len(own)), own] < _UNLIKELY)
    lines = []
    of_letter = np.char.add(np.char.add(signer[judged][first], " "), label[judged][first])
    for name in np.unique(of_letter):
        group = of_letter == name
        if group.sum() >= _FEWEST and right[group].mean() < _LEAST_READ:
            wrong |= group
            most = LETTERS.replace("j", "")[np.bincount(mean[group].argmax(axis=1)).argmax()]
            lines.append(
                f"{name}: {right[group].sum()} of {group.sum()} read right, most as {most}"
            )
    out[judged] = wrong[which]
    return out, lines


def is_left(run: Floats, references: Floats) -> bool:
    """Whether the hands ``run (T, 21, 3)`` of one recording are left ones: their mirror image is
    more like ``references (N, 21, 3)``, right hands that show the same letter."""
    step = max(1, len(references) // _REFERENCES)
    known = _upright(references[::step])
    given, mirrored = (_nearest(_upright(hands), known) for hands in (run, mirror(run, None)))
    return bool(np.median(given - mirrored) > 0)


def _nearest(hands: Floats, known: Floats) -> Floats:
    distances = np.linalg.norm(hands[:, None] - known[None], axis=-1).mean(axis=-1)
    nearest: Floats = np.sort(distances, axis=1)[:, :5].mean(axis=1)
    return nearest


def _upright(hands: Floats) -> Floats:
    """Joints about the wrist, in palm lengths, turned so that the palm points up in the picture."""
    joints = (hands - hands[:, :1]) / palm_size(hands)[:, None, None]
    up = joints[:, 9, :2] / np.linalg.norm(joints[:, 9, :2], axis=-1, keepdims=True)
    x, y = up[:, 0, None], up[:, 1, None]
    turned: Floats = joints.copy()
    turned[..., 0] = -y * joints[..., 0] + x * joints[..., 1]
    turned[..., 1] = -x * joints[..., 0] - y * joints[..., 1]
    return turned


def references(landmarks: Floats, label: NDArray[np.str_], letter: str) -> Floats:
    """Right hands that show a letter, or how it begins; all hands where there are none."""
    for name in (letter, _AS_STILL.get(letter, "d")):
        if (chosen := label == name).any():
            shown: Floats = landmarks[chosen]
            return shown
    return landmarks
