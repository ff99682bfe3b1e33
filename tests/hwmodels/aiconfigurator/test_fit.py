"""Laws fitted to kernels that are known by hand, and what is derived for precisions without kernels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e80sim.mistakes import UserError
from hwmodels.aiconfigurator.entry import entry
from hwmodels.aiconfigurator.fit import Law, Node, fitted
from hwmodels.aiconfigurator.kernels import NoDataError, Step
from hwmodels.aiconfigurator.package import System
from hwmodels.aiconfigurator.steps import steps
from hwmodels.entry import load_entry
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.llm import load_llm

LLAMA = load_llm("llama3.1-8b")
GPU = System("handmade", 80.0, 1000.0, "made by hand")
NODE = Node(GPU, "meta/llama", LLAMA, 1)


class HandMade:
    """10 ms and 0.02 ms a token; 1e-6 ms a pair of tokens; 1e-4 ms a cached token of a decode."""

    def __init__(self, dense: Callable[[int], float] = lambda tokens: 10 + 0.02 * tokens) -> None:
        self._dense = dense

    def prompts(self, sequences: int, new: int, past: int) -> Step:
        dense = self._dense(sequences * new)
        return Step(dense + sequences * 1e-6 * (new * past + new * (new + 1) / 2), dense)

    def decodes(self, sequences: int, context: int) -> Step:
        dense = self._dense(sequences)
        return Step(dense + 1e-4 * sequences * context, dense)

    def mixed(self, new: int, past: int, sequences: int, context: int) -> Step:
        dense = self._dense(new + sequences)
        chunk, decodes = self.prompts(1, new, past), self.decodes(sequences, context)
        return Step(dense + chunk.ms - chunk.dense_ms + decodes.ms - decodes.dense_ms, dense)


class WithoutLongContexts(HandMade):
    def decodes(self, sequences: int, context: int) -> Step:
        if context > 8192:
            raise NoDataError("no site near")
        return super().decodes(sequences, context)


@pytest.fixture(autouse=True)
def _versions(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("fit", "entry"):
        monkeypatch.setattr(f"hwmodels.aiconfigurator.{module}.engine_version", lambda _system: "0.24.0")


def law_of(weights: str = "bf16", kv: str = "bfloat16", form: str = "kernels", **bases: str) -> Law:
    base, kv_base = bases.get("base", weights), bases.get("kv_base", kv)
    return fitted(NODE, HandMade(), base, kv_base, weights, kv, form)


@pytest.mark.parametrize("form", ["kernels", "table", "r6b"])
def test_a_law_gives_the_steps_of_its_kernels(tmp_path: Path, form: str) -> None:
    law = law_of(form=form)
    assert law.errors.median < 0.005
    assert law.errors.most < 0.03
    node = built(tmp_path, law).build(LLAMA)
    # 32 decodes over 1,000 tokens, a prompt of 512, and 512 after 2,048 cached, and 0.5 ms of host time
    for chunks, decodes, kv_tokens, ms in (
        ((), 32, 32_000, 10 + 0.64 + 3.2),
        (((512, 0),), 0, 0, 10 + 10.24 + 0.131328),
        (((512, 2048),), 0, 0, 10 + 10.24 + 1.048576 + 0.131328),
    ):
        took = node.step_time.step_ps(chunks, decodes, kv_tokens) / 1e9
        assert took == pytest.approx(ms + 0.5, rel=0.02)


def test_a_table_keeps_the_jump_where_kernels_change_their_tiles(tmp_path: Path) -> None:
    """As FP8 matrices of 513 rows take 1.7 times as long as those of 512 on an H100."""
    kernels = HandMade(lambda tokens: 10.0 if tokens <= 512 else 17.0)
    law = fitted(NODE, kernels, "fp8", "fp8", "fp8", "fp8", "kernels")
    node = built(tmp_path, law).build(LLAMA)
    just, more = (node.step_time.step_ps((), decodes, 0) / 1e9 for decodes in (512, 513))
    assert just == pytest.approx(10.5, rel=0.01)
    assert more == pytest.approx(17.5, rel=0.01)


class WithALeastTime(HandMade):
    """Kernels of prompts take 2 ms more, however few their tokens."""

    def prompts(self, sequences: int, new: int, past: int) -> Step:
        step = super().prompts(sequences, new, past)
        return step._replace(ms=step.ms + 2)


def test_steps_with_prompts_have_a_least_time_of_their_own() -> None:
    law = fitted(NODE, WithALeastTime(), "bf16", "bfloat16", "bf16", "bfloat16", "kernels")
    assert law.section["values"]["t_prompts_ms"]["value"] == pytest.approx(2, rel=0.03)
    assert law.section["values"]["t_fixed_ms"]["value"] == pytest.approx(0, abs=0.05)
    assert law.errors.most < 0.02
    without = fitted(NODE, WithALeastTime(), "bf16", "bfloat16", "bf16", "bfloat16", "table")
    assert without.errors.most > 0.04


def test_every_value_tells_its_kernels_and_the_error_of_the_fit() -> None:
    law = law_of()
    values = law.section["values"]
    told = values["ms_per_kv_token"]
    assert told["value"] == pytest.approx(1e-4, rel=0.01)
    assert told["confidence"] == "derived"
    for words in ("steps of meta/llama composed from aiconfigurator-core", "error median 0.", "p95", "max"):
        assert words in told["source"]
    # a sum of kernels cannot tell what a KV token costs in a mixed step: the engine's entry does
    assert "mixed_kv_multiplier" not in values


def test_weights_without_kernels_save_what_they_do_not_move() -> None:
    """INT4 reads 4.68 of 15.01 GB, so at 1,000 GB/s 10.33 ms less; at the timed pace 31 % would be left."""
    timed, derived = law_of(form="r6b"), law_of("int4", base="bf16")
    before = [timed.section["values"][name]["value"] for name in ("t_weights_ms", "t_fixed_ms")]
    after = [derived.section["values"][name] for name in ("t_weights_ms", "t_fixed_ms")]
    assert sum(before) == pytest.approx(10, rel=0.03)
    assert sum(told["value"] for told in after) == pytest.approx(sum(before) * 0.31155, rel=1e-3)
    for told, whole in zip(after, before, strict=True):
        assert told["low"] == pytest.approx(whole * 0.31155, rel=1e-3)
        assert told["high"] == whole
        assert told["source"].startswith("no kernels timed: weights in int4, derived from bf16 by the bytes")
    assert derived.derived == "weights in int4 from those in bf16"
    assert derived.section["values"]["ms_per_token"]["confidence"] == "assumed"


def test_a_faster_memory_saves_less() -> None:
    """At 10,000 GB/s the 10.33 GB that INT4 does not read save 1.03 ms of the 10."""
    fast = NODE._replace(system=GPU._replace(bandwidth_gb_per_s=10_000.0))
    laws = [fitted(fast, HandMade(), "bf16", "bfloat16", w, "bfloat16", "r6b") for w in ("bf16", "int4")]
    whole, less = (
        sum(law.section["values"][name]["value"] for name in ("t_weights_ms", "t_fixed_ms")) for law in laws
    )
    assert whole - less == pytest.approx(1.0332, rel=1e-3)


def test_a_cache_without_kernels_saves_what_it_does_not_read() -> None:
    """Of 131,072 bytes per token INT4 with its scales leaves 34,816: at 1,000 GB/s 9.6256e-5 ms less of 1e-4,
    but at least what the timed pace leaves.
    """
    derived = law_of(kv="int4_per_token_head", kv_base="bfloat16").section["values"]["ms_per_kv_token"]
    assert derived["value"] == pytest.approx(1e-4 * 34_816 / 131_072, rel=0.01)
    assert derived["high"] == pytest.approx(1e-4, rel=0.01)
    half = law_of(kv="fp8", kv_base="bfloat16").section["values"]["ms_per_kv_token"]
    assert half["value"] == pytest.approx(5e-5, rel=0.01)
    assert "a KV cache in fp8, derived from bfloat16" in half["source"]


def test_steps_that_the_tables_lack_are_counted_and_left_out() -> None:
    pool = 400_000
    all_of_them = steps("k", HandMade(), most_kv_tokens=pool, longest=131_072)
    some = steps("k", WithoutLongContexts(), most_kv_tokens=pool, longest=131_072)
    assert all_of_them.lacking == 0
    # contexts of 16,384 with 1 to 16 decodes, of 32,768 with 1 to 8: 5 and 4
    assert some.lacking == 9
    assert some.table.rows + 9 == all_of_them.table.rows


def test_no_step_holds_more_than_the_pool_or_longer_sequences_than_the_llm_takes() -> None:
    table = steps("k", HandMade(), most_kv_tokens=100_000, longest=4096).table
    assert table.kv_tokens.max() <= 100_000
    assert table.longest_context.max() <= 4096


def built(tmp_path: Path, *laws: Law, node: Node = NODE, longest: int | None = None) -> GpuIteration:
    path = tmp_path / "node.yaml"
    path.write_text(entry(node, laws, load_entry("generic_vllm"), longest), encoding="utf-8")
    return GpuIteration(preset=str(path))


def test_an_entry_is_a_node_as_bought(tmp_path: Path) -> None:
    spec = built(tmp_path, law_of("fp8", "fp8"), law_of("fp8", "bfloat16"))
    asked = spec.build(LLAMA)
    # 72 GB less 2 of activations and 9.081 of weights, by 65,536 bytes
    assert asked.kv_pool_tokens == 929_555
    assert asked.kv_bytes_per_token == 65_536
    assert asked.max_model_len == 131_072
    wide = spec.model_copy(update={"kv_cache_dtype": "bfloat16"}).build(LLAMA)
    assert wide.kv_pool_tokens == 464_777
    with pytest.raises(
        UserError, match=r"no fit of llama3\.1-8b in fp8 with a KV cache in 'int8_per_token_head'"
    ):
        spec.model_copy(update={"kv_cache_dtype": "int8_per_token_head"}).build(LLAMA)


def test_two_gpus_have_what_one_has_twice_and_steps_that_hold_their_communication(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(entry(NODE._replace(width=2), [law_of()], load_entry("h100_vllm"), None))
    spec = GpuIteration.model_validate({"preset": str(path)})
    node = spec.build(LLAMA)
    assert (node.gpus, node.usd_per_hour, node.busy_w) == (2, 6, 910)
    # of each (72 - 2) GB less 8.03 GB of weights, 65,536 B a token
    assert node.kv_pool_tokens == 945_587
    alone = yaml.safe_load(path.read_text())["fits"][0]["dense_ms_by_tokens"]
    assert node.step_time.dense(1) == pytest.approx(1e9 * (alone[1] + 0.5), rel=1e-6)
    with pytest.raises(UserError, match=r"link has no effect on .*two\.yaml, whose steps hold"):
        spec.model_copy(update={"link": "pcie4"}).build(LLAMA)


def test_a_context_limit_is_what_the_pool_holds_where_the_llm_takes_more() -> None:
    small = NODE._replace(system=GPU._replace(memory_gb=24.0))
    law = fitted(small, HandMade(), "bf16", "bfloat16", "bf16", "bfloat16", "table")
    told = values_of(entry(small, [law], load_entry("generic_vllm"), None))
    # 21.6 GB less 2 and 16.06: 27,008 tokens, in whole blocks of 1,024
    assert told["max_model_len"]["value"] == 26_624
    assert (told["max_num_seqs"]["value"], told["max_num_batched_tokens"]["value"]) == (256, 2048)
    with pytest.raises(UserError, match=r"--max-model-len 27,009 is more than .* allow: at most 27,008"):
        entry(small, [law], load_entry("generic_vllm"), 27_009)


def values_of(text: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(text)["values"]
    return values
