"""Recognisers of letters become bundles that read as the networks do, whatever they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from fake_models import CROP, SIZE, letters, save_letters

import fakes
from chereme.datasets.exemplars import Exemplars
from chereme.decoding import beam_search
from chereme.decoding.ctc import ctc_log_likelihood
from chereme.errors import BundleError, UsageError
from chereme.hands.crop import crop, hand_box
from chereme.hands.detector import OnnxHandDetector
from chereme.hands.normalise import (
    FEATURES_PER_FRAME,
    HAND_FEATURES_PER_FRAME,
    landmark_features,
    nearest,
    sample_times,
)
from chereme.hands.signing import hand_tracks, signing_hand
from chereme.hands.tracking import follow_hands
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.networks import encode_frames, log_probs_of
from chereme.recognition.streams import Streams
from chereme.synthesis import to_landmarks
from chereme.synthesis.spelling import Speller
from chereme.synthesis.style import SpellingStyle
from chereme.systems.fingerspelling.checkpoints import Checkpoint
from chereme.systems.fingerspelling.encoders import VectorEncoderConfig
from chereme.systems.fingerspelling.export import spec_of_model
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.text import ASL_LETTERS, CHICAGO
from chereme.training.export import export
from chereme.video import open_video, write_video

pytestmark = pytest.mark.usefixtures("one_thread")
STREAMS = ["landmarks", "hand", "rgb"]
WIDTHS = {"landmarks": FEATURES_PER_FRAME, "hand": HAND_FEATURES_PER_FRAME}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    paths = {stream: save_letters(folder / f"{stream}.ckpt", letters(stream)) for stream in STREAMS}
    return {stream: export(path, folder / stream) for stream, path in paths.items()}


def torch_log_probs(
    model: FingerspellingRecognizer, frames: np.ndarray, present=None
) -> np.ndarray:
    """By the network alone, of frames as the encoder of a bundle takes them."""
    given = torch.from_numpy(frames).float()[None]
    given = given / 255 if frames.dtype == np.uint8 else given
    mask = None if present is None else torch.from_numpy(present)[None]
    with torch.no_grad():
        return model(given, torch.tensor([len(frames)]), mask)[0][0].log_softmax(-1).numpy()


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("kernels", "stride"), [("unpooled", 1), ("default", 2), ("vac", 4)])
def test_onnx_equals_torch_at_every_length(stream: str, kernels: str, stride: int) -> None:
    model = letters(stream, sequence=SequenceConfig(kernels=kernels, conv_dim=14, gru_hidden=10))
    made = spec_of_model(Checkpoint(model, 25.0, ASL_LETTERS, CROP if stream == "rgb" else None))
    config = made.config("model")
    run = made.runner(config, made.onnx(config))
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 17, 40) if stream == "rgb" else (1, 2, 3, 17, 48, 49, 200):
        if stream == "rgb":
            frames = rng.integers(0, 256, (length, 3, SIZE, SIZE), dtype=np.uint8)
        else:
            frames = rng.normal(size=(length, WIDTHS[stream])).astype(np.float32)
            frames[:, FEATURES_PER_FRAME - 1] = 1.0
            frames[length // 2 :: 7] = 0.0  # no hand
            frames[length // 3 :: 5, FEATURES_PER_FRAME:] = 0.0  # no vector
        (log_probs,) = run(frames).numbers
        assert log_probs.shape == (1, -(-length // stride), 27)
        np.testing.assert_allclose(log_probs[0], torch_log_probs(model, frames), atol=2e-3)


def test_trainings_that_read_together(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    models = [letters("hand"), letters("hand")]
    with torch.no_grad():
        for weights in models[1].parameters():
            weights.mul_(0.9)
    paths = [save_letters(tmp_path / f"{n}.ckpt", model) for n, model in enumerate(models)]
    bundle = export(paths[0], tmp_path / "together", others=[paths[1]], half=True)
    assert bundle.config.members == 2
    frames = np.random.default_rng(0).normal(size=(21, HAND_FEATURES_PER_FRAME))
    frames = frames.astype(np.float32)
    members = log_probs_of(bundle, encode_frames(bundle, frames))
    assert members.shape == (2, 11, 27)
    for member, model in zip(members, models, strict=True):
        np.testing.assert_allclose(member, torch_log_probs(model, frames), atol=0.02)
    assert np.abs(members[0] - members[1]).max() > 0.05
    other = save_letters(
        tmp_path / "other.ckpt",
        letters("hand", sequence=SequenceConfig(kernels="vac", conv_dim=14, gru_hidden=10)),
    )
    with pytest.raises(BundleError, match="another temporal_stride: 4 and not 2"):
        export(paths[0], tmp_path / "wrong", others=[other])


def test_encoder_may_be_called_on_pieces(bundles: dict[str, Bundle]) -> None:
    encoder = bundles["landmarks"].encoder
    frames = np.random.default_rng(0).normal(size=(30, FEATURES_PER_FRAME)).astype(np.float32)
    whole = encoder.run(None, {"frames": frames})[0]
    pieces = [encoder.run(None, {"frames": part})[0] for part in np.split(frames, [1, 14])]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


@pytest.mark.parametrize("stream", STREAMS)
def test_what_the_bundle_says(bundles: dict[str, Bundle], stream: str) -> None:
    bundle = bundles[stream]
    config, given = bundle.config, bundle.config.preprocessing
    assert (config.name, config.task, config.input) == (stream, "fingerspelling", stream)
    assert (config.alphabet, config.temporal_stride) == (ASL_LETTERS.symbols, 2)
    assert given.rate == 25.0
    if stream == "rgb":
        assert (given.crop.size, given.crop.padding, given.crop.smoothing) == (SIZE, 0.1, 0.05)
        assert config.segmentation.bridge == 0.0
    else:
        assert given.features == WIDTHS[stream]
    assert set(config.files) == {"encoder.onnx", "sequence.onnx", "MODEL_CARD.md"}
    names = {w.name for w in onnx.load(bundle.directory / "sequence.onnx").graph.initializer}
    assert not any("distillation" in name or "visual" in name for name in names)


def test_half_precision_and_int8_of_hands(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    path = save_letters(tmp_path / "hand.ckpt", letters("hand"))
    half = export(path, tmp_path / "half", half=True)
    sizes = [(b.directory / "encoder.onnx").stat().st_size for b in (half, bundles["hand"])]
    assert sizes[0] < 0.7 * sizes[1]
    assert half.config.metrics[-1]["symbols_changed"] == 0
    with pytest.raises(UsageError, match=r"int8: .*hand\.ckpt has no network for it"):
        export(path, tmp_path / "int8", int8=True)


def test_the_example_reads_as_the_network_does(bundles: dict[str, Bundle]) -> None:
    """With the package's own hand detector: a recogniser of vectors, alone and beside one of
    landmarks."""
    clip = Path(__file__).parents[3] / "examples" / "hello.mp4"
    transcript = Recognizer(Streams((bundles["hand"],), "rgb")).recognize(clip)
    with open_video(clip) as reader, OnnxHandDetector(vectors=True) as detector:
        hands = follow_hands(reader, detector, vectors=True).finish()
    track = signing_hand(hands)
    assert track is not None
    assert track.vectors is not None
    assert track.present.all()
    features, _ = landmark_features(track, 25.0)
    shown = nearest(track.timestamps, sample_times(track.timestamps, 25.0))
    frames = np.concatenate([features, track.vectors[shown].astype(np.float32)], axis=1)
    log_probs = torch_log_probs(letters("hand"), frames)
    expected = ASL_LETTERS.decode(beam_search(log_probs, width=5)[0].symbols)
    assert len(expected) > 2  # a random network, but not a silent one
    assert (transcript.text, transcript.info["stream"]) == (expected, "rgb")
    both = Streams((bundles["landmarks"], bundles["hand"]), "fused", 1.0)
    fused = Recognizer(both).recognize(clip)
    assert fused.info["stream"] == "fused"
    assert not any("detector" in warning for warning in fused.warnings)
    likelihoods = [  # of what is read together, with a weight of 0 for landmarks, and alone
        ctc_log_likelihood(log_probs, ASL_LETTERS.encode(text)) for text in (fused.text, expected)
    ]
    assert likelihoods[0] >= likelihoods[1] - 0.01


def test_a_list_of_words_goes_along(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("anna\nbo\n")
    path = save_letters(tmp_path / "best.ckpt", letters())
    bundle = export(path, tmp_path / "bundle", lexicon=words)
    assert (tmp_path / "bundle" / "lexicon.txt").read_text() == words.read_text()
    assert len(bundle.lexicon) == 2
    words.write_text("anna\nx-ray\n")
    with pytest.raises(BundleError, match=r"lexicon\.txt: expected words of the alphabet .*'-'"):
        export(path, tmp_path / "other", lexicon=words)


def test_another_alphabet(tmp_path: Path) -> None:
    model = letters("rgb", sequence=SequenceConfig(num_symbols=32, conv_dim=14, gru_hidden=10))
    path = save_letters(tmp_path / "best.ckpt", model, alphabet=list(CHICAGO.symbols))
    assert export(path, tmp_path / "bundle").config.alphabet == CHICAGO.symbols
    with pytest.raises(BundleError, match=r"gives 32 symbols, but the alphabet and .* are 27"):
        export(save_letters(tmp_path / "best.ckpt", model), tmp_path / "other")


def test_a_recording_reads_as_the_network_does(
    bundles: dict[str, Bundle], exemplars: Exemplars
) -> None:
    clip = Speller(exemplars).spell("fog", np.random.default_rng(1), SpellingStyle(dropout=0.0))
    recording = to_landmarks(clip)
    transcript = Recognizer(bundles["landmarks"]).recognize(recording)
    track = signing_hand(recording)
    assert track is not None
    log_probs = torch_log_probs(letters(), landmark_features(track, 25.0)[0])
    expected = ASL_LETTERS.decode(beam_search(log_probs, width=5)[0].symbols)
    assert expected  # a random network, but not a silent one
    assert transcript.text == expected


def test_a_video_reads_as_the_network_does(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    """Everything by hand: boxes, crops, absent frames, PyTorch, beam search."""
    clip = tmp_path / "clip.mp4"
    landmarks = fakes.spell("vaild", fps=25.0, left=True)
    write_video(clip, fakes.film(landmarks, "vaild", left=True), 25.0)
    landmarks.confidence[10:13] = 0
    landmarks.landmarks[10:13] = np.nan
    detector = fakes.FakeDetector(landmarks)
    recognizer = Recognizer(bundles["rgb"], make_detector=lambda still: detector)
    transcript = recognizer.recognize(clip)
    (track,) = hand_tracks(landmarks)
    boxes = hand_box(track, padding=CROP["padding"], smoothing=CROP["smoothing"])
    with open_video(clip) as reader:
        crops = [
            crop(frame.image, box, SIZE, mirrored=True).transpose(2, 0, 1)
            for frame, box in zip(reader, boxes, strict=True)
        ]
    log_probs = torch_log_probs(letters("rgb"), np.stack(crops), track.present)
    expected = ASL_LETTERS.decode(beam_search(log_probs, width=5)[0].symbols)
    assert len(expected) > 2  # a random network, but not a silent one
    assert transcript.text == expected


def test_other_streams_and_crops_that_cannot_be_served(tmp_path: Path) -> None:
    config = FingerspellingConfig(stream="pose", pose=VectorEncoderConfig(dim=7))
    vectors = save_letters(tmp_path / "pose.ckpt", FingerspellingRecognizer(config))
    with pytest.raises(BundleError, match=r"pose\.ckpt: expected .* hand or rgb, .* got 'pose'"):
        export(vectors, tmp_path / "pose")
    for wrong in ({"padding": 99.0}, {"smoothing": float("nan")}):
        path = save_letters(tmp_path / "odd.ckpt", letters("rgb"), crop=CROP | wrong)
        with pytest.raises(BundleError, match=r"preprocessing\.crop\."):
            export(path, tmp_path / "bundle")
