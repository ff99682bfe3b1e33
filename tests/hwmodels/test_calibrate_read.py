"""Reading step times: other names, units and layouts, and one sentence for whatever is wrong."""

from pathlib import Path

import pytest

from hwmodels.calibrate.columns import TableError
from hwmodels.calibrate.read import read_step_table

HEADER = "prefill_chunk,kv_prefill,n_decode,kv_decode,iteration_ms\n"


def table_file(folder: Path, text: str) -> Path:
    path = folder / "steps.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_is_a_step(tmp_path: Path) -> None:
    table = read_step_table(table_file(tmp_path, HEADER + "100,40,0,0,12.5\n\n0,0,8,1000,9\n10,0,2,30,10\n"))
    assert table.step_ms.tolist() == [12.5, 9, 10]
    assert table.new_tokens.tolist() == [100, 0, 10]
    assert table.kv_tokens.tolist() == [0, 8000, 60]
    assert table.is_mixed.tolist() == [False, False, True]
    assert table.longest_context.tolist() == [140, 1000, 30]
    assert table.pairs(256).tolist() == [256 * 40 + 5050, 0, 55]


def test_a_step_may_hold_several_prompts(tmp_path: Path) -> None:
    header = "prefill_chunk,kv_prefill,n_prefill,n_decode,kv_decode,iteration_ms"
    table = read_step_table(table_file(tmp_path, f"{header}\n10;20,0;5,1,0,0,1\n10,0,3,0,0,1\n"))
    assert table.new_tokens.tolist() == [30, 30]
    assert table.chunks.tolist() == [2, 3]
    # 55 + 100 + 210; three times 55
    assert table.pairs(0).tolist() == [365, 165]


def test_totals_serve_in_place_of_figures_per_sequence(tmp_path: Path) -> None:
    header = "new_tokens_total,batch_size,past_kv_tokens,decode_batch,kv_decode_total,step_us"
    table = read_step_table(table_file(tmp_path, f"{header}\n64,2,16,4,900,2500\n"))
    assert table.step_ms.tolist() == [2.5]
    assert table.kv_tokens.tolist() == [900]
    assert table.pairs(0).tolist() == [2 * (32 * 16 + 32 * 33 / 2)]


def test_columns_and_rows_are_chosen_by_name(tmp_path: Path) -> None:
    text = "card,prefill_chunk,kv_prefill,n_decode,kv_decode,took_s\na,8,0,0,0,0.5\nb,8,0,0,0,0.25\n"
    path = table_file(tmp_path, text)
    table = read_step_table(path, {"iteration_ms": "took_s"}, {"card": "b"})
    assert table.step_ms.tolist() == [250]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("8,0,0,0,x", "line 2: iteration_ms is 'x': expected a number"),
        ("8,0,0,0,0", "line 2: iteration_ms is 0: a step takes more than no time"),
        ("8,0,0,0,nan", "line 2: iteration_ms is nan: expected a number from 0 on"),
        ("-8,0,0,0,1", "line 2: prefill_chunk is -8: expected a number from 0 on"),
        ("8,0,1.5,0,1", "line 2: n_decode is 1.5: expected a whole number"),
        ("0,0,0,0,1", "line 2: a step of no tokens"),
        ("8;9,0,0,0,1", "line 2: 2 prompt chunks, but kv_prefill has 1 numbers"),
        ("8,0,0,0", "line 2: 4 fields, the header has 5"),
        ('8,0,0,0,"1', "line 2: not CSV"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, sentence: str) -> None:
    path = table_file(tmp_path, f"{HEADER}{row}\n")
    with pytest.raises(TableError) as told:
        read_step_table(path)
    assert str(told.value).startswith(f"{path} {sentence}")


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot read .*missing\.csv: No such file"):
        read_step_table(tmp_path / "missing.csv")
    with pytest.raises(TableError, match=r"steps\.csv line 1: no column kv_decode or kv_decode_total"):
        read_step_table(table_file(tmp_path, "prefill_chunk,kv_prefill,n_decode,iteration_ms\n1,0,0,1\n"))
    with pytest.raises(TableError, match=r"steps\.csv: no rows"):
        read_step_table(table_file(tmp_path, HEADER))
    with pytest.raises(TableError, match=r"line 1: no column"):
        read_step_table(table_file(tmp_path, ""))


def test_two_accelerators_in_one_file_must_be_told_apart(tmp_path: Path) -> None:
    text = f"hardware,{HEADER}a,8,0,0,0,1\nb,8,0,0,0,1\n"
    with pytest.raises(TableError, match=r"line 3: hardware is 'b' here and 'a' above.*--where hardware="):
        read_step_table(table_file(tmp_path, text))


def test_a_wrong_option_names_the_nearest_column(tmp_path: Path) -> None:
    path = table_file(tmp_path, HEADER + "8,0,0,0,1\n")
    with pytest.raises(TableError, match=r"no column 'iteration'.* did you mean iteration_ms\?"):
        read_step_table(path, {"iteration": "iteration_ms"})
    with pytest.raises(TableError, match=r"no column 'n_decodes'; did you mean n_decode\?"):
        read_step_table(path, {"n_decode": "n_decodes"})
    with pytest.raises(TableError, match=r"no column 'card'"):
        read_step_table(path, None, {"card": "a"})
