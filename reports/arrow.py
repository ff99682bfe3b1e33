"""Between numpy and Arrow through buffers: pyarrow's own conversions import pandas, 0.2 s of a short run."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = Any
"""A `pyarrow.Array`, whose type parameters differ between versions of its stubs."""

_BITS: Literal["little"] = "little"


def integers(values: NDArray[np.int64], *, negative_is_null: bool = False) -> Array:
    if not negative_is_null or not (missing := values < 0).any():
        return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values.data)])
    validity = pa.py_buffer(np.packbits(~missing, bitorder=_BITS).data)
    # What lies under a null must not differ between equal tables.
    known = pa.py_buffer(np.where(missing, 0, values).data)
    return pa.Array.from_buffers(pa.int64(), len(values), [validity, known])


def flags(values: NDArray[np.bool_]) -> Array:
    bits = pa.py_buffer(np.packbits(values, bitorder=_BITS).data)
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def labels(codes: NDArray[np.int32], names: Sequence[str]) -> Array:
    """Each code an index into `names`; raises where one is not."""
    assert len(set(names)) == len(names), names  # parquet would merge equal ones, and codes be others
    indices = pa.Array.from_buffers(pa.int32(), len(codes), [None, pa.py_buffer(codes.data)])
    return pa.DictionaryArray.from_arrays(indices, strings(names))


def strings(values: Sequence[str]) -> Array:
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def to_numpy(array: Array) -> NDArray[Any]:
    """A column of flags or numbers, nulls as -1; of labels, their codes."""
    if pa.types.is_dictionary(array.type):
        array = array.indices
    validity, values = array.buffers()
    if pa.types.is_boolean(array.type):
        return _bits(values, array)
    kind = np.dtype(str(array.type).replace("double", "float64"))
    found = np.frombuffer(values, kind, len(array), array.offset * kind.itemsize)
    return np.where(_bits(validity, array), found, -1) if array.null_count else found


def _bits(buffer: Array, array: Array) -> NDArray[np.bool_]:
    last = array.offset + len(array)
    unpacked = np.unpackbits(np.frombuffer(buffer, np.uint8), count=last, bitorder=_BITS)
    bits: NDArray[np.bool_] = unpacked[array.offset :].astype(np.bool_)
    return bits
