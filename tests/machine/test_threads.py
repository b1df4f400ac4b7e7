"""Sharing work among threads."""

import threading

import pytest
import torch

from compatbench.machine.threads import in_threads


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_threads_take_turns_and_lose_nothing(threads: int) -> None:
    pieces, done, names = iter(range(1000)), [], set()

    def work() -> None:
        names.add(threading.current_thread().name)
        for piece in pieces:
            done.append(piece)

    in_threads(work, threads)
    assert sorted(done) == list(range(1000))
    assert len(names) == 1 or threads > 1


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_reaches_the_caller_and_torch_gets_its_threads_back(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:

        def work() -> None:
            raise RuntimeError("no room")

        with pytest.raises(RuntimeError, match="no room"):
            in_threads(work, threads)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
