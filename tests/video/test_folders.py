"""Folders as people have them: frames of one recording in their order, or many recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fakes
from chereme.cli import app
from chereme.errors import InputError
from chereme.formats.poses import write_landmarks
from chereme.video import open_video, write_video
from chereme.video.folders import expand, numbered_pictures

JUNK = ("Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt", "._clip.mp4", ".hidden_1.jpg")


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["image (1).jpg", "image (2).jpg", "image (10).jpg"],
        ["clip_001_out.jpg", "clip_002_out.jpg", "clip_010_out.jpg"],
        ["frame-0001.final.png", "frame-0002.final.png"],
        ["v1.0_frame9.png", "v1.0_frame10.png", "v1.0_frame11.png"],
        ["7.jpg", "08.jpg", "9.JPG"],
        ["Screenshot 2026-11-30 at 10.59.58.png", "Screenshot 2026-11-30 at 10.59.59.png"],
        ["f0001_t0.900.jpg", "f0002_t0.933.jpg", "f0003_t1.000.jpg"],  # two numbers count
        ["only3_of_5.png"],
    ],
)
def test_frames_are_ordered_by_the_number_that_differs(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, *JUNK, *reversed(names))
    touch(tmp_path / "__MACOSX", "._image (1).jpg")
    files, remarks = numbered_pictures(tmp_path)
    assert [path.name for _, path in files] == names
    numbers = [number for number, _ in files]
    assert numbers == sorted({*numbers})
    assert remarks == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["left_1.jpg", "right_1.jpg"], r"several \(left_N, right_N"),
        (["cam1_1.jpg", "cam1_2.jpg", "cam2_1.jpg", "cam2_2.jpg"], r"several \(camN_N"),
        (["1.jpg", "01.jpg"], "one number twice"),
        (["1.jpg", "1.png"], "one number twice"),
        (
            ["a.jpg", "b.jpg"],
            r"none of its 2 pictures has a number \(a\.jpg, b\.jpg\); give single",
        ),
        ([], "expected a folder of numbered frames.* but there is none in it"),
        (["a.txt"], "expected a folder of numbered frames.* but there is none in it"),
        (["a.mp4", "b.mov"], r"a folder of 2 videos \(a\.mp4, b\.mov\); give these one by one"),
    ],
)
def test_what_is_no_series(tmp_path: Path, names: list[str], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        open_video(tmp_path)


def test_pictures_without_a_number_are_told(tmp_path, pictures, jpeg) -> None:
    for name in ("image.jpg", "image (1).jpg", "image (2).jpg"):
        (tmp_path / name).write_bytes(jpeg(pictures(1)[0]))
    with open_video(tmp_path) as video:
        assert len(list(video)) == 2
    assert video.remarks == ("1 pictures without a number were left out",)


def test_inputs_of_a_folder(tmp_path: Path) -> None:
    films = touch(tmp_path / "films", *JUNK, "10.mp4", "9.MOV", "a.webm", "hands.npz")
    touch(films / "__MACOSX", "._10.mp4")
    touch(films / "more", "deep.mp4")
    frames = touch(tmp_path / "frames", "1.jpg", "2.jpg", "hands.npz")
    both = touch(tmp_path / "both", "a.mp4", "1.jpg")
    hands = touch(tmp_path / "hands", "10.pose", "9.npz")
    empty = touch(tmp_path / "empty")
    missing = tmp_path / "missing"
    paths, remarks = expand([films, frames, both, hands, empty, missing], (".pose", ".npz"))
    assert paths == [
        *(films / name for name in ("9.MOV", "10.mp4", "a.webm")),
        frames,
        both / "a.mp4",
        *(hands / name for name in ("9.npz", "10.pose")),
        empty,
        missing,
    ]
    assert remarks == [
        f"{films}: folders in it (more) are not looked into; give them too",
        f"{both}: videos in it (1) are read, pictures are not",
    ]


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    """Also a broken one among them; and equal names of two folders do not meet."""
    fakes.make_bundle(tmp_path / "model")
    for folder in ("monday", "tuesday"):
        touch(tmp_path / folder)
        for word in ("vail", "dab"):
            write_landmarks(fakes.spell(word), tmp_path / folder / f"{word}.npz")
    touch(tmp_path / "tuesday", "broken.npz")
    folders = [str(tmp_path / folder) for folder in ("monday", "tuesday")]
    result = CliRunner().invoke(
        app,
        ["recognize", *folders, "--model", str(tmp_path / "model"), "-o", str(tmp_path / "out")],
    )
    assert result.exit_code == 1
    assert "broken.npz" in result.stderr
    assert result.stdout.splitlines() == [
        f"{tmp_path}{os.sep}{folder}{os.sep}{word}.npz\t{word}"
        for folder in ("monday", "tuesday")
        for word in ("dab", "vail")
    ]
    written = sorted(path.read_text().strip() for path in (tmp_path / "out").iterdir())
    assert written == ["dab", "dab", "vail", "vail"]


def test_a_folder_of_videos(tmp_path: Path, pictures) -> None:
    fakes.make_bundle(tmp_path / "model")
    films = touch(tmp_path / "films", "1.jpg")
    for number in (9, 10):
        write_video(films / f"{number}.mp4", pictures(2), 30)
    result = CliRunner().invoke(app, ["recognize", str(films), "--model", str(tmp_path / "model")])
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [
        str(films / "9.mp4"),
        str(films / "10.mp4"),
    ]
    assert "videos in it (2) are read, pictures are not" in result.stderr


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    folder = touch(tmp_path / "secret")
    folder.chmod(0)
    if os.access(folder, os.R_OK):
        pytest.skip("everything is readable to this user")
    assert expand([folder]) == ([folder], [])
    with pytest.raises(InputError, match="cannot be read"):
        open_video(folder)
