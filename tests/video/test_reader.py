"""Time, orientation, size and limits of whole files."""

from __future__ import annotations

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chereme.errors import LimitError, UsageError
from chereme.video import Limits, VideoReader, open_video, write_video
from chereme.video.reader import _Clock


def difference(a, b):
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_display_matrix_gives_the_same_upright_frames(tmp_path, pictures, rotation):
    upright = pictures(8, 96, 64)
    stored = [np.rot90(image, rotation // 90) for image in upright]  # counter-clockwise
    path = tmp_path / "phone.mp4"
    write_video(path, stored, 30, rotation=rotation, quality=8)
    with open_video(path) as video:
        frames = list(video)
    assert (video.facts.width, video.facts.height) == (96, 64)
    assert video.facts.rotation == rotation
    assert len(frames) == len(upright)
    for frame, expected in zip(frames, upright, strict=True):
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert difference(frame.image, expected) < 6
        assert difference(frame.image[:20, :30], expected[:20, :30]) < 6  # the red corner


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # as a telephone held upright writes it
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, 0, 0, 0), lambda image: image),  # damaged: means nothing
    ],
)
def test_display_matrix_of_the_track_header(tmp_path, pictures, matrix, turn):
    path = tmp_path / "clip.mp4"
    stored = pictures(1)[0]
    write_video(path, [stored], 30, quality=8)
    data = bytearray(path.read_bytes())
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.find(identity, data.find(b"tkhd"))
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    with open_video(path) as video:
        assert difference(next(video).image, turn(stored)) < 6


def test_timestamps_of_a_variable_rate_are_exact(tmp_path, pictures, number_of):
    ticks = np.cumsum([0, 3000, 1500, 9000, 3003, 45000, 1, 2999, 6000])
    path = tmp_path / "variable.mp4"
    write_video(path, pictures(9), 30, timestamps=list(ticks / 60_000), quality=5)
    with open_video(path) as video:
        frames = list(video)
    assert [frame.timestamp for frame in frames] == pytest.approx(list(ticks / 60_000), abs=1e-9)
    assert [number_of(frame.image) for frame in frames] == list(range(9))
    assert video.facts.fps == pytest.approx(8 / (ticks[-1] / 60_000))
    assert video.facts.duration == pytest.approx(ticks[-1] / 60_000 * 9 / 8)  # and the last frame


@pytest.mark.parametrize(
    ("times", "fps"),
    [
        ([0, 0.04, 0.08, 9.08, 9.12], 25.0),  # a pause of nine seconds is no motion
        ([0, 0.5, 2.5], 2 / 2.5),
        ([0, 10, 30], 2 / 30),  # single pictures
    ],
)
def test_the_rate_is_that_of_frames_that_show_a_motion(tmp_path, pictures, times, fps):
    path = tmp_path / "pause.mp4"
    write_video(path, pictures(len(times)), 30, timestamps=times)
    with open_video(path) as video:
        list(video)
    assert video.facts.fps == pytest.approx(fps)
    assert video.facts.duration == pytest.approx(times[-1] + 1 / fps)


