"""Writing videos: what is read back by others is what was given."""

from __future__ import annotations

import struct

import av
import numpy as np
import pytest

from chereme.errors import InputError, OutputError, UsageError
from chereme.video import write_video


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_come_back(tmp_path, monkeypatch, pictures, codec, suffix):
    if codec == "mpeg4":
        monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    path = tmp_path / f"clip.{suffix}"
    given = pictures(20)
    write_video(path, iter(given), 30000 / 1001, quality=8)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        assert float(stream.average_rate) == pytest.approx(30000 / 1001, rel=1e-3)
        frames = list(container.decode(stream))
    assert [frame.time for frame in frames] == pytest.approx(
        [index * 1001 / 30000 for index in range(20)], abs=1e-6 if suffix == "mp4" else 1e-3
    )
    for frame, image in zip(frames, given, strict=True):
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - image).mean() < 6


def test_quality_is_worth_bytes(tmp_path):
    rng = np.random.default_rng(0)
    noise = list(rng.integers(0, 255, (5, 64, 64, 3), np.uint8))
    sizes = []
    for quality in (5, 20, 40):
        write_video(tmp_path / "clip.mp4", noise, 30, quality=quality)
        sizes.append((tmp_path / "clip.mp4").stat().st_size)
    assert sizes[0] > 1.3 * sizes[1] > 1.3 * 1.3 * sizes[2]


def test_index_comes_first_and_rotation_is_written(tmp_path, pictures):
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(3), 30, rotation=90)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    turned = struct.pack(">4i", 0, 1 << 16, 0, -(1 << 16))  # a, b, u, c of a telephone held upright
    assert turned in data[data.find(b"tkhd") :][:100]


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "at least one, got none"),
        ([np.zeros((5, 8, 3), np.uint8)], {}, "even height and width"),
        ([np.zeros((8, 8), np.uint8)], {}, "even height and width"),
        ([np.zeros((8, 8, 3), np.float32)], {}, "frame 0: expected uint8"),
        ([np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)], {}, "frame 1"),
        ([np.zeros((64, 64, 3), np.uint8)] * 2, {"timestamps": [0.0]}, "one per frame"),
        ([np.zeros((64, 64, 3), np.uint8)] * 2, {"timestamps": [1.0, 0.5]}, "strictly rising"),
        ([np.zeros((64, 64, 3), np.uint8)], {"timestamps": [-1.0]}, "strictly rising"),
    ],
)
def test_wrong_frames_are_refused_and_leave_nothing(tmp_path, frames, options, message):
    path = tmp_path / "clip.mp4"
    with pytest.raises(InputError, match=message):
        write_video(path, frames, 30, **options)
    assert not path.exists()


def test_the_longest_name_that_fits_and_one_beyond(tmp_path, pictures):
    path = tmp_path / ("x" * 251 + ".mp4")
    write_video(path, pictures(2), 30)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OutputError, match="File name too long"):
        write_video(tmp_path / ("x" * 252 + ".mp4"), pictures(2), 30)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_wrong_options(tmp_path, pictures):
    with pytest.raises(UsageError, match="rotation"):
        write_video(tmp_path / "clip.mp4", pictures(1), 30, rotation=45)
    with pytest.raises(InputError, match="nowhere"):
        write_video(tmp_path / "nowhere" / "clip.mp4", pictures(1), 30)
    with pytest.raises(InputError, match=r"clip\.xyz"):
        write_video(tmp_path / "clip.xyz", pictures(1), 30)
