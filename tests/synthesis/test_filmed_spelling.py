"""Films of made-up signers: the network sees the hand where it is, and what it spells is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.recordings import RecordedClip, Recordings
from chereme.hands.landmarks import LandmarkNetwork
from chereme.hands.skeleton import mirror, palm_size
from chereme.synthesis import corpus, filmed_spelling
from chereme.synthesis.corpus import Pictures, compose, signer
from chereme.synthesis.filmed_spelling import film, follow, recordings, text_of
from chereme.synthesis.signers import Signer
from chereme.types import HandTrack


@pytest.mark.slow
@pytest.mark.parametrize("left", [False, True])
def test_the_hand_is_seen_where_it_is(left: bool) -> None:
    number = next(n for n in range(200) if corpus.signer(n, 3).left_handed == left)
    rng = np.random.default_rng(4)
    rendered = compose("bo", signer(number, 3), rng, Pictures(360, 480), 15.0)
    track = follow(rendered, LandmarkNetwork(1), rng)
    seen = track.present
    assert seen.mean() > 0.7
    true = rendered.landmarks.landmarks[:, 0].astype(np.float64)
    if left:
        true = mirror(true, 360)
    off = np.linalg.norm((track.landmarks - true)[seen][..., :2], axis=-1).mean(axis=1)
    assert np.median(off / palm_size(true[seen])) < 0.25
    assert track.vectors is not None
    assert (track.vectors[seen].any(axis=1)).all()
    assert not track.vectors[~seen].any()


def test_texts_are_words_letters_and_nothing() -> None:
    texts = [text_of(index, 1) for index in range(300)]
    assert texts == [text_of(index, 1) for index in range(300)]
    assert 0.03 < np.mean([text == "" for text in texts]) < 0.15
    alone = [text for text in texts if len(text) == 1]
    assert 0.05 < len(alone) / 300 < 0.25
    assert {"j", "z"} & set(alone)


def test_every_other_signer_is_the_darker_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    tones: list[float] = []

    def stop(text: str, who: Signer, *_: object) -> None:
        tones.append(who.skin.lightness)
        raise RuntimeError

    monkeypatch.setattr(filmed_spelling, "compose", stop)
    for index in range(60):
        with pytest.raises(RuntimeError):
            film(index, 1, darker=True)
    two = [
        [signer(2 * index + other, 1).skin.lightness for other in range(2)] for index in range(60)
    ]
    assert tones[::2] == [first for first, _ in two[::2]]
    assert tones[1::2] == [min(own) for own in two[1::2]]


@pytest.mark.slow
def test_a_hand_that_spells_nothing_is_filmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filmed_spelling, "text_of", lambda index, seed: "")
    clip = film(0, 1)
    assert clip.text == ""
    assert clip.track.timestamps[-1] > 0.5


def test_clips_in_which_the_hand_is_hardly_seen_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def clip(index: int, seed: int, darker: bool = False) -> RecordedClip:
        confidence = np.zeros((10, 21))
        confidence[: 3 + 6 * index] = 1.0
        track = HandTrack(np.ones((10, 21, 3)), confidence, np.arange(10) / 10, 1, 1, "right")
        return RecordedClip(track, "a", f"signer-{index}")

    monkeypatch.setattr(filmed_spelling, "film", clip)
    monkeypatch.setattr(filmed_spelling, "signs", lambda root: [clip(1, 0)])
    told: list[int] = []
    found = recordings(tmp_path, clips=2, workers=1, progress=lambda done, of: told.append(done))
    assert isinstance(found, Recordings)
    assert found.signer.tolist() == ["signer-1", "signer-1"]
    assert told == [1, 2]
