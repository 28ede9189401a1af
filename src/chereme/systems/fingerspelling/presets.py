"""Named recognisers, and the rows of the paper's Table 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from chereme.errors import UsageError
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.distillation import DistillationConfig
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig
from chereme.systems.fingerspelling.sequence import SequenceConfig

_PAPER_SEQUENCE = SequenceConfig(conv_dim=512, gru_hidden=512, gru_layers=4, dropout=0.3)

PRESETS: Mapping[str, FingerspellingConfig] = {
    # Bundled: the pose-only stream with MediaPipe's landmarks in the place of HaMeR's vectors.
    "landmarks": FingerspellingConfig(),
    # The sizes that the paper states, and our choices where it is silent (41.3 M parameters; the
    # 65 M that it prints follow from none of its statements).
    "paper": FingerspellingConfig(stream="rgb", sequence=_PAPER_SEQUENCE),
    # The same sizes, and where the paper is silent what VAC does, whose recipe it follows.
    "paper_vac": FingerspellingConfig(
        stream="rgb",
        sequence=replace(
            _PAPER_SEQUENCE,
            kernels="vac",
            gru_hidden_is="total",
            shared_classifier=True,
            normalised_classifier=True,
        ),
    ),
    # For a laptop: a ResNet18 of half the widths on 112 x 112 crops.
    "small": FingerspellingConfig(
        stream="rgb",
        rgb=ResNetEncoderConfig(depths=(2, 2, 2, 2), widths=(32, 64, 128, 256), image_size=112),
        sequence=SequenceConfig(conv_dim=256, gru_hidden=192, gru_layers=2),
    ),
}


def preset(name: str) -> FingerspellingConfig:
    """The recogniser of that name; UsageError with the names there are."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


@dataclass(frozen=True)
class TableRow:
    """One row of Table 2.

    ``config``: the recogniser, None where ``fuses`` names rows, trained on their own, whose logits
    are averaged (`LateFusion`). ``teacher``: whose vectors it needs, as input or to distil from.
    """

    config: FingerspellingConfig | None
    teacher: Literal["vit", "transformer"] | None = None
    distillation: DistillationConfig | None = None
    fuses: tuple[str, ...] = ()


def table_2(
    base: FingerspellingConfig, *, vit_dim: int = 1280, transformer_dim: int = 1024
) -> dict[str, TableRow]:
    """The eleven rows of Table 2 on the backbone of ``base``, an RGB recogniser.

    ``vit_dim`` and ``transformer_dim`` are the widths of the two teacher vectors, HaMeR's by
    default. The Table 1 rows are "pose_transformer" with another teacher's vectors.
    """
    dims = {"vit": vit_dim, "transformer": transformer_dim}

    def pose(stream: Literal["pose", "rgb+pose"], teacher: str) -> FingerspellingConfig:
        return replace(base, stream=stream, pose=replace(base.pose, dim=dims[teacher]))

    def distilled(
        teacher: Literal["vit", "transformer"],
        loss: Literal["mse", "cosine"],
        space: Literal["shared", "pose"] = "pose",
    ) -> TableRow:
        how = DistillationConfig(teacher_dim=dims[teacher], loss=loss, space=space)
        return TableRow(base, teacher, how)

    return {
        "rgb": TableRow(base),
        "pose_vit": TableRow(pose("pose", "vit"), "vit"),
        "pose_transformer": TableRow(pose("pose", "transformer"), "transformer"),
        "early_fusion": TableRow(pose("rgb+pose", "transformer"), "transformer"),
        "late_fusion": TableRow(None, "transformer", fuses=("rgb", "pose_transformer")),
        "distil_vit_mse": distilled("vit", "mse"),
        "distil_vit_cosine": distilled("vit", "cosine"),
        "distil_transformer_mse": distilled("transformer", "mse"),
        "distil_transformer_cosine": distilled("transformer", "cosine"),
        "distil_projected_mse": distilled("transformer", "mse", "shared"),
        "distil_projected_cosine": distilled("transformer", "cosine", "shared"),
    }
