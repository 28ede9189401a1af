"""What the ``config.json`` of a model bundle says, and reading it strictly.

Every key is known and typed: a misspelt one is an error and never a silent default.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from chereme.decoding.generation import PAPER_GENERATION, GenerationConfig, check_generation
from chereme.errors import BundleError, UsageError
from chereme.formats.tracks import TrackSpec
from chereme.hands.both import Sampling
from chereme.recognition.tasks import TASKS, find
from chereme.text.glosses import GlossVocabulary, Units

# 1: landmarks; 2: crops too; 3: isolated signs; 4: continuous signing; 5: abstention.
SCHEMA_VERSION = 5
MAX_RATE = 240.0  # frames a second; as other limits here, it holds a hostile bundle's memory
MAX_FRAMES = 4096  # of a clip; attention takes memory with its square
MAX_WIDTH = 100_000  # numbers of a track
MAX_BEAM = 1000
MAX_WEIGHT = 1000.0  # of a score in a search
MAX_DEPTH = 20  # of objects and lists in each other


@dataclass(frozen=True, slots=True)
class Crop:
    """The crops of an RGB model: ``size`` pixels wide and high, RGB, uint8, of a right hand.

    ``padding`` and ``smoothing`` (seconds) are those of ``chereme.hands.crop.hand_box``. What is
    taken out of the colours (mean, spread) is part of the network.
    """

    size: int
    padding: float
    smoothing: float

    def __post_init__(self) -> None:
        # The limits keep a hostile bundle from asking for all of the memory.
        _expect(8 <= self.size <= 1024, "preprocessing.crop.size", "8 to 1024", self.size)
        _expect(
            -0.5 < self.padding <= 4,
            "preprocessing.crop.padding",
            "over -0.5, up to 4",
            self.padding,
        )
        _expect(
            0 <= self.smoothing <= 10, "preprocessing.crop.smoothing", "0 to 10 s", self.smoothing
        )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """``rate``: frames a second that the network wants, and what it is given of each frame.

    That is ``features`` numbers made of landmarks, or a ``crop``.
    """

    rate: float
    features: int | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """Defaults of the beam search, tuned on validation; see ``chereme.decoding.beam_search``.

    Letters whose probability lies below ``min_probability`` are left out of the text, and all of a
    stretch whose mean probability lies below ``min_mean_probability``: that is no spelling (see
    :mod:`chereme.recognition.plausibility`). How sure a network is of letters is its own, so that
    both are settings of the model.
    """

    beam_width: int = 5
    alpha: float = 0.0
    beta: float = 0.0
    min_probability: float = 0.0
    min_mean_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Where a recording is cut, in seconds.

    Gaps in the hand up to ``bridge`` are filled, gaps over ``max_gap`` end a word; what is then
    shorter than ``min_duration`` is dropped.
    """

    bridge: float = 0.2
    max_gap: float = 0.5
    min_duration: float = 0.2


