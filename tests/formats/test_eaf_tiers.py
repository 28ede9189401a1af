"""Tiers are added to ELAN files, of which nothing else changes; pympi is the independent reader."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pympi import Eaf

from chereme.errors import InputError, UsageError
from chereme.formats.eaf import read_eaf
from chereme.formats.eaf_tiers import add_tiers, check_tiers
from chereme.formats.eaf_writing import ElanStyle
from chereme.types import ContinuousResult, Token, Transcript

LETTERS = Transcript(
    "ok <é",
    (
        Token("o", 0.1, 0.4, 0.9),
        Token("k", 0.5, 0.5, 0.8),  # no length: ELAN refuses that
        Token(" ", 1.0, 1.2, 0.5),
        Token("<", 1.5, 1.9, 0.7),
        Token("é", 1.8, 2.0, 0.6),  # overlaps
    ),
)
GLOSSES = ContinuousResult(
    "IX-1p fs-J<&", (Token("IX-1p", 0.5, 0.9, 0.98765), Token("fs-J<&", 1.2, 1.5, 0.5))
)
NOTHING = Transcript("")
STYLE = ElanStyle("read", "Ann", "tier")

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<ANNOTATION_DOCUMENT AUTHOR="me" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///nowhere/clip.mp4" MIME_TYPE="video/mp4"{origin}/>
        <PROPERTY NAME="lastUsedAnnotationId">41</PROPERTY>
    </HEADER>
"""
SLOTS = """    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"{middle}></TIME_SLOT>
        <!-- a gap -->
        <TIME_SLOT TIME_SLOT_ID="ts9" TIME_VALUE="700"/>
    </TIME_ORDER>
"""
TIER = """    <TIER TIER_ID="RH" LINGUISTIC_TYPE_REF="gloss" PARTICIPANT="&quot;B&quot;">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a7" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>HOUSE <![CDATA[<&>]]></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a41" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts9">
            <ANNOTATION_VALUE>BUY &#233;</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
"""
TYPES = """    <LINGUISTIC_TYPE TIME_ALIGNABLE="true" LINGUISTIC_TYPE_ID="gloss"/>
    <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="word" CONTROLLED_VOCABULARY_REF="v" TIME_ALIGNABLE="true"/>
    <LOCALE LANGUAGE_CODE="en"/>
"""
TAIL = """    <CONTROLLED_VOCABULARY CV_ID="v"><DESCRIPTION LANG_REF="und"/></CONTROLLED_VOCABULARY>
</ANNOTATION_DOCUMENT>
<!-- the end -->
"""


def made(origin: str = "", middle: str = ' TIME_VALUE="400"') -> str:
    return HEAD.format(origin=origin) + SLOTS.format(middle=middle) + TIER + TYPES + TAIL


FILES = {
    "pretty": made(),
    "slots without times": made(middle=""),
    "windows": made().replace("\n", "\r\n"),
    "on one line": re.sub(r">\s+<", "><", made()),
    "no tiers": HEAD.format(origin="") + "    <TIME_ORDER/>\n" + TYPES + TAIL,
    "an empty time order": HEAD.format(origin="") + "<TIME_ORDER>\n</TIME_ORDER>\n" + TAIL,
    "no number of the last": re.sub(r"\s*<PROPERTY.*?</PROPERTY>", "", made()),
}


LARGE = ("pympi_sample_3.0", "pympi_sample_2.7")  # 2.4 MB each
NAMES = (*FILES, *LARGE, "pyelan_Letters")


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "clip.eaf"
    if request.param in FILES:
        path.write_bytes(FILES[request.param].encode())
    else:
        shared = request.getfixturevalue("shared_data")
        path.write_bytes((shared / "formats" / "eaf" / f"{request.param}.eaf").read_bytes())
    return path


def shapes(element: ElementTree.Element) -> tuple[object, ...]:
    """An element with all that is in it, for comparison; white space between elements is none."""
    text = element.text if element.text and element.text.strip() else ""
    return (element.tag, element.attrib, text, [shapes(child) for child in element])


