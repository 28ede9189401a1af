"""What hostile files of landmarks may cost: the numbers of docs/limits.md."""

import re
import struct
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy
from pose_format import PoseHeader
from pose_format.pose_header import PoseHeaderComponent, PoseHeaderDimensions

from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.types import Landmarks
from child import NEEDS_PROC, run_child

MEGABYTES = 1500  # stands in docs/limits.md
HEADER = struct.pack("<f4H", 0.2, 640, 480, 0, 1)  # of a .pose with one component


def write_npz(path, members):
    """Arrays that say ``(dtype, shape)`` and hold ``@``, or as few as so many bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, (dtype, shape, *count) in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy.write_array_header_1_0(
                    file, {"descr": dtype, "fortran_order": False, "shape": shape}
                )
                left = count[0] if count else int(np.prod(shape)) * np.dtype(dtype).itemsize
                while left > 0:
                    file.write(b"@" * min(left, 1 << 24))
                    left -= 1 << 24


def lying_members(path):
    hand = np.ones((1, 1, 21, 3), np.float32)
    write_landmarks(Landmarks(hand, hand[..., 0], np.zeros(1), 640, 480, ("right",)), path)
    raw = path.read_bytes()
    place = raw.index(b"PK\x01\x02")
    path.write_bytes(raw[:place] + raw[place:].replace(b"PK\x05\x06", b"PK\x01\x02" * 2000, 1))


def header_without_end(path):
    """The announced length of the header of an array is 4 GB, all of spaces."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("landmarks.npy", "w", force_zip64=True) as file,
    ):
        file.write(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{")
        for _ in range(32):
            file.write(b" " * (1 << 24))


def pose_with_body(path, body):
    """A .pose of two hands, 25 frames a second."""
    components = [
        PoseHeaderComponent(f"{side}_HAND_LANDMARKS", [f"p{i}" for i in range(21)], [], [], "XYZC")
        for side in ("LEFT", "RIGHT")
    ]
    with path.open("wb") as file:
        PoseHeader(0.2, PoseHeaderDimensions(640, 480), components).write(file)
        file.write(struct.pack("<f", 25.0) + body)


def crowd(path):
    data = np.ones((30, 10_000, 42, 4), "<f4")
    pose_with_body(path, struct.pack("<IH", 30, 10_000) + data.tobytes())


def one_component(path, points, limbs=0, colours=0, rest=b""):
    head = HEADER + b"\x14\0RIGHT_HAND_LANDMARKS\4\0XYZC"
    path.write_bytes(head + struct.pack("<3H", points, limbs, colours) + rest)


SMALL = {
    "landmarks": ("|i1", (2, 2, 21, 3)),
    "width": ("|i1", ()),
    "height": ("|i1", ()),
    "handedness": ("<S5", (2,)),
}
NPZ = {
    # int8: two million frames in 250 MB, which become 1 GB as float32.
    "int8": ({"landmarks": ("|i1", (2_000_000, 2, 21, 3))}, "LimitError: .*1,500,000 frames"),
    "double": ({"landmarks": ("<f8", (3_000_000, 2, 21, 3), 1000)}, "LimitError"),
    "short": (
        {"landmarks": ("<f8", (700_000, 2, 21, 3), 5000)},
        "InputError: .*'landmarks' ends too early",
    ),
    "largest": (
        {
            "landmarks": ("<f8", (750_000, 2, 21, 3)),
            "confidence": ("|i1", (750_000, 2, 21)),
            "world_landmarks": ("|i1", (750_000, 2, 21, 3)),
            "fps": ("<f8", ()),
        },
        "^750000 2$",
    ),
    "times": ({"timestamps": ("<f8", (10**9,), 100)}, "LimitError: .*67,108,864 bytes"),
    "text": ({"handedness": ("<U500000000", (2,), 100)}, "LimitError"),
    "hands": ({"landmarks": ("|i1", (2, 2000, 21, 3))}, "1,000 hands"),
    "negative": ({"landmarks": ("|i1", (-1, 2, 21, 3), 9)}, "sizes"),
    "huge": ({"landmarks": ("|i1", (10**30, 2, 21, 3), 9)}, "Limit"),
    "others": ({"other": ("|i1", (10**12,), 9)}, "^2 2$"),
}
HOSTILE = {
    f"{name}.npz": (lambda path, changes=changes: write_npz(path, SMALL | changes), said)
    for name, (changes, said) in NPZ.items()
} | {
    "members.npz": (lying_members, "LimitError: .*1,000 arrays"),
    "header.npz": (header_without_end, "InputError: .*header of at most"),
    "crowd.pose": (crowd, "LimitError: .*1,000 hands, got 20,000"),
    "frames.pose": (
        lambda path: pose_with_body(path, struct.pack("<IH", 2**32 - 1, 65535)),
        "InputError: .*the file ends before",
    ),
    "nobody.pose": (
        lambda path: pose_with_body(path, struct.pack("<IH", 2**32 - 1, 0)),
        "LimitError",
    ),
    "points.pose": (lambda path: one_component(path, 65535), "InputError: .*at most 10,000 points"),
    "limbs.pose": (lambda path: one_component(path, 1, 65535, 65535, b"\1\0a"), "InputError"),
    "name.pose": (lambda path: one_component(path, 1, rest=b"\xff\xff"), "InputError"),
}
READ = """
from chereme.formats.poses import read_landmarks
print(*read_landmarks(sys.argv[1], fps=50).landmarks.shape[:2])
"""


@NEEDS_PROC
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "largest.npz" else n for n in HOSTILE]
)
def test_hostile_files_cost_little_memory(tmp_path, name):
    make, said = HOSTILE[name]
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 250 << 20
    ended = run_child(READ, tmp_path / name)
    assert re.search(said, ended.output)
    assert ended.peak < (MEGABYTES if name == "largest.npz" else 400)


def test_a_crowd_is_read_in_time_that_grows_with_it(tmp_path):
    """20,000 people of which three have hands; track by track this took 21 s."""
    data = np.zeros((2, 20_000, 42, 3), np.float32)
    confidence = np.zeros((2, 20_000, 42), np.float32)
    for person in (7, 9_000, 19_999):
        data[:, person, :21] = np.random.default_rng(person).uniform(100, 300, (2, 21, 3))
        confidence[:, person, :21] = 1
    body = struct.pack("<IH", 2, 20_000) + data.tobytes() + confidence.tobytes()
    pose_with_body(tmp_path / "a.pose", body)
    found = read_landmarks(tmp_path / "a.pose")
    assert found.handedness == ("left", "right", "left", "left", "left")
    assert (found.confidence > 0).any(axis=(0, 2)).tolist() == [False, False, True, True, True]
