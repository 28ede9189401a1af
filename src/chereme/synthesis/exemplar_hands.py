"""Whose hands the letters of a clip are: views of recorded hands, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.datasets.exemplars import Exemplars
from chereme.hands.networks import read_hand_network
from chereme.synthesis.articulation import Articulation, encode, mix

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Groups = dict[str, dict[str, Rows]]  # of each label, of each signer who has views of it

_ONE_PERSON = 0.6  # of clips; in the others each letter may be another signer's
_PICTURED = 0.7  # of clips have vectors, where there are hands with and without
_FLATTENED = 0.4  # a signer counts by so much of a power of their views
_MEASURED = 2000  # vectors, of which the spread is taken
_NEAR, _COMPARED = 4, 64  # views that count as near, of so many that are looked at


@dataclass(frozen=True)
class Shape:
    """A handshape as it was drawn: its ``pose``, the view ``row`` that it is, or mostly is, and
    the ``group`` of all views of that label and signer."""

    pose: Articulation
    row: int
    group: Rows


@dataclass(frozen=True)
class Cast:
    """The hands of one clip: of each label the groups of views to draw from, a signer each.

    ``pictured``: the views have vectors of pictures, but for letters of which there are none with
    vectors, and show hands of one side. Else no vectors are used."""

    groups: dict[str, list[Rows]]
    pictured: bool


class ExemplarHands:
    """The views of ``exemplars`` by label and signer.

    ``mixing`` is how often two views of a label are mixed into one. ``signers`` are all there are;
    ``spread (1152,)`` is the standard deviation of each number of the vectors."""

    def __init__(self, exemplars: Exemplars, mixing: float) -> None:
        hands = encode(exemplars.landmarks.astype(np.float64))
        self._hands = hands.replace(wrist=np.zeros_like(hands.wrist))
        self._pictures, self._vectors, self._mixing = exemplars.picture, exemplars.vectors, mixing
        self._pictured: NDArray[np.bool_] = np.any(exemplars.vectors, axis=1)
        self._all = _grouped(exemplars, np.ones(len(exemplars.label), dtype=bool))
        self._with_vectors = _grouped(exemplars, self._pictured)
        right = np.zeros_like(self._pictured)
        if self._pictured.any():
            right[self._pictured] = _right_hands(self._vectors[self._pictured])
        self._sides = [_of_side(self._with_vectors, right == side) for side in (False, True)]
        self.signers = [str(signer) for signer in np.unique(exemplars.signer)]
        some = np.flatnonzero(self._pictured)
        some = some[:: len(some) // _MEASURED + 1]
        known = self._vectors[some].astype(np.float32)
        self.spread: Floats = known.std(axis=0) if len(known) else np.ones(1, np.float32)

    @property
    def labels(self) -> list[str]:
        return list(self._all)

    def cast(self, text: str, rng: np.random.Generator) -> Cast:
        """The hands of a clip of ``text``: mostly one person's, others for what they lack.

        That person is drawn among the signers of its letters (any, if ``text`` is empty)."""
        labels = sorted(set(text) & set(self._all)) or self.labels
        counts = np.array(
            [sum(len(self._all[c].get(who, ())) for c in labels) for who in self.signers], float
        )
        chance = counts**_FLATTENED
        seen_in = [
            any(who in self._with_vectors.get(c, {}) for c in labels) for who in self.signers
        ]
        with_vectors = np.array(seen_in) & (counts > 0)
        if with_vectors.any() and (chance[~with_vectors] > 0).any():
            chance[with_vectors] *= _PICTURED / chance[with_vectors].sum()
            chance[~with_vectors] *= (1 - _PICTURED) / chance[~with_vectors].sum()
        number = rng.choice(len(counts), p=chance / chance.sum())
        person, pictured = self.signers[number], bool(with_vectors[number])
        alone, seen = rng.random() < _ONE_PERSON, self._sides[rng.integers(2)]
        groups = {}
        for label, of_all in self._all.items():
            of_label = seen.get(label, {}) if pictured else of_all
            if not of_label and label:  # hands that spell nothing can be made of others
                of_label = of_all
            if alone and person in of_label:
                groups[label] = [of_label[person]]
            elif of_label:
                groups[label] = list(of_label.values())
        return Cast(groups, pictured)

    def draw(self, label: str, cast: Cast, rng: np.random.Generator) -> Shape:
        """A signer of ``cast``, then a picture, then a view of it; often two of them mixed."""
        groups = cast.groups[label]
        size = np.array([len(g) for g in groups], dtype=float) ** _FLATTENED
        chosen = []
        for _ in range(2 if rng.random() < self._mixing else 1):
            group = groups[rng.choice(len(groups), p=size / size.sum())]
            pictures = np.unique(self._pictures[group])
            of_picture = group[self._pictures[group] == rng.choice(pictures)]
            row = int(rng.choice(of_picture))
            chosen.append(Shape(self._view(row, cast.pictured), row, group))
        first = chosen[0]
        if len(chosen) == 1:
            return first
        mixed = mix(first.pose, chosen[1].pose, rng.uniform(-0.3, 0.9))
        return Shape(mixed, first.row, first.group)

    def near(self, shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats | None]:
        """How another view of the same hand differs from ``shape``: angles ``(1, 5, 4, 2)`` and
        vector ``(1, 1152)`` to be added.

        Of the views that were looked at, it is one of the nearest, by the vectors if there are any.
        """
        others = shape.group[shape.group != shape.row]
        if len(others) > _COMPARED:
            others = rng.choice(others, _COMPARED, replace=False)
        if not len(others):
            return np.zeros((1, 5, 4, 2)), None
        own, vectors = self._view(shape.row, shape.pose.vectors is not None), None
        angles = self._hands.angles[others] - own.angles
        apart = (angles**2).sum(axis=(1, 2, 3))
        if own.vectors is not None:
            vectors = self._vectors[others].astype(np.float32) - own.vectors
            apart = np.einsum("nd,nd->n", vectors, vectors)
        chosen = int(rng.choice(apart.argsort()[:_NEAR]))
        return angles[[chosen]], None if vectors is None else vectors[[chosen]]

    def _view(self, row: int, pictured: bool) -> Articulation:
        hand = self._hands[[row]]
        if not pictured or not self._pictured[row]:
            return hand
        return hand.replace(vectors=self._vectors[[row]].astype(np.float32))


def _grouped(exemplars: Exemplars, keep: NDArray[np.bool_]) -> Groups:
    groups: Groups = {}
    for label in np.unique(exemplars.label[keep]):
        of_label = keep & (exemplars.label == label)
        groups[str(label)] = {
            str(signer): np.flatnonzero(of_label & (exemplars.signer == signer))
            for signer in np.unique(exemplars.signer[of_label])
        }
    return groups


def _of_side(groups: Groups, side: NDArray[np.bool_]) -> Groups:
    """The views of one side; all of a label and signer who has none of that side."""
    return {
        label: {who: rows[side[rows]] if side[rows].any() else rows for who, rows in own.items()}
        for label, own in groups.items()
    }


def _right_hands(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which of ``vectors (N, 1152)`` the hand network takes for right hands: they lie as far from
    those of left hands as a letter's from another's."""
    onnx: Any = require("onnx", extra="train")
    graph = onnx.load_model_from_string(read_hand_network("landmarks")[1]).graph
    makers = {name: node for node in graph.node for name in node.output}
    node = makers["handedness"]
    while node.op_type != "Gemm":
        node = makers[node.input[0]]
    known = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    weight, bias = (known[name] for name in node.input[1:])
    right: NDArray[np.bool_] = vectors.astype(np.float32) @ weight[:, 0] + bias > 0
    return right