@dataclass(frozen=True, slots=True)
class Still:
    """A single picture is shown to the network for ``duration`` seconds as one of ``letters``.

    The best letter must beat the empty text by ``margin`` (natural log), else nothing is read.
    """

    letters: tuple[str, ...] = ()
    duration: float = 0.6
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of the code, of the weights, and of the data that they were trained on."""

    code: str
    weights: str
    data: str


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """The whole description of a model that reads letters.

    ``alphabet`` leaves out the blank, which is index 0.

    ``training_data`` and ``metrics`` are lists of objects for the reader of the model card; each of
    the metrics names its ``test_set``. ``files`` gives the SHA-256 of every file beside it.
    """

    name: str
    task: Literal["fingerspelling"]
    alphabet: tuple[str, ...]
    input: Literal["landmarks", "rgb"]
    preprocessing: Preprocessing
    licence: Licence
    training_data: tuple[Mapping[str, Any], ...]
    metrics: tuple[Mapping[str, Any], ...]
    temporal_stride: int = 1
    decoding: Decoding = field(default_factory=Decoding)
    segmentation: Segmentation = field(default_factory=Segmentation)
    still: Still = field(default_factory=Still)
    files: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _expect(self.alphabet != (), "alphabet", "at least one symbol", self.alphabet)
        _expect(
            len(set(self.alphabet)) == len(self.alphabet),
            "alphabet",
            "no symbol twice",
            self.alphabet,
        )
        _check_rate(self.preprocessing.rate)
        self._check_input()
        _between("temporal_stride", self.temporal_stride, 1, 1024)
        decoding, cut = self.decoding, self.segmentation
        _between("decoding.beam_width", decoding.beam_width, 1, MAX_BEAM)
        _between("decoding.alpha", decoding.alpha, -MAX_WEIGHT, MAX_WEIGHT)
        _between("decoding.beta", decoding.beta, -MAX_WEIGHT, MAX_WEIGHT)
        _between("decoding.min_probability", decoding.min_probability, 0, 1)
        _between("decoding.min_mean_probability", decoding.min_mean_probability, 0, 1)
        for name in ("bridge", "max_gap", "min_duration"):
            _between(f"segmentation.{name}", getattr(cut, name), 0, 3600)
        _between("still.duration", self.still.duration, 0, 60)
        _between("still.margin", self.still.margin, -1e12, 1e12)
        unknown = [letter for letter in self.still.letters if letter not in self.alphabet]
        _expect(not unknown, "still.letters", "letters of the alphabet", unknown)
        _check_metrics(self.metrics)

    def _check_input(self) -> None:
        given = {"features": self.preprocessing.features, "crop": self.preprocessing.crop}
        needed, other = ("features", "crop") if self.input == "landmarks" else ("crop", "features")
        if given[needed] is None:
            raise BundleError(f"the key 'preprocessing.{needed}' is missing")
        if self.preprocessing.features is not None:
            _between("preprocessing.features", self.preprocessing.features, 1, MAX_WIDTH)
        if given[other] is not None:
            raise BundleError(
                f"unknown key 'preprocessing.{other}' of a model that reads {self.input}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that :func:`parse_config` reads back."""
        return _to_dict(self)


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

    rate: float
    frames: int
    sampling: Sampling
    crop: Crop | None = None
    hands: int = 2
    bridge: float = 0.0


@dataclass(frozen=True, slots=True)
class Abstention:
    """When a model of isolated signs gives no answer.

    ``temperature``: its log-probabilities are divided by it, and normalised again (Guo et al. 2017,
    *On calibration of modern neural networks*, Eq. 9). ``other``: the network gives one more of
    them, the last: that the clip shows none of the glosses. There is no answer where the likeliest
    gloss has a probability below ``min_probability``. The defaults are those of a model that always
    answers.
    """

    temperature: float = 1.0
    other: bool = False
    min_probability: float = 0.0

    def __post_init__(self) -> None:
        _expect(
            0.01 <= self.temperature <= 100,
            "abstention.temperature",
            "0.01 to 100",
            self.temperature,
        )
        _expect(
            0 <= self.min_probability <= 1,
            "abstention.min_probability",
            "0 to 1",
            self.min_probability,
        )


