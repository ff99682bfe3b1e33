"""A vocabulary as a folder that Hugging Face's `tokenizers` and `transformers` load without a network.

Load tools count their prompts themselves. With the server's own vocabulary their counts are the server's.
"""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from e80sim.mistakes import UserError
from traffic.fallback_tokenizers import LLAMA3_PATTERN
from traffic.tokens import VOCABULARIES, Vocabulary, vocabulary

Json = dict[str, Any]

_O200K_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    + _O200K_ENDINGS
    + r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    + _O200K_ENDINGS
    + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where o200k splits text before it looks for tokens, as tiktoken (MIT) publishes it."""

LLAMA_CHAT = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
HARMONY_CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}<|message|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


class _Published(NamedTuple):
    """What a vocabulary's model has beside its tokens of ordinary text."""

    ordinary_tokens: int
    """Numbers from 0 on; those of the special ones follow."""
    pattern: str
    special: dict[str, int]
    begin: str
    end: str
    chat: str
    licence: str


PUBLISHED = {
    "llama3": _Published(
        128_000,
        LLAMA3_PATTERN,
        {
            "<|begin_of_text|>": 128_000,
            "<|end_of_text|>": 128_001,
            "<|start_header_id|>": 128_006,
            "<|end_header_id|>": 128_007,
            "<|eot_id|>": 128_009,
        },
        "<|begin_of_text|>",
        "<|eot_id|>",
        LLAMA_CHAT,
        "The vocabulary is Meta's, under the Meta Llama 3 Community License\n"
        "(https://llama.meta.com/llama3/license). Built with Meta Llama 3.",
    ),
    "o200k_harmony": _Published(
        199_998,
        O200K_PATTERN,
        {
            "<|startoftext|>": 199_998,
            "<|endoftext|>": 199_999,
            "<|return|>": 200_002,
            "<|constrain|>": 200_003,
            "<|channel|>": 200_005,
            "<|start|>": 200_006,
            "<|end|>": 200_007,
            "<|message|>": 200_008,
            "<|call|>": 200_012,
        },
        "<|startoftext|>",
        "<|return|>",
        HARMONY_CHAT,
        "The vocabulary is OpenAI's o200k, which tiktoken publishes under the MIT License. The chat\n"
        "template leaves out the system message with which gpt-oss begins: 61 tokens that the server counts.",
    ),
}
assert PUBLISHED.keys() == set(VOCABULARIES.values())

README = """\
A tokenizer for load tools, written by `e80sim tokenizer`: it counts text as the simulated {name} does.
Nothing is added around a text; the chat template adds what the server adds around messages.

{licence}
"""


def write_folder(folder: Path, llm: str) -> None:
    """Raises UserError."""
    names = [name for family, name in VOCABULARIES.items() if llm.startswith(family)]
    if not names:
        known = " or ".join(VOCABULARIES)
        raise UserError(f"--llm {llm}: vocabularies are there for LLMs whose names begin with {known}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: name a folder that is new or empty")
    (name,) = names
    published = PUBLISHED[name]
    files = {
        "tokenizer.json": _compact(tokenizer_json(vocabulary(name), published)),
        "tokenizer_config.json": json.dumps(_config(published), indent=2) + "\n",
        "README.txt": README.format(name=llm, licence=published.licence),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None


def tokenizer_json(words: Vocabulary, published: _Published) -> Json:
    """Byte-level BPE as `tokenizers` stores it. The order of the merges is that of the tokens they make."""
    letters = _letters()
    tokens = [words.token_bytes(number) for number in range(published.ordinary_tokens)]
    written = ["".join(letters[byte] for byte in token) for token in tokens]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {
        "type": "Split",
        "pattern": {"Regex": published.pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(text, number) for text, number in published.special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,  # a word that is a token is one, whatever merges would make of it
            # With the special ones, or the library would number those on from the last without a gap.
            "vocab": {text: number for number, text in enumerate(written)} | published.special,
            "merges": [f"{written[left]} {written[right]}" for left, right in _merges(tokens)],
        },
    }


def _merges(tokens: list[bytes]) -> Iterator[tuple[int, int]]:
    """Every pair of tokens that makes a token, earliest token first: whichever comes up, it may be joined."""
    numbers = {token: number for number, token in enumerate(tokens)}
    for token in tokens:
        yield from sorted(
            (numbers[token[:cut]], numbers[token[cut:]])
            for cut in range(1, len(token))
            if token[:cut] in numbers and token[cut:] in numbers
        )


def _letters() -> dict[int, str]:
    """GPT-2's letter for each byte: itself where it prints, else one from 256 on, in order."""
    prints = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("\u00a1"), ord("\u00ac") + 1),
        *range(ord("\u00ae"), 256),
    }
    others = count(256)
    return {byte: chr(byte if byte in prints else next(others)) for byte in range(256)}


def _added(text: str, number: int) -> Json:
    rest = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text, **rest}


def _config(published: _Published) -> Json:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": published.begin,
        "eos_token": published.end,
        "clean_up_tokenization_spaces": False,
        "chat_template": published.chat,
    }


def _compact(data: Json) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
