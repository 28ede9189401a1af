"""What the ``config.json`` of a model bundle says (``chereme.formats.strict`` reads it)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from chereme._imports import find
from chereme.decoding.generation import PAPER_GENERATION, GenerationConfig, check_generation
from chereme.decoding.joint import GlossWeights
from chereme.errors import BundleError, UsageError
from chereme.formats.strict import Between, expect, read_as, repeated, within
from chereme.formats.tracks import TrackSpec, register_track
from chereme.hands.both import Sampling
from chereme.hands.normalise import FEATURES_PER_FRAME, HAND_FEATURES_PER_FRAME
from chereme.recognition.tasks import TASKS
from chereme.text.glosses import GlossVocabulary, Units

# 1: landmarks; 2: crops too; 3: isolated signs; 4: continuous signing; 5: abstention;
# 6: letters at a temperature, of lists of words, and of the hand network's vectors;
# 7: n-grams of glosses, and several recognisers of letters that read together.
SCHEMA_VERSION = 7
MAX_FRAMES = 4096  # of a clip; attention takes memory with its square
MAX_WIDTH = 100_000  # numbers of a track
MAX_BEAM = 1000
MAX_WEIGHT = 1000.0  # of a score in a search

ENCODER = "encoder.onnx"
TRACKS = "tracks.onnx"
SEQUENCE = "sequence.onnx"
DECODER = "decoder.onnx"
CLASSIFIER = "classifier.onnx"
LANGUAGE_MODEL = "lm.onnx"
NGRAMS = "lm.arpa"
LEXICON = "lexicon.txt"


Rate = Annotated[float, Between(0.001, 240)]
Fraction = Annotated[float, Between(0, 1)]
Share = Annotated[float, Between(0.001, 0.999)]
Side = Annotated[int, Between(8, 1024)]
Weight = Annotated[float, Between(-MAX_WEIGHT, MAX_WEIGHT)]
Beam = Annotated[int, Between(1, MAX_BEAM)]
Gap = Annotated[float, Between(0, 3600)]
Temperature = Annotated[float, Between(0.01, 100)]

Input = Literal["landmarks", "rgb", "hand"]
"""What a model of letters is given: landmarks, crops of the hand, or landmarks with the hand
network's vectors (``chereme.hands.normalise.hand_features``)."""
SingleStream = Literal["landmarks", "rgb"]
STREAM_OF: Mapping[str, SingleStream] = {"landmarks": "landmarks", "rgb": "rgb", "hand": "rgb"}
"""The stream that a model of each input reads: "rgb" is what the pictures show."""

Port = tuple[str, tuple[int | str | None, ...]]
"""The type of a network's input or output, and its sizes: a number, the name of an axis that is
free, or None for a width that training settled."""


class Ports(NamedTuple):
    """What a network takes and gives, by name, in order."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


# -- what configs of several tasks have -----------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Crop:
    """The crops of an RGB model: ``size`` pixels wide and high, RGB, uint8, of a right hand.

    ``padding`` and ``smoothing`` (seconds) are those of ``chereme.hands.crop.hand_box``. What is
    taken out of the colours (mean, spread) is part of the network.
    """

    size: Side
    padding: Annotated[float, Between(-0.499, 4)]
    smoothing: Annotated[float, Between(0, 10)]


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of the code, of the weights, and of the data that they were trained on."""

    code: str
    weights: str
    data: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the configs of all tasks say.

    ``training_data`` and ``metrics`` are lists of objects for the reader of the model card; each of
    the metrics names its ``test_set``. ``files`` gives the SHA-256 of every file beside it.
    """

    name: str
    task: str
    input: str
    licence: Licence
    training_data: tuple[Mapping[str, Any], ...]
    metrics: tuple[Mapping[str, Any], ...]
    files: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    optional: ClassVar[tuple[str, ...]] = ()
    """Files that the bundle may have, beside its networks and the model card."""

    def check(self) -> None:
        """BundleError where one key does not fit another."""

    def register(self) -> None:
        """Make known to this process what the networks need; UsageError where that is taken."""

    def networks(self) -> dict[str, Ports]:
        """The networks that the bundle must have, by file."""
        raise NotImplementedError

    def about(self) -> list[str]:
        """What the model does, as paragraphs of its card."""
        return [f"Task: {self.task}, from {self.input}."]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that :func:`parse_config` reads back."""
        return dataclasses.asdict(
            self, dict_factory=lambda pairs: {k: v for k, v in pairs if v is not None}
        )


