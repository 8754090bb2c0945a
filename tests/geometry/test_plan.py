"""How much is measured at once, and that threads give the results of one."""

import threading

import pytest
import torch

from inspector.geometry.plan import numbers_of, plan
from inspector.geometry.threads import in_threads

GB = 2**30


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "d", "width", "workers", "each"),
    [
        (8, 49, 1000, 1, 1),
        (8, 50, 1000, 4, 2),
        (2, 4096, 256, 2, 1),
        (16, 4096, 256, 4, 4),
        (16, 4096, 1000, 3, 5),
        (16, 4096, 2048, 1, 16),
        (16, 30_000, 20_000, 1, 16),
    ],
    ids=["small products", "large enough", "two cores", "sixteen cores", "some", "64 adapters", "one alone"],
)
def test_threads_share_the_room_there_is_on_a_cpu(threads, cores, d, width, workers, each):
    threads(cores)
    found = plan("cpu", d, width)
    assert found == (2**23, workers, each)
    assert {type(number) for number in found} == {int}
    assert workers * 2**23 * 2 * 8 <= 2**29


def test_products_alone_take_less_than_gram_matrices(threads):
    threads(16)
    assert numbers_of(10, 3) == 3 * 10 + 2 * 3**2
    assert numbers_of(10, 3, 4) == 3 * 10 + 4**2
    assert plan("cpu", 4096, 1000, 8) == (2**20, 4, 4)
    assert plan("cpu", 49, 1000, 8) == (2**20, 1, 1)


@pytest.mark.parametrize(("free", "room"), [(4 * GB, 2 * GB), (80 * GB, 8 * GB)])
def test_a_gpu_takes_what_fits_in_a_share_of_its_free_memory(monkeypatch, free, room):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * GB))
    assert plan("cuda:0", 10, 10) == (room // 48, 1, torch.get_num_threads())


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_items(threads, workers):
    threads(2)
    late, seen = threading.Event(), set()

    def work(item):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        if workers > 1:
            late.set() if item == 1 else late.wait(10)
        return item**2

    assert list(in_threads(range(20), work, workers, 5)) == [item**2 for item in range(20)]
    assert {number for _, number in seen} == {5}
    assert len(seen) == workers or workers > 1
    assert ((threading.get_ident(), 5) in seen) == (workers == 1)
    assert torch.get_num_threads() == 2


def test_each_worker_has_one_thread_unless_it_is_told(threads):
    threads(3)
    assert list(in_threads(range(4), lambda _item: torch.get_num_threads(), 2)) == [1] * 4


def test_items_are_taken_as_they_are_needed():
    taken = []
    found = in_threads((taken.append(item) or item for item in range(50)), int, 2)
    assert next(found) == 0
    assert len(taken) == 4
    found.close()
    assert len(taken) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_reaches_the_caller(threads, workers):
    threads(3)
    found = in_threads([1, 0, 1], lambda item: 1 // item, workers)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert torch.get_num_threads() == 3