@pytest.mark.parametrize(
    ("path", "reading", "added"),
    [
        *((name, LETTERS, ["read", "read-letters", "read-probability"]) for name in NAMES),
        *((name, GLOSSES, ["read", "read-probability"]) for name in NAMES if name not in LARGE),
        ("pretty", NOTHING, ["read", "read-letters", "read-probability"]),
        ("no tiers", NOTHING, ["read", "read-letters", "read-probability"]),
    ],
    indirect=["path"],
)
def test_all_that_was_there_stays(path: Path, reading: Transcript, added: list[str]) -> None:
    before, old = path.read_bytes(), Eaf(str(path))
    ours = read_eaf(path)
    add_tiers(path, reading, STYLE, "clip.mp4")
    after, new = path.read_bytes(), Eaf(str(path))
    assert [entry.name for entry in path.parent.iterdir()] == ["clip.eaf"]

    # pympi: tiers with their annotations, slots, types, vocabularies and the rest
    assert list(new.tiers) == [*old.tiers, *added]
    for name, (aligned, referring, about, _) in old.tiers.items():
        assert new.tiers[name][:3] == (aligned, referring, about)
    assert old.timeslots.items() <= new.timeslots.items()
    assert old.linguistic_types.items() <= new.linguistic_types.items()
    assert old.constraints.items() <= new.constraints.items()
    for part in ("controlled_vocabularies", "external_refs", "languages", "licenses", "locales"):
        assert getattr(new, part) == getattr(old, part)
    assert (new.adocument, new.media_descriptors) == (old.adocument, old.media_descriptors)
    # our own reader
    found = read_eaf(path)
    assert {name: found.tiers[name] for name in ours.tiers} == ours.tiers
    assert found.media == ours.media

    # the elements, in order, comments left out by the parser; then the lines, comments and all
    roots = [ElementTree.fromstring(content) for content in (before, after)]
    kept = [[shapes(e) for e in root if e.tag not in ("TIME_ORDER", "HEADER")] for root in roots]
    rest = iter(kept[1])
    assert all(element in rest for element in kept[0])
    lines = iter(after.splitlines())
    for line in before.splitlines():
        assert b"lastUsedAnnotationId" in line or b"TIME_ORDER" in line or line in lines