class Pipe:
    """A target that cannot seek, as a network stream."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()


def test_streamed_webm_with_a_lying_rate(tmp_path, pictures, encode):
    path = tmp_path / "streamed.webm"
    times = [round(index / 16.4, 3) for index in range(40)]
    pipe = Pipe(path)
    encode(path, pictures(40), codec="libvpx", rate=30, times=times, target=pipe, muxer="webm")
    pipe.close()
    with av.open(str(path)) as container:
        assert container.streams.video[0].duration is None
        assert container.streams.video[0].frames == 0
    with open_video(path, strict=True) as video:
        frames = list(video)
    assert [frame.timestamp for frame in frames] == pytest.approx(times, abs=1e-6)
    assert video.facts.fps == pytest.approx(16.4, abs=0.05)
    assert not video.facts.truncated


def test_first_frame_is_at_zero(tmp_path, pictures, encode):
    path = encode(
        tmp_path / "late.mkv", pictures(5), times=[7.5, 7.6, 7.75, 7.8, 8.0], options={"bf": "0"}
    )
    with open_video(path) as video:
        times = [frame.timestamp for frame in video]
    assert times == pytest.approx([0, 0.1, 0.25, 0.3, 0.5], abs=1e-3)


def test_avi_without_presentation_times(tmp_path, pictures, encode, number_of):
    path = encode(tmp_path / "old.avi", pictures(30), rate=25, options={"bf": "2"})
    with open_video(path, strict=True) as video:
        frames = list(video)
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    gaps = np.diff([frame.timestamp for frame in frames])
    assert (gaps > 0).all()
    assert video.facts.fps == pytest.approx(25, rel=0.1)


def test_joined_recordings_of_two_sizes(tmp_path, pictures, encode, number_of):
    first = encode(tmp_path / "a.ts", pictures(60, 96, 64))
    second = encode(tmp_path / "b.ts", pictures(60, 64, 128))
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with open_video(path) as video:
        frames = list(video)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert (np.diff([frame.timestamp for frame in frames]) > 0).all()
    assert frames[-1].timestamp == pytest.approx(119 / 30, abs=0.2)
    assert len(frames) == 120
    assert number_of(frames[-1].image) == 59
    assert frames[-1].image[:, :30].max() == 0  # the tall picture stands between black borders


def test_pixels_are_made_square(tmp_path, pictures, encode):
    path = encode(tmp_path / "wide.mkv", pictures(2, 64, 64), aspect=Fraction(3, 2))
    with open_video(path) as video:
        image = next(video).image
    assert image.shape == (64, 96, 3)
    assert difference(image, pictures(1, 96, 64)[0]) < 12


def test_reads_once_and_keeps_facts(tmp_path, pictures):
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(4), 25)
    with open_video(path) as video:
        assert (video.facts.width, video.facts.height, video.facts.frames) == (96, 64, 0)
        assert video.expected_frames == 4
        assert not video.is_still
        first = next(iter(video))
        assert first.timestamp == 0
        assert len(list(video)) == 3
        assert list(video) == []
    assert video.facts.frames == 4
    assert video.facts.fps == pytest.approx(25)
    assert video.facts.source == str(path)


def test_one_frame(tmp_path, pictures):
    path = tmp_path / "one.mp4"
    write_video(path, pictures(1), 30)
    with open_video(path, strict=True) as video:
        assert [frame.timestamp for frame in video] == [0.0]
    assert video.facts.fps is None
    assert video.facts.duration == pytest.approx(1 / 30)
    assert not video.is_still


def test_over_the_pixel_limit_is_refused_at_opening(tmp_path, pictures):
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(2), 30)
    with pytest.raises(LimitError, match=r"clip\.mp4: 96x64 is over the limit of 6,000 pixels"):
        open_video(path, limits=Limits(max_pixels=6000))
    open_video(path, limits=Limits(max_pixels=96 * 64)).close()


def test_over_the_time_limit_stops_there(tmp_path, pictures):
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(30), 30)
    seen: list[float] = []
    with (
        open_video(path, limits=Limits(max_seconds=0.5)) as video,
        pytest.raises(LimitError, match=r"lasts 0\.5[1-9] s at least, over the limit of 0\.5 s"),
    ):
        seen.extend(frame.timestamp for frame in video)
    with open_video(path, limits=Limits(max_seconds=None)) as video:
        assert len(list(video)) == 30


@pytest.mark.parametrize("value", [0, -1, float("nan")])
@pytest.mark.parametrize("name", ["max_pixels", "max_seconds", "max_frames"])
def test_limits_are_above_zero(name, value):
    option = "--" + name.replace("_", "-")
    with pytest.raises(UsageError, match=f"{option}: expected a number above 0, got {value}"):
        Limits(**{name: value})


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_rate_must_be_positive_and_finite(tmp_path, rate):
    with pytest.raises(UsageError, match="rate: expected a finite number"):
        VideoReader(tmp_path, rate=rate)


def test_clock_closed_forms():
    clock = _Clock(0.1)
    claims = [5.0, 5.1, 5.1, 5.2, None, 5.6, 2.0, 2.5]
    expected = [5.0, 5.1, 5.15, 5.2, 5.3, 5.6, 5.7, 6.2]
    assert [clock.stamp(claim) for claim in claims] == pytest.approx(expected)


@given(st.lists(st.one_of(st.none(), st.floats(-1e5, 1e5)), min_size=2, max_size=30))
def test_clock_always_rises(claims):
    clock = _Clock(1 / 30)
    times = [clock.stamp(claim) for claim in claims]
    assert times[0] == max(claims[0] or 0, 0)
    assert (np.diff(times) > 0).all()


@given(st.lists(st.floats(1e-3, 10), min_size=1, max_size=30))
def test_clock_leaves_true_times_alone(gaps):
    times = np.cumsum([0.0, *gaps])
    clock = _Clock(1 / 30)
    assert [clock.stamp(time) for time in times.tolist()] == times.tolist()


@pytest.mark.parametrize("folder", ["formats/video", "fingerspelling_dev/video"])
def test_real_recordings_are_whole(shared_data, folder):
    files = sorted((shared_data / folder).glob("*.mp4"))
    assert files
    for path in files:
        with open_video(path, strict=True) as video:
            count = sum(1 for _ in video)
        assert count == video.expected_frames == video.facts.frames
        assert 29 < video.facts.fps < 31


CHILD = """
import sys
from chereme.video import open_video
def peak():
    # Not ru_maxrss: a child inherits in it the peak of the process that started it.
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024
with open_video(sys.argv[1]) as video:
    for index, frame in enumerate(video):
        if index == 300:
            early = peak()
print(video.facts.frames, video.facts.duration, early, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak")
def test_memory_stays_flat_over_ten_minutes(tmp_path, pictures):
    path = tmp_path / "long.mp4"
    few = pictures(30, 320, 240)
    write_video(path, (few[index % 30] for index in range(3000)), 5)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
    )
    frames, duration, early, late = map(float, child.stdout.split())
    assert frames == 3000
    assert duration == pytest.approx(3000 / 5, rel=1e-3)
    assert late < 250  # MB, of which the libraries take most; the frames together are 700
    assert late - early < 10
