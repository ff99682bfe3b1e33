import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from e80sim.plain_yaml import Dumper, Loader

NUMBERS = [
    ("250", 250),
    ("0250", 250),  # 168 in YAML 1.1
    ("-0250", -250),
    ("+7", 7),
    ("08", 8),
    ("1_000_000", 1_000_000),
    ("0x1F", 31),
    ("0o17", 15),
    ("1e6", 1e6),  # text in YAML 1.1
    ("1E6", 1e6),
    ("1.5e-3", 0.0015),
    ("1_000.5", 1000.5),
    ("0250.5", 250.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("-.inf", -math.inf),
]
TEXT = ["1:30", "1:30.5", "190:20:30", "0b101", "1__0", "1_", "_1", "0x", "5e", "1 000", "1,000", "250ms"]
TEXT += ["yes", "no", "on", "off", "y", "2026-01-01", "2026-13-45", "="]


def read(text: str) -> Any:
    return yaml.load(text, Loader)


@pytest.mark.parametrize(("written", "number"), NUMBERS)
def test_a_number_is_what_people_take_it_for(written: str, number: float) -> None:
    assert read(written) == number
    assert type(read(written)) is type(number)


@pytest.mark.parametrize("written", TEXT)
def test_what_only_yaml_1_1_takes_for_a_number_a_date_or_a_truth_value_is_text(written: str) -> None:
    assert read(written) == written


def test_true_false_and_nothing_are_those() -> None:
    assert [read(word) for word in ("true", "False", "TRUE", "null", "~", "")] == [
        True,
        False,
        True,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("text", [*(written for written, _ in NUMBERS), *TEXT, "true", "null", "~", ""])
def test_text_that_looks_like_something_else_is_written_in_quotes(text: str) -> None:
    written = yaml.dump({"key": text}, Dumper=Dumper)
    assert read(written) == {"key": text}
    assert yaml.safe_load(written) == {"key": text}


@given(st.recursive(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none(), st.lists))
def test_what_is_written_reads_the_same(value: Any) -> None:
    assert read(yaml.dump(value, Dumper=Dumper)) == value
