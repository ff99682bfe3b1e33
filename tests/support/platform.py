"""What 8080's client sends to the platform, as a test writes it."""

import io
import json
import zipfile
from typing import Any

from tests.support.live import Reply, Wire

CONFIG: dict[str, Any] = {
    "artifact_metadata": {"python_version": "3.13.1"},
    "entrypoint": "main:app",
    "cpu_count": 500,
    "gpu_count": None,
    "memory_size_mb": 256,
    "env_vars": {"COLOUR": "green"},
    "env_secrets": None,
}
BOUNDARY = "a8b2c4"


def post(wire: Wire, path: str, body: Any = None, **options: Any) -> Reply:
    """JSON that says so."""
    return wire.ask(
        path, {} if body is None else body, headers={"content-type": "application/json"}, **options
    )


def app_zip(**files: str) -> bytes:
    """`project/main.py` beside what is given; names without their folder and ending.

    The same bytes at any time.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ({"main": "app = None\n"} | files).items():
            archive.writestr(zipfile.ZipInfo(f"project/{name}.py"), text, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("dependencies/"), "")
    return written.getvalue()


def form(file: str, content: bytes, fields: dict[str, str]) -> dict[str, Any]:
    """Options of `Wire.ask`."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{file}"; filename="upload"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = b"".join([*parts, head.encode(), content, f"\r\n--{BOUNDARY}--\r\n".encode()])
    return {
        "body": body,
        "headers": {
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
            "content-length": str(len(body)),
        },
    }


def upload(wire: Wire, content: bytes | None = None, *, key: str | None = "", **config: Any) -> Reply:
    fields = {"config": json.dumps(CONFIG | config)}
    return wire.ask("/v1/artifacts", **form("artifact.zip", content or app_zip(), fields), key=key)


def upload_part(wire: Wire, artifact_id: str, number: int, content: bytes) -> Reply:
    path = f"/v1/multipart/{artifact_id}/part"
    return wire.ask(path, **form("artifact_part", content, {"part_num": str(number)}))


def deploy(wire: Wire, **config: Any) -> str:
    """The id of a deployment of a new artifact."""
    artifact_id = upload(wire, **config).json["artifact_id"]
    made = post(wire, "/v1/jobs", {"artifact_id": artifact_id})
    assert made.status == 200, made.body
    return str(made.json["deployment_id"])
