import csv
import io
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chereme.errors import OutputError, UsageError
from chereme.formats.eaf import read_eaf
from chereme.formats.transcripts import TIMED, WRITERS, one_line, output_paths, save, write
from chereme.types import (
    Alternative,
    ContinuousResult,
    IsolatedResult,
    Token,
    Transcript,
    Video,
)

EMPTY = Transcript("", info={"frames": 3}, warnings=("no hand found",))
TWO_WORDS = Transcript(
    "ok jo",
    (
        Token("o", 0.0, 0.4, 0.9),
        Token("k", 0.4, 1.0, 0.8),
        Token(" ", 1.0, 1.2, 0.5),
        Token("j", 3661.5, 3661.6, 0.7),
        Token("o", 3661.6, 3661.7, 0.61234),
    ),
)


GLOSSES = ContinuousResult(
    "IX-1p fs-J<&",
    (Token("IX-1p", 0.5, 0.9, 0.987654321), Token("fs-J<&", 1.25, 1.5, 0.5)),
    alternatives=(Alternative("IX-1p fs-J<&", None), Alternative("IX-1p", None)),
)
UNTIMED = ContinuousResult("BOOK", (Token("BOOK", math.nan, math.nan, 0.5),))
SIGN = IsolatedResult(
    "GO",
    (Token("GO", 0.0, 0.28, 0.75),),
    alternatives=(Alternative("GO", 0.75), Alternative("NEW\tYORK", 0.125), Alternative("BE", 0.1)),
)
NO_ANSWER = replace(SIGN, text="", tokens=())


def test_txt_is_the_text_alone():
    assert write(TWO_WORDS, "a.mp4", "txt") == "ok jo\n"
    assert write(EMPTY, "a.mp4", "txt") == "\n"


def test_txt_of_a_single_sign_ranks_its_glosses():
    assert write(GLOSSES, None, "txt") == "IX-1p fs-J<&\n"
    assert write(SIGN, None, "txt", top=2) == "GO\t0.7500\nNEW\\tYORK\t0.1250\n"
    assert one_line(SIGN, 2) == "GO\tNEW\\tYORK"
    assert write(NO_ANSWER, None, "txt") == one_line(NO_ANSWER) == ""


def test_srt_has_numbered_cues_with_commas():
    assert write(TWO_WORDS, "a.mp4", "srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nok\n\n"
        "2\n01:01:01,500 --> 01:01:02,000\njo\n\n"  # 0.2 s stretched to the shortest cue
    )
    assert write(EMPTY, "a.mp4", "srt") == ""


def test_vtt_has_a_header_and_points():
    assert write(TWO_WORDS, "a.mp4", "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nok\n\n01:01:01.500 --> 01:01:02.000\njo\n"
    )
    assert write(EMPTY, "a.mp4", "vtt") == "WEBVTT\n"


def test_glosses_have_a_cue_each():
    assert write(GLOSSES, None, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,000\nIX-1p\n\n2\n00:00:01,250 --> 00:00:01,750\nfs-J<&\n\n"
    )
    assert write(SIGN, None, "srt") == "1\n00:00:00,000 --> 00:00:00,500\nGO\n\n"
    assert write(NO_ANSWER, None, "srt") == ""


def test_elan_has_a_tier_of_glosses(tmp_path):
    path = tmp_path / "a.eaf"
    text = write(GLOSSES, tmp_path / "a.mp4", "eaf", directory=tmp_path)
    path.write_text(text, encoding="utf-8")
    document = read_eaf(path)
    assert list(document.tiers) == ["glosses"]
    tier = document.tiers["glosses"]
    assert [(a.value, a.start, a.end) for a in tier.annotations] == [
        ("IX-1p", 0.5, 0.9),
        ("fs-J<&", 1.25, 1.5),
    ]
    assert (tier.kind, tier.parent) == ("gloss", None)
    assert document.media[0].places[0] == "./a.mp4"


