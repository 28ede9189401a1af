"""Clips one after the other or at once: in order, and none spoils another."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chereme.datasets.clips import CropSettings, TrackedClip, track_clip
from chereme.datasets.corpus import Unusable
from chereme.datasets.engine import Engine
from chereme.errors import MissingDependencyError
from chereme.formats.manifests import Item
from fake_clips import ColourDetector, ColourDetectors, write_frames

SMALL = partial(track_clip, settings=CropSettings(size=16))


class Fragile(ColourDetector):
    """A detector that is of no more use once a picture was too bright for it."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.broken, self.closed, self.seen = False, False, 0

    def detect(self, image: np.ndarray, timestamp: float) -> list:
        self.broken |= bool(image.mean() > 200)
        if self.broken:
            raise RuntimeError("graph has errors")
        self.seen += 1
        return super().detect(image, timestamp)

    def reset(self) -> None:
        self.seen = 0

    def close(self) -> None:
        self.closed = True


def test_a_clip_that_breaks_the_detector_does_not_break_others(tmp_path: Path) -> None:
    items = [
        Item(write_frames(tmp_path / name, 3), "a", name, split="train")
        for name in ("one", "two", "bright", "three", "four")
    ]
    for picture in (tmp_path / "bright").iterdir():
        Image.fromarray(np.full((120, 160, 3), 240, np.uint8)).save(picture)
    made: list[Fragile] = []

    def make(still: bool) -> Fragile:
        made.append(Fragile())
        return made[-1]

    outcomes = list(Engine(SMALL, make).run(items))
    assert [type(o) for o in outcomes] == [
        *(TrackedClip, TrackedClip),
        *(Unusable, TrackedClip, TrackedClip),
    ]
    assert str(outcomes[2]) == "failed: RuntimeError: graph has errors"
    # Clips share a detector, forgetting the one before; none gets the broken one.
    assert [detector.broken for detector in made] == [True, False]
    assert [detector.seen for detector in made] == [0, 3]
    assert all(detector.closed for detector in made)


def test_stopping_early_frees_the_detectors(tmp_path: Path) -> None:
    items = [Item(write_frames(tmp_path / "c", 3), "a", name) for name in ("one", "two")]
    made: list[Fragile] = []

    def make(still: bool) -> Fragile:
        made.append(Fragile())
        return made[-1]

    outcomes = Engine(SMALL, make).run(items)
    assert isinstance(next(outcomes), TrackedClip)
    assert not made[0].closed
    outcomes.close()  # type: ignore[attr-defined]
    assert made[0].closed


def test_ray_is_asked_for_where_it_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    items = [Item(write_frames(tmp_path / "c", 3), "a", "one")]
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[ray\]"):
        next(Engine(SMALL, ColourDetectors(), where="ray").run(items))
