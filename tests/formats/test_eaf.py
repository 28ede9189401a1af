import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from pympi import Eaf

from chereme.errors import InputError
from chereme.formats.eaf import read_eaf
from chereme.formats.transcripts import save, write
from chereme.types import Token, Transcript
from child import NEEDS_PROC, run_child

TWO_WORDS = Transcript(
    "ok <&",
    (
        Token("o", 0.1, 0.4, 0.9),
        Token("k", 0.5, 0.5, 0.8),  # no length: ELAN refuses that
        Token(" ", 1.0, 1.2, 0.5),
        Token("<", 1.5, 1.9, 0.7),
        Token("&", 1.8, 2.0, 0.6),  # overlaps
    ),
)
EMPTY = Transcript("", warnings=("no hand\x00 found",))
# The elements of a document in the order that EAFv3.0.xsd sets.
SEQUENCE = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]


def check_like_elan(text):
    """The rules of the schema and of ELAN's stereotypes that apply to these files."""
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert root.get("FORMAT") == root.get("VERSION") == "3.0"
    assert {"AUTHOR", "DATE"} <= set(root.keys())
    tags = [child.tag for child in root]
    assert tags == sorted(tags, key=SEQUENCE.index)
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"

    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.find("TIME_ORDER")}
    assert len(slots) == len(root.find("TIME_ORDER"))  # names are unique
    assert list(slots.values()) == sorted(slots.values())

    stereotypes = {c.get("STEREOTYPE") for c in root.iter("CONSTRAINT")}
    types = {t.get("LINGUISTIC_TYPE_ID"): t for t in root.iter("LINGUISTIC_TYPE")}
    tiers, ids, used = {}, [], []
    for tier in root.iter("TIER"):
        kind = types[tier.get("LINGUISTIC_TYPE_REF")]
        assert kind.get("TIME_ALIGNABLE") == "true"
        assert kind.get("CONSTRAINTS") in stereotypes | {None}
        assert (kind.get("CONSTRAINTS") is None) == (tier.get("PARENT_REF") is None)
        entries = []
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            ids.append(annotation.get("ANNOTATION_ID"))
            refs = [annotation.get("TIME_SLOT_REF1"), annotation.get("TIME_SLOT_REF2")]
            used += refs
            start, end = (slots[ref] for ref in refs)
            assert start < end
            assert not entries or entries[-1][1] <= start
            entries.append((start, end, annotation.find("ANNOTATION_VALUE").text))
        if (parent := tier.get("PARENT_REF")) is not None:
            for start, end, _ in entries:
                assert any(s <= start and end <= e for s, e, _ in tiers[parent])
        tiers[tier.get("TIER_ID")] = entries
    assert len(set(ids)) == len(ids)
    assert sorted(used) == sorted(slots)  # each slot belongs to one annotation
    return root, tiers


def test_words_and_letters():
    _, tiers = check_like_elan(write(TWO_WORDS, "clip.mp4", "eaf"))
    assert tiers == {
        "words": [(100, 501, "ok"), (1500, 2000, "<&")],
        "letters": [(100, 400, "o"), (500, 501, "k"), (1500, 1800, "<"), (1800, 2000, "&")],
    }


def test_pympi_reads_and_rewrites_it(tmp_path):
    save(write(TWO_WORDS, tmp_path / "clip.mp4", "eaf", directory=tmp_path), tmp_path / "clip.eaf")
    eaf = Eaf(tmp_path / "clip.eaf")
    assert list(eaf.get_tier_names()) == ["words", "letters"]
    assert eaf.get_annotation_data_for_tier("words") == [(100, 501, "ok"), (1500, 2000, "<&")]
    assert [entry[2] for entry in eaf.get_annotation_data_for_tier("letters")] == list("ok<&")
    assert eaf.get_parameters_for_tier("letters")["PARENT_REF"] == "words"
    assert list(eaf.get_child_tiers_for("words")) == ["letters"]
    assert eaf.get_parameters_for_linguistic_type("letter")["CONSTRAINTS"] == "Included_In"
    eaf.to_file(tmp_path / "again.eaf")
    check_like_elan((tmp_path / "again.eaf").read_text("utf-8"))


