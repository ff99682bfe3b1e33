"""The LLM whose kernels are asked for: one of the catalogue, or the facts of its config.json as an entry."""

from dataclasses import fields
from typing import Any, NamedTuple

from e80sim.mistakes import UserError
from hwmodels.aiconfigurator.package import config, release
from hwmodels.entry import LLM, names
from hwmodels.llm import Llm, load_llm

OTHER_ATTENTION = ("kv_lora_rank", "linear_num_key_heads", "text_config", "hybrid_override_pattern")
"""What a config.json says of models whose attention our law does not describe."""
NAMES = {
    "num_local_experts": ("num_local_experts", "num_experts"),
    "intermediate_size": ("moe_intermediate_size", "intermediate_size"),
}
"""Ours, where config.json has several."""
PLAIN = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
)
EXPERTS = ("num_local_experts", "num_experts_per_tok")
ANY = ("bf16", "fp8", "int4")
"""The precisions in which the weights of an LLM that the catalogue lacks can be had."""


class Asked(NamedTuple):
    llm: Llm
    entry: dict[str, Any] | None
    """The file of an LLM that the catalogue lacks."""


def llm_of(model: str) -> Asked:
    """Raises UserError where our law does not describe the model."""
    told = config(model)
    facts = _facts(model, told)
    for name in names(LLM):
        known = load_llm(name)
        if all(getattr(known, fact) == number for fact, number in facts.items()):
            return Asked(known, None)
    name = model.partition("/")[2].lower()
    llm = Llm(name=name, title=model, weights=ANY, **facts)
    return Asked(llm, _entry(model, llm, facts, tied=bool(told.get("tie_word_embeddings"))))


def _facts(model: str, told: dict[str, Any]) -> dict[str, int]:
    strange = [key for key in OTHER_ATTENTION if told.get(key) is not None]
    if strange:
        raise UserError(
            f"{model} has another attention than the law describes ({strange[0]} in its config.json): choose "
            f"a model with grouped queries, such as meta-llama/Meta-Llama-3.1-8B"
        )
    found = {name: _number(told, *NAMES.get(name, (name,))) for name in PLAIN}
    found["head_dim"] = found["head_dim"] or (found["hidden_size"] or 0) // (
        found["num_attention_heads"] or 1
    )
    facts = {name: number for name, number in found.items() if number}
    lacking = [name for name in PLAIN if name not in facts]
    if lacking:
        raise UserError(f"{model}: its config.json has no {lacking[0]}, which a law needs")
    experts = {name: _number(told, *NAMES.get(name, (name,))) for name in EXPERTS}
    facts |= {name: number for name, number in experts.items() if number}
    sliding = sum(kind == "sliding_attention" for kind in told.get("layer_types") or ())
    if sliding:
        facts |= {"sliding_window_tokens": int(told["sliding_window"]), "sliding_window_layers": sliding}
    return facts


def _number(told: dict[str, Any], *keys: str) -> int | None:
    return next((int(told[key]) for key in keys if told.get(key)), None)


def _entry(model: str, llm: Llm, facts: dict[str, int], *, tied: bool) -> dict[str, Any]:
    source = f"config.json of {model}, in aiconfigurator-core {release()}"
    entry: dict[str, Any] = {"kind": LLM, "title": model}
    if tied:
        twice = llm.head_params * 2 / 1e9
        entry["note"] = (
            f"Its embedding is its head, too, and counts twice: {twice:.1f} GB too much in memory."
        )
    order = [field.name for field in fields(Llm) if field.name in facts]
    return entry | {
        "weights": list(llm.weights),
        "values": {
            name: {"value": facts[name], "source": source, "confidence": "published"} for name in order
        },
    }
