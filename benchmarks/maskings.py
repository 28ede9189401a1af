"""How well pre-trainings of SignBERT restore joints from every masking, whatever their own was.

    python benchmarks/maskings.py runs/signbert/here/table_4/both/seed_*

The test clips of a run, whose joints are known, are masked in 1 to M joints of all tokens, or by
some operations in half of them. Figures go to ``masks.json`` in the folder of the run, from where
``run.py signbert here --report`` takes them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.masking import OPERATIONS, MaskingConfig
from chereme.systems.signbert.recognizer import SignBertPretraining
from chereme.systems.signbert.reconstruction_scores import reconstruct, reconstruction_scores
from chereme.systems.signbert.task import load_signbert
from chereme.training.task import write_metrics


def maskings(own: MaskingConfig) -> dict[str, MaskingConfig]:
    """The rows of Tables 1 and 2."""
    rows = {
        f"M = {most}": replace(own, share=1.0, operations=("joint",), max_joints=most)
        for most in (3, 5, 7, 9, 11)
    }
    rows["joints"] = replace(own, operations=("joint", "identity"))
    rows["frames"] = replace(own, operations=("frame", "identity"))
    rows["both"] = replace(own, operations=OPERATIONS)
    return rows


def scores(folder: Path) -> dict[str, Any]:
    """The figures of a run, by masking."""
    model = load_signbert(folder / "best.ckpt").model
    assert isinstance(model, SignBertPretraining)
    about = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    data = PoseData(
        about["data"]["train"],
        dev=about["data"]["dev"],
        test=about["data"]["test"],
        frames=about["frames"],
        sampling=about["sampling"],
        batch_size=64,
    )
    data.labelled = False
    data.setup("test")
    config, found = model.config, {}
    for name, masking in maskings(config.masking).items():
        model.config = replace(config, masking=masking)
        read = [reconstruct(model, batch, i) for i, batch in enumerate(data.whole("test"))]
        found[name] = reconstruction_scores(read, data.entries("test"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    for folder in parser.parse_args().runs:
        write_metrics(folder / "masks.json", scores(folder))
        print(folder, flush=True)


if __name__ == "__main__":
    main()
