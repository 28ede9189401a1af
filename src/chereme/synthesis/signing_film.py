"""Sentences of `chereme.synthesis.signing`, filmed: small pictures of a signer from the waist up,
with the true tracks, as files.

A clip is two files: ``<part>/<id>.mp4``, and beside it ``.npz``, a tracks file with the track
"mediapipe" as a tool without errors would find it. ``manifest.csv`` lists the tracks with their
glosses and, in the column ``video``, what they are of; ``glosses.csv`` has the seconds of each
gloss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.engine import generate
from chereme.datasets.preparation import alone_in
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import GLOSS_TIMES, Gloss, Sentence, write_times
from chereme.errors import UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import PoseTracks, one_track, write_tracks
from chereme.hands.camera import Camera
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.filmed_signs import RenderedSign
from chereme.synthesis.rendered_clips import SUBSTEPS
from chereme.synthesis.rendering.film import tone_map
from chereme.synthesis.rendering.renderer import Quality, render
from chereme.synthesis.scenes import Scene
from chereme.synthesis.signing import Signing, Utterance
from chereme.synthesis.spelling import Motion
from chereme.video import write_video

Floats = NDArray[np.floating[Any]]
TRACK = "mediapipe"
SMALLEST = 48  # pixels
_POSE, _NUMBERS, _JOINTS = 33, 4, 21
# Points of MediaPipe's pose, of the signer's left and right: those of the body, and those that are
# joints of a hand.
_NOSE, _NECKLESS = 0, {"eye": (2, 5), "ear": (7, 8), "shoulder": (11, 12)}
_ELBOWS = (13, 14)
_OF_HAND = {(15, 16): 0, (17, 18): 17, (19, 20): 5, (21, 22): 2}
_PALM = 0.095  # metres
_PALMS = (0.102, 0.116)  # of the picture's height
_QUALITY = 16  # constant rate factor: little is lost of so few pixels
# Choice: nothing blurs and no hand casts a shadow, which in so few pixels is hardly seen and would
# take three times as long.
_SHUTTER = 0.0
_DRAWN = Quality(samples=2, shadow_map=0.0, occlusion=0.0)


class RenderedSigning(RenderedSign):
    """A signer both of whose hands sign; ``scene.origin`` is the pit of the neck."""

    def _other(self, other: Motion) -> Any:
        return self._hand(other, self.scene.origin, float(self._neck[0]))

    def _picture(self, frame: int, scene: Scene, behind: Floats | None) -> NDArray[np.uint8]:
        meshes = self._meshes(frame * SUBSTEPS)
        seen = render(meshes, scene.camera, scene.lighting, scene.background, _DRAWN, behind)
        return tone_map(seen.image, scene.film, np.random.default_rng([self._seed, frame]))

    def tracks(self) -> PoseTracks:
        """What a tool without errors would find. NaN, as nobody knows it: mouth, eyelids, all below
        the chest, the depth of the pose's points and whether they are visible."""
        camera = self.camera
        pose = np.full((self.count, _POSE, _NUMBERS), np.nan)
        body = self.body()
        pose[:, _NOSE, :2] = body["nose"]
        for name, points in _NECKLESS.items():
            for side, point in zip(("left", "right"), points, strict=True):
                pose[:, point, :2] = body[f"{side}_{name}"]
        joints, elbows = self.landmarks.landmarks, camera.project(self.elbows)
        hands = np.full((self.count, 2, _JOINTS, 3), np.nan)
        for number, own in enumerate(self.handedness):
            right = int(own == "right")
            hands[:, right] = joints[:, number]
            pose[:, _ELBOWS[right], :2] = elbows[:, number]
            for points, joint in _OF_HAND.items():
                pose[:, points[right], :2] = joints[:, number, joint, :2]
        pose[..., :2] /= [camera.width, camera.height]
        hands /= [camera.width, camera.height, camera.width]
        rows = [pose.reshape(self.count, -1), hands.reshape(self.count, -1)]
        return one_track(TRACK, np.concatenate(rows, axis=1), self.rate)


def film(utterance: Utterance, rng: np.random.Generator, size: int) -> RenderedSigning:
    """The utterance before a camera whose pictures are ``size`` x ``size`` pixels."""
    return RenderedSigning(
        utterance.main,
        utterance.who,
        _scene(rng, size),
        open_hand(),
        other=utterance.other,
        seed=int(rng.integers(1 << 31)),
    )


