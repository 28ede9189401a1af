"""Made clips on the disk: in order, gone on with after a stop, with the vectors of teachers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.clips import CropSettings, TrackedClip
from chereme.datasets.prepare_crops import prepare_generated, read_settings
from chereme.datasets.shards import read_shards
from chereme.errors import UsageError
from chereme.synthesis.crops import RenderedClips
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
    return RenderedClips(6, signers=3, seed=2, rate=4, size=SETTINGS.size)


def test_a_run_that_was_stopped_ends_with_the_same_tars(
    maker: RenderedClips, tmp_path: Path
) -> None:
    teachers = [LandmarkTeacher(), SyntheticTeacher()]
    assert prepare_generated(maker, tmp_path / "whole", teachers) == 6
    with pytest.raises(KeyboardInterrupt):
        prepare_generated(Stopping(maker, 4), tmp_path / "parts", teachers)
    assert prepare_generated(maker, tmp_path / "parts", teachers) == 6
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
    prepare_generated(replace(maker, clips=3), tmp_path)
    with pytest.raises(UsageError, match="was prepared otherwise"):
        prepare_generated(replace(maker, size=40), tmp_path)
