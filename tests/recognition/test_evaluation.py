"""What is the same in the evaluation of all tasks, and what of continuous signing is its own."""

from pathlib import Path
from typing import Any

import pytest

import fake_signing
import fake_signs
import fakes
from chereme.errors import InputError
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.formats.tracks import write_tracks
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.evaluation import evaluate, metrics_of, table
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.tasks import TASKS


@pytest.fixture(params=TASKS)
def given(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path, str]:
    """A recogniser of each task, a clip, and what it shows."""
    path = tmp_path / "clip.npz"
    if request.param == "fingerspelling":
        write_landmarks(fakes.spell("vail"), path)
        return Recognizer(fakes.make_bundle(tmp_path / "model")), path, "vail"
    if request.param == "isolated":
        write_landmarks(fake_signs.signing("xxxxxxxx", "........"), path)
        return IsolatedRecognizer(fake_signs.make_signs(tmp_path / "model")), path, "LEFT"
    write_tracks(fake_signing.sign("JOHN BUY"), path)
    return ContinuousRecognizer(fake_signing.make_signing(tmp_path / "model")), path, "JOHN BUY"


def test_counts_signers_and_lines(given: tuple[Any, Path, str], tmp_path: Path) -> None:
    recognizer, path, text = given
    items = [
        Item(path, text, "1", "a"),
        Item(path, text, "2", "b"),
        Item(tmp_path / "absent.npz", text, "3", "b"),
    ]
    done: list[tuple[int, int | None]] = []
    result, predictions = evaluate(recognizer, items, lambda *counts: done.append(counts))
    assert (result["task"], result["sha256"]) == (
        recognizer.task,
        recognizer.info["model"]["sha256"],
    )
    assert (result["items"], result["items_read"], result["items_empty"]) == (3, 2, 0)
    assert (result["items_unlabelled"], result["unreadable"][0]["id"]) == (0, "3")
    assert (result["interval_over"], done[-1]) == ("signers", (3, 3))
    assert [row["items"] for row in result["per_signer"].values()] == [1, 1]
    metrics = metrics_of(recognizer)
    lines = [metrics.line(prediction) for prediction in predictions]
    assert [line["text"] for line in lines] == [text, text, None]
    assert "absent.npz" in lines[2]["error"]
    assert lines[0]["source"] == str(path)
    assert lines[0]["tokens"][0][0] == (
        text[0] if recognizer.result.unit == "letter" else text.split()[0]
    )
    shown = list(table(metrics, result))
    assert shown[1].startswith("items            2 of 3 read, 0 without")
    assert shown[-1].startswith("signer b: ")
    with pytest.raises(InputError, match=r"none of the 1 items could be read; the first: .*absent"):
        evaluate(recognizer, items[2:])


def test_items_without_a_label(given: tuple[Any, Path, str]) -> None:
    recognizer, path, text = given
    items = [Item(path, text, "1"), Item(path, " ", "2")]
    done: list[tuple[int, int | None]] = []
    result, _ = evaluate(recognizer, items, lambda *counts: done.append(counts))
    # An empty label says that nothing is spelled.
    left_out = 0 if recognizer.task == "fingerspelling" else 1
    assert (result["items"], result["items_unlabelled"]) == (2, left_out)
    assert (result["interval_over"], len(done)) == ("items", 2 - left_out)
    told = "items have no label: they are left out" in "".join(
        metrics_of(recognizer).remarks(result)
    )
    assert told == bool(left_out)
    if left_out:
        with pytest.raises(InputError, match="at least one item with a label, got 1 without"):
            evaluate(recognizer, items[1:])


def test_a_model_of_video_is_scored_on_the_video(tmp_path: Path) -> None:
    """Tracks of one sentence beside the video of another."""
    write_tracks(fake_signing.sign("JOHN BUY"), tmp_path / "clip.npz")
    film = fake_signing.write_film(tmp_path / "film", "HOUSE")
    item = Item(tmp_path / "clip.npz", "JOHN BUY", "a", video=film)
    tracks = ContinuousRecognizer(fake_signing.make_signing(tmp_path / "tracks"))
    result, (prediction,) = evaluate(tracks, [item])
    assert (result["wer"], prediction.read.text) == (0.0, "JOHN BUY")
    video = ContinuousRecognizer(
        fake_signing.make_signing(tmp_path / "video", input="rgb"),
        rate=fake_signing.RATE,
        make_detector=fake_signing.Hands(),
    )
    result, (prediction,) = evaluate(video, [item])
    assert (result["wer"], prediction.read.text) == (100.0, "HOUSE")
    assert result["substitutions"] + result["deletions"] == 2
