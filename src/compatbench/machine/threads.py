"""Shares blocks of work among the processor's cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_threads(work: Callable[[], None], threads: int) -> None:
    """Call `work` once in each of `threads` threads; torch's own operations use one core in each.

    A team of threads inside each matrix product would wait for its slowest at every one of them: on two cores two
    single products at a time did a third more than one product on both.
    """
    if threads == 1:
        work()
        return
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for done in [pool.submit(work) for _ in range(threads)]:
                done.result()
    finally:
        torch.set_num_threads(before)
