from dataclasses import replace

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.formats.poses import write_landmarks
from chereme.formats.tracks.dwpose import dwpose, dwpose_of_frames
from chereme.formats.tracks.maps import primedepth, sapiens
from chereme.formats.tracks.mediapipe import mediapipe, mediapipe_of_landmarks, mediapipe_of_pose
from chereme.formats.tracks.smplerx import SMPLX_ORDER, smplerx
from chereme.types import Landmarks


def landmarks(frames=3):
    rng = np.random.default_rng(0)
    xyz = rng.uniform(50, 150, (frames, 2, 21, 3)).astype(np.float32)
    confidence = np.ones((frames, 2, 21), np.float32)
    confidence[1, 0] = 0
    xyz[1, 0] = np.nan
    times = np.arange(frames) / 25
    return Landmarks(xyz, confidence, times, 200, 400, ("right", "left"))


# -- MediaPipe -------------------------------------------------------------------------------------
def test_zeros_of_mediapipe_rows_are_missing():
    rows = np.random.default_rng(0).uniform(0.1, 1, (4, 258))
    rows[1, 132:195] = 0  # no left hand
    rows[2] = 0
    clip = mediapipe(rows)
    track = clip.values["mediapipe"]
    assert np.isnan(track[1]).sum() == 63
    assert clip.present["mediapipe"].tolist() == [True, True, False, True]
    with pytest.raises(InputError, match=r"\(frames, 258\) numbers, got \(4, 225\)"):
        mediapipe(rows[:, :225])


def test_real_rows_in_which_hands_come_and_go(shared_data):
    with np.load(shared_data / "missing_hands" / "thanks_2.npz") as file:
        clip = mediapipe(file["raw"])
        track = clip.values["mediapipe"]
        right = track[:, 195:].reshape(-1, 21, 3)
        assert (~np.isnan(right).any((1, 2))).tolist() == file["right_present"].astype(
            bool
        ).tolist()
        np.testing.assert_array_equal(track[:, :132].reshape(-1, 33, 4), file["pose"])
    assert np.isnan(track[:, 132:195]).all()
    assert clip.present["mediapipe"].all()


def test_landmarks_of_this_package_become_fractions():
    seen = landmarks()
    clip = mediapipe_of_landmarks(seen)
    track = clip.values["mediapipe"]
    assert clip.rate == pytest.approx(25)
    assert np.isnan(track[:, :132]).all()
    left = track[:, 132:195].reshape(3, 21, 3)
    np.testing.assert_allclose(left, seen.landmarks[:, 1] / [200, 400, 200], rtol=1e-6)
    assert np.isnan(track[1, 195:]).all()
    assert not np.isnan(track[[0, 2], 195:]).any()


def test_two_tracks_of_a_hand_fill_each_other():
    seen = landmarks()
    both = Landmarks(seen.landmarks, seen.confidence, seen.timestamps, 200, 400, ("right", "right"))
    right = mediapipe_of_landmarks(both).values["mediapipe"][:, 195:].reshape(3, 21, 3)
    np.testing.assert_allclose(right, seen.landmarks[:, 1] / [200, 400, 200], rtol=1e-6)


@pytest.mark.parametrize(
    ("sides", "left", "right"),
    [
        (("unknown", "left"), 1, 0),  # the hand that was not seen
        (("right", "unknown"), 1, 0),
        (("unknown", "unknown"), 0, 1),  # the right one first: it is seen in more frames
    ],
)
def test_hands_of_unknown_side_are_kept(sides, left, right):
    seen = replace(landmarks(), handedness=sides)
    known = [seen.landmarks[:, track] / [200, 400, 200] for track in (left, right)]
    track = mediapipe_of_landmarks(seen).values["mediapipe"]
    np.testing.assert_allclose(track[:, 132:195].reshape(3, 21, 3), known[0], rtol=1e-6)
    np.testing.assert_allclose(track[:, 195:].reshape(3, 21, 3), known[1], rtol=1e-6)


