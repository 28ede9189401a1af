"""``python -m tools.open_hand [-o FILE]``: make the open hand's template file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from chereme.hand_model.template import BUNDLED
from tools.open_hand.build import build_template


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED["open"], metavar="FILE")
    output = parser.parse_args().output
    template = build_template()
    template.save(output, dtype=np.float32)
    print(
        f"{output}: {len(template.v_template)} vertices, {len(template.faces)} faces, "
        f"{output.stat().st_size / 1000:.0f} kB"
    )


if __name__ == "__main__":
    main()
