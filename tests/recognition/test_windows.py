from itertools import pairwise

import pytest

from chereme.recognition.windows import seam, windows


def cut(count, size, overlap, every=None):
    found = windows(range(count), size, overlap, every)
    return [(w.start, len(w.items), w.last, w.whole) for w in found]


def test_short_input_is_one_window():
    assert cut(0, 4, 2) == []
    assert cut(3, 4, 2) == [(0, 3, True, True)]
    assert cut(4, 4, 2) == [(0, 4, True, True)]


def test_long_input_is_covered_and_each_window_has_something_new():
    assert cut(5, 4, 2) == [(0, 4, False, True), (2, 3, True, True)]
    assert cut(8, 4, 0) == [(0, 4, False, True), (4, 4, True, True)]
    for count in range(1, 40):
        found = list(windows(range(count), 7, 3))
        assert [w.last for w in found] == [False] * (len(found) - 1) + [True]
        for before, after in pairwise(found):
            assert after.items[:3] == before.items[-3:]
            assert len(after.items) > 3
        assert sorted({item for w in found for item in w.items}) == list(range(count))
        assert all(w.items[0] == w.start for w in found)


def test_what_there_is_of_a_window_comes_in_between():
    assert cut(7, 6, 2, every=2) == [
        (0, 2, False, False),
        (0, 4, False, False),
        (0, 6, False, True),
        (4, 3, True, True),
    ]


def test_items_are_taken_when_they_are_needed():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    found = windows(items(), 10, 4)
    next(found)
    assert len(taken) == 11


@pytest.mark.parametrize(
    ("middles", "place"),
    [
        ([], 15.0),
        ([3.0, 25.0], 15.0),  # outside
        ([15.0], 12.5),  # the first of equal gaps
        ([14.0, 11.0], 17.0),
        ([12.0, 18.0, 19.5], 15.0),
    ],
)
def test_the_seam_lies_where_no_sign_is_near(middles, place):
    assert seam(middles, 10.0, 20.0) == place