def test_nothing_found_is_a_valid_file_with_the_reason(tmp_path):
    root, tiers = check_like_elan(write(EMPTY, "clip.mp4", "eaf"))
    assert tiers == {"words": [], "letters": []}
    properties = {p.get("NAME"): p.text for p in root.iter("PROPERTY")}
    assert properties == {"warning": "no hand found", "lastUsedAnnotationId": "0"}
    save(write(EMPTY, "clip.mp4", "eaf"), tmp_path / "clip.eaf")
    assert Eaf(tmp_path / "clip.eaf").get_annotation_data_for_tier("letters") == []


def media(source, directory):
    root, _ = check_like_elan(write(TWO_WORDS, source, "eaf", directory=directory))
    return [descriptor.attrib for descriptor in root.iter("MEDIA_DESCRIPTOR")]


def test_video_is_linked_absolutely_and_from_the_file(tmp_path):
    video = tmp_path / "my clips" / "é 1.MOV"
    url = "file:///" + video.as_posix().lstrip("/")  # ELAN's urls have no percent signs
    expected = {"MEDIA_URL": url, "MIME_TYPE": "video/quicktime"}
    assert media(video, None) == [{**expected, "RELATIVE_MEDIA_URL": "./é 1.MOV"}]
    assert media(video, tmp_path) == [{**expected, "RELATIVE_MEDIA_URL": "./my clips/é 1.MOV"}]
    assert media(video, tmp_path / "out") == [
        {**expected, "RELATIVE_MEDIA_URL": "../my clips/é 1.MOV"}
    ]


def test_a_relative_source_is_linked_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (attributes,) = media(Path("in/clip.mp4"), Path("out"))
    assert attributes["MEDIA_URL"] == f"file://{tmp_path.as_posix()}/in/clip.mp4"
    assert attributes["RELATIVE_MEDIA_URL"] == "../in/clip.mp4"


@pytest.mark.parametrize("source", [None, "hands.pose", "hands.npz", "photo.jpg", "frames"])
def test_what_elan_cannot_play_is_not_linked(source):
    assert media(source, None) == []


def test_real_elan_files_obey_the_same_rules(shared_data):
    """The checker against a file that ELAN wrote: the same element order and stereotypes."""
    root = ElementTree.parse(shared_data / "formats/eaf/pympi_sample_3.0.eaf").getroot()
    ours = ElementTree.fromstring(write(TWO_WORDS, "clip.mp4", "eaf").encode())
    tags = [child.tag for child in root if child.tag in SEQUENCE]
    assert tags == sorted(tags, key=SEQUENCE.index)
    constraints = [
        {c.get("STEREOTYPE"): c.get("DESCRIPTION") for c in r.iter("CONSTRAINT")}
        for r in (root, ours)
    ]
    assert set(constraints[0]) == set(constraints[1])
    schema = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
    assert root.get(schema) == ours.get(schema)
    assert set(root.find("HEADER/MEDIA_DESCRIPTOR").keys()) == set(
        ours.find("HEADER/MEDIA_DESCRIPTOR").keys()
    )


# -- reading ---------------------------------------------------------------------------------------
def eaf(tmp_path, tiers, slots="", header=""):
    path = tmp_path / "made.eaf"
    path.write_text(
        f'<ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER TIME_UNITS="milliseconds">{header}</HEADER>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{tiers}</ANNOTATION_DOCUMENT>",
        encoding="utf-8",
    )
    return path


SLOTS = "".join(
    f'<TIME_SLOT TIME_SLOT_ID="t{n}"{value}/>'
    for n, value in enumerate(
        [' TIME_VALUE="1000"', "", "", ' TIME_VALUE="4000"', ' TIME_VALUE="500"'], 1
    )
)


