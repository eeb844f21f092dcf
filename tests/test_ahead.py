import threading

import pytest

from nsdrecon.ahead import ahead


def test_results_come_in_the_order_of_the_items():
    first = threading.Event()

    def slow_at_first(item):
        if item:
            first.set()
        else:
            assert first.wait(30), "nothing else is done while the first result is in the making"
        return 2 * item

    assert list(ahead(slow_at_first, range(5), depth=3, workers=2)) == [0, 2, 4, 6, 8]


def test_items_are_taken_no_further_than_the_depth():
    taken = []
    results = ahead(lambda item: item, (taken.append(k) or k for k in range(9)), depth=3, workers=1)
    assert next(results) == 0
    assert taken == [0, 1, 2]
    assert next(results) == 1
    assert taken == [0, 1, 2, 3]
    results.close()


@pytest.mark.parametrize("n_items", [0, 1, 2])
def test_fewer_items_than_the_depth(n_items):
    assert list(ahead(str, range(n_items), depth=4, workers=2)) == ["0", "1"][:n_items]


def test_an_error_reaches_the_caller():
    results = ahead(lambda item: 1 // item, [1, 0, 1], depth=2, workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
