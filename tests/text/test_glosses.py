import pytest

from chereme.errors import InputError, UsageError
from chereme.text.glosses import BOS, EOS, PAD, UNK, GlossVocabulary, as_gloss, split_gloss

# Sentences that the paper prints (Table 4), and other conventions.
PAPER = [
    s.split()
    for s in (
        "DURING/WHILE IX-1p ENJOY CHAT WITH ns-fs-DONNA AND SECOND-IN-LIST ns-fs-JESSICA SAME",
        "part:indef ENJOY CHAT FRIEND WITH SECOND-IN-LIST EACH+ONE IX-1p",
        "#IF POSS-1p SISTER IX GET HEADBAND_2 FOR POSS BIRTHDAY",
        "IX ns-fs-MARY VEGETABLE QMwg #NO IX HAVE #BBQ ONE ONE-MONTH PAST HAVE",
        "MOTHER+FATHER IX-3p:i GIVE1 (1h)WHAT DCL:bent-B 5\"set\" fs-BAGS WAIT++ SAY-1P 他 ÄRZTE",
    )
]  # fmt: skip


def test_accents_are_composed():
    assert (
        as_gloss(" A\N{COMBINING DIAERESIS}RZTE 1 ")
        == "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}RZTE_1"
    )


@pytest.mark.parametrize(
    ("gloss", "pieces"),
    [
        ("ns-fs-MARY", "ns- fs- M A R Y"),
        ("#IF", "# I F"),
        ("IX-1p", "IX -1p"),
        ("IX-3p:i", "IX -3p :i"),
        ("part:indef", "part: indef"),
        ("MOTHER+FATHER", "MOTHER + FATHER"),
        ("WAIT++", "WAIT ++"),
        ("HEADBAND_2", "HEADBAND _2"),
        ("GIVE1", "GIVE 1"),
        ("SECOND-IN-LIST", "SECOND-IN-LIST"),
        ("SAY-1P", "SAY -1P"),
        ("DURING/WHILE", "DURING / WHILE"),
        ("(1h)DCL:B", "(1h) DCL: B"),
        ("年龄", "年龄"),
    ],
)
def test_pieces_follow_the_conventions(gloss, pieces):
    assert list(split_gloss(gloss)) == pieces.split()


@pytest.mark.parametrize("units", ["glosses", "pieces"])
def test_what_is_encoded_is_decoded(units):
    vocabulary = GlossVocabulary.build(PAPER, units=units)
    for sentence in PAPER:
        ids = vocabulary.encode(sentence)
        assert min(ids) > UNK
        assert vocabulary.decode(ids) == tuple(sentence)
        assert vocabulary.encode(sentence, ends=True) == [BOS, *ids, EOS]


def test_ids():
    vocabulary = GlossVocabulary.build([["B", "A", "A"], ["C"]])
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert vocabulary.tokens == ("A", "B", "C")  # frequent ones first, then by name
    assert len(vocabulary) == 7
    assert vocabulary.encode(["A", "C", "D"]) == [4, 6, UNK]
    assert vocabulary.decode([BOS, 4, UNK, EOS, 5, PAD]) == ("A", "<unk>")
    assert "A" in vocabulary
    assert "D" not in vocabulary
    for wrong in (7, -1):
        with pytest.raises(InputError, match=f"expected 0 to 6, got {wrong}"):
            vocabulary.decode([wrong])


def test_rare_glosses():
    sentences = [["A", "A", "B"], ["A"]]
    assert GlossVocabulary.build(sentences, min_count=2).tokens == ("A",)
    with pytest.raises(InputError, match="4 times or more, got none among 2"):
        GlossVocabulary.build(sentences, min_count=4)
    with pytest.raises(UsageError, match="min_count"):
        GlossVocabulary.build(sentences, min_count=0)


def test_pieces_spell_what_is_new():
    vocabulary = GlossVocabulary.build([["MARY", "IX-1p", "DOG"]], units="pieces")
    assert vocabulary.decode(vocabulary.encode(["ARMY", "DAY-1p"])) == ("ARMY", "DAY-1p")
    assert vocabulary.encode(["ZOO", "DOG"])[0] == UNK  # no Z was ever seen
    assert vocabulary.decode(vocabulary.encode(["ZOO", "DOG", "GO"])) == ("<unk>", "DOG", "GO")
    rare = GlossVocabulary.build([["DOG", "DOG", "CAT"]], units="pieces", min_count=2)
    assert len(rare.encode(["DOG"])) == 1
    assert len(rare.encode(["CAT"])) == 3
    assert rare.decode(rare.encode(["DOG", "CAT"])) == ("DOG", "CAT")


def test_a_model_may_begin_in_the_middle_of_a_gloss():
    vocabulary = GlossVocabulary.build([["IX-1p", "GO"]], units="pieces")
    _, person, go = vocabulary.encode(["IX-1p", "GO"])
    assert vocabulary.decode([person, go, UNK, person]) == ("-1p", "GO", "<unk>", "-1p")


def test_unknown_and_long_sentences_are_counted():
    vocabulary = GlossVocabulary.build([["A", "B"]])
    coded = vocabulary.encode_all([["A", "X", "X"], ["B"] * 64, ["A"] * 65 + ["X"]])
    assert coded.ids[0] == (4, UNK, UNK)
    assert [len(ids) for ids in coded.ids] == [3, 64, 64]
    assert coded.unknown == {"X": 2}  # the third was cut before its X
    assert coded.too_long == (2,)
    unknown, long = coded.warnings
    assert unknown.startswith("2 glosses (1 different: X) are not in the vocabulary")
    assert long.startswith("1 sentences are longer than 64 glosses")
    assert vocabulary.encode_all([["A"]]).warnings == ()
    with pytest.raises(UsageError, match="longest"):
        vocabulary.encode_all([], longest=0)


def test_white_space_and_marks():
    assert as_gloss(' 5"forget  it" ') == '5"forget_it"'
    for wrong in ("  ", "<unk>", "\u2581A"):
        with pytest.raises(InputError, match="gloss: expected text without"):
            as_gloss(wrong)


@pytest.mark.parametrize("units", ["glosses", "pieces"])
def test_saving(tmp_path, units):
    vocabulary = GlossVocabulary.build(PAPER, units=units)
    vocabulary.save(tmp_path / "v.json")
    assert GlossVocabulary.load(tmp_path / "v.json") == vocabulary


@pytest.mark.parametrize(
    "text", ["", "{}", '{"units": "letters", "tokens": ["A"], "special": []}', "[1]"]
)
def test_files_that_are_no_vocabulary(tmp_path, text):
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(InputError, match="expected a gloss vocabulary in JSON"):
        GlossVocabulary.load(tmp_path / "v.json")


def test_tokens_that_cannot_be():
    for tokens in ((), ("A", "A"), ("A B",), ("<pad>",), ("",)):
        with pytest.raises(UsageError, match="different tokens without white space"):
            GlossVocabulary(tokens)
    with pytest.raises(UsageError, match="units"):
        GlossVocabulary(("A",), "letters")