@pytest.mark.parametrize("fmt", TIMED)
def test_without_times_there_are_no_formats_of_times(fmt):
    with pytest.raises(UsageError, match=f"{fmt} needs times"):
        write(UNTIMED, None, fmt)
    assert json.loads(write(UNTIMED, None, "json"))["tokens"][0]["start"] is None


def test_vtt_escapes_what_is_markup_there():
    hostile = Transcript("<b>&--> x", (Token("<b>&-->", 0, 1, 1.0), Token("x", 1, 2, 1.0)))
    payload = write(hostile, None, "vtt").splitlines()[3]
    assert payload == "&lt;b&gt;&amp;--&gt;"


@pytest.mark.parametrize("fmt", ["srt", "vtt"])
def test_a_blank_line_in_a_gloss_does_not_end_its_cue(fmt):
    gloss = Transcript("A\n\nB", (Token("A\n\nB", 0, 1, 1.0),))
    assert "\nA B\n" in write(gloss, None, fmt)


def test_tsv_reads_back():
    rows = list(csv.reader(io.StringIO(write(TWO_WORDS, "a.mp4", "tsv")), delimiter="\t"))
    assert rows[0] == ["start", "end", "text", "probability", "word"]
    assert rows[1] == ["0.000", "0.400", "o", "0.9000", "1"]
    assert rows[-1] == ["3661.600", "3661.700", "o", "0.6123", "2"]
    assert len(rows) == 5
    assert write(EMPTY, None, "tsv") == "start\tend\ttext\tprobability\tword\n"
    assert write(UNTIMED, None, "tsv").splitlines()[1] == "\t\tBOOK\t0.5000\t1"
    assert write(SIGN, None, "tsv", top=1).splitlines() == [
        "start\tend\ttext\tprobability\trank",
        "0.000\t0.280\tGO\t0.7500\t1",
    ]
    assert write(NO_ANSWER, None, "tsv").count("\n") == 1


def test_json_is_strict_and_complete():
    info = {
        "video": Video("é.mp4", 4, 3, 2, 0.1, None),
        "score": np.float32(0.5),
        "bad": float("nan"),
        "worse": np.array([1.0, np.inf]),
        "path": Path("x/y"),
        3: ("a", None, True),
    }
    transcript = Transcript("o", (Token("o", 0.0, float("inf"), 0.9),), info, ("careful",))

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = write(transcript, Path("dir/é.mp4"), "json")
    document = json.loads(text, parse_constant=refuse)
    assert document == {
        "schema_version": 2,
        "source": os.path.join("dir", "é.mp4"),
        "unit": "letter",
        "text": "o",
        "tokens": [{"text": "o", "start": 0.0, "end": None, "probability": 0.9}],
        "alternatives": [],
        "info": {
            "video": {
                "source": "é.mp4",
                "width": 4,
                "height": 3,
                "frames": 2,
                "duration": 0.1,
                "fps": None,
                "rotation": 0,
                "bad_packets": 0,
                "truncated": False,
                "start": 0.0,
                "video_stream": None,
                "video_streams": [],
            },
            "score": 0.5,
            "bad": None,
            "worse": [1.0, None],
            "path": os.path.join("x", "y"),
            "3": ["a", None, True],
        },
        "warnings": ["careful"],
    }
    assert "é" in text


def test_json_of_nothing_found_says_why():
    document = json.loads(write(EMPTY, None, "json"))
    assert document["text"] == ""
    assert document["tokens"] == []
    assert document["warnings"] == ["no hand found"]
    assert document["source"] is None


def test_json_ranks_even_without_an_answer():
    document = json.loads(write(NO_ANSWER, None, "json", top=1))
    assert (document["unit"], document["text"], document["tokens"]) == ("sign", "", [])
    assert document["alternatives"] == [{"text": "GO", "probability": 0.75}]
    sentences = json.loads(write(GLOSSES, None, "json"))["alternatives"]
    assert sentences[1] == {"text": "IX-1p", "probability": None}


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_every_format_is_pure(fmt, tmp_path):
    before, after = (
        re.sub(' DATE="[^"]+"', "", write(TWO_WORDS, tmp_path / "missing.mp4", fmt))
        for _ in range(2)
    )
    assert before == after
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_are_named():
    with pytest.raises(UsageError, match=r"txt, json, srt, vtt, tsv, eaf.*'docx'"):
        write(TWO_WORDS, None, "docx")


