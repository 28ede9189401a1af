"""Reading MANO's pickles: as Python 2 wrote them, damaged ones, and hostile ones.

No official file may be passed on, so these are made here, with the same classes and layout.
"""

from __future__ import annotations

import builtins
import os
import pickle
import random
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.errors import InputError, LimitError, UsageError
from chereme.hand_model import HandTemplate, mano_file
from chereme.hand_model.mano_file import read_mano
from fake_hands import (
    Ch,
    Select,
    fingers_to,
    mano_content,
    python2_pickle,
    random_template,
)


@pytest.fixture(scope="module")
def right() -> HandTemplate:
    hand = random_template(0)
    return replace(hand, **fingers_to(-1, hand))


@pytest.fixture(scope="module")
def left(right: HandTemplate) -> HandTemplate:
    return right.mirrored()


def write(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(python2_pickle(content, protocol))
    return path


def assert_holds(found: HandTemplate, expected: HandTemplate) -> None:
    for name in ("v_template", "shapedirs", "posedirs", "joint_regressor", "weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("faces", "parents", "components", "pose_mean"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_reads_what_python_2_wrote(tmp_path: Path, right: HandTemplate, protocol: int) -> None:
    data = python2_pickle(mano_content(right), protocol)
    for name in (b"cchumpy.reordering\nSelect", b"cscipy.sparse.csc\ncsc_matrix", b"c__builtin__"):
        assert name in data  # it is such a file
    (tmp_path / "MANO_RIGHT.pkl").write_bytes(data)
    found = read_mano(tmp_path / "MANO_RIGHT.pkl")
    assert_holds(found, right)
    assert (found.name, found.side) == ("mano", "right")
    assert "non-commercial" in found.licence
    assert found.tips == {
        "hamer": (744, 320, 443, 554, 671),
        "manopth": (745, 317, 444, 556, 673),
        "papers": (734, 333, 443, 555, 678),
    }


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("spelling", [b"numpy.core", b"numpy._core"])
def test_reads_what_python_3_wrote(
    tmp_path: Path, right: HandTemplate, protocol: int, spelling: bytes
) -> None:
    content = mano_content(right)
    content["shapedirs"] = right.shapedirs
    content["v_template"] = np.asfortranarray(right.v_template)
    content["posedirs"] = right.posedirs.astype(">f8")
    data = pickle.dumps(content, protocol)
    if protocol < 4:  # later, a name carries its length
        data = data.replace(b"numpy.core", spelling)
    (tmp_path / "mano.pkl").write_bytes(data)
    assert_holds(read_mano(tmp_path / "mano.pkl"), right)


def test_needs_no_chumpy(tmp_path: Path, right: HandTemplate) -> None:
    before = set(sys.modules)
    read_mano(write(tmp_path / "mano.pkl", mano_content(right)))
    assert not {name for name in set(sys.modules) - before if name.startswith(("chumpy", "scipy"))}


def test_what_is_read_can_be_saved_and_read_again(tmp_path: Path, right: HandTemplate) -> None:
    found = read_mano(write(tmp_path / "mano.pkl", mano_content(right)))
    found.save(tmp_path / "mano.safetensors")
    again = HandTemplate.load(tmp_path / "mano.safetensors")
    assert_holds(again, found)
    assert again.licence == found.licence


# --- left hands --------------------------------------------------------------------------------


def test_left_hand(tmp_path: Path, left: HandTemplate) -> None:
    found = read_mano(write(tmp_path / "MANO_LEFT.pkl", mano_content(left)))
    assert_holds(found, left)
    assert found.side == "left"
    assert found.tips["manopth"] == (745, 317, 445, 556, 673)
    assert found.tips["hamer"] == (744, 320, 443, 554, 671)


@pytest.mark.parametrize("released", [True, False])
def test_unmirrored_shapes_are_found_and_mended(
    tmp_path: Path, right: HandTemplate, left: HandTemplate, released: bool
) -> None:
    rng = np.random.default_rng(0)
    # The released left hand is no exact mirror image, and has x of the right hand's directions.
    own = left.shapedirs + rng.normal(0, 1e-4, left.shapedirs.shape)
    content = mano_content(left)
    content["shapedirs"] = own * [[-1.0], [1.0], [1.0]] if released else own
    source = write(tmp_path / "left.pkl", content)
    other = write(tmp_path / "right.pkl", mano_content(right))
    np.testing.assert_allclose(read_mano(source, right=other).shapedirs, own)
    np.testing.assert_array_equal(read_mano(source).shapedirs, content["shapedirs"])


def test_right_hand_is_not_compared(
    tmp_path: Path, right: HandTemplate, left: HandTemplate
) -> None:
    one = write(tmp_path / "right.pkl", mano_content(right))
    other = write(tmp_path / "left.pkl", mano_content(left))
    with pytest.raises(UsageError, match=r"right\.pkl: is a right hand"):
        read_mano(one, right=one)
    with pytest.raises(UsageError, match=r"left\.pkl: expected the right hand"):
        read_mano(other, right=other)


# --- wrong contents ----------------------------------------------------------------------------


def test_all_that_is_missing_or_wrong_is_named(tmp_path: Path, right: HandTemplate) -> None:
    content = mano_content(right)
    del content["weights"], content["hands_mean"]
    content["posedirs"] = np.zeros((778, 3, 207))
    content["f"] = right.faces.astype(float)
    content["v_template"] = "none"
    with pytest.raises(InputError) as caught:
        read_mano(write(tmp_path / "mano.pkl", content))
    for message in (
        "weights: missing",
        "hands_mean: missing",
        "posedirs: expected shape (778, 3, 135), got (778, 3, 207)",
        "f: expected whole numbers, got float64",
        "v_template: expected an array of numbers, got str",
        "mano.pkl",
    ):
        assert message in str(caught.value)


def wrong(**changes: Any) -> dict[str, Any]:
    hand = random_template(0)
    return mano_content(replace(hand, **fingers_to(-1, hand))) | changes


def selection(**changes: Any) -> Select:
    made: Select = wrong()["shapedirs"]
    made.__dict__.update(changes)
    return made


def sparse(**changes: Any) -> Any:
    made = wrong()["J_regressor"]
    made.__dict__.update(changes)
    return made


@pytest.mark.parametrize(
    ("field", "make", "message"),
    [
        ("shapedirs", lambda: Ch(np.zeros((4, 3))), r"expected shape \(778, 3, 10\), got \(4, 3\)"),
        ("shapedirs", lambda: selection(idxs=np.full(23340, 10**6)), "entries that are not there"),
        ("shapedirs", lambda: selection(idxs=np.full(23340, -1)), "entries that are not there"),
        ("shapedirs", lambda: selection(idxs=np.zeros(23340)), "entries that are not there"),
        ("shapedirs", lambda: selection(idxs=np.arange(9)), "9 entries that do not fill"),
        ("shapedirs", lambda: selection(preferred_shape=None), "a selection without its shape"),
        ("shapedirs", lambda: selection(a=None), "expected an array of numbers, got NoneType"),
        ("shapedirs", lambda: selection(a=selection()), "got chumpy.reordering.Select"),
        ("J_regressor", lambda: sparse(indptr=np.zeros(779, int)), "do not fit together"),
        ("J_regressor", lambda: sparse(indices=np.full(640, 16)), "do not fit together"),
        ("J_regressor", lambda: sparse(data=np.zeros(3)), "do not fit together"),
        ("J_regressor", lambda: sparse(_shape=(16, 9)), r"sparse matrix of shape \(16, 778\)"),
        ("J_regressor", lambda: np.zeros((24, 6890)), r"expected shape \(16, 778\)"),
        ("weights", lambda: np.zeros((778, 16)), "rows that sum to 1"),
        ("kintree_table", lambda: np.zeros((2, 16), np.uint32), "five chains"),
        ("v_template", lambda: np.zeros((778, 3), object), "got one of other things"),
        ("v_template", lambda: np.zeros((778, 3), complex), "got one of other things"),
        ("v_template", lambda: np.full((778, 3), np.inf), "expected finite numbers"),
        ("v_template", lambda: np.zeros((0, 3)), r"got \(0, 3\)"),
        ("v_template", lambda: [1.0, 2.0], "expected an array of numbers, got list"),
    ],
)
def test_wrong_fields(tmp_path: Path, field: str, make: Callable[[], Any], message: str) -> None:
    path = write(tmp_path / "mano.pkl", wrong(**{field: make()}))
    with pytest.raises(InputError, match=message):
        read_mano(path)


@pytest.mark.parametrize("content", [[1, 2], "MANO", None, 7])
def test_no_dictionary(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError, match="expected a dictionary of arrays"):
        read_mano(write(tmp_path / "mano.pkl", content))


@pytest.mark.parametrize("content", [b"", b".", b"hello world", b"\x80\x02", b"PK\x03\x04" * 9])
def test_no_pickle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mano.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"mano\.pkl: expected an official MANO file"):
        read_mano(tmp_path / "mano.pkl")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; expected MANO_RIGHT\.pkl"):
        read_mano(tmp_path / "MANO_RIGHT.pkl")
    with pytest.raises(InputError, match="no such file"):
        read_mano(tmp_path)


# --- hostile pickles ---------------------------------------------------------------------------


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


def refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "mano.pkl"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_mano(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_code_is_not_run(tmp_path: Path, protocol: int, nested: bool) -> None:
    ran = tmp_path / "ran"
    writes = f"open({str(ran)!r}, 'w').close()"
    for call, function in (
        (Calls(os.system, f"touch {ran}"), "system"),
        (Calls(eval, writes), "eval"),
        (Calls(exec, writes), "exec"),
        (Calls(open, str(ran), "w"), "open"),
    ):
        content = {"v_template": [{"deep": (call,)}]} if nested else call
        data = pickle.dumps(content, protocol)
        pickle.loads(data)
        assert ran.exists()  # anybody else would have run it
        ran.unlink()
        refused(tmp_path, data, rf"asks for '\w+\.{function}'.*nothing of it was run")


def name(module: str, attribute: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("__builtin__", "eval"),
        ("__builtin__", "getattr"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("numpy.f2py.crackfortran", "getlincoef"),
        ("numpy.f2py.diagnose", "run"),
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "ndarray.__reduce__"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "_reconstruct.__self__"),
        ("numpy.testing._private.utils", "runstring"),
        ("scipy.sparse", "load_npz"),
        ("copy_reg", "add_extension"),
        ("chumpy.ch", "MatVecMult"),
        ("chumpy", "ch.Ch"),
        ("", ""),
        ("NUMPY", "ndarray"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, module: str, attribute: str) -> None:
    message = rf"asks for '{module}\.{attribute}'"
    refused(tmp_path, name(module, attribute) + b"(tR.", message)
    refused(tmp_path, b"\x80\x04" + text(module) + text(attribute) + b"\x93)R.", message)


def test_allowed_names_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do they import anything: what stands for them is inert, whatever it is given."""

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("an import")

    data = b""
    for module, attribute in mano_file._NAMES:
        if attribute == "_reconstructor":  # which wants a class
            continue
        data += name(module, attribute) + b"((I9999999999\nlS'/etc/passwd'\ntR0"
        data += name(module, attribute) + b")\x81}(S'a'\nI1\nub0"
    (tmp_path / "mano.pkl").write_bytes(data + b"N.")
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", fail)
        with pytest.raises(InputError, match="expected a dictionary of arrays"):
            read_mano(tmp_path / "mano.pkl")


@pytest.mark.parametrize("kind", ["O", "O8", "V8", "S8", "U2", "M8[ns]", "f8,O"])
def test_arrays_of_objects_are_refused(tmp_path: Path, kind: str) -> None:
    dtype = name("numpy", "dtype") + text(kind) + b"K\x00K\x01\x87R"
    array = (
        name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85"
        b"C\x01b\x87R(K\x01K\x01\x85" + dtype + b"\x89]Natb"
    )
    data = b"\x80\x04}" + text("v_template") + array + b"s."
    refused(tmp_path, data, "v_template: expected an array of numbers, got one of other things")


def test_names_within_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    array = np.array([Calls(os.system, f"touch {ran}")], dtype=object)
    for protocol in range(5):
        refused(tmp_path, pickle.dumps({"v_template": array}, protocol), r"asks for '\w+\.system'")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P1\n.", "operation PERSID"),
        (b"I1\nQ.", "objects from outside of the file"),
        (b"\x82\x01.", "operation EXT1"),
        (b"\x83\x01\x00.", "operation EXT2"),
        (b"\x84\x01\x00\x00\x00.", "operation EXT4"),
        (b"(ios\nsystem\n.", "operation INST"),
        (b"(" + name("numpy", "ndarray") + b"o.", "operation OBJ"),
        (name("numpy", "ndarray") + b")}\x92.", "operation NEWOBJ_EX"),
        (b"\x96" + struct.pack("<Q", 1 << 40) + b".", "operation BYTEARRAY8"),
        (b"\x97.", "operation NEXT_BUFFER"),
        (b"\x98.", "operation READONLY_BUFFER"),
        (b"\xff.", "operation 0xff"),
        (name("numpy", "ndarray") + b"}S'__setstate__'\nI1\nsb.", "changes something that"),
        (name("numpy", "ndarray") + b"N}\x86b.", "changes something that"),
        (b"]}b.", "changes something that"),
        (name("numpy", "ndarray") + b")R}b}b.", "changes something that"),
        (b"S'system'\n)R.", "calls something that is not an allowed name"),
        (name("numpy", "ndarray") + b")R)R.", "calls something that is not an allowed name"),
        (name("numpy", "ndarray") + b"NR.", "calls something that is not an allowed name"),
        (name("copy_reg", "_reconstructor") + b")R.", "an object of no allowed class"),
        (name("copy_reg", "_reconstructor") + b"I1\n\x85R.", "an object of no allowed class"),
        (name("numpy", "ndarray") + b")Rh\x00.", r"cannot be read as one \(UnpicklingError\)"),
        (name("numpy", "ndarray") + b")RI1\na.", "expected a dictionary of arrays"),
        (b"I1\nI1\nI1\ns.", r"cannot be read as one \(TypeError\)"),
        (b"\x8e" + struct.pack("<Q", 1 << 40) + b".", "cannot be read as one"),
        (b"\x80\x09.", r"cannot be read as one \(ValueError\)"),
        (b"L" + b"9" * 10_000 + b"L\n.", r"cannot be read as one \(ValueError\)"),
    ],
)
def test_tricks_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    refused(tmp_path, data, message)


def test_no_memory_is_set_aside_on_request(tmp_path: Path) -> None:
    """A memo of four thousand million entries, and an array of as many numbers."""
    import tracemalloc

    shape = b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"
    dtype = name("numpy", "dtype") + text("f8") + b"K\x00K\x01\x87R"
    reconstruct = name("numpy.core.multiarray", "_reconstruct")
    array = reconstruct + name("numpy", "ndarray") + shape + b"C\x01b\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89C\x00tb"
    data = b"\x80\x04}r\xff\xff\xff\xff" + text("v_template") + array + b"s."
    tracemalloc.start()
    refused(tmp_path, data, "v_template: expected data that fill an array of shape")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("endless", [b"]", b"N0", b"}", b"(", b"K\x01\x85"])
def test_endless_operations_are_refused(tmp_path: Path, endless: bytes) -> None:
    path = tmp_path / "mano.pkl"
    path.write_bytes(b"\x80\x02" + b"N" + endless * 4_000_000)
    began = time.process_time()
    with pytest.raises(LimitError, match=r"mano\.pkl: .*: expected a pickle of at most"):
        read_mano(path)
    assert time.process_time() - began < 5


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "mano.pkl"
    with path.open("wb") as file:
        file.truncate(mano_file.MAX_BYTES + 1)
    with pytest.raises(LimitError, match="expected a MANO file of at most 32 MB, got 32 MB"):
        read_mano(path)


def test_damaged_files_raise_our_errors_only(tmp_path: Path, right: HandTemplate) -> None:
    rng = random.Random(0)
    content = mano_content(right)
    content["posedirs"] = np.zeros(3)  # small, so that damage meets the structure
    content["shapedirs"].a.x = np.zeros(5)
    for key in ("v_template", "weights", "f", "hands_components"):
        content[key] = content[key][:2]
    content["shapedirs"].idxs = np.arange(4)
    for protocol in (0, 2):
        sound = python2_pickle(content, protocol)
        for _ in range(300):
            data = bytearray(sound)
            for _ in range(rng.choice((1, 1, 5))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            path = tmp_path / "mano.pkl"
            path.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
            with pytest.raises(InputError, match="mano"):
                read_mano(path)
