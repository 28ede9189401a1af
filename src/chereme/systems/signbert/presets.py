"""The paper's settings, and the ablations of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chereme.systems.signbert.masking import Operation
from chereme.systems.signbert.recognizer import SignBertConfig

# Keywords of chereme.training.optimiser.OptimiserConfig (section 4.2): Adam, whose first moment has
# the momentum 0.9, the rate divided by 10 every 20 epochs. Choice: four times; the paper does not
# tell when training ends.
PAPER_OPTIMISER: Mapping[str, Any] = {
    "name": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "steps",
    "milestones": (20, 40, 60, 80),
    "gamma": 0.1,
}
FRAMES = 32  # of a clip: drawn at random in training, from its middle in testing (section 4.2)

_JOINT, _FRAME, _BOTH = ("joint", "identity"), ("frame", "identity"), ("joint", "frame", "identity")


def ablations(base: SignBertConfig) -> dict[str, SignBertConfig]:
    """The rows of Tables 1, 2, 4, 5 and 6 on ``base``, by name.

    Table 1 reconstructs single frames, all of them masked in 1 to M joints. Tables 2 and 4 leave
    out operations (choice: identity modelling always remains). Row 1 of Table 4 and Table 7 are
    about the data that ``base`` is pre-trained on, none or a part.
    """

    def masking(*operations: Operation, **changes: Any) -> SignBertConfig:
        settings = replace(base.masking, operations=operations, **changes)
        return replace(base, masking=settings)

    rows = {
        f"table_1_m{most}": masking("joint", share=1.0, max_joints=most)
        for most in (3, 5, 7, 9, 11)
    }
    for name, operations in (("joint", _JOINT), ("frame", _FRAME), ("both", _BOTH)):
        rows[f"table_2_4_{name}"] = masking(*operations)  # type: ignore[arg-type]
    for kind in ("fc1", "fc2", "hand_model"):
        decoder = replace(base.decoder, kind=kind)  # type: ignore[arg-type]
        rows[f"table_5_{kind}"] = replace(base, decoder=decoder)
    for layers in (2, 3, 4, 5):
        rows[f"table_6_n{layers}"] = replace(base, encoder=replace(base.encoder, layers=layers))
    return rows
