"""Independent samples on all cores of this process.

Compiled code lets go of Python's lock, so threads serve: nothing is copied, each
thread has a workspace of its own, and what a sample gives does not depend on which
thread took it. As many threads as Numba is allowed (``NUMBA_NUM_THREADS``); BLAS gets
one each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event, Lock
from typing import TypeVar

import numba

from inmateria.transport.blas import one_blas_thread

Item = TypeVar("Item")
Work = TypeVar("Work")


def on_cores(
    solve: Callable[[Item, Work], None],
    items: Sequence[Item] | Iterable[Item],
    workspace: Callable[[], Work],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Call `solve(item, work)` for all items, with a workspace per thread.

    Parameters
    ----------
    progress : callable, optional
        Told, from this thread, how many items are done.

    Raises
    ------
    Exception
        Whatever the first failing `solve` raises; what runs then is finished first.
    """
    waiting = list(items)
    n_threads = min(numba.get_num_threads(), len(waiting))
    numbers, done, lock, stop = count(), 0, Lock(), Event()
    finished = Event()

    def run() -> None:
        nonlocal done
        work = workspace()
        while not stop.is_set() and (i := next(numbers)) < len(waiting):
            try:
                solve(waiting[i], work)
            except BaseException:
                stop.set()
                raise
            finally:
                with lock:
                    done += 1
                finished.set()

    with one_blas_thread():
        if n_threads == 1:
            work = workspace()
            for i, item in enumerate(waiting):
                solve(item, work)
                if progress is not None:
                    progress(i + 1)
            return
        with ThreadPoolExecutor(max(n_threads, 1)) as pool:
            threads = [pool.submit(run) for _ in range(n_threads)]
            try:
                told = 0
                while not all(thread.done() for thread in threads):
                    finished.wait(0.2)
                    finished.clear()
                    if progress is not None and done > told:
                        told = done
                        progress(told)
                for thread in threads:
                    thread.result()
                if progress is not None and told < len(waiting):
                    progress(len(waiting))
            finally:
                # Ctrl-C comes to this thread; the others stop after their sample.
                stop.set()