def test_a_hand_of_unknown_side_fills_where_both_are_known():
    """The first hand lacks in frame 1, where alone the third is seen."""
    seen = landmarks()
    third = np.full((3, 1, 21, 3), np.nan, np.float32)
    third[1] = 70
    three = Landmarks(
        np.concatenate([seen.landmarks, third], axis=1),
        np.concatenate([seen.confidence, ~np.isnan(third[..., 0])], axis=1).astype(np.float32),
        seen.timestamps,
        200,
        400,
        ("right", "left", "unknown"),
    )
    right = mediapipe_of_landmarks(three).values["mediapipe"][:, 195:].reshape(3, 21, 3)
    np.testing.assert_allclose(right[1], third[1, 0] / [200, 400, 200], rtol=1e-6)
    np.testing.assert_allclose(
        right[[0, 2]], seen.landmarks[[0, 2], 0] / [200, 400, 200], rtol=1e-6
    )


def test_pose_file_of_hands(tmp_path):
    write_landmarks(landmarks(), tmp_path / "hands.pose")
    of_pose = mediapipe_of_pose(tmp_path / "hands.pose")
    np.testing.assert_allclose(
        of_pose.values["mediapipe"].reshape(3, -1, 3)[..., :2],
        mediapipe_of_landmarks(landmarks()).values["mediapipe"].reshape(3, -1, 3)[..., :2],
        atol=1e-5,
    )


def test_real_pose_file_of_holistic(shared_data):
    clip = mediapipe_of_pose(shared_data / "formats" / "pose" / "holistic_full_v0.2.pose")
    assert (clip.frames, clip.rate) == (37, pytest.approx(30.01, abs=0.01))
    pose = clip.values["mediapipe"][:, :132].reshape(37, 33, 4)
    nose, hips = pose[:, 0], pose[:, 23:25]
    assert (nose[:, 0] > 0).all()
    assert (nose[:, 0] < 1).all()
    assert (np.nanmean(hips[..., 1], axis=1) > nose[:, 1]).all()  # y is down
    assert np.nanmax(pose[..., 3]) <= 1
    assert np.nanmax(np.abs(pose[..., 2])) < 5


def test_pose_file_without_holistic(shared_data, tmp_path):
    with pytest.raises(InputError, match="expected POSE_LANDMARKS"):
        mediapipe_of_pose(shared_data / "formats" / "pose" / "openpose_v0.0.pose")
    with pytest.raises(InputError, match="cannot be read"):
        mediapipe_of_pose(tmp_path / "none.pose")
    (tmp_path / "bad.pose").write_bytes(b"bad")
    with pytest.raises(InputError, match="damaged or something else"):
        mediapipe_of_pose(tmp_path / "bad.pose")


# -- DWPose ----------------------------------------------------------------------------------------
def whole_body(frames=2):
    points = np.stack(np.meshgrid(np.arange(133), np.arange(frames)), axis=-1).astype(float)
    return points + 1, np.full((frames, 133), 0.5)


def test_whole_body_becomes_128_points():
    points, scores = whole_body()
    scores[1, 91:112] = 0  # no left hand
    clip = dwpose(points, scores, 100, 10)
    track = clip.values["dwpose"].reshape(2, 128, 3)
    wanted = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    wanted += [*range(91, 112), *range(112, 133), *range(23, 91)]
    for place, number in enumerate(wanted):
        x = 6.5 if number is None else number + 1  # the neck: between points 5 and 6
        np.testing.assert_allclose(track[0, place], [x / 100, 0.1, 0.5], rtol=1e-6)
    assert np.isnan(track[1, 18:39]).all()
    assert not np.isnan(track[1, 39:]).any()
    with pytest.raises(InputError, match="133"):
        dwpose(points[:, :128], scores, 100, 10)
    with pytest.raises(InputError, match="size of the picture"):
        dwpose(points, scores, 0, 10)


def detector_frame(people=1):
    rng = np.random.default_rng(1)
    return {
        "bodies": {"candidate": rng.random((18 * people, 2)), "score": rng.random((people, 18))},
        "hands": rng.random((2 * people, 21, 2)),
        "hands_score": rng.random((2 * people, 21)),
        "faces": rng.random((people, 68, 2)),
        "faces_score": rng.random((people, 68)),
    }


