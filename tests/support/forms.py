"""Multipart bodies as clients write them, for the endpoint that takes files."""

BOUNDARY = "xx-boundary-xx"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    label = "" if filename is None else f'; filename="{filename}"'
    return f'content-disposition: form-data; name="{name}"{label}\r\n\r\n'.encode() + content


def form(*parts: bytes) -> bytes:
    """`part`s, between their boundaries."""
    opened = b"".join(f"--{BOUNDARY}\r\n".encode() + each + b"\r\n" for each in parts)
    return opened + f"--{BOUNDARY}--\r\n".encode()


def upload(content: bytes, filename: str = "in.jsonl", **fields: str) -> bytes:
    """With the purpose `batch` unless said otherwise."""
    stated = {"purpose": "batch"} | fields
    return form(
        *(part(name, value.encode()) for name, value in stated.items()), part("file", content, filename)
    )
