"""Azure's format, and what holds for every file: every digit kept, every malformed row named."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from traffic.traces import TraceError, read_trace
from traffic.traces.formats import azure, clean_csv
from traffic.traces.formats.azure import read_azure_csv, row_by_row
from traffic.traces.formats.table import ReadTrace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
GOOD = "2023-11-16 18:15:46.6805900,374,44\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_bytes(text.encode())
    return path


def refusal(folder: Path, text: str, trace_format: str = "azure_csv") -> str:
    path = written(folder, text)
    with pytest.raises(TraceError) as caught:
        read_trace(path, trace_format)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    return sentence.removeprefix(str(path)).strip()


def test_times_count_from_the_first_row_and_keep_seven_digits(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, HEADER + GOOD + "2023-11-17 00:00:00.0000001,396,109\n"))
    # From 18:15:46.68059 to midnight: 5 h 44 min 13.31941 s, and 100 ns.
    assert trace.arrival_ps.tolist() == [0, 20_653_319_410_100_000]
    assert trace.prompt_tokens.tolist() == [374, 396]
    assert trace.output_tokens.tolist() == [44, 109]
    assert (trace.name, trace.rows, trace.span_ps) == ("trace.csv", 2, 20_653_319_410_100_000)


def test_a_trace_cannot_be_changed_by_those_who_share_it(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, HEADER + GOOD))
    with pytest.raises(ValueError, match="read-only"):
        trace.prompt_tokens[0] = 1


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + GOOD,
        (HEADER + GOOD).replace("\n", "\r\n"),
        HEADER + "\n" + GOOD + "\n\n",
        (HEADER + GOOD).rstrip("\n"),
        '"TIMESTAMP","ContextTokens","GeneratedTokens"\n"2023-11-16 18:15:46","374","44"\n',
        HEADER + "2023-11-16T18:15:46Z, 374, 44\n",
    ],
    ids=["byte-order mark", "CRLF", "blank lines", "no last line end", "quotes", "ISO stamp and spaces"],
)
def test_what_other_programs_do_to_a_csv_file_does_no_harm(tmp_path: Path, text: str) -> None:
    trace = read_trace(written(tmp_path, text))
    assert (trace.rows, trace.prompt_tokens[0], trace.output_tokens[0]) == (1, 374, 44)


def test_offsets_from_utc_are_honoured(tmp_path: Path) -> None:
    rows = "2024-05-10 00:00:00.009930+00:00,1,1\n2024-05-10 02:00:01.009931+02:00,1,1\n"
    assert read_trace(written(tmp_path, HEADER + rows)).arrival_ps.tolist() == [0, 1_000_001_000_000]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("2023-11-16 18:15:47,374", "line 3: '2023-11-16 18:15:47,374' has 2 columns, expected 3"),
        ("2023-11-16 18:15:47,374,44,1", "line 3: '2023-11-16 18:15:47,374,44,1' has 4 columns, expected 3"),
        (
            "2023-11-16 18:15:47,many,44",
            "line 3: ContextTokens is 'many', expected a whole number from 0 to 10000000",
        ),
        (
            "2023-11-16 18:15:47,374,10000001",
            "line 3: GeneratedTokens is '10000001', expected a whole number from 0 to 10000000",
        ),
        (
            "2023-11-16 18:15:47,-5,44",
            "line 3: ContextTokens is '-5', expected a whole number from 0 to 10000000",
        ),
        (
            "2023-11-16 18:15:47,37.5,4",
            "line 3: ContextTokens is '37.5', expected a whole number from 0 to 10000000",
        ),
        ("2023-11-16 18:15:47,,4", "line 3: ContextTokens is '', expected a whole number from 0 to 10000000"),
        (
            "2023-11-16 18:15:47,5,99999999999999999999",
            "line 3: GeneratedTokens is '99999999999999999999', expected a whole number from 0 to 10000000",
        ),
        (
            "16.11.2023 18:15:47,374,44",
            "line 3: TIMESTAMP is '16.11.2023 18:15:47', expected the form 2023-11-16 18:15:46.6805900",
        ),
        (
            "2023-11-16 18:15:46.5,1,1",
            (
                "line 3: 2023-11-16 18:15:46.5 is before 2023-11-16 18:15:46.6805900 of line 2, "
                "but the rows of a trace must be in order of time"
            ),
        ),
        (
            "2024-11-16 18:15:46.7,1,1",
            (
                "line 3: 2024-11-16 18:15:46.7 is 366 days after the first row, "
                "but a trace can span at most 106 days"
            ),
        ),
    ],
)
def test_a_malformed_row_is_named_with_its_line_and_value(tmp_path: Path, row: str, sentence: str) -> None:
    assert refusal(tmp_path, HEADER + GOOD + row + "\n" + GOOD) == sentence


def test_a_day_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, HEADER + "2023-02-30 18:15:47,374,44\n")
    assert sentence.startswith("line 2: TIMESTAMP '2023-02-30 18:15:47' is no time of any day")


def test_line_numbers_count_blank_lines(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER + "\n\n" + GOOD + "x,1,1\n").startswith("line 5: TIMESTAMP is 'x'")


@pytest.mark.parametrize(
    ("text", "trace_format", "sentence"),
    [
        (
            GOOD,
            "azure_csv",
            "line 1: the header is '2023-11-16 18:15:46.6805900,374,44', expected 'TIMESTAMP,",
        ),
        (
            GOOD,
            "auto",
            "line 1: '2023-11-16 18:15:46.6805900,374,44' starts no known trace format; known are azure",
        ),
        ("a,b\n", "auto", "line 1: 'a,b' starts no known trace format; known are azure_csv"),
        ("", "auto", "line 1: no header, the file is empty or blank"),
        ("", "azure_csv", "line 1: the header is '', expected 'TIMESTAMP,ContextTokens,GeneratedTokens'"),
        (HEADER, "auto", "holds no rows"),
        (
            HEADER + GOOD + '"' + GOOD * 5000,
            "auto",
            "line 3: not CSV (field larger than field limit (131072))",
        ),
        (HEADER + GOOD + '"' + GOOD, "auto", "line 3: '2023-11-16 18:15:46.6805900,374,44\\n' has 1 columns"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(
    tmp_path: Path, text: str, trace_format: str, sentence: str
) -> None:
    assert refusal(tmp_path, text, trace_format).startswith(sentence)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(HEADER.encode() + b"\xff\xfe\n")
    with pytest.raises(TraceError, match=r"trace\.csv is not a text file in UTF-8"):
        read_trace(path)


def test_an_unreadable_file_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"cannot read the trace .*none\.csv: No such file or directory"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="Is a directory"):
        read_trace(tmp_path)


def test_rows_beyond_the_limit_are_not_even_looked_at(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + GOOD + GOOD + "nonsense\n")
    trace = read_trace(path, limit_rows=2)
    assert trace.rows == 2
    assert trace.notes[0] == "Read as azure_csv, TIMESTAMP as a date, its first 2 rows and no more."


@settings(deadline=None)  # it writes files
@given(st.lists(st.tuples(st.integers(0, 10**11), st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1))
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    """Times in units of 100 ns within one day from midnight."""
    rows = sorted(row for row in rows if row[0] < 86_400 * 10**7) or [(0, 1, 1)]
    text = HEADER
    for ticks, prompt, output in rows:
        seconds, fraction = divmod(ticks, 10**7)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:07d}"
        text += f"2024-02-29 {clock},{prompt},{output}\n"
    trace = read_trace(written(tmp_path_factory.mktemp("traces"), text))
    assert trace.arrival_ps.tolist() == [(row[0] - rows[0][0]) * 100_000 for row in rows]
    assert trace.prompt_tokens.tolist() == [row[1] for row in rows]
    assert trace.output_tokens.tolist() == [row[2] for row in rows]


def test_the_whole_azure_conversation_trace_is_read() -> None:
    """Figures of AzureLLMInferenceTrace_conv.csv as its statistics tables give them."""
    data = os.environ.get("E80SIM_DATA")
    if data is None:
        pytest.skip("E80SIM_DATA, the folder of raw data, is not set")
    trace = read_trace(Path(data) / "traces" / "AzureLLMInferenceTrace_conv.csv")
    assert trace.rows == 19_366
    assert (trace.prompt_tokens[0], trace.output_tokens[0]) == (374, 44)
    assert trace.arrival_ps[1] == 4_314_579_000_000  # 18:15:46.6805900 to 18:15:50.9951690
    assert trace.span_ps == 3_501_721_937_000_000  # to 19:14:08.4025270
    assert round(trace.prompt_tokens.mean(), 2) == 1154.70
    assert round(trace.output_tokens.mean(), 2) == 211.13


STAMPS = st.sampled_from(
    [
        "2023-11-16 18:15:46.6805900",
        "2023-11-16 18:15:46",
        "2023-11-16T18:15:46.680590012345",
        "2023-11-16 18:15:47.1",
        "2023-02-29 18:15:46",
        "0000-01-01 00:00:00",
        "1970-01-01 00:00:00",
        "2023-11-16 18:15:60",
        "2023-11-16 18:15:46Z",
        "2024-11-16 18:15:46.5",
        "",
    ]
)
SIZES = st.sampled_from(["1", "374", "10000000", "10000001", "0", " 7", "007", "x", "", "1.0", "٣"])
ENDS = st.sampled_from(["\n"] * 6 + ["\r\n", "\n\n", "\r", ""])
ODD_ROWS = st.sampled_from(["", " ", '"2023-11-16 18:15:46","374","44"', "a,b", "1,2,3,4", "\x00", '"'])
ROWS = st.tuples(STAMPS, SIZES, SIZES).map(",".join)
PLAIN = st.tuples(STAMPS.filter(lambda stamp: stamp[:4] == "2023"), st.just("374"), st.just("44")).map(
    ",".join
)


@given(
    st.sampled_from([HEADER, HEADER.replace("\n", "\r\n"), "\ufeff" + HEADER, "x," + HEADER, '"' + HEADER]),
    st.lists(st.tuples(st.one_of(PLAIN, PLAIN, PLAIN, ROWS, ODD_ROWS), ENDS), max_size=5),
    st.sampled_from([None, 1, 2, 10]),
    st.booleans(),
    st.sampled_from([1, 30, 2**20]),
)
@example(HEADER, [("2023-11-16 18:15:46,0,44", "\n"), ("2023-11-16 18:15:46,1,44", "\n")], None, False, 2**20)
@example(HEADER, [("2023-11-16 18:15:46,1,10000001", "\n")], None, False, 2**20)
@example(HEADER, [("2023-02-29 18:15:46,1,1", "\n")], None, False, 2**20)
@example(HEADER, [("2023-11-16 18:15:46,1,1", "\n"), ("2024-11-16 18:15:46,1,1", "\n")], None, False, 30)
@settings(max_examples=300)
def test_reading_at_once_gives_what_reading_row_by_row_does(
    tmp_path_factory: pytest.TempPathFactory,
    header: str,
    rows: list[tuple[str, str]],
    limit: int | None,
    in_order: bool,
    block: int,
) -> None:
    rows = sorted(rows) if in_order else rows
    path = written(tmp_path_factory.mktemp("azure"), header + "".join(row + end for row, end in rows))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clean_csv, "BLOCK", block if len(header) < block else len(header) + block)
        assert told(read_azure_csv, path, limit) == told(row_by_row, path, limit)


def told(read: ReadTrace, path: Path, limit: int | None) -> object:
    try:
        trace = read(path, limit)
    except TraceError as error:
        return str(error)
    return list(trace), trace.name, trace.notes, trace.blocks


def test_what_is_clean_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "row_by_row", None)
    path = written(tmp_path, HEADER + GOOD * 1000 + GOOD.rstrip("\n"))
    assert read_azure_csv(path).rows == 1001
    assert read_azure_csv(path, 7).rows == 7
    # 24 hours of a real file have both: whole seconds without a fraction, and lines that end in CR and LF
    assert read_azure_csv(written(tmp_path, HEADER + "2023-11-16 18:15:46,1,2\r\n")).rows == 1
