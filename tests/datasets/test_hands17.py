import numpy as np
import pytest

from chereme.datasets import hands17
from chereme.errors import InputError, UsageError
from chereme.hands.skeleton import JOINT_NAMES

# The order that the authors give for BigHand2.2M and the challenge.
PUBLISHED_ORDER = [
    *("Wrist", "TMCP", "IMCP", "MMCP", "RMCP", "PMCP"),
    *("TPIP", "TDIP", "TTIP", "IPIP", "IDIP", "ITIP", "MPIP", "MDIP", "MTIP"),
    *("RPIP", "RDIP", "RTIP", "PPIP", "PDIP", "PTIP"),
]


def line(picture="image_D00000001.png", depth=500.0, separator="\t"):
    """Joint j at (j, 10 j, depth) mm, in the published order."""
    numbers = [f"{value:.4f}" for j in range(21) for value in (j, 10 * j, depth)]
    return separator.join([picture, *numbers])


@pytest.fixture
def made(tmp_path):
    def make(*lines, name="Training_Annotation.txt"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return make


def test_order_is_mediapipes():
    ours = [PUBLISHED_ORDER[place] for place in hands17.TO_MEDIAPIPE]
    names = {"thumb": "T", "index": "I", "middle": "M", "ring": "R", "little": "P"}
    expected = ["Wrist"] + [
        names[name.split("_")[0]] + joint
        for name, joint in zip(JOINT_NAMES[1:], ["MCP", "PIP", "DIP", "TIP"] * 5, strict=True)
    ]
    assert ours == expected


@pytest.mark.parametrize("separator", ["\t", " ", "\t "])
def test_golden_row(made, separator):
    found = hands17.read(made(line(separator=separator)), train_fraction=1)
    (sequence,) = found.sequences
    assert (sequence.id, sequence.split) == ("Training_Annotation/train", "train")
    golden = {
        0: (0.0, 0.0, 0.5),  # wrist
        1: (0.001, 0.01, 0.5),  # knuckle of the thumb
        4: (0.008, 0.08, 0.5),  # its tip
        5: (0.002, 0.02, 0.5),  # knuckle of the index finger
        8: (0.011, 0.11, 0.5),
        17: (0.005, 0.05, 0.5),  # knuckle of the little finger
        20: (0.020, 0.20, 0.5),
    }
    for joint, position in golden.items():
        assert sequence.joints[0, joint] == pytest.approx(position)
    assert sequence.pixels[0, 0] == pytest.approx((315.944855, 245.287079))
    assert sequence.pixels[0, 20] == pytest.approx(
        (315.944855 + 475.065948 * 20 / 500, 245.287079 + 475.065857 * 200 / 500)
    )
    assert sequence.pictures == ("image_D00000001.png",)


def test_each_sequence_is_divided_in_time(made):
    lines = [line(f"{folder}/{n:04d}.png", 400 + n) for n in range(10) for folder in ("1", "2")]
    found = hands17.read(made(*lines))
    assert [(s.id, s.split, len(s.joints)) for s in found.sequences] == [
        ("1/train", "train", 7),
        ("1/test", "test", 3),
        ("2/train", "train", 7),
        ("2/test", "test", 3),
    ]
    assert found.sequences[1].pictures == ("1/0007.png", "1/0008.png", "1/0009.png")
    assert np.all(found.sequences[1].joints[:, 0, 2] == pytest.approx([0.407, 0.408, 0.409]))
    assert "HANDS17: 20 frames in 4 sequences" in found.report()


def test_files_that_name_no_folders_are_a_sequence_each(made):
    one, two = made(line(), name="a.txt"), made(line(), line(), name="b.txt")
    assert [s.id for s in hands17.read([one, two], 0.5).sequences] == [
        "a/test",
        "b/train",
        "b/test",
    ]


def test_lines_that_cannot_be_used_are_counted(made):
    found = hands17.read(
        made(
            line(),
            "",
            line() + "\t1.0",
            "image_D00000002.png 1 2 3",
            line().replace("500.0000", "far", 1),
            line(depth=-5),
            line().replace("500.0000", "nan", 1),
        )
    )
    assert found.rows == 6
    assert [(f.id, f.reason.split(" than")[0]) for f in found.findings] == [
        ("Training_Annotation.txt line 3", "line of another length"),
        ("Training_Annotation.txt line 4", "line of another length"),
        ("Training_Annotation.txt line 5", "line of another length"),
        ("Training_Annotation.txt line 6", "hand not before the camera"),
        ("Training_Annotation.txt line 7", "hand not before the camera"),
    ]
    assert "dropped 5 of 6" in found.report()


def test_broken_input(made, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        hands17.read(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"at least one hand .* got none: the file is empty"):
        hands17.read(made(""))
    with pytest.raises(InputError, match="got none: 1 line of another length"):
        hands17.read(made("a 1 2 3"))
    with pytest.raises(UsageError, match="train_fraction: expected a share from 0 to 1, got 70"):
        hands17.read(made(line()), 70)
