import pickle
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.tracks import (
    PAPER_TRACKS,
    TRACKS,
    PoseTracks,
    TrackSpec,
    is_tracks_file,
    one_track,
    read_tracks,
    register_track,
    together,
    track_spec,
    track_statistics,
    write_tracks,
)

SMALL = register_track(TrackSpec("test_small", 2, "two numbers"))
OTHER = register_track(TrackSpec("test_classes", 1, "a class", blends=False))
NAN = np.nan


@pytest.fixture
def clip():
    """Four frames at 10 a second: number 1 of frame 1 and all of frame 2 are not known."""
    rows = [[0, 10], [2, NAN], [NAN, NAN], [6, 40]]
    return together(
        [one_track("test_small", rows, 10.0), one_track("test_classes", [[3], [3], [8], [8]], 10.0)]
    )


def test_the_five_tracks_of_the_paper_are_1959_numbers():
    assert {name: TRACKS[name].width for name in PAPER_TRACKS} == {
        "smplerx": 165,
        "dwpose": 384,
        "mediapipe": 258,
        "primedepth": 576,
        "sapiens": 576,
    }
    assert sum(TRACKS[name].width for name in PAPER_TRACKS) == 1959


def test_the_network_knows_the_same_widths():
    pytest.importorskip("torch")
    from chereme.systems.signx.tracks import WIDTHS

    assert dict(WIDTHS) == {name: TRACKS[name].width for name in PAPER_TRACKS}


def test_registering():
    assert register_track(SMALL) is track_spec("test_small")
    with pytest.raises(UsageError, match="registered already, of width 2"):
        register_track(TrackSpec("test_small", 3, "three numbers"))
    with pytest.raises(UsageError, match="letters, digits"):
        register_track(TrackSpec("a/b", 3, ""))
    with pytest.raises(UsageError, match="width of 1 or more"):
        register_track(TrackSpec("nothing", 0, ""))
    with pytest.raises(InputError, match=r"expected any of smplerx, dwpose.*register_track"):
        track_spec("openpose")


def test_missing_is_a_mask(clip):
    assert clip.present["test_small"].tolist() == [True, True, False, True]
    assert np.isnan(clip.values["test_small"][2]).all()
    absent = PoseTracks(10.0, {"test_small": np.ones((2, 2))}, {"test_small": np.array([1, 0]) > 0})
    assert np.isnan(absent.values["test_small"][1]).all()  # whatever is there means nothing


def test_tracks_go_to_workers(clip):
    again = pickle.loads(pickle.dumps(clip))
    np.testing.assert_array_equal(again.values["test_small"], clip.values["test_small"])


def test_writing_and_reading(clip, tmp_path):
    path = tmp_path / "new" / "clip.npz"
    write_tracks(clip, path)
    again = read_tracks(path)
    assert is_tracks_file(path)
    assert again.rate == 10.0
    assert list(again.values) == ["test_small", "test_classes"]
    for name in clip.values:
        np.testing.assert_array_equal(again.values[name], clip.values[name])
        np.testing.assert_array_equal(again.present[name], clip.present[name])
    with pytest.raises(UsageError, match=r"ends in .npz"):
        write_tracks(clip, tmp_path / "clip.pose")


GOOD = {
    "tracks_version": 1,
    "rate": 25.0,
    "track/test_small": np.ones((3, 2), np.float32),
    "present/test_small": np.ones(3, bool),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"track/test_small": np.ones((3, 5))}, r"expected \(3, 2\) numbers .* got \(3, 5\)"),
        ({"track/test_small": np.ones((0, 2))}, "at least one frame"),
        ({"track/test_small": np.full((3, 2), np.inf)}, "finite numbers or NaN"),
        ({"track/openpose": np.ones((3, 2))}, "expected any of smplerx.* got 'openpose'"),
        ({"track/test_classes": np.ones((3, 1))}, "frames in which it is present"),
        ({"present/test_classes": np.ones(3, bool)}, "test_classes'] too"),
        ({"present/test_small": np.ones(3)}, "bool"),
        ({"present/test_small": np.ones(2, bool)}, r"expected \(3,\) of bool, got \(2,\)"),
        ({"rate": 0.0}, "positive number of frames"),
        ({"rate": None}, "expected one rate"),
        ({"tracks_version": 2}, "tracks_version 1, got 2"),
        ({"smplerx": np.ones((3, 165))}, r"track/<name> and present/<name> only"),
        ({"track/test_small": None, "present/test_small": None}, "at least one of smplerx"),
        ({"tracks_version": None}, "order of tracks in one array is never guessed"),
    ],
)
def test_files_that_cannot_be(tmp_path, change, said):
    path = tmp_path / "bad.npz"
    np.savez(path, **{k: v for k, v in {**GOOD, **change}.items() if v is not None})
    with pytest.raises(InputError, match=said) as raised:
        read_tracks(path)
    assert str(path) in str(raised.value)


