"""The inner loop of matrix products with many rows on a CPU: a tile of the result held in vector registers, written in LLVM's own language.

x (rows, depth) is packed into panels of LANES rows, so that one element of a weight meets LANES numbers that lie side by side; weights are
read as they lie in memory. One tile is COLUMNS × LANES numbers, twelve registers of eight, which is what AVX2 has room for (the register
blocking of Goto and van de Geijn 2008, doi 10.1145/1356052.1356053, with the small operand packed instead of the large one). A row's
sums do not depend on what other rows are computed with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LANES = 16
"""Rows of a panel."""
COLUMNS = 6
"""Rows of weights that meet a panel at once."""
VECTOR = 8
UNROLLED = 4
"""Numbers of a weight between two tests for its end."""
CORES: int = numba.get_num_threads()
"""As many as numba has."""
FAST = {"reassoc", "contract", "nnan", "nsz"}
"""Freedom to sum in any order and to fuse; none to approximate divisions, which a compiler does in vectors and not beside them: whether it
takes those depends on where memory lies, and the same tokens would get other logits in the next run."""
F = TypeVar("F", bound=Callable[..., Any])
_lock = threading.Lock()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compiled functions run on so many threads, or on as many as there are cores. One caller at a time: not every threading layer of
    numba's bears two."""
    with _lock:
        numba.set_num_threads(min(count, CORES))
        yield


def compiled(function: F) -> F:
    """Parallel, and kept on disk between processes, where there is a place to."""
    options: dict[str, Any] = {"parallel": True, "fastmath": FAST, "nogil": True, "error_model": "numpy"}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return cast(F, numba.njit(**options)(function))


def inlined(function: F) -> F:
    return cast(F, numba.njit(fastmath=FAST, inline="always", error_model="numpy")(function))


VECTORS, INDEX = ir.VectorType(ir.FloatType(), VECTOR), ir.IntType(64)


def _place(builder: Any, base: Any, number: Any) -> Any:
    """The vector that begins at a float32."""
    return builder.bitcast(builder.gep(base, [number]), VECTORS.as_pointer())


