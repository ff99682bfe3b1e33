from pathlib import Path

import pytest

from api_shim.rehearsal.requests_file import read_requests
from e80sim.mistakes import UserError


def written(folder: Path, text: str, name: str = "requests.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_is_a_request(tmp_path: Path) -> None:
    lines = (
        '{"path": "/chat", "json": {"q": "ü"}, "at": 0.5}\n\n{"method": "GET", "path": "/x?y=1", "at": 1}\n'
    )
    chat, get = read_requests(written(tmp_path, lines))
    assert (chat.method, chat.path, chat.payload(), chat.at) == ("POST", "/chat", '{"q": "ü"}'.encode(), 0.5)
    assert (get.method, get.path, get.payload()) == ("GET", "/x?y=1", b"")


def test_an_http_file_holds_requests_too(tmp_path: Path) -> None:
    text = """### the first
# a comment
POST https://example.test/chat HTTP/1.1
Content-Type: text/plain
x-more: 1

hello
# not a comment

###

GET {{host}}/health
"""
    chat, health = read_requests(written(tmp_path, text, "requests.http"))
    assert (chat.method, chat.path, chat.body) == ("POST", "/chat", "hello\n# not a comment")
    assert chat.headers == {"Content-Type": "text/plain", "x-more": "1"}
    assert (health.method, health.path, health.payload()) == ("GET", "/health", b"")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "requests.jsonl holds no request: a line is"),
        ("\n{", "requests.jsonl:2: not a JSON object"),
        ("[1]", "requests.jsonl:1: not a JSON object; a line is"),
        ('{"path": "chat"}', "requests.jsonl:1: `path`: String should match pattern"),
        ('{"path": "/", "jsn": 1}', "requests.jsonl:1: there is no `jsn`; a line is"),
        ('{"path": "/", "json": 1, "body": "x"}', "`json` and `body` are two bodies; give one"),
        ('{"path": "/", "at": -1}', "requests.jsonl:1: `at`: Input should be greater than or equal to 0"),
        (
            '{"path": "/", "headers": {"a b": "c"}}',
            "requests.jsonl:1: `headers.a b.[key]`: String should match",
        ),
        ('{"path": "/", "headers": {"a": "b\\nc"}}', "requests.jsonl:1: `headers.a`: String should match"),
        ('{"path": "/", "headers": {"a": "ü"}}', "requests.jsonl:1: `headers.a`: String should match"),
        ('{"path": "/", "at": 1}\n{"path": "/"}', "either every request has `at`, or none"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        read_requests(written(tmp_path, text))
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("post /chat", "requests.http:1: 'post /chat' is no request line; write it as POST /path"),
        ("\nPOST /chat\nbody", "requests.http:2: 'body' is no header; an empty line goes before the body"),
    ],
)
def test_so_is_one_of_an_http_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        read_requests(written(tmp_path, text, "requests.http"))
    assert said in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none\.jsonl: No such file"):
        read_requests(tmp_path / "none.jsonl")
