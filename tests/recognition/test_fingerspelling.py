"""The whole pipeline with networks that are set by hand, so that each answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chereme
import fakes
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.formats.transcripts import write
from chereme.hands.detector import Detection
from chereme.hands.tracking import HandTracker
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import Decoding, Segmentation, Still
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.networks import log_probs_of
from chereme.types import Landmarks


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "fake")


@pytest.fixture(scope="module")
def recognizer(bundle: Bundle) -> Recognizer:
    return Recognizer(bundle)


@pytest.mark.parametrize("text", ["dab", "vail", "i", "bad lad"])
def test_reads_what_was_spelled(recognizer: Recognizer, text: str) -> None:
    """A resting hand between words is not a gap: its letters run together."""
    transcript = recognizer.recognize(fakes.spell(text))
    assert transcript.text == text.replace(" ", "")
    assert [token.text for token in transcript.tokens] == list(text.replace(" ", ""))
    assert transcript.warnings == ()


def test_times_are_those_of_the_recording(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("dab", letter_seconds=0.5))
    for i, token in enumerate(transcript.tokens):
        assert token.start == pytest.approx(0.5 * i, abs=0.1)
        assert token.end == pytest.approx(0.5 * (i + 1), abs=0.1)
        assert 0.9 < token.probability <= 1.0


@pytest.mark.parametrize("fps", [12.0, 25.0, 30.0, 60.0])
def test_the_frame_rate_does_not_matter(recognizer: Recognizer, fps: float) -> None:
    transcript = recognizer.recognize(fakes.spell("vail", fps=fps, letter_seconds=0.5))
    assert transcript.text == "vail"
    assert transcript.info["fps"] == pytest.approx(fps)
    slow = [w for w in transcript.warnings if "frames a second" in w]
    assert bool(slow) == (fps < 15)


def test_a_left_hand_reads_the_same(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("vail", left=True))
    assert transcript.text == "vail"
    assert transcript.info["signing_hand"] == "left"


def test_a_mirrored_recording_reads_the_same(bundle: Bundle) -> None:
    """A right hand in a mirror looks as a left one and is labelled so."""
    mirrored = fakes.spell("vail", left=True)
    transcript = Recognizer(bundle, mirrored=True).recognize(mirrored)
    assert transcript.text == "vail"
    assert transcript.info["signing_hand"] == "right"
    assert Recognizer(bundle).recognize(mirrored).text == "vail"


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("labelled", ["left", "right", "unknown"])
def test_an_unsure_handedness_is_settled_by_likelihood(
    recognizer: Recognizer, left: bool, labelled: str
) -> None:
    landmarks = fakes.spell("vail", left=left, handedness=labelled)  # type: ignore[arg-type]
    unsure = replace(landmarks, handedness_score=(0.55,))
    transcript = recognizer.recognize(unsure)
    assert transcript.text == "vail"
    assert transcript.info["signing_hand"] == ("left" if left else "right")
    assert transcript.info["handedness_by"] == "likelihood"


def test_a_sure_handedness_is_believed(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("vail"))
    assert transcript.info["handedness_by"] == "vote"


def test_the_moving_hand_is_read_and_the_option_overrides(bundle: Bundle) -> None:
    landmarks = fakes.spell("vail", idle_hand=True)
    automatic = Recognizer(bundle).recognize(landmarks)
    assert automatic.text == "vail"
    assert automatic.info["signing_hand"] == "right"
    assert len(automatic.info["hands"]) == 2
    left, right = automatic.info["hands"]
    assert right["score"] > left["score"] >= 0
    idle = Recognizer(bundle, hand="left").recognize(landmarks)
    assert idle.text == ""
    assert idle.info["signing_hand"] == "left"


def test_the_hand_that_is_asked_for_may_be_absent(bundle: Bundle) -> None:
    transcript = Recognizer(bundle, hand="left").recognize(fakes.spell("vail"))
    assert transcript.text == ""
    assert "no left hand found, but another" in transcript.warnings[0]


def test_long_gaps_part_words_and_short_ones_do_not(recognizer: Recognizer) -> None:
    words = recognizer.recognize(fakes.spell("vai___dab"))
    assert words.text == "vai dab"
    assert [s["text"] for s in words.info["segments"]] == ["vai", "dab"]
    landmarks = fakes.spell("vaildab", letter_seconds=0.3)
    confidence = landmarks.confidence.copy()
    confidence[20:24] = 0  # 0.13 s
    points = np.where(confidence[..., None] > 0, landmarks.landmarks, np.nan)
    assert recognizer.recognize(
        replace(landmarks, confidence=confidence, landmarks=points)
    ).text == ("vaildab")


WORDS = ("dab", "vail", "bad", "lad", "dial", "bald", "lid", "avid")


def film_of(words: list[tuple[str, bool, float]], idle: bool = False) -> tuple[Landmarks, list]:
    """What a tracker makes of takes ``(word, left, pause after it in seconds)`` of people who stand
    anywhere, large or small, and when each begins; ``idle``: the other hand of each hangs down."""
    rng = np.random.default_rng(7)
    tracker = HandTracker(1280, 720)
    begins, frame = [], 0
    for word, left, pause in words:
        size, place = rng.uniform(0.4, 1.0), rng.uniform([-150, -100], [500, 200])
        begins.append(frame / fakes.RATE)
        tracker.cut()
        other = "right" if left else "left"
        for points in fakes.spell(word, left=left).landmarks[:, 0]:
            seen = [shown(points * size + [*place, 0], "left" if left else "right")]
            if idle:
                resting = fakes.draw_hand(" ", not left) * 0.4 + [900 if left else 0, 400, 0]
                seen.append(shown(resting + rng.normal(0, 0.2, (21, 3)), other))
            tracker.update(seen, frame / fakes.RATE)
            frame += 1
        for _ in range(round(pause * fakes.RATE)):
            tracker.update([], frame / fakes.RATE)
            frame += 1
    return tracker.finish(), begins


def shown(points: np.ndarray, side: str) -> Detection:
    points = points.astype(np.float32)
    return Detection(points, points / 1000, side, 0.95)  # type: ignore[arg-type]


@pytest.mark.parametrize("idle", [False, True])
def test_a_film_of_many_signers_is_read_as_its_takes_are(
    recognizer: Recognizer, idle: bool
) -> None:
    """Left and right hands that come and go, with cuts (no pause at all) and pauses between."""
    rng = np.random.default_rng(8)
    takes = [
        (str(rng.choice(WORDS)), bool(rng.random() < 0.5), float(rng.choice([0, 0, 0.7, 2.5])))
        for _ in range(40)
    ]
    seen, begins = film_of(takes, idle)
    transcript = recognizer.recognize(seen)
    assert transcript.text == " ".join(word for word, _, _ in takes)
    segments = transcript.info["segments"]
    assert [s["hand"] for s in segments] == ["left" if left else "right" for _, left, _ in takes]
    np.testing.assert_allclose([s["start"] for s in segments], begins, atol=0.05)
    letters = iter(transcript.tokens)
    alone = {word: recognizer.recognize(fakes.spell(word)).tokens for word in WORDS}
    for (word, _, _), begin in zip(takes, begins, strict=True):
        for token in alone[word]:
            found = next(letters)
            assert found.text == token.text
            assert found.start - begin == pytest.approx(token.start, abs=0.1)


def test_only_the_hand_that_is_asked_for_is_read_of_a_film(recognizer: Recognizer) -> None:
    seen, _ = film_of([("dab", False, 1.0), ("vail", True, 1.0), ("lid", False, 1.0)])
    assert recognizer.recognize(seen, hand="right").text == "dab lid"
    assert recognizer.recognize(seen, hand="left").text == "vail"


def test_an_unsure_hand_of_a_film_is_read_as_both_in_its_turn(recognizer: Recognizer) -> None:
    sure, _ = film_of([("dab", False, 1.5)])
    unsure = fakes.spell("vail", left=True)
    frames = (len(sure.timestamps), len(unsure.timestamps))
    points = np.full((sum(frames), 2, 21, 3), np.nan, np.float32)
    points[: frames[0], 0] = sure.landmarks[:, 0]
    points[frames[0] :, 1] = unsure.landmarks[:, 0]
    film = Landmarks(
        landmarks=points,
        confidence=np.isfinite(points).all(axis=-1).astype(np.float32),
        timestamps=np.arange(sum(frames)) / fakes.RATE,
        width=1280,
        height=720,
        handedness=("right", "right"),
        handedness_score=(1.0, 0.6),
    )
    transcript = recognizer.recognize(film)
    assert transcript.text == "dab vail"
    assert [s["hand"] for s in transcript.info["segments"]] == ["right", "left"]
    assert transcript.info["handedness_by"] == "likelihood"


@pytest.mark.slow
def test_an_hour_loses_nothing(recognizer: Recognizer) -> None:
    rng = np.random.default_rng(9)
    takes = [
        (str(rng.choice(WORDS)), bool(rng.random() < 0.5), float(rng.uniform(0.7, 5)))
        for _ in range(900)
    ]
    seen, begins = film_of(takes)
    assert begins[-1] > 3000
    transcript = recognizer.recognize(seen)
    assert transcript.text.split() == [word for word, _, _ in takes]


def test_two_who_spell_at_once_are_told(recognizer: Recognizer) -> None:
    one, other = fakes.spell("vaildabvail"), fakes.spell("dabvaildabv", left=True)
    both = replace(
        one,
        landmarks=np.concatenate([one.landmarks, other.landmarks + np.array([300, 0, 0])], axis=1),
        confidence=np.concatenate([one.confidence, other.confidence], axis=1),
        handedness=("right", "left"),
        width=1280,
    )
    transcript = recognizer.recognize(both)
    assert transcript.text in ("vaildabvail", "dabvaildabv")
    assert any("another hand moved about as much" in w for w in transcript.warnings)


def test_no_hand_is_empty_with_the_reason(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("___"))
    assert (transcript.text, transcript.tokens) == ("", ())
    assert "no hand found in 27 frames" in transcript.warnings[0]
    assert transcript.info["hand_coverage"] == 0.0
    assert transcript.info["signing_hand"] is None


def test_no_tracks_at_all(recognizer: Recognizer) -> None:
    nothing = Landmarks(
        np.zeros((5, 0, 21, 3)), np.zeros((5, 0, 21)), np.arange(5) / 30, 640, 480, ()
    )
    transcript = recognizer.recognize(nothing)
    assert transcript.text == ""
    assert "no hand found" in transcript.warnings[0]
    assert transcript.info["hands"] == []


def test_an_idle_hand_is_empty_with_the_coverage(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("      _ "))
    assert transcript.text == ""
    told = "a hand was seen in 88% of the frames, but no letters"
    assert any(warning.startswith(told) for warning in transcript.warnings)


def test_a_hand_that_flits_past_is_not_read(recognizer: Recognizer) -> None:
    landmarks = fakes.spell("_" * 8 + "a" + "_" * 8, letter_seconds=0.1)
    transcript = recognizer.recognize(landmarks)
    assert transcript.text == ""
    assert "never long enough" in transcript.warnings[-1]


def test_low_coverage_is_told(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell("__dab___"))
    assert transcript.text == "dab"
    assert transcript.warnings == ("the signing hand was seen in only 38% of the frames",)
    assert transcript.info["hand_coverage"] == pytest.approx(3 / 8)


@pytest.mark.parametrize("letter", fakes.ALPHABET)
@pytest.mark.parametrize("left", [False, True])
def test_a_single_frame_gives_its_letter(recognizer: Recognizer, letter: str, left: bool) -> None:
    still = fakes.spell(letter, fps=3.0, letter_seconds=0.3, left=left)
    assert len(still.timestamps) == 1
    transcript = recognizer.recognize(still)
    assert transcript.text == letter
    assert transcript.tokens[0].start == transcript.tokens[0].end == 0.0


def test_a_single_frame_of_a_resting_hand_abstains(recognizer: Recognizer) -> None:
    transcript = recognizer.recognize(fakes.spell(" ", fps=3.0))
    assert transcript.text == ""
    assert "no letters" in transcript.warnings[-1]


def test_only_letters_that_a_still_can_show_are_read_from_one(tmp_path: Path) -> None:
    limited = fakes.make_bundle(tmp_path / "b", still=Still(letters=("a", "b"), margin=-1e9))
    still = fakes.spell("v", fps=3.0)
    assert Recognizer(limited).recognize(still).text in ("a", "b")


def test_a_part_of_a_recording(recognizer: Recognizer) -> None:
    landmarks = fakes.spell("vaildab", letter_seconds=0.5)
    part = recognizer.recognize(landmarks, start=0.52, end=1.48)
    assert part.text == "ai"
    assert part.tokens[0].start == pytest.approx(0.53, abs=0.1)
    with pytest.raises(InputError, match=r"the last frame is at 3\.47 s"):
        recognizer.recognize(landmarks, start=60.0)
    with pytest.raises(InputError, match="expected an end after the start"):
        recognizer.recognize(landmarks, start=2.0, end=1.0)


@pytest.mark.parametrize("stride", [1, 2])
def test_strides(tmp_path: Path, stride: int) -> None:
    strided = fakes.make_bundle(tmp_path / "b", stride=stride)
    transcript = Recognizer(strided).recognize(fakes.spell("vail"))
    assert transcript.text == "vail"
    assert transcript.tokens[1].start == pytest.approx(0.3, abs=0.1)


def test_a_wrong_stride_in_the_config_is_found(bundle: Bundle) -> None:
    lying = replace(bundle, config=replace(bundle.config, temporal_stride=2))
    with pytest.raises(BundleError, match="expected 18 outputs for 36 frames at stride 2, got 36"):
        Recognizer(lying).recognize(fakes.spell("vail"))


@pytest.mark.parametrize("suffix", [".pose", ".npz"])
def test_landmark_files(recognizer: Recognizer, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write_landmarks(fakes.spell("vail"), path)
    transcript = recognizer.recognize(path)
    assert transcript.text == "vail"
    assert transcript.info["source"] == str(path)
    assert transcript.info["kind"] == "landmarks"
    assert transcript.info["frames"] == 36


@pytest.mark.parametrize("suffix", [".pose", ".npz"])
def test_landmark_files_that_are_none(recognizer: Recognizer, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    path.write_text("this is a text")
    with pytest.raises(InputError, match=f"clip{suffix}"):
        recognizer.recognize(path)


def test_info_is_complete_and_can_be_written(recognizer: Recognizer, bundle: Bundle) -> None:
    transcript = recognizer.recognize(fakes.spell("vail", idle_hand=True))
    info = json.loads(write(transcript, "clip.npz", "json"))["info"]
    assert {
        "source", "kind", "width", "height", "frames", "start", "duration", "fps", "rotation",
        "video_stream", "bad_packets",
        "truncated", "hands", "hand_coverage", "signing_hand", "handedness_score", "handedness_by",
        "segments", "decoding", "stream", "model", "models", "chereme", "timings",
    } == set(info)  # fmt: skip
    assert info["stream"] == "landmarks"
    assert info["model"] == {"name": "fake", "sha256": bundle.sha256}
    assert info["models"] == [{"input": "landmarks", **info["model"]}]
    assert info["chereme"] == chereme.__version__
    assert info["decoding"] == {
        "method": "beam", "beam_width": 5, "alpha": 0.0, "beta": 0.0, "lm": False, "words": 0,
    }  # fmt: skip
    assert {"network", "search", "total"} <= set(info["timings"])
    for fmt in ("txt", "srt", "vtt", "tsv", "eaf"):
        assert write(transcript, "clip.npz", fmt)


def test_options_override_the_tuned_search(tmp_path: Path) -> None:
    tuned = fakes.make_bundle(tmp_path / "b", decoding=Decoding(beam_width=7, alpha=0.4, beta=1.5))
    # The bundle has no language model: neither its weight nor the bonus tuned with it is used.
    assert Recognizer(tuned).info["decoding"] == {
        "method": "beam", "beam_width": 7, "alpha": 0.0, "beta": 0.0, "lm": False, "words": 0,
    }  # fmt: skip
    assert Recognizer(tuned, beam_width=2, beta=0.5).info["decoding"]["beam_width"] == 2
    assert Recognizer(tuned, beta=0.5).info["decoding"]["beta"] == 0.5
    assert Recognizer(tuned, greedy=True).info["decoding"] == {"method": "greedy"}
    assert Recognizer(tuned, greedy=True).recognize(fakes.spell("vail")).text == "vail"


@pytest.mark.parametrize("stream", ["landmarks", "hand"])
def test_the_members_of_a_bundle_read_together(tmp_path: Path, stream: str) -> None:
    one, two = (
        Recognizer(fakes.make_bundle(tmp_path / str(n), stream=stream, members=n)) for n in (1, 2)
    )
    story = "vail" + "_" * 5 + "dab"
    still = fakes.spell("v", letter_seconds=1 / 30)
    for seen, text in ((fakes.spell(story), story), (still, "v")):
        expected, found = (r.recognize(fakes.with_vectors(seen, text)) for r in (one, two))
        assert found.text == expected.text
        assert found.tokens == pytest.approx(expected.tokens)
    assert two.info["decoding"]["method"] == "rescoring"
    assert one.info["decoding"]["method"] == "beam"
    assert (
        Recognizer(fakes.make_bundle(tmp_path / "3", members=2), greedy=True)
        .recognize(fakes.spell("vail"))
        .text
        == "vail"
    )


def test_a_bundle_has_as_many_members_as_it_says(tmp_path: Path) -> None:
    bundle = fakes.make_bundle(tmp_path / "b", members=2)
    networks = {n: bundle.directory / n for n in ("encoder.onnx", "sequence.onnx")}
    with pytest.raises(BundleError, match=r"'log_probs' of \[3, 'any', 7\]"):
        write_bundle(tmp_path / "c", replace(bundle.config, members=3), networks)


def test_the_temperature_is_that_of_all_that_is_read(bundle: Bundle, tmp_path: Path) -> None:
    warm = fakes.make_bundle(tmp_path / "b", decoding=Decoding(temperature=1.5))
    features = np.random.default_rng(0).normal(size=(9, len(fakes.ALPHABET) + 1))
    features = features.astype(np.float32)
    powers = np.exp(log_probs_of(bundle, features)) ** (1 / 1.5)
    expected = powers / powers.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_probs_of(warm, features)), expected, rtol=1e-4)
    sure, unsure = (Recognizer(b).recognize(fakes.spell("vail")) for b in (bundle, warm))
    assert sure.text == unsure.text == "vail"
    pairs = zip(sure.tokens, unsure.tokens, strict=True)
    assert all(one.probability >= other.probability for one, other in pairs)
    still = fakes.spell("d", letter_seconds=1 / 30)
    stills = [Recognizer(b).recognize(still).tokens[0].probability for b in (bundle, warm)]
    assert stills[0] >= stills[1]


def test_the_language_model_has_its_say(tmp_path: Path) -> None:
    size = len(fakes.ALPHABET) + 1
    table = np.full((size, size), np.log(1 / size))
    table[:, fakes.ALPHABET.index("i") + 1] = -1000.0  # no word has an i
    speaking = fakes.make_bundle(
        tmp_path / "b",
        lm=fakes.language_model_network(table),
        decoding=Decoding(alpha=5.0, beta=2.0),
    )
    landmarks = fakes.spell("vid")
    with_lm = Recognizer(speaking)
    assert with_lm.info["decoding"] == {
        "method": "beam", "beam_width": 5, "alpha": 5.0, "beta": 2.0, "lm": True, "words": 0,
    }  # fmt: skip
    heard = with_lm.recognize(landmarks)
    assert "i" not in heard.text
    assert (heard.text[0], heard.text[-1]) == ("v", "d")
    for quiet in (Recognizer(speaking, lm=False), Recognizer(speaking, greedy=True)):
        assert quiet.recognize(landmarks).text == "vid"
        assert not quiet.info["decoding"].get("lm")


def test_other_texts_stand_beside(recognizer: Recognizer, tmp_path: Path) -> None:
    unsure = Recognizer(fakes.make_bundle(tmp_path / "b", decoding=Decoding(temperature=2.0)))
    found = unsure.recognize(fakes.spell("vai___dab"))
    assert found.alternatives[0].text == found.text
    assert 1 < len(found.alternatives) <= 5
    assert all(one.text.count(" ") == 1 for one in found.alternatives)
    probabilities = [one.probability for one in found.alternatives]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1
    # Each is a text of the first segment and one of the second.
    parts = [unsure.recognize(fakes.spell(word)).alternatives for word in ("vai", "dab")]
    texts = {f"{a.text} {b.text}" for a in parts[0] for b in parts[1]}
    assert {one.text for one in found.alternatives} <= texts
    (still, *others) = unsure.recognize(fakes.spell("d", letter_seconds=1 / 30)).alternatives
    assert (still.text, len(others)) == ("d", 4)
    for nothing in (fakes.spell("___"), fakes.spell("     ")):
        assert recognizer.recognize(nothing).alternatives == ()


def test_unlikely_spelling_has_no_other_texts_either(tmp_path: Path) -> None:
    strict = Decoding(temperature=2.0, min_mean_probability=1.0)
    found = Recognizer(fakes.make_bundle(tmp_path / "b", decoding=strict))
    transcript = found.recognize(fakes.spell("vail"))
    assert (transcript.text, transcript.alternatives) == ("", ())


def test_words_that_are_expected(tmp_path: Path) -> None:
    """So unsure a network reads letters that are not there, but where it knows what to expect."""
    unsure = fakes.make_bundle(tmp_path / "b", decoding=Decoding(temperature=4.0))
    landmarks = fakes.spell("vail")
    alone = Recognizer(unsure).recognize(landmarks)
    assert alone.text != "vail"
    expecting = Recognizer(unsure, words=["Bad", "Váil", "vail "])
    found = expecting.recognize(landmarks)
    assert (found.text, found.alternatives[0].text) == ("vail", "vail")
    assert found.info["decoding"]["words"] == 2
    assert found.info["decoding"]["lm"]
    # Of one input; nothing is said to be impossible.
    assert Recognizer(unsure).recognize(landmarks, words=["vail"]).text == "vail"
    assert expecting.recognize(landmarks, words=["bad"]).text != "bad"
    sure = fakes.make_bundle(tmp_path / "sure")
    assert Recognizer(sure, words=["vail"]).recognize(fakes.spell("vaildab")).text == "vaildab"
    listing = fakes.make_bundle(
        tmp_path / "list", decoding=Decoding(temperature=4.0), lexicon="lab\nvail\n"
    )
    found = Recognizer(listing).recognize(landmarks)
    assert (found.text, found.info["decoding"]["words"]) == ("vail", 2)
    assert Recognizer(listing, lm=False).recognize(landmarks).text == alone.text
    assert Recognizer(listing, words=["bad"]).info["decoding"]["words"] == 3


def test_words_without_a_search(bundle: Bundle) -> None:
    for options, name in (({"greedy": True}, "greedy"), ({"lm": False}, "no-lm")):
        with pytest.raises(UsageError, match=f"leave out the words, or {name}"):
            Recognizer(bundle, words=["vail"], **options)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=f"leave out the words, or {name}"):
            Recognizer(bundle, **options).recognize(fakes.spell("a"), words=["vail"])  # type: ignore[arg-type]


def test_wrong_options(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="hand: expected auto, left or right, got 'both'"):
        Recognizer(bundle, hand="both")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="beam width: expected 1 or more, got 0"):
        Recognizer(bundle, beam_width=0)
    with pytest.raises(UsageError, match="rate: expected a finite number"):
        Recognizer(bundle, rate=0.0).recognize(fakes.spell("a"))


def test_reading_twice_gives_the_same(recognizer: Recognizer) -> None:
    landmarks = fakes.spell("vaildab")
    first, second = recognizer.recognize(landmarks), recognizer.recognize(landmarks)
    assert first.tokens == second.tokens
    assert first.text == second.text


def test_the_encoder_runs_in_pieces_with_the_same_result(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = fakes.spell("vaildab")
    whole = Recognizer(bundle).recognize(landmarks)
    monkeypatch.setattr("chereme.recognition.networks.CHUNK", 7)
    assert Recognizer(bundle).recognize(landmarks).tokens == whole.tokens


def test_segmentation_comes_from_the_bundle(tmp_path: Path) -> None:
    patient = fakes.make_bundle(tmp_path / "b", segmentation=Segmentation(max_gap=2.0))
    assert Recognizer(patient).recognize(fakes.spell("vai___dab")).text == "vaidab"
