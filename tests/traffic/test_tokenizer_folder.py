"""The folder that `e80sim tokenizer` writes, read by Hugging Face's own library and counted with."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.__main__ import main
from traffic.tokenizer_folder import PUBLISHED
from traffic.tokens import VOCABULARIES, vocabulary

tokenizers = pytest.importorskip("tokenizers", reason="the folder is read with Hugging Face's tokenizers")

SAMPLES = [
    "",
    "hello",
    "The quick brown fox jumps over 13 lazy dogs; it's 2,048 bytes, isn't it?",
    "  leading, trailing  \n\n\tand\r\ninner   blanks \n",
    "def f(x):\n    return {'a': [1, 2.5e-3], \"b\": None}  # comment\n",
    "Größenmaßstäbe, naïveté, Ελληνικά, русский текст, العربية, हिन्दी, ไทย",
    "中文没有空格, 日本語も同じです。한국어는 있어요.",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u00a0 \u200b \ufeff \x00\x7f",
    "ABCdefGHI XMLHttpRequest iPhone's 12345678 HELLO'LL",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + " " * 77 + "----------------",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the command writes, by vocabulary."""
    found = {}
    for family, name in VOCABULARIES.items():
        found[name] = tmp_path_factory.mktemp("tokenizers") / family
        assert main(["tokenizer", str(found[name]), "--llm", f"{family}-any"]) == 0
    return found


@pytest.fixture(scope="module")
def read(folders: dict[str, Path]) -> dict[str, Any]:
    """The tokenizers that the library makes of them."""
    return {
        name: tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        for name, folder in folders.items()
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_samples_have_the_same_tokens_and_come_back_whole(read: dict[str, Any], name: str) -> None:
    theirs, ours = read[name], vocabulary(name)
    for text in SAMPLES:
        ids = theirs.encode(text, add_special_tokens=True).ids
        assert ids == ours.encode(text), text
        assert theirs.decode(ids) == text


@pytest.mark.parametrize("name", PUBLISHED)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=80) | st.text("ab '\n1.\u00e9\u4e2dT", max_size=80))
def test_any_text_has_the_same_tokens(read: dict[str, Any], name: str, text: str) -> None:
    if not any(special in text for special in PUBLISHED[name].special):
        assert read[name].encode(text).ids == vocabulary(name).encode(text)


@pytest.mark.parametrize("name", PUBLISHED)
def test_special_tokens_have_the_published_numbers(read: dict[str, Any], name: str) -> None:
    quicktok = pytest.importorskip("quicktok", reason="the fallback packages carry no special tokens")
    encoding = quicktok.get_encoding(name)
    for text, number in PUBLISHED[name].special.items():
        assert encoding.encode_single_token(text) == number
        assert read[name].encode(f"a{text}").ids[-1] == number


@pytest.mark.parametrize(("name", "tokens"), [("llama3", 1 + 2 * 5 + 4), ("o200k_harmony", 2 * 4 + 2)])
def test_the_chat_template_adds_what_the_server_counts_around_messages(
    folders: dict[str, Path], read: dict[str, Any], name: str, tokens: int
) -> None:
    """Written out by hand for two messages of a word each: no template engine is among our libraries."""
    config = json.loads((folders[name] / "tokenizer_config.json").read_text())
    template = config["chat_template"].replace("{{ bos_token }}", config["bos_token"])
    head, _, rest = template.partition("{% for m in messages %}")
    each, _, tail = rest.partition("{% endfor %}")
    reply = tail.removeprefix("{% if add_generation_prompt %}").removesuffix("{% endif %}")
    message = each.replace("{{ m['content'] }}", "hello")
    said = "".join(message.replace("{{ m['role'] }}", role) for role in ("system", "user"))
    assert len(read[name].encode(head + said + reply).ids) == tokens + 2


def test_the_folder_says_whose_vocabulary_it_is(folders: dict[str, Path]) -> None:
    assert "Meta Llama 3 Community License" in (folders["llama3"] / "README.txt").read_text()
    assert "MIT License" in (folders["o200k_harmony"] / "README.txt").read_text()


@pytest.mark.parametrize(
    ("folder", "llm", "sentence"),
    [
        ("new", "mistral-7b", "--llm mistral-7b: vocabularies are there for LLMs whose names begin with"),
        (".", "llama3.1-8b", "is there already: name a folder that is new or empty"),
        ("file/inside", "llama3.1-8b", "cannot be written: Not a directory"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, llm: str, sentence: str
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["tokenizer", str(tmp_path / folder), "--llm", llm]) == 2
    assert sentence in capsys.readouterr().err
