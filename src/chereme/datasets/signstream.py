"""ASLLRP SignStream: continuous American Sign Language with linguistic annotations, as XML.

C. Neidle, A. Opoku and D. Metaxas, *ASL Video Corpora & Sign Bank* (2022): the SignStream 3 corpus
has 2,127 utterances with 17,522 signs, DawnSignPress 542 sentences more. Two exports are read:

- ``<SIGNSTREAM_DAI>``, of the data access interface (DAI 2): collections with segment tiers, which
  name the participant; ``UTTERANCE`` with ``START_FRAME`` and ``END_FRAME``; in its ``MANUALS``,
  ``SIGN`` with the gloss in ``LABEL`` and frames in ``DOMINANT_HAND`` or ``NON_DOMINANT_HAND``.
  Text has single quotes round it.
- ``<SIGNSTREAM-DATABASE>``, of SignStream 2 (NCSLGR): a coding scheme, participants, media files;
  ``UTTERANCE`` with ``S`` and ``E``, in its ``SEGMENT`` the ``TRACK`` of each field, with ``A`` for
  each annotation, whose ``S`` and ``E`` count from the utterance's.

Inferred from public descriptions and readers of the exports, not from a schema: frames of the first
count from 0, with the last one included, at 30 a second; times of the second are milliseconds
(some recordings were found to count 2,000 units a second: ``units_per_second``); the gloss field of
the second is called ``main gloss``, else has the number 10000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from chereme.datasets.metadata import ClipFiles, escapes
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import (
    UNKNOWN_TIME,
    Gloss,
    Sentence,
    SentenceBuilder,
    SentenceCorpus,
    annotation_files,
)
from chereme.errors import UsageError
from chereme.formats.xml_files import read_xml
from chereme.text.glosses import as_gloss

LANGUAGE = "ase"
RATE = 30.0
DAI, DATABASE = "SIGNSTREAM_DAI", "SIGNSTREAM-DATABASE"
PUBLISHED = {"all": 2127}

_GLOSS_FIELDS = ("main gloss", "dom gloss")
_GLOSS_NUMBER = "10000"
_TRANSLATION_FIELDS = ("english translation", "translation")


@dataset("signstream", Kind.SENTENCES)
def read(
    root: str | Path,
    *,
    videos: str | Path | None = None,
    rate: float = RATE,
    units_per_second: float = 1000.0,
) -> SentenceCorpus:
    """ASLLRP SignStream: American Sign Language with linguistic annotations, 2,127 utterances.

    An utterance is looked up as a clip of its own, called by its id or ``<collection>_<id>`` (a
    video, frames, poses); else it is a part of the recording that its collection names first. An id
    is ``<collection>/<utterance>``. No split is stated: the paper's 100 test videos are not
    published (`chereme.datasets.splits` makes signer-independent ones). Dropped and counted: as
    :class:`SentenceBuilder`, and files that cannot be read, if there are others.

    Args:
        root: an XML export, or a folder of them with its subfolders.
        videos: the folder of the recordings; if not given that of the annotations.
        rate: frames a second that the DAI's frames count.
        units_per_second: of the times of SignStream 2.

    InputError if there is no XML file, or no sentence in any; UsageError for a rate that is none.
    """
    root = Path(root)
    if not (0 < rate < math.inf and 0 < units_per_second < math.inf):
        raise UsageError(
            f"rate: expected finite numbers above 0, got {rate:g}, {units_per_second:g}"
        )
    folder = root if root.is_dir() else root.parent
    clips = ClipFiles(folder if videos is None else Path(videos))
    builder = SentenceBuilder("ASLLRP SignStream")
    for path in annotation_files(root, ".xml"):
        with builder.file(path, alone=path == root):
            tree = read_xml(path, [DAI, DATABASE])
            found = (
                _of_dai(tree, clips, rate)
                if tree.tag == DAI
                else _of_database(tree, path, clips, units_per_second)
            )
            for sentence in found:
                untimed = any(gloss.start is None for gloss in sentence.glosses)
                builder.add(sentence, remark=UNKNOWN_TIME if untimed else "")
    return builder.build(PUBLISHED)


# -- DAI 2 -----------------------------------------------------------------------------------------
def _of_dai(root: ElementTree.Element, clips: ClipFiles, rate: float) -> Iterator[Sentence]:
    for collection in root.iter("COLLECTION"):
        name = collection.get("NAME") or collection.get("ID") or "collection"
        media = [m.get("FILE-NAME") or "" for m in collection.iter("MEDIA-FILE")]
        for tier in collection.iter("SEGMENT-TIER"):
            signer = _unquoted(tier.findtext("PARTICIPANT")) or None
            for utterance in tier.iter("UTTERANCE"):
                number = utterance.get("ID") or "?"
                start, end = _seconds(utterance, rate)
                path, own = _recording(clips, name, number, media)
                shift = (start or 0.0) if own else 0.0
                glosses = [
                    gloss
                    for sign in utterance.iterfind("MANUALS/SIGN")
                    if (gloss := _sign(sign, rate, shift)) is not None
                ]
                yield Sentence(
                    id=f"{name}/{number}",
                    path=path,
                    glosses=_in_time(glosses),
                    signer=signer,
                    start=None if own else start,
                    end=None if own else end,
                    language=LANGUAGE,
                    translation=_unquoted(utterance.findtext("TRANSLATION")) or None,
                )


def _sign(sign: ElementTree.Element, rate: float, shift: float) -> Gloss | None:
    label = _unquoted(sign.findtext("LABEL"))
    if not label:
        return None
    for hand in ("DOMINANT_HAND", "NON_DOMINANT_HAND"):
        element = sign.find(hand)
        if element is not None:
            start, end = _seconds(element, rate)
            if start is not None and end is not None:
                return Gloss(as_gloss(label), max(0.0, start - shift), max(0.0, end - shift))
    return Gloss(as_gloss(label))


def _seconds(element: ElementTree.Element, rate: float) -> tuple[float | None, float | None]:
    first, last = _number(element.get("START_FRAME")), _number(element.get("END_FRAME"))
    if first is None or last is None or not 0 <= first <= last:
        return None, None
    return first / rate, (last + 1) / rate


# -- SignStream 2 ----------------------------------------------------------------------------------
def _of_database(
    root: ElementTree.Element, path: Path, clips: ClipFiles, units: float
) -> Iterator[Sentence]:
    fields = {f.get("ID"): (f.get("NAME") or "").lower() for f in root.iter("FIELD")}
    named = {number for number, name in fields.items() if name in _GLOSS_FIELDS}
    translated = {number for number, name in fields.items() if name in _TRANSLATION_FIELDS}
    people = {p.get("ID"): p.get("NAME") for p in root.iter("PARTICIPANT")}
    media = {
        m.get("ID"): m.get("FILE-NAME") or m.get("PATH") or "" for m in root.iter("MEDIA-FILE")
    }
    collection = path.name.removesuffix(".xml").removesuffix(".ss3")
    for utterance in root.iterfind("UTTERANCES/UTTERANCE"):
        number = utterance.get("ID") or "?"
        start, end = (_number(utterance.get(key)) for key in ("S", "E"))
        origin = start or 0.0
        refs = [media.get(ref.get("ID"), "") for ref in utterance.iter("MEDIA-REF")]
        found, own = _recording(clips, collection, number, refs or list(media.values()))
        many = len(utterance.findall("SEGMENT")) > 1
        for place, segment in enumerate(utterance.iterfind("SEGMENT")):
            glosses, translation = [], []
            for track in segment.iterfind("TRACK"):
                kind = track.get("FID")
                texts = [("".join(a.itertext()).strip(), a) for a in track.iterfind("A")]
                if kind in (named or {_GLOSS_NUMBER}):
                    shift = 0.0 if own else origin
                    glosses += [_annotation(text, a, shift, units) for text, a in texts if text]
                elif kind in translated:
                    translation += [text for text, _ in texts if text]
            yield Sentence(
                id=f"{collection}/{number}" + (f"/{place}" if many else ""),
                path=found,
                glosses=_in_time(glosses),
                signer=people.get(segment.get("PARTICIPANT-ID")) or None,
                start=None if own or start is None else start / units,
                end=None if own or end is None else end / units,
                language=LANGUAGE,
                translation=" ".join(translation) or None,
            )


def _annotation(text: str, element: ElementTree.Element, shift: float, units: float) -> Gloss:
    start, end = (_number(element.get(key)) for key in ("S", "E"))
    if start is None or end is None or end < start:
        return Gloss(as_gloss(text))
    # Annotations may begin a little before their utterance.
    return Gloss(as_gloss(text), max(0.0, start + shift) / units, max(0.0, end + shift) / units)


# -- both ------------------------------------------------------------------------------------------
def _recording(
    clips: ClipFiles, collection: str, utterance: str, media: list[str]
) -> tuple[Path, bool]:
    """Where an utterance is, and whether the file is of it alone."""
    for name in (utterance, f"{collection}_{utterance}", f"{collection}/{utterance}"):
        if not escapes(name) and (path := clips.find(name)).exists():
            return path, True
    names = [name for name in media if not escapes(name)]
    paths = [clips.find(name) for name in names]
    present = next((path for path in paths if path.exists()), None)
    return present or (paths[0] if paths else clips.find(collection.replace("/", "_"))), False


def _in_time(glosses: list[Gloss]) -> tuple[Gloss, ...]:
    """In the order of their beginnings, where all have one; else as they are listed."""
    if any(gloss.start is None for gloss in glosses):
        return tuple(glosses)
    return tuple(sorted(glosses, key=lambda gloss: gloss.start or 0.0))


def _unquoted(text: str | None) -> str:
    text = (text or "").strip()
    quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return (text[1:-1] if quoted else text).strip()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
