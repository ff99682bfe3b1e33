"""The catalogue's file format: inheritance, a user's own files, and what is said about mistakes in them."""

from pathlib import Path

import pytest

from hwmodels.entry import load_entry, names

MY_CHIP = """
kind: hardwired_asic
title: A faster chip
extends: hc1
values:
  decode_step_ms: {value: 0.05, source: a measurement of mine, confidence: measured}
"""


def test_an_entry_inherits_what_it_does_not_state() -> None:
    pipelined, exclusive = load_entry("hc1_pipelined"), load_entry("hc1")
    assert pipelined.values["decode_step_ms"] == exclusive.values["decode_step_ms"]
    assert pipelined.values["prefill_fixed_ms"].value == 1.05
    assert "prefill_ms_per_token" not in pipelined.values
    assert pipelined.llms == ("llama3.1-8b",)


def test_a_file_of_the_user_extends_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MY_CHIP)
    entry = load_entry(str(path))
    assert entry.name == "mine"
    assert entry.values["decode_step_ms"].value == 0.05
    assert entry.values["kv_pool_tokens"].value == 6144


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        (
            "confidence: guessed",
            "confidence: measured",
            r"mine.yaml: values.decode_step_ms.confidence: .*'published'",
        ),
        ("source: a measurement of mine, ", "", r"values.decode_step_ms.source: Field required"),
        ("source: ' ', ", "source: a measurement of mine, ", r"decode_step_ms has an empty source"),
        ("value: .inf", "value: 0.05", r"values.decode_step_ms.value"),
        ("extends: hc9", "extends: hc1", r"no catalogue entry 'hc9'; did you mean hc1"),
        ("titel: A", "title: A", r"mine.yaml: title: Field required"),
        ("kind: [", "kind: ", r"mine.yaml is not YAML"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, wrong: str, right: str, sentence: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MY_CHIP.replace(right, wrong, 1) if right else MY_CHIP.replace(wrong, ""))
    with pytest.raises(ValueError, match=sentence):
        load_entry(str(path))


def test_a_file_without_a_mapping_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("- hc1\n")
    with pytest.raises(ValueError, match=r"mine\.yaml is not a catalogue entry"):
        load_entry(str(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"no hardware preset file at \./nowhere\.yaml"):
        load_entry("./nowhere.yaml", "roofline")


def test_the_catalogue_lists_by_kind() -> None:
    assert names("llm") == ["gpt-oss-20b", "llama3.1-8b", "qwen3-32b"]
    assert {"h100", "h200", "a100", "b200", "l40s", "rtx_pro_6000"} <= set(names("roofline"))
    assert {"h100_vllm", "h200_vllm"} <= set(names("gpu_iteration"))
    assert {"hc1", "hc1_pipelined"} <= set(names("hardwired_asic"))


def test_an_entry_without_fits_has_those_of_what_it_extends(tmp_path: Path) -> None:
    path = tmp_path / "sold.yaml"
    path.write_text(
        "kind: gpu_iteration\ntitle: as sold\nextends: h100_vllm_fp8\nsettings: {kv_cache_dtype: bfloat16}\n",
        encoding="utf-8",
    )
    sold = load_entry(str(path))
    assert sold.fits == load_entry("h100_vllm_fp8").fits
    assert sold.settings.kv_cache_dtype == "bfloat16"
    assert sold.settings.weights is None
    assert sold.values["max_model_len"].value == 131_072
