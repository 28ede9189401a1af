"""``chereme recognize`` as a user meets it: streams, files, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import fakes
from chereme.cli import app
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.recognition import registry
from chereme.video import open_video, write_video


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundles") / "fake"
    fakes.make_bundle(folder)
    return str(folder)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for text in ("vail", "dab"):
        write_landmarks(fakes.spell(text), tmp_path / f"{text}.npz")
    write_landmarks(fakes.spell("___"), tmp_path / "nobody.npz")
    (tmp_path / "broken.npz").write_text("this is a text")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["recognize", *map(str, arguments)])


def test_one_input_prints_its_text_alone(clips: Path, model: str) -> None:
    result = run(clips / "vail.npz", "--model", model)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "vail\n", "")


def test_several_inputs_print_path_and_text(clips: Path, model: str) -> None:
    vail, dab = clips / "vail.npz", clips / "dab.npz"
    result = run(vail, dab, "--model", model)
    assert (result.exit_code, result.stdout) == (0, f"{vail}\tvail\n{dab}\tdab\n")


def test_a_bad_input_does_not_stop_the_others(clips: Path, model: str) -> None:
    result = run(clips / "broken.npz", clips / "absent.npz", clips / "dab.npz", "--model", model)
    assert result.exit_code == 1
    assert result.stdout == f"{clips / 'dab.npz'}\tdab\n"
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("chereme: error: ")
    assert "broken.npz" in lines[0]
    assert "absent.npz" in lines[1]


def test_no_hand_is_an_empty_line_and_a_warning(clips: Path, model: str) -> None:
    path = clips / "nobody.npz"
    result = run(path, "--model", model)
    assert (result.exit_code, result.stdout) == (0, "\n")
    assert result.stderr.startswith(f"chereme: warning: {path}: no hand found in 27 frames")


def test_json_of_one_and_of_several(clips: Path, model: str) -> None:
    one = json.loads(run(clips / "vail.npz", "--model", model, "--format", "json").stdout)
    assert one["text"] == "vail"
    assert one["source"] == str(clips / "vail.npz")
    assert [token["text"] for token in one["tokens"]] == list("vail")
    several = run(clips / "vail.npz", clips / "dab.npz", "--model", model, "--format", "json")
    assert [json.loads(line)["text"] for line in several.stdout.splitlines()] == ["vail", "dab"]


@pytest.mark.parametrize("form", ["srt", "vtt", "tsv", "eaf"])
def test_other_formats(clips: Path, model: str, form: str) -> None:
    result = run(clips / "vail.npz", "--model", model, "--format", form)
    assert result.exit_code == 0
    assert "v" in result.stdout
    several = run(clips / "vail.npz", clips / "dab.npz", "--model", model, "--format", form)
    assert several.exit_code == 2
    assert "-o DIR" in several.stderr


def test_equal_base_names_never_overwrite_each_other(clips: Path, model: str) -> None:
    other = clips / "other"
    other.mkdir()
    other_file = other / "vail.npz"
    write_landmarks(fakes.spell("lid"), other_file)
    out = clips / "out"
    result = run(clips / "vail.npz", other_file, "--model", model, "-f", "json", "-o", out)
    assert result.exit_code == 0
    written = sorted(out.iterdir())
    assert len(written) == 2
    assert {json.loads(path.read_text())["text"] for path in written} == {"vail", "lid"}
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["source"] for line in lines] == [str(clips / "vail.npz"), str(other_file)]


def test_a_failed_input_writes_no_file(clips: Path, model: str) -> None:
    out = clips / "out"
    result = run(clips / "broken.npz", clips / "dab.npz", "--model", model, "-o", out)
    assert result.exit_code == 1
    assert [path.name for path in out.iterdir()] == ["dab.txt"]


def test_options_reach_the_recognizer(clips: Path, model: str) -> None:
    def info(*arguments: str) -> dict:
        result = run(clips / "vail.npz", "--model", model, "-f", "json", *arguments)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["info"]

    assert info("--beam-width", "2")["decoding"]["beam_width"] == 2
    assert info("--greedy")["decoding"] == {"method": "greedy"}
    assert info("--mirrored")["signing_hand"] == "left"
    assert info("--hand", "right")["signing_hand"] == "right"
    assert info("--hand", "left")["signing_hand"] is None
    assert info("--no-lm", "--strict", "--threads", "1", "--rate", "25")["decoding"]["lm"] is False
    (clips / "names.txt").write_text("Ida\n\nBäd-Lad\n")
    assert info("--words", str(clips / "names.txt"))["decoding"]["words"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "names.txt"),
        (b"", "words: expected 1 to 200,000 words, got 0"),
        (b"ida\nbad4u\n", "got 'bad4u' with '4'"),
        (
            b"ida\n\xff\n",
            "expected a text file in UTF-8, one word a line, got",
        ),
    ],
)
def test_lists_of_words_that_are_none(
    clips: Path, model: str, content: bytes | None, message: str
) -> None:
    names = clips / "names.txt"
    if content is not None:
        names.write_bytes(content)
    result = run(clips / "vail.npz", "--model", model, "--words", names)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundled models of landmarks and of pictures."""
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "weights")
    first = registry.MODELS["fingerspelling"]
    pictures = replace(first, name="fingerspelling_rgb", input="rgb")
    monkeypatch.setattr(registry, "MODELS", {m.name: m for m in (first, pictures)})
    for model in (first, pictures):
        fakes.make_bundle(model.directory, stream=model.input, name=model.name)


