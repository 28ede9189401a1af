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
    (sequence,) = hands17.read(made(line(separator=separator)), train_fraction=1).items
    assert (sequence.id, sequence.split, sequence.frames) == (
        *("Training_Annotation/train/00000", "train"),
        1,
    )
    clip = sequence.clip
    assert clip.present.tolist() == [[False, True]]  # nothing says which hand: taken for a right
    pixels = clip.joints[0, 1]
    # Wrist, knuckle and tip of the thumb, of the index finger, and of the little finger.
    for joint, place in {0: 0, 1: 1, 4: 8, 5: 2, 8: 11, 17: 5, 20: 20}.items():
        assert pixels[joint] == pytest.approx(
            (315.944855 + 475.065948 * place / 500, 245.287079 + 475.065857 * 10 * place / 500)
        )


def test_each_sequence_is_divided_in_time(made, tmp_path):
    lines = [line(f"{folder}/{n:04d}.png", 400 + n) for n in range(10) for folder in ("1", "2")]
    found = hands17.read(made(*lines), clip_frames=7)
    assert [(s.id, s.split, s.frames) for s in found.items] == [
        ("1/train/00000", "train", 7),
        ("1/test/00000", "test", 3),
        ("2/train/00000", "train", 7),
        ("2/test/00000", "test", 3),
    ]
    halves = hands17.read(tmp_path, clip_frames=4).items[:3]
    assert [(s.id, s.frames, s.clip.entry.signer) for s in halves] == [
        ("1/train/00000", 4, "1/train"),
        ("1/train/00004", 3, "1/train"),
        ("1/test/00000", 3, "1/test"),
    ]
    tip = found.items[1].clip.joints[:, 1, 20, 0]
    assert tip == pytest.approx([315.944855 + 475.065948 * 20 / (407 + n) for n in range(3)])


def test_a_fraction_is_rounded_before_it_is_cut(made):
    found = hands17.read(made(*[line()] * 100), 0.29)  # 0.29 x 100 is a hair below 29
    assert [(s.split, s.frames) for s in found.items] == [
        ("train", 29),
        ("test", 32),
        ("test", 32),
        ("test", 7),
    ]


def test_files_that_name_no_folders_are_a_sequence_each(made, tmp_path):
    made(line(), name="a.txt"), made(line(), line(), name="b.txt")
    assert [s.id for s in hands17.read(tmp_path, 0.5).items] == [
        "a/test/00000",
        "b/train/00000",
        "b/test/00000",
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
    assert [(f.id, f.reason.split(" than")[0]) for f in found.findings] == [
        ("Training_Annotation.txt line 3", "line of another length"),
        ("Training_Annotation.txt line 4", "line of another length"),
        ("Training_Annotation.txt line 5", "line of another length"),
        ("Training_Annotation.txt line 6", "hand not before the camera"),
        ("Training_Annotation.txt line 7", "hand not before the camera"),
    ]
    assert "dropped 5: 3 line of another length" in found.report()


def test_broken_input(made, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        hands17.read(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"at least one clip, .* the table is empty"):
        hands17.read(made(""))
    with pytest.raises(InputError, match="1 line of another length"):
        hands17.read(made("a 1 2 3"))
    with pytest.raises(UsageError, match="train_fraction: expected a share from 0 to 1, got 70"):
        hands17.read(made(line()), 70)
