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


def test_golden_row_of_the_stereo_camera(made):
    found = stb.read(made(B1Counting_BB=hand(), B2Random_BB=hand(3)), "left", wrist="palm")
    first, second = found.sequences
    assert (first.id, first.split, second.id, second.split) == (
        *("B1Counting", "test"),
        *("B2Random", "train"),
    )
    assert first.joints.shape == (2, 21, 3)
    # In the published order: 0 (palm), 17 (base of the thumb), 16 (tip of the index finger),
    # 1 and 4 (base and tip of the little finger).
    golden = {
        0: (0.0, 0.100, 0.600),
        1: (0.170, 0.117, 0.600),
        8: (0.160, 0.116, 0.600),
        17: (0.010, 0.101, 0.600),
        20: (0.040, 0.104, 0.600),
    }
    for joint, position in golden.items():
        assert first.joints[0, joint] == pytest.approx(position)
    assert first.joints[1, 0, 2] == pytest.approx(0.601)
    assert first.pixels[0, 0] == pytest.approx((318.47345, 250.31296 + 822.79041 / 6))
    assert first.pictures == ("B1Counting/BB_left_0.png", "B1Counting/BB_left_1.png")
    assert first.side == "left"


def test_the_wrist_is_estimated_from_the_palm(made):
    (sequence,) = stb.read(made(B1Counting_BB=hand()), "left").sequences
    # The palm is (0, 100, 600), the knuckle of the middle finger, number 9, is (90, 109, 600).
    assert sequence.joints[0, 9] == pytest.approx((0.090, 0.109, 0.600))
    assert sequence.joints[0, 0] == pytest.approx((-0.090, 0.091, 0.600))
    assert (sequence.joints[0, 0] + sequence.joints[0, 9]) / 2 == pytest.approx((0, 0.1, 0.6))


def test_the_other_cameras(made):
    root = made(B1Counting_BB=hand(), B1Counting_SK=hand())
    joints = {
        view: stb.read(root, view, wrist="palm").sequences[0].joints
        for view in ("left", "right", "depth", "color")
    }
    assert joints["right"] == pytest.approx(joints["left"] - (0.120054, 0, 0))
    assert joints["depth"] == pytest.approx(joints["left"])
    rotation = Rotation.from_rotvec([0.00531, -0.01196, 0.00301]).as_matrix()
    # As the README says: what the colour camera sees, moved to the depth camera, is the label.
    there = joints["color"] @ rotation.T + np.array([-24.0381, -0.4563, -1.2326]) / 1000
    assert there == pytest.approx(joints["depth"])
    color = stb.read(root, "color", wrist="palm")
    assert color.camera.fx == 607.92271
    assert color.sequences[0].pixels == pytest.approx(color.camera.project(joints["color"]))
    assert color.sequences[0].pictures[1] == "B1Counting/SK_color_1.png"


def test_a_part_is_enough_and_the_rest_is_counted(made):
    behind = hand()
    behind[2, 5, 1] = -1
    root = made(B1Random_SK=behind, B2Counting_SK=np.zeros((3, 20, 4)))
    (root / "labels/B2Random_SK.mat").write_bytes(b"no such file")
    found = stb.read(root, "depth")
    assert [(s.id, s.joints.shape[0], s.pictures) for s in found.sequences] == [
        ("B1Random", 1, ("B1Random/SK_depth_0.png",))
    ]
    reasons = [finding.reason for finding in found.findings]
    assert reasons.count("not on disk") == 9
    assert reasons.count("file of another layout") == 2
    assert reasons.count("hand not before the camera") == 1
    assert "STB, depth: 1 frames in 1 sequences" in found.report()
    assert "test: 1 frames in 1 sequences" in found.report()
    assert found.split("train") == ()


def test_broken_input(made, tmp_path):
    with pytest.raises(InputError, match="got none: 12 not on disk"):
        stb.read(tmp_path)
    with pytest.raises(UsageError, match="view: expected color, depth, left, right, got 'BB'"):
        stb.read(tmp_path, "BB")
    with pytest.raises(UsageError, match="wrist: expected estimated or palm"):
        stb.read(tmp_path, wrist="none")
