import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.formats.transcripts import WRITERS, output_paths, save, write
from chereme.types import Token, Transcript, Video

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


def test_txt_is_the_text_alone():
    assert write(TWO_WORDS, "a.mp4", "txt") == "ok jo\n"
    assert write(EMPTY, "a.mp4", "txt") == "\n"


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
        "schema_version": 1,
        "source": os.path.join("dir", "é.mp4"),
        "text": "o",
        "tokens": [{"text": "o", "start": 0.0, "end": None, "probability": 0.9}],
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
