import dataclasses
import io
import warnings

import numpy as np
import pytest
from pose_format import Pose, PoseHeader
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeaderComponent, PoseHeaderDimensions

from chereme.errors import InputError, UsageError
from chereme.formats.dot_pose import LIMBS, POINT_NAMES
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.types import Landmarks

RNG = np.random.default_rng(0)


def a_hand(frames, z_scale=1.0):
    """``(frames, 21, 3)`` pixels of a hand about 100 wide, z 0 at the wrist."""
    hand = RNG.uniform([200, 100, -20], [300, 200, 20], (frames, 21, 3))
    hand[:, 0, 2] = 0
    hand[..., 2] *= z_scale
    return hand.astype(np.float32)


def some_landmarks(frames=6, handedness=("left", "right"), fps=25.0, world=False):
    hands = np.stack([a_hand(frames) for _ in handedness], axis=1)
    confidence = RNG.uniform(0.1, 1, hands.shape[:3]).astype(np.float32)
    confidence[1, 0] = 0  # a whole hand
    confidence[2, -1, 5] = 0  # one joint
    hands[confidence == 0] = np.nan
    metres = (hands / 1000).astype(np.float32) if world else None
    times = np.arange(frames) / fps
    return Landmarks(hands, confidence, times, 640, 480, handedness, metres)


def assert_equal(a, b, rtol=0.0):
    np.testing.assert_allclose(a.landmarks, b.landmarks, rtol=rtol)
    np.testing.assert_allclose(a.confidence, b.confidence, rtol=rtol)
    assert (a.width, a.height, a.handedness) == (b.width, b.height, b.handedness)


def through(given, path):
    """What is read of ``given`` after it was written to ``path``."""
    write_landmarks(given, path)
    return read_landmarks(path)


def pose_file(path, components, data, confidence=None, fps=25.0, size=(640, 480)):
    """Write a .pose with components {name: (points, format)} by the library alone."""
    header = PoseHeader(
        0.2,
        PoseHeaderDimensions(*size),
        [
            PoseHeaderComponent(name, [f"p{i}" for i in range(points)], [], [], form)
            for name, (points, form) in components.items()
        ],
    )
    data = np.asarray(data, np.float32)
    if data.ndim == 3:
        data = data[:, None]
    if confidence is None:
        confidence = np.ones(data.shape[:3], np.float32)
    buffer = io.BytesIO()
    Pose(header, NumPyPoseBody(fps, data, confidence.reshape(data.shape[:3]))).write(buffer)
    path.write_bytes(buffer.getvalue())
    return path


RIGHT = {"RIGHT_HAND_LANDMARKS": (21, "XYZC")}


