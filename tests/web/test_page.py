"""The page of ``chereme serve`` in a real browser, before a camera that plays a clip."""

from __future__ import annotations

import json
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra web is not installed")
pytest.importorskip("playwright", reason="the extra test is not installed")

from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Playwright,
    WebSocket,
    expect,
    sync_playwright,
)

import chereme
from chereme.formats.poses import write_landmarks
from chereme.formats.transcripts import write
from chereme.recognition.hand_landmarks import detect_hands
from chereme.types import Token, Transcript
from serving import Server

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hello.mp4"
FILES = sorted((Path(chereme.__file__).parent / "web" / "page").iterdir())
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDE, PHONE = (1280, 900), (360, 740)
FPS = 30
HELLO = re.compile("^" + "".join(rf"{c}\d+ %" for c in "hello") + "$")  # with probabilities
SOON = 90_000  # milliseconds in which something has to come

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium"),
]


def camera_film(path: Path, frames: list[np.ndarray], *, rest: float = 1.5) -> Path:
    """What a camera shows over and over: nothing, the frames, nothing; as chromium takes it."""
    nothing = [np.full_like(frames[0], 118)] * round(rest * FPS)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.options = {"q:v": "3"}
        for frame in [*nothing, *frames, *nothing]:
            picture = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuvj420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def browser_before(playwright: Playwright, film: Path) -> Browser:
    """A browser whose camera shows a film."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ],
    )


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=SOON)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Server("--sessions", 4) as server:
        yield server.url


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One whose camera shows the example, again and again."""
    with av.open(str(EXAMPLE)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    film = camera_film(tmp_path_factory.mktemp("camera") / "hello.mjpeg", frames)
    running = browser_before(playwright, film)
    yield running
    running.close()


Opening = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Opening]:
    """Opens the page in a window of its own, and afterwards tells that it did nothing wrong."""
    faults: list[str] = []
    contexts = []

    def open_page(size: tuple[int, int] = WIDE, *, before: str = "", **options: Any) -> Page:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: told.type == "error" and faults.append(told.text))
        page.on(
            "request",
            lambda asked: asked.url.startswith((address, "blob:")) or faults.append(asked.url),
        )
        if before:
            page.add_init_script(before)
        page.goto(address)
        expect(page.locator("#model option")).not_to_have_count(0)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # What the server refuses is told on the page.
    assert [fault for fault in faults if not fault.startswith("Failed to load resource")] == []


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def start(page: Page) -> None:
    button(page, "Start camera").click()
    expect(page.locator("#pace")).to_have_text(re.compile("pictures a second"))


def history(page: Page) -> Locator:
    return page.locator("#history .text")


def is_drawn(page: Page) -> bool:
    """Whether there is a hand over the picture."""
    drawn: bool = page.evaluate(
        """() => {
            const canvas = document.getElementById("overlay");
            const { width, height } = canvas;
            return canvas.getContext("2d").getImageData(0, 0, width, height).data.some(Boolean);
        }"""
    )
    return drawn


