import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from chereme.datasets.sentences import from_manifest, sentence_tracks
from chereme.errors import UsageError
from chereme.synthesis.rendered_clips import SUBSTEPS
from chereme.synthesis.rendering.renderer import render
from chereme.synthesis.signing import Signing
from chereme.synthesis.signing_film import TRACK, FilmedSigning, RenderedSigning
from chereme.video import open_video

_POSE = slice(0, 132)


@pytest.fixture(scope="module")
def filmed() -> FilmedSigning:
    return FilmedSigning(Signing(10, signers=10, seed=1), size=64)


@pytest.fixture(scope="module")
def rendered(filmed: FilmedSigning) -> RenderedSigning:
    return filmed.rendered(0)


def test_tracks_are_where_the_hands_are_drawn(rendered: RenderedSigning) -> None:
    tracks = rendered.tracks()
    hands = tracks.values[TRACK][:, 132:].reshape(-1, 2, 21, 3)
    camera = rendered.scene.camera
    checked = 0
    for frame in range(0, rendered.count, 5):
        meshes = rendered._meshes(frame * SUBSTEPS)
        for side, (mesh, *_) in ((1, meshes[:2]), (0, meshes[2:])):
            drawn = render([mesh], camera, rendered.scene.lighting).coverage > 0.1
            away = distance_transform_edt(~drawn)
            pixels = hands[frame, side, :, :2] * [camera.width, camera.height]
            inside = ((pixels > 1) & (pixels < camera.width - 1)).all(1)
            x, y = pixels[inside].astype(int).T
            checked += int(inside.sum())
            assert (away[y, x] <= 1.5).all()
    assert checked > 100


def test_what_nobody_knows_is_not_a_number(rendered: RenderedSigning) -> None:
    tracks = rendered.tracks()
    assert tracks.present[TRACK].all()
    values = tracks.values[TRACK]
    assert np.isfinite(values[:, 132:]).all()
    pose = values[:, _POSE].reshape(-1, 33, 4)
    assert np.isnan(pose[:, 23:]).all()  # hips and legs
    assert np.isnan(pose[..., 2:]).all()
    known = np.isfinite(pose[0, :, 0])
    assert np.flatnonzero(known).tolist() == [0, 2, 5, 7, 8, *range(11, 23)]
    # The signer faces the camera: the left shoulder is on the picture's right.
    assert (pose[:, 11, 0] > pose[:, 12, 0]).all()
    wrists = values[:, 132:].reshape(-1, 2, 21, 3)[:, :, 0, :2]
    np.testing.assert_allclose(pose[:, [15, 16], :2], wrists, atol=1e-6)


def test_files_are_the_same_for_a_seed_and_a_stopped_run_goes_on(
    tmp_path: Path, filmed: FilmedSigning
) -> None:
    small = FilmedSigning(Signing(3, signers=3, seed=2), size=48)
    one, other = tmp_path / "one", tmp_path / "other"
    seen: list[int] = []
    assert small.write(one, progress=lambda done, _: seen.append(done)) == 3
    items = [small.item(index, one) for index in range(3)]
    assert seen == [1, 2, 3]
    small.write(other)
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(files) == 3 * 2 + 2 + 1  # and the lock, by which a folder of before is known
    assert all((one / f).read_bytes() == (other / f).read_bytes() for f in files)
    # What is there stays; what is missing is made again as it was.
    video = items[1].video
    assert video is not None
    before = (video.read_bytes(), items[0].path.stat().st_mtime_ns)
    video.unlink()
    seen.clear()
    small.write(one, progress=lambda done, _: seen.append(done))
    assert seen == [3]
    assert (video.read_bytes(), items[0].path.stat().st_mtime_ns) == before

    corpus = from_manifest(one / "manifest.csv")
    assert {s.split for s in corpus.sentences} == {"train", "dev", "test"}
    for sentence in corpus.sentences:
        tracks = sentence_tracks(sentence)
        assert sentence.video is not None
        with open_video(sentence.video) as film:
            images = [frame.image for frame in film]
        assert len(images) == tracks.frames
        assert images[0].shape == (48, 48, 3)
        assert np.std([image.mean() for image in images]) > 0
    with (one / "glosses.csv").open() as file:
        rows = list(csv.DictReader(file))
    for item in items:
        own = [row for row in rows if row["id"] == item.id]
        assert " ".join(row["gloss"] for row in own) == item.label
        assert all(float(a["end"]) < float(b["start"]) for a, b in itertools.pairwise(own))


def test_odd_and_tiny_pictures_are_refused() -> None:
    for size in (46, 97):
        with pytest.raises(UsageError, match="size"):
            FilmedSigning(Signing(10, signers=10), size=size)
