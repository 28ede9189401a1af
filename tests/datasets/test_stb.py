import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from chereme.datasets import stb
from chereme.errors import InputError, UsageError
from chereme.hands.skeleton import JOINT_NAMES

# The order of the README of the data set.
PUBLISHED_ORDER = ["palm"] + [
    f"{finger}_{joint}"
    for finger in ("little", "ring", "middle", "index", "thumb")
    for joint in ("mcp", "pip", "dip", "tip")
]


def hand(frames=2, depth=600.0):
    """Joint j of frame t at (10 j, 100 + j, depth + t) mm, in the published order: (3, 21, T)."""
    j, t = np.meshgrid(np.arange(21.0), np.arange(float(frames)), indexing="ij")
    return np.stack([10 * j, 100 + j, depth + t])


@pytest.fixture
def made(tmp_path):
    def make(**sequences):
        (tmp_path / "labels").mkdir(exist_ok=True)
        for name, joints in sequences.items():
            savemat(tmp_path / f"labels/{name}.mat", {"handPara": joints})
        return tmp_path

    return make


def test_order_is_mediapipes():
    ours = [PUBLISHED_ORDER[place] for place in stb.TO_MEDIAPIPE]
    assert ours[0] == "palm"
    assert ours[5:] == list(JOINT_NAMES[5:])
    assert ours[1:5] == ["thumb_mcp", "thumb_pip", "thumb_dip", "thumb_tip"]


def metres(sequence, camera):
    """``(T, 21, 2)`` x/z and y/z of the joints, which is what a camera sees of them."""
    pixels = sequence.clip.joints[:, 0]
    return (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)


def test_golden_row_of_the_stereo_camera(made):
    root = made(B1Counting_BB=hand(), B2Random_BB=hand(3))
    first, second = stb.read(root, "left", wrist="palm", clip_frames=5).items
    assert [(s.id, s.split, s.frames) for s in (first, second)] == [
        ("B1Counting/00000", "test", 2),
        ("B2Random/00000", "train", 3),
    ]
    assert first.clip.present.tolist() == [[True, False]] * 2  # a left hand
    # In the published order: 0 (palm), 17 (base of the thumb), 16 (tip of the index finger),
    # 1 and 4 (base and tip of the little finger).
    seen = metres(first, stb._CAMERAS["left"])
    golden = {0: (0, 100), 1: (170, 117), 8: (160, 116), 17: (10, 101), 20: (40, 104)}
    for joint, (x, y) in golden.items():
        assert seen[0, joint] == pytest.approx((x / 600, y / 600), abs=1e-5)
        assert seen[1, joint] == pytest.approx((x / 601, y / 601), abs=1e-5)
    assert first.clip.joints[0, 0, 0] == pytest.approx((318.47345, 250.31296 + 822.79041 / 6))


def test_the_wrist_is_estimated_from_the_palm(made):
    (sequence,) = stb.read(made(B1Counting_BB=hand(1)), "left").items
    # The palm is (0, 100, 600), the knuckle of the middle finger, number 9, is (90, 109, 600).
    seen = metres(sequence, stb._CAMERAS["left"])
    assert seen[0, 9] == pytest.approx((90 / 600, 109 / 600), abs=1e-5)
    assert seen[0, 0] == pytest.approx((-90 / 600, 91 / 600), abs=1e-5)


def test_the_other_cameras(made):
    root = made(B1Counting_BB=hand(1), B1Counting_SK=hand(1))
    palms = {}
    for view, camera in stb._CAMERAS.items():
        (sequence,) = stb.read(root, view, wrist="palm").items
        palms[view] = metres(sequence, camera)[0, 3]
    there = np.array(hand()[:, stb.TO_MEDIAPIPE[3], 0])
    rotation = Rotation.from_rotvec([0.00531, -0.01196, 0.00301]).as_matrix()
    # The README: what the colour camera sees, moved to the depth camera, is the label.
    colour = rotation.T @ (there - [-24.0381, -0.4563, -1.2326])
    for view, point in {
        "left": there,
        "right": there - [120.054, 0, 0],
        "depth": there,
        "color": colour,
    }.items():
        assert palms[view] == pytest.approx(point[:2] / point[2], abs=1e-5), view


def test_sequences_are_cut_into_clips(made):
    root = made(B1Counting_BB=hand(5))
    single = stb.read(root, "left").items
    assert [(s.id, s.frames) for s in single] == [(f"B1Counting/{n:05d}", 1) for n in range(5)]
    assert {s.clip.entry.signer for s in single} == {"B1Counting"}
    pairs = stb.read(root, "left", clip_frames=2).items
    assert [(s.id, s.frames) for s in pairs] == [
        ("B1Counting/00000", 2),
        ("B1Counting/00002", 2),
        ("B1Counting/00004", 1),
    ]
    joints = [np.concatenate([s.clip.joints for s in found]) for found in (single, pairs)]
    np.testing.assert_array_equal(*joints)
    assert np.ptp(joints[0][:, 0, 5, 0]) > 0  # the hand moves


def test_a_part_is_enough_and_the_rest_is_counted(made):
    behind = hand()
    behind[2, 5, 1] = -1
    root = made(B1Random_SK=behind, B2Counting_SK=np.zeros((3, 20, 4)))
    (root / "labels/B2Random_SK.mat").write_bytes(b"no such file")
    found = stb.read(root, "depth")
    assert [(s.id, s.frames) for s in found.items] == [("B1Random/00000", 1)]
    assert found.skipped() == {
        "not on disk": 9,
        "file of another layout": 2,
        "hand not before the camera": 1,
    }
    assert found.split("train") == ()


def test_broken_input(made, tmp_path):
    with pytest.raises(InputError, match="none of 12 rows can be used: 12 not on disk"):
        stb.read(tmp_path)
    with pytest.raises(UsageError, match="view: expected color, depth, left, right, got BB"):
        stb.read(tmp_path, "BB")
    with pytest.raises(UsageError, match="clip_frames: expected at least 1, got 0"):
        stb.read(made(B1Counting_SK=hand()), clip_frames=0)
    with pytest.raises(UsageError, match="wrist: expected estimated, palm, got none"):
        stb.read(tmp_path, wrist="none")