def test_streams(
    tmp_path: Path, clips: Path, family: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = fakes.recording(tmp_path / "clip.mp4", "dab")
    monkeypatch.setattr(
        "chereme.hands.detector.own_detector",
        lambda still: fakes.FakeDetector(hands),
    )

    def info(*arguments: object) -> dict:
        result = run(*arguments, "-f", "json")
        assert result.exit_code == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["text"] in ("dab", "vail")
        return document["info"]

    clip = tmp_path / "clip.mp4"
    for stream, inputs in (
        ("landmarks", ["landmarks"]),
        ("rgb", ["rgb"]),
        ("fused", ["landmarks", "rgb"]),
    ):
        found = info(clip, "--stream", stream)
        assert found["stream"] == stream
        assert [model["input"] for model in found["models"]] == inputs
        assert all(len(model["sha256"]) == 64 for model in found["models"])
    assert info(clip)["stream"] == info(clip, "--stream", "auto")["stream"]
    result = run(clips / "vail.npz", "--stream", "fused")
    assert (result.exit_code, result.stdout) == (0, "vail\n")
    assert "only landmarks: read with landmarks alone" in result.stderr
    refused = run(clips / "vail.npz", "--stream", "rgb")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "got landmarks" in refused.stderr
    assert run(clips / "vail.npz").stderr == ""


@pytest.mark.parametrize("stream", ["rgb", "fused"])
def test_a_stream_against_the_model_is_exit_code_2(clips: Path, model: str, stream: str) -> None:
    result = run(clips / "vail.npz", "--model", model, "--stream", stream)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"'fake' reads landmarks, but the stream {stream} needs" in result.stderr
    assert run(clips / "vail.npz", "--model", model, "--stream", "landmarks").stdout == "vail\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("clip.npz", "--stream", "video"),
        ("clip.npz", "--format", "docx"),
        ("clip.npz", "--hand", "third"),
        ("clip.npz", "--model", "no_such_model"),
        ("clip.npz", "--task", "continuous"),
        ("clip.npz", "--detector", "none"),
        ("clip.npz", "--beam-width", "many"),
        ("clip.npz", "--no-such-option"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_wrong_values_of_options_are_exit_code_2(clips: Path, model: str) -> None:
    for option in ("--beam-width", "--threads"):
        result = run(clips / "vail.npz", "--model", model, option, "0")
        assert result.exit_code == 2, option
        assert "expected 1 or more, got 0" in result.stderr


def test_options_of_other_tasks_are_exit_code_2(clips: Path, model: str) -> None:
    for option, task in (
        (("--top", "3"), "single signs"),
        (("--min-probability", "0.5"), "single signs"),
        (("--read-with", "ctc"), "continuous signing"),
    ):
        result = run(clips / "vail.npz", "--model", model, *option)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{option[0]} is of {task}, but the model" in result.stderr


def test_rates_that_are_none_are_exit_code_2(clips: Path, model: str) -> None:
    for rate in ("inf", "0"):
        result = run(clips / "vail.npz", "--model", model, "--rate", rate)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"rate: expected a finite number of frames a second, above 0, got {rate}" in (
            result.stderr
        )


def test_the_model_must_be_of_the_task(clips: Path, model: str) -> None:
    result = run(clips / "vail.npz", "--model", model, "--task", "continuous")
    assert result.exit_code == 2
    assert "is for fingerspelling, not for continuous" in result.stderr


def test_a_hostile_model_is_refused_in_one_line(clips: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.pt"
    checkpoint.write_bytes(b"\x80\x02.")
    result = run(clips / "vail.npz", "--model", checkpoint)
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "pickled files can run code" in result.stderr


def test_tracebacks_only_when_debugging(
    clips: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHEREME_DEBUG", "1")
    result = run(clips / "broken.npz", "--model", model)
    assert type(result.exception).__name__ == "InputError"


def test_interruption_is_130(clips: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chereme.recognition.recognizer.detect_hands", interrupt)
    result = run(clips / "vail.npz", "--model", model)
    assert result.exit_code == 130
    assert result.stderr == "chereme: interrupted\n"


def test_an_output_folder_that_cannot_be_made_is_one_line(clips: Path, model: str) -> None:
    result = run(clips / "vail.npz", "--model", model, "-o", clips / "dab.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith("chereme: error: ")
    assert len(result.stderr.splitlines()) == 1


def test_an_overlay_of_one_input_is_a_file(clips: Path, model: str) -> None:
    film = clips / "films" / "seen.mp4"
    result = run(clips / "vail.npz", "--model", model, "--overlay", film)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "vail\n", "")
    with open_video(film) as video:
        assert sum(1 for _ in video) == len(fakes.spell("vail").timestamps)


def test_overlays_of_several_inputs_are_a_folder(clips: Path, model: str) -> None:
    vail, dab, broken = (clips / f"{name}.npz" for name in ("vail", "dab", "broken"))
    refused = run(vail, dab, "--model", model, "--overlay", clips / "seen.mp4")
    assert refused.exit_code == 2
    assert "several inputs do not fit one file: expected a folder" in refused.stderr
    result = run(vail, broken, dab, "--model", model, "--overlay", clips / "films")
    assert result.exit_code == 1
    assert result.stdout == f"{vail}\tvail\n{dab}\tdab\n"
    assert sorted(path.name for path in (clips / "films").iterdir()) == ["dab.mp4", "vail.mp4"]


def test_an_overlay_of_another_kind_or_over_its_input_is_refused(clips: Path, model: str) -> None:
    clip = clips / "clip.mp4"
    write_video(clip, [np.zeros((48, 64, 3), np.uint8)] * 2, 30.0)
    before = clip.read_bytes()
    for film, message in ((clips / "film.avi", ".mp4, .mov, .mkv"), (clip, "the input itself")):
        result = run(clip, "--model", model, "--overlay", film)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
    assert clip.read_bytes() == before


def test_an_overlay_of_a_real_recording(shared_data: Path, model: str, tmp_path: Path) -> None:
    clip, film, found = tmp_path / "clip.mp4", tmp_path / "film.mp4", tmp_path / "found.npz"
    with open_video(shared_data / "fingerspelling_dev" / "video" / "of.mp4") as video:
        pictures = [frame.image[100:500, 350:890] for frame in islice(video, 15, 35)]
    # A rate that changes, as telephones record.
    times = [(i if i < 10 else 2 * i - 10) / 30 for i in range(len(pictures))]
    write_video(clip, pictures, 30.0, timestamps=times)
    assert run(clip, "--model", model, "--overlay", film).exit_code == 0
    assert CliRunner().invoke(app, ["landmarks", str(clip), "-o", str(found)]).exit_code == 0
    with open_video(clip) as before, open_video(film) as after:
        frames, films = list(before), list(after)
    assert [f.timestamp for f in films] == pytest.approx([f.timestamp for f in frames], abs=1e-4)
    landmarks = read_landmarks(found)
    seen = (landmarks.confidence > 0).any(axis=2)
    assert seen.mean() > 0.6
    y, x = np.mgrid[:400, :540]
    for t in np.flatnonzero(seen[:, 0]):
        change = np.abs(films[t].image[:400].astype(int) - frames[t].image).max(axis=2)
        joints = landmarks.landmarks[t, 0, :, :2]
        at = joints.round().astype(int).clip(0, [539, 399])
        assert np.median(change[at[:, 1], at[:, 0]]) > 40
        (left, top), (right, bottom) = joints.min(axis=0) - 10, joints.max(axis=0) + 10
        beside = (x < left) | (x > right) | (y < top) | (y > bottom)
        assert change[beside].mean() < 6  # compressed twice, and nothing more
