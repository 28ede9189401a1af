import pytest

from chereme.datasets import signstream
from chereme.datasets.sentences import Gloss
from chereme.errors import InputError, UsageError

DAI = """<?xml version='1.0' encoding='utf-8'?>
<SIGNSTREAM_DAI AUTHOR='A UNIVERSITY'><COLLECTIONS>
 <COLLECTION ID='77' NAME='Signer_2013_sc1'>
  <MEDIA-FILES><MEDIA-FILE ID='1' FILE-NAME='session1-cam1.mp4'/></MEDIA-FILES>
  <TEMPORAL-PARTITIONS><TEMPORAL-PARTITION ID='1'><SEGMENT-TIERS>
   <SEGMENT-TIER ID='1'>
    <PARTICIPANT>'Ann'</PARTICIPANT><DOMINANT-HAND>'R'</DOMINANT-HAND>
    <UTTERANCES>
     <UTTERANCE ID='627' START_FRAME='30' END_FRAME='119'>
      <TRANSLATION>'If it rains, don't go.'</TRANSLATION>
      <UTTERANCE-NUMBER>'U1'</UTTERANCE-NUMBER>
      <MANUALS>
       <SIGN ID='2'><LABEL>'ns-fs-MARY'</LABEL>
        <NON_DOMINANT_HAND START_FRAME='75' END_FRAME='89'/></SIGN>
       <SIGN ID='1'><LABEL>'#IF'</LABEL><SIGN_TYPE>'Loan Signs'</SIGN_TYPE>
        <DOMINANT_HAND START_FRAME='45' END_FRAME='59'/>
        <NON_DOMINANT_HAND START_FRAME='40' END_FRAME='59'/></SIGN>
       <SIGN ID='3'><LABEL>''</LABEL></SIGN>
      </MANUALS>
      <NON_MANUALS><NON_MANUAL ID='9' START_FRAME='40' END_FRAME='60'>
       <LABEL>'eye brows'</LABEL><VALUE>'raised'</VALUE></NON_MANUAL></NON_MANUALS>
     </UTTERANCE>
     <UTTERANCE ID='628' START_FRAME='130' END_FRAME='160'>
      <MANUALS><SIGN ID='4'><LABEL>'5"forget it"'</LABEL></SIGN></MANUALS>
     </UTTERANCE>
     <UTTERANCE ID='629' START_FRAME='170' END_FRAME='180'><MANUALS/></UTTERANCE>
    </UTTERANCES>
   </SEGMENT-TIER>
  </SEGMENT-TIERS></TEMPORAL-PARTITION></TEMPORAL-PARTITIONS>
 </COLLECTION>
</COLLECTIONS></SIGNSTREAM_DAI>"""

DATABASE = """<!DOCTYPE SIGNSTREAM-DATABASE SYSTEM "signstream.dtd">
<SIGNSTREAM-DATABASE>
 <PARTICIPANTS><PARTICIPANT ID="0" NAME="Bob"/></PARTICIPANTS>
 <CODING-SCHEME><FIELD ID="{field}" NAME="{name}"/><FIELD ID="88" NAME="negative"/>
  <FIELD ID="20001" NAME="English translation"/></CODING-SCHEME>
 <MEDIA-FILES><MEDIA-FILE ID="5" FILE-NAME="story_0.mov"/></MEDIA-FILES>
 <UTTERANCES><UTTERANCE ID="64" S="2000" E="5000"><MEDIA-REF ID="5"/>
  <SEGMENT PARTICIPANT-ID="0">
   <TRACK FID="88"><A S="0" E="9">neg</A></TRACK>
   <TRACK FID="{field}"><A S="-100" E="300">IX-1p</A><A S="500" E="900">fs-BAGS</A></TRACK>
   <TRACK FID="20001"><A S="0" E="3000">I have bags.</A></TRACK>
  </SEGMENT></UTTERANCE></UTTERANCES>
</SIGNSTREAM-DATABASE>"""


@pytest.fixture
def made(tmp_path):
    def make(text=DAI, *files, name="export.xml"):
        (tmp_path / name).write_text(text)
        for file in files:
            (tmp_path / file).write_bytes(b"")
        return tmp_path

    return make


def test_dai_utterances_are_parts_of_their_recording(made):
    root = made(DAI, "session1-cam1.mp4")
    corpus = signstream.read(root)
    first, second = corpus.sentences
    assert (first.id, first.signer, first.language) == ("Signer_2013_sc1/627", "Ann", "ase")
    assert first.path == root / "session1-cam1.mp4"
    assert (first.start, first.end) == (1.0, 4.0)
    assert first.glosses == (Gloss("#IF", 1.5, 2.0), Gloss("ns-fs-MARY", 2.5, 3.0))
    assert first.translation == "If it rains, don't go."
    assert second.glosses == (Gloss('5"forget_it"'),)
    assert corpus.skipped() == {"no glosses": 1}
    assert corpus.remarks() == {"no times for its glosses": 1}


@pytest.mark.parametrize("name", ["627.npz", "Signer_2013_sc1_627.mp4"])
def test_an_utterance_may_have_a_file_of_its_own(made, name):
    root = made(DAI, name)
    corpus = signstream.read(root)
    (found,) = corpus.sentences
    assert (found.path, found.start, found.end) == (root / name, None, None)
    assert found.glosses[0] == Gloss("#IF", 0.5, 1.0)  # times count in the file
    assert corpus.skipped() == {"not on disk": 1, "no glosses": 1}


@pytest.mark.parametrize(("field", "name"), [("7", "main gloss"), ("10000", "gloss of old")])
def test_databases_of_signstream_2(made, field, name):
    root = made(DATABASE.format(field=field, name=name), "story_0.mov", name="story.ss3.xml")
    (found,) = signstream.read(root / "story.ss3.xml").sentences
    assert (found.id, found.signer, found.path) == ("story/64", "Bob", root / "story_0.mov")
    assert (found.start, found.end, found.translation) == (2.0, 5.0, "I have bags.")
    assert found.glosses == (Gloss("IX-1p", 1.9, 2.3), Gloss("fs-BAGS", 2.5, 2.9))
    (half,) = signstream.read(root, units_per_second=2000).sentences
    assert (half.start, half.glosses[1].end) == (1.0, 1.45)


def test_file_names_do_not_lead_out(made, unchecked):
    root = made(DAI.replace("session1-cam1.mp4", "../../etc/passwd"))
    assert all(s.path.parent == root for s in signstream.read(root).sentences)


def test_damaged_files_are_counted_beside_good_ones(made):
    made(DAI[:200], name="bad.xml")
    root = made(DAI, "session1-cam1.mp4")
    assert signstream.read(root).skipped()["file cannot be read"] == 1
    with pytest.raises(InputError, match="cut off"):
        signstream.read(root / "bad.xml")


def test_nothing_to_read(made, tmp_path):
    with pytest.raises(InputError, match=r"expected files of annotations \(\.xml\)"):
        signstream.read(tmp_path)
    with pytest.raises(InputError, match="<SIGNSTREAM_DAI> or <SIGNSTREAM-DATABASE>"):
        signstream.read(made("<a/>") / "export.xml")
    with pytest.raises(InputError, match="2 not on disk"):
        signstream.read(made())
    with pytest.raises(UsageError, match="finite numbers above 0"):
        signstream.read(made(), rate=0)
