"""Damaged, cut and wrong files: what there is comes out, and the damage is told."""

from __future__ import annotations

import io
import random
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from chereme.errors import InputError, LimitError
from chereme.video import Limits, open_video, write_video
from chereme.video.structure import is_cut, lacks_index

COUNT = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pictures, encode):
    """The same 60 frames as faststart mp4, webm of known length, and live webm; key every 10."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    frames = pictures(COUNT, 128, 96)
    for image in frames:  # noise gives every packet a body that can be damaged
        image[:, 40:56] = rng.integers(0, 255, (96, 16, 3), np.uint8)
    key = {"g": "10"}
    front = {"movflags": "+faststart"}
    return {
        "mp4": encode(
            folder / "whole.mp4",
            frames,
            options={**key, "bf": "0", "sc_threshold": "0", "threads": "1"},
            container_options=front,
        ),
        "webm": encode(folder / "whole.webm", frames, codec="libvpx", options=key),
        "live.webm": encode(
            folder / "whole.live.webm",
            frames,
            codec="libvpx",
            options=key,
            container_options={"live": "1"},
        ),
    }


def read(path, **options):
    with open_video(path, **options) as video:
        frames = list(video)
    return frames, video.facts


def packets_of(path):
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]


def rot(data, position, size, seed):
    rng = random.Random(seed)
    for _ in range(max(20, size // 10)):
        data[position + rng.randrange(size // 3, size)] = rng.randrange(256)


def test_bit_rot_costs_only_the_frames_that_it_touches(tmp_path, whole):
    data = bytearray(whole["mp4"].read_bytes())
    packets = packets_of(whole["mp4"])
    touched = [13, 27, 28, 45]
    for index in touched:
        rot(data, *packets[index][:2], seed=index)
    path = tmp_path / "rotten.mp4"
    path.write_bytes(data)
    clean, _ = read(whole["mp4"])
    frames, facts = read(path)
    # Arithmetic codes have no checksum, so that some rot decodes without complaint.
    assert 1 <= facts.bad_packets <= len(touched)
    assert not facts.truncated
    assert len(frames) >= COUNT - len(touched)
    by_time = {frame.timestamp: frame.image for frame in frames}
    for index, frame in enumerate(clean):
        spoilt = any(hit <= index < hit - hit % 10 + 10 for hit in touched)  # to the next key frame
        if not spoilt:
            assert np.array_equal(by_time[frame.timestamp], frame.image)
    assert set(by_time) <= {frame.timestamp for frame in clean}


def test_wiped_packets_are_counted_one_by_one(tmp_path, whole):
    data = bytearray(whole["mp4"].read_bytes())
    packets = packets_of(whole["mp4"])
    for index in (9, 19, 29, 59):  # the last before a key frame: nothing leans on them
        position, size, _ = packets[index]
        data[position : position + size] = b"\xff" * size
    path = tmp_path / "wiped.mp4"
    path.write_bytes(data)
    frames, facts = read(path)
    clean, _ = read(whole["mp4"])
    assert facts.bad_packets == 4
    assert len(frames) == COUNT - 4
    kept = [frame for index, frame in enumerate(clean) if index not in (9, 19, 29, 59)]
    assert [frame.timestamp for frame in frames] == [frame.timestamp for frame in kept]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, kept, strict=True))
    assert facts.fps == pytest.approx(55 / (58 / 30))


def test_damaged_webm_block_structure(tmp_path, whole):
    data = bytearray(whole["webm"].read_bytes())
    position = packets_of(whole["webm"])[30][0]
    data[position - 12 : position + 60] = bytes(72)
    path = tmp_path / "rotten.webm"
    path.write_bytes(data)
    frames, facts = read(path)
    assert 25 <= len(frames) < COUNT
    assert (np.diff([frame.timestamp for frame in frames]) > 0).all()
    assert facts.frames == len(frames)


def test_strict_fails_at_the_first_damage(tmp_path, whole):
    data = bytearray(whole["mp4"].read_bytes())
    rot(data, *packets_of(whole["mp4"])[30][:2], seed=1)
    path = tmp_path / "rotten.mp4"
    path.write_bytes(data)
    seen = []
    with (
        open_video(path, strict=True) as video,
        pytest.raises(InputError, match=r"rotten\.mp4: strict reading.* at 1\.0\d\d s"),
    ):
        seen.extend(frame.timestamp for frame in video)
    for file in whole.values():
        frames, facts = read(file, strict=True)
        assert len(frames) == COUNT
        assert not facts.truncated


@pytest.mark.parametrize("kind", ["mp4", "webm", "live.webm"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_part_of_a_file_gives_what_there_is(tmp_path, whole, kind, share):
    data = whole[kind].read_bytes()
    cut = int(len(data) * share)
    path = tmp_path / f"half.{kind}"
    path.write_bytes(data[:cut])
    complete = sum(position + size <= cut for position, size, _ in packets_of(whole[kind]))
    clean, _ = read(whole[kind])
    frames, facts = read(path)
    assert facts.truncated
    assert complete <= len(frames) <= complete + 1  # the last one may be a part of itself
    for frame, expected in zip(frames[: complete - 1], clean, strict=False):
        assert frame.timestamp == expected.timestamp
        assert np.array_equal(frame.image, expected.image)
    with pytest.raises(InputError, match="strict reading, and the file ends before it should"):
        open_video(path, strict=True)


def test_cut_before_its_index_says_so(tmp_path, pictures, encode):
    whole = encode(tmp_path / "whole.mp4", pictures(10))
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"cut\.mp4: the file ends before its index \(moov\)"):
        open_video(path)


@pytest.mark.parametrize("kind", ["mp4", "webm", "live.webm"])
def test_every_cut_is_seen(whole, kind):
    data = whole[kind].read_bytes()
    assert not is_cut(io.BytesIO(data))
    missed = [cut for cut in range(50, len(data), 7) if not is_cut(io.BytesIO(data[:cut]))]
    # A cut exactly between two parts, without a length around them, cannot be told.
    most = {"mp4": 4, "webm": 0, "live.webm": len(packets_of(whole[kind])) + 10}[kind]
    assert len(missed) <= most


def test_structure_of_other_files():
    assert not is_cut(io.BytesIO(b""))
    assert not is_cut(io.BytesIO(b"hello world, this is a text"))
    assert not is_cut(io.BytesIO(b"\x1a\x45\xdf\xa3" + b"\x00" * 40))
    assert is_cut(io.BytesIO(b"RIFF" + struct.pack("<I", 10_000) + b"AVI " + bytes(50)))
    assert is_cut(io.BytesIO(struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + bytes(50)))
    assert not is_cut(io.BytesIO(struct.pack(">I4s", 0, b"mdat") + bytes(50)))
    assert lacks_index(io.BytesIO(struct.pack(">I4s", 16, b"ftyp") + bytes(8)))
    assert not lacks_index(io.BytesIO(b"hello world"))


def test_random_damage_never_escapes(tmp_path, whole):
    path = tmp_path / "noise"
    for seed in range(24):
        rng = random.Random(seed)
        data = bytearray(whole[("mp4", "webm", "live.webm")[seed % 3]].read_bytes())
        for _ in range(rng.choice((3, 30, 300))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.randrange(len(data) // 2, len(data))])
        try:
            frames, facts = read(path)
        except InputError:
            continue
        assert (np.diff([frame.timestamp for frame in frames]) > 0).all()
        assert facts.frames == len(frames) > 0


def wave(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        for index in range(20):
            frame.pts, frame.time_base = index * 1024, Fraction(1, 44100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_what_is_no_video_says_what_it_is(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("dear diary\n" * 100)
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:9,\n/etc/hostname\n#EXT-X-ENDLIST\n")
    (tmp_path / "random.mp4").write_bytes(random.Random(0).randbytes(5000))
    wave(tmp_path / "voice.mp4")
    for name, message in {
        "missing.mp4": "no such file or folder",
        "empty.mp4": r"the file is empty \(0 bytes\)",
        "text.mp4": "expected a video or a picture",
        "playlist.mp4": "expected a video or a picture",
        "random.mp4": "expected a video or a picture",
        "voice.mp4": "expected a video stream, but the file holds only: audio",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            open_video(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert caught.value.exit_code == 1


def test_giant_header_is_refused(tmp_path, pictures):
    path = tmp_path / "giant.mp4"
    write_video(path, pictures(2), 30)
    data = bytearray(path.read_bytes())
    at = data.find(b"avc1", data.find(b"stsd")) + 28  # width and height of the sample entry
    assert struct.unpack_from(">HH", data, at) == (96, 64)
    struct.pack_into(">HH", data, at, 60000, 60000)
    path.write_bytes(data)
    try:
        with open_video(path) as video:  # the stream itself tells the true size
            assert video.facts.height == 64
    except LimitError as error:
        assert "60000x60000" in str(error)  # noqa: PT017


def test_no_decodable_frame(tmp_path, whole):
    data = bytearray(whole["mp4"].read_bytes())
    start = packets_of(whole["mp4"])[0][0]
    data[start:] = b"\xff" * (len(data) - start)
    path = tmp_path / "blank.mp4"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"at least one frame, but none could be decoded \(60 "):
        open_video(path, limits=Limits())