def _load(builder: Any, base: Any, number: Any) -> Any:
    return builder.load(_place(builder, base, number), align=4)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Writes the code that adds to COLUMNS × vectors registers. panel: its first number; starts: that of each row of weights; step: from
    one number of a row to the next."""

    builder: Any
    panel: Any
    starts: list[Any]
    step: Any
    vectors: int

    def added(self, k: Any, offset: Any, sums: list[Any]) -> list[Any]:
        """The registers with one more number of the depth."""
        build, found = self.builder, list[Any]()
        at = build.mul(k, INDEX(LANES))
        xs = [_load(build, self.panel, build.add(at, INDEX(v * VECTOR))) for v in range(self.vectors)]
        for j, start in enumerate(self.starts):
            weight = build.load(build.gep(start, [offset]))
            some = build.insert_element(ir.Constant(VECTORS, ir.Undefined), weight, ir.IntType(32)(0))
            same = build.shuffle_vector(some, some, ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR))
            for x, so_far in zip(xs, sums[j * self.vectors :], strict=False):
                found.append(build.fadd(build.fmul(x, same, flags=["contract"]), so_far, flags=["contract"]))
        return found

    def loop(self, state: list[Any], until: Any, at_once: int) -> list[Any]:
        """Code that goes on in steps of at_once, as long as a whole one fits. state: k, the offset in a row, the registers."""
        build = self.builder
        entry, test, body, end = build.block, *(build.append_basic_block(name) for name in ("test", "body", "end"))
        build.branch(test)
        build.position_at_end(test)
        now = [build.phi(value.type) for value in state]
        build.cbranch(build.icmp_signed("<=", build.add(now[0], INDEX(at_once)), until), body, end)
        build.position_at_end(body)
        then = list(now)
        for _ in range(at_once):
            then[2:] = self.added(then[0], then[1], then[2:])
            then[0], then[1] = build.add(then[0], INDEX(1)), build.add(then[1], self.step)
        build.branch(test)
        for phi, first, after in zip(now, state, then, strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(after, body)
        build.position_at_end(end)
        return now


def _tile(vectors: int) -> Any:
    """A compiled function of panel (depth, LANES), weights (n, depth) of any strides, row, out (COLUMNS, LANES), further.

    out[j, i] = Σ panel[k, i] · weights[row + j, k], or that added to it where `further`; for the first 8 · vectors lanes. Rows past the
    last are read as the last. Panel and out are contiguous.
    """

    @intrinsic
    def tile(_: Any, panel: Any, weights: Any, row: Any, out: Any, further: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, w, o = (context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 1, 3))
            depth, rows = (builder.extract_value(array.shape, 0) for array in (x, w))
            row_stride, step = (builder.ashr(builder.extract_value(w.strides, i), INDEX(2)) for i in (0, 1))
            last = builder.sub(rows, INDEX(1))
            starts = []
            for j in range(COLUMNS):
                wanted = builder.add(arguments[2], INDEX(j))
                there = builder.select(builder.icmp_signed("<", wanted, rows), wanted, last)
                starts.append(builder.gep(w.data, [builder.mul(there, row_stride)]))
            places = [INDEX(j * LANES + v * VECTOR) for j in range(COLUMNS) for v in range(vectors)]
            nothing = ir.Constant(VECTORS, [0.0] * VECTOR)
            begun = [builder.select(arguments[4], _load(builder, o.data, place), nothing) for place in places]
            sums = _Sums(builder, x.data, starts, step, vectors)
            state = sums.loop([INDEX(0), INDEX(0), *begun], depth, UNROLLED)
            for value, place in zip(sums.loop(state, depth, 1)[2:], places, strict=True):
                builder.store(value, _place(builder, o.data, place), align=4)
            return context.get_dummy_value()

        return types.void(panel, weights, row, out, further), generate

    return tile


_half, _whole = _tile(1), _tile(2)


def _reduced(join: Callable[[Any, Any, Any], Any]) -> Any:
    """A compiled function of panel (depth, LANES), depth 1 or more, and out (LANES,): all numbers of a lane joined, first to last."""

    @intrinsic
    def reduced(_: Any, panel: Any, out: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, o = (context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args, arguments, strict=True))
            depth = builder.extract_value(x.shape, 0)

            starts = range(0, LANES, VECTOR)
            begun = [_load(builder, x.data, INDEX(v)) for v in starts]
            entry, loop, body, end = builder.block, *(builder.append_basic_block(name) for name in ("depth", "join", "end"))
            builder.branch(loop)
            builder.position_at_end(loop)
            k, values = builder.phi(INDEX), [builder.phi(VECTORS) for _ in starts]
            builder.cbranch(builder.icmp_signed("<", k, depth), body, end)
            builder.position_at_end(body)
            at = builder.mul(k, INDEX(LANES))
            seen = [_load(builder, x.data, builder.add(at, INDEX(v))) for v in starts]
            joined = [join(builder, value, new) for value, new in zip(values, seen, strict=True)]
            k_next = builder.add(k, INDEX(1))
            builder.branch(loop)
            for phi, first, then in [(k, INDEX(1), k_next), *zip(values, begun, joined, strict=True)]:
                phi.add_incoming(first, entry)
                phi.add_incoming(then, body)
            builder.position_at_end(end)
            for v, value in zip(starts, values, strict=True):
                builder.store(value, _place(builder, o.data, INDEX(v)), align=4)
            return context.get_dummy_value()

        return types.void(panel, out), generate

    return reduced


highest = _reduced(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
total = _reduced(lambda builder, a, b: builder.fadd(a, b))


@inlined
def tile(panel: Floats, lanes: int, weights: Floats, row: int, out: Floats, further: bool) -> None:
    """What `_tile` says, for so many lanes at least: a panel that is not half full takes half the time."""
    if lanes > VECTOR:
        _whole(panel, weights, row, out, further)
    else:
        _half(panel, weights, row, out, further)


@cast(Any, intrinsic)  # type: ignore[untyped-decorator]
def _float_of(_: Any, bits: Any) -> Any:
    """The float32 whose bits an int32 has."""
    return types.float32(types.int32), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], ir.FloatType())


@inlined
def exp(x: Any) -> Any:
    """exp(x) for x from -87 to 88, beyond that of the nearest, in a form the compiler turns into vectors: 2^n by its bits and Cephes's
    polynomial for the rest (expf.c, Moshier 1984), exact to two units in the last place."""
    value = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(value * np.float32(1.44269504) + np.float32(0.5))
    r = value - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    y = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
    y = y * r + np.float32(8.3334519073e-3)
    y = y * r + np.float32(4.1665795894e-2)
    y = y * r + np.float32(1.6666665459e-1)
    y = y * r + np.float32(5.0000001201e-1)
    return (y * r * r + r + np.float32(1.0)) * _float_of((np.int32(n) + np.int32(127)) << np.int32(23))


@inlined
def sigmoid(x: Any) -> Any:
    return np.float32(1.0) / (np.float32(1.0) + exp(-x))


@inlined
def silu(x: Any) -> Any:
    return x / (np.float32(1.0) + exp(-x))