def test_unordered_numbers_pickles_and_damage(tmp_path):
    path = tmp_path / "all.npz"
    np.savez(path, poses=np.zeros((5, 1959)))
    with pytest.raises(InputError, match=r"got poses \(5, 1959\)"):
        read_tracks(path)
    np.savez(path, poses=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        read_tracks(path)
    path.write_bytes(path.read_bytes()[:50])
    assert not is_tracks_file(path)
    with pytest.raises(InputError, match="damaged"):
        read_tracks(path)
    with pytest.raises(InputError, match=str(tmp_path / "none.npz")):
        read_tracks(tmp_path / "none.npz")


def test_a_small_file_that_would_unpack_to_gigabytes(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, count in (("tracks_version", 1), ("track/mediapipe", 10**9)):
            with archive.open(f"{name}.npy", "w") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
                npy.write_array_header_1_0(file, header)
    assert is_tracks_file(path)
    with pytest.raises(LimitError, match=r"a\.npz: it unpacks to 4,000,000,004 bytes, expected"):
        read_tracks(path)


def test_together_wants_the_same_clip(clip):
    with pytest.raises(InputError, match=r"expected 4 frames at 10 a second.*got 3 at 10"):
        together([clip, one_track("dwpose", np.ones((3, 384)), 10.0)])
    with pytest.raises(InputError, match="got 4 at 25"):
        together([clip, one_track("dwpose", np.ones((4, 384)), 25.0)])
    with pytest.raises(InputError, match="each once, got test_small twice"):
        together([clip, clip.only(["test_small"])])
    with pytest.raises(InputError, match="at least one"):
        together([])


def test_parts_and_subsets(clip):
    part = clip.part(0.1, 0.3)
    assert part.frames == 2
    assert part.present["test_small"].tolist() == [True, False]
    with pytest.raises(InputError, match="at least one frame, got 2 to the end"):
        clip.part(2.0)
    assert list(clip.only(["test_classes", "dwpose"]).values) == ["test_classes"]
    with pytest.raises(InputError, match="this clip has test_small"):
        clip.only(["dwpose"])


def test_at_another_rate(clip):
    double = clip.at_rate(20.0)
    small = double.values["test_small"]
    assert (double.frames, double.rate) == (8, 20.0)
    np.testing.assert_array_equal(small[:3, 0], [0, 1, 2])  # between frames: their mean
    assert np.isnan(small[1:3, 1]).tolist() == [True, True]  # one of the two is not known
    np.testing.assert_array_equal(double.values["test_classes"][:, 0], [3, 3, 3, 8, 8, 8, 8, 8])
    assert double.present["test_small"].tolist() == [1, 1, 1, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(
        clip.at_rate(10.0).values["test_small"], clip.values["test_small"]
    )
    with pytest.raises(UsageError, match="positive"):
        clip.at_rate(0)


def test_statistics_are_of_what_is_known(clip):
    mean, spread = track_statistics([clip, clip])["test_small"]
    known = np.array([0.0, 2.0, 6.0])
    np.testing.assert_allclose(mean, [known.mean(), 25.0], rtol=1e-6)
    np.testing.assert_allclose(spread, [known.std(), 15.0], rtol=1e-6)
    never = one_track("test_small", [[1, NAN], [3, NAN]], 10.0)
    mean, spread = track_statistics([never])["test_small"]
    assert (mean[1], spread[1]) == (0.0, 1.0)
