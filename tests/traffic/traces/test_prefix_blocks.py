"""`hash_ids` on their way through a conversion: equal beginnings stay equal, others stay apart."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cli import e80sim
from traffic.traces import read_trace, write_trace


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def mooncake_ids(path: Path) -> list[list[int]]:
    return [json.loads(line)["hash_ids"] for line in path.read_text().splitlines()]


def mooncake(tokens: int, ids: list[int]) -> dict[str, object]:
    return {"timestamp": 0, "input_length": tokens, "output_length": 1, "hash_ids": ids}


def bailian(tokens: int, ids: list[int]) -> dict[str, object]:
    return mooncake(tokens, ids) | {"chat_id": 1}


def convert(source: Path, to: str = "mooncake_jsonl") -> tuple[Path, str]:
    out = source.with_name(f"{source.stem}.{to}")
    result = e80sim("trace", ["convert", str(source), str(out), "--to", to])
    assert result.exit_code == 0, result.stderr
    return out, result.stderr


def test_mooncakes_ids_pass_through_our_own_format_unchanged(tmp_path: Path) -> None:
    rows = [mooncake(1024, [7, 2**64 - 1]), mooncake(1025, [7, 5, 6]), mooncake(1, [9])]
    there, _ = convert(written(tmp_path / "a", rows), "jsonl")
    back, said = convert(there)
    assert mooncake_ids(back) == [[7, 2**64 - 1], [7, 5, 6], [9]]
    assert "hash_ids" not in said


def test_rows_without_ids_get_one_for_every_block_that_stands_nowhere_else(tmp_path: Path) -> None:
    """Readers of the format refuse a row that has not one id for every 512 tokens begun."""
    rows = [mooncake(1024, [0, 2]), mooncake(513, []), mooncake(512, [0, 2, 3]), mooncake(600, [0])]
    out, said = convert(written(tmp_path / "a", rows))
    assert mooncake_ids(out) == [[0, 2], [1, 4], [0], [0, 5]]
    assert "3 rows had not one id for every 512 tokens: missing ones are made up, others left out." in said


def test_ids_that_are_made_up_are_called_so(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"arrival_ps": 0, "prompt_tokens": 1000, "output_tokens": 1},
        {"arrival_ps": 10**9, "prompt_tokens": 1, "output_tokens": 1},
    ]
    out, said = convert(written(tmp_path / "a", rows))
    assert mooncake_ids(out) == [[0, 1], [2]]
    assert "hash_ids are made up, each for one block of one row" in said


def test_blocks_of_16_tokens_are_joined_to_512_where_all_before_them_is_alike(tmp_path: Path) -> None:
    """Two prompts share 40 blocks, 640 tokens: one of 512, then they part within the next."""
    shared = list(range(40))
    first, second = [*shared, *range(100, 124)], [*shared, *range(200, 224)]
    rows = [bailian(1024, first), bailian(1024, second), bailian(1024, first), bailian(600, first[:38])]
    out, said = convert(written(tmp_path / "a", rows))
    one, other, again, shorter = mooncake_ids(out)
    assert one == again
    assert one[0] == other[0] == shorter[0]
    assert len({one[1], other[1], shorter[1], one[0]}) == 4
    assert "hash_ids of 16 tokens are joined to blocks of 512." in said


def test_equal_blocks_after_different_beginnings_stay_apart(tmp_path: Path) -> None:
    rows = [bailian(1024, [1] * 32 + [5] * 32), bailian(1024, [2] * 32 + [5] * 32)]
    ids = mooncake_ids(convert(written(tmp_path / "a", rows))[0])
    assert len({number for row in ids for number in row}) == 4


@settings(deadline=None)  # it writes files
@given(
    st.lists(
        st.tuples(st.integers(1, 2000), st.lists(st.integers(0, 2), max_size=130)), min_size=1, max_size=6
    )
)
def test_every_row_has_its_ids_and_shares_no_more_than_it_should(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[tuple[int, list[int]]]
) -> None:
    """Ids of full joined blocks are equal exactly where everything up to their end is named and alike."""
    folder = tmp_path_factory.mktemp("blocks")
    trace = read_trace(written(folder / "a", [bailian(*prompt) for prompt in prompts]))
    write_trace(trace, folder / "b", "mooncake_jsonl")
    ids = mooncake_ids(folder / "b")
    for (tokens, named), row in zip(prompts, ids, strict=True):
        assert len(row) == -(-tokens // 512)
        for (other_tokens, other_named), other in zip(prompts, ids, strict=True):
            if row is other:
                continue
            for block in range(min(tokens, other_tokens) // 512):
                end = 32 * (block + 1)
                alike = len(named) >= end and named[:end] == other_named[:end]
                assert (row[block] == other[block]) == alike


def test_a_format_without_a_place_for_ids_says_that_they_are_left_out(tmp_path: Path) -> None:
    _, said = convert(written(tmp_path / "a", [mooncake(5, [1])]), "vidur_csv")
    assert "hash_ids are left out: the format has no place for them." in said


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        ({"hash_block_tokens": 32}, "line 2: hash_block_tokens is 32, and 16 in the first row"),
        ({"hash_block_tokens": 0}, "line 2: hash_block_tokens is 0, expected a whole number of tokens"),
        ({}, "line 2: hash_block_tokens is missing"),
    ],
)
def test_our_own_rows_have_blocks_of_one_size(tmp_path: Path, second: dict[str, int], sentence: str) -> None:
    row = {"arrival_ps": 0, "prompt_tokens": 5, "output_tokens": 1, "hash_ids": [1]}
    path = written(tmp_path / "a", [row | {"hash_block_tokens": 16}, row | second])
    result = e80sim("trace", ["describe", str(path)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert sentence in result.stderr
