"""What a scenario may write under `hardware:`."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from hwmodels.entry import names
from hwmodels.hardware import HARDWARE, Hardware
from hwmodels.hardwired_asic import HardwiredAsic
from hwmodels.llm import load_llm
from hwmodels.roofline import Roofline

ADAPTER: TypeAdapter[Any] = TypeAdapter(Hardware)


@pytest.mark.parametrize("raw", ["hc1", {"preset": "hc1"}, {"kind": "hardwired_asic", "preset": "hc1"}])
def test_a_preset_knows_its_kind(raw: object) -> None:
    assert ADAPTER.validate_python(raw) == HardwiredAsic(preset="hc1")


def test_a_kind_alone_starts_from_the_generic_entry() -> None:
    assert ADAPTER.validate_python({"kind": "roofline", "memory_gb": 24}) == Roofline(memory_gb=24)


@pytest.mark.parametrize("name", names(*HARDWARE))
def test_every_preset_of_the_catalogue_loads(name: str) -> None:
    assert ADAPTER.validate_python(name).preset == name


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("h10", "no hardware preset 'h10'; did you mean h100"),
        ("llama3.1-8b", "llama3.1-8b is of kind llm"),
        (
            {"kind": "roofline", "preset": "hc1"},
            "hc1 is of kind hardwired_asic, not roofline: choose from a100",
        ),
        ({}, "needs a preset from the catalogue, or a kind: hardwired_asic, gpu_iteration, roofline"),
        ({"preset": 7}, "needs a preset from the catalogue"),
        ({"kind": "rofline"}, "hardwired_asic"),
        ({"preset": "hc1", "decode_step_s": 1}, "decode_step_s"),
        ({"preset": "hc1", "decode_step_ms": "3"}, "valid number"),
        ({"preset": "hc1", "decode_step_ms": 0}, "greater than 0"),
        ({"preset": "hc1", "decode_step_ms": float("nan")}, "decode_step_ms"),
        ({"preset": "h100_vllm", "p_norm": 11}, "less than or equal to 10"),
        ({"preset": "h100", "weights": "int3"}, "'bf16', 'fp8', 'mxfp4' or 'int4'"),
        ({"preset": "h100", "kv_cache_dtype": "int8"}, "'bfloat16', 'fp8', 'int8_per_token_head' or"),
    ],
)
def test_a_mistake_is_named(raw: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ADAPTER.validate_python(raw)


def write_chip(path: Path, value: str) -> str:
    path.write_text(f"kind: hardwired_asic\ntitle: mine\nextends: hc1\nvalues:\n  {value}\n")
    return str(path)


def test_a_preset_may_be_a_file_of_the_user(tmp_path: Path) -> None:
    value = "decode_step_ms: {value: 0.05, source: my bench, confidence: measured}"
    preset = write_chip(tmp_path / "mine.yaml", value)
    node = ADAPTER.validate_python({"preset": preset}).build(load_llm("llama3.1-8b"))
    assert node.step_time.step_ps((), 1, 10) == 50_000_000
    assert next(value for value in node.values if value.name == "decode_step_ms").source == "my bench"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("decode_stp_ms: {value: 1, source: my bench, confidence: measured}", "did you mean decode_step_ms"),
        (
            "decode_step_ms: {value: -1, source: my bench, confidence: measured}",
            "decode_step_ms: .*greater than 0",
        ),
    ],
)
def test_a_file_of_the_user_keeps_the_bounds_of_stated_values(
    tmp_path: Path, value: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ADAPTER.validate_python({"preset": write_chip(tmp_path / "mine.yaml", value)})


def test_a_spec_survives_a_round_trip_through_its_dump() -> None:
    spec = ADAPTER.validate_python({"preset": "hc1", "kv_pool_tokens": 25_000})
    assert ADAPTER.validate_python(spec.model_dump(exclude_none=True)) == spec


def test_the_schema_of_a_scenario_describes_every_value() -> None:
    kinds = ADAPTER.json_schema()["$defs"]
    assert set(kinds) == {"HardwiredAsic", "GpuIteration", "Roofline"}
    for kind in kinds.values():
        described = {name for name, field in kind["properties"].items() if field.get("description")}
        assert described >= set(kind["properties"]) - {"kind"}


def test_a_kv_block_is_a_token_on_an_asic_and_sixteen_on_a_gpu() -> None:
    presets = ("hc1", "h100", "h100_vllm")
    assert [ADAPTER.validate_python(preset).default_block_size for preset in presets] == [1, 16, 16]
