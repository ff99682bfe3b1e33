import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from reports import arrow


@given(st.lists(st.integers(-1, 2**62), max_size=40))
def test_stamps_become_what_pyarrow_makes_of_them(stamps: list[int]) -> None:
    made = arrow.integers(np.array(stamps, np.int64), negative_is_null=True)
    made.validate(full=True)
    assert made.to_pylist() == [None if stamp < 0 else stamp for stamp in stamps]
    assert arrow.integers(np.array(stamps, np.int64)).to_pylist() == stamps
    assert arrow.to_numpy(made).tolist() == stamps
    assert arrow.to_numpy(made.slice(3, 9)).tolist() == stamps[3:12]


@given(
    st.lists(st.booleans(), max_size=20), st.lists(st.text(max_size=5), min_size=1, max_size=6, unique=True)
)
def test_flags_and_labels_keep_every_value(values: list[bool], names: list[str]) -> None:
    flags = arrow.flags(np.array(values, np.bool_))
    assert flags.to_pylist() == values
    assert arrow.to_numpy(flags.slice(2)).tolist() == values[2:]
    codes = np.arange(len(names), dtype=np.int32)[::-1].copy()
    labels = arrow.labels(codes, names)
    labels.validate(full=True)
    assert labels.to_pylist() == names[::-1]
    assert labels.dictionary.equals(pa.array(names, pa.string()))
    assert arrow.to_numpy(labels).tolist() == codes.tolist()
