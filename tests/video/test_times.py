"""Times of frames: those of a player's clock, which starts with the sound or the picture."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import fakes
from chereme.errors import UsageError
from chereme.video import frame_times, open_video, write_video

FRAMES, RATE = 12, 24


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, pictures) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_video(path, pictures(FRAMES), RATE)  # with frames that are predicted from later ones
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "ts"])
@pytest.mark.parametrize("start", [0.0, 1.4, 95442.0])  # of MPEG-TS, and one that wraps around
@pytest.mark.parametrize("late", [2.0, 0.25, 0.0, -1.0])
def test_the_clock_starts_with_what_starts_first(
    film: Path, tmp_path: Path, suffix: str, start: float, late: float
) -> None:
    path = fakes.with_sound(film, tmp_path / f"clip.{suffix}", late, start=start)
    with open_video(path) as video:
        times = [frame.timestamp for frame in video]
    assert frame_times(path) == times
    first = max(late, 0.0)
    assert times == pytest.approx(first + np.arange(FRAMES) / RATE, abs=2e-3)
    facts = video.facts
    assert facts.start == times[0]
    assert facts.duration == pytest.approx(FRAMES / RATE, abs=2e-3)
    assert facts.fps == pytest.approx(RATE, rel=5e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_picture_alone_starts_at_0_whatever_its_stamps(
    film: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"late.{suffix}"
    with av.open(str(film)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.pts += round(7 / packet.time_base)
                packet.dts += round(7 / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    with open_video(path) as video:
        assert next(video).timestamp == frame_times(path)[0] == 0


def test_frames_before_the_start_of_an_edit_are_not_shown(film: Path, tmp_path: Path) -> None:
    """A trimmed mp4 keeps the frames that later ones are made of, with times before 0."""
    path = tmp_path / "trimmed.mp4"
    with av.open(str(film)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.pts -= round(5 / RATE / packet.time_base)
                packet.dts -= round(5 / RATE / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    with open_video(path) as video:
        times = [frame.timestamp for frame in video]
    assert times == pytest.approx(np.arange(FRAMES - 5) / RATE, abs=1e-3)
    assert times == frame_times(path)


def test_times_of_the_day_are_no_clock(film: Path, tmp_path: Path) -> None:
    path = fakes.with_sound(film, tmp_path / "camera.mkv", 1.7e9)
    with open_video(path) as video:
        assert [frame.timestamp for frame in video] == pytest.approx(
            np.arange(FRAMES) / RATE, abs=2e-3
        )
    assert video.facts.duration == pytest.approx(FRAMES / RATE, abs=2e-3)


@pytest.fixture
def two_cameras(tmp_path: Path, pictures) -> Path:
    """Of 64x48 and of 96x64 pixels, the second half a second later."""
    path = tmp_path / "cameras.mkv"
    for size in ((64, 48), (96, 64)):
        write_video(tmp_path / f"{size[0]}.mp4", pictures(4, *size), 20)
    with (
        av.open(str(tmp_path / "64.mp4")) as small,
        av.open(str(tmp_path / "96.mp4")) as large,
        av.open(str(path), "w") as new,
    ):
        for old in (small, large):
            new.add_stream_from_template(old.streams.video[0])
        for number, old in enumerate((small, large)):
            for packet in old.demux(old.streams.video[0]):
                if packet.size:
                    packet.pts += round(0.5 * number / packet.time_base)
                    packet.dts += round(0.5 * number / packet.time_base)
                    packet.stream = new.streams[number]
                    new.mux(packet)
    return path


@pytest.mark.parametrize(
    ("chosen", "size", "start"),
    [(None, (96, 64), 0.5), (0, (64, 48), 0.0), (1, (96, 64), 0.5)],
)
def test_one_of_two_cameras(two_cameras: Path, chosen, size, start) -> None:
    with open_video(two_cameras, video_stream=chosen) as video:
        times = [frame.timestamp for frame in video]
    facts = video.facts
    assert (facts.width, facts.height) == size
    assert facts.video_stream == (1 if chosen is None else chosen)
    assert facts.video_streams == ((64, 48), (96, 64))
    assert times == pytest.approx(start + np.arange(4) / 20, abs=2e-3)


@pytest.mark.parametrize("wrong", [2, -1])
def test_a_stream_that_there_is_not(two_cameras: Path, wrong: int) -> None:
    with pytest.raises(
        UsageError, match=rf"cameras\.mkv: expected one of its video streams \(0, 1.* got {wrong}"
    ):
        open_video(two_cameras, video_stream=wrong)


def test_the_only_stream(film: Path) -> None:
    with open_video(film, video_stream=0) as video:
        next(video)
    assert (video.facts.video_stream, video.facts.video_streams) == (0, ((96, 64),))