def _scene(rng: np.random.Generator, size: int) -> Scene:
    """From the head to the lap."""
    scene = Scene.sample(rng, size, size)
    camera = Camera.from_field_of_view(size, size, rng.uniform(40, 55))
    depth = camera.fy * _PALM / (rng.uniform(*_PALMS) * size)
    x, y = rng.uniform(0.45, 0.55) * size, rng.uniform(0.41, 0.45) * size
    neck = np.array([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0]) * depth
    # What a camera does to the many pixels that are averaged into one of these is gone.
    film = replace(
        scene.film,
        blur=min(scene.film.blur, 0.4),
        scale=1.0,
        sharpen=0.0,
        jpeg=None,
        read_noise=0.4 * scene.film.read_noise,
        chroma_noise=0.4 * scene.film.chroma_noise,
        full_well=4 * scene.film.full_well,
    )
    return replace(
        scene,
        camera=camera,
        film=film,
        origin=neck,
        stand=np.zeros(3),
        shutter=_SHUTTER,
        other=True,
        body=True,
    )


@dataclass(frozen=True)
class FilmedSigning:
    """The clips of ``signing`` as files, ``size`` pixels a side (even)."""

    signing: Signing
    size: int = 96

    def __post_init__(self) -> None:
        if self.size < SMALLEST or self.size % 2:
            raise UsageError(
                f"size: expected an even number of at least {SMALLEST} pixels, got {self.size}"
            )

    def rendered(self, index: int) -> RenderedSigning:
        """The clip of that number."""
        rng = np.random.default_rng([self.signing.seed, index, 3])
        return film(self.signing.utterance(index, SUBSTEPS), rng, self.size)

    def item(self, index: int, folder: Path) -> Item:
        """Its row of the manifest."""
        name, who, part, words = self.signing.describe(index)
        path = folder / part / f"{name}.npz"
        video = path.with_suffix(".mp4")
        return Item(path, " ".join(words), name, who, part, video=video)

    def _timed(self, index: int, item: Item) -> Sentence:
        timed = self.signing.utterance(index, SUBSTEPS).glosses
        return Sentence(path=item.path, id=item.id, glosses=tuple(Gloss(*gloss) for gloss in timed))

    def write(
        self,
        folder: str | Path,
        *,
        workers: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write all clips to ``folder``; how many there are.

        The files do not depend on the number of workers. Clips that are there already are not made
        again, so a run that was stopped goes on.

        Args:
            workers: processes that make clips.
        """
        folder = Path(folder)
        items = [self.item(index, folder) for index in range(self.signing.clips)]
        for part in {folder, *(item.path.parent for item in items)}:
            part.mkdir(parents=True, exist_ok=True)
        missing = [i for i, item in enumerate(items) if not (item.video and item.video.exists())]
        jobs = [(self, index, items[index]) for index in missing]
        with alone_in(folder):
            for done, _ in enumerate(generate(_job, jobs, workers), len(items) - len(jobs) + 1):
                if progress is not None:
                    progress(done, len(items))
            write_times(map(self._timed, range(len(items)), items), folder / GLOSS_TIMES)
            write_manifest(items, folder / "manifest.csv")
        return len(items)


@dataset("signing", Kind.SYNTHETIC_VIDEOS)
def filmed_signing(
    clips: int, *, signers: int | None = None, rate: float = 12.5, size: int = 96, seed: int = 0
) -> FilmedSigning:
    """Videos of sentences of made-up signs, with their pose tracks.

    Args:
        clips: how many.
        signers: how many; if not given one for each 30 clips, at least 10.
        rate: frames a second.
        size: pixels of a side of the pictures, even.
        seed: the same seed gives the same files.
    """
    return FilmedSigning(Signing(clips, signers, seed, rate), size)


def _job(job: tuple[FilmedSigning, int, Item]) -> None:
    """The video last: where it is, the tracks are too."""
    signing, index, item = job
    assert item.video is not None
    rendered = signing.rendered(index)
    write_tracks(rendered.tracks(), item.path)
    write_video(item.video, rendered.frames(), rendered.rate, quality=_QUALITY)