def until(true: Callable[[], bool], page: Page) -> None:
    for _ in range(SOON // 50):
        if true():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to be so")


# --- the camera --------------------------------------------------------------------------------


def test_letters_of_the_camera_come_with_probabilities(
    opened: Opening, record_property: Callable[[str, object], None]
) -> None:
    page = opened()
    delays: list[float] = []
    page.on("websocket", lambda socket: measure(socket, delays))
    start(page)
    until(lambda: is_drawn(page), page)
    word = page.locator("#letters li.final").filter(has_text=HELLO).first
    expect(word.locator(".letter")).to_have_text(list("hello"))
    for percent in word.locator(".percent").all_inner_texts():
        assert 0 < int(percent.removesuffix(" %")) <= 100
    expect(history(page)).to_have_text(re.compile("hello"))
    expect(page.locator("#spoken")).to_have_text(re.compile("h e l l o"))
    button(page, "Stop").click()
    expect(page.locator("#status")).to_have_text("The camera is off")
    expect(button(page, "Start camera")).to_be_enabled()
    assert not is_drawn(page)
    assert page.locator("#video").evaluate("video => video.srcObject") is None
    record_property("delays of letters, seconds", sorted(round(delay, 2) for delay in delays))


def measure(socket: WebSocket, delays: list[float]) -> None:
    """Of each letter that is read, how long after its end: by the clock of the frames."""
    clock = {"ahead": 0.0, "letters": 0}

    def sent(message: str | bytes) -> None:
        if isinstance(message, bytes):
            clock["ahead"] = time.monotonic() - struct.unpack_from("<d", message)[0]

    def received(message: str | bytes) -> None:
        event = json.loads(message)
        tokens = event.get("tokens", ()) if event["type"] in ("partial", "final") else ()
        for token in tokens[int(clock["letters"]) :]:
            delays.append(time.monotonic() - clock["ahead"] - token["end"])
        clock["letters"] = 0 if event["type"] == "final" else max(clock["letters"], len(tokens))

    socket.on("framesent", sent)
    socket.on("framereceived", received)


def test_photographs_before_the_camera(
    playwright: Playwright, shared_data: Path, address: str, tmp_path: Path
) -> None:
    """Letters of people, held one after the other."""
    rows = (shared_data / "letters_wild" / "index.csv").read_text().splitlines()[1:]
    frames = []
    for letter in "fly":
        path = [row.split(",")[0] for row in rows if f",{letter}," in f"{row},"][2]
        with Image.open(shared_data / "letters_wild" / path) as image:
            held = np.array(image.convert("RGB").resize((360, 480)))
        frames += [held] * (FPS * 3 // 4)
    browser = browser_before(playwright, camera_film(tmp_path / "fly.mjpeg", frames))
    page = browser.new_page()
    page.goto(address)
    start(page)
    expect(history(page)).to_have_text(re.compile("f.?l.?y"))
    browser.close()


def test_the_picture_is_a_mirror_if_wanted(opened: Opening) -> None:
    page = opened()
    start(page)
    shown = "element => getComputedStyle(element).transform"
    for part in ("#video", "#overlay"):
        assert page.locator(part).evaluate(shown) == "matrix(-1, 0, 0, 1, 0, 0)"
    page.get_by_label("Mirror", exact=True).uncheck()
    for part in ("#video", "#overlay"):
        assert page.locator(part).evaluate(shown) == "none"
    page.get_by_label("Hands").uncheck()
    expect(page.locator("#overlay")).to_be_hidden()


def test_a_phone_that_is_turned_begins_another_stream(opened: Opening) -> None:
    """The pictures of one stream have one size."""
    page = opened()
    start(page)
    with page.expect_websocket():
        page.locator("#video").dispatch_event("resize")
    expect(page.locator("#pace")).to_have_text(re.compile("pictures a second"))


def test_words_that_are_expected_go_to_the_server(opened: Opening) -> None:
    page = opened()
    page.get_by_label("Words, one a line").fill("Hello\n\n  Ada ")
    sent: list[str | bytes] = []
    page.on(
        "websocket", lambda socket: socket.on("framesent", lambda message: sent.append(message))
    )
    start(page)
    asked = {"type": "start", "model": "fingerspelling", "words": ["Hello", "Ada"]}
    assert json.loads(sent[0]) == asked
    button(page, "Stop").click()
    read_example(page)
    with page.expect_download() as downloading:
        button(page, "Download hello.mp4 as json").click()
    document = json.loads(Path(downloading.value.path()).read_text())
    expected = chereme.recognize(EXAMPLE, words=["hello", "ada"]).info["decoding"]
    assert document["info"]["decoding"] == expected
    assert expected != chereme.recognize(EXAMPLE).info["decoding"]


def test_no_words_go_to_a_model_that_reads_none(opened: Opening) -> None:
    page = opened()
    page.get_by_label("Words, one a line").fill("Hello")
    page.get_by_label("Model").select_option("fingerspelled_letters")
    expect(page.get_by_label("Words, one a line")).to_be_disabled()
    page.get_by_label("Open a file").set_input_files(EXAMPLE)
    expect(page.locator("#status")).to_have_text(re.compile("hello.mp4: "), timeout=60_000)
    page.get_by_label("Model").select_option("fingerspelling")
    expect(page.get_by_label("Words, one a line")).to_be_enabled()


def test_a_camera_that_may_not_be_used(opened: Opening) -> None:
    page = opened(
        before="""navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException("", "NotAllowedError");
        };"""
    )
    button(page, "Start camera").click()
    expect(page.get_by_role("alert")).to_contain_text("not allowed to use the camera")
    expect(button(page, "Start camera")).to_be_enabled()


def test_a_server_without_a_place(browser: Browser) -> None:
    with Server("--sessions", 0) as server:
        page = browser.new_page()
        page.goto(server.url)
        button(page, "Start camera").click()
        expect(page.get_by_role("alert")).to_contain_text("try again in a few seconds")
        expect(button(page, "Start camera")).to_be_enabled()
        page.close()


def test_a_server_that_goes(opened: Opening) -> None:
    """What was read before stays."""
    page = opened()

    def stand_in(socket: Any) -> None:
        def answer(message: str | bytes) -> None:
            if isinstance(message, str):
                ready = {"type": "ready", "unit": "letter", "alphabet": ["a"], "limits": {}}
                socket.send(json.dumps(ready))
                return
            token = {"text": "a", "start": 0.0, "end": 0.1, "probability": 0.4}
            socket.send(json.dumps({"type": "final", "text": "a", "tokens": [token]}))
            socket.close(code=1001)

        socket.on_message(answer)

    page.route_web_socket("**/v1/stream", stand_in)
    button(page, "Start camera").click()
    expect(page.get_by_role("alert")).to_contain_text("The connection to the server was lost")
    expect(history(page)).to_have_text("a")
    expect(page.locator("#letters .unsure")).to_have_count(1)
    expect(button(page, "Start camera")).to_be_enabled()


# --- files -------------------------------------------------------------------------------------


def read_example(page: Page, path: Path = EXAMPLE) -> None:
    page.get_by_label("Open a file").set_input_files(path)
    expect(history(page)).to_have_text(["hello"])


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the example, which are read sooner."""
    path = tmp_path_factory.mktemp("landmarks") / "hello.npz"
    write_landmarks(detect_hands(EXAMPLE).landmarks, path)
    return path


def test_a_file_is_read_and_its_letters_follow_the_video(opened: Opening) -> None:
    page = opened()
    read_example(page)
    expect(page.locator("#letters .letter")).to_have_text(list("hello"))
    page.locator("#video").evaluate("video => { video.currentTime = 1; }")
    marked = page.locator("#letters .now .letter")
    expect(marked).to_have_text(["o"])


def test_a_file_that_cannot_be_read(opened: Opening, tmp_path: Path) -> None:
    page = opened()
    (tmp_path / "clip.mp4").write_text("no video")
    page.get_by_label("Open a file").set_input_files(tmp_path / "clip.mp4")
    expect(page.get_by_role("alert")).to_contain_text("clip.mp4")
    expect(history(page)).to_have_count(0)


def test_downloads_are_what_the_writers_write(opened: Opening, tmp_path: Path) -> None:
    page = opened()
    read_example(page)
    saved = {}
    for form in ("json", "txt", "srt", "eaf"):
        with page.expect_download() as downloading:
            button(page, f"Download hello.mp4 as {form}").click()
        assert downloading.value.suggested_filename == f"hello.{form}"
        saved[form] = Path(downloading.value.path()).read_text()
    document = json.loads(saved["json"])
    assert document["text"] == "hello"
    tokens = tuple(Token(**token) for token in document["tokens"])
    transcript = Transcript(document["text"], tokens)
    assert saved["txt"] == write(transcript, None, "txt")
    assert saved["srt"] == write(transcript, None, "srt")
    values = [e.text for e in ElementTree.fromstring(saved["eaf"]).iter("ANNOTATION_VALUE")]
    assert values[0] == "hello"
    assert sorted(values[1:]) == sorted("hello")
    button(page, "Copy the text of hello.mp4").click()
    expect(page.locator("#status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "hello"


# --- practice ----------------------------------------------------------------------------------


def practise(page: Page, word: str) -> None:
    page.get_by_role("tab", name="Practise").click()
    page.get_by_label("A word of your own").fill(word)
    button(page, "Use it").click()


def test_a_word_is_practised_letter_by_letter(opened: Opening) -> None:
    page = opened()
    practise(page, "Héllo!")
    expect(page.locator("#target li")).to_have_count(5)
    expect(page.locator("#feedback")).to_have_text("Start the camera, then spell.")
    start(page)
    expect(page.locator("#done li")).to_have_text(re.compile(r"^hello, \d+ letters a minute$"))
    # The next word comes by itself: the hands are free.
    expect(page.locator("#target .next")).to_have_count(1)
    assert "hello" not in "".join(page.locator("#target li").all_inner_texts()).lower()


def test_who_is_stuck_sees_the_handshape(opened: Opening) -> None:
    page = opened()
    practise(page, "jazz")
    handshape = page.locator("#handshape")
    expect(handshape).to_be_hidden()
    start(page)
    expect(page.locator("#feedback")).to_have_text(re.compile("That was read as [A-Z]. Next: J"))
    expect(handshape).to_be_visible()
    drawing = page.get_by_role("img", name="J, as a mirror shows it, along the arrow.")
    expect(drawing).to_have_class("flipped")
    assert drawing.locator("use").evaluate("use => use.getBBox().height") > 100
    page.get_by_label("Mirror", exact=True).uncheck()
    expect(page.get_by_role("img", name="J, as others see it, along the arrow.")).to_have_class("")


def test_a_handshape_is_shown_when_asked_for(opened: Opening) -> None:
    page = opened()
    practise(page, "b")
    button(page, "Show the handshape").click()
    expect(page.locator("#handshape")).to_be_visible()
    button(page, "Show the handshape").click()
    expect(page.locator("#handshape")).to_be_hidden()


@pytest.mark.parametrize(
    ("word", "read", "at", "instead"),
    [
        ("ada", "", 0, [None, None, None]),
        ("ada", "ada", 3, [None, None, None]),
        ("ada", "axda", 3, [None, "x", None]),
        ("ada", "ad", 2, [None, None, None]),
        ("ada", "dab", 1, ["d", "b", None]),
        ("all", "al", 2, [None, None, None]),
        ("all", "allx", 3, [None, None, None]),
    ],
)
def test_what_was_read_is_compared_with_the_word(
    opened: Opening, word: str, read: str, at: int, instead: list[str | None]
) -> None:
    compared = opened().evaluate(
        """async ([word, read]) => {
            const { compare } = await import("/page/practice.js");
            return compare(word, [...read].map((text) => ({ text })));
        }""",
        [word, read],
    )
    assert compared["at"] == at
    assert [letter["instead"] for letter in compared["letters"]] == instead
    assert [letter["token"] is not None for letter in compared["letters"]] == [
        place < at for place in range(len(word))
    ]


def test_speed_is_letters_a_minute(opened: Opening) -> None:
    """Five letters in two seconds, from the beginning of the first to the end of the last."""
    speeds = opened().evaluate(
        """async () => {
            const { speed } = await import("/page/practice.js");
            const letter = (start, end) => ({ token: { start, end } });
            const five = [1, 1.4, 1.8, 2.2, 2.6].map((start) => letter(start, start + 0.4));
            return [speed(five), speed([letter(1, 2)])];
        }"""
    )
    assert speeds == [150, None]


# --- whoever uses it, on whatever --------------------------------------------------------------


def focused(page: Page) -> dict[str, Any]:
    """What has the keyboard: its name, and whether that can be seen."""
    found: dict[str, Any] = page.evaluate(
        """() => {
            const focus = document.activeElement;
            const shown = focus.closest("label.button") ?? focus;
            return { isPage: focus === document.body, id: focus.id, name: focus.textContent.trim(),
                     outline: getComputedStyle(shown).outlineStyle };
        }"""
    )
    return found


def test_the_keyboard_is_enough(opened: Opening) -> None:
    page = opened()

    def reach(wanted: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            now = focused(page)
            assert now["isPage"] or now["outline"] != "none", now
            if wanted in (now["id"], now["name"]):
                return
        raise AssertionError(f"{wanted} is out of reach")

    reach("camera")
    page.keyboard.press("Enter")
    expect(history(page)).to_have_count(1)
    for part in ("file", "mirror", "hands"):
        reach(part)
    reach("tab-read")
    reach("json")
    with page.expect_download():
        page.keyboard.press("Enter")
    reach("words")
    reach("camera")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("The camera is off")
    reach("tab-read")
    page.keyboard.press("ArrowRight")
    assert focused(page)["id"] == "tab-practise"
    expect(page.locator("#panel-practise")).to_be_visible()
    reach("show")
    page.keyboard.press("Space")
    expect(page.locator("#handshape")).to_be_visible()
    reach("own-word")
    page.keyboard.type("ink")
    page.keyboard.press("Enter")
    expect(page.locator("#target li")).to_have_count(3)


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_shows_all_of_it(opened: Opening, landmarks: Path, width: int) -> None:
    page = opened((width, PHONE[1]), has_touch=True, is_mobile=True)
    read_example(page, landmarks)
    for tab in ("Read", "Practise"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for pressed in page.locator("button:visible, label:visible:has(input)").all():
            box = pressed.bounding_box() or {}
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 36, pressed.inner_text()


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_axe_finds_no_fault(opened: Opening, size: tuple[int, int], scheme: str) -> None:
    page = opened(size, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    faults = []

    def check() -> None:
        for fault in page.evaluate("axe.run()")["violations"]:
            places = [node["target"] for node in fault["nodes"]]
            faults.append((fault["impact"], fault["id"], fault["help"], places))

    page.add_script_tag(path=AXE)
    check()
    start(page)
    expect(history(page)).to_have_count(1)
    check()
    practise(page, "jazz")
    button(page, "Show the handshape").click()
    expect(page.locator("#target .note").first).to_have_text(re.compile("not"))
    check()
    practise(page, "hello")
    expect(page.locator("#done li").first).to_be_visible()
    check()
    button(page, "Stop").click()
    page.get_by_label("Open a file").set_input_files(__file__)
    expect(page.get_by_role("alert")).not_to_be_empty()
    check()
    assert faults == []


def test_nothing_moves_for_those_who_want_it_still(opened: Opening, landmarks: Path) -> None:
    moving = """() => [...document.querySelectorAll("*")]
        .map((element) => getComputedStyle(element))
        .filter((style) => style.animationName !== "none" || style.transitionDuration !== "0s")
        .length"""
    counts = []
    for motion in ("no-preference", "reduce"):
        page = opened(reduced_motion=motion)
        read_example(page, landmarks)
        counts.append(page.evaluate(moving))
    assert counts[0] > 0
    assert counts[1] == 0


def test_the_page_says_that_nothing_leaves_the_machine(opened: Opening) -> None:
    expect(opened().locator("header")).to_contain_text(
        "Nothing leaves the machine that serves this page"
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_is_from_elsewhere(file: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text())
    assert set(addresses) <= {"http://www.w3.org"}
