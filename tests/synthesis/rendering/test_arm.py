"""Arms that grow out of a hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.errors import InputError
from chereme.synthesis.rendering import SKIN, Arm, ArmShape, Mesh, SkinTone
from chereme.synthesis.rendering.shapes import tube

FRAME = np.stack([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]], 1)  # upright, palm to the camera
WRIST = np.array([0.02, 0.05, 0.5])


def a_hand() -> Mesh:
    """A mitten with a stump: closed, upright, its wrist at ``WRIST``, the palm towards -z."""
    y = np.linspace(-0.17, 0.03, 41)
    axis = np.stack([0 * y, y, 0 * y], 1) + WRIST
    wide = np.interp(y, [-0.17, -0.15, -0.05, 0.0, 0.03], [0.01, 0.04, 0.042, 0.031, 0.028])
    radii = np.stack([wide, 0.5 * wide + 0.004], 1)
    vertices, faces = tube(axis, np.array([1.0, 0, 0]), radii, 24, caps=True)
    palm = (vertices[:, 2:] < WRIST[2]).astype(float)
    tone = SkinTone(30)
    colour = tone.albedo(palmar=palm[:, 0])
    return Mesh(vertices, faces, colour, tone.glosses(palm[:, 0]), SKIN, vertices)


def an_arm(**shape: float) -> tuple[Arm, Mesh]:
    hand = a_hand()
    return Arm(ArmShape(**shape), SkinTone(30), (0.1, 0.2, 0.3), hand, WRIST, FRAME, 4), hand


def directions(share: float) -> list[np.ndarray]:
    """Of forearms, for wrists bent to this share of 40 degrees sideways, 60 to palm or back."""
    around = np.arange(8) * np.pi / 4
    angles = np.radians(share / np.hypot(np.cos(around) / 40, np.sin(around) / 60))
    return [
        np.array([np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)])
        for a, b in zip(angles, around, strict=True)
    ]


def face_normals(mesh: Mesh) -> np.ndarray:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def neighbours(faces: np.ndarray) -> np.ndarray:
    """``(E, 2)`` the faces on both sides of each edge that has two."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    order = np.lexsort(edges.T)
    same = (np.diff(edges[order], axis=0) == 0).all(axis=1)
    face = np.tile(np.arange(len(faces)), 3)[order]
    return np.stack([face[:-1][same], face[1:][same]], 1)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_there_is_no_seam_however_the_wrist_is_bent(share):
    arm, hand = an_arm(sleeve=1.4)
    for way in directions(share):
        skin, _ = arm.place(hand.vertices, WRIST, FRAME, WRIST + 0.25 * way)
        pairs = neighbours(skin.faces)
        edges = 3 * len(skin.faces)
        assert 2 * len(pairs) == edges - 24  # all but the rim under the sleeve
        normals = face_normals(skin)
        middle = skin.vertices[skin.faces].mean(axis=1)[pairs[:, 0]] - WRIST
        near = (np.linalg.norm(middle, axis=1) < 0.08) & (middle[:, 1] > -0.03)
        bend = (normals[pairs[near, 0]] * normals[pairs[near, 1]]).sum(1)
        # Less than the angle between the 24 columns of the mitten's narrow side.
        assert np.degrees(np.arccos(np.clip(bend, -1, 1))).max() < 50


def test_colour_and_detail_go_on_across_the_rim():
    arm, hand = an_arm(sleeve=1.4)
    skin, _ = arm.place(hand.vertices, WRIST, FRAME, WRIST + np.array([0, 0.25, 0]))
    edges = np.concatenate([skin.faces[:, [0, 1]], skin.faces[:, [1, 2]], skin.faces[:, [2, 0]]])
    count = len(hand.vertices)
    across = (edges < count).sum(axis=1) == 1
    a, b = edges[across].T
    assert len(a) >= 48
    # The palm's side changes at the mitten's edge: compare with the same side of the hand.
    front = (skin.vertices[a, 2] < WRIST[2] - 0.005) & (skin.vertices[b, 2] < WRIST[2] - 0.005)
    change = np.abs(skin.colour[a] - skin.colour[b])[front].max()
    palm, back = hand.colour.max(axis=0), hand.colour.min(axis=0)
    assert change < 0.15 * (palm - back).max()
    apart = np.linalg.norm(skin.detail[a] - skin.detail[b], axis=1)
    np.testing.assert_allclose(
        apart, np.linalg.norm(skin.vertices[a] - skin.vertices[b], axis=1), rtol=0.1
    )
    # The inside of the forearm stays the lighter one.
    own = skin.vertices[count:]
    inner = own[:, 2] < WRIST[2] - 0.01
    assert skin.colour[count:][inner].mean() > 1.1 * skin.colour[count:][~inner].mean()


