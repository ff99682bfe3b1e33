"""`/v1/files` over the wire, in virtual time: a day is a step of the clock."""

import asyncio
from pathlib import Path

import pytest

from api_shim.settings import ServerSettings
from tests.api_shim.store.test_store import files_of_at_most
from tests.support.forms import FORM, form, part, upload
from tests.support.live import MakeWire, Reply, Wire

STRANGE = [
    "<script>alert(1)",
    "'; DROP TABLE files; --",
    'a"b',
    "ä\u202e☃\U0001f600",
    "a\x00b",
    " ",
    "%2e%2e",
]


def put(wire: Wire, content: bytes = b"{}\n", filename: str = "in.jsonl", **fields: str) -> Reply:
    return wire.ask("/v1/files", upload(content, filename, **fields), headers=FORM)


def ids(reply: Reply) -> list[str]:
    return [file["id"] for file in reply.json["data"]]


def test_a_file_is_uploaded_described_read_and_deleted(wire: Wire) -> None:
    made = put(wire, b"hello\r\n")
    assert made.status == 200
    file = made.json
    now_s = int(wire.platform.shim.clock.unix_s())
    created = file.pop("created")
    assert created == file.pop("updated")
    assert created.startswith("2")
    assert file == {
        "id": "file-00000000000000000001",
        "object": "file",
        "bytes": 7,
        "created_at": now_s,
        "expires_at": None,
        "filename": "in.jsonl",
        "purpose": "batch",
        "status": "processed",
        "status_details": None,
    }
    path = f"/v1/files/{file['id']}"
    assert wire.ask(path).json == made.json
    assert wire.ask(path, method="POST").json == made.json  # 8080's client "updates"
    content = wire.ask(f"{path}/content")
    assert content.body == b"hello\r\n"
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"] == "attachment"
    assert content.headers["x-content-type-options"] == "nosniff"
    head = wire.ask(f"{path}/content", method="HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", "7")
    assert wire.ask(path, method="DELETE").json == {"id": file["id"], "object": "file", "deleted": True}
    for method, gone in (("GET", path), ("DELETE", path), ("GET", f"{path}/content")):
        reply = wire.ask(gone, method=method)
        assert (reply.status, reply.error["code"]) == (404, "file_not_found")
    assert wire.platform.now_s == 0


def test_another_project_has_none_of_it(wire: Wire) -> None:
    path = f"/v1/files/{put(wire).json['id']}"
    for method, url in (("GET", path), ("DELETE", path), ("GET", f"{path}/content"), ("POST", path)):
        assert wire.ask(url, method=method, key="sk-other").status == 404
    assert ids(wire.ask("/v1/files", key="sk-other")) == []
    assert wire.ask(path).status == 200


def test_lists_can_be_paged_by_cursor_also_while_they_are_emptied(wire: Wire) -> None:
    made = [put(wire).json["id"] for _ in range(5)]
    assert ids(wire.ask("/v1/files")) == made[::-1]
    assert ids(wire.ask("/v1/files?order=asc&limit=2")) == made[:2]
    assert ids(wire.ask(f"/v1/files?order=asc&limit=2&after={made[1]}")) == made[2:4]
    last = wire.ask(f"/v1/files?order=asc&limit=2&after={made[3]}").json
    assert (last["first_id"], last["last_id"], last["has_more"]) == (made[4], made[4], False)
    seen: list[str] = []
    url = "/v1/files?limit=2"
    while True:
        page = wire.ask(url)
        for id_ in ids(page):
            wire.ask(f"/v1/files/{id_}", method="DELETE")
        seen += ids(page)
        if not page.json["has_more"]:
            break
        url = f"/v1/files?limit=2&after={page.json['last_id']}"
    assert seen == made[::-1]
    empty = wire.ask("/v1/files").json
    assert (empty["first_id"], empty["last_id"], empty["has_more"]) == (None, None, False)


def test_lists_can_be_paged_by_number_as_8080s_client_does(wire: Wire) -> None:
    made = [put(wire).json["id"] for _ in range(5)][::-1]
    page = wire.ask("/v1/files?limit=2&page=2").json
    assert [file["id"] for file in page.pop("data")] == made[2:4]
    assert page == {
        "object": "list",
        "first_id": made[2],
        "last_id": made[3],
        "has_more": True,
        "has_previous": True,
        "total": 5,
        "total_pages": 3,
        "page": 2,
        "limit": 2,
        "offset": 2,
        "next_page": 3,
        "previous_page": 1,
    }
    far = wire.ask("/v1/files?limit=2&page=9").json
    assert (far["data"], far["has_more"], far["next_page"]) == ([], False, None)


def test_lists_can_be_narrowed_to_a_purpose(wire: Wire) -> None:
    put(wire)
    vision = put(wire, purpose="vision").json["id"]
    assert ids(wire.ask("/v1/files?purpose=vision")) == [vision]
    assert ids(wire.ask("/v1/files?purpose=assistants")) == []


def test_a_file_expires_when_its_time_has_come(wire: Wire) -> None:
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = put(wire, b"x", "f", **fields).json
    assert file["expires_at"] == file["created_at"] + 3600
    path = f"/v1/files/{file['id']}"
    wire.platform.run(asyncio.sleep(3599))
    assert wire.ask(path).status == 200
    wire.platform.run(asyncio.sleep(1))
    assert wire.ask(path).status == 404
    assert ids(wire.ask("/v1/files")) == []


