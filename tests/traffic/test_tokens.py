"""Both vocabularies, held to counts that do not depend on the library that makes them."""

import sys

import pytest

from traffic.fallback_tokenizers import fallback
from traffic.tokens import VOCABULARIES, vocabulary, vocabulary_of

try:
    FALLBACKS = {name: fallback(name) for name in VOCABULARIES.values()}
except ImportError:
    FALLBACKS = {}

PANGRAM = "The quick brown fox jumps over the lazy dog."


@pytest.mark.parametrize("name", VOCABULARIES.values())
def test_counts_of_fixed_texts(name: str) -> None:
    """Every word of the pangram is one token in either vocabulary, and so is the full stop."""
    tokens = vocabulary(name)
    assert tokens.count(PANGRAM) == 10
    assert tokens.count("") == 0
    assert tokens.encode(PANGRAM)[0] == tokens.encode("The")[0]


def test_llama_numbers_are_metas() -> None:
    """The words "Hello" and "hello" in Llama 3's published tokenizer."""
    assert vocabulary("llama3").encode("Hello") == [9906]
    assert vocabulary("llama3").encode("hello") == [15339]


def test_o200k_numbers_are_openais() -> None:
    assert vocabulary("o200k_harmony").encode("hello") == [24912]


@pytest.mark.parametrize("name", VOCABULARIES.values())
def test_text_survives_its_tokens_and_special_ones_are_ordinary(name: str) -> None:
    tokens = vocabulary(name)
    for text in ("<|eot_id|><|end|>", "naïve 🦙 \x00", "  \n\t "):
        assert tokens.decode(tokens.encode(text)) == text
        assert len(tokens.encode(text)) > 1


def test_a_family_names_its_vocabulary_and_the_unknown_take_llamas() -> None:
    assert vocabulary_of("gpt-oss-20b").name == "o200k_harmony"
    assert vocabulary_of("llama3.1-8b").name == "llama3"
    assert vocabulary_of("my-own-model").name == "llama3"


@pytest.mark.skipif(not FALLBACKS, reason="llama-models, tiktoken and bpe-openai are not installed")
@pytest.mark.parametrize("name", VOCABULARIES.values())
def test_the_fallbacks_agree_to_the_token(name: str) -> None:
    tokens, other = vocabulary(name), FALLBACKS[name]
    for text in (
        PANGRAM,
        "",
        "naïve 🦙 \x00\n\n  x",
        "<|eot_id|>",
        "12345 6,7.8",
        "don't WE'LL",
        "日本語" * 9,
    ):
        assert other.encode_ordinary(text) == tokens.encode(text)
        assert other.count(text) == tokens.count(text)
        assert other.decode_bytes(tokens.encode(text)).decode() == text


def test_without_any_tokenizer_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tiktoken", "bpe_openai"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in VOCABULARIES.values():
        with pytest.raises(ImportError, match="needs the package quicktok-v1"):
            fallback(name)
