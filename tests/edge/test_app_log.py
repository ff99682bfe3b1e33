import json

import pytest

from api_shim.edge.app_log import LONGEST_LINE, AppLog

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"


def log_of(secret: str, *written: str) -> list[str]:
    log = AppLog([secret])
    for piece in written:
        log.write(piece.encode())
    log.end()
    return log.lines


@pytest.mark.parametrize(
    ("secret", "written", "lines"),
    [
        ("correct-horse", "it is correct-horse\n", ["it is [redacted]"]),
        (PEM, f"key: {PEM}", ["key: [redacted]", "[redacted]", "[redacted]"]),
        (PEM, f"{PEM!r}\n", ["'" + "[redacted]\\n" * 3 + "'"]),
        (json.dumps({"url": "u", "api_key": "correct"}), "with correct\n", ["with [redacted]"]),
        (json.dumps({"deep": [{"pem": PEM}]}), PEM, ["[redacted]"] * 3),
        (json.dumps({"n": 4711}), 'given {"n": 4711}\n', ["given [redacted]"]),
    ],
    ids=["one line", "lines", "lines in one", "member", "lines of a member", "whole"],
)
def test_no_spelling_of_a_secret_is_told(secret: str, written: str, lines: list[str]) -> None:
    assert log_of(secret, written) == lines


@pytest.mark.parametrize("at", [0, LONGEST_LINE - 3, 2 * LONGEST_LINE - 3, 2 * LONGEST_LINE + 10])
def test_no_part_of_a_secret_is_told_where_a_line_without_an_end_is_cut(at: int) -> None:
    secret = "0123456789" * 500
    lines = log_of(secret, "x" * at, secret[:17], secret[17:], "y" * 9 * LONGEST_LINE, "\nnext\n")
    assert lines[1:] == ["next"]
    assert not any(letter.isdigit() for letter in lines[0])
