"""Made clips on the disk: in order, gone on with after a stop, with the vectors of teachers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets.clips import CropSettings, TrackedClip
from chereme.datasets.prepare import read_settings
from chereme.datasets.shards import read_shards
from chereme.errors import UsageError
from chereme.synthesis.crops import RenderedClips
from chereme.synthesis.shards import write_clips
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.teachers.synthetic import SyntheticTeacher

SETTINGS = CropSettings(size=32)


@dataclass(frozen=True)
class Stopping:
    """Rendered clips, of which one cannot be made."""

    clips: RenderedClips
    stop: int

    @property
    def name(self) -> str:
        return self.clips.name

    @property
    def settings(self) -> CropSettings:
        return self.clips.settings

    def __len__(self) -> int:
        return len(self.clips)

    def describe(self, index: int) -> tuple[str, str]:
        return self.clips.describe(index)

    def clip(self, index: int) -> TrackedClip:
        if index == self.stop:
            raise KeyboardInterrupt
        return self.clips.clip(index)


@pytest.fixture
def maker() -> RenderedClips:
    return RenderedClips(6, signers=3, seed=2, rate=4, settings=SETTINGS)


def test_a_run_that_was_stopped_ends_with_the_same_tars(
    maker: RenderedClips, tmp_path: Path
) -> None:
    teachers = [LandmarkTeacher(), SyntheticTeacher()]
    assert write_clips(maker, tmp_path / "whole", teachers) == 6
    with pytest.raises(KeyboardInterrupt):
        write_clips(Stopping(maker, 4), tmp_path / "parts", teachers)
    assert write_clips(maker, tmp_path / "parts", teachers) == 6
    for split in ("train", "dev", "test"):
        name = f"{split}-000000.tar"
        whole, parts = (tmp_path / folder / name for folder in ("whole", "parts"))
        assert whole.read_bytes() == parts.read_bytes()
        for sample in read_shards(tmp_path / "whole", split):
            for vectors, mirrored in zip(
                sample.teacher.values(), sample.teacher_mirrored.values(), strict=True
            ):
                assert np.isfinite(vectors[sample.present]).all()
                assert (vectors != mirrored)[sample.present].any(axis=1).all()
            assert {k: v.shape[1] for k, v in sample.teacher.items()} == {
                "landmarks": 228,
                "synthetic": 106,
            }
    assert read_settings(tmp_path / "whole") == SETTINGS


def test_a_folder_of_other_clips_is_refused(maker: RenderedClips, tmp_path: Path) -> None:
    write_clips(replace(maker, clips=3), tmp_path)
    with pytest.raises(UsageError, match="was prepared otherwise"):
        write_clips(replace(maker, settings=CropSettings(size=40)), tmp_path)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stderr


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("-o", out, "--clips", 3, "--signers", 3, "--rate", 4, "--size", 32)
    code, said = run("prepare", "rendered", *options, "--teacher", "landmarks")
    assert (code, f"{out}: 3 clips" in said) == (0, True)
    assert [s.rate for s in read_shards(out, "train")] == [4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rendered",), "expected --clips N"),
        (("rendered", "--clips", 9, "--root", "x"), "--root is for other data sets"),
        (("rendered", "--clips", 9, "--fold", 1), "--fold is for other data sets"),
        (("photographs", "--clips", 9), "expected --root DIR"),
        (("photographs", "--clips", 9, "--signers", 3), "--signers is for other data sets"),
        (("folder", "--root", "x", "--dev", "hand1"), "--dev is for other data sets"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[object, ...], message: str, tmp_path: Path
) -> None:
    code, said = run("prepare", *arguments, "-o", tmp_path / "out")
    assert code == 2
    assert message in " ".join(said.split())
