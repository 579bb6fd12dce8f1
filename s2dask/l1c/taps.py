"""The 4 x 4 sum of an interpolation, four pixels at a time.

What a compiler makes of the plain loop loads sixteen single samples for each pixel. Here the four samples of a row are
loaded at once, the four rows of a pixel are added with their weights, and four pixels are transposed, so that their
columns too are added side by side.
"""

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

LANES: Final = 4
"""Pixels that are made at a time: `weigh_four` reads and writes multiples of it."""
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_FOUR = ir.VectorType(_F32, LANES)


def _shuffle(builder: Any, a: Any, b: Any, order: tuple[int, ...]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, LANES), list(order)))


def _load_four(builder: Any, data: Any, offset: Any) -> Any:
    place = builder.bitcast(builder.gep(data, [offset]), _FOUR.as_pointer())
    return builder.load(place, align=4)


def _transposed(builder: Any, a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    low, high, last, top = (0, 1, 4, 5), (2, 3, 6, 7), (0, 2, 4, 6), (1, 3, 5, 7)
    ab, cd = _shuffle(builder, a, b, low), _shuffle(builder, c, d, low)
    ab_high, cd_high = _shuffle(builder, a, b, high), _shuffle(builder, c, d, high)
    return [_shuffle(builder, *pair, order) for pair in ((ab, cd), (ab_high, cd_high)) for order in (last, top)]


@intrinsic
def weigh_four(_typing, samples, wide, index, w, u, stride, q, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Write the weighted sums of pixels q … q + 3.

    Parameters
    ----------
    samples : (row, wide) float32
    wide : int
    index : (pixel) int32
        First sample of the 4 x 4 of each pixel.
    w, u : (4, stride) float32
        Weights of the rows and of the columns, by tap and pixel.
    stride : int
    q : int
    out : (pixel) float32
    """
    whole = types.int64
    signature = types.void(samples, whole, index, w, u, whole, whole, out)

    def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
        arrays = {
            k: context.make_array(sig.args[k])(context, builder, args[k]).data for k in (0, 2, 3, 4, 7)
        }
        samples, index, w, u, out = (arrays[k] for k in (0, 2, 3, 4, 7))
        wide, stride, q = args[1], args[5], args[6]

        def at(k: int) -> Any:
            return builder.add(q, builder.mul(stride, ir.Constant(_I64, k)))

        rows = [_load_four(builder, w, at(k)) for k in range(4)]
        pixels = []
        for p in range(LANES):
            start = builder.sext(
                builder.load(builder.gep(index, [builder.add(q, ir.Constant(_I64, p))])), _I64
            )
            total = None
            for k in range(4):
                weight = _shuffle(builder, rows[k], rows[k], (p, p, p, p))
                term = builder.fmul(_load_four(builder, samples, start), weight)
                total = term if total is None else builder.fadd(total, term)
                start = builder.add(start, wide)
            pixels.append(total)
        total = None
        for k, taps in enumerate(_transposed(builder, *pixels)):
            term = builder.fmul(taps, _load_four(builder, u, at(k)))
            total = term if total is None else builder.fadd(total, term)
        target = builder.bitcast(builder.gep(out, [q]), _FOUR.as_pointer())
        builder.store(total, target, align=4)
        return context.get_dummy_value()

    return signature, generate
