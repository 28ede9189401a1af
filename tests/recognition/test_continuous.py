"""Continuous signing: tracks and video in, glosses with times out; windows; streams."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

import fake_signing
import fake_signs
import fakes
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.formats.tracks import PoseTracks, one_track, together, track_spec, write_tracks
from chereme.hands.detector import Detection
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import SigningPreprocessing, Windows
from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
from chereme.types import Frame
from fake_signing import (
    LONG,
    OTHER,
    RATE,
    SENTENCE,
    TRACK,
    Hands,
    film,
    sign,
    span,
    with_decoder,
    write_film,
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fake_signing.make_signing(tmp_path_factory.mktemp("models") / "tracks")


@pytest.fixture(scope="module")
def video_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "video"
    return fake_signing.make_signing(folder, input="rgb")


@pytest.fixture
def recognizer(bundle: Bundle) -> ContinuousRecognizer:
    return ContinuousRecognizer(bundle)


# -- tracks ----------------------------------------------------------------------------------------
def test_glosses_have_times_and_probabilities(
    recognizer: ContinuousRecognizer, tmp_path: Path
) -> None:
    write_tracks(sign(SENTENCE), tmp_path / "clip.npz")
    result = recognizer.recognize(tmp_path / "clip.npz")
    assert (result.text, result.warnings) == (SENTENCE, ())
    with (tmp_path / "clip.npz").open("rb") as file:
        assert recognizer.recognize(file).tokens == result.tokens
    for place, gloss in enumerate(result.tokens):
        assert (gloss.start, gloss.end) == pytest.approx(span(place))
        assert 0.99 < gloss.probability <= 1
    assert result.alternatives[0] == (SENTENCE, None)
    assert result.info["tracks"] == ["fake_signing"]
    assert (result.info["frames"], result.info["windows"]) == (34, 1)
    assert result.info["model"] == {"name": "fake", "sha256": recognizer.bundle.sha256}
    assert {"read", "network", "search", "total"} <= set(result.info["timings"])
    greedy = ContinuousRecognizer(recognizer.bundle, greedy=True)
    assert greedy.recognize(sign(SENTENCE)).tokens == result.tokens


def test_a_part_and_another_rate(recognizer: ContinuousRecognizer) -> None:
    part = recognizer.recognize(sign(SENTENCE), start=1.1, end=2.2)
    assert part.text == "BUY"
    assert (part.tokens[0].start, part.tokens[0].end) == pytest.approx(span(1))
    quick = PoseTracks(
        2 * RATE,
        {"fake_signing": np.repeat(sign(SENTENCE).values["fake_signing"], 2, axis=0)},
        {"fake_signing": np.repeat(sign(SENTENCE).present["fake_signing"], 2)},
    )
    result = recognizer.recognize(quick)
    assert result.text == SENTENCE
    assert result.info["fps"] == 2 * RATE
    assert (result.tokens[2].start, result.tokens[2].end) == pytest.approx(span(2), abs=0.06)
    with pytest.raises(InputError, match="an end after the start"):
        recognizer.recognize(quick, start=2, end=1)


def test_the_order_of_tracks_in_a_file_means_nothing(tmp_path: Path) -> None:
    bundle = fake_signing.make_signing(tmp_path / "model", tracks=(OTHER, TRACK))
    clip = together([sign(SENTENCE), one_track("fake_other", np.ones((34, 2)), RATE)])
    write_tracks(clip, tmp_path / "clip.npz")
    with np.load(tmp_path / "clip.npz") as held:
        arrays = {name: held[name] for name in reversed(held.files)}
    np.savez(tmp_path / "turned.npz", **arrays)
    recognizer = ContinuousRecognizer(bundle)
    first, second = (recognizer.recognize(tmp_path / f"{n}.npz") for n in ("clip", "turned"))
    assert first.text == second.text == SENTENCE
    assert first.tokens == second.tokens
    lacking = recognizer.recognize(sign(SENTENCE))
    assert lacking.tokens == first.tokens
    assert lacking.warnings == ("missing track that the model was trained with: fake_other",)


def test_frames_in_which_nobody_is_seen(recognizer: ContinuousRecognizer) -> None:
    clip = sign(SENTENCE)
    there = clip.present["fake_signing"].copy()
    there[10:20] = False
    some = PoseTracks(RATE, clip.values, {"fake_signing": there})
    assert recognizer.recognize(some).text == "JOHN HOUSE"
    nobody = PoseTracks(RATE, clip.values, {"fake_signing": np.zeros(34, bool)})
    result = recognizer.recognize(nobody)
    assert (result.text, result.tokens) == ("", ())
    assert result.warnings == (
        "nobody is seen in 34 frames: the tracks fake_signing are present in none",
    )
    still = recognizer.recognize(sign(""))
    assert still.warnings == ("4 frames were read, but no gloss was found in them",)


def test_files_that_are_none_of_its_own(recognizer: ContinuousRecognizer, tmp_path: Path) -> None:
    write_tracks(sign(SENTENCE), tmp_path / "clip.npz")
    with np.load(tmp_path / "clip.npz") as held:
        arrays = dict(held)
    wide = arrays | {"track/fake_signing": np.ones((34, 9), np.float32)}
    np.savez(tmp_path / "wide.npz", **wide)
    with pytest.raises(InputError, match=r"wide.npz: track 'fake_signing': expected \(34, 7\)"):
        recognizer.recognize(tmp_path / "wide.npz")
    np.savez(tmp_path / "one.npz", tracks_version=1, rate=RATE, all=np.ones((4, 1959)))
    with pytest.raises(InputError, match=r"expected track/<name> and present/<name> only"):
        recognizer.recognize(tmp_path / "one.npz")
    write_landmarks(fakes.spell("ab"), tmp_path / "hands.npz")
    with pytest.raises(InputError, match=r"the tracks that the model 'fake' reads .* mediapipe"):
        recognizer.recognize(tmp_path / "hands.npz")
    with pytest.raises(InputError, match=r"none\.npz"):
        recognizer.recognize(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("this is a text")
    with pytest.raises(InputError, match=r"text\.npz"):
        recognizer.recognize(tmp_path / "text.npz")
    with pytest.raises(UsageError, match=r"reads pose tracks \(fake_signing\), not video"):
        recognizer.recognize(write_film(tmp_path / "film", "JOHN"))
    mirrored = ContinuousRecognizer(recognizer.bundle, mirrored=True)
    with pytest.raises(UsageError, match="mirrored: expected a video, got tracks"):
        mirrored.recognize(sign(SENTENCE))


def test_options_that_mean_nothing(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=r"what the model 'fake' has \(ctc\), got 'decoder'"):
        ContinuousRecognizer(bundle, read_with="decoder")
    with pytest.raises(UsageError, match="beam width"):
        ContinuousRecognizer(bundle, beam_width=0)
    for rate in (0.0, float("inf")):
        with pytest.raises(UsageError, match="rate: expected a finite number"):
            ContinuousRecognizer(bundle, rate=rate)


# -- windows ---------------------------------------------------------------------------------------
def test_what_is_long_is_read_as_its_sentences_are_apart() -> None:
    model = with_decoder(read_with="ctc")
    recognizer = ContinuousRecognizer(model)
    assert len(fake_signing.frames_of(LONG)) > 2 * 60
    result = recognizer.recognize(sign(LONG))
    assert result.text == LONG
    for place, gloss in enumerate(result.tokens):
        assert (gloss.start, gloss.end) == pytest.approx(span(place))
    assert result.info["windows"] > 2
    assert result.alternatives == ()
    assert max(model.sequence.frames) == 60  # 6 s, whatever the length
    decoded = ContinuousRecognizer(model, read_with="decoder").recognize(sign(LONG))
    assert decoded.text == LONG
    assert [(g.start, g.end) for g in decoded.tokens] == [(g.start, g.end) for g in result.tokens]


@pytest.mark.parametrize("seconds", [2.0, 3.1, 4.7, 100.0])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_any_window_that_holds_a_sign_gives_the_same(seconds: float, share: float) -> None:
    model = with_decoder(read_with="ctc", windows=Windows(seconds, share * seconds))
    assert ContinuousRecognizer(model).recognize(sign(LONG)).text == LONG


@pytest.mark.parametrize("shift", [-2, 2])
def test_a_sign_that_two_windows_see_at_other_times_is_read_once(shift: int) -> None:
    class Unsteady(fake_signing.Sequence):
        """Every other window shows all a little earlier or later."""

        def run(self, names, given):
            if len(self.frames) % 2:
                moved = np.roll(given["track_fake_signing"], shift, axis=1)
                beyond = slice(0, shift) if shift > 0 else slice(shift, None)
                moved[:, beyond] = np.eye(fake_signing.V)[0]
                given = {**given, "track_fake_signing": moved}
            return super().run(names, given)

    for phase in range(10):
        model = fake_signing.with_decoder(read_with="ctc", windows=Windows(6.0 + phase / 10, 2.5))
        model = replace(model, sequence=Unsteady())
        assert ContinuousRecognizer(model).recognize(sign(LONG)).text == LONG


def test_what_is_short_is_read_in_one_piece() -> None:
    model = with_decoder(windows=Windows(3.4, 1.0))
    ContinuousRecognizer(model).recognize(sign(SENTENCE))
    assert model.sequence.frames == [34]


# -- video -----------------------------------------------------------------------------------------
def test_video_is_read_with_times(video_bundle: Bundle, tmp_path: Path) -> None:
    hands = Hands()
    recognizer = ContinuousRecognizer(video_bundle, rate=RATE, make_detector=hands)
    result = recognizer.recognize(write_film(tmp_path / "film", LONG))
    assert (result.text, result.warnings) == (LONG, ())
    for place, gloss in enumerate(result.tokens):
        assert (gloss.start, gloss.end) == pytest.approx(span(place))
    assert hands.closed == 1
    assert hands.looks < 20  # of 144 frames
    assert result.info["kind"] == "frames"
    assert {"picture", "detect", "encoder", "tracks", "network"} <= set(result.info["timings"])
    assert recognizer.recognize(sign(SENTENCE)).text == SENTENCE  # tracks too
    with pytest.raises(InputError, match="no such file"):
        recognizer.recognize(tmp_path / "none.mp4")
    part = recognizer.recognize(tmp_path / "film", start=1.1, end=2.2)
    assert part.text == "BUY"
    assert part.tokens[0].start == pytest.approx(span(1)[0])


def test_video_at_another_rate(video_bundle: Bundle, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film", SENTENCE)
    for rate in (5.0, 20.0, 25.0):
        recognizer = ContinuousRecognizer(video_bundle, rate=rate, make_detector=Hands())
        result = recognizer.recognize(film)
        assert result.text == SENTENCE
        slow = ("only 5.0 frames a second, but the model reads 10: quick signs may be lost",)
        assert result.warnings == (slow if rate == 5 else ())
        for place, gloss in enumerate(result.tokens):
            expected = np.array(span(place)) * RATE / rate
            assert (gloss.start, gloss.end) == pytest.approx(expected, abs=0.11)


def test_short_windows_each_know_of_the_hand_that_was_found(tmp_path: Path) -> None:
    bundle = fake_signing.make_signing(tmp_path / "m", input="rgb", windows=Windows(1.7, 0.8))
    recognizer = ContinuousRecognizer(bundle, rate=RATE, make_detector=Hands())
    assert recognizer.recognize(write_film(tmp_path / "film", LONG)).text == LONG


def test_video_without_a_hand_says_nothing(tmp_path: Path, video_bundle: Bundle) -> None:
    hands = Hands()
    recognizer = ContinuousRecognizer(video_bundle, rate=RATE, make_detector=hands)
    film = write_film(tmp_path / "film", "")
    result = recognizer.recognize(film)
    assert result.text == ""
    assert result.warnings[-1].startswith("no hand found in 4 frames")
    free = SigningPreprocessing(rate=RATE, picture=fake_signing.SIZE, needs_hands=False)
    model = fake_signing.make_signing(tmp_path / "model", input="rgb", preprocessing=free)
    unseen = ContinuousRecognizer(model, rate=RATE, make_detector=hands).recognize(film)
    assert "no gloss was found" in unseen.warnings[-1]
    assert hands.closed == 1


def test_a_hand_is_looked_for_in_each_frame_as_in_a_video(
    tmp_path: Path, video_bundle: Bundle
) -> None:
    """A detector of single pictures takes 0.5 s to find that a picture of 720p has no hand."""
    hands = Hands()
    recognizer = ContinuousRecognizer(video_bundle, rate=RATE, make_detector=hands)
    film = write_film(tmp_path / "film", "")
    (film / "0003.png").unlink()
    write_film(tmp_path / "other", "JOHN")
    (tmp_path / "other" / "0004.png").rename(film / "0003.png")
    result = recognizer.recognize(film)  # of four frames the last shows a hand
    assert not any("no hand found" in warning for warning in result.warnings)
    assert (hands.stills, hands.looks) == ([False], 4)
    assert hands.resets == [3, 4]  # at the cut, and when the hand was found


def test_a_damaged_video_gives_what_there_is(tmp_path: Path, video_bundle: Bundle) -> None:
    from chereme.video import write_video

    path = tmp_path / "clip.mp4"
    write_video(path, (frame.image for frame in film(LONG, 64)), RATE)
    recognizer = ContinuousRecognizer(video_bundle, make_detector=Hands())
    assert recognizer.recognize(path).text == LONG
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 40] = bytes(40)
    path.write_bytes(raw)
    try:
        result = recognizer.recognize(path)
    except InputError:  # what was hit was needed to read anything
        return
    assert set(result.text.split()) <= {"JOHN", "BUY", "HOUSE"}
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        recognizer.recognize(path)


def test_a_model_of_mediapipe_reads_the_hands_of_a_video(tmp_path: Path) -> None:
    tracks = (track_spec("mediapipe"), OTHER)
    model = fake_signing.make_signing(tmp_path / "model", tracks=tracks)
    hands = Hands()
    recognizer = ContinuousRecognizer(model, rate=RATE, make_detector=hands)
    result = recognizer.recognize(write_film(tmp_path / "film", "JOHN HOUSE"))
    assert result.text == "JOHN JOHN"  # a hand comes, goes, and comes
    assert (result.tokens[1].start, result.tokens[1].end) == pytest.approx(span(1))
    assert result.warnings[0].startswith("of the track mediapipe there are only the hands")
    assert result.warnings[1] == "missing track that the model was trained with: fake_other"
    assert (hands.looks, hands.closed) == (24, 1)
    empty = recognizer.recognize(write_film(tmp_path / "empty", ""))
    assert empty.text == ""
    assert empty.warnings[-1].startswith("no hand found in 4 frames")
    # The landmarks of hands, as a file.
    write_landmarks(fakes.spell("ab"), tmp_path / "hands.npz")
    assert recognizer.recognize(tmp_path / "hands.npz").text == "JOHN"


def test_the_hands_of_a_video_are_fractions_of_the_picture_and_the_body_is_not_known() -> None:
    from chereme.recognition.sign_frames import HandFollower, hand_tracks
    from chereme.recognition.stages import Stages

    decoder = ContinuousRecognizer(fake_signing.with_decoder()).decoder
    hands = Hands()
    follower = HandFollower(decoder, hands, False, Stages())
    seen = list(follower.encode(film("JOHN", 640), RATE))
    assert hands.resets == [0, 4]  # at a cut: hands are not where they were
    clip = hand_tracks(seen)
    assert clip is not None
    row = clip.values["mediapipe"][fake_signing.PAUSE]
    assert np.isnan(row[: 132 + 63]).all()  # the body and the left hand
    joints = fakes.draw_hand("b") / 640
    np.testing.assert_allclose(row[132 + 63 :], joints.ravel(), atol=1e-5)
    assert clip.present["mediapipe"].tolist() == [False] * 4 + [True] * 6 + [False] * 4


# -- streams ---------------------------------------------------------------------------------------
def test_a_stream_ends_as_the_recording_is_read(video_bundle: Bundle) -> None:
    recognizer = ContinuousRecognizer(video_bundle, make_detector=Hands())
    alive: list[weakref.ref[np.ndarray]] = []
    held, given = [0], [0]

    def frames():
        for frame in film(LONG):
            held[0] = max(held[0], sum(ref() is not None for ref in alive))
            given[0] += 1
            alive.append(weakref.ref(frame.image))
            yield frame

    gc.collect()
    final, delays, partial = [], [], 0
    for event in recognizer.stream(every=1.0).read(frames()):
        if event.kind == "final":
            final += event.tokens
            delays += [given[0] / RATE - one.end for one in event.tokens]
        else:
            partial += 1
            assert all(one.text in fake_signing.COLOURS for one in event.tokens)
    assert " ".join(token.text for token in final) == LONG
    for place, gloss in enumerate(final):
        assert (gloss.start, gloss.end) == pytest.approx(span(place))
    assert partial > 5
    assert max(delays) < 6 + 16 / RATE  # a window, and a block of pictures
    assert held[0] <= 20  # a block, and what is at hand; not the 144 of the film


def test_a_partial_event_tells_what_follows_the_final_ones(video_bundle: Bundle) -> None:
    recognizer = ContinuousRecognizer(video_bundle, make_detector=Hands())
    events = list(recognizer.stream(every=1.1).read(film(SENTENCE + " JOHN BUY JOHN")))
    kinds = [event.kind for event in events]
    assert kinds[-1] == "final"
    assert kinds.count("final") == 2
    before = [event.text for event in events[: kinds.index("final")]]
    assert before[:2] == ["JOHN", "JOHN BUY"]
    assert all(later.startswith(text) for text, later in pairwise(before))


@pytest.mark.parametrize("pushed", [7, 1000])
def test_however_many_frames_are_pushed_the_final_events_are_the_same(
    video_bundle: Bundle, pushed: int
) -> None:
    recognizer = ContinuousRecognizer(video_bundle, make_detector=Hands())
    frames = list(film(LONG))
    one_by_one = list(recognizer.stream().read(frames))
    with recognizer.stream() as stream:
        events = []
        for start in range(0, len(frames), pushed):
            some = frames[start : start + pushed]
            times = [frame.timestamp for frame in some]
            events += stream.push(np.stack([frame.image for frame in some]), times)
        events += stream.finish()
    final = [[e for e in every if e.kind == "final"] for every in (one_by_one, events)]
    assert final[0] == final[1]


def test_a_stream_that_is_left_ends_its_thread_and_errors_reach_who_pushes(
    video_bundle: Bundle,
) -> None:
    recognizer = ContinuousRecognizer(video_bundle, make_detector=Hands())
    threads = threading.active_count()
    with recognizer.stream() as stream:
        for frame in islice(film(LONG), 20):
            stream.push(frame)
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    with pytest.raises(UsageError, match="the stream has ended"):
        stream.push(frame)
    dropped = recognizer.stream()
    dropped.push(frame)
    (thread,) = (one for one in threading.enumerate() if one.name == "chereme-glosses")
    del dropped
    thread.join(10)
    assert not thread.is_alive()
    assert recognizer.stream().finish() == []
    with pytest.raises(UsageError, match="expected a picture"):
        recognizer.stream().push(fake_signs.wandering(3))

    class Broken(Hands):
        def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
            raise OSError("no detector")

    stream = ContinuousRecognizer(video_bundle, make_detector=Broken()).stream()
    with pytest.raises(OSError, match="no detector"):
        list(stream.read(film(LONG)))
    assert threading.active_count() == threads


def test_what_a_stream_cannot_be(bundle: Bundle) -> None:
    recognizer = ContinuousRecognizer(bundle)
    with pytest.raises(UsageError, match="not video"):
        recognizer.stream()
    with pytest.raises(UsageError, match="every: expected more than 0"):
        recognizer.stream(every=0)


def test_frames_are_sampled_by_their_times() -> None:
    from chereme.recognition.sign_frames import sampled

    def times(at: list[float], rate: float) -> list[tuple[float, ...]]:
        frames = [Frame(np.zeros((1, 1, 3), np.uint8), time) for time in at]
        return [moments for _, moments in sampled(frames, rate)]

    assert times([], 10) == []
    assert times([2.0], 10) == [(2.0,)]
    assert times([0.0, 0.1, 0.2], 10) == [(0.0,), (0.1,), (0.2,)]
    # One in the middle is the earlier frame's.
    assert times([0.0, 0.1, 0.2], 20) == [(0.0, 0.05), (0.1, 0.15), (0.2,)]
    assert times([0.0, 0.05, 0.1, 0.15, 0.2], 10) == [(0.0,), (0.1,), (0.2,)]
    assert times([0.0, 0.05, 0.1, 0.15], 10) == [(0.0,), (0.1,)]
    steady = [n / 29.97 for n in range(600)]
    assert sum(map(len, times(steady, 30.0))) == pytest.approx(600, abs=1)


# -- bundles ---------------------------------------------------------------------------------------
def test_a_bundle_comes_back_as_it_was_written(bundle: Bundle, tmp_path: Path) -> None:
    again = load_continuous(bundle.directory)
    assert again.config == bundle.config
    with pytest.raises(UsageError, match="no model"):
        load_continuous(tmp_path / "none")
    fakes.make_bundle(tmp_path / "letters")
    with pytest.raises(BundleError, match=r"continuous signing, got .* fingerspelling"):
        load_continuous(tmp_path / "letters")
