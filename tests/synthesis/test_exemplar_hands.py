"""Whose hands a clip has, and which views of them are near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chereme.datasets.exemplars import Exemplars
from chereme.hands.networks import read_hand_network
from chereme.synthesis.exemplar_hands import ExemplarHands


@pytest.fixture
def two_people(exemplars: Exemplars) -> Exemplars:
    """Vectors say who it is, 1 or 2, and the number of the view."""
    who = 1.0 + (exemplars.signer == "two")
    vectors = np.zeros((len(who), 1152))
    vectors[:, 0], vectors[:, 1] = who, np.arange(len(who))
    return replace(exemplars, vectors=vectors.astype(np.float16))


def test_letters_of_one_person_belong_together(two_people: Exemplars) -> None:
    hands, rng = ExemplarHands(two_people, 0.5), np.random.default_rng(0)
    assert hands.signers == ["one", "two"]
    people = []
    for _ in range(300):
        cast = hands.cast("dog", rng)
        drawn = [hands.draw(letter, cast, rng).pose.vectors for letter in "dog" * 4]
        people.append({*np.concatenate(drawn)[:, 0].tolist()})
    assert np.mean([who == {1.0} for who in people]) == pytest.approx(0.3, abs=0.08)
    assert np.mean([who == {2.0} for who in people]) == pytest.approx(0.3, abs=0.08)


def test_letters_that_a_person_lacks_are_another_s(two_people: Exemplars) -> None:
    few = (two_people.signer == "one") | np.isin(two_people.label, ["d", "o"])
    names = ("landmarks", "label", "signer", "picture", "vectors")
    some = replace(two_people, **{name: getattr(two_people, name)[few] for name in names})
    hands, rng = ExemplarHands(some, 0.0), np.random.default_rng(0)
    for _ in range(40):
        assert hands.draw("g", hands.cast("dog", rng), rng).pose.vectors[0, 0] == 1.0
    # Who has none of the letters is not drawn, so it is signer one's clip.
    assert {len(hands.cast("g", rng).groups["g"]) for _ in range(20)} == {1}


def test_no_vectors_beside_hands_without(two_people: Exemplars) -> None:
    vectors = two_people.vectors * (two_people.signer == "one")[:, None]
    hands = ExemplarHands(replace(two_people, vectors=vectors), 0.0)
    rng = np.random.default_rng(0)
    casts = [hands.cast("dog", rng) for _ in range(100)]
    assert {cast.pictured for cast in casts} == {True, False}
    for cast in casts:
        drawn = [hands.draw(letter, cast, rng).pose.vectors for letter in "dogs"]
        assert all((vector is not None) == cast.pictured for vector in drawn)


@pytest.mark.parametrize("pictured", [True, False])
def test_near_views(pictured: bool) -> None:
    """Of 40 views of a letter the nearest four, by the vectors if there are any."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 21, 3)).astype(np.float32)
    vectors = np.zeros((40, 1152), np.float16)
    if pictured:
        vectors[:, 0] = 1 + np.arange(40)
    a = np.array(["a"] * 40)
    none = np.zeros((0, 24, 21, 3)), np.array([], str), np.array([], str)
    hands = ExemplarHands(Exemplars(points, a, a, np.arange(40), *none, vectors), 0.0)
    shape = hands.draw("a", hands.cast("a", rng), rng)
    found = [hands.near(shape, rng) for _ in range(60)]
    own = hands._hands.angles[shape.row]
    apart = ((hands._hands.angles - own) ** 2).sum(axis=(1, 2, 3))
    if pictured:
        apart = np.abs(np.arange(40) - shape.row)
    nearest = {*(apart.argsort(kind="stable")[1:5]).tolist()}
    chosen = set()
    for angles, vector in found:
        row = int(np.abs(hands._hands.angles - own - angles).sum(axis=(1, 2, 3)).argmin())
        chosen.add(row)
        if pictured:
            assert vector is not None
            assert vector[0, 0] == row - shape.row
        else:
            assert vector is None
    # Two views at the same distance may stand for each other.
    assert len(chosen) == 4
    assert sorted(apart[[*chosen]]) == sorted(apart[[*nearest]])


def test_a_single_view_has_none_near(exemplars: Exemplars) -> None:
    one = Exemplars(
        exemplars.landmarks[:1],
        np.array(["a"]),
        np.array(["one"]),
        np.array([0]),
        exemplars.motion_landmarks[:0],
        exemplars.motion_label[:0],
        exemplars.motion_signer[:0],
    )
    hands, rng = ExemplarHands(one, 0.5), np.random.default_rng(0)
    angles, vector = hands.near(hands.draw("a", hands.cast("", rng), rng), rng)
    assert not angles.any()
    assert vector is None


def test_vectors_of_a_clip_are_of_hands_of_one_side(two_people: Exemplars) -> None:
    """Half of the views as of right hands: those that the network's own last layer takes so."""
    rng = np.random.default_rng(0)
    onnx = pytest.importorskip("onnx")
    graph = onnx.load_model_from_string(read_hand_network("landmarks")[1]).graph
    (weight,) = (onnx.numpy_helper.to_array(i) for i in graph.initializer if i.name == "gemm_1.1")
    toward = np.maximum(weight[:, 0], 0), np.maximum(-weight[:, 0], 0)
    side = rng.permutation(len(two_people.label)) % 2 == 0
    vectors = np.where(side[:, None], *toward) * 5
    hands = ExemplarHands(replace(two_people, vectors=vectors.astype(np.float16)), 0.0)
    known, sides = hands._all, {True: 0, False: 0}
    for _ in range(60):
        cast = hands.cast("hello", rng)
        wanted = next(
            side[hands.draw(c, cast, rng).row]
            for c in "abcdefghijklm"
            if len({*side[np.concatenate([*known[c].values()])]}) == 2
            and all(len({*side[rows]}) == 2 for rows in known[c].values())
        )
        sides[bool(wanted)] += 1
        for label in "abcdefghijklmnopqrstuvwxyz":
            for rows in cast.groups[label]:
                both = next(own for own in known[label].values() if rows[0] in own)
                assert (side[rows] == wanted).all() or len({*side[both]}) == 1
    assert min(sides.values()) > 15
