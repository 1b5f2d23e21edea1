"""What kernels need of the hardware and Numba does not offer: loads from an address, and the bits of numbers.

On a device these are llvmlite, one instruction each. Numba's simulator knows no llvmlite: there the same names read
the memory of this process.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np
from numba import config, types

__all__ = [
    "bits_of_float32",
    "bits_of_float64",
    "float32_of_bits",
    "float64_of_bits",
    "int64_of_bits",
    "load_8",
    "load_16",
    "load_32",
    "load_64",
    "load_vector",
    "store_16",
    "store_32",
]

if config.ENABLE_CUDASIM:

    def _load(ctype: Any, dtype: Any) -> Any:
        def load(address: Any, i: Any) -> Any:
            return dtype(ctype.from_address(int(address) + int(i) * ctypes.sizeof(ctype)).value)

        return load

    load_8, load_16 = _load(ctypes.c_uint8, np.uint8), _load(ctypes.c_uint16, np.uint16)
    load_32, load_64 = _load(ctypes.c_uint32, np.uint32), _load(ctypes.c_uint64, np.uint64)

    def load_vector(address: Any, i: Any) -> Any:
        """Sixteen bytes from an address that 16 divides, as two words."""
        assert int(address) % 16 == 0
        return load_64(address, 2 * int(i)), load_64(address, 2 * int(i) + 1)

    def store_16(address: Any, i: Any, value: Any) -> None:
        """Write two bytes."""
        ctypes.c_uint16.from_address(int(address) + 2 * int(i)).value = int(value)

    def store_32(address: Any, i: Any, value: Any) -> None:
        """Write four bytes to an address that 4 divides."""
        assert int(address) % 4 == 0
        ctypes.c_uint32.from_address(int(address) + 4 * int(i)).value = int(value)

    def _reinterpret(of: str, to: str, dtype: Any) -> Any:
        def reinterpret(x: Any) -> Any:
            number = float(x) if of in "fd" else int(x)
            return dtype(struct.unpack(to, struct.pack(of, number))[0])

        return reinterpret

    float32_of_bits, bits_of_float32 = _reinterpret("I", "f", np.float32), _reinterpret("f", "I", np.uint32)
    float64_of_bits, bits_of_float64 = _reinterpret("Q", "d", np.float64), _reinterpret("d", "Q", np.uint64)
    int64_of_bits = _reinterpret("Q", "q", np.int64)
else:
    from llvmlite import ir
    from numba.cuda.extending import intrinsic

    WORD = ir.IntType(64)

    def _cached(builder: Any, address: Any, kind: Any, i: Any, align: int) -> Any:
        """A load of global memory that no kernel writes, through the read-only cache: ld.global.nc."""
        pointer = builder.inttoptr(address, kind.as_pointer(1))
        value = builder.load(builder.gep(pointer, [i]), align=align)
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        return value

    def _loader(bits: int, result: Any) -> Any:
        @intrinsic
        def load(typing: Any, address: Any, i: Any) -> Any:  # noqa: ARG001 (Numba asks for these)
            def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
                return _cached(builder, arguments[0], ir.IntType(bits), arguments[1], bits // 8)

            return result(types.uint64, types.int64), code

        return load

    load_8, load_16 = _loader(8, types.uint8), _loader(16, types.uint16)
    load_32, load_64 = _loader(32, types.uint32), _loader(64, types.uint64)

    @intrinsic
    def load_vector(typing: Any, address: Any, i: Any) -> Any:  # noqa: ARG001
        """Sixteen bytes from an address that 16 divides, as two words: ld.global.nc.v2.u64."""
        result = types.UniTuple(types.uint64, 2)

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            pair = _cached(builder, arguments[0], ir.VectorType(WORD, 2), arguments[1], 16)
            words = [builder.extract_element(pair, ir.Constant(ir.IntType(32), k)) for k in range(2)]
            return context.make_tuple(builder, result, words)

        return result(types.uint64, types.int64), code

    def _storer(bits: int, kind: Any) -> Any:
        @intrinsic
        def store(typing: Any, address: Any, i: Any, value: Any) -> Any:  # noqa: ARG001
            """Write to global memory."""

            def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
                pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer(1))
                builder.store(arguments[2], builder.gep(pointer, [arguments[1]]), align=bits // 8)
                return context.get_dummy_value()

            return types.void(types.uint64, types.int64, kind), code

        return store

    store_16, store_32 = _storer(16, types.uint16), _storer(32, types.uint32)

    def _reinterpreter(of: Any, to: Any, llvm: Any) -> Any:
        @intrinsic
        def reinterpret(typing: Any, x: Any) -> Any:  # noqa: ARG001
            def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
                return builder.bitcast(arguments[0], llvm)

            return to(of), code

        return reinterpret

    float32_of_bits = _reinterpreter(types.uint32, types.float32, ir.FloatType())
    bits_of_float32 = _reinterpreter(types.float32, types.uint32, ir.IntType(32))
    float64_of_bits = _reinterpreter(types.uint64, types.float64, ir.DoubleType())
    bits_of_float64 = _reinterpreter(types.float64, types.uint64, WORD)
    int64_of_bits = _reinterpreter(types.uint64, types.int64, WORD)
