"""Which bundles read what, and reading with two of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import chereme
import fakes
from chereme.errors import BundleError, UsageError
from chereme.formats.manifests import read_manifest
from chereme.formats.poses import write_landmarks
from chereme.hands.normalise import hand_features
from chereme.hands.signing import hand_tracks
from chereme.recognition import networks, registry, streams
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Decoding, Preprocessing, Segmentation, Still
from chereme.recognition.evaluation import evaluate
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.streams import Streams, load_streams


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "hands", name="hands", stride=2)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Slower than the landmarks, and with one output a frame."""
    folder = tmp_path_factory.mktemp("bundles") / "views"
    rate = Preprocessing(rate=20.0, crop=fakes.CROP)
    return fakes.make_bundle(folder, stream="rgb", name="views", preprocessing=rate)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "vectors"
    return fakes.make_bundle(folder, stream="hand", name="vectors")


def fused(landmarks: Bundle, rgb: Bundle, weight: float = 0.5) -> Streams:
    return Streams((landmarks, rgb), "fused", weight)


# -- which stream ---------------------------------------------------------------------------------
def test_a_single_model_reads_what_it_was_trained_on(
    landmarks: Bundle, rgb: Bundle, vectors: Bundle
) -> None:
    for bundle, name in ((landmarks, "landmarks"), (rgb, "rgb"), (vectors, "rgb")):
        for stream in ("auto", name):
            readers = Streams((bundle,), stream).for_recordings  # type: ignore[arg-type]
            assert (readers.stream, readers.bundles, readers.weights) == (name, (bundle,), (1.0,))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("rgb", "'hands' reads landmarks, but the stream rgb needs one that reads rgb"),
        ("fused", "'hands' reads landmarks, but the stream fused needs one that reads rgb"),
        ("video", "stream: expected auto, landmarks, rgb or fused, got 'video'"),
    ],
)
def test_a_stream_that_the_model_does_not_read(
    landmarks: Bundle, stream: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Streams((landmarks,), stream)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        chereme.load(landmarks.directory, stream=stream)  # type: ignore[arg-type]


def test_models_that_do_not_belong_together(
    landmarks: Bundle, rgb: Bundle, vectors: Bundle
) -> None:
    with pytest.raises(BundleError, match=r"one of landmarks and one of pictures, .*: hand, rgb"):
        Streams((vectors, rgb))
    greek = replace(rgb, config=replace(rgb.config, alphabet=("α", "β"), still=Still()))
    with pytest.raises(
        BundleError, match=r"hands and views do not .* same alphabet, got abdilv and αβ"
    ):
        Streams((landmarks, greek), "fused")
    isolated = replace(rgb, config=replace(rgb.config, task="isolated"))
    with pytest.raises(BundleError, match="expected the same task"):
        Streams((landmarks, isolated), "fused")
    with pytest.raises(BundleError, match=r"one of landmarks and one of pictures, .*: rgb, rgb"):
        Streams((rgb, rgb))
    with pytest.raises(UsageError, match=r"weight of the pictures: expected 0 to 1, got 1\.5"):
        Streams((landmarks, rgb), "fused", 1.5)


@pytest.mark.parametrize(
    ("default", "recordings", "files"),
    [
        ("landmarks", "landmarks", "landmarks"),
        ("rgb", "rgb", "landmarks"),
        ("fused", "fused", "landmarks"),
    ],
)
def test_auto_reads_recordings_by_the_default_and_landmarks_always(
    monkeypatch: pytest.MonkeyPatch,
    landmarks: Bundle,
    rgb: Bundle,
    default: Any,
    recordings: str,
    files: str,
) -> None:
    monkeypatch.setattr(streams, "DEFAULT_STREAM", default)
    both = Streams((landmarks, rgb))
    assert both.of("clip.mp4").stream == both.for_recordings.stream == recordings
    readers = both.of("clip.pose")
    assert (readers.stream, readers.warning) == (files, None)
    assert both.of(fakes.spell("a")).stream == files


def test_the_order_of_the_models_does_not_matter(landmarks: Bundle, rgb: Bundle) -> None:
    one, other = (
        Streams(pair, "fused", 0.2).for_recordings for pair in ((landmarks, rgb), (rgb, landmarks))
    )
    assert one == other
    assert one.bundles == (landmarks, rgb)
    assert one.weights == (0.8, 0.2)
    assert one.name == "hands+views"
    assert len(one.sha256) == 64
    assert one.sha256 not in (landmarks.sha256, rgb.sha256)


# -- bundled models -------------------------------------------------------------------------------
@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models of a family in the table of bundled models."""
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "weights")
    first = registry.MODELS["fingerspelling"]
    pictures = replace(first, name="fingerspelling_rgb", input="rgb")
    monkeypatch.setattr(registry, "MODELS", {m.name: m for m in (first, pictures)})
    for model in (first, pictures):
        fakes.make_bundle(model.directory, stream=model.input, name=model.name)
    return tmp_path / "weights"


@pytest.mark.parametrize(
    ("stream", "default", "names"),
    [
        ("auto", "landmarks", ["fingerspelling"]),
        ("auto", "rgb", ["fingerspelling", "fingerspelling_rgb"]),
        ("auto", "fused", ["fingerspelling", "fingerspelling_rgb"]),
        ("landmarks", "rgb", ["fingerspelling"]),
        ("rgb", "landmarks", ["fingerspelling_rgb"]),
        ("fused", "landmarks", ["fingerspelling", "fingerspelling_rgb"]),
    ],
)
def test_only_what_is_needed_is_loaded(
    bundled: Path, monkeypatch: pytest.MonkeyPatch, stream: Any, default: Any, names: list[str]
) -> None:
    monkeypatch.setattr(streams, "DEFAULT_STREAM", default)
    loaded = chereme.load("fingerspelling", stream=stream).streams
    assert [bundle.config.name for bundle in loaded.bundles] == names
    assert loaded.for_recordings.stream == (default if stream == "auto" else stream)


def test_a_bundle_by_its_own_name(bundled: Path) -> None:
    alone = load_streams("fingerspelling_rgb")
    assert alone.for_recordings.stream == "rgb"
    with pytest.raises(UsageError, match="needs one that reads landmarks"):
        load_streams("fingerspelling_rgb", "landmarks")


def test_bundled_models_that_are_not_there(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundled / "fingerspelling_rgb").rename(bundled / "gone")
    with pytest.raises(BundleError, match="'fingerspelling_rgb' are missing"):
        load_streams("fingerspelling", "fused")
    alone = {"fingerspelling": registry.MODELS["fingerspelling"]}
    monkeypatch.setattr(registry, "MODELS", alone)
    with pytest.raises(
        UsageError,
        match="no bundled model 'fingerspelling' reads rgb, which the stream fused needs; "
        "there are models of: landmarks",
    ):
        load_streams("fingerspelling", "fused")


# -- reading with both ----------------------------------------------------------------------------
@pytest.mark.parametrize("left", [False, True])
def test_both_read_the_same_hand(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path, left: bool
) -> None:
    """At different rates and strides, detected once."""
    hands = fakes.recording(tmp_path / "clip.mp4", "vaild", left=left)
    detectors = fakes.Detectors(hands)
    recognizer = Recognizer(fused(landmarks, rgb), make_detector=detectors)
    transcript = recognizer.recognize(tmp_path / "clip.mp4")
    assert (transcript.text, transcript.warnings) == ("vaild", ())
    assert detectors.asked == len(hands.timestamps)
    for i, token in enumerate(transcript.tokens):
        assert token.start == pytest.approx(0.3 * i, abs=0.1)
        assert token.end == pytest.approx(0.3 * (i + 1), abs=0.1)
        assert 0.9 < token.probability <= 1.0
    info = transcript.info
    assert info["signing_hand"] == ("left" if left else "right")
    assert {"read", "detect", "hands", "crop", "network", "search", "total"} == set(info["timings"])
    assert info["stream"] == "fused"
    assert info["models"] == [
        {"input": "landmarks", "name": "hands", "sha256": landmarks.sha256},
        {"input": "rgb", "name": "views", "sha256": rgb.sha256},
    ]
    assert info["model"]["name"] == "hands+views"
    search = {
        "method": "beam",
        "beam_width": 10,
        "alpha": 0.0,
        "beta": 0.0,
        "lm": False,
        "words": 0,
    }
    assert info["decoding"] == recognizer.info["decoding"] == {
        "method": "rescoring",
        "streams": {"landmarks": {"weight": 0.5, **search}, "rgb": {"weight": 0.5, **search}},
    }  # fmt: skip


def film_of(path: Path, shown: str, spelled: str, **options: Any) -> Any:
    """A film whose colours spell one word and whose hand another."""
    hands = fakes.recording(path, shown, **options)
    return replace(hands, landmarks=fakes.spell(spelled, **options).landmarks)


def test_the_weight_goes_from_one_model_to_the_other(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    hands = film_of(clip, "dab", "vib")

    def read(streams: Streams) -> chereme.Transcript:
        return Recognizer(streams, make_detector=fakes.Detectors(hands)).recognize(clip)

    for weight, alone, text in ((0.0, landmarks, "vib"), (1.0, rgb, "dab")):
        both, one = read(fused(landmarks, rgb, weight)), read(Streams((alone,)))
        assert both.text == one.text == text
        assert [t.start for t in both.tokens] == pytest.approx([t.start for t in one.tokens])
        assert [t.probability for t in both.tokens] == pytest.approx(
            [t.probability for t in one.tokens]
        )


class Wavering(fakes.FakeDetector):
    """Takes the hand for a left one in every other frame."""

    frames = 0

    def detect(self, image: np.ndarray, timestamp: float) -> list:
        self.frames += 1
        side: Any = "left" if self.frames % 2 else "right"
        return [replace(hand, handedness=side) for hand in super().detect(image, timestamp)]


@pytest.mark.parametrize("left", [False, True])
def test_an_unsure_hand_is_settled_by_both(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path, left: bool
) -> None:
    hands = fakes.recording(tmp_path / "clip.mp4", "dab", left=left)
    recognizer = Recognizer(fused(landmarks, rgb), make_detector=lambda still: Wavering(hands))
    transcript = recognizer.recognize(tmp_path / "clip.mp4")
    assert transcript.text == "dab"
    assert transcript.info["signing_hand"] == ("left" if left else "right")
    assert transcript.info["handedness_by"] == "likelihood"


def test_pictures(landmarks: Bundle, rgb: Bundle, tmp_path: Path) -> None:
    hands = fakes.spell("d", fps=3.0)
    Image.fromarray(next(iter(fakes.film(hands, "d")))).save(tmp_path / "d.png")
    detectors = fakes.Detectors(hands)
    transcript = Recognizer(fused(landmarks, rgb), make_detector=detectors).recognize(
        tmp_path / "d.png"
    )
    assert (transcript.text, transcript.info["kind"]) == ("d", "image")
    # A letter that one of them cannot show in a still is not read from one.
    limited = replace(rgb, config=replace(rgb.config, still=Still(letters=("a", "b", "v"))))
    other = Recognizer(fused(landmarks, limited), make_detector=detectors)
    assert other.recognize(tmp_path / "d.png").text != "d"


def test_stretches_are_the_same_for_both_and_gaps_each_their_own(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path
) -> None:
    """The landmarks' settings cut; pictures that were trained without bridges get none."""
    hands = fakes.recording(tmp_path / "clip.mp4", "va___id")
    confidence, points = hands.confidence.copy(), hands.landmarks.copy()
    confidence[12:15], points[12:15] = 0, np.nan
    gaps = replace(hands, confidence=confidence, landmarks=points)
    given: list[np.ndarray] = []

    class Spy:
        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            given.append(feeds["features"])
            return rgb.sequence.run(outputs, feeds)

    for bridge, absent in ((0.0, 2), (0.2, 0)):
        cut = Segmentation(bridge=bridge, max_gap=5.0)
        strict = replace(rgb, sequence=Spy(), config=replace(rgb.config, segmentation=cut))
        recognizer = Recognizer(fused(landmarks, strict), make_detector=fakes.Detectors(gaps))
        given.clear()
        assert recognizer.recognize(tmp_path / "clip.mp4").text == "va id"
        assert len(given) == 2
        assert (given[0][0] == 0).all(axis=1).sum() == absent


@pytest.mark.parametrize("in_memory", [False, True])
def test_landmarks_are_read_alone_with_a_warning(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path, in_memory: bool
) -> None:
    path = tmp_path / "clip.pose"
    write_landmarks(fakes.spell("vail"), path)
    source = fakes.spell("vail") if in_memory else path
    transcript = Recognizer(fused(landmarks, rgb)).recognize(source)
    assert transcript.text == "vail"
    assert transcript.info["stream"] == "landmarks"
    assert transcript.info["model"] == {"name": "hands", "sha256": landmarks.sha256}
    assert transcript.info["decoding"]["beam_width"] == 5
    assert transcript.warnings == (
        "there are no pictures to read, only landmarks: read with landmarks alone",
    )
    with pytest.raises(UsageError, match=r"reads pictures of the hand .* got landmarks"):
        Recognizer(Streams((landmarks, rgb), "rgb")).recognize(source)


def test_progress_and_overlays(landmarks: Bundle, rgb: Bundle, tmp_path: Path) -> None:
    hands = fakes.recording(tmp_path / "clip.mp4", "dab")
    told: list[tuple[int, int | None]] = []
    Recognizer(fused(landmarks, rgb), make_detector=fakes.Detectors(hands)).recognize(
        tmp_path / "clip.mp4",
        progress=lambda done, expected: told.append((done, expected)),
        overlay=tmp_path / "film.mp4",
    )
    assert told[-1] == (54, 54)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert (tmp_path / "film.mp4").exists()


def test_options_of_the_search(tmp_path: Path) -> None:
    size = len(fakes.ALPHABET) + 1
    table = fakes.language_model_network(np.full((size, size), -np.log(size)))
    one, other = (
        fakes.make_bundle(tmp_path / stream, stream=stream, lm=table, decoding=decoding)
        for stream, decoding in (
            ("landmarks", Decoding(beam_width=12, alpha=0.5, beta=1.0)),
            ("rgb", Decoding(beam_width=3, alpha=0.25, beta=2.0)),
        )
    )

    def settings(**options: Any) -> dict[str, Any]:
        return Recognizer(fused(one, other), **options).info["decoding"]["streams"]

    tuned = settings()
    assert [tuned[s]["beam_width"] for s in ("landmarks", "rgb")] == [12, 10]
    assert [tuned[s]["alpha"] for s in ("landmarks", "rgb")] == [0.5, 0.25]
    assert [tuned[s]["lm"] for s in ("landmarks", "rgb")] == [True, True]
    asked = settings(beam_width=4, alpha=0.1, beta=0.2)
    assert all((s["beam_width"], s["alpha"], s["beta"]) == (4, 0.1, 0.2) for s in asked.values())
    assert all(s["method"] == "greedy" for s in settings(greedy=True).values())
    hands = fakes.recording(tmp_path / "clip.mp4", "dab")
    for options in ({}, {"greedy": True}, {"lm": False}):
        recognizer = Recognizer(fused(one, other), make_detector=fakes.Detectors(hands), **options)
        assert recognizer.recognize(tmp_path / "clip.mp4").text == "dab"


def test_a_score_says_which_stream_read_what(
    landmarks: Bundle, rgb: Bundle, tmp_path: Path
) -> None:
    hands = fakes.recording(tmp_path / "clip.mp4", "vail")
    write_landmarks(hands, tmp_path / "clip.npz")
    (tmp_path / "data.csv").write_text("path,label\nclip.mp4,vail\nclip.npz,vail\n")
    recognizer = Recognizer(fused(landmarks, rgb), make_detector=fakes.Detectors(hands))
    score, predictions = evaluate(recognizer, read_manifest(tmp_path / "data.csv"))
    assert (score["items_read"], score["letter_accuracy"]) == (2, 100.0)
    assert score["stream"] == "fused"
    assert [model["sha256"] for model in score["models"]] == [landmarks.sha256, rgb.sha256]
    assert score["items_by_stream"] == {"fused": 1, "landmarks": 1}
    assert [prediction.read.info["stream"] for prediction in predictions] == ["fused", "landmarks"]
    assert json.dumps(score)


# -- pictures as the hand network's vectors -------------------------------------------------------
def film_with_vectors(path: Path, shown: str, spelled: str, **options: Any) -> Any:
    """A film of a hand whose vectors spell one word and its landmarks another."""
    return fakes.with_vectors(fakes.recording(path, spelled, **options), shown)


@pytest.mark.parametrize("left", [False, True])
def test_vectors_are_what_pictures_are_read_by(
    landmarks: Bundle, vectors: Bundle, tmp_path: Path, left: bool
) -> None:
    clip = tmp_path / "clip.mp4"
    detectors = fakes.Detectors(film_with_vectors(clip, "dab", "vib", left=left))
    for weight, text in ((0.0, "vib"), (1.0, "dab")):
        recognizer = Recognizer(fused(landmarks, vectors, weight), make_detector=detectors)
        transcript = recognizer.recognize(clip)
        assert (transcript.text, transcript.warnings) == (text, ())
        assert transcript.info["stream"] == "fused"
        assert [model["input"] for model in transcript.info["models"]] == ["landmarks", "hand"]
        assert set(transcript.info["decoding"]["streams"]) == {"landmarks", "rgb"}
        assert "crop" not in transcript.info["timings"]
    alone = Recognizer(Streams((vectors,), "rgb"), make_detector=detectors).recognize(clip)
    assert (alone.text, alone.info["stream"]) == ("dab", "rgb")
    for number, token in enumerate(alone.tokens):
        assert token.start == pytest.approx(0.3 * number, abs=0.1)
    assert detectors.asked == 3 * 27  # each frame once, each time


def test_gaps_take_the_vectors_beside_them(vectors: Bundle, tmp_path: Path) -> None:
    """Of single frames in which the hand was missed: without a bridge each would be a blank, and
    the letter be read twice."""
    clip = tmp_path / "clip.mp4"
    hands = fakes.without(film_with_vectors(clip, "dab", "vib"), slice(4, 6))
    read = Recognizer(vectors, make_detector=fakes.Detectors(hands)).recognize(clip)
    assert read.text == "dab"
    cut = replace(vectors, config=replace(vectors.config, segmentation=Segmentation(bridge=0.0)))
    assert Recognizer(cut, make_detector=fakes.Detectors(hands)).recognize(clip).text == "ddab"


def test_long_films_are_encoded_in_blocks(
    vectors: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mp4"
    hands = film_with_vectors(clip, "dab", "vib")
    spy = fakes.Spy(vectors.encoder)
    monkeypatch.setattr(networks, "CHUNK", 10)
    recognizer = Recognizer(replace(vectors, encoder=spy), make_detector=fakes.Detectors(hands))
    assert recognizer.recognize(clip).text == "dab"
    assert [len(given) for given in spy.given] == [10, 10, 7]
    (track,) = hand_tracks(hands)
    expected, _ = hand_features(track, fakes.RATE)
    np.testing.assert_allclose(np.concatenate(spy.given), expected, atol=1e-4)


def test_pictures_have_vectors(vectors: Bundle, tmp_path: Path) -> None:
    hands = fakes.with_vectors(fakes.spell("v", fps=3.0), "d")
    Image.fromarray(next(iter(fakes.film(hands, "d")))).save(tmp_path / "d.png")
    recognizer = Recognizer(vectors, make_detector=fakes.Detectors(hands))
    assert recognizer.recognize(tmp_path / "d.png").text == "d"


def test_a_detector_without_vectors(landmarks: Bundle, vectors: Bundle, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    detectors = fakes.Detectors(fakes.recording(clip, "vib"))
    both = (landmarks, vectors)
    transcript = Recognizer(Streams(both, "fused"), make_detector=detectors).recognize(clip)
    assert (transcript.text, transcript.info["stream"]) == ("vib", "landmarks")
    assert transcript.warnings == (
        "the hand detector has no vectors of hands, which the model of pictures reads: read with "
        "landmarks alone",
    )
    for streams_ in (Streams(both, "rgb"), Streams((vectors,))):
        with pytest.raises(UsageError, match=r"no vectors of hands.*: leave out the detector, or"):
            Recognizer(streams_, make_detector=detectors).recognize(clip)
    nobody = fakes.Detectors(fakes.without(fakes.recording(clip, "vib"), slice(None)))
    nothing = Recognizer(Streams(both, "rgb"), make_detector=nobody).recognize(clip)
    assert (nothing.text, nothing.info["stream"], len(nothing.warnings)) == ("", "rgb", 1)


def test_landmarks_in_memory_may_have_vectors(
    landmarks: Bundle, vectors: Bundle, rgb: Bundle, tmp_path: Path
) -> None:
    hands = fakes.with_vectors(fakes.spell("vail"), "dabi")
    path = tmp_path / "clip.npz"
    write_landmarks(hands, path)  # which holds no vectors
    only = Recognizer(fused(landmarks, vectors, 1.0))
    transcript = only.recognize(hands)
    assert (transcript.text, transcript.warnings) == ("dabi", ())
    part = only.recognize(hands, start=0.3, end=0.9)
    assert (part.text, part.info["stream"]) == ("ab", "fused")
    assert only.recognize(path).text == "vail"
    for streams_ in (Streams((landmarks, vectors), "rgb"), Streams((vectors,))):
        assert Recognizer(streams_).recognize(hands).text == "dabi"
        with pytest.raises(UsageError, match=r"reads pictures of the hand .* got landmarks"):
            Recognizer(streams_).recognize(path)
    assert Recognizer(fused(landmarks, rgb)).recognize(hands).info["stream"] == "landmarks"
    with pytest.raises(UsageError, match=r"reads pictures of the hand .* got landmarks"):
        Recognizer(Streams((rgb,))).recognize(hands)
