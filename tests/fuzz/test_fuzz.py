"""No file, however damaged, ends in a traceback, a hang, a crash, a lot of memory or a stray file.

300 mutations of each kind, the same in every run. Others, and more of them:
``CHEREME_FUZZ_FIRST=10000 CHEREME_FUZZ_COUNT=3000 pytest -m fuzz``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fakes
from chereme.formats.poses import write_landmarks
from chereme.formats.transcripts import save, write
from chereme.types import Token, Transcript
from chereme.video import write_video

HERE = Path(__file__).resolve().parent
FIRST = int(os.environ.get("CHEREME_FUZZ_FIRST", "0"))
COUNT = int(os.environ.get("CHEREME_FUZZ_COUNT", "300"))
MEGABYTES = 1500  # stands in docs/limits.md
KINDS = ("mp4", "webm", "pose", "npz", "eaf", "manifest", "config", "onnx")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fuzz,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for memory"),
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files of all kinds."""
    folder = tmp_path_factory.mktemp("bases")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10)]
    write_video(folder / "film.mp4", pictures, 15.0)
    webm(folder / "film.webm", pictures)
    fakes.make_bundle(folder / "bundle")
    for name in ("hands.npz", "hands.pose"):
        write_landmarks(fakes.spell("vail"), folder / name)
    tokens = tuple(Token(c, 0.3 * i, 0.3 * i + 0.2, 0.9) for i, c in enumerate("abcdef"))
    marks = write(Transcript("abcdef", tokens), "film.mp4", "eaf", directory=folder)
    save(marks, folder / "marks.eaf")
    rows = ["path,label,id,signer,split,start,end,hand,language"]
    rows += [f"hands.npz,vail,{n},s{n % 3},train,{n / 10},{n / 10 + 1},auto,ase" for n in range(9)]
    (folder / "table.csv").write_text("\n".join(rows))
    return folder


def webm(path: Path, pictures: list[np.ndarray]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=15)
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused(bases: Path, tmp_path: Path, kind: str) -> None:
    for name in ("home", "temporary", "work"):
        (tmp_path / name).mkdir()
    before = listing(bases)
    environment = os.environ | {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    work = tmp_path / "work"
    done = subprocess.run(
        [sys.executable, HERE / "read_mutated.py", kind, bases, work, str(FIRST), str(COUNT)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 + 2 * COUNT,
        check=False,
    )
    log = work / "log"
    last = log.read_text().split()[-1:] if log.exists() else []
    assert done.returncode == 0, f"number {last} of {kind}: {done.stderr[-4000:]}"
    said = json.loads(done.stdout.splitlines()[-1])
    assert sum(n for end, n in said["ends"].items() if end != "unprintable") == COUNT
    assert said["peak"] < MEGABYTES
    assert len(said["ends"]) > 1  # some are refused: the mutations do something
    assert listing(bases) == before
    assert listing(tmp_path / "home") == listing(tmp_path / "temporary") == []
    assert listing(work) == ["log"]