# -- fingerspelling -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Preprocessing:
    """``rate``: frames a second that the network wants, and what it is given of each frame.

    That is ``features`` numbers made of a hand's track, or a ``crop``.
    """

    rate: Rate
    features: Annotated[int, Between(1, MAX_WIDTH)] | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """Defaults of the beam search, tuned on validation; see ``chereme.decoding.beam_search``.

    What the network says is divided by ``temperature`` (``chereme.decoding.at_temperature``)
    before all else: search, times and probabilities. ``word_share``: the probability that a text
    is of the model's list of words, if it has one (``chereme.decoding.lexicon``).

    Letters whose probability lies below ``min_probability`` are left out of the text, and all of a
    stretch whose mean probability lies below ``min_mean_probability``: that is no spelling (see
    :mod:`chereme.recognition.plausibility`). How sure a network is of letters is its own, so that
    these are settings of the model.
    """

    temperature: Temperature = 1.0
    beam_width: Beam = 5
    alpha: Weight = 0.0
    beta: Weight = 0.0
    word_share: Share = 0.5
    min_probability: Fraction = 0.0
    min_mean_probability: Fraction = 0.0


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Where a recording is cut, in seconds.

    Gaps in the hand up to ``bridge`` are filled, gaps over ``max_gap`` end a word; what is then
    shorter than ``min_duration`` is dropped.
    """

    bridge: Gap = 0.2
    max_gap: Gap = 0.5
    min_duration: Gap = 0.2


@dataclass(frozen=True, slots=True)
class Still:
    """A single picture is shown to the network for ``duration`` seconds as one of ``letters``.

    The best letter must beat the empty text by ``margin`` (natural log), else nothing is read.
    """

    letters: tuple[str, ...] = ()
    duration: Annotated[float, Between(0, 60)] = 0.6
    margin: Annotated[float, Between(-1e12, 1e12)] = 0.0


@dataclass(frozen=True, kw_only=True)
class LetterConfig(Config):
    """A model that reads letters. ``alphabet`` leaves out the blank, which is index 0.

    ``members``: the recognisers in its networks, each trained by itself, which read together.
    """

    task: Literal["fingerspelling"]
    alphabet: tuple[str, ...]
    input: Input
    preprocessing: Preprocessing
    temporal_stride: Annotated[int, Between(1, 1024)] = 1
    members: Annotated[int, Between(1, 16)] = 1
    decoding: Decoding = field(default_factory=Decoding)
    segmentation: Segmentation = field(default_factory=Segmentation)
    still: Still = field(default_factory=Still)

    optional = (LANGUAGE_MODEL, LEXICON)

    @property
    def stream(self) -> SingleStream:
        """What of a recording it reads."""
        return STREAM_OF[self.input]

    def check(self) -> None:
        """The alphabet has symbols, each once; what is read is described, and nothing else."""
        expect(self.alphabet != (), "alphabet", "at least one symbol", self.alphabet)
        _once("alphabet", "symbol", self.alphabet)
        unknown = [letter for letter in self.still.letters if letter not in self.alphabet]
        expect(not unknown, "still.letters", "letters of the alphabet", unknown)
        rgb = self.input == "rgb"
        features = self.preprocessing.features
        _belongs("features", features, not rgb, self.input)
        width = {"landmarks": FEATURES_PER_FRAME, "hand": HAND_FEATURES_PER_FRAME}.get(self.input)
        expect(features == width, "preprocessing.features", f"{width}, of {self.input}", features)
        _belongs("crop", self.preprocessing.crop, rgb, self.input)

    def networks(self) -> dict[str, Ports]:
        """T frames give T' = ceil(T / ``temporal_stride``) outputs of V symbols of each member.

        ``encoder.onnx`` works frame by frame, so that it may be called on pieces of a clip; crops
        are RGB.
        """
        crop, features = self.preprocessing.crop, self.preprocessing.features
        frames = _pictures("time", crop.size) if crop else ("float", ("time", features))
        return {
            ENCODER: Ports({"frames": frames}, {"features": ("float", ("time", None))}),
            SEQUENCE: Ports(
                {"features": ("float", (1, "time", None))},
                {"log_probs": ("float", (self.members, "time", 1 + len(self.alphabet)))},
            ),
        }


# -- isolated signs -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ClipPreprocessing:
    """What a model of isolated signs is given of a clip.

    ``frames`` of it, chosen by ``sampling`` as ``chereme.hands.both.choose_frames`` does, or all of
    fewer; for a model that reads landmarks of those from the first in which a hand was seen to the
    last. ``rate``: frames a second of the clips that it was trained on; others are read as they
    come.

    Of a model that reads pictures, ``crop``: of each hand; ``hands``: 2, the left and the right
    one, or 1, the one that signs, whichever it is; ``bridge``: the longest gap in a hand, in
    seconds, that is filled.
    """

    rate: Rate
    frames: Annotated[int, Between(1, MAX_FRAMES)]
    sampling: Sampling
    crop: Crop | None = None
    hands: Annotated[int, Between(1, 2)] = 2
    bridge: Annotated[float, Between(0, 10)] = 0.0


@dataclass(frozen=True, slots=True)
class Abstention:
    """When a model of isolated signs gives no answer.

    ``temperature``: its log-probabilities are divided by it, and normalised again (Guo et al. 2017,
    *On calibration of modern neural networks*, Eq. 9). ``other``: the network gives one more of
    them, the last: that the clip shows none of the glosses. There is no answer where the likeliest
    gloss has a probability below ``min_probability``. The defaults are those of a model that always
    answers.
    """

    temperature: Temperature = 1.0
    other: bool = False
    min_probability: Fraction = 0.0


@dataclass(frozen=True, kw_only=True)
class IsolatedConfig(Config):
    """A model of isolated signs. ``classes``: its glosses, as its log-probabilities are ordered."""

    task: Literal["isolated"]
    classes: tuple[str, ...]
    input: Literal["landmarks", "rgb"]
    preprocessing: ClipPreprocessing
    abstention: Abstention = field(default_factory=Abstention)

    def check(self) -> None:
        """There are glosses to tell apart; pictures alone are read of one hand, and as crops."""
        expect(len(self.classes) >= 2, "classes", "at least 2 glosses", self.classes)
        expect("" not in self.classes, "classes", "no empty gloss", self.classes)
        _once("classes", "gloss", self.classes)
        rgb, hands = self.input == "rgb", self.preprocessing.hands
        _belongs("crop", self.preprocessing.crop, rgb, self.input)
        expect(rgb or hands == 2, "preprocessing.hands", "2", hands)

    def networks(self) -> dict[str, Ports]:
        """Joints are ``(B, T, hands, 21, ...)`` of the left and the right hand.

        Of landmarks: pixels, x right, y down; ``confidence`` is 0 where a joint was not seen,
        ``mask`` False for padding. Of pictures, ``encoder.onnx`` makes joints of each crop, RGB, of
        a right hand, left ones mirrored; ``present`` is False where there is no hand or no frame.
        With ``abstention.other``, the last log-probability is that of no sign among the glosses.
        """
        hands, crop = self.preprocessing.hands, self.preprocessing.crop
        inputs: dict[str, Port] = {
            "joints": ("float", ("clips", "frames", hands, 21, 3 if crop else 2)),
            "present": ("bool", ("clips", "frames", hands)),
            "confidence": ("float", ("clips", "frames", hands, 21)),
            "mask": ("bool", ("clips", "frames")),
        }
        taken = ("joints", "present") if crop else ("joints", "confidence", "mask")
        gives = len(self.classes) + self.abstention.other
        classifier = Ports(
            {name: inputs[name] for name in taken}, {"log_probs": ("float", ("clips", gives))}
        )
        if crop is None:
            return {CLASSIFIER: classifier}
        frames, joints = _pictures("frames", crop.size), ("float", ("frames", 21, 3))
        return {ENCODER: Ports({"frames": frames}, {"joints": joints}), CLASSIFIER: classifier}

    def about(self) -> list[str]:
        """What is read of a clip, the glosses, and what becomes of other signs."""
        given, least = self.preprocessing, self.abstention.min_probability
        what = "the landmarks of both hands"
        if self.input == "rgb":
            what = "pictures of " + ("both hands" if given.hands == 2 else "the hand that signs")
        chosen = {"window": "in a row, from the middle of", "spread": "evenly spread over"}
        others = "A clip of any other sign is ranked as if it were one of these."
        if least:
            others = (
                f"There is no answer where no gloss has a probability of {least:.2f} "
                "(--min-probability), as is meant for clips of other signs. Not all of these are "
                "found out."
            )
        return [
            f"Recognises single signs, one a clip, from {what}: it ranks its {len(self.classes)} "
            f"glosses. Face and body are not read. {others}",
            f"It reads {given.frames} frames {chosen[given.sampling]} the clip, or all of a "
            f"shorter one. The clips it was trained on have about {given.rate:g} frames a second.",
            f"Glosses: {', '.join(self.classes)}.",
        ]


# -- continuous signing ---------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SigningPreprocessing:
    """What a model of continuous signing is given.

    ``rate``: frames a second that tracks, and the frames of videos, are brought to; absent: as they
    come. ``picture``: width and height in pixels of the square pictures of a model that reads
    video (``chereme.video.letterbox``); absent for tracks. ``needs_hands``: a stretch of video in
    which the hand detector finds no hand is not read.
    """

    rate: Rate | None = None
    picture: Side | None = None
    needs_hands: bool = True


@dataclass(frozen=True, slots=True)
class Windows:
    """How what is long is read: in windows of ``seconds``, each with ``overlap`` seconds of the
    one before."""

    seconds: Annotated[float, Between(0.2, 300)] = 12.0
    overlap: Annotated[float, Between(0, 150)] = 4.0

    def frames(self, rate: float) -> tuple[int, int]:
        """Both at ``rate`` frames a second: a window has at least 2 frames, and one that is new."""
        size = max(2, min(round(self.seconds * rate), MAX_FRAMES))
        return size, min(round(self.overlap * rate), size - 1)


Reader = Literal["decoder", "ctc"]
"""What reads the latent of continuous signing: the text decoder, or the CTC head."""


OUTPUTS = {"decoder": "memory", "ctc": "log_probs"}
"""What ``sequence.onnx`` gives for each of the readers."""


def track_ports(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """What the networks call the numbers of tracks, and the frames in which they are present."""
    every = list(names)
    return [f"track_{name}" for name in every], [f"present_{name}" for name in every]


@dataclass(frozen=True, kw_only=True)
class ContinuousConfig(Config):
    """A model of continuous signing.

    ``tokens`` and ``units`` are of its ``chereme.text.glosses.GlossVocabulary``. ``tracks``: those
    that it reads, by name; of a model that reads video too (``input`` "rgb"), which makes them of
    the frames itself. ``readers``: what it can be read with; ``read_with``: with what it is, unless
    told otherwise. ``generation``: of the decoder, ``ctc_beam``: width of the search in what the
    CTC head says, ``weights``: of both together, and of a language model.
    """

    task: Literal["continuous"]
    tokens: tuple[str, ...]
    units: Units
    input: Literal["tracks", "rgb"]
    tracks: tuple[TrackSpec, ...]
    readers: tuple[Reader, ...]
    read_with: Reader
    preprocessing: SigningPreprocessing
    generation: GenerationConfig = PAPER_GENERATION
    ctc_beam: Beam = 5
    weights: GlossWeights = field(default_factory=GlossWeights)
    windows: Windows = field(default_factory=Windows)

    optional = (NGRAMS,)

    def check(self) -> None:
        """Vocabulary, tracks and readers are whole, and what is read with is among these."""
        try:
            GlossVocabulary(self.tokens, self.units)
            check_generation(self.generation)
        except UsageError as error:
            raise BundleError(str(error)) from error
        names = [track.name for track in self.tracks]
        good = names and len(set(names)) == len(names) and all(map(str.isidentifier, names))
        expect(bool(good), "tracks", "one or more of different names", names)
        within("tracks", sum(track.width for track in self.tracks), Between(1, 10 * MAX_WIDTH))
        expect(len(self.readers) > 0, "readers", "decoder, ctc or both", self.readers)
        expect(self.read_with in self.readers, "read_with", ", ".join(self.readers), self.read_with)
        _belongs("picture", self.preprocessing.picture, self.input == "rgb", self.input)
        method = self.generation.method
        expect(method != "sample", "generation.method", "beam or greedy", method)
        weights = Between(-MAX_WEIGHT, MAX_WEIGHT)
        for name in ("length_penalty", "repetition_penalty", "temperature", "top_p"):
            within(f"generation.{name}", getattr(self.generation, name), weights)
        within("generation.max_length", self.generation.max_length, Between(1, MAX_FRAMES))
        within("generation.beam_size", self.generation.beam_size, Between(1, MAX_BEAM))
        within("weights.joint.ctc_weight", self.weights.joint.ctc_weight, Between(0, 1))
        for where, own in (("weights", self.weights), ("weights.joint", self.weights.joint)):
            for name in ("alpha", "beta"):
                within(f"{where}.{name}", getattr(own, name), weights)
        half = self.windows.seconds / 2
        within("windows.overlap", self.windows.overlap, Between(0, half))

    def register(self) -> None:
        """The tracks (``chereme.formats.tracks``)."""
        for track in self.tracks:
            register_track(track)

    def networks(self) -> dict[str, Ports]:
        """B clips of T frames, N hypotheses of L ids; V ids in all.

        ``sequence.onnx``: ``track_<name>`` has NaN where a number is not known, ``present_<name>``
        is False where, or for all of a clip if, a track is missing; ``lengths`` are in frames.
        ``memory`` is for the decoder, ``log_probs`` are of the CTC head. ``decoder.onnx``: ids from
        BOS on -> logits of what follows each of them.

        Of a model that reads video, ``encoder.onnx`` makes features of whole frames, RGB, as
        ``chereme.video.letterbox`` makes them; ``tracks.onnx`` makes tracks of the features.
        """
        clips = ("clips", "frames")
        numbers, frames = track_ports(track.name for track in self.tracks)
        tracks: dict[str, Port] = {
            name: ("float", (*clips, track.width))
            for name, track in zip(numbers, self.tracks, strict=True)
        }
        present: dict[str, Port] = dict.fromkeys(frames, ("bool", clips))
        lengths: dict[str, Port] = {"lengths": ("int64", ("clips",))}
        size = len(GlossVocabulary(self.tokens, self.units))
        gives: dict[str, Port] = {}
        found: dict[str, Ports] = {}
        if "decoder" in self.readers:
            gives["memory"] = ("float", (*clips, None))
            found[DECODER] = Ports(
                {
                    "ids": ("int64", ("hypotheses", "places")),
                    "memory": ("float", ("sentences", "frames", None)),
                    "lengths": ("int64", ("sentences",)),
                },
                {"logits": ("float", ("hypotheses", "places", size))},
            )
        if "ctc" in self.readers:
            gives["log_probs"] = ("float", (*clips, size))
        found[SEQUENCE] = Ports({**tracks, **present, **lengths}, gives)
        if self.preprocessing.picture is not None:
            pictures = _pictures("frames", self.preprocessing.picture)
            features: Port = ("float", ("frames", None))
            found[ENCODER] = Ports({"frames": pictures}, {"features": features})
            found[TRACKS] = Ports({"features": ("float", (*clips, None)), **lengths}, tracks)
        return found

    def about(self) -> list[str]:
        """What is read, how, and the vocabulary."""
        given = self.preprocessing
        what = "pose tracks"
        if self.input == "rgb":
            what = (
                f"video, from pictures of {given.picture} x {given.picture} pixels, or pose tracks"
            )
        rate = "any number of" if given.rate is None else f"{given.rate:g}"
        units = {"glosses": "glosses", "pieces": "pieces that glosses are made of"}[self.units]
        how = {"decoder": "its text decoder", "ctc": "its CTC head"}[self.read_with]
        return [
            f"Reads continuous signing as glosses, from {what}. It knows {len(self.tokens)} "
            f"{units}, and takes any other sign for one of these. Glosses are labels of signs, no "
            "translation.",
            f"It reads {rate} frames a second, with {how}, and what is longer in windows of "
            f"{self.windows.seconds:g} s.",
            "\n".join(f"- {t.name}, {t.width} numbers: {t.meaning}" for t in self.tracks),
            f"{units.capitalize()}: {', '.join(self.tokens)}.",
        ]


def _pictures(axis: str, size: int) -> Port:
    return "uint8", (axis, 3, size, size)


def parse_config(data: Any, where: str = "config.json") -> Any:
    """A config of any task from its JSON object; ``BundleError`` names the key that is wrong."""
    if not isinstance(data, dict):
        raise BundleError(f"{where}: expected a JSON object, got {type(data).__name__}")
    version = data.get("schema_version")
    if not isinstance(version, int):
        raise BundleError(
            f"{where}: expected an integer 'schema_version', got {version!r}; "
            "is this the folder of a chereme model?"
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{where}: schema version {version} is newer than {SCHEMA_VERSION}, the newest that "
            "this chereme reads; install a newer chereme from where this one came"
        )
    try:
        if "task" not in data:
            raise BundleError("the key 'task' is missing")
        task = data["task"]
        known = isinstance(task, str) and task in TASKS
        expect(known, "task", f"one of {', '.join(TASKS)}", task)
        config: Config = read_as(find(TASKS[task].config), data)
        for metric in config.metrics:
            expect("test_set" in metric, "metrics", "a 'test_set' in each entry", dict(metric))
        config.check()
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from None
    return config


def _once(key: str, what: str, names: Iterable[str]) -> None:
    twice = repeated(names)
    expect(not twice, key, f"no {what} twice", twice)


def _belongs(key: str, value: object, needed: bool, reads: str) -> None:
    """A part of the preprocessing is there where it is needed, and only there."""
    if needed and value is None:
        raise BundleError(f"the key 'preprocessing.{key}' is missing")
    if value is not None and not needed:
        raise BundleError(f"unknown key 'preprocessing.{key}' of a model that reads {reads}")
