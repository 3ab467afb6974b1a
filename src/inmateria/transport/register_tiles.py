"""Tiles of a matrix product that stay in vector registers.

    Y[r, c] += sign sum_k X[r, k] S[k, c]    for a few rows r and a vector of columns c

A compiler that is given three nested loops loads and stores Y for every few k, and asks
first whether the arrays overlap. Here all k are summed in registers, and Y is read and
written once: two to three times as fast at the sizes of transport, where a call of
BLAS costs more than the product. The tiles are written in LLVM's vector types, which any
processor has registers for or is given several of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

DOUBLE, INDEX = ir.DoubleType(), ir.IntType(64)
CONTRACT = ("contract",)


def make_tile(n_rows: int, width: int, *, n_inner: int | None = None) -> Callable[..., None]:
    """A function ``tile(Y, row, column, X, x_row, S, n_inner, sign)`` for compiled code.

    Y[row + r, column + c] += sign X[x_row + r, k] S[k, column + c] for r < n_rows and
    c < width, summed over k < n_inner. Nothing is checked.

    Parameters
    ----------
    n_rows, width : int
        Size of the tile; n_rows times width / 4 registers of 4 numbers hold it.
    n_inner : int, optional
        Where it is always the same: the loop is unrolled, and the argument not looked at.

    Returns
    -------
    callable
        Y and S are 2-d arrays with contiguous rows, X has any strides.
    """
    vector = ir.VectorType(DOUBLE, width)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)

    def generate(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        arrays = [
            context.make_array(signature.args[a])(context, builder, args[a]) for a in (0, 3, 5)
        ]
        Y, X, S = arrays
        row, column, x_row, n, sign = args[1], args[2], args[4], args[6], args[7]

        def at(array: Any, i: Any, j: Any) -> Any:
            """Address of element (i, j)."""
            address = builder.ptrtoint(array.data, INDEX)
            for axis, index in enumerate((i, j)):
                stride = builder.extract_value(array.strides, axis)
                address = builder.add(address, builder.mul(index, stride))
            return address

        def load(address: Any, what: Any) -> Any:
            return builder.load(builder.inttoptr(address, what.as_pointer()), align=8)

        def shifted(index: Any, r: int) -> Any:
            return builder.add(index, ir.Constant(INDEX, r))

        places = [at(Y, shifted(row, r), column) for r in range(n_rows)]
        sums = [cgutils.alloca_once(builder, vector) for _ in range(n_rows)]  # type: ignore[no-untyped-call]
        for held in sums:
            builder.store(ir.Constant(vector, [0.0] * width), held)

        def spread(number: Any) -> Any:
            one = builder.insert_element(
                ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
            )
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)

        def multiply_add(factor: Any, line: Any, term: Any) -> Any:
            product = builder.fmul(spread(factor), line, flags=CONTRACT)
            return builder.fadd(term, product, flags=CONTRACT)

        def add(k: Any) -> None:
            line = load(at(S, k, column), vector)
            for r, held in enumerate(sums):
                number = load(at(X, shifted(x_row, r), k), DOUBLE)
                builder.store(multiply_add(number, line, builder.load(held)), held)

        if n_inner is None:
            with cgutils.for_range(builder, n) as loop:
                add(loop.index)
        else:
            for k in range(n_inner):
                add(ir.Constant(INDEX, k))
        for place, held in zip(places, sums, strict=True):
            pointer = builder.inttoptr(place, vector.as_pointer())
            total = multiply_add(sign, builder.load(held), load(place, vector))
            builder.store(total, pointer, align=8)
        return context.get_dummy_value()

    # Numba looks at the names and the number of the arguments.
    def tile(  # type: ignore[no-untyped-def]
        typing,  # noqa: ARG001
        Y, row, column,  # noqa: ARG001
        X, x_row,  # noqa: ARG001
        S, n, sign,  # noqa: ARG001
    ):  # fmt: skip
        index = types.intp
        return types.void(Y, index, index, X, index, S, index, types.float64), generate

    return intrinsic(tile)