@dataclass(frozen=True, slots=True)
class IsolatedConfig:
    """The whole description of a model of isolated signs.

    ``classes`` are its glosses, in the order of its log-probabilities. ``training_data``,
    ``metrics`` and ``files`` as of :class:`BundleConfig`.
    """

    name: str
    task: Literal["isolated"]
    classes: tuple[str, ...]
    input: Literal["landmarks", "rgb"]
    preprocessing: ClipPreprocessing
    licence: Licence
    training_data: tuple[Mapping[str, Any], ...]
    metrics: tuple[Mapping[str, Any], ...]
    abstention: Abstention = field(default_factory=Abstention)
    files: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _expect(len(self.classes) >= 2, "classes", "at least 2 glosses", self.classes)
        _expect("" not in self.classes, "classes", "no empty gloss", self.classes)
        twice = [gloss for gloss, count in Counter(self.classes).items() if count > 1]
        _expect(not twice, "classes", "no gloss twice", twice)
        _check_rate(self.preprocessing.rate)
        frames = self.preprocessing.frames
        _expect(1 <= frames <= MAX_FRAMES, "preprocessing.frames", f"1 to {MAX_FRAMES}", frames)
        rgb = self.input == "rgb"
        if rgb and self.preprocessing.crop is None:
            raise BundleError("the key 'preprocessing.crop' is missing")
        if not rgb and self.preprocessing.crop is not None:
            raise BundleError("unknown key 'preprocessing.crop' of a model that reads landmarks")
        hands, bridge = self.preprocessing.hands, self.preprocessing.bridge
        least = 1 if rgb else 2
        _expect(least <= hands <= 2, "preprocessing.hands", f"{least} to 2", hands)
        _expect(0 <= bridge <= 10, "preprocessing.bridge", "0 to 10 s", bridge)
        _check_metrics(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that :func:`parse_config` reads back."""
        return _to_dict(self)


@dataclass(frozen=True, slots=True)
class SigningPreprocessing:
    """What a model of continuous signing is given.

    ``rate``: frames a second that tracks, and the frames of videos, are brought to; absent: as they
    come. ``picture``: width and height in pixels of the square pictures of a model that reads
    video (``chereme.video.letterbox``); absent for tracks. ``needs_hands``: a stretch of video in
    which the hand detector finds no hand is not read.
    """

    rate: float | None = None
    picture: int | None = None
    needs_hands: bool = True


@dataclass(frozen=True, slots=True)
class Windows:
    """How what is long is read: in windows of ``seconds``, each with ``overlap`` seconds of the
    one before."""

    seconds: float = 12.0
    overlap: float = 4.0

    def frames(self, rate: float) -> tuple[int, int]:
        """Both at ``rate`` frames a second: a window has at least 2 frames, and one that is new."""
        size = max(2, min(round(self.seconds * rate), MAX_FRAMES))
        return size, min(round(self.overlap * rate), size - 1)


Reader = Literal["decoder", "ctc"]
"""What reads the latent of continuous signing: the text decoder, or the CTC head."""


@dataclass(frozen=True, slots=True)
class ContinuousConfig:
    """The whole description of a model of continuous signing.

    ``tokens`` and ``units`` are of its ``chereme.text.glosses.GlossVocabulary``. ``tracks``: those
    that it reads, by name; of a model that reads video too (``input`` "rgb"), which makes them of
    the frames itself. ``readers``: what it can be read with; ``read_with``: with what it is, unless
    told otherwise. ``generation``: of the decoder, ``ctc_beam``: width of the search in what the
    CTC head says. ``training_data``, ``metrics`` and ``files`` as of :class:`BundleConfig`.
    """

    name: str
    task: Literal["continuous"]
    tokens: tuple[str, ...]
    units: Units
    input: Literal["tracks", "rgb"]
    tracks: tuple[TrackSpec, ...]
    readers: tuple[Reader, ...]
    read_with: Reader
    preprocessing: SigningPreprocessing
    licence: Licence
    training_data: tuple[Mapping[str, Any], ...]
    metrics: tuple[Mapping[str, Any], ...]
    generation: GenerationConfig = PAPER_GENERATION
    ctc_beam: int = 5
    windows: Windows = field(default_factory=Windows)
    files: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        try:
            GlossVocabulary(self.tokens, self.units)
            check_generation(self.generation)
        except UsageError as error:
            raise BundleError(str(error)) from error
        names = [track.name for track in self.tracks]
        good = names and len(set(names)) == len(names) and all(map(str.isidentifier, names))
        _expect(bool(good), "tracks", "one or more of different names", names)
        _between("tracks", sum(track.width for track in self.tracks), 1, 10 * MAX_WIDTH)
        for track in self.tracks:
            _expect(1 <= track.width <= MAX_WIDTH, track.name, f"1 to {MAX_WIDTH}", track.width)
        _expect(len(self.readers) > 0, "readers", "decoder, ctc or both", self.readers)
        _expect(
            self.read_with in self.readers, "read_with", ", ".join(self.readers), self.read_with
        )
        given = self.preprocessing
        if given.rate is not None:
            _check_rate(given.rate)
        if (self.input == "rgb") != (given.picture is not None):
            wrong = "is missing" if self.input == "rgb" else "is of a model that reads video"
            raise BundleError(f"the key 'preprocessing.picture' {wrong}")
        if given.picture is not None:
            _expect(8 <= given.picture <= 1024, "preprocessing.picture", "8 to 1024", given.picture)
        method = self.generation.method
        _expect(method != "sample", "generation.method", "beam or greedy", method)
        for name in ("length_penalty", "repetition_penalty", "temperature", "top_p"):
            value = getattr(self.generation, name)
            _between(f"generation.{name}", value, -MAX_WEIGHT, MAX_WEIGHT)
        longest = self.generation.max_length
        _expect(longest <= MAX_FRAMES, "generation.max_length", f"up to {MAX_FRAMES}", longest)
        beams = self.generation.beam_size, self.ctc_beam
        _expect(all(1 <= n <= MAX_BEAM for n in beams), "beams", f"1 to {MAX_BEAM}", beams)
        seconds, overlap = self.windows.seconds, self.windows.overlap
        _expect(0.2 <= seconds <= 300, "windows.seconds", "0.2 to 300", seconds)
        _expect(0 <= overlap <= seconds / 2, "windows.overlap", "0 to half of it", overlap)
        _check_metrics(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that :func:`parse_config` reads back."""
        return _to_dict(self)


Config = BundleConfig | IsolatedConfig | ContinuousConfig
"""The description of a model of any task."""


def _check_rate(rate: float) -> None:
    _expect(0 < rate <= MAX_RATE, "preprocessing.rate", f"above 0, up to {MAX_RATE:g}", rate)


def _check_metrics(metrics: tuple[Mapping[str, Any], ...]) -> None:
    for metric in metrics:
        _expect("test_set" in metric, "metrics", "a 'test_set' in each entry", dict(metric))


def _to_dict(config: Config) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    values["preprocessing"] = {
        key: value for key, value in values["preprocessing"].items() if value is not None
    }
    return values


def read_json(raw: bytes, where: str = "config.json") -> Any:
    """The JSON document in ``raw``; BundleError for what strict JSON does not have (NaN, a key
    twice), for numbers without end, and where it is nested deeper than a config ever is."""
    try:
        data = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_once)
        _check_depth(data, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise BundleError(f"{where}: not valid JSON ({reason}); fetch the bundle again") from None
    return data


def _no_constant(name: str) -> typing.NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"the key {twice[0]!r} comes twice")
    return found


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def parse_config(data: Any, where: str = "config.json") -> Config:
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
    task = data.get("task")
    try:
        if "task" not in data:
            raise BundleError("the key 'task' is missing")
        known = TASKS.get(task) if isinstance(task, str) else None
        if known is None:
            raise BundleError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
        return typing.cast(Config, _convert(find(known.config), data, ""))
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from None