@pytest.mark.parametrize("people", [1, 2])
def test_frames_of_the_detector(people):
    frame = detector_frame(people)
    clip = dwpose_of_frames([frame, None])
    row = clip.values["dwpose"].reshape(2, 128, 3)[0]
    np.testing.assert_allclose(row[:18, :2], frame["bodies"]["candidate"][:18], rtol=1e-6)
    np.testing.assert_allclose(row[:18, 2], frame["bodies"]["score"][0], rtol=1e-6)
    np.testing.assert_allclose(row[18:39, :2], frame["hands"][0], rtol=1e-6)
    np.testing.assert_allclose(row[39:60, :2], frame["hands"][people], rtol=1e-6)  # its right one
    np.testing.assert_allclose(row[60:, 2], frame["faces_score"][0], rtol=1e-6)
    assert clip.present["dwpose"].tolist() == [True, False]


def test_body_scores_that_are_numbers_of_points():
    frame = detector_frame()
    points, numbers = frame["bodies"]["candidate"], np.arange(18.0)
    numbers[[3, 7]] = -1
    frame |= {"bodies": points, "body_scores": numbers[None]}
    row = dwpose_of_frames([frame]).values["dwpose"].reshape(128, 3)[:18]
    assert np.isnan(row[:, 2]).nonzero()[0].tolist() == [3, 7]
    assert np.nanmin(row[:, 2]) == np.nanmax(row[:, 2]) == 1.0


def test_frames_of_another_layout():
    for bad in ({}, {**detector_frame(), "hands": np.ones((1, 21, 2))}, [1]):
        with pytest.raises(InputError, match="dwpose, frame 1: expected bodies"):
            dwpose_of_frames([detector_frame(), bad])
    with pytest.raises(InputError, match="at least one frame"):
        dwpose_of_frames([])


# -- SMPLer-X, maps --------------------------------------------------------------------------------
def test_smplx_parameters_are_in_the_order_of_the_model():
    frame = {name: np.full((1, 3 * joints), i) for i, (name, joints) in enumerate(SMPLX_ORDER)}
    clip = smplerx([frame | {"betas": np.ones(10)}, None])
    assert clip.values["smplerx"][0].tolist() == [
        *[0] * 3, *[1] * 63, *[2] * 3, *[3] * 3, *[4] * 3, *[5] * 45, *[6] * 45,
    ]  # fmt: skip
    assert clip.present["smplerx"].tolist() == [True, False]
    with pytest.raises(InputError, match=r"left_hand_pose of 15 x 3 numbers .* got 12"):
        smplerx([frame | {"left_hand_pose": np.ones(12)}])  # PCA
    with pytest.raises(InputError, match="global_orient"):
        smplerx([{}])


def test_depth_is_averaged_over_cells():
    depth = np.arange(48 * 72, dtype=float).reshape(48, 72)
    depth[0, 0] = np.inf
    clip = primedepth([depth, None])
    track = clip.values["primedepth"].reshape(2, 24, 24)
    np.testing.assert_allclose(track[0, 5, 7], depth[10:12, 21:24].mean(), rtol=1e-6)
    np.testing.assert_allclose(track[0, 0, 0], np.r_[1, 2, 72:75].mean(), rtol=1e-6)
    assert clip.present["primedepth"].tolist() == [True, False]
    with pytest.raises(InputError, match="at least 24 x 24"):
        primedepth([np.ones((10, 40))])


def test_parts_of_the_body_are_voted_over_cells():
    classes = np.zeros((48, 48), int)
    classes[:2, :2] = [[4, 4], [9, 2]]
    classes[46:, 46:] = [[7, 7], [3, 3]]  # equals: the lower
    track = sapiens([classes]).values["sapiens"].reshape(24, 24)
    assert (track[0, 0], track[23, 23], track.sum()) == (4, 3, 7)
