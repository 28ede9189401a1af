import json

import numpy as np
import pytest

from chereme.errors import InputError, UsageError
from chereme.formats.tracks import TrackSpec, one_track, register_track, write_tracks
from chereme.formats.tracks.files import import_track, import_tracks, open_tracks
from chereme.formats.tracks.smplerx import SMPLX_ORDER

register_track(TrackSpec("test_files", 3, "three numbers"))


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def smplx(value):
    return {name: np.full(3 * joints, value) for name, joints in SMPLX_ORDER}


def test_frames_that_lack_in_a_folder_are_missing(tmp_path):
    for number in (2, 4):
        save(tmp_path / f"{number}.npy", np.full(3, number))
    clip = import_track("test_files", tmp_path, rate=25.0)
    assert (clip.frames, clip.rate) == (3, 25.0)
    assert clip.present["test_files"].tolist() == [True, False, True]
    longer = import_track("test_files", tmp_path, first=1, frames=6)
    assert longer.present["test_files"].tolist() == [False, True, False, True, False, False]
    with pytest.raises(InputError, match=r"frames 3 to 5, got 2.npy too"):
        import_track("test_files", tmp_path, first=3, frames=3)
    save(tmp_path / "5.npy", np.ones(4))
    with pytest.raises(InputError, match=r"5.npy: expected 3 numbers .* got \(4,\)"):
        import_track("test_files", tmp_path)


def test_smplerx_folder_takes_the_first_person(tmp_path):
    np.savez(tmp_path / "00001_0.npz", **smplx(1))
    np.savez(tmp_path / "00001_1.npz", **smplx(2))
    np.savez(tmp_path / "00003_0.npz", **smplx(3))
    track = import_track("smplerx", tmp_path).values["smplerx"]
    assert track[[0, 2], 0].tolist() == [1, 3]
    assert np.isnan(track[1]).all()


def test_smplerx_of_one_file(tmp_path):
    frames = {name: np.stack([array, array + 1]) for name, array in smplx(1.0).items()}
    np.savez(tmp_path / "all.npz", gender="neutral", **frames)
    assert import_track("smplerx", tmp_path / "all.npz").values["smplerx"][:, 5].tolist() == [1, 2]


def test_maps_dwpose_and_several_tracks_together(tmp_path):
    rng = np.random.default_rng(0)
    depth = save(tmp_path / "depth" / "frame_001.npy", rng.random((30, 40))).parent
    save(depth / "frame_002.npy", rng.random((30, 40)))
    parts = save(tmp_path / "parts.npy", rng.integers(0, 28, (2, 24, 24)))
    np.savez(tmp_path / "dw.npz", keypoints=rng.random((2, 133, 2)), scores=np.ones((2, 133)))
    options = {"width": 64, "height": 48}
    clip = import_tracks(
        {"sapiens": parts, "primedepth": depth, "dwpose": tmp_path / "dw.npz"}, **options
    )
    assert list(clip.values) == ["dwpose", "primedepth", "sapiens"]  # always the same order
    np.testing.assert_array_equal(clip.values["sapiens"], np.load(parts).reshape(2, 576))
    with pytest.raises(InputError, match="width and height of the picture"):
        import_track("dwpose", tmp_path / "dw.npz")


def test_dwpose_json(tmp_path):
    frame = {
        "body": np.ones((18, 2)).tolist(),
        "hands": np.ones((2, 21, 2)).tolist(),
        "faces": np.ones((1, 68, 2)).tolist(),
    }
    path = tmp_path / "pose.json"
    path.write_text(json.dumps({"video_name": "a", "pose_score": [frame, None]}))
    assert import_track("dwpose", path).present["dwpose"].tolist() == [True, False]
    path.write_text('{"a": 1}')
    with pytest.raises(InputError, match="a list with an object for each frame"):
        import_track("dwpose", path)
    path.write_text("{")
    with pytest.raises(InputError, match="expected JSON"):
        import_track("dwpose", path)


def test_files_of_no_use(tmp_path):
    with pytest.raises(InputError, match="numbered by frame, got none"):
        import_track("sapiens", tmp_path)
    wrong = save(tmp_path / "wrong.npy", np.ones((4, 257)))
    with pytest.raises(InputError, match=r"\(frames, 258\) numbers of track 'mediapipe', got"):
        import_track("mediapipe", wrong)
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickled"):
        import_track("mediapipe", tmp_path / "pickled.npy")
    with pytest.raises(UsageError, match=r"no importer for a file like .*clip\.mp4"):
        import_track("mediapipe", tmp_path / "clip.mp4")
    with pytest.raises(InputError, match="got 'openpose'"):
        import_track("openpose", wrong)


def test_opening_what_there_is(tmp_path, shared_data):
    write_tracks(one_track("test_files", np.ones((2, 3)), 10.0), tmp_path / "t.npz")
    assert list(open_tracks(tmp_path / "t.npz").values) == ["test_files"]
    words = shared_data / "fingerspelling_dev" / "words"
    for suffix in ("npz", "pose"):
        path = next(words.glob(f"*.{suffix}"))
        clip = open_tracks(path)
        hands = clip.values["mediapipe"][:, 132:]
        assert np.isfinite(hands).any(axis=1).mean() > 0.9
        assert np.nanmax(hands.reshape(clip.frames, -1, 3)[..., :2]) < 1.5