class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "shape", "size", "fps", "hands", "coverage"),
        [
            ("openpose_v0.0", (93, 2), (1000, 1000), 24, ("left", "right"), (0.527, 1.0)),
            ("mediapipe_reduced_v0.1", (170, 2), (1250, 1250), 24, ("left", "right"), (0, 0.853)),
            ("mediapipe_hand_only_v0.1", (170, 1), (223, 229), 24, ("right",), (0.853,)),
            ("holistic_full_v0.2", (37, 2), (640, 480), 30.008, ("left", "right"), (0.541, 0)),
        ],
    )
    def test_three_versions(self, shared_data, name, shape, size, fps, hands, coverage):
        found = read_landmarks(shared_data / f"formats/pose/{name}.pose")
        assert found.landmarks.shape == (*shape, 21, 3)
        assert found.landmarks.dtype == found.confidence.dtype == np.float32
        assert (found.width, found.height) == size
        assert found.handedness == hands
        assert found.timestamps[0] == 0
        assert (len(found.timestamps) - 1) / found.timestamps[-1] == pytest.approx(fps, abs=1e-3)
        seen = (found.confidence > 0).any(axis=2)
        assert seen.mean(axis=0) == pytest.approx(coverage, abs=1e-3)
        assert np.array_equal(np.isnan(found.landmarks).any(axis=-1), found.confidence == 0)
        inside = found.landmarks[..., :2][found.confidence > 0]
        assert inside.min() >= 0
        assert inside.max() <= max(size) * 1.1  # joints may lie beyond the border

    def test_coordinates_are_those_of_the_file(self, shared_data):
        path = shared_data / "formats/pose/holistic_full_v0.2.pose"
        pose = Pose.read(path.read_bytes())
        start = 33 + 468
        raw = pose.body.data.data[:, 0, start : start + 21]
        seen = pose.body.confidence[:, 0, start] > 0
        found = read_landmarks(path)
        np.testing.assert_array_equal(found.landmarks[seen, 0, :, :2], raw[seen][..., :2])
        depth = (raw[seen][..., 2] - raw[seen][:, :1, 2]) * 640
        np.testing.assert_allclose(found.landmarks[seen, 0, :, 2], depth, rtol=1e-4, atol=1e-4)

    def test_openpose_is_flat(self, shared_data):
        found = read_landmarks(shared_data / "formats/pose/openpose_v0.0.pose")
        assert np.unique(found.landmarks[found.confidence > 0][:, 2]) == [0]

    @pytest.mark.parametrize("word", ["january", "march", "october", "august"])
    def test_words_say_the_same_as_pose_and_as_npz(self, shared_data, word):
        folder = shared_data / "fingerspelling_dev/words"
        pose, npz = read_landmarks(folder / f"{word}.pose"), read_landmarks(folder / f"{word}.npz")
        assert_equal(pose, npz, rtol=1e-4)
        np.testing.assert_allclose(pose.timestamps, npz.timestamps, atol=1e-5)
        assert pose.handedness == ("left", "right")
        assert (pose.confidence > 0).any(axis=2).mean(axis=0).tolist() == [0, 1]

    def test_depth_has_the_scale_of_x_in_every_file(self, shared_data):
        """Palm lengths hold while a hand turns only if z is in the scale of x and y."""
        paths = sorted(shared_data.glob("fingerspelling_dev/*/*.pose"))
        assert len(paths) == 30
        for path in [*paths, *shared_data.glob("formats/pose/*v0.[12].pose")]:
            found = read_landmarks(path)
            hand = found.landmarks[(found.confidence > 0).all(axis=2)]
            np.testing.assert_array_equal(hand[:, 0, 2], 0)
            extent = np.ptp(hand, axis=1)
            depth = np.median(extent[:, 2] / np.hypot(extent[:, 0], extent[:, 1]))
            assert 0.1 < depth < 1.0, path.name

    def test_missing_hands(self, shared_data, tmp_path):
        """Fractions of the image, and zeros where there was no hand."""
        for name, coverage in (("hello_0", 0), ("thanks_2", 18 / 30), ("iloveyou_24", 26 / 30)):
            source = np.load(shared_data / f"missing_hands/{name}.npz")
            hands = np.stack([source["left_hand"], source["right_hand"]], axis=1)
            np.savez(
                tmp_path / f"{name}.npz",
                landmarks=hands,
                fps=30,
                width=640,
                height=480,
                handedness=["Left", "Right"],
            )
            found = read_landmarks(tmp_path / f"{name}.npz")
            seen = (found.confidence > 0).any(axis=2)
            np.testing.assert_array_equal(seen[:, 0], source["left_present"])
            np.testing.assert_array_equal(seen[:, 1], source["right_present"])
            assert seen[:, 1].mean() == pytest.approx(coverage)
            np.testing.assert_allclose(
                found.landmarks[seen][..., :2], hands[seen][..., :2] * [640, 480], rtol=1e-5
            )

    def test_another_npz_layout_is_refused_with_its_arrays(self, shared_data):
        with pytest.raises(InputError, match=r"raw, pose, left_hand.*landmarks.* missing"):
            read_landmarks(shared_data / "missing_hands/hello_0.npz")

    def test_real_files_survive_a_round_trip(self, shared_data, tmp_path):
        for path in shared_data.glob("formats/pose/*.pose"):
            found = read_landmarks(path)
            for name in ("a.npz", "a.pose"):
                back = through(found, tmp_path / name)
                tracks = [back.handedness.index(side) for side in found.handedness]
                np.testing.assert_array_equal(back.landmarks[:, tracks], found.landmarks)
                np.testing.assert_array_equal(back.confidence[:, tracks], found.confidence)
                np.testing.assert_allclose(back.timestamps, found.timestamps, atol=1e-5)

    @pytest.mark.parametrize("version", ["openpose_v0.0", "mediapipe_hand_only_v0.1"])
    def test_a_cut_file_is_an_error_at_any_length(self, shared_data, tmp_path, version):
        raw = (shared_data / f"formats/pose/{version}.pose").read_bytes()
        path = tmp_path / "cut.pose"
        # a frame of the hand-only file is 336 bytes: cuts between frames, too
        for length in [1, 100, 900, 2000, len(raw) // 2, len(raw) - 336, len(raw) - 1]:
            path.write_bytes(raw[:length])
            with pytest.raises(
                InputError, match=r"cut\.pose: expected a \.pose file.*make it anew"
            ):
                read_landmarks(path)


class TestRoundTrip:
    def test_npz_is_exact(self, tmp_path):
        times = np.array([0.0, 0.1, 0.15, 0.4, 0.41, 2.0])
        given = some_landmarks(handedness=("right", "right", "unknown"), world=True)
        given = dataclasses.replace(given, timestamps=times)
        back = through(given, tmp_path / "new" / "a.npz")
        assert_equal(given, back)
        np.testing.assert_array_equal(back.timestamps, times)
        np.testing.assert_array_equal(back.world_landmarks, given.world_landmarks)

    def test_npz_is_exact_for_numbers_that_look_like_other_units(self, tmp_path):
        hands = RNG.random((3, 1, 21, 3)).astype(np.float32)
        given = Landmarks(hands, np.ones((3, 1, 21)), np.arange(3.0), 640, 480, ("left",))
        assert_equal(given, through(given, tmp_path / "a.npz"))

    def test_no_frames_and_no_hands(self, tmp_path):
        none = Landmarks(
            np.zeros((4, 0, 21, 3)), np.zeros((4, 0, 21)), np.arange(4.0), 640, 480, ()
        )
        assert through(none, tmp_path / "a.npz").landmarks.shape == (4, 0, 21, 3)
        assert not through(none, tmp_path / "a.pose").confidence.any()
        empty = Landmarks(np.zeros((0, 0, 21, 3)), np.zeros((0, 0, 21)), np.zeros(0), 640, 480, ())
        with pytest.raises(InputError, match="at least one frame"):
            write_landmarks(empty, tmp_path / "a.pose")

    def test_pose_is_equal_in_float32(self, tmp_path):
        given = some_landmarks()
        back = through(given, tmp_path / "a.pose")
        assert_equal(given, back)
        np.testing.assert_allclose(back.timestamps, given.timestamps)

    def test_pose_is_what_other_tools_expect(self, tmp_path):
        given = some_landmarks(fps=29.97)
        write_landmarks(given, tmp_path / "a.pose")
        pose = Pose.read((tmp_path / "a.pose").read_bytes())
        assert pose.header.version == pytest.approx(0.2)
        assert pose.body.fps == pytest.approx(29.97)
        names = [(c.name, c.format, len(c.points)) for c in pose.header.components]
        assert names == [
            ("LEFT_HAND_LANDMARKS", "XYZC", 21),
            ("RIGHT_HAND_LANDMARKS", "XYZC", 21),
        ]
        assert not pose.body.data.data[pose.body.confidence == 0].any()  # zeros, not NaN
        np.testing.assert_array_equal(pose.body.data.data[0, 0], given.landmarks[0].reshape(42, 3))

    def test_joint_names_and_limbs_are_mediapipes(self, shared_data):
        pose = Pose.read((shared_data / "formats/pose/holistic_full_v0.2.pose").read_bytes())
        hand = pose.header.components[2]
        assert hand.points == POINT_NAMES
        assert {frozenset(limb) for limb in hand.limbs} == {frozenset(limb) for limb in LIMBS}

    def test_one_frame(self, tmp_path):
        hand = a_hand(1)[:, None]
        given = Landmarks(hand, np.ones((1, 1, 21)), np.zeros(1), 640, 480, ("right",))
        back = through(given, tmp_path / "a.pose")
        np.testing.assert_array_equal(back.landmarks[:, 1], given.landmarks[:, 0])
        assert back.timestamps.tolist() == [0]

    def test_uneven_times_are_resampled_to_the_effective_rate(self, tmp_path):
        times = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
        hands = np.broadcast_to(a_hand(1), (5, 1, 21, 3)).copy()
        hands[..., 0] += 100 * times[:, None, None]  # at constant speed: linear is exact
        given = Landmarks(hands, np.ones((5, 1, 21)), times, 640, 480, ("right",))
        back = through(given, tmp_path / "a.pose")
        np.testing.assert_allclose(back.timestamps, [0, 0.25, 0.5, 0.75, 1])
        expected = hands[0] + np.array([100, 0, 0]) * back.timestamps[:, None, None, None]
        np.testing.assert_allclose(back.landmarks[:, 1], expected[:, 0], rtol=1e-5, atol=1e-4)

    def test_resampling_does_not_invent_hands(self, tmp_path):
        times = np.array([0.0, 0.1, 0.5, 0.6, 1.0])  # grid 0, .25, .5, .75, 1
        hands = np.broadcast_to(a_hand(1), (5, 1, 21, 3)).copy()
        confidence = np.ones((5, 1, 21), np.float32)
        confidence[[1, 4]] = 0
        hands[[1, 4]] = np.nan
        given = Landmarks(hands, confidence, times, 640, 480, ("right",))
        back = through(given, tmp_path / "a.pose")
        # 0.25 is nearer to the missing 0.1, 0.75 to the seen 0.6
        assert (back.confidence[:, 1] > 0).all(axis=1).tolist() == [True, False, True, True, False]
        assert np.nanmax(np.abs(back.landmarks[:, 1] - hands[0])) < 1e-3

    def test_tracks_of_one_side_fill_each_other_s_gaps(self, tmp_path):
        """As of a film in which one signer comes after the other."""
        given = some_landmarks(frames=6, handedness=("right", "right"))
        confidence = np.isfinite(given.landmarks).all(axis=-1).astype(np.float32)
        confidence[3:, 0] = confidence[:3, 1] = 0
        given = dataclasses.replace(given, confidence=confidence)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            right = through(given, tmp_path / "a.pose").landmarks[:, 1]
        np.testing.assert_allclose(right[:3], given.landmarks[:3, 0], rtol=1e-3)
        np.testing.assert_allclose(right[3:], given.landmarks[3:, 1], rtol=1e-3)

    def test_two_tracks_of_one_side_keep_the_longer_and_say_so(self, tmp_path):
        given = some_landmarks(handedness=("right", "right"))
        with pytest.warns(UserWarning, match=r"track 0 \(right, seen in 5 frames\) is left out"):
            back = through(given, tmp_path / "a.pose")
        assert not back.confidence[:, 0].any()
        np.testing.assert_array_equal(back.landmarks[:, 1], given.landmarks[:, 1])

    def test_unknown_handedness_takes_the_free_side(self, tmp_path):
        given = some_landmarks(handedness=("unknown", "right"))
        with pytest.warns(UserWarning, match="unknown handedness, written as the left"):
            back = through(given, tmp_path / "a.pose")
        np.testing.assert_array_equal(back.landmarks, given.landmarks)

    def test_what_pose_cannot_hold(self, tmp_path):
        wide = Landmarks(np.zeros((1, 0, 21, 3)), np.zeros((1, 0, 21)), np.zeros(1), 70000, 2, ())
        with pytest.raises(InputError, match="65535"):
            write_landmarks(wide, tmp_path / "a.pose")
        with pytest.raises(UsageError, match=r"\.pose or \.npz, got '\.csv'"):
            write_landmarks(some_landmarks(), tmp_path / "a.csv")
        assert not list(tmp_path.iterdir())


class TestWildPoseFiles:
    def test_other_components_are_ignored(self, tmp_path):
        hand = a_hand(4)
        body = RNG.uniform(0, 400, (4, 7, 3))
        world = np.full((4, 21, 3), 0.01)
        data = np.concatenate([body, hand, world], axis=1)
        parts = {"BODY": (7, "XYZC"), **RIGHT, "RIGHT_HAND_WORLD_LANDMARKS": (21, "XYZC")}
        found = read_landmarks(pose_file(tmp_path / "a.pose", parts, data))
        assert found.handedness == ("right",)
        np.testing.assert_array_equal(found.landmarks[:, 0], hand)

    @pytest.mark.parametrize(
        "names", [("LEFT_HAND", "RIGHT_HAND"), ("LEFT_HAND_133", "hand_right_x")]
    )
    def test_hands_by_other_names(self, tmp_path, names):
        parts = dict.fromkeys(names, (21, "XYC"))
        data = np.concatenate([a_hand(3), a_hand(3)], axis=1)[..., :2]
        found = read_landmarks(pose_file(tmp_path / "a.pose", parts, data))
        assert found.handedness == ("left", "right")
        np.testing.assert_array_equal(found.landmarks[:, 1, :, :2], data[:, 21:])
        assert not found.landmarks[..., 2].any()

    @pytest.mark.parametrize(
        "parts", [{"BODY": (7, "XYZC")}, {"LEFT_HAND_LANDMARKS": (6, "XYZC")}, {}]
    )
    def test_no_hand_is_an_error_that_names_what_is_there(self, tmp_path, parts):
        points = sum(n for n, _ in parts.values())
        if parts:
            path = pose_file(tmp_path / "a.pose", parts, np.ones((3, points, 3)))
            held = next(iter(parts))
            with pytest.raises(InputError, match=rf"hand of 21 points.*{held} \({points} points\)"):
                read_landmarks(path)
        else:
            (tmp_path / "a.pose").write_bytes(b"\xcd\xcc\x4c\x3e" + bytes(8))
            with pytest.raises(InputError, match=r"a\.pose"):
                read_landmarks(tmp_path / "a.pose")

    def test_zeros_nan_and_infinity_are_missing_whatever_the_confidence(self, tmp_path):
        hand = a_hand(6)
        confidence = np.ones((6, 21), np.float32)
        hand[0] = 0  # a hand of zeros
        hand[1, 3, 1] = np.nan
        hand[2, 4, 2] = np.inf
        hand[3, 5] = 0  # one joint at the corner is a position
        confidence[4, 6] = np.nan
        confidence[5, 7] = -1
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, hand, confidence))
        missing = {(0, j) for j in range(21)} | {(1, 3), (2, 4), (4, 6), (5, 7)}
        where = np.argwhere(found.confidence[:, 0] == 0)
        assert {tuple(pair) for pair in where.tolist()} == missing
        assert np.array_equal(np.isnan(found.landmarks).all(axis=-1), found.confidence == 0)
        np.testing.assert_array_equal(found.landmarks[3, 0, 5, :2], [0, 0])

    def test_confidence_is_kept_and_bounded(self, tmp_path):
        confidence = np.linspace(0.1, 1.5, 42).reshape(2, 21).astype(np.float32)
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, a_hand(2), confidence))
        np.testing.assert_array_equal(found.confidence[:, 0], np.minimum(confidence, 1))

    def test_depth_loses_its_offset_and_gets_the_scale_of_x(self, tmp_path):
        pixels = a_hand(5)
        raw = pixels.copy()
        raw[..., 2] = raw[..., 2] / 640 + 250
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, raw))
        np.testing.assert_array_equal(found.landmarks[:, 0, :, :2], pixels[..., :2])
        np.testing.assert_allclose(found.landmarks[:, 0, :, 2], pixels[..., 2], atol=0.02)

    def test_depth_without_a_picture_width_is_a_usual_hands(self, tmp_path):
        raw = a_hand(5)
        raw[..., 2] /= 640
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, raw, size=(30, 30)))
        extent = np.ptp(found.landmarks[:, 0], axis=1)
        depth = np.median(extent[:, 2] / np.hypot(extent[:, 0], extent[:, 1]))
        assert depth == pytest.approx(0.25, rel=1e-3)

    def test_a_hand_without_its_wrist_still_has_relative_depth(self, tmp_path):
        hand = a_hand(2)
        hand[..., 2] += 250
        confidence = np.ones((2, 21), np.float32)
        confidence[0, 0] = 0
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, hand, confidence)).landmarks
        assert np.nanmean(found[0, 0, :, 2]) == pytest.approx(0, abs=1e-3)
        np.testing.assert_allclose(np.diff(found[0, 0, 1:, 2]), np.diff(hand[0, 1:, 2]), atol=1e-3)

    def test_fractions_of_the_image_become_pixels(self, tmp_path):
        pixels = a_hand(5)
        raw = pixels / [640, 480, 640]
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, raw))
        np.testing.assert_allclose(found.landmarks[:, 0], pixels, rtol=1e-5, atol=1e-3)

    def test_shoulder_widths_stay(self, tmp_path):
        """Hands right of and below the shoulders' middle are in 0..1, too: the body tells."""
        hand = RNG.uniform(0.2, 0.8, (5, 21, 3))
        body = RNG.uniform(-1, 1, (5, 20, 3))
        parts = {"POSE_LANDMARKS": (20, "XYZC"), **RIGHT}
        data = np.concatenate([body, hand], axis=1)
        found = read_landmarks(pose_file(tmp_path / "a.pose", parts, data))
        np.testing.assert_allclose(found.landmarks[:, 0, :, :2], hand[..., :2], rtol=1e-6)

    def test_every_persons_hands_are_tracks(self, tmp_path):
        first, second = a_hand(3), a_hand(3)
        nobody = np.zeros_like(first)
        data = np.stack([first, nobody, second], axis=1)
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, data))
        assert found.handedness == ("right", "right")
        np.testing.assert_array_equal(found.landmarks, np.stack([first, second], axis=1))

    @pytest.mark.parametrize("fps", [0.0, float("nan"), -1.0])
    def test_no_rate_is_an_error_unless_given(self, tmp_path, fps):
        path = pose_file(tmp_path / "a.pose", RIGHT, a_hand(3), fps=fps)
        with pytest.raises(InputError, match=r"a\.pose: expected a frame rate.*--rate.*fps="):
            read_landmarks(path)
        found = read_landmarks(path, fps=50)
        np.testing.assert_allclose(found.timestamps, [0, 0.02, 0.04])
        with pytest.raises(UsageError, match="positive"):
            read_landmarks(path, fps=0)

    @pytest.mark.parametrize("fps", [1000.0, 241.0, 0.5, 1e-6, 1e30])
    def test_an_implausible_rate_is_named(self, tmp_path, fps):
        """Converters of webm write 1000, the unit of its clock."""
        path = pose_file(tmp_path / "a.pose", RIGHT, a_hand(3), fps=fps)
        with pytest.raises(
            InputError, match=r"a\.pose: .* frames a second, expected 1 to 240; .*--rate"
        ):
            read_landmarks(path)
        np.testing.assert_allclose(read_landmarks(path, fps=25).timestamps, [0, 0.04, 0.08])

    def test_the_case_of_the_reports(self, shared_cases):
        path = shared_cases / "poses/fps1000.pose"
        with pytest.raises(InputError, match="says 1000 frames a second"):
            read_landmarks(path)
        times = read_landmarks(path, fps=30).timestamps
        np.testing.assert_allclose(np.diff(times), 1 / 30)

    def test_a_given_rate_wins_and_one_frame_needs_none(self, tmp_path):
        path = pose_file(tmp_path / "a.pose", RIGHT, a_hand(2), fps=10)
        np.testing.assert_allclose(read_landmarks(path, fps=50).timestamps, [0, 0.02])
        np.testing.assert_allclose(read_landmarks(path).timestamps, [0, 0.1])
        path = pose_file(tmp_path / "b.pose", RIGHT, a_hand(1), fps=0)
        assert read_landmarks(path).timestamps.tolist() == [0]

    def test_no_size_reaches_to_the_outermost_joint(self, tmp_path):
        hand = a_hand(3)
        hand[1, 2, :2] = [320.5, 230]
        found = read_landmarks(pose_file(tmp_path / "a.pose", RIGHT, hand, size=(0, 0)))
        assert (found.width, found.height) == (321, 230)

    def test_no_frames(self, tmp_path):
        path = pose_file(tmp_path / "a.pose", RIGHT, np.zeros((0, 21, 3)))
        with pytest.raises(InputError, match="no frame"):
            read_landmarks(path)

    def test_damage_is_never_another_exception(self, tmp_path):
        write_landmarks(some_landmarks(), tmp_path / "a.pose")
        raw = (tmp_path / "a.pose").read_bytes()
        refused = 0
        for seed in range(300):
            rng = np.random.default_rng(seed)
            damaged = bytearray(raw)
            for _ in range(3):
                # the header is where damage matters
                damaged[rng.integers(0, 900)] = rng.integers(0, 256)
            (tmp_path / "b.pose").write_bytes(damaged)
            try:
                with np.errstate(all="raise"), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    read_landmarks(tmp_path / "b.pose", fps=25)
            except InputError:
                refused += 1
        assert refused > 20

    @pytest.mark.parametrize("content", [b"\0", b"not a pose file at all, just text\n" * 50])
    def test_other_files_are_refused(self, tmp_path, content):
        (tmp_path / "a.pose").write_bytes(content)
        with pytest.raises(InputError, match=r"expected a \.pose file.*make it anew"):
            read_landmarks(tmp_path / "a.pose")


