"""Live streams over a socket."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import chereme
import fake_signing
import fakes
from chereme.formats.files import MemoryFile
from chereme.recognition.hand_landmarks import detect_hands
from chereme.types import Frame
from chereme.video import open_video
from chereme.web import jobs
from chereme.web.messages import PICTURE
from chereme.web.settings import Settings
from serving import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hello.mp4"
START = {"type": "start", "stream": "landmarks"}


def jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def packed(seconds: float, picture: bytes) -> bytes:
    return struct.pack("<d", seconds) + picture


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with open_video(EXAMPLE) as reader:
        return list(reader)


@pytest.fixture(scope="module")
def pictures(frames: list[Frame]) -> list[bytes]:
    return [packed(frame.timestamp, jpeg(frame.image)) for frame in frames]


def socket(server: Server, **options: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{server.port}/v1/stream"
    return connect(address, compression=None, proxy=None, **options)


def told(connection: ClientConnection) -> Iterator[dict[str, Any]]:
    """What the server says until it closes."""
    try:
        while True:
            yield json.loads(connection.recv(timeout=60))
    except ConnectionClosed:
        return


def events_of(server: Server, start: dict[str, Any], messages: list[bytes | str]) -> list[dict]:
    """What a server says to messages that are each sent when the one before was read."""
    found: list[dict] = []
    with socket(server) as connection:
        connection.send(json.dumps(start))
        found.append(json.loads(connection.recv(timeout=60)))
        for message in messages:
            connection.send(message)
            while found[-1]["type"] != "error":
                found.append(json.loads(connection.recv(timeout=60)))
                if found[-1]["type"] == "frame":
                    break
        connection.send('{"type": "finish"}')
        found += told(connection)
        assert connection.close_code == (1008 if found[-1]["type"] == "error" else 1000)
    return found


def test_what_is_streamed_is_read_as_a_recording(
    server: Server, frames: list[Frame], pictures: list[bytes]
) -> None:
    events = events_of(server, START, pictures)
    ready, *others, end = events
    assert (ready["type"], ready["unit"], end["type"]) == ("ready", "letter", "end")
    assert "".join(ready["alphabet"]).startswith("abc")
    # As the recogniser reads what a JPEG has left of the pictures.
    seen = [next(open_video(MemoryFile(one[8:]))).image for one in pictures]
    pairs = [(one, frame.timestamp) for one, frame in zip(seen, frames, strict=True)]
    read = chereme.recognize(iter(pairs), stream="landmarks")
    assert end["transcript"]["text"] == read.text == "hello"
    assert end["transcript"]["tokens"] == json.loads(read.to_json())["tokens"]
    assert end["transcript"]["info"]["model"] == read.info["model"] == ready["model"]

    answered = [event for event in others if event["type"] == "frame"]
    assert [one["timestamp"] for one in answered] == [frame.timestamp for frame in frames]
    assert {one["skipped"] for one in answered} == {0}
    finals = [event for event in others if event["type"] == "final"]
    assert " ".join(event["text"] for event in finals) == "hello"
    partials = [event["text"] for event in others if event["type"] == "partial"]
    assert any("hello".startswith(text) and text for text in partials)


def test_hands_are_told_as_parts_of_the_picture(
    server: Server, frames: list[Frame], pictures: list[bytes]
) -> None:
    flipped = [packed(f.timestamp, jpeg(np.ascontiguousarray(f.image[:, ::-1]))) for f in frames]
    for sent, mirrored in ((pictures, False), (flipped, True)):
        events = events_of(server, START | {"mirrored": mirrored}, sent)
        assert events[-1]["transcript"]["text"] == "hello"
        (hand,) = next(e["hands"] for e in events if e["type"] == "frame" and e["hands"])
        landmarks = detect_hands(EXAMPLE).landmarks
        expected = landmarks.landmarks[0, 0, :, :2] / (landmarks.width, landmarks.height)
        shown = np.array(hand["landmarks"])
        if mirrored:
            shown[:, 0] = 1 - shown[:, 0]
        assert hand["handedness"] == landmarks.handedness[0]
        assert np.abs(shown - expected).max() < 0.03


def test_landmarks_are_read_in_the_place_of_pictures(server: Server) -> None:
    found = detect_hands(EXAMPLE).landmarks
    messages = []
    for number, time in enumerate(found.timestamps.tolist()):
        hands = [
            {"handedness": side, "landmarks": found.landmarks[number, column].tolist()}
            for column, side in enumerate(found.handedness)
            if (found.confidence[number, column] > 0).all()
        ]
        size = {"width": found.width, "height": found.height}
        message = {"type": "landmarks", "timestamp": time, **size, "hands": hands}
        messages.append(json.dumps(message))
    end = events_of(server, START, messages)[-1]
    assert end["transcript"]["text"] == chereme.recognize(found, stream="landmarks").text == "hello"


def test_sentences_are_read_as_glosses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = fake_signing.Hands()
    monkeypatch.setattr(jobs, "find_detector", lambda name: hands)
    fake_signing.make_signing(tmp_path / "model", input="rgb")
    inbox = [
        PICTURE + packed(frame.timestamp, jpeg(frame.image))
        for frame in fake_signing.film(fake_signing.SENTENCE)
    ]
    outbox = list[bytes]()
    jobs.stream(
        iter([*inbox, b""]).__next__,
        outbox.append,
        model=str(tmp_path / "model"),
        options={},
        limits=asdict(Settings({}).limits),
    )
    ready, *answers, end = map(json.loads, outbox)
    assert (ready["unit"], "alphabet" in ready) == ("gloss", False)
    assert len(answers) == len(inbox)
    assert end["transcript"]["text"] == fake_signing.SENTENCE
    assert (end["transcript"]["unit"], hands.closed) == ("gloss", 1)


def test_of_frames_that_come_too_fast_the_newest_is_read(
    server: Server, frames: list[Frame], pictures: list[bytes]
) -> None:
    with socket(server) as connection:
        connection.send(json.dumps(START))
        connection.recv(timeout=60)
        for picture in pictures:
            connection.send(picture)
        connection.send('{"type": "finish"}')
        answered = [event for event in told(connection) if event["type"] == "frame"]
    assert answered[-1]["timestamp"] == frames[-1].timestamp
    assert len(answered) + answered[-1]["skipped"] == len(frames)
    assert answered[-1]["skipped"] > 0


@pytest.mark.parametrize(
    ("start", "messages", "status", "detail"),
    [
        ({"type": "begin"}, [], 422, "start message: type"),
        ({**START, "strem": 1}, [], 422, "strem"),
        ({**START, "model": "/etc"}, [], 422, "model: expected one of fingerspelling"),
        ({**START, "words": ["?"]}, [], 422, "words"),
        (START, [packed(0, b"not a JPEG")], 422, "a JPEG"),
        (START, [packed(0, b"\xff\xd8\xff damaged")], 422, "frame"),
        (START, [b"short"], 422, "8 bytes of seconds"),
        (START, [packed(float("nan"), jpeg(np.zeros((8, 8, 3), np.uint8)))], 422, "seconds"),
        (START, [packed(0, jpeg(np.zeros((800, 640, 3), np.uint8)))], 413, "over the limit"),
        (START, ['{"type": "landmarks"}'], 422, "timestamp"),
        (START, ["[" * 100_000], 422, ""),
        (START, ["nonsense"], 422, ""),
    ],
)
def test_what_is_no_stream_is_told_and_closed(
    server: Server, start: dict[str, Any], messages: list[Any], status: int, detail: str
) -> None:
    with socket(server) as connection:
        connection.send(json.dumps(start))
        for message in messages:
            connection.send(message)
        *_, last = told(connection)
        assert (last["type"], last["status"]) == ("error", status), last
        assert detail in last["detail"]
        assert connection.close_code == 1008


def test_a_model_that_reads_no_stream_says_so(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path, stream="rgb", name="crops")
    with Server("--model", tmp_path) as server, socket(server) as connection:
        connection.send(json.dumps(START | {"model": "crops"}))
        (event,) = told(connection)
        assert (event["type"], event["status"]) == ("error", 422)
        assert event["detail"] == "model: crops reads recordings, and no streams"


def test_pictures_of_one_stream_have_one_size(server: Server) -> None:
    sizes = [packed(n, jpeg(np.zeros((32, 32 + 8 * n, 3), np.uint8))) for n in range(2)]
    last = events_of(server, START, sizes)[-1]
    assert (last["type"], last["status"]) == ("error", 422)
    assert "begin another stream" in last["detail"]


def test_a_flood_of_messages_is_ended(server: Server) -> None:
    picture = jpeg(np.zeros((32, 32, 3), np.uint8))  # a fault in it could be told first
    with socket(server) as connection:
        connection.send(json.dumps(START))
        connection.recv(timeout=60)
        with suppress(ConnectionClosed):
            for number in range(100_000):
                connection.send(packed(number / 1000, picture))
        *_, last = told(connection)
        assert (last["type"], last["status"]) == ("error", 429)
    server.until(lambda: server.metric("chereme_sessions") == 0)


def test_a_message_that_is_too_large_ends_the_stream(server: Server) -> None:
    with socket(server) as connection:
        connection.send(json.dumps(START))
        connection.recv(timeout=60)
        with suppress(ConnectionClosed):
            connection.send(bytes(5 << 20))
        assert list(told(connection)) == []
        assert connection.close_code in (1009, 1006)  # 1006: it was closed before all was sent


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"]
)
def test_pages_from_elsewhere_get_no_socket(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        socket(server, origin=origin)
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body)["status"] == 403
    own = f"http://127.0.0.1:{server.port}"
    with socket(server, origin=own, subprotocols=["chereme.stream"]) as connection:
        assert connection.subprotocol == "chereme.stream"


def test_a_token_is_shown_as_a_subprotocol() -> None:
    token = "abcdefghijklmnop"
    with Server("--model", "fingerspelling", "--sessions", 1, CHEREME_TOKEN=token) as server:
        for offered in (None, ["chereme.stream"], ["chereme.stream", "bearer.wrong"]):
            with pytest.raises(InvalidStatus) as caught:
                socket(server, subprotocols=offered)
            assert caught.value.response.status_code == 401
        with socket(server, subprotocols=["chereme.stream", f"bearer.{token}"]) as connection:
            assert connection.subprotocol == "chereme.stream"
            with socket(server, subprotocols=[f"bearer.{token}"]) as second:  # place is for one
                (event,) = told(second)
                assert (event["type"], event["status"], second.close_code) == ("error", 503, 1013)
                assert "try again" in event["detail"]
