import numpy as np
import pytest

from chereme.datasets.sentences import (
    Gloss,
    Sentence,
    SentenceBuilder,
    from_manifest,
    read_times,
    sentence_tracks,
    words_of,
    write_times,
)
from chereme.errors import InputError
from chereme.formats.tracks import TrackSpec, one_track, register_track, write_tracks

register_track(TrackSpec("test_sentences", 3, "three numbers"))


def sentence(tmp_path, id="a", text="JOHN BUY", **more):
    return Sentence(id=id, path=tmp_path, glosses=words_of(text), **more)


def test_rows_become_sentences_or_findings(tmp_path):
    builder = SentenceBuilder("made")
    builder.add(sentence(tmp_path, split="train", signer="x"))
    builder.add(sentence(tmp_path, text="OTHER"))
    builder.add(sentence(tmp_path, "b", " "))
    builder.add(sentence(tmp_path / "none", "c"))
    builder.add(sentence(tmp_path, "d", "GO " * 64, split="dev"))
    builder.add(sentence(tmp_path, "e", "GO " * 65, split="dev"))
    builder.drop("f", "no reason")
    corpus = builder.build({"train": 10})
    assert [s.id for s in corpus.sentences] == ["a", "d", "e"]
    assert [s.id for s in corpus.split("dev")] == ["d", "e"]
    assert corpus.skipped() == {
        "listed twice": 1, "no glosses": 1, "not on disk": 1, "no reason": 1,
    }  # fmt: skip
    assert corpus.remarks() == {"more than 64 glosses": 1}
    assert corpus.gloss_counts() == {"JOHN": 1, "BUY": 1, "GO": 129}
    first, glosses, *_ = corpus.report().splitlines()
    assert first == "made: 3 of 7 sentences"
    assert glosses == "  131 glosses, 3 different"


def test_nothing_that_can_be_used(tmp_path):
    builder = SentenceBuilder("made")
    builder.add(sentence(tmp_path / "none"))
    with pytest.raises(InputError, match=r"none of 1 rows can be used: 1 not on disk"):
        builder.build()


def test_manifests_and_back(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    manifest = tmp_path / "signs.csv"
    manifest.write_text(
        "path,label,id,signer,split,start,end\n"
        "a.mp4,john ns-fs-MARY,one,x,train,0.5,2\n"
        "b.mp4,JOHN,two,x,dev,,\n"
    )
    corpus = from_manifest(manifest)
    (found,) = corpus.sentences
    assert found.glosses == (Gloss("john"), Gloss("ns-fs-MARY"))
    assert (found.signer, found.split, found.start, found.end) == ("x", "train", 0.5, 2.0)
    corpus.write(tmp_path / "again.csv")
    assert from_manifest(tmp_path / "again.csv").sentences == corpus.sentences


def test_times_of_glosses_beside_a_manifest(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    manifest, times = tmp_path / "manifest.csv", tmp_path / "glosses.csv"
    manifest.write_text("path,label,id\na.mp4,john BUY,one\na.mp4,BUY,two\na.mp4,GO,three\n")
    rows = "one,john,0.2,0.5\none,BUY,0.7,1\ntwo,JOHN,0,1\n"
    times.write_text(f"id,gloss,start,end\n{rows}")
    corpus = from_manifest(manifest)
    assert [one.glosses for one in corpus.sentences] == [
        (Gloss("john", 0.2, 0.5), Gloss("BUY", 0.7, 1.0)),
        (Gloss("BUY"),),
        (Gloss("GO"),),
    ]
    assert [finding.id for finding in corpus.findings] == ["two", "three"], "told"


def test_times_are_written_of_sentences_that_have_all(tmp_path):
    whole, partly = (Gloss("A", 0.5, 1.0), Gloss("B", 1.0, 2.0)), (Gloss("A", 0.5, 1.0), Gloss("B"))
    some = [
        Sentence(id=name, path=tmp_path, glosses=found)
        for name, found in (("one", whole), ("two", partly))
    ]
    write_times(some, tmp_path / "glosses.csv")
    assert read_times(tmp_path / "glosses.csv") == {"one": list(whole)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,gloss,begin,end\n", "expected the columns id,gloss,start,end"),
        ("id,gloss,start,end\na,GO,now,2\n", "line 2: expected id,gloss,start,end with seconds"),
        ("id,gloss,start,end\na,GO,1\n", "line 2: expected id,gloss,start,end with seconds"),
        ("id,gloss,start,end\na,GO,3,2\n", "line 2: expected an end after the start"),
        ("id,gloss,start,end\na,GO,nan,2\n", "line 2: expected an end after the start"),
    ],
)
def test_damaged_times_of_glosses(tmp_path, text, message):
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("path,label\na.mp4,GO\n")
    (tmp_path / "glosses.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        from_manifest(tmp_path / "manifest.csv")


def test_tracks_of_a_sentence(tmp_path):
    path = tmp_path / "session.npz"
    write_tracks(one_track("test_sentences", np.arange(30).reshape(10, 3), 10.0), path)
    part = sentence_tracks(Sentence(id="a", path=path, glosses=(), start=0.2, end=0.5))
    assert part.values["test_sentences"][:, 0].tolist() == [6, 9, 12]
    assert sentence_tracks(Sentence(id="a", path=path, glosses=())).frames == 10
    with pytest.raises(InputError, match=r"tracks of 1.000 s: expected a part"):
        sentence_tracks(Sentence(id="a", path=path, glosses=(), start=3.0))
