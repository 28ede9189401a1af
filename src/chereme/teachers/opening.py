"""Teachers by their names, as ``chereme prepare --teacher`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chereme.errors import UsageError
from chereme.teachers import Teacher
from chereme.teachers.hand_network import HandNetworkTeacher
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.teachers.precomputed import PrecomputedTeacher

if TYPE_CHECKING:
    from chereme.teachers.hamer import Level

TEACHERS = ("hamer", "hamer-vit", "hand_network", "landmarks", "synthetic", "precomputed")


def open_teachers(
    names: Sequence[str], checkpoint: Path | None = None, vectors: Sequence[Path] = ()
) -> list[Teacher]:
    """The teachers of these names, of ``TEACHERS``; ``precomputed`` is one for each folder.

    ``checkpoint`` is HaMeR's, ``vectors`` are the folders of precomputed ones. HaMeR runs on the
    GPU in bfloat16 where there is one. UsageError for another name, or what does not go together.
    """
    unknown = [name for name in names if name not in TEACHERS]
    if unknown:
        raise UsageError(f"teacher: expected {', '.join(TEACHERS)}, got {', '.join(unknown)}")
    for needs, has, option in (
        ({"hamer", "hamer-vit"}, checkpoint is not None, "--checkpoint hamer.ckpt"),
        ({"precomputed"}, bool(vectors), "--vectors DIR"),
    ):
        if bool(needs & set(names)) != has:
            named = " or ".join(sorted(needs))
            raise UsageError(f"teacher: {named} goes with {option}, and neither without the other")
    teachers: list[Teacher] = []
    for name in dict.fromkeys(names):
        if name == "landmarks":
            teachers.append(LandmarkTeacher())
        elif name == "hand_network":
            teachers.append(HandNetworkTeacher())
        elif name == "synthetic":
            from chereme.teachers.synthetic import SyntheticTeacher

            teachers.append(SyntheticTeacher())
        elif name == "precomputed":
            teachers += [PrecomputedTeacher(folder) for folder in vectors]
        else:
            assert checkpoint is not None
            teachers.append(_open_hamer(name, checkpoint))
    called = [teacher.name for teacher in teachers]
    if bad := [name for name in called if called.count(name) > 1 or "." in name]:
        raise UsageError(
            f"teacher: expected names without a dot, each once, got {', '.join(bad)}; "
            "rename the folders of the vectors"
        )
    return teachers


def _open_hamer(name: str, checkpoint: Path) -> Teacher:
    import torch

    from chereme.teachers.hamer import Hamer, HamerTeacher

    on_gpu = torch.cuda.is_available()
    model = Hamer.from_checkpoint(
        checkpoint,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        device="cuda" if on_gpu else "cpu",
    )
    level: Level = "vit" if name == "hamer-vit" else "transformer"
    return HamerTeacher(model, level=level, batch_size=256 if on_gpu else 8)