def test_the_hand_stays_as_it_is_above_the_wrist():
    arm, hand = an_arm(sleeve=0.6)
    skin, _ = arm.place(hand.vertices, WRIST, FRAME, WRIST + np.array([0.2, 0.15, 0]))
    above = hand.vertices[:, 1] < WRIST[1] - 0.013
    np.testing.assert_array_equal(skin.vertices[: len(hand.vertices)][above], hand.vertices[above])
    moved = np.linalg.norm(skin.vertices[: len(hand.vertices)] - hand.vertices, axis=1)
    level = np.abs(hand.vertices[:, 1] - WRIST[1]) < 0.003
    assert moved[level].max() < 0.006


@pytest.mark.parametrize("length", [0.2, 0.25, 0.3])
def test_the_arm_goes_through_elbow_and_shoulder(length):
    arm, hand = an_arm(length=0.25, upper=0.29, sleeve=0.3)
    elbow = WRIST + np.array([0.0, length, 0.0])
    shoulder = elbow + np.array([0.1, -0.2, 0.2])
    _, sleeve = arm.place(hand.vertices, WRIST, FRAME, elbow, shoulder)
    rings = sleeve.vertices.reshape(-1, 26, 3).mean(axis=1)
    # The axis passes the rounded corner, and goes on a little beyond the shoulder.
    assert 0.005 < np.linalg.norm(rings - elbow, axis=1).min() < 0.045
    assert np.linalg.norm(rings - shoulder, axis=1).min() < 0.012
    upper = (shoulder - elbow) / 0.3
    last = rings[-1] - shoulder
    assert last @ upper == pytest.approx(0.045, abs=0.012)
    assert np.linalg.norm(np.cross(last, upper)) < 0.005
    first = np.linalg.norm(rings[0] - WRIST)
    assert first == pytest.approx(0.3 * length, abs=0.02)


def test_the_sleeve_is_round_the_skin():
    arm, hand = an_arm(sleeve=0.3, looseness=0.005)
    skin, sleeve = arm.place(hand.vertices, WRIST, FRAME, WRIST + np.array([0, 0.25, 0]))
    cuff = sleeve.vertices.reshape(-1, 26, 3)[2]
    own = skin.vertices[len(hand.vertices) :]
    under = own[np.abs(own[:, 1] - cuff[:, 1].mean()) < 0.008]
    assert len(under) >= 24
    for axis in (0, 2):
        assert np.ptp(cuff[:, axis]) > np.ptp(under[:, axis]) + 0.006


def test_a_left_hands_arm_is_the_mirror_image():
    right, hand = an_arm(sleeve=0.6)
    mirrored = hand.replace(
        vertices=hand.vertices * [-1, 1, 1], faces=hand.faces[:, ::-1], detail=None
    )
    wrist, frame = WRIST * [-1, 1, 1], FRAME * np.array([[-1.0], [1.0], [1.0]])
    left = Arm(ArmShape(sleeve=0.6), SkinTone(30), (0.1, 0.2, 0.3), mirrored, wrist, frame, 4)
    elbow, shoulder = WRIST + np.array([0.1, 0.2, 0.05]), WRIST + np.array([0.2, 0.0, 0.2])
    ours = right.place(hand.vertices, WRIST, FRAME, elbow, shoulder)
    theirs = left.place(mirrored.vertices, wrist, frame, elbow * [-1, 1, 1], shoulder * [-1, 1, 1])
    # The rims are run through in opposite directions: compare the clouds, and the outsides.
    for one, other in zip(ours, theirs, strict=True):
        flipped = other.vertices * [-1, 1, 1]
        far = np.linalg.norm(one.vertices[:, None] - flipped[None], axis=-1)
        assert far.min(axis=1).max() < 1e-9
        assert _volume(one) * _volume(other) > 0


def _volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] - mesh.vertices.mean(axis=0) for k in range(3))
    return float(np.einsum("fi,fi->", a, np.cross(b, c)))


def test_scaled_and_sampled_shapes():
    shape = ArmShape()
    large = shape.scaled(1.2)
    assert large.length == pytest.approx(1.2 * shape.length)
    assert large.elbow[1] == pytest.approx(1.2 * shape.elbow[1])
    assert large.sleeve == shape.sleeve
    rng = np.random.default_rng(0)
    sleeves = np.array([ArmShape.sample(rng).sleeve for _ in range(200)])
    assert 0.2 < (sleeves > 1).mean() < 0.5  # short sleeves
    assert sleeves.max() < 2


def test_a_hand_without_a_clean_opening_is_refused():
    hand = a_hand()
    holes = hand.replace(faces=hand.faces[5:])
    with pytest.raises(InputError, match="cannot be cut open below the wrist"):
        Arm(ArmShape(), SkinTone(40), (0.1, 0.1, 0.1), holes, WRIST, FRAME)
