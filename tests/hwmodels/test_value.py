"""Values: units from names, ranges and confidence of everything in the catalogue."""

import pytest

from e80sim.choices import CONFIDENCES
from hwmodels.entry import load_entry, names
from hwmodels.value import Value, unit_of


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("decode_step_ms", "ms"),
        ("decode_ms_per_kv_token", "ms per kv token"),
        ("ms_per_attn_pair", "ms per attn pair"),
        ("memory_bandwidth_gb_per_s", "GB per s"),
        ("peak_bf16_tflops", "TFLOPS"),
        ("busy_w", "W"),
        ("down_mbit_per_s", "Mbit per s"),
        ("bytes_per_prompt_token", "bytes per prompt token"),
        ("mss_bytes", "bytes"),
        ("idle_timeout_s", "s"),
        ("kv_pool_tokens", "tokens"),
        ("usd_per_1m_tokens", "USD per 1m tokens"),
        ("p_norm", ""),
        ("max_num_seqs", ""),
    ],
)
def test_a_name_carries_its_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize("name", names())
def test_every_catalogue_value_has_a_source_and_a_legal_confidence(name: str) -> None:
    values = load_entry(name).all_values()
    assert values
    for value in values:
        assert len(value.source) >= 10, value
        assert value.confidence in CONFIDENCES, value


@pytest.mark.parametrize("name", names())
def test_every_stated_range_holds_its_value(name: str) -> None:
    for value in load_entry(name).all_values():
        if value.low is not None and value.high is not None:
            assert value.low <= value.value <= value.high, value


def test_the_efficiencies_of_a_data_sheet_carry_their_ranges() -> None:
    values = load_entry("h100").values
    assert (values["mfu_prefill"].low, values["mfu_prefill"].high) == (0.40, 0.81)
    assert (values["mbu_weights"].low, values["mbu_weights"].high) == (0.56, 0.80)


def test_a_value_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="busy_w is 900, outside its range 100 to 700"):
        Value("busy_w", 900, "data sheet", "published", 100, 700)


def test_half_a_range_is_refused() -> None:
    with pytest.raises(ValueError, match="busy_w states one end of its range"):
        Value("busy_w", 900, "data sheet", "published", low=100)


def test_a_value_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="busy_w has an empty source"):
        Value("busy_w", 900, " ", "published")