def aligned(name, first, last, value):
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{first}" '
        f'TIME_SLOT_REF2="{last}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE>'
        "</ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def referring(name, to, value, before=None):
    previous = f' PREVIOUS_ANNOTATION="{before}"' if before else ""
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}"{previous}>'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def spans(tier):
    return [(a.value, round(a.start, 6), round(a.end, 6)) for a in tier.annotations]


def test_times_come_from_slots_neighbours_and_parents(tmp_path):
    document = read_eaf(
        eaf(
            tmp_path,
            '<TIER TIER_ID="parts" PARENT_REF="signs" LINGUISTIC_TYPE_REF="sub">'
            + referring("c2", "b1", "Y", "c1")  # the second of two parts
            + referring("c1", "b1", "X")
            + '</TIER><TIER TIER_ID="signs" LINGUISTIC_TYPE_REF="gloss" PARTICIPANT="ann">'
            + aligned("b2", "t3", "t4", " LATE ")
            + aligned("b1", "t1", "t2", "A&amp;B")
            + '</TIER><TIER TIER_ID="empty"/>',
            SLOTS,
            '<MEDIA_DESCRIPTOR MEDIA_URL="file:///far/a%20b.mp4" RELATIVE_MEDIA_URL="./a b.mp4"/>',
        )
    )
    signs, parts = document.tiers["signs"], document.tiers["parts"]
    assert spans(signs) == [("A&B", 1.0, 2.0), ("LATE", 3.0, 4.0)]  # t2, t3: a third of the way
    assert spans(parts) == [("X", 1.0, 1.5), ("Y", 1.5, 2.0)]
    assert (signs.kind, signs.participant, signs.parent) == ("gloss", "ann", None)
    assert (parts.parent, document.tiers["empty"].annotations) == ("signs", ())
    assert document.find_media(tmp_path) is None
    (tmp_path / "a b.mp4").write_bytes(b"")
    assert document.find_media(tmp_path).name == "a b.mp4"


def test_the_first_video_that_is_there(tmp_path):
    """Neither MIME type nor suffix may say sound; another machine's folders are left away."""
    links = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/clip.wav" MIME_TYPE="audio/x-wav" TIME_ORIGIN="1"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/clip.MP3" MIME_TYPE="unknown"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/voice.wav" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/gone.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="20"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/clip.mov" TIME_ORIGIN="-300"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/voice.wav" MIME_TYPE="audio/x-wav" '
        'EXTRACTED_FROM="file:///x/whole.mpg" TIME_ORIGIN="4000"/>'
    )
    document = read_eaf(eaf(tmp_path, "", header=links))
    assert [video.origin for video in document.videos] == [0.02, -0.3, 4.0]
    for name in ("clip.wav", "clip.MP3", "voice.wav"):
        (tmp_path / name).touch()
    assert document.find_media(tmp_path) is None
    assert document.origin_in(tmp_path / "made.mp4") == 0.02
    (tmp_path / "whole.mpg").touch()
    assert document.find_media(tmp_path) == tmp_path / "whole.mpg"
    assert document.origin_in(tmp_path / "whole.mpg") == 4.0
    (tmp_path / "clip.mov").touch()
    assert document.find_media(tmp_path) == tmp_path / "clip.mov"
    assert document.origin_in(tmp_path / "clip.mov") == -0.3


