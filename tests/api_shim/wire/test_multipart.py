"""Forms: the same however the network cuts them, and bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.wire.errors import ApiError
from api_shim.wire.multipart import FIELD_BYTES, MOST_PARTS, FormReader
from tests.support.forms import BOUNDARY, FORM, form, part, upload


def read(body: bytes, cuts: list[int] | None = None) -> tuple[FormReader, bytes]:
    reader = FormReader(FORM["content-type"], "file")
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    pieces = [piece for start, end in pairwise(edges) for piece in reader.feed(body[start:end])]
    reader.finish()
    return reader, b"".join(pieces)


@given(
    st.binary(max_size=200) | st.sampled_from([f"\r\n--{BOUNDARY[:-1]}".encode() * 3, b"\r\n" * 40, b"--"]),
    st.lists(st.integers(0, 1000), max_size=12),
)
def test_a_file_comes_out_byte_for_byte_however_the_form_is_cut(content: bytes, cuts: list[int]) -> None:
    reader, out = read(upload(content, "ä b.jsonl"), cuts)
    assert out == content
    assert reader.fields == {"purpose": "batch"}
    assert reader.filename == "ä b.jsonl"


def test_fields_may_follow_the_file() -> None:
    reader, out = read(form(part("file", b"abc", "f"), part("purpose", b"batch")))
    assert (out, reader.fields) == (b"abc", {"purpose": "batch"})


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (upload(b"abc")[:-6], "ends before its last boundary"),
        (b"hello", "multipart/form-data"),
        (b"", "ends before its last boundary"),
        (form(part("purpose", b"batch")), "Missing required parameter: 'file'"),
        (form(part("file", b"abc")), "has to be a file"),
        (form(part("file", b"a", "f"), part("file", b"b", "g")), "more than one 'file'"),
        (form(*[part(f"p{n}", b"") for n in range(MOST_PARTS + 1)]), f"more than {MOST_PARTS} parts"),
        (form(part("purpose", b"x" * (FIELD_BYTES + 1))), f"longer than {FIELD_BYTES} bytes"),
        (form(part("x" * 10_000, b"")), "multipart/form-data"),
    ],
)
def test_what_is_wrong_with_a_form_is_told(body: bytes, what: str) -> None:
    with pytest.raises(ApiError, match=what) as caught:
        read(body)
    assert caught.value.status == 400


def test_fields_and_parts_at_their_bounds_are_taken() -> None:
    fields = [part(f"p{n}", b"x" * FIELD_BYTES) for n in range(MOST_PARTS - 1)]
    reader, _ = read(form(*fields, part("file", b"", "f")))
    assert len(reader.fields) == MOST_PARTS - 1


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_only_forms_with_a_boundary_are_read(content_type: str) -> None:
    with pytest.raises(ApiError, match="multipart/form-data"):
        FormReader(content_type, "file")