@pytest.mark.parametrize(
    ("filename", "label"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\in.jsonl", "in.jsonl"),
        ("/abs/..", "upload"),
        ("", "upload"),
        *[(text, text) for text in STRANGE if '"' not in text],
    ],
)
def test_a_filename_is_a_label_and_comes_back_as_text(wire: Wire, filename: str, label: str) -> None:
    file = put(wire, b"x", filename).json
    assert file["filename"] == label
    assert wire.ask(f"/v1/files/{file['id']}/content").body == b"x"
    assert wire.ask("/v1/files").json["data"][0]["filename"] == label


@pytest.mark.parametrize("text", STRANGE)
def test_strange_words_anywhere_are_answered_in_kind(wire: Wire, text: str) -> None:
    kept = put(wire).json["id"]
    assert put(wire, purpose=text).error["param"] == "purpose"
    assert wire.ask(f"/v1/files?after={text}").error["param"] == "after"
    assert ids(wire.ask(f"/v1/files?purpose={text.replace('%', '%25')}")) == []
    assert wire.ask(f"/v1/files/{text}").status == 404
    assert ids(wire.ask("/v1/files")) == [kept]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "evals"}, "purpose"),
        ({"purpose": "batch_output"}, "purpose"),
        ({"expires_after[anchor]": "created_at"}, "expires_after.seconds"),
        ({"expires_after[seconds]": "3600"}, "expires_after.anchor"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "1e4"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "x", "expires_after[seconds]": "3600"}, "expires_after.anchor"),
    ],
)
def test_fields_that_will_not_do_are_named_and_nothing_is_kept(
    wire: Wire, fields: dict[str, str], param: str
) -> None:
    reply = put(wire, b"x", "f", **fields)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert ids(wire.ask("/v1/files")) == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("page=0", "page"),
        ("after=file-1", "after"),
        ("page=1&after=file-00000000000000000001", "page"),
    ],
)
def test_a_list_that_cannot_be_had_names_the_parameter(wire: Wire, query: str, param: str) -> None:
    reply = wire.ask(f"/v1/files?{query}")
    assert (reply.status, reply.error["param"]) == (400, param)


def test_without_a_purpose_or_a_form_nothing_is_taken(wire: Wire) -> None:
    unsaid = wire.ask("/v1/files", form(part("file", b"x", "f")), headers=FORM)
    assert (unsaid.status, unsaid.error["param"]) == (400, "purpose")
    plain = wire.ask("/v1/files", {"purpose": "batch"})
    assert (plain.status, plain.error["code"]) == (400, "invalid_multipart")
    assert wire.ask("/v1/files", upload(b""), headers=FORM, key=None).status == 401


def limited(make: MakeWire, file_limit_bytes: int) -> Wire:
    return make(settings=ServerSettings(file_limit_bytes=file_limit_bytes))


def test_a_file_of_the_limit_is_taken_and_one_byte_more_is_not(make: MakeWire) -> None:
    """Three times what is held in memory, so that it has been written by then."""
    limit_bytes = 3 * 2**20
    wire = limited(make, limit_bytes)
    assert put(wire, b"x" * limit_bytes).json["bytes"] == limit_bytes
    reply = put(wire, b"x" * (limit_bytes + 1))
    assert (reply.status, reply.error["code"]) == (413, "file_too_large")
    assert len(ids(wire.ask("/v1/files"))) == 1


def test_an_announced_upload_of_far_too_much_is_refused_unread(make: MakeWire) -> None:
    announced = FORM | {"content-length": str(2**40)}
    reply = limited(make, 1000).ask("/v1/files", upload(b"x"), headers=announced)
    assert (reply.status, reply.error["code"]) == (413, "file_too_large")


def contents_folder(wire: Wire) -> Path:
    return wire.platform.shim.store._contents.folder


def test_uploads_that_fail_leave_no_bytes_behind(make: MakeWire) -> None:
    wire = limited(make, 100)
    put(wire, b"x" * 101)
    put(wire, purpose="evals")
    wire.ask("/v1/files", upload(b"x")[:-4], headers=FORM)
    assert list(contents_folder(wire).iterdir()) == []


def test_a_client_that_leaves_in_the_middle_of_its_upload_leaves_nothing(wire: Wire) -> None:
    wire.ask("/v1/files", upload(b"x" * 1000)[:500], headers=FORM, leave_in_body=True)
    assert list(contents_folder(wire).iterdir()) == []
    assert ids(wire.ask("/v1/files")) == []


def test_a_full_disk_is_a_507_that_clients_do_not_retry_and_changes_nothing(wire: Wire) -> None:
    kept = put(wire).json["id"]
    with files_of_at_most(100_000):
        reply = put(wire, b"x" * 200_000)
    assert (reply.status, reply.error["code"]) == (507, "storage_full")
    assert reply.headers["x-should-retry"] == "false"
    assert ids(wire.ask("/v1/files")) == [kept]
    assert [path.name for path in contents_folder(wire).iterdir()] == ["1"]
    assert put(wire, b"x" * 200_000).status == 200