@pytest.mark.parametrize(
    "link",
    [
        'RELATIVE_MEDIA_URL="./deep/50%25%20fast%231.mp4"',
        'RELATIVE_MEDIA_URL="./deep/50% fast#1.mp4"',
        'RELATIVE_MEDIA_URL="deep\\50% fast#1.mp4"',
        'RELATIVE_MEDIA_URL="file:./deep/50% fast#1.mp4"',
        'MEDIA_URL="file:///C:/Users/ann/deep/50%25%20fast%231.mp4"',
        'MEDIA_URL="file:///C:\\Users\\ann\\50% fast#1.mp4"',
        'MEDIA_URL="file://server/share/50% fast#1.mp4"',
        'MEDIA_URL="https://example.org/films/50%25%20fast%231.mp4"',
        'MEDIA_URL="{folder}/deep/50% fast#1.mp4"',
        'MEDIA_URL="file://{folder}/deep/50% fast#1.mp4"',
        'MEDIA_URL="file:///{folder}/deep/50%25%20fast%231.mp4"',
    ],
)
def test_links_as_systems_write_them(tmp_path, link):
    (tmp_path / "deep").mkdir()
    film = tmp_path / (
        "deep/50% fast#1.mp4" if "deep" in link and "C:" not in link else "50% fast#1.mp4"
    )
    film.touch()
    header = f"<MEDIA_DESCRIPTOR {link.format(folder=tmp_path)}/>"
    assert read_eaf(eaf(tmp_path, "", header=header)).find_media(tmp_path).samefile(film)


def test_links_that_cannot_be(tmp_path):
    for place in ("", "file:", "file:///", "a" * 5000, "../" * 3000, "%00.mp4", "C:", "//", "."):
        header = f'<MEDIA_DESCRIPTOR MEDIA_URL="{place}"/>'
        assert read_eaf(eaf(tmp_path, "", header=header)).find_media(tmp_path) is None


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "two.eaf"
    save(write(TWO_WORDS, "film.mp4", "eaf", directory=tmp_path), path)
    (tmp_path / "film.mp4").write_bytes(b"")
    document = read_eaf(path)
    assert [a.value for a in document.tiers["words"].annotations] == ["ok", "<&"]
    assert [a.value for a in document.tiers["letters"].annotations] == ["o", "k", "<", "&"]
    assert document.tiers["letters"].parent == "words"
    assert document.tiers["letters"].annotations[0].start == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["pympi_sample_2.7", "pympi_sample_3.0", "pyelan_Letters"])
def test_real_files_are_read_as_pympi_reads_them(shared_data, name):
    path = shared_data / "formats" / "eaf" / f"{name}.eaf"
    document, oracle = read_eaf(path), Eaf(path)
    assert list(document.tiers) == list(oracle.get_tier_names())
    for tier in document.tiers.values():
        theirs = list(oracle.get_annotation_data_for_tier(tier.name))
        assert len(theirs) == len(tier.annotations)
        if any(len(row) > 3 for row in theirs):  # pympi gives parts the times of the whole
            values = sorted((row[2] or "").strip() for row in theirs)
            assert values == sorted(a.value for a in tier.annotations)
            continue
        ours = [(round(a.start * 1000), round(a.end * 1000), a.value) for a in tier.annotations]
        timed = [(row, mine) for row, mine in zip(theirs, ours, strict=True) if None not in row[:2]]
        assert len(timed) > 0
        assert [mine for _, mine in timed] == [(a, b, v.strip()) for (a, b, v), _ in timed]


BOMB = (
    '<!DOCTYPE a [<!ENTITY x0 "ha">'
    + "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 12))
    + "]><ANNOTATION_DOCUMENT>&x11;</ANNOTATION_DOCUMENT>"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cut off, damaged or something else"),
        ("<ANNOTATION_DOCUMENT><HEADER", "cut off"),
        ("<SIGNSTREAM_DAI/>", "got <SIGNSTREAM_DAI>; is it another format"),
        (BOMB, "cut off, damaged or something else"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "entity 'e'"),
        ("<a>" * 2000, "100 levels, got more"),
        ('<?xml version="1.0" encoding="martian"?><ANNOTATION_DOCUMENT/>', "martian|encoding"),
        ('<?xml version="1.0" encoding="hex"?><ANNOTATION_DOCUMENT/>', "encoding"),
        ('<?xml version="1.0" encoding="idna"?><ANNOTATION_DOCUMENT/>', "codec"),
        ('<?xml version="1.0" encoding="utf-32"?><ANNOTATION_DOCUMENT/>', "encoding"),
        *(
            (f"<ANNOTATION_DOCUMENT>{part}</ANNOTATION_DOCUMENT>", message)
            for digits in ("9" * 400, "9" * 5000, "9" * 12)
            for part, message in (
                (f'<TIME_ORDER><TIME_SLOT TIME_VALUE="{digits}"/></TIME_ORDER>', "TIME_VALUE: exp"),
                (
                    f'<HEADER><MEDIA_DESCRIPTOR MEDIA_URL="a" TIME_ORIGIN="{digits}"/></HEADER>',
                    "TIME_ORIGIN: expected milliseconds",
                ),
            )
        ),
        ('<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="NTSC-frames"/></ANNOTATION_DOCUMENT>', "NTSC"),
    ],
)
def test_files_that_are_no_eaf(tmp_path, text, said):
    (tmp_path / "bad.eaf").write_text(text)
    with pytest.raises(InputError, match=said):
        read_eaf(tmp_path / "bad.eaf")


