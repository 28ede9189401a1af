import pytest

from chereme.datasets import elan
from chereme.datasets.sentences import Gloss
from chereme.errors import InputError, UsageError
from chereme.recognition.hand_landmarks import frames_in
from chereme.video import open_video


def write(path, tiers, media=""):
    """``tiers``: (name, type, participant, [(start ms, end ms, value)])."""
    slots, body, number = [], [], 0
    for name, kind, participant, annotations in tiers:
        rows = []
        for start, end, value in annotations:
            slots += [(f"t{number}a", start), (f"t{number}b", end)]
            rows.append(
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" '
                f'TIME_SLOT_REF1="t{number}a" TIME_SLOT_REF2="t{number}b">'
                f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
            number += 1
        body.append(
            f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="{kind}" PARTICIPANT="{participant}">'
            f"{''.join(rows)}</TIER>"
        )
    order = "".join(f'<TIME_SLOT TIME_SLOT_ID="{n}" TIME_VALUE="{t}"/>' for n, t in slots)
    link = f'<MEDIA_DESCRIPTOR RELATIVE_MEDIA_URL="{media}"/>' if media else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<ANNOTATION_DOCUMENT><HEADER>{link}</HEADER><TIME_ORDER>{order}</TIME_ORDER>"
        f"{''.join(body)}</ANNOTATION_DOCUMENT>"
    )
    return path


RIGHT = ("RH", "gloss", "ann", [(100, 400, "IX-1p"), (500, 900, "GO TO"), (2500, 3000, "HOME")])
LEFT = ("LH", "gloss", "ann", [(520, 880, "GO"), (1000, 1200, "CAR"), (1300, 1400, "")])
TEXT = ("text", "translation", "ann", [(0, 2000, "I go by car."), (2000, 3500, "Home.")])


@pytest.fixture
def film(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"")
    return tmp_path / "film.mp4"


def test_sentences_between_pauses(tmp_path, film):
    path = write(tmp_path / "one.eaf", [RIGHT], "./film.mp4")
    first, second = elan.read(path, ["RH"], language="ase").sentences
    assert first.glosses == (Gloss("IX-1p", 0.1, 0.4), Gloss("GO_TO", 0.5, 0.9))
    assert (first.id, first.start, first.end) == ("one/1", 0.1, 0.9)
    assert (first.signer, first.path, first.language) == ("ann", film, "ase")
    assert second.words == ("HOME",)
    assert len(elan.read(path, ["RH"], pause=2.0).sentences) == 1


def test_both_hands_and_a_tier_of_sentences(tmp_path, film):
    path = write(tmp_path / "one.eaf", [RIGHT, LEFT, TEXT], "./film.mp4")
    for tiers in (["RH", "LH"], ["gloss"]):
        first, second = elan.read(path, tiers, sentences="text").sentences
        assert first.words == ("IX-1p", "GO_TO", "CAR")  # GO is that of the right hand
        assert (first.start, first.end, first.translation) == (0.0, 2.0, "I go by car.")
        assert (second.words, second.translation) == (("HOME",), "Home.")
    assert elan.read(path, ["LH", "RH"], sentences="text").sentences[0].words[1] == "GO"


@pytest.mark.parametrize(
    ("origin", "starts", "dropped"),
    [(0, [0.1, 2.5], 0), (5000, [5.1, 7.5], 0), (-300, [2.2], 1), (-2600, [], 2)],
)
def test_the_time_line_may_begin_later_in_the_recording(tmp_path, film, origin, starts, dropped):
    path = write(tmp_path / "one.eaf", [RIGHT], f'./film.mp4" TIME_ORIGIN="{origin}')
    if not starts:
        with pytest.raises(InputError, match="2 begins before the recording"):
            elan.read(path, ["RH"])
        return
    corpus = elan.read(path, ["RH"])
    assert [sentence.start for sentence in corpus.sentences] == pytest.approx(starts)
    assert [s.glosses[0].start for s in corpus.sentences] == pytest.approx(starts)
    assert corpus.rows - len(corpus.sentences) == dropped


def test_cases_of_other_tools(shared_cases):
    def spans(name):
        sentences = elan.read(shared_cases / "elan" / name, ["RH"]).sentences
        assert {sentence.path.name for sentence in sentences} == {"clip.mp4"}
        return [(round(s.start, 3), round(s.end, 3)) for s in sentences]

    assert spans("plain.eaf") == [(0.1, 0.7)]
    assert spans("sound_linked_first.eaf") == spans("extracted_from.eaf") == [(0.1, 0.7)]
    assert spans("time_origin_5000.eaf") == [(5.1, 5.7)]


def test_a_part_after_the_end_of_the_recording_is_named(shared_cases):
    """The clip ends after a second."""
    (sentence,) = elan.read(shared_cases / "elan" / "time_origin_5000.eaf", ["RH"]).sentences
    with (
        open_video(sentence.path) as video,
        pytest.raises(InputError, match=r"from 5\.1 s to 5\.7 s, but the last frame is at 1\.0"),
    ):
        list(frames_in(video, str(sentence.path), (sentence.start, sentence.end)))


def test_people_are_apart(tmp_path, film):
    other = ("RH-B", "gloss", "bob", [(200, 300, "YES")])
    path = write(tmp_path / "talk.eaf", [RIGHT, other], "./film.mp4")
    found = elan.read(path, ["gloss"]).sentences
    assert [(s.id, s.signer, s.words[0]) for s in found] == [
        ("talk/ann/1", "ann", "IX-1p"),
        ("talk/ann/2", "ann", "HOME"),
        ("talk/bob/1", "bob", "YES"),
    ]


def test_folders_and_what_is_wrong_in_them(tmp_path):
    write(tmp_path / "a" / "x.eaf", [RIGHT])
    (tmp_path / "a" / "x.pose").write_bytes(b"")
    write(tmp_path / "b" / "x.eaf", [RIGHT])
    write(tmp_path / "other.eaf", [TEXT])
    (tmp_path / "bad.eaf").write_text("<A")
    corpus = elan.read(tmp_path, ["RH"])
    assert [s.id for s in corpus.sentences] == ["a/x/1", "a/x/2"]
    assert corpus.sentences[0].path == tmp_path / "a" / "x.pose"
    assert corpus.skipped() == {"file cannot be read": 2, "not on disk": 2}
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses" / "x.npz").write_bytes(b"")
    assert len(elan.read(tmp_path, ["RH"], videos=tmp_path / "poses").sentences) == 4


def test_tiers_that_are_not_there(tmp_path):
    path = write(tmp_path / "one.eaf", [RIGHT])
    with pytest.raises(InputError, match=r"Gloss RH, got RH \(type gloss\)"):
        elan.read(path, ["Gloss RH"])
    with pytest.raises(InputError, match="a tier of sentences 'text', got none"):
        elan.read(path, ["RH"], sentences="text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected files of annotations \(\.eaf\)"):
        elan.read(tmp_path / "empty", ["RH"])
    for wrong in ({"glosses": []}, {"glosses": ["RH"], "pause": -1}):
        with pytest.raises(UsageError, match="a tier of glosses and a pause"):
            elan.read(path, **wrong)


def test_a_real_file(shared_data, unchecked):
    path = shared_data / "formats" / "eaf" / "pympi_sample_3.0.eaf"
    corpus = elan.read(path, ["words-symsub"], sentences="text")
    assert len(corpus.sentences) == 399
    assert corpus.sentences[0].words[:3] == ("The", "quick", "brown")
    assert corpus.sentences[0].translation == "The quick brown fox 001"
