"""The recogniser of isolated signs: a clip of one sign in, ranked glosses out.

source -> hands -> left and right hand of the signer -> the frames that the model reads
       -> joints as they were detected, or those that encoder.onnx makes of crops of the hands
       -> classifier.onnx -> probabilities of the glosses
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chereme._version import __version__
from chereme.errors import UsageError
from chereme.hands.both import both_hands, choose_frames, sign_span
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Abstention, ClipPreprocessing, IsolatedConfig
from chereme.recognition.crops import pictures_of
from chereme.recognition.hand_landmarks import HandLandmarks, Progress
from chereme.recognition.recognizer import BaseRecognizer, check_hand, with_timings
from chereme.recognition.registry import resolve
from chereme.recognition.report import LOW_COVERAGE, Hand, detected_hands, why_no_hand
from chereme.recognition.section_stream import check_no_crops
from chereme.recognition.sign_crops import HandJoints, encode_crops, read_joints
from chereme.recognition.sign_stream import EVERY, SignStream
from chereme.recognition.sources import Source, check_readable_twice, find_source
from chereme.recognition.stages import Stages
from chereme.recognition.streams import Stream, describe
from chereme.types import (
    Alternative,
    FloatArray,
    IsolatedResult,
    Landmarks,
    Token,
    Transcript,
    frames_of,
)

OTHER_RATE = 1.5  # times as many frames a second as in training, or as few: worth a warning
MUCH_LONGER = 2.0  # times as long as the window that is read: worth a warning


class IsolatedRecognizer(BaseRecognizer):
    """Reads isolated signs.

    Args:
        model: a bundle, or several that know the same glosses, in any order: their probabilities
            are added up (late fusion: Hu et al. 2021, *Hand-model-aware sign language recognition*,
            "Inference") and divided by their number.
        hand: the hand that signs, for hands whose side the detector cannot tell.
        min_probability: the answer is empty where no gloss has so much; None: as the model's
            training has settled it (of several models the mean), 0: always the likeliest.
        source: options of every recogniser, see :class:`BaseRecognizer`.

    Raises ``UsageError`` for models of other glosses, or a ``min_probability`` that is none.
    """

    task: ClassVar[str] = "isolated"
    result: ClassVar[type[Transcript]] = IsolatedResult
    adds_up: ClassVar[bool] = True

    def __init__(
        self,
        model: Bundle[IsolatedConfig] | Sequence[Bundle[IsolatedConfig]],
        *,
        hand: Hand = "auto",
        min_probability: float | None = None,
        **source: Any,
    ) -> None:
        super().__init__(**source)
        self.bundles = (model,) if isinstance(model, Bundle) else tuple(model)
        if not self.bundles:
            raise UsageError("models: expected at least one of isolated signs, got none")
        self.glosses = self.bundles[0].config.classes
        # Where the glosses of each bundle are among the first one's.
        self._columns = [_columns(self.bundles[0], bundle) for bundle in self.bundles]
        self.hand = check_hand(hand)
        if min_probability is None:
            settled = [bundle.config.abstention.min_probability for bundle in self.bundles]
            min_probability = float(np.mean(settled))
        if not 0 <= min_probability <= 1:
            raise UsageError(f"min_probability: expected 0 to 1, got {min_probability:g}")
        self.min_probability = min_probability

    @classmethod
    def load(
        cls,
        model: str | Path | Sequence[str | Path],
        *,
        stream: Stream = "auto",
        threads: int | None = None,
        **options: Any,
    ) -> IsolatedRecognizer:
        """A recogniser with the names or folders of models, see :func:`load_isolated`; ``threads``
        of the networks (None: all cores), ``options`` those of the class."""
        models = [model] if isinstance(model, str | Path) else model
        bundles = [load_isolated(one, stream, threads=threads) for one in models]
        return cls(bundles, **options)

    @property
    def name(self) -> str:
        """The model's name; those of several joined by a plus."""
        return "+".join(bundle.config.name for bundle in self.bundles)

    @property
    def sha256(self) -> str:
        """One number that names the model: of several, the SHA-256 of their hashes in a row."""
        hashes = [bundle.sha256 for bundle in self.bundles]
        joined = hashlib.sha256("".join(hashes).encode()).hexdigest()
        return hashes[0] if len(hashes) == 1 else joined

    @property
    def info(self) -> dict[str, Any]:
        """What a result tells of the models."""
        inputs = dict.fromkeys(bundle.config.input for bundle in self.bundles)
        return {
            "stream": "+".join(inputs),
            "model": {"name": self.name, "sha256": self.sha256},
            "models": describe(self.bundles),
            "min_probability": self.min_probability,
            "chereme": __version__,
        }

    def parts(self, rng: np.random.Generator) -> dict[str, tuple[Callable[[], Any], int]]:
        """The networks of the first model, on as many frames as it reads of a clip."""
        bundle = self.bundles[0]
        preprocessing = bundle.config.preprocessing
        frames, crop = preprocessing.frames, preprocessing.crop
        joints = rng.uniform(0, 400, (frames, 2, 21, 2))
        present = np.ones((frames, preprocessing.hands), bool)

        def read() -> None:
            if crop is None:
                classify(bundle, joints, np.ones(joints.shape[:3]))
                return
            crops = rng.integers(0, 256, (present.size, 3, crop.size, crop.size), np.uint8)
            made = encode_crops(bundle, crops).reshape(*present.shape, 21, 3)
            classify_joints(bundle, HandJoints(made, present))

        return {"clip": (read, frames)}

    def recognize(
        self,
        source: Any,
        *,
        start: float | None = None,
        end: float | None = None,
        rate: float | None = None,
        hand: Hand | None = None,
        progress: Progress | None = None,
    ) -> IsolatedResult:
        """Rank the glosses for a video, image, folder of numbered frames or landmark file, what is
        in memory of these, frames, or landmarks: see
        :func:`chereme.recognition.sources.find_source`.

        ``start`` and ``end`` (seconds) limit the reading to the frames from ``start`` up to
        ``end``, which is not included; ``rate`` and ``hand`` take the place of the recogniser's own
        for this input. There are no glosses, and a warning says why, where no hand was seen; they
        are no answer, and a warning says why, where none is probable enough. Raises ``InputError``
        for what cannot be read at all.

        A model that reads crops of the hands needs the pictures, and reads the source a second
        time; landmarks, and frames that can be read but once, are a ``UsageError`` for it.
        """
        source = find_source(source)
        chosen = check_hand(hand or self.hand)
        for bundle in self.bundles:
            if bundle.config.input == "rgb":
                pictures_of(source, bundle.config)
                check_readable_twice(source, f"{bundle.config.name} reads them a second time")
        stages = Stages()
        with stages("total"):
            detected = self.detect(source, start, end, progress, stages, rate=rate)
            result = self._read(source, detected, chosen, stages)
        return with_timings(result, stages)

    @classmethod
    def is_live(cls, config: IsolatedConfig) -> bool:
        return config.input == "landmarks"

    def stream(self, *, hand: Hand | None = None, every: float = EVERY) -> SignStream:
        """Read frames, or landmarks, as they come, one sign after the other: see
        :class:`SignStream`.

        ``hand`` takes the place of the recogniser's own; ``every``: seconds between partial texts.
        ``UsageError`` for a model that reads crops of the hands.
        """
        check_no_crops(self.bundles)
        chosen = check_hand(hand or self.hand)

        def read(landmarks: Landmarks) -> IsolatedResult:
            detected = HandLandmarks(landmarks, {"fps": None})
            return self._read(landmarks, detected, chosen, Stages())

        return SignStream(
            read,
            self.make_detector,
            mirrored=self.mirrored,
            rotate=self.rotate or 0,
            every=every,
        )

    def _read(
        self,
        source: Source,
        detected: HandLandmarks,
        hand: Hand,
        stages: Stages,
    ) -> IsolatedResult:
        landmarks = detected.landmarks
        joints, confidence = both_hands(landmarks, hand)
        span = sign_span(confidence)
        info: dict[str, Any] = {
            **detected.info,
            "hands": detected_hands(landmarks),
            "hand_coverage": 0.0,
            "frames_read": 0,
            "sign_start": None,
            "sign_end": None,
            **self.info,
        }
        warnings = list(detected.warnings)
        if span is None:
            warnings.append(why_no_hand(landmarks, "auto"))
            return IsolatedResult(info=info, warnings=tuple(warnings))
        joints, confidence = joints[span], confidence[span]
        log_probs: list[NDArray[np.float64] | None] = []
        for bundle in self.bundles:
            if bundle.config.input == "landmarks":
                with stages("network"):
                    log_probs.append(classify(bundle, joints, confidence))
                continue
            pictures = pictures_of(source, bundle.config)
            reading = {"mirrored": self.mirrored, **detected.reading}
            clip = frames_of(landmarks, span)
            hands = read_joints(bundle, pictures, clip, hand, stages, reading)
            with stages("network"):
                log_probs.append(classify_joints(bundle, hands) if hands.present.any() else None)
        found = self._mean(log_probs)
        if found is None:
            # Of the hand asked for there is none, or none in the frames that are read.
            other = "none of the frames that the model reads shows a hand"
            warnings.append(other if hand == "auto" else why_no_hand(landmarks, hand))
            return IsolatedResult(info=info, warnings=tuple(warnings))
        seen = np.any(confidence > 0, axis=(1, 2))
        coverage = float(seen.sum() / len(landmarks.timestamps))
        read = [min(len(seen), bundle.config.preprocessing.frames) for bundle in self.bundles]
        info |= {"hand_coverage": round(coverage, 4), "frames_read": max(read)}
        if coverage < LOW_COVERAGE:
            warnings.append(f"a hand was seen in only {coverage:.0%} of the frames")
        warnings += _warnings(
            len(seen), detected.info["fps"], [b.config.preprocessing for b in self.bundles]
        )
        # Equal probabilities in the order of the glosses, whatever the sort.
        order = np.argsort(-found, kind="stable")
        glosses = tuple(Alternative(self.glosses[i], float(found[i])) for i in order)
        start, end = landmarks.timestamps[[span.start, span.stop - 1]].tolist()
        info |= {"sign_start": start, "sign_end": end}
        likeliest = Token(self.glosses[order[0]], start, end, float(found[order[0]]))
        answered = likeliest.probability >= self.min_probability
        if not answered:
            warnings.append(self._doubt(likeliest))
        return IsolatedResult(
            text=likeliest.text if answered else "",
            tokens=(likeliest,) if answered else (),
            info=info,
            warnings=tuple(warnings),
            alternatives=glosses,
        )

    def _doubt(self, likeliest: Token) -> str:
        """Why ``likeliest`` is no answer."""
        return (
            "no sign that the model knows, or none clearly: the likeliest, "
            f"{likeliest.text!r}, has a probability of {likeliest.probability:.2f}, below "
            f"{self.min_probability:.2f} (--min-probability)"
        )

    def _mean(self, log_probs: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
        """The mean probabilities ``(K,)`` of the bundles; None where none saw a hand."""
        predicted = [
            probabilities(bundle.config.abstention, one)[columns]
            for bundle, one, columns in zip(self.bundles, log_probs, self._columns, strict=True)
            if one is not None
        ]
        if not predicted:
            return None
        mean: NDArray[np.float64] = np.mean(predicted, axis=0)
        return mean


def probabilities(abstention: Abstention, log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of log-probabilities ``(..., K)`` as a network gives them, or ``(..., K + 1)`` where the last
    is that of other signs, the calibrated probabilities of all of them."""
    scaled = log_probs / abstention.temperature
    likelihoods = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    normalised: NDArray[np.float64] = likelihoods / likelihoods.sum(axis=-1, keepdims=True)
    return normalised


def classify(
    bundle: Bundle[IsolatedConfig], joints: FloatArray, confidence: FloatArray
) -> NDArray[np.float64]:
    """Log-probabilities ``(K,)`` (or one more, of other signs, see ``Abstention``) by a model of
    landmarks, of a clip with joints ``(T, 2, 21, 2)`` in pixels, anything where not seen, and
    confidences ``(T, 2, 21)``."""
    preprocessing = bundle.config.preprocessing
    chosen = choose_frames(len(joints), preprocessing.frames, preprocessing.sampling, None)
    joints, confidence = joints[chosen], confidence[chosen]
    joints = np.where(confidence[..., None] > 0, joints, 0.0)
    inputs = {
        "joints": joints.astype(np.float32)[None],
        "confidence": confidence.astype(np.float32)[None],
        "mask": np.ones((1, len(chosen)), bool),
    }
    log_probs: NDArray[np.float32] = bundle.classifier.run(["log_probs"], inputs)[0][0]
    return log_probs.astype(np.float64)


def classify_joints(bundle: Bundle[IsolatedConfig], hands: HandJoints) -> NDArray[np.float64]:
    """Log-probabilities ``(K,)`` by a model of pictures, of the joints of the frames that it
    reads."""
    inputs = {"joints": hands.joints[None], "present": hands.present[None]}
    log_probs: NDArray[np.float32] = bundle.classifier.run(["log_probs"], inputs)[0][0]
    return log_probs.astype(np.float64)


def load_isolated(
    model: str | Path, stream: Stream = "auto", *, threads: int | None = None
) -> Bundle[IsolatedConfig]:
    """The bundle of isolated signs in a folder, or of a bundled model's name.

    Raises ``UsageError`` if there is no such model or it does not read the stream, ``BundleError``
    if it is damaged or for another task.
    """
    bundle = Bundle.load(resolve(model), "isolated", threads=threads)
    if stream not in ("auto", bundle.config.input):
        raise UsageError(
            f"the model {bundle.config.name!r} reads {bundle.config.input}, not {stream}; leave "
            "out the stream, or give another model"
        )
    return bundle


def _warnings(frames: int, fps: float | None, read: Sequence[ClipPreprocessing]) -> list[str]:
    """Why the glosses may be wrong; ``frames``: from the first sight of a hand to the last."""
    warnings = []
    if frames == 1:
        warnings.append("only one frame shows a hand: how the sign moves is not seen")
    windows = [p.frames for p in read if p.sampling == "window"]
    if windows and frames > MUCH_LONGER * max(windows):
        warnings.append(
            f"of {frames} frames with hands only the {max(windows)} in the middle were read: give "
            "the part that shows the sign alone (start and end)"
        )
    rate = read[0].rate
    if fps is not None and not 1 / OTHER_RATE <= fps / rate <= OTHER_RATE:
        warnings.append(
            f"{fps:.1f} frames a second, but the model was trained on {rate:.1f}: signs look "
            f"{'slower' if fps > rate else 'faster'} to it than they are"
        )
    return warnings


def _columns(first: Bundle[IsolatedConfig], other: Bundle[IsolatedConfig]) -> NDArray[np.intp]:
    """For each gloss of ``first`` its index among those of ``other``."""
    wanted, found = first.config.classes, other.config.classes
    if set(wanted) != set(found):
        lacking, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        named = [f"{some[0]!r} is in one alone" for some in (lacking, more) if some]
        raise UsageError(
            f"{first.config.name} and {other.config.name} cannot be added up: expected the same "
            f"glosses, but {len(lacking) + len(more)} are in one of them alone "
            f"({'; '.join(named)}); train them on the same signs"
        )
    index = {gloss: number for number, gloss in enumerate(found)}
    return np.array([index[gloss] for gloss in wanted])
