"""Pictures that hold a film, or several pictures: read as what they are, or said."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from chereme.errors import InputError, LimitError
from chereme.video import Limits, open_video

STEPS = [40, 40, 120, 40, 80, 40]  # ms that each picture is shown


def save(path: Path, images: list[np.ndarray], **options: object) -> Path:
    first, *others = [Image.fromarray(image) for image in images]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, **lossless, **options)
    return path


@pytest.mark.parametrize(
    "suffix",
    [
        ".webp",
        ".png",
        ".gif",
        pytest.param(
            ".avif", marks=pytest.mark.skipif(not features.check("avif"), reason="Pillow has none")
        ),
    ],
)
def test_an_animation_is_read_with_its_times(tmp_path, pictures, number_of, suffix) -> None:
    path = save(tmp_path / f"film{suffix}", pictures(6), duration=STEPS)
    with open_video(path) as video:
        frames = list(video)
    assert not video.is_still
    assert [number_of(frame.image) for frame in frames] == pytest.approx(range(6), abs=1)
    expected = np.cumsum([0, *STEPS[:-1]]) / 1000
    assert [frame.timestamp for frame in frames] == pytest.approx(expected.tolist(), abs=1e-3)
    assert (video.facts.width, video.facts.height) == (96, 64)
    assert not video.facts.truncated


@pytest.mark.parametrize("timed", [(), (1,), (0, 4)])
def test_pictures_of_a_gif_that_have_no_times_are_read_one_by_one(
    tmp_path, pictures, number_of, timed
) -> None:
    path, film = tmp_path / "film.gif", b""
    images = [Image.fromarray(image) for image in pictures(6)]
    palette = Image.fromarray(np.concatenate(pictures(6))).quantize(16)
    for number, image in enumerate(images):
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=False)
        data = path.read_bytes()
        begin = data.index(b"\x2c\0\0\0\0\x60\0\x40\0")
        film = film or data[:begin]
        film += b"\x21\xf9\4\0\5\0\0\0" * (number in timed) + data[begin:-1]
    path.write_bytes(film + b";")
    with open_video(path) as video:
        frames = list(video)
    assert [number_of(frame.image) for frame in frames] == pytest.approx(range(6), abs=1)


def test_a_png_film_of_no_pictures_is_the_picture_that_it_holds(tmp_path, pictures) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(pictures(1)[0]).save(path, save_all=True, default_image=True)
    assert b"acTL" in path.read_bytes()
    with open_video(path) as video:
        assert len(list(video)) == 1


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_a_still_of_the_same_kind_stays_one(tmp_path, pictures, suffix) -> None:
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(pictures(1)[0]).save(path)
    with open_video(path) as video:
        assert len(list(video)) == 1


def half(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 96, 3), dtype=np.uint8)
    save(path, list(noise), duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_half_an_animated_png(tmp_path) -> None:
    path = half(tmp_path / "film.png")
    with open_video(path) as video:
        assert 1 <= len(list(video)) < 8
    assert video.facts.truncated or video.facts.bad_packets
    with pytest.raises(InputError), open_video(path, strict=True) as video:
        list(video)


def test_half_an_animated_webp(tmp_path) -> None:
    with pytest.raises(InputError, match="the animated WebP is damaged"):
        open_video(half(tmp_path / "film.webp"))


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_limits_of_animations(tmp_path, pictures, suffix) -> None:
    path = save(tmp_path / f"film{suffix}", pictures(6), duration=40)
    with pytest.raises(LimitError, match="96x64 is over the limit"):
        open_video(path, limits=Limits(max_pixels=6000))
    with (
        pytest.raises(LimitError, match=r"limit of 3 frames"),
        open_video(path, limits=Limits(max_frames=3)) as video,
    ):
        list(video)


def test_an_animation_among_numbered_frames(tmp_path, pictures) -> None:
    save(tmp_path / "1.webp", pictures(3), duration=40)
    Image.fromarray(pictures(1)[0]).save(tmp_path / "2.webp")
    with pytest.raises(InputError, match=r"1\.webp: .* got an animation"):
        open_video(tmp_path)


def photo_of_two_lenses(image: np.ndarray, kind: int) -> bytes:
    """A multi-picture JPEG (CIPA DC-007) whose two entries are of this type."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    jpeg = buffer.getvalue()
    entries = b"".join(
        struct.pack("<IIIHH", 0x20000000 * (n == 0) | kind, 0, 0, 0, 0) for n in (0, 1)
    )
    index = struct.pack("<HHHI4s", 3, 0xB000, 7, 4, b"0100")
    index += struct.pack("<HHII", 0xB001, 4, 1, 2) + struct.pack("<HHII", 0xB002, 7, 32, 50)
    block = b"MPF\0" + b"II*\0" + struct.pack("<I", 8) + index + struct.pack("<I", 0) + entries
    segment = b"\xff\xe2" + struct.pack(">H", len(block) + 2) + block
    return jpeg[:2] + segment + jpeg[2:] + jpeg


@pytest.mark.parametrize(("kind", "told"), [(0x020002, True), (0x000000, False), (0x010001, False)])
def test_photos_of_two_lenses_are_told(tmp_path, pictures, kind, told) -> None:
    """Not previews and brightness maps, which telephones write after most photos."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo_of_two_lenses(pictures(1)[0], kind))
    with Image.open(path) as image:
        assert image.n_frames == 2
    with open_video(path) as video:
        assert len(list(video)) == 1
    assert video.remarks == (("the file holds 2 pictures: the first was read",) if told else ())


def test_several_pictures_in_a_tiff_are_refused(tmp_path, pictures) -> None:
    path = save(tmp_path / "pages.tif", pictures(3))
    with pytest.raises(InputError, match=r"pages\.tif: expected a video or a picture \(jpg, png"):
        open_video(path)


def test_a_jpeg_of_many_scans_is_refused(tmp_path, pictures) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pictures(1)[0]).save(buffer, "JPEG", progressive=True)
    jpeg = buffer.getvalue()
    scan = jpeg.rindex(b"\xff\xda")
    path = tmp_path / "slow.jpg"
    path.write_bytes(jpeg[:scan] + jpeg[scan:-2] * 300 + jpeg[-2:])
    with pytest.raises(LimitError, match=r"slow\.jpg: expected a JPEG of at most 256 scans"):
        open_video(path)
    path.write_bytes(jpeg)
    open_video(path).close()
