"""BLAS on one thread, where samples are what is shared out over cores.

More threads would wait for each other in products this small, and results would depend on
their number in the last bit.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    # Looking for the libraries takes longer than a small sample.
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """BLAS of this process on one thread inside a `with` block."""
    limit: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit
