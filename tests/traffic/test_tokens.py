"""Both vocabularies, held to counts that do not depend on the library that makes them."""

import pytest

from traffic.tokens import VOCABULARIES, vocabulary, vocabulary_of

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
