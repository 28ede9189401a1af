"""The bundled open hand: a sound mesh of a plausible hand that bends like one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS, angles_to_hand_pose
from chereme.hand_model.template import BUNDLED, HandTemplate
from tools.open_hand.build import build_template
from tools.open_hand.flesh import hand_surface
from tools.open_hand.kinematics import apply, blend, bone_motions
from tools.open_hand.poses import sample_angles
from tools.open_hand.skeleton import rest_skeleton
from tools.open_hand.statistics import measure, table
from tools.open_hand.surface import REST

DOCS = Path(__file__).resolve().parents[2] / "docs" / "open_hand.md"
SKELETON = rest_skeleton()


@pytest.fixture(scope="module")
def hand() -> HandTemplate:
    return HandTemplate.load("open")


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Cubic centimetres, by the divergence theorem."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6 * 1e6)


def posed(hand: HandTemplate, degrees: dict[str, tuple[float, float, float]]) -> np.ndarray:
    """Vertices with the given flexions of digits (millimetres of the generator are metres here)."""
    angles = np.zeros((15, 3))
    for digit, flexions in degrees.items():
        for joint, flexion in zip(DIGIT_JOINTS[digit], flexions, strict=True):
            angles[joint - 1, 0] = np.radians(flexion)
    return skinned(hand, angles_to_hand_pose(angles, hand.extras["joint_axes"]))


def skinned(hand: HandTemplate, hand_pose: np.ndarray, correctives: bool = True) -> np.ndarray:
    joints = hand.joint_regressor @ hand.v_template
    motions = bone_motions(joints, hand_pose)
    local = [motions[p, :3, :3].T @ motions[j, :3, :3] for j, p in enumerate(hand.parents) if j]
    features = (np.stack(local) - np.eye(3)).reshape(-1)
    shaped = hand.v_template + correctives * hand.posedirs @ features
    return apply(blend(hand.weights, motions), shaped)


def owned(hand: HandTemplate, digit: str) -> np.ndarray:
    """Vertices that the last two bones of a digit move almost alone."""
    return hand.weights[:, list(DIGIT_JOINTS[digit][1:])].sum(1) > 0.95


def test_it_is_small_and_free(hand: HandTemplate) -> None:
    assert BUNDLED["open"].stat().st_size < 700_000
    assert 1000 <= len(hand.v_template) <= 1500
    assert (hand.name, hand.side, hand.licence) == ("open", "right", "MIT")


def test_the_mesh_is_closed_oriented_and_of_one_piece(hand: HandTemplate) -> None:
    faces = hand.faces.tolist()
    directed = {(a, b) for f in faces for a, b in zip(f, f[1:] + f[:1], strict=True)}
    assert len(directed) == 3 * len(faces)
    assert all((b, a) in directed for a, b in directed)
    assert len(hand.v_template) - len(directed) // 2 + len(faces) == 2
    reached, border = {0}, {0}
    neighbours: dict[int, set[int]] = {}
    for a, b in directed:
        neighbours.setdefault(a, set()).add(b)
    while border:
        border = {n for v in border for n in neighbours[v]} - reached
        reached |= border
    assert len(reached) == len(hand.v_template)


def test_triangles_are_well_shaped(hand: HandTemplate) -> None:
    corners = hand.v_template[hand.faces]
    angles = []
    for k in range(3):
        one, other = (corners[:, (k + n) % 3] - corners[:, k] for n in (1, 2))
        cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        angles.append(np.degrees(np.arccos(cosine)))
    smallest = np.min(angles, axis=0)
    assert smallest.min() > 15
    assert np.median(smallest) > 40


def test_it_has_the_volume_of_a_hand(hand: HandTemplate) -> None:
    """Hands displace 250-500 ml of water to the wrist; the stump adds 60."""
    assert 280 < volume(hand.v_template, hand.faces) < 500


def test_it_lies_in_the_frame_of_mano(hand: HandTemplate) -> None:
    joints = hand.joint_regressor @ hand.v_template
    np.testing.assert_allclose(joints[4], 0, atol=1e-6)  # the middle knuckle
    ends = hand.v_template[list(hand.tips["end"])]
    assert (ends[1:, 0] < -0.04).all()  # fingers to -x
    assert joints[13, 2] > joints[1, 2] - 0.01 > joints[4, 2] > joints[7, 2]  # thumb to +z
    nail = hand.extras["nail"][:, None]
    middle = owned(hand, "middle")
    assert (hand.v_template * nail)[middle].sum(0)[1] / nail[middle].sum() > 0.002  # nails to +y


def test_vertices_lie_on_the_surface_that_anatomy_describes(hand: HandTemplate) -> None:
    distance = hand_surface(SKELETON).distance(hand.v_template * 1e3, REST)
    assert abs(distance).max() < 0.02


def test_joints_are_those_of_the_skeleton_and_means_of_near_vertices(hand: HandTemplate) -> None:
    regressor = hand.joint_regressor
    np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-5)
    joints = regressor @ hand.v_template
    np.testing.assert_allclose(joints * 1e3, SKELETON.joints, atol=2e-3)
    for j, joint in enumerate(joints):
        used = np.nonzero(regressor[j])[0]
        assert len(used) <= 80
        assert np.linalg.norm(hand.v_template[used] - joint, axis=1).max() < 0.055


def test_every_beta_lengthens_bones_along_themselves(hand: HandTemplate) -> None:
    """The shape model scales bones, so the regressed joints must keep each bone's direction."""
    dirs = np.einsum("jv,vcb->jcb", hand.joint_regressor, hand.shapedirs)
    for first, second, third in DIGIT_JOINTS.values():
        for a, b in ((first, second), (second, third)):
            growth = dirs[b] - dirs[a]
            along = hand.extras["joint_axes"][a - 1][:, 1]
            off = growth - np.outer(along, along @ growth)
            assert abs(off).max() < 2e-6
            assert abs(growth).max() > 1e-4