def _convert(kind: Any, value: Any, key: str) -> Any:
    """``value`` of JSON as the annotated type ``kind``, or an error that names ``key``."""
    origin = get_origin(kind)
    if origin is UnionType:  # X | None: JSON's null is not a way to leave a key out
        kind = get_args(kind)[0]
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), key, "an object", value)
        return _convert_fields(typing.cast(type, kind), value, key)
    if origin is Literal:
        _expect(value in get_args(kind), key, f"one of {', '.join(get_args(kind))}", value)
        return value
    if origin is tuple:
        _expect(isinstance(value, list), key, "a list", value)
        return tuple(
            _convert(get_args(kind)[0], item, f"{key}[{i}]") for i, item in enumerate(value)
        )
    if origin is Mapping:
        _expect(isinstance(value, dict), key, "an object", value)
        inner = get_args(kind)[1]
        return {
            k: v if inner is Any else _convert(inner, v, f"{key}.{k}") for k, v in value.items()
        }
    if kind is float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        # JSON as Python reads it knows NaN, Infinity, and integers without end.
        good = good and abs(value) <= sys.float_info.max
        _expect(good, key, "a number", value)
        return float(value)
    good = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    _expect(good, key, {str: "a text", int: "an integer", bool: "true or false"}[kind], value)
    return value


def _convert_fields(kind: type, value: dict[str, Any], key: str) -> Any:
    hints = typing.get_type_hints(kind)
    prefix = f"{key}." if key else ""
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise BundleError(
            f"unknown key {prefix + unknown[0]!r}; known here: {', '.join(sorted(hints))}"
        )
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in value]
    if missing:
        raise BundleError(f"the key {prefix + missing[0]!r} is missing")
    return kind(**{name: _convert(hints[name], v, prefix + name) for name, v in value.items()})


def _between(key: str, value: float, low: float, high: float) -> None:
    _expect(low <= value <= high, key, f"{low:g} to {high:g}", value)


def _expect(condition: bool, key: str, expected: str, got: Any) -> None:
    if not condition:
        shown = repr(got) if not isinstance(got, int) or abs(got) < 10**40 else "a larger number"
        raise BundleError(f"{key}: expected {expected}, got {shown[:200]}")
