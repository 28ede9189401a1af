"""What a film costs in memory, whatever its length: with the real detector, in a child process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chereme.video import open_video, write_video
from chereme.video.letterbox import resized

MEGABYTES = 500  # docs/limits.md
GROWTH = 30  # between the first third and the end
ROUNDS = 12

CODE = """
import sys
import chereme

def peak():  # not ru_maxrss: a child inherits in it the peak of the process that started it
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

early = []
def progress(done, expected):
    if not early and done >= expected / 3:
        early.append(peak())

read = chereme.load("fingerspelling").recognize(sys.argv[1], progress=progress)
print(len(read.text.split()), early[0], peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak")
def test_the_memory_of_a_film_is_flat(tmp_path: Path) -> None:
    """852x480, with cuts and empty pictures, such that all of the detector is at work."""
    example = Path(__file__).parents[2] / "examples" / "hello.mp4"
    with open_video(example) as reader:
        clip = [frame.image for frame in reader]

    def pictures():
        for number in range(ROUNDS):
            for image in clip:
                picture = np.full((480, 852, 3), 40 + 20 * (number % 5), np.uint8)
                small = resized(image, *(320, 240) if number % 3 == 2 else (640, 480))
                left = (0, 106, 212)[number % 3]
                picture[: small.shape[0], left : left + small.shape[1]] = small
                yield picture[:, ::-1] if number % 2 else picture
            yield from [np.zeros((480, 852, 3), np.uint8)] * 15

    write_video(tmp_path / "film.mp4", pictures(), 24.0)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "film.mp4")],
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stderr
    words, early, peak = (float(number) for number in done.stdout.split())
    assert words >= 0.9 * ROUNDS
    assert peak < MEGABYTES
    assert peak - early < GROWTH