def test_save_makes_folders_and_keeps_line_ends(tmp_path):
    save("é\n\udcff", tmp_path / "new" / "a.txt")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n?".encode()


class TestOutputPaths:
    def test_base_names_are_kept(self, tmp_path):
        inputs = ["x/a.mp4", Path("y/b.c.mov")]
        assert output_paths(inputs, tmp_path, "srt") == [tmp_path / "a.srt", tmp_path / "b.c.srt"]

    def test_same_base_names_never_meet(self, tmp_path):
        inputs = ["x/clip.mp4", "y/clip.mp4", "clip.mov", "clip-2.mp4", "Clip.mp4"]
        paths = output_paths(inputs, tmp_path, "json")
        names = [path.name for path in paths]
        assert names == ["clip.json", "clip-3.json", "clip-4.json", "clip-2.json", "Clip-5.json"]
        assert len({name.lower() for name in names}) == len(inputs)

    def test_an_input_is_never_overwritten(self, tmp_path):
        inputs = [tmp_path / "a.npz", tmp_path / "b.mp4", tmp_path / "b.npz"]
        paths = output_paths(inputs, tmp_path, "npz")
        assert not {str(path) for path in paths} & {str(path) for path in inputs}
        assert len(set(paths)) == 3

    def test_an_input_behind_a_link_is_never_overwritten(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        source = tmp_path / "link" / "a.pose"
        (path,) = output_paths([source], tmp_path / "real", "pose")
        assert path.name == "a-2.pose"

    def test_folders_of_frames_keep_their_whole_name(self, tmp_path, monkeypatch):
        folder = tmp_path / "take.1"
        folder.mkdir()
        assert output_paths([folder], tmp_path, "txt") == [tmp_path / "take.1.txt"]
        monkeypatch.chdir(folder)
        assert output_paths(["."], tmp_path, "txt") == [tmp_path / "take.1.txt"]


class TestOfTranscripts:
    """What a transcript does by itself."""

    READ = replace(TWO_WORDS, info={"source": "clips/a.mp4", "frames": 3})

    def test_json_is_what_is_written(self):
        assert self.READ.to_json() == write(self.READ, "clips/a.mp4", "json")
        assert json.loads(EMPTY.to_json())["source"] is None

    @pytest.mark.parametrize("form", WRITERS)
    def test_the_suffix_names_the_format(self, tmp_path, form):
        path = tmp_path / f"read.{form.upper()}"
        self.READ.save(path)
        assert path.read_text() == write(self.READ, "clips/a.mp4", form, directory=tmp_path)

    def test_a_format_by_name(self, tmp_path):
        SIGN.save(tmp_path / "read.of.me", "tsv")
        assert (tmp_path / "read.of.me").read_text() == write(SIGN, None, "tsv")

    def test_what_cannot_be_saved(self, tmp_path):
        with pytest.raises(UsageError, match=r"format: expected one of txt, .* got 'doc'"):
            self.READ.save(tmp_path / "read.doc")
        with pytest.raises(UsageError, match=r"format: expected one of txt, .* got ''"):
            self.READ.save(tmp_path / "read")
        with pytest.raises(UsageError, match="times"):
            UNTIMED.save(tmp_path / "read.srt")
        self.READ.save(tmp_path / "read.txt")
        with pytest.raises(OutputError):
            GLOSSES.save(tmp_path / "read.txt")
        GLOSSES.save(tmp_path / "read.txt", overwrite=True)
        assert (tmp_path / "read.txt").read_text() == "IX-1p fs-J<&\n"