def test_new_names_are_free_and_the_order_is_the_schema_s(path: Path) -> None:
    add_tiers(path, LETTERS, STYLE, "clip.mp4")
    root = ElementTree.parse(path).getroot()
    order = [
        "LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE",
        "CONSTRAINT", "CONTROLLED_VOCABULARY", "EXTERNAL_REF",
    ]  # fmt: skip
    tags = [child.tag for child in root]
    assert tags == sorted(tags, key=order.index)
    slots = [slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT")]
    ids = [
        e.get("ANNOTATION_ID")
        for tag in ("ALIGNABLE", "REF")
        for e in root.iter(f"{tag}_ANNOTATION")
    ]
    assert len(set(slots)) == len(slots)
    assert len(set(ids)) == len(ids)
    times = [slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")]
    if None not in times:
        assert list(map(int, times)) == sorted(map(int, times))
    last = root.find("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']")
    if last is not None:
        assert int(last.text) == max(int(name[1:]) for name in ids)
    types = {t.get("LINGUISTIC_TYPE_ID"): t.attrib for t in root.iter("LINGUISTIC_TYPE")}
    assert len(types) == len(list(root.iter("LINGUISTIC_TYPE")))
    stereotypes = {c.get("STEREOTYPE") for c in root.iter("CONSTRAINT")}
    for tier in root.iter("TIER"):
        if tier.get("TIER_ID", "").startswith("read"):
            kind = types[tier.get("LINGUISTIC_TYPE_REF")]
            assert "CONTROLLED_VOCABULARY_REF" not in kind
            assert (kind.get("CONSTRAINTS") is None) == (tier.get("PARENT_REF") is None)
            assert kind.get("CONSTRAINTS") in stereotypes | {None}


def test_what_was_read_is_there(path: Path) -> None:
    add_tiers(path, LETTERS, STYLE, "clip.mp4")
    eaf = Eaf(str(path))
    assert eaf.get_annotation_data_for_tier("read") == [(100, 501, "ok"), (1500, 2000, "<é")]
    letters = [(100, 400, "o"), (500, 501, "k"), (1500, 1800, "<"), (1800, 2000, "é")]
    assert eaf.get_annotation_data_for_tier("read-letters") == letters
    # pympi's own function for these does not expect them below a tier that has a parent itself.
    rows = eaf.tiers["read-probability"][1].values()
    assert [value for _, value, *_ in rows] == ["0.9000", "0.8000", "0.7000", "0.6000"]
    assert [parent for parent, *_ in rows] == list(eaf.tiers["read-letters"][0])
    assert eaf.get_parameters_for_tier("read-probability")["PARENT_REF"] == "read-letters"
    assert eaf.get_parameters_for_tier("read-letters")["PARTICIPANT"] == "Ann"
    add_tiers(path, GLOSSES, ElanStyle(None, None, "value"), "clip.mp4")
    again = Eaf(str(path))
    glosses = [(500, 900, "IX-1p 0.99"), (1200, 1500, "fs-J<& 0.50")]
    assert again.get_annotation_data_for_tier("glosses") == glosses
    assert again.get_annotation_data_for_tier("read-letters") == letters


def test_linguistic_types_that_fit_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(made(), "utf-8")
    add_tiers(path, LETTERS, STYLE, "clip.mp4")
    types = Eaf(str(path)).linguistic_types
    add_tiers(path, LETTERS, ElanStyle("again", None, "tier"), "clip.mp4")
    assert Eaf(str(path)).linguistic_types == types


@pytest.mark.parametrize(
    ("origin", "spans", "warned"),
    [
        (' TIME_ORIGIN="0"', [(500, 900), (1200, 1500)], False),
        (' TIME_ORIGIN="-2000"', [(2500, 2900), (3200, 3500)], False),
        (' TIME_ORIGIN="700"', [(0, 200), (500, 800)], False),  # cut off at the beginning
        (' TIME_ORIGIN="1000"', [(200, 500)], True),
        (' TIME_ORIGIN="5000"', [], True),
    ],
)
def test_times_are_those_of_the_file_s_own_time_line(
    tmp_path: Path, origin: str, spans: list[tuple[int, int]], warned: bool
) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(made(origin), "utf-8")
    warnings = add_tiers(path, GLOSSES, ElanStyle(), "elsewhere/clip.mp4")
    rows = Eaf(str(path)).get_annotation_data_for_tier("glosses")
    assert [row[:2] for row in rows] == spans
    assert bool(warnings) == warned
    if warned:
        assert f"{2 - len(spans)} of 2 glosses are not in" in warnings[0]


def test_a_recording_that_the_file_does_not_link_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(made(), "utf-8")
    (warning,) = add_tiers(path, GLOSSES, STYLE, "other.mp4")
    assert "links no video of this name" in warning


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "latin-1", "ascii"])
def test_encodings_stay(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.eaf"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    declared = encoding.replace("utf-8-sig", "UTF-8").replace("utf-16-be", "UTF-16")
    text = mark + made().replace('encoding="UTF-8"', f'encoding="{declared}"')
    path.write_bytes(text.encode(encoding))
    add_tiers(path, LETTERS, STYLE, "clip.mp4")
    assert [a.value for a in read_eaf(path).tiers["read-letters"].annotations] == list("ok<é")
    content = path.read_bytes()
    assert content.decode(encoding).encode(encoding) == content
    assert content[:4] == text.encode(encoding)[:4]


@pytest.mark.parametrize("names", ["read", "read-letters", "read-probability"])
def test_a_tier_that_is_there_is_never_touched(tmp_path: Path, names: str) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(made().replace('"RH"', f'"{names}"'), "utf-8")
    before = path.read_bytes()
    for work in (
        lambda: check_tiers(path, "letter", STYLE),
        lambda: add_tiers(path, LETTERS, STYLE, "clip.mp4"),
    ):
        with pytest.raises(UsageError, match=f"has a tier '{names}' already.*--tier"):
            work()
    assert path.read_bytes() == before


NO_ELAN: dict[str, Callable[[str], str]] = {
    "cut off": lambda text: text[:900],
    "another document": lambda text: "<html></html>",
    "no time order": lambda text: re.sub("<TIME_ORDER>.*</TIME_ORDER>", "", text, flags=re.S),
    "entities": lambda text: text.replace(
        "<!-- made by hand -->", '<!DOCTYPE a [<!ENTITY b "c">]>'
    ),
    "frames": lambda text: text.replace("milliseconds", "PAL-frames"),
    "another encoding": lambda text: text.replace("UTF-8", "EBCDIC-X"),
}


@pytest.mark.parametrize("kind", NO_ELAN)
def test_what_is_no_sound_elan_file_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(NO_ELAN[kind](made()), "utf-8")
    before = path.read_bytes()
    for work in (
        lambda: check_tiers(path, "letter", STYLE),
        lambda: add_tiers(path, LETTERS, STYLE, "clip.mp4"),
    ):
        with pytest.raises(InputError):
            work()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.eaf"]


def test_a_failure_on_the_way_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(made(), "utf-8")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        add_tiers(path, LETTERS, STYLE, "clip.mp4")
    assert path.read_text("utf-8") == made()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.eaf"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "real.eaf", tmp_path / "link.eaf"
    path.write_text(made(), "utf-8")
    path.chmod(0o640)
    link.symlink_to(path)
    add_tiers(link, LETTERS, STYLE, "clip.mp4")
    assert link.is_symlink()
    assert "read" in read_eaf(path).tiers
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
