import json

import pytest

from chereme.errors import UsageError
from chereme.formats.eaf import read_eaf
from chereme.formats.signing import WRITERS, write_signing
from chereme.types import ContinuousResult, SignedGloss

RESULT = ContinuousResult(
    glosses=(
        SignedGloss("IX-1p", 0.5, 0.9, 0.987654321),
        SignedGloss("fs-J<&", 1.25, 1.5, 0.5),
    ),
    hypotheses=(("IX-1p", "fs-J<&"), ("IX-1p",)),
    info={"windows": 1},
    warnings=("a warning",),
)
UNTIMED = ContinuousResult(glosses=(SignedGloss("BOOK", None, None, 0.5),))


def test_text_and_tables():
    assert write_signing(RESULT, "a.mp4", "txt") == "IX-1p fs-J<&\n"
    assert write_signing(RESULT, None, "tsv") == (
        "start\tend\tgloss\tprobability\n0.500\t0.900\tIX-1p\t0.9877\n1.250\t1.500\tfs-J<&\t0.5000\n"
    )
    assert write_signing(UNTIMED, None, "tsv").splitlines()[1] == "\t\tBOOK\t0.5000"


def test_json():
    document = json.loads(write_signing(RESULT, "a.mp4", "json"))
    assert document == {
        "schema_version": 1,
        "source": "a.mp4",
        "text": "IX-1p fs-J<&",
        "glosses": [
            {"gloss": "IX-1p", "start": 0.5, "end": 0.9, "probability": 0.987654},
            {"gloss": "fs-J<&", "start": 1.25, "end": 1.5, "probability": 0.5},
        ],
        "hypotheses": ["IX-1p fs-J<&", "IX-1p"],
        "info": {"windows": 1},
        "warnings": ["a warning"],
    }
    assert json.loads(write_signing(UNTIMED, None, "json"))["glosses"][0]["start"] is None


def test_subtitles_show_each_gloss_by_itself():
    assert write_signing(RESULT, None, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,000\nIX-1p\n\n2\n00:00:01,250 --> 00:00:01,750\nfs-J<&\n\n"
    )
    assert write_signing(RESULT, None, "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.000\nIX-1p\n"
        "\n00:00:01.250 --> 00:00:01.750\nfs-J&lt;&amp;\n"
    )


def test_elan_has_a_tier_of_glosses(tmp_path):
    path = tmp_path / "a.eaf"
    path.write_text(write_signing(RESULT, tmp_path / "a.mp4", "eaf", tmp_path), encoding="utf-8")
    document = read_eaf(path)
    assert list(document.tiers) == ["glosses"]
    tier = document.tiers["glosses"]
    assert [(a.value, a.start, a.end) for a in tier.annotations] == [
        ("IX-1p", 0.5, 0.9),
        ("fs-J<&", 1.25, 1.5),
    ]
    assert (tier.kind, tier.parent) == ("gloss", None)
    assert document.media[0].places[0] == "./a.mp4"
    assert '<PROPERTY NAME="warning">a warning</PROPERTY>' in path.read_text()


def test_nothing_read_is_an_empty_file_of_its_kind():
    begins = {
        "txt": "\n",
        "json": "{",
        "srt": "",
        "vtt": "WEBVTT\n",
        "tsv": "start",
        "eaf": "<?xml",
    }
    assert set(begins) == set(WRITERS)
    for fmt, begin in begins.items():
        text = write_signing(ContinuousResult(), None, fmt)
        assert text.startswith(begin)
        assert bool(text) == bool(begin)


def test_what_cannot_be_written():
    for fmt in ("srt", "vtt", "eaf"):
        with pytest.raises(UsageError, match=f"{fmt} needs times"):
            write_signing(UNTIMED, None, fmt)
    with pytest.raises(UsageError, match="format: expected one of txt, json"):
        write_signing(RESULT, None, "docx")
