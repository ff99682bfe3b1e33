"""Apps on their way in: in one piece, in parts, and what is refused of them."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from api_shim.settings import ServerSettings
from api_shim.store.archives import ArchiveLimits
from api_shim.store.artifacts import KEPT_ARTIFACTS, MOST_UPLOADS
from api_shim.store.store import Store
from tests.support.live import MakeWire, Wire
from tests.support.platform import CONFIG, app_zip, deploy, form, post, upload, upload_part


def test_an_app_in_one_piece_is_kept_by_the_hash_of_its_content(make: MakeWire, tmp_path: Path) -> None:
    wire = make(store=Store(tmp_path))
    content = app_zip()
    answer = upload(wire, content).json
    digest = hashlib.sha256(content).hexdigest()
    assert (answer["complete"], answer["sha256"], answer["size_bytes"]) == (True, digest, len(content))
    assert (tmp_path / "artifacts" / digest).read_bytes() == content
    again = upload(wire, content).json
    assert again["artifact_id"] != answer["artifact_id"]
    assert len(list((tmp_path / "artifacts").iterdir())) == 1


def test_an_app_in_parts_is_what_its_parts_are_in_order(make: MakeWire, tmp_path: Path) -> None:
    wire = make(store=Store(tmp_path))
    content = app_zip(data="x" * 500)
    begun = post(wire, "/v1/multipart", {"config": CONFIG}).json
    assert begun["complete"] is False
    artifact_id = begun["artifact_id"]
    assert upload_part(wire, artifact_id, 2, content[100:]).status == 200
    assert upload_part(wire, artifact_id, 1, b"a first try").status == 200
    assert upload_part(wire, artifact_id, 1, content[:100]).json["size_bytes"] == 100
    finished = wire.ask(f"/v1/multipart/{artifact_id}/finish", method="POST")
    assert finished.json["sha256"] == hashlib.sha256(content).hexdigest()
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [finished.json["sha256"]]
    assert wire.ask(f"/v1/multipart/{artifact_id}/finish", method="POST").json == finished.json
    late = upload_part(wire, artifact_id, 3, b"more")
    assert (late.status, late.error["code"]) == (409, "upload_finished")


def test_parts_are_put_together_in_steps_between_which_others_have_their_turn(
    make: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_shim.store.artifacts.BYTES_PER_SYNC", 40)
    wire, content = make(), app_zip()
    shim, artifact_id = (
        wire.platform.shim,
        post(wire, "/v1/multipart", {"config": CONFIG}).json["artifact_id"],
    )
    for number, part in enumerate((content[:100], content[100:200], content[200:]), 1):
        upload_part(wire, artifact_id, number, part)
    upload_of = shim.store.artifacts.get(None, artifact_id)
    assert upload_of is not None
    *steps, whole = shim.store.artifacts.finish(upload_of, shim.deployments.check_archive)
    assert steps == [None] * (3 + 3 + -(-(len(content) - 200) // 40))
    assert whole is not None
    assert whole.size_bytes == len(content)


def test_an_upload_with_a_gap_is_not_finished(wire: Wire) -> None:
    artifact_id = post(wire, "/v1/multipart", {"config": CONFIG}).json["artifact_id"]
    empty = wire.ask(f"/v1/multipart/{artifact_id}/finish", method="POST")
    assert (empty.status, empty.error["message"]) == (400, "The upload is not complete: part 1 is missing.")
    upload_part(wire, artifact_id, 3, b"c")
    upload_part(wire, artifact_id, 1, b"a")
    gap = wire.ask(f"/v1/multipart/{artifact_id}/finish", method="POST")
    assert gap.error["message"] == "The upload is not complete: part 2 is missing."
    job = post(wire, "/v1/jobs", {"artifact_id": artifact_id})
    assert (job.status, job.error["code"]) == (404, "artifact_not_found")


def test_an_upload_outlives_its_server(make: MakeWire, tmp_path: Path) -> None:
    content, first = app_zip(), make(store=Store(tmp_path))
    artifact_id = post(first, "/v1/multipart", {"config": CONFIG}).json["artifact_id"]
    upload_part(first, artifact_id, 1, content[:50])
    first.platform.close()
    (tmp_path / "artifacts" / "art_of_nobody.1").write_bytes(b"x")
    second = make(store=Store(tmp_path))
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [f"{artifact_id}.1"]
    upload_part(second, artifact_id, 2, content[50:])
    assert second.ask(f"/v1/multipart/{artifact_id}/finish", method="POST").json["complete"] is True


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../out.py", "is no path below a folder"), ("/etc/cron.d/out", "is no path below a folder")],
)
def test_an_app_that_wants_to_be_elsewhere_is_refused(
    make: MakeWire, tmp_path: Path, name: str, said: str
) -> None:
    wire = make(store=Store(tmp_path))
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr(name, "x")
    refused = upload(wire, hostile.getvalue())
    assert (refused.status, refused.error["code"]) == (400, "invalid_artifact")
    assert said in refused.error["message"]
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_an_app_is_refused_that_would_fill_the_disk(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(archive_limits=ArchiveLimits(most_bytes=1_000_000)))
    bomb = app_zip(zeros="\0" * 2_000_000)
    assert len(bomb) < 4000
    refused = upload(wire, bomb)
    assert refused.error["message"] == "The artifact is refused. Unpacked it has more than 1,000,000 bytes."


def test_parts_together_are_no_larger_than_an_artifact_may_be(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(artifact_limit_bytes=1000))
    artifact_id = post(wire, "/v1/multipart", {"config": CONFIG}).json["artifact_id"]
    assert upload_part(wire, artifact_id, 1, b"x" * 900).status == 200
    assert upload_part(wire, artifact_id, 1, b"x" * 1000).status == 200
    refused = upload_part(wire, artifact_id, 2, b"x")
    assert (refused.status, refused.error["param"]) == (413, "artifact_part")
    assert upload(wire, b"x" * 1001).status == 413


def test_a_broken_form_is_a_mistake_of_its_sender(wire: Wire) -> None:
    without = wire.ask("/v1/artifacts", **form("artifact.zip", app_zip(), {}))
    assert (without.status, without.error["param"]) == (400, "config")
    no_json = wire.ask("/v1/artifacts", **form("artifact.zip", app_zip(), {"config": "{"}))
    assert no_json.status == 400
    no_number = wire.ask(
        "/v1/artifacts", **form("artifact.zip", app_zip(), {"config": json.dumps({"entrypoint": 3})})
    )
    assert no_number.status == 400
    artifact_id = post(wire, "/v1/multipart", {"config": CONFIG}).json["artifact_id"]
    for number in (0, -1, 1001):
        assert upload_part(wire, artifact_id, number, b"x").error["param"] == "part_num"
    assert upload_part(wire, "art_unknown", 1, b"x").status == 404


def test_a_project_has_so_many_unfinished_uploads(wire: Wire) -> None:
    for _ in range(MOST_UPLOADS):
        assert post(wire, "/v1/multipart", {"config": CONFIG}).status == 200
    refused = post(wire, "/v1/multipart", {"config": CONFIG})
    assert (refused.status, refused.error["code"]) == (429, "upload_limit")
    assert post(wire, "/v1/multipart", {"config": CONFIG}, key="sk-other").status == 200


def test_old_artifacts_make_room_but_for_one_that_is_deployed(make: MakeWire, tmp_path: Path) -> None:
    wire = make(store=Store(tmp_path))
    deploy(wire)
    for number in range(KEPT_ARTIFACTS + 2):
        upload(wire, app_zip(number=str(number)))
    assert len(list((tmp_path / "artifacts").iterdir())) == KEPT_ARTIFACTS + 1
    kept = hashlib.sha256(app_zip()).hexdigest()
    assert (tmp_path / "artifacts" / kept).exists()
