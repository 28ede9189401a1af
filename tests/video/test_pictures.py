"""Single pictures and folders of numbered frames."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from chereme.errors import InputError, LimitError
from chereme.video import Limits, open_video
from chereme.video.picture_header import read_header


def difference(a, b):
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.fixture
def folder(tmp_path, pictures, jpeg):
    """Frames 1..12 but 5 and 6, as ChicagoFSWild names them."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, image in enumerate(pictures(12), start=1):
        if index not in (5, 6):
            (folder / f"{index:04}.jpg").write_bytes(jpeg(image))
    return folder


def test_folder_of_frames_with_a_gap(folder, pictures):
    (folder / "notes.txt").write_text("not a frame")
    (folder / "._0001.jpg").write_bytes(b"what a Mac leaves behind")
    with open_video(folder, rate=25, strict=True) as video:
        frames = list(video)
    numbers = [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
    assert [frame.timestamp for frame in frames] == pytest.approx([(n - 1) / 25 for n in numbers])
    for frame, number in zip(frames, numbers, strict=True):
        assert difference(frame.image, pictures(12)[number - 1]) < 4
    assert video.facts.bad_packets == 0
    assert video.expected_frames == 10
    assert not video.is_still
    assert video.facts.fps == pytest.approx(9 / (11 / 25))


def test_damaged_frames_of_a_folder_are_skipped(folder):
    data = (folder / "0003.jpg").read_bytes()
    (folder / "0003.jpg").write_bytes(data[: len(data) // 2])
    (folder / "0008.jpg").write_bytes(b"\xff\xd8\xff" + bytes(300))
    (folder / "0009.jpg").write_bytes(b"")
    with open_video(folder) as video:
        frames = list(video)
    assert [round(frame.timestamp * 30) + 1 for frame in frames] == [1, 2, 4, 7, 10, 11, 12]
    assert video.facts.bad_packets == 3
    with open_video(folder, strict=True) as video, pytest.raises(InputError, match=r"0003\.jpg"):
        list(video)


def test_first_shown_frame_is_at_zero(folder):
    (folder / "0001.jpg").write_bytes(b"gone")
    with open_video(folder) as video:
        assert [frame.timestamp for frame in video][:2] == pytest.approx([0, 1 / 30])


def test_frames_over_the_limits(folder):
    with pytest.raises(LimitError, match=r"0001\.jpg: 96x64 is over the limit of 1,000 pixels"):
        open_video(folder, limits=Limits(max_pixels=1000))
    with (
        open_video(folder, limits=Limits(max_seconds=0.1)) as video,
        pytest.raises(LimitError, match=r"limit of 0\.1 s"),
    ):
        list(video)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_agrees_with_pillow(tmp_path, pictures, kind, orientation):
    pillow = pytest.importorskip("PIL.Image")
    ops = pytest.importorskip("PIL.ImageOps")
    picture = pillow.fromarray(pictures(1)[0])
    exif = pillow.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{kind.lower()}"
    picture.save(path, kind, exif=exif, quality=95)
    expected = np.asarray(ops.exif_transpose(pillow.open(path)).convert("RGB"))
    with open_video(path, strict=True) as video:
        frames = list(video)
    assert len(frames) == 1
    assert video.is_still
    assert frames[0].image.shape == expected.shape
    assert frames[0].image.flags.c_contiguous
    assert difference(frames[0].image, expected) < 3


def test_colours_agree_with_pillow(shared_data):
    pillow = pytest.importorskip("PIL.Image")
    for path in sorted((shared_data / "formats" / "photos").glob("*.jpg")):
        with open_video(path, strict=True) as video:
            image = next(video).image
        assert difference(image, np.asarray(pillow.open(path).convert("RGB"))) < 2.5


def test_big_endian_exif_after_other_segments(tmp_path, pictures, jpeg):
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\0\0" + tiff
    comment = b"\xff\xfe" + struct.pack(">H", 7) + b"hello"
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    data = jpeg(pictures(1)[0])
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + comment + segment + data[2:])
    with open_video(path) as video:
        assert difference(next(video).image, np.rot90(pictures(1)[0], -1)) < 4
    assert video.facts.rotation == 90


def test_cut_photo_shows_what_there_is(tmp_path, pictures, jpeg):
    data = jpeg(pictures(1)[0])
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[: int(len(data) * 0.8)])
    with open_video(path) as video:
        image = next(video).image
    assert difference(image[:30], pictures(1)[0][:30]) < 5
    assert video.facts.bad_packets == 1
    with pytest.raises(InputError, match="strict"):
        open_video(path, strict=True)


def giant_png(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def test_giant_headers_are_refused_before_decoding(tmp_path, pictures, jpeg):
    png = tmp_path / "giant.png"
    png.write_bytes(giant_png(40000, 40000))
    data = bytearray(jpeg(pictures(1)[0]))
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, 50000, 60000)
    photo = tmp_path / "giant.jpg"
    photo.write_bytes(data)
    with pytest.raises(LimitError, match=r"giant\.png: 40000x40000 .*Limits\.max_still_pixels"):
        open_video(png)
    with pytest.raises(LimitError, match="60000x50000"):
        open_video(photo)


def test_photo_of_a_telephone_is_within_the_limits():
    Limits().check_pixels("photo.jpg", 8064, 6048, still=True)
    with pytest.raises(LimitError):
        Limits().check_pixels("film.mp4", 8064, 6048)


def test_headers():
    assert read_header(b"") is None
    assert read_header(b"plain text that is no picture") is None
    header = read_header(giant_png(7, 9))
    assert header is not None
    assert (header.codec, header.width, header.height) == ("png", 7, 9)
    for cut in range(60):  # a header that ends early is no crash
        read_header(giant_png(7, 9)[:cut])


def test_bmp(tmp_path, pictures):
    pillow = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pillow.fromarray(pictures(1)[0]).save(buffer, "BMP")
    path = tmp_path / "picture.bmp"
    path.write_bytes(buffer.getvalue())
    with open_video(path, strict=True) as video:
        assert np.array_equal(next(video).image, pictures(1)[0])