def test_betas_have_unit_variance_of_real_hands(hand: HandTemplate) -> None:
    """Half men (194 +- 9.9 mm), half women (180.5 +- 9.7 mm): 187.2 +- 11.9 mm.

    The crease from which that is measured lies 7 mm before the wrist's centre."""
    rows = {row.name: row for row in measure(hand, count=2000)}
    length = rows["reach: wrist to middle tip"]
    assert length.mean + 7 == pytest.approx(187.2, abs=2.5)
    assert length.sd == pytest.approx(11.9, abs=1.5)
    assert rows["middle proximal"].sd == pytest.approx(3.8, abs=1.0)
    norms = np.linalg.norm(hand.shapedirs, axis=(0, 1))
    assert (np.diff(norms) < 0).all()


def test_weights_never_cross_to_another_finger(hand: HandTemplate) -> None:
    assert hand.weights.min() >= 0
    assert (hand.weights > 0).sum(1).max() <= 4
    for digit in DIGITS:
        mine = owned(hand, digit)
        others = [j for d in DIGITS if d != digit for j in DIGIT_JOINTS[d]]
        assert mine.sum() > 60
        assert hand.weights[np.ix_(mine, others)].max() == 0


@pytest.mark.parametrize("digit", DIGITS)
def test_a_bending_finger_leaves_the_others_alone(hand: HandTemplate, digit: str) -> None:
    moved = np.linalg.norm(posed(hand, {digit: (40, 60, 40)}) - hand.v_template, axis=1)
    for other in DIGITS:
        if other == digit:
            assert moved[owned(hand, other)].min() > 0.01
        else:
            assert moved[owned(hand, other)].max() < 1e-6


def test_bent_fingers_do_not_collapse(hand: HandTemplate) -> None:
    """Volume changes by a few per cent at most, less with the corrective shapes than without."""
    fingers = ("index", "middle", "ring", "little")
    rest = volume(hand.v_template, hand.faces)
    bent = volume(posed(hand, dict.fromkeys(fingers, (0.0, 100.0, 60.0))), hand.faces)
    assert abs(bent / rest - 1) < 0.04


def test_correctives_halve_the_distance_to_the_posed_surface(hand: HandTemplate) -> None:
    """On poses that were not used to fit them, over the vertices that have any."""
    surface = hand_surface(SKELETON)
    touched = np.abs(hand.posedirs).sum((1, 2)) > 0
    errors = np.zeros((8, 2))
    limits = hand.extras["pose_limits"]
    for k, angles in enumerate(sample_angles(limits, len(errors), seed=11)):
        hand_pose = angles_to_hand_pose(angles, hand.extras["joint_axes"])
        motions = bone_motions(SKELETON.joints, hand_pose)
        for correctives in (False, True):
            skin = skinned(hand, hand_pose, correctives)[touched] * 1e3
            errors[k, int(correctives)] = abs(surface.distance(skin, motions)).mean()
    without, with_them = errors.mean(0)
    assert with_them < 0.6 * without
    assert with_them < 0.5


