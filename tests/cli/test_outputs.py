"""What ``chereme recognize`` writes and prints: formats, files that are there, names, failures."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

import fakes
from chereme.cli import app
from chereme.formats import transcripts
from chereme.formats.eaf import read_eaf
from chereme.formats.poses import write_landmarks
from child import interruptible

FORMS = ["txt", "json", "srt", "vtt", "tsv", "eaf"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundles") / "fake"
    fakes.make_bundle(folder)
    return str(folder)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for text in ("vail", "dab"):
        write_landmarks(fakes.spell(text), tmp_path / f"{text}.npz")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["recognize", *map(str, arguments)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- formats ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "forms"),
    [
        (("-f", "srt,eaf,json"), ["srt", "eaf", "json"]),
        (("-f", "srt, EAF", "-f", "srt"), ["srt", "eaf"]),
        (("-f", "all"), FORMS),
        (("-f", "txt,all"), FORMS),
    ],
)
def test_several_formats_of_one_reading(
    clips: Path, model: str, arguments: tuple[str, ...], forms: list[str]
) -> None:
    vail, dab, out = clips / "vail.npz", clips / "dab.npz", clips / "out"
    result = run(vail, dab, "--model", model, *arguments, "-o", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{vail}\tvail\n{dab}\tdab\n"
    assert names(out) == sorted(f"{stem}.{form}" for stem in ("vail", "dab") for form in forms)
    if "srt" in forms:
        alone = run(vail, "--model", model, "-f", "srt").stdout
        assert (out / "vail.srt").read_text().rstrip("\n") == alone.rstrip("\n")


def test_each_input_is_read_once_for_all_formats(
    clips: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chereme.recognition.fingerspelling import Recognizer

    reads, recognize = [], Recognizer.recognize

    def count(self: Recognizer, source: Path, **options: object) -> object:
        reads.append(source)
        return recognize(self, source, **options)

    monkeypatch.setattr(Recognizer, "recognize", count)
    run(clips / "vail.npz", "--model", model, "-f", "all", "-o", clips / "out")
    assert reads == [clips / "vail.npz"]


@pytest.mark.parametrize("form", FORMS)
def test_a_name_of_a_file_says_its_format(clips: Path, model: str, form: str) -> None:
    file = clips / "new" / f"Result.{form.upper()}"
    result = run(clips / "vail.npz", "--model", model, "-o", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert names(clips / "new") == [file.name]
    again = run(clips / "vail.npz", "--model", model, "-o", clips / "out", "-f", form)
    assert again.exit_code == 0
    if form not in ("json", "eaf"):  # these say when they were made
        assert file.read_text() == (clips / "out" / f"vail.{form}").read_text()
    text = "vail\n"
    assert (json.loads(result.stdout)["text"] + "\n" if form == "json" else result.stdout) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "a.srt", "-f", "eaf"), "-o a.srt is a file of srt, but --format says eaf"),
        (("-o", "a.srt", "-f", "all"), "is a file of srt"),
        (("-o", "a.srt", "-f", "srt,vtt"), "is a file of srt"),
        (("-f", "srt,vtt"), "several formats do not fit one output: give a folder with -o DIR"),
        (("-f", "all"), "several formats"),
        (("-f", "srt,docx", "-o", "out"), "expected some of txt, json, srt, vtt, tsv, eaf"),
        (("-f", "", "-o", "out"), "an argument is empty"),
        (("-o", "reading.docx"), "-o reading.docx: expected a folder, or a file that ends in .txt"),
        (
            ("-o", "sub/reading.mp4", "-f", "srt"),
            "-o sub/reading.mp4: expected a folder, or a file",
        ),
        (("-f", "srt,", "-o", "out"), "expected some of txt"),
        (("--skip-existing",), "--skip-existing is of files that -o"),
        (("--skip-existing", "--overwrite", "-o", "out"), "and not with --overwrite"),
    ],
)
def test_outputs_that_contradict_are_wrong_use(
    clips: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(clips)
    before = names(clips)
    result = run("vail.npz", *arguments, "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert names(clips) == before


def test_a_folder_may_be_called_like_a_file(clips: Path, model: str) -> None:
    (clips / "day.srt").mkdir()
    assert run(clips / "vail.npz", "--model", model, "-o", clips / "day.srt").exit_code == 0
    assert names(clips / "day.srt") == ["vail.txt"]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("filed", [False, True])
def test_json_is_an_object_a_line(clips: Path, model: str, several: bool, filed: bool) -> None:
    inputs = [clips / "vail.npz", *([clips / "dab.npz"] if several else [])]
    output = ("-o", clips / "out") if filed else ()
    result = run(*inputs, "--model", model, "-f", "json", *output)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["source"] for line in lines] == list(map(str, inputs))
    if filed:
        assert json.loads((clips / "out" / "vail.json").read_text()) == lines[0]


# -- what is there already -------------------------------------------------------------------------
def test_an_annotation_edited_by_hand_is_kept(clips: Path, model: str) -> None:
    out = clips / "out"
    arguments = (clips / "vail.npz", clips / "dab.npz", "--model", model, "-f", "eaf", "-o", out)
    assert run(arguments[0], *arguments[2:]).exit_code == 0
    (out / "vail.eaf").write_text("hours of work")
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == f"{clips / 'dab.npz'}\tdab\n"
    assert "vail.eaf is there already and was left as it is" in result.stderr
    assert "--overwrite" in result.stderr
    assert (out / "vail.eaf").read_text() == "hours of work"
    assert names(out) == ["dab.eaf", "vail.eaf"]
    assert run(*arguments, "--overwrite").exit_code == 0
    assert (out / "vail.eaf").read_text().startswith("<?xml")


def test_skip_existing_reads_what_lacks_a_file(clips: Path, model: str) -> None:
    vail, dab, out = clips / "vail.npz", clips / "dab.npz", clips / "out"
    out.mkdir()
    for name in ("vail.srt", "vail.txt", "dab.txt"):
        (out / name).write_text("mine")
    arguments = (vail, dab, "--model", model, "-f", "srt,txt", "-o", out, "--skip-existing")
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, f"{dab}\tdab\n")
    assert result.stderr.startswith(f"chereme: {vail}: skipped")
    assert names(out) == ["dab.srt", "dab.txt", "vail.srt", "vail.txt"]
    assert {path.read_text() for path in out.iterdir() if path.name != "dab.srt"} == {"mine"}
    again = run(*arguments)
    assert (again.exit_code, again.stdout) == (0, "")
    assert len(again.stderr.splitlines()) == 2


def test_a_film_that_is_there_is_kept(clips: Path, model: str) -> None:
    film = clips / "seen.mp4"
    film.write_bytes(b"mine")
    result = run(clips / "vail.npz", "--model", model, "--overlay", film)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "seen.mp4 is there already" in result.stderr
    assert film.read_bytes() == b"mine"
    skipped = run(clips / "vail.npz", "--model", model, "--overlay", film, "--skip-existing")
    assert (skipped.exit_code, film.read_bytes()) == (0, b"mine")
    done = run(clips / "vail.npz", "--model", model, "--overlay", film, "--overwrite")
    assert (done.exit_code, done.stdout) == (0, "vail\n")
    assert film.read_bytes() != b"mine"


# -- what cannot be written ------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["a folder in its place", "too long", "full disk"])
def test_an_output_that_cannot_be_written_takes_nothing_from_the_others(
    clips: Path, model: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first, dab = clips / "out", clips / "vail.npz", clips / "dab.npz"
    if kind == "a folder in its place":
        (out / "vail.txt").mkdir(parents=True)
    elif kind == "too long":
        first = (clips / "vail.npz").rename(clips / ("v" * 251 + ".npz"))
    else:
        save = transcripts.save

        def full(text: str, path: Path, **options: bool) -> None:
            if path.stem == "vail":
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            save(text, path, **options)

        monkeypatch.setattr(transcripts, "save", full)
    forms = "txt" if kind != "too long" else "txt,json"
    result = run(first, dab, "--model", model, "-f", forms, "-o", out)
    if kind == "too long":  # .txt fits, .json does not
        assert (out / f"{first.stem}.txt").read_text() == "vail\n"
    assert result.exit_code == 1
    assert result.stdout == f"{first}\tvail\n{dab}\tdab\n"
    assert result.stderr.startswith("chereme: error: ")
    assert len(result.stderr.splitlines()) == 1
    assert (out / "dab.txt").read_text() == "dab\n"


@pytest.mark.parametrize("option", ["-o", "--overlay"])
def test_a_place_that_cannot_be_is_told_first_and_the_text_is_printed(
    clips: Path, model: str, option: str
) -> None:
    nobody = clips / "nobody.npz"
    write_landmarks(fakes.spell("___"), nobody)
    result = run(nobody, clips / "vail.npz", "--model", model, option, "/proc/nope")
    assert (result.exit_code, result.stdout) == (1, f"{nobody}\t\n{clips / 'vail.npz'}\tvail\n")
    told = result.stderr.splitlines()
    assert told[0].startswith("chereme: error: /proc/nope/nobody.")
    assert told[1].startswith("chereme: error: /proc/nope/vail.")
    assert told[2].startswith("chereme: warning: ")  # of what was read after that


def test_a_film_that_fails_on_the_way_takes_nothing_from_the_text(
    clips: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("chereme.recognition.overlay.write_video", full)
    out = clips / "out"
    result = run(clips / "vail.npz", "--model", model, "--overlay", clips / "seen.mp4", "-o", out)
    assert (result.exit_code, result.stdout) == (1, "vail\n")
    assert "No space left on device" in result.stderr
    assert (out / "vail.txt").read_text() == "vail\n"


def test_an_input_whose_name_is_too_long_to_be_there(clips: Path, model: str) -> None:
    result = run("v" * 5000, clips / "dab.npz", "--model", model, "-o", clips / "out")
    assert (result.exit_code, result.stdout) == (1, f"{clips / 'dab.npz'}\tdab\n")
    assert names(clips / "out") == ["dab.txt"]


# -- names and terminals ---------------------------------------------------------------------------
NASTY = "two\nlines\t\x1b[31mred\u202e.npz"
SHOWN = r"two\nlines\t\x1b[31mred\u202e.npz"


def test_names_are_shown_escaped(clips: Path, model: str) -> None:
    good, nobody, broken = (clips / f"{kind}{NASTY}" for kind in ("good", "nobody", "broken"))
    (clips / "vail.npz").rename(good)
    write_landmarks(fakes.spell("___"), nobody)
    broken.write_text("this is a text")
    result = run(good, nobody, broken, "--model", model, "-o", clips / "out")
    assert result.exit_code == 1
    assert result.stdout == f"{clips}/good{SHOWN}\tvail\n{clips}/nobody{SHOWN}\t\n"
    warning, error = sorted(result.stderr.splitlines(), reverse=True)
    assert warning.startswith(f"chereme: warning: {clips}/nobody{SHOWN}: no hand")
    assert error.startswith(f"chereme: error: {clips}/broken{SHOWN}: ")
    again = run(good, "--model", model, "-o", clips / "out", "--skip-existing")
    assert f"good{SHOWN}: skipped" in again.stderr
    line = run(good, "--model", model, "-f", "json").stdout
    assert json.loads(line)["source"] == str(good)
    assert "\x1b" not in line
    assert "\u202e" not in line


PROGRAM = [sys.executable, "-c", "from chereme.cli import main; main()", "recognize"]


def child(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        timeout=120,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", ["txt", "json"])
def test_consoles_of_other_encodings(clips: Path, model: str, encoding: str, form: str) -> None:
    hand = (clips / "vail.npz").rename(clips / "✋é👋.npz")
    nobody = clips / "☹.npz"
    write_landmarks(fakes.spell("___"), nobody)
    done = child(
        hand, nobody, clips / "dab.npz", "--model", model, "-f", form, "-o", clips / "out",
        PYTHONIOENCODING=encoding,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"no hand found" in done.stderr
    # Click writes UTF-8 where the console says that it has ASCII alone.
    lines = done.stdout.decode("utf-8" if encoding == "ascii" else encoding).splitlines()
    assert len(lines) == 3
    if form == "json":
        assert [json.loads(line)["text"] for line in lines] == ["vail", "", "dab"]
        assert json.loads(lines[0])["source"] == str(hand)
        assert json.loads((clips / "out" / "✋é👋.json").read_text("utf-8"))["source"] == str(hand)
    else:
        assert [line.split("\t")[1] for line in lines] == ["vail", "", "dab"]


def test_a_reader_that_goes_away(clips: Path, model: str) -> None:
    program = subprocess.Popen(
        [*PROGRAM, clips / "vail.npz", clips / "dab.npz", "--model", model, "-o", clips / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.close()
    _, stderr = program.communicate(timeout=120)
    assert (program.returncode, stderr) == (1, b"")
    assert (clips / "out" / "vail.txt").read_text() == "vail\n"
    assert names(clips / "out") == ["dab.txt", "vail.txt"]


def test_a_full_disk_behind_what_is_printed_takes_no_file(clips: Path, model: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, clips / "vail.npz", clips / "dab.npz", "--model", model, "-o", clips / "o"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert b"No space left on device" in done.stderr
    assert names(clips / "o") == ["dab.txt", "vail.txt"]


@pytest.mark.timeout(60)
def test_a_pipe_that_nobody_reads_takes_nothing_from_the_text(clips: Path, model: str) -> None:
    os.mkfifo(pipe := clips / "pipe.srt")
    result = run(clips / "vail.npz", "--model", model, "-o", pipe)
    assert (result.exit_code, result.stdout) == (1, "vail\n")
    assert "pipe.srt: nobody reads from this pipe" in result.stderr


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_streams_that_are_closed(clips: Path, model: str, closed: str) -> None:
    def close() -> None:
        for number in closed:
            os.close(int(number))

    done = subprocess.run(
        [*PROGRAM, clips / "vail.npz", "--model", model, "-o", clips / "out"],
        stdout=None if "1" in closed else subprocess.PIPE,
        stderr=None if "2" in closed else subprocess.PIPE,
        preexec_fn=close,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (None if "1" in closed else b"vail\n")
    assert (clips / "out" / "vail.txt").read_text() == "vail\n"


def test_interrupted_what_was_finished_is_kept(clips: Path, model: str) -> None:
    inputs = [clips / f"{number}.npz" for number in range(300)]
    for path in inputs:
        path.symlink_to(clips / "vail.npz")
    program = subprocess.Popen(
        [*PROGRAM, *inputs, "--model", model, "-o", clips / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    assert program.stdout is not None
    lines = [program.stdout.readline()]
    program.send_signal(signal.SIGINT)
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 130
    assert stderr == "chereme: interrupted\n"
    read = len(lines + stdout.splitlines())
    assert read < len(inputs)
    assert len(names(clips / "out")) in (read, read + 1)  # not yet printed
    assert {path.read_text() for path in (clips / "out").iterdir()} == {"vail\n"}


# -- ELAN ------------------------------------------------------------------------------------------
def annotation(folder: Path, model: str) -> Path:
    """One that ELAN might have, beside a recording called vail."""
    path = folder / "notes.eaf"
    assert run(folder / "dab.npz", "--model", model, "-o", path, "--tier", "RH").exit_code == 0
    return path


@pytest.mark.parametrize(
    ("more", "printed"),
    [
        ((), "vail\n"),
        (("-f", "eaf"), "vail\n"),
        (("-f", "tsv"), "start\tend"),
        (("-f", "json"), "{"),
    ],
)
def test_into_adds_tiers(clips: Path, model: str, more: tuple[str, ...], printed: str) -> None:
    path = annotation(clips, model)
    before = read_eaf(path)
    result = run(
        clips / "vail.npz", "--model", model, "--into", path, "--participant", "Ann",
        "--probability", "value", *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(printed)
    after = read_eaf(path)
    assert list(after.tiers) == ["RH", "RH-letters", "words", "letters"]
    assert {name: after.tiers[name] for name in before.tiers} == before.tiers
    letters = after.tiers["letters"]
    assert [a.value.split()[0] for a in letters.annotations] == list("vail")
    assert all(0 < float(a.value.split()[1]) <= 1 for a in letters.annotations)
    assert (letters.participant, letters.parent) == ("Ann", "words")


def test_into_a_file_that_cannot_be_is_found_before_the_reading(clips: Path, model: str) -> None:
    path = annotation(clips, model)
    before = path.read_bytes()
    # The input does not exist, so that an error about the annotation has come first.
    arguments = ("none.mp4", "--model", model, "--into")
    again = run(*arguments, path, "--tier", "RH")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "has a tier 'RH' already" in again.stderr
    assert path.read_bytes() == before
    broken = clips / "broken.eaf"
    broken.write_bytes(before[:500])
    for file in (clips / "none.eaf", broken, "/proc/nope/a.eaf"):
        result = run(*arguments, file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert str(file) in result.stderr
    assert broken.read_bytes() == before[:500]


def test_into_the_file_that_is_written_is_wrong_use(clips: Path, model: str) -> None:
    path = annotation(clips, model)
    before = path.read_bytes()
    arguments = ("--model", model, "--into", path, "-o", path, "--overwrite")
    result = run(clips / "vail.npz", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave out one" in result.stderr
    assert path.read_bytes() == before


def test_into_that_fails_on_the_way_takes_nothing_from_the_text(
    clips: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = annotation(clips, model)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("chereme.formats.outputs._settle", full)
    result = run(clips / "vail.npz", "--model", model, "--into", path)
    assert (result.exit_code, result.stdout) == (1, "vail\n")
    assert "No space left on device" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tier", "A"), "--tier is of ELAN files"),
        (("--participant", "A", "-f", "srt"), "--participant is of ELAN files"),
        (("--probability", "tier", "-f", "json"), "--probability is of ELAN files"),
        (("--tier", " ", "-f", "eaf"), "expected a name"),
        (("dab.npz", "--into", "a.eaf"), "--into is of one input, got 2"),
    ],
)
def test_wrong_use_of_elan_options(
    clips: Path, model: str, arguments: tuple[str, ...], message: str
) -> None:
    result = run(clips / "vail.npz", *arguments, "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_an_elan_file_is_dated_now(clips: Path, model: str) -> None:
    path = annotation(clips, model)
    date = ElementTree.parse(path).getroot().get("DATE")
    assert date is not None
    age = datetime.now().astimezone() - datetime.fromisoformat(date)
    assert timedelta(-1) < age < timedelta(minutes=10)
