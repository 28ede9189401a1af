from pathlib import Path

import pytest

import fake_signing
from chereme.errors import InputError
from chereme.formats.manifests import Item
from chereme.formats.tracks import write_tracks
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.continuous_evaluation import evaluate_sentences


@pytest.fixture
def item(tmp_path: Path) -> Item:
    """Tracks of one sentence beside the video of another."""
    write_tracks(fake_signing.sign("JOHN BUY"), tmp_path / "clip.npz")
    film = fake_signing.write_film(tmp_path / "film", "HOUSE")
    return Item(tmp_path / "clip.npz", "JOHN BUY", "a", video=film)


def test_a_model_of_video_is_scored_on_the_video(item: Item, tmp_path: Path) -> None:
    tracks = ContinuousRecognizer(fake_signing.make_signing(tmp_path / "tracks"))
    result, predictions = evaluate_sentences(tracks, [item])
    assert (result["wer"], predictions[0].read) == (0.0, ("JOHN", "BUY"))
    video = ContinuousRecognizer(
        fake_signing.make_signing(tmp_path / "video", input="rgb"),
        rate=fake_signing.RATE,
        make_detector=fake_signing.Hands(),
    )
    result, predictions = evaluate_sentences(video, [item])
    assert (result["wer"], predictions[0].read) == (100.0, ("HOUSE",))
    assert result["substitutions"] + result["deletions"] == 2


def test_progress_and_labels_that_are_empty(item: Item, tmp_path: Path) -> None:
    recognizer = ContinuousRecognizer(fake_signing.make_signing(tmp_path / "tracks"))
    told: list[tuple[int, int | None]] = []
    without = Item(item.path, " ", "b")
    result, _ = evaluate_sentences(
        recognizer, [item, without], lambda done, expected: told.append((done, expected))
    )
    assert (result["items"], result["items_unlabelled"], told) == (2, 1, [(1, 1)])
    with pytest.raises(InputError, match="at least one item with a label, got 1 without"):
        evaluate_sentences(recognizer, [without])