def test_poses_keep_within_limits_and_span_everything(hand: HandTemplate) -> None:
    limits, axes = hand.extras["pose_limits"], hand.extras["joint_axes"]
    assert (limits[..., 0] < 0).all()
    assert (limits[..., 1] > 0).all()
    np.testing.assert_allclose(hand.components @ hand.components.T, np.eye(45), atol=1e-5)
    poses = angles_to_hand_pose(sample_angles(limits, 3000, seed=5), axes).reshape(-1, 45)
    scores = (poses - hand.pose_mean) @ hand.components.T
    spread = scores.std(0)
    assert (np.diff(spread) < 0.03).all()  # by falling variance
    assert (spread[:6] ** 2).sum() / (spread**2).sum() > 0.6  # MANO's six make most of a grasp
    closed = posed_by_pca(hand, 2 * spread[0])
    opened = posed_by_pca(hand, -2 * spread[0])
    middle = hand.tips["end"][2]
    assert closed[middle, 0] > opened[middle, 0] + 0.05


def posed_by_pca(hand: HandTemplate, first: float) -> np.ndarray:
    return skinned(hand, (hand.pose_mean + first * hand.components[0]).reshape(15, 3))


def test_fingertips_lie_on_the_pads(hand: HandTemplate) -> None:
    for row, digit in enumerate(DIGITS):
        axes = hand.extras["joint_axes"][DIGIT_JOINTS[digit][-1] - 1]
        pad, end = (hand.v_template[hand.tips[name][row]] for name in ("pad", "end"))
        back, out = (end - pad) @ axes[:, 1], (pad - end) @ axes[:, 2]
        assert 0.001 < back < 0.008
        assert out > 0.001


def test_attributes_are_where_they_belong(hand: HandTemplate) -> None:
    for name in ("palmar", "nail", "crease", "flush"):
        values = hand.extras[name]
        assert values.shape == (len(hand.v_template),)
        assert values.min() >= 0
        assert values.max() <= 1.0 + 1e-6
    nail, palmar = hand.extras["nail"], hand.extras["palmar"]
    assert palmar[nail > 0.5].max() < 0.3
    for digit in DIGITS:
        plate = owned(hand, digit) & (nail > 0.5)
        assert plate.sum() >= 6
        span = np.ptp(hand.v_template[plate], axis=0)
        assert 0.006 < np.linalg.norm(span) < 0.025


def test_the_distances_in_the_docs_are_those_that_the_command_prints(hand: HandTemplate) -> None:
    docs, rows = DOCS.read_text(encoding="utf-8"), measure(hand)
    lacking = [row for row in rows if f" {row.mean:.1f}" not in docs]
    assert len(lacking) == 2  # across the knuckles, and from the thumb's tip to the little finger's
    assert all(f"{row.mean:.1f} ± {row.sd:.1f}" in table(rows) for row in rows)
    assert np.mean([row.sd / row.mean for row in rows]) == pytest.approx(0.07, abs=0.005)


@pytest.mark.slow
def test_the_generator_makes_the_bundled_file(hand: HandTemplate) -> None:
    """But for the correctives, of which those of a knuckle and of the thumb's last joint do."""
    corrected = (4, 15)
    made = build_template(corrected)
    np.testing.assert_array_equal(made.faces, hand.faces)
    for joint in range(1, 16):
        columns = np.s_[..., 9 * (joint - 1) : 9 * joint]
        expected = hand.posedirs[columns] * (joint in corrected)
        np.testing.assert_allclose(made.posedirs[columns], expected, atol=1e-5)
    for name in ("v_template", "shapedirs"):
        np.testing.assert_allclose(getattr(made, name), getattr(hand, name), atol=1e-5)
    for name in ("weights", "joint_regressor", "components", "pose_mean"):
        np.testing.assert_allclose(getattr(made, name), getattr(hand, name), atol=1e-4)
    for name, array in hand.extras.items():
        np.testing.assert_allclose(made.extras[name], array, atol=1e-4)
    assert made.tips == hand.tips