@pytest.mark.parametrize(
    "annotations",
    [
        aligned("a1", "t1", "t9", "X"),
        referring("a1", "a9", "X"),
        referring("a1", "a2", "X") + referring("a2", "a1", "Y"),
    ],
)
def test_references_to_nothing_and_in_circles(tmp_path, annotations):
    path = eaf(tmp_path, f'<TIER TIER_ID="signs">{annotations}</TIER>', SLOTS)
    with pytest.raises(InputError, match=r"annotation 'a[12]' refers to"):
        read_eaf(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_eaf(tmp_path / "none.eaf")
    twice = eaf(tmp_path, '<TIER TIER_ID="a"/><TIER TIER_ID="a"/>')
    with pytest.raises(InputError, match="each tier once, got 'a' twice"):
        read_eaf(twice)


READ = """
from pathlib import Path
from chereme.datasets import elan
Path(sys.argv[1]).with_suffix(".mp4").touch()
corpus = elan.read(sys.argv[1], ["signs", "others"], sentences="parts")
print(len(corpus.sentences), corpus.rows)
"""
MEGABYTES = 500  # stands in docs/limits.md


@NEEDS_PROC
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("parts", "1 20000"),
        ("backwards", "refers to"),
        ("elements", "LimitError: .*1,000,000 elements"),
        ("attributes", "1 1"),
        ("bytes", r"LimitError: .*at most 33,554,432 bytes"),
        ("overlapping", "InputError: .*overlap"),
    ],
)
def test_hostile_files_are_read_in_time_that_grows_with_them(tmp_path, kind, said):
    """Quadratic reading would take minutes, and the tree of 256 MB of elements many gigabytes."""
    number = 20_000
    signs = "".join(aligned(f"s{n}", "t1", "t4", "A") for n in range(number))
    tiers = {
        "signs": signs,
        "others": signs.replace('"s', '"o'),
        "parts": aligned("p", "t1", "t4", "x"),
    }
    if kind == "parts":
        tiers = {
            "signs": aligned("b1", "t1", "t4", "A"),
            "others": "".join(referring(f"r{n}", "b1", "B") for n in range(number)),
            "parts": "".join(referring(f"c{n}", "b1", "x") for n in range(number)),
        }
    elif kind == "backwards":  # each refers to the next, the last to nothing
        tiers["signs"] = "".join(referring(f"r{n}", f"r{n + 1}", "A") for n in range(number))
    elif kind == "overlapping":
        tiers["parts"] = "".join(aligned(f"c{n}", "t1", "t4", "x") for n in range(number))
    elif kind == "elements":
        tiers["signs"] = "<a/>" * 7_000_000
    elif kind == "attributes":
        many = " ".join(f"b{n}='xyz'" for n in range(1000))
        tiers["signs"] = f"<a {many}/>" * 2700
    elif kind == "bytes":
        tiers["signs"] = "x" * (40 << 20)
    body = "".join(f'<TIER TIER_ID="{name}">{tier}</TIER>' for name, tier in tiers.items())
    ended = run_child(READ, eaf(tmp_path, body, SLOTS), seconds=60)
    assert re.search(said, ended.output)
    assert ended.peak < MEGABYTES
