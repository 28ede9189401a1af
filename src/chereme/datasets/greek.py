"""The Greek fingerspelling corpus, by the protocol of the pose-distilled fingerspelling paper.

K. Papadimitriou et al., *A large corpus for the recognition of Greek sign language gestures* (CVIU
249, 2024): 1,554 clips of 21 signers in a studio, about 3.5 letters each. Papadimitriou et al.,
*Seeing in 2D, Thinking in 3D*, §4.1: seven folds; in each, three signers are tested, and the clips
of the other 18 are divided 80/20 into training and validation.

How its files are laid out and named is not public, and so is not guessed here: the corpus is read
through a manifest that its user writes, a row per clip with ``path,label,signer``. Which signers
make up which fold is not public either; pass them as ``folds`` where they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.splits import DevBy, leave_signers_out, signer_folds
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import read_manifest
from chereme.text.alphabet import Alphabet

FOLDS = 7
GREEK = Alphabet(tuple("αβγδεζηθικλμνξοπρστυφχψω"))
"""The 24 letters. Accents are folded, and the final sigma is a sigma (``Alphabet.normalise``)."""

PUBLISHED = {"all": 1554}


@dataset("greek", Kind.SPELLING)
def read(
    root: str | Path,
    fold: int,
    *,
    folds: Sequence[Sequence[str]] | None = None,
    alphabet: Alphabet = GREEK,
    dev_by: DevBy = "signer",
    seed: int = 0,
) -> Corpus:
    """The Greek fingerspelling corpus, through a manifest of your own.

    Splits are made from the whole manifest, whose own column ``split`` is not looked at, so that a
    clip that is not on disk moves no other into another split.

    Choice: the paper does not say whether its 80/20 division is one of signers or of clips.
    ``dev_by="signer"`` keeps dev signer-independent, as test is; ``"clip"`` is the other reading.

    Args:
        root: the folder of manifest.csv (path,label,signer).
        fold: who is tested, 1 to 7.
        folds: the test signers of each fold; None deals the signers out by ``seed``, three to a
            fold where there are 21.
        alphabet: another where labels are transliterated.
        dev_by: whether dev is whole signers, or clips of those who are trained on.
        seed: of the folds.

    Dropped and counted: clips without signer or label, with characters outside the alphabet, not on
    disk or lacking too many frames. Raises InputError for a manifest that cannot be read, or in
    which no row can be used, or whose signers are too few for the folds; UsageError for a fold that
    does not exist.
    """
    path = Path(root) / "manifest.csv"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; the layout of the Greek corpus is not public, so write a CSV "
            "table path,label,signer with a row per clip (docs/datasets.md)"
        )
    items = read_manifest(path)
    signed = [item for item in items if item.signer]
    signers = {item.signer for item in signed if item.signer}
    if folds is None:
        if len(signers) < FOLDS:
            raise InputError(
                f"{path}: expected at least {FOLDS} signers for {FOLDS} folds, got {len(signers)} "
                "in the column signer; give the folds yourself"
            )
        folds = signer_folds(signers, FOLDS, seed)
    _check_folds(folds, signers)
    if not 1 <= fold <= len(folds):
        raise UsageError(f"fold: expected 1 to {len(folds)}, got {fold}")
    split = {
        item.id: item
        for item in leave_signers_out(
            signed, folds[fold - 1], dev_by=dev_by, seed=seed * len(folds) + fold
        )
    }
    builder = CorpusBuilder(f"Greek fingerspelling, fold {fold}", alphabet)
    for item in items:
        if item.signer:
            builder.add(split[item.id])
        else:
            builder.drop(item.id, "no signer")
    return builder.build(PUBLISHED)


def _check_folds(folds: Sequence[Sequence[str]], signers: set[str]) -> None:
    """Every signer of the corpus has to be tested exactly once."""
    named = [signer for fold in folds for signer in fold]
    twice = sorted({signer for signer in named if named.count(signer) > 1})
    never = sorted(signers - set(named))
    if twice or never:
        raise UsageError(
            "folds: expected every signer in exactly one fold; in several: "
            f"{', '.join(twice) or 'none'}; in none: {', '.join(never) or 'none'}"
        )
