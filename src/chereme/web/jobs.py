"""What a child does for the server: read an upload, or a stream of frames.

Each job is given ``receive`` and ``send`` of messages, and the rest of what it is told. An error
ends it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.formats.files import MemoryFile
from chereme.formats.transcripts import check_format, document, plain
from chereme.hands.both import SIDES
from chereme.hands.detector import Detection, HandDetector, find_detector
from chereme.recognition.event_stream import joined
from chereme.recognition.registry import task_of
from chereme.recognition.tasks import TASKS
from chereme.types import NUM_JOINTS, Event, Frame, Landmarks
from chereme.video import Limits, open_video
from chereme.web.messages import PICTURE, SECONDS
from chereme.web.rendering import render

Send = Callable[[bytes], None]
Receive = Callable[[], bytes]

JPEG = b"\xff\xd8\xff"


def recognize(
    receive: Receive,
    send: Send,
    *,
    model: str,
    options: Mapping[str, Any],
    limits: Mapping[str, Any],
    name: str | None,
    form: str,
    top: int,
) -> None:
    """Read the file whose content comes in messages, of which an empty one is the end; answer with
    an empty object, and with what was read in the format ``form``."""
    recognizer = _load(model, options, Limits(**limits))
    check_format(form, timed=recognizer.timed)
    content = io.BytesIO()
    for part in _until_empty(receive):
        content.write(part)
    transcript = recognizer.recognize(MemoryFile(content.getvalue(), name))
    answer = render(transcript, name, form, top)
    send(b"{}")
    send(answer)


def stream(
    receive: Receive,
    send: Send,
    *,
    model: str,
    options: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> None:
    """Read frames as they come, each a message (``chereme.web.messages``): its seconds and a JPEG,
    or a ``chereme.web.documents.LandmarksMessage``. An empty one is the end.

    Answer with what reads them, with the news and the hands of each frame, and at the end with the
    last news and the whole transcript.
    """
    seen = _Seen()
    # No frame is a photo, which may be larger.
    allowed = Limits(**{**limits, "max_still_pixels": limits["max_pixels"]})
    recognizer = _load(model, {**options, "make_detector": seen.begin}, allowed)
    kind = recognizer.result
    finals: list[Event] = []

    def news(events: Iterable[Event]) -> list[dict[str, Any]]:
        told = list(events)
        finals.extend(event for event in told if event.kind == "final")
        return [
            {"type": event.kind, "text": event.text, "tokens": plain(event.tokens)}
            for event in told
        ]

    with recognizer.stream() as reading:
        alphabet = getattr(recognizer, "alphabet", None)
        ready = {"model": recognizer.info["model"], "unit": kind.unit}
        _send_json(send, ready | ({"alphabet": alphabet.symbols} if alphabet else {}))
        for message in _until_empty(receive):
            frame = _frame(message, allowed)
            events = news(reading.push(frame))
            _send_json(send, {"events": events, "hands": seen.hands(frame, recognizer.mirrored)})
        events = news(reading.finish())
    transcript = kind(*joined(finals), recognizer.info)
    _send_json(send, {"events": events, "transcript": document(transcript)})


JOBS: Mapping[str, Callable[..., None]] = {"recognize": recognize, "stream": stream}


def _load(model: str, options: Mapping[str, Any], limits: Limits) -> Any:
    return TASKS[task_of(model)].load(model, limits=limits, **options)


def _until_empty(receive: Receive) -> Iterator[bytes]:
    while message := receive():
        yield message


def _send_json(send: Send, value: Any) -> None:
    send(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())


class _Seen:
    """What the detector has found in the last picture."""

    def __init__(self) -> None:
        self._found: list[Detection] = []
        self._detector: HandDetector

    def begin(self, still: bool) -> HandDetector:
        """Makes the detector, see ``chereme.recognition.recognizer.BaseRecognizer``."""
        self._detector = find_detector("onnx")(still)
        return self

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        self._found = self._detector.detect(image, timestamp)
        return self._found

    def reset(self) -> None:
        self._detector.reset()

    def close(self) -> None:
        self._detector.close()

    def hands(self, frame: Frame | Landmarks, mirrored: bool) -> list[dict[str, Any]]:
        """The hands in a picture, joints as parts of its width and height."""
        if isinstance(frame, Landmarks):
            return []
        height, width = frame.image.shape[:2]
        return [
            {
                # A mirrored right hand looks like a left one.
                "handedness": SIDES[(hand.handedness == "right") != mirrored],
                "signing": None,
                "landmarks": (hand.landmarks[:, :2] / (width, height)).round(4).tolist(),
            }
            for hand in self._found
        ]


def _frame(message: bytes, limits: Limits) -> Frame | Landmarks:
    kind, message = message[:1], message[1:]
    if kind != PICTURE:
        return _landmarks(json.loads(message))
    (seconds,), content = SECONDS.unpack_from(message), message[SECONDS.size :]
    if not content.startswith(JPEG):
        raise InputError("frame: expected 8 bytes of its seconds and a JPEG, got something else")
    with open_video(MemoryFile(content, "frame"), limits=limits) as picture:
        return Frame(next(picture).image, seconds)


def _landmarks(message: Mapping[str, Any]) -> Landmarks:
    """One frame, with a column for each side."""
    landmarks = np.full((1, 2, NUM_JOINTS, 3), np.nan, np.float32)
    confidence = np.zeros((1, 2, NUM_JOINTS), np.float32)
    for hand in message["hands"]:
        side = SIDES.index(hand["handedness"])
        if confidence[0, side].any():
            raise InputError(f"hands: expected one {hand['handedness']} hand at most, got two")
        landmarks[0, side] = hand["landmarks"]
        confidence[0, side] = hand["confidence"] or 1.0
    return Landmarks(
        landmarks,
        confidence,
        np.array([message["timestamp"]]),
        message["width"],
        message["height"],
        SIDES,
    )