class TestWildNpzFiles:
    @staticmethod
    def save(path, **changes):
        given = some_landmarks(4)
        arrays = {
            "landmarks": given.landmarks,
            "confidence": given.confidence,
            "timestamps": given.timestamps,
            "width": 640,
            "height": 480,
            "handedness": ["Left", "Right"],
        }
        arrays.update(changes)
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    def test_rate_instead_of_timestamps(self, tmp_path):
        path = self.save(tmp_path / "a.npz", timestamps=None, fps=50)
        np.testing.assert_allclose(read_landmarks(path).timestamps, [0, 0.02, 0.04, 0.06])
        np.testing.assert_allclose(read_landmarks(path, fps=10).timestamps, [0, 0.1, 0.2, 0.3])
        with pytest.raises(InputError, match="says 1000 frames a second, expected 1 to 240"):
            read_landmarks(self.save(tmp_path / "a.npz", timestamps=None, fps=1000))
        milliseconds = self.save(tmp_path / "a.npz", timestamps=[0, 40, 80, 120])
        np.testing.assert_allclose(read_landmarks(milliseconds, fps=25).timestamps[1], 0.04)

    def test_confidence_may_be_left_out(self, tmp_path):
        path = self.save(tmp_path / "a.npz", confidence=None)
        found = read_landmarks(path)
        assert set(np.unique(found.confidence)) == {0, 1}
        assert not found.confidence[1, 0].any()  # NaN in the file

    def test_world_landmarks_are_masked_alike(self, tmp_path):
        path = self.save(tmp_path / "a.npz", world_landmarks=np.ones((4, 2, 21, 3)))
        found = read_landmarks(path)
        assert np.array_equal(np.isnan(found.world_landmarks).all(axis=-1), found.confidence == 0)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"width": None, "handedness": None}, "width, handedness missing"),
            (
                {"landmarks": np.zeros((4, 21, 3))},
                r"expected shape \(T, H, 21, 3\), got \(4, 21, 3",
            ),
            ({"landmarks": np.zeros((0, 2, 21, 3))}, "at least one frame"),
            ({"landmarks": np.full((4, 2, 21, 3), "x")}, "landmarks: expected numbers, got <U1"),
            ({"landmarks": np.ones((4, 2, 21, 3), complex)}, "numbers or text, got complex128"),
            ({"handedness_score": [0.5, 2.0]}, "handedness_score: expected shares"),
            ({"handedness_score": np.ones((2, 2))}, "handedness_score: expected shares"),
            ({"width": "wide"}, "width: expected numbers, got <U4"),
            ({"fps": "fast", "timestamps": None}, "fps: expected numbers"),
            ({"handedness_score": [0.5]}, "handedness_score: expected one for each of 2"),
            ({"timestamps": np.ones((4, 4))}, "timestamps: expected finite seconds"),
            ({"confidence": np.ones((4, 2))}, r"confidence: expected shape \(4, 2, 21\)"),
            ({"timestamps": None}, "--rate"),
            ({"timestamps": None, "fps": 0}, "--rate"),
            ({"timestamps": [0, 1, 1, 2]}, "rising"),
            ({"timestamps": [0, 1, 2, np.nan]}, "finite"),
            ({"timestamps": [0, 1]}, "landmarks: expected shape"),
            ({"handedness": ["left"]}, "landmarks: expected shape"),
            ({"width": [1, 2]}, "size 1"),
            ({"world_landmarks": np.zeros((4, 2, 20, 3))}, "world_landmarks: expected shape"),
            ({"landmarks": np.array([None, object()])}, "pickled"),
        ],
    )
    def test_errors_say_what_came(self, tmp_path, changes, message):
        path = self.save(tmp_path / "a.npz", **changes)
        with pytest.raises(InputError, match=message) as caught:
            read_landmarks(path)
        assert str(path) in str(caught.value)

    def test_pickles_are_never_loaded(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "exploded"), "w"))

        path = self.save(tmp_path / "a.npz", extra=np.array([Bomb()], dtype=object))
        with pytest.raises(InputError, match="never loaded"):
            read_landmarks(path)
        assert not (tmp_path / "exploded").exists()

    def test_damage(self, tmp_path):
        path = tmp_path / "a.npz"
        write_landmarks(some_landmarks(), path)
        raw = path.read_bytes()
        np.save(tmp_path / "b.npy", np.zeros(3))
        flipped = raw[:200] + bytes([raw[200] ^ 0xFF]) + raw[201:]
        said = r"a\.npz: expected an \.npz archive.*make it anew"
        for content in (raw[:100], raw[:-1], flipped, b"text", (tmp_path / "b.npy").read_bytes()):
            path.write_bytes(content)
            with pytest.raises(InputError, match=said):
                read_landmarks(path)

    @pytest.mark.parametrize("score", [None, (0.55, 1.0)])
    def test_how_sure_a_side_is(self, tmp_path, score):
        given = dataclasses.replace(some_landmarks(), handedness_score=score)
        assert through(given, tmp_path / "a.npz").handedness_score == score
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            write_landmarks(given, tmp_path / "a.pose")
        told = [str(warning.message) for warning in said]
        assert ["track 0 is the left hand is doubtful (55%" in text for text in told] == (
            [True] if score else []
        )

    def test_arrays_that_are_not_asked_for_cost_nothing(self, tmp_path):
        path = self.save(tmp_path / "a.npz", others=np.zeros(1000))
        assert read_landmarks(path).landmarks.shape == (4, 2, 21, 3)
