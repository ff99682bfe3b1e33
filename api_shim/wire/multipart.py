"""A form with a file in it, read as it comes: the fields are kept, the file's bytes are handed on."""

from http import HTTPStatus

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from api_shim.wire.errors import ApiError, bad_value

MOST_PARTS = 16
FIELD_BYTES = 4096
FORM = b"multipart/form-data"


class FormReader:
    """Of a body with one part of `name` that is a file."""

    def __init__(self, content_type: str, name: str, field_bytes: int = FIELD_BYTES) -> None:
        """Raises ApiError 400."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != FORM or not boundary:
            raise _not_a_form(f"the content type is {content_type[:80]!r}")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        """Once the file has begun."""
        self.name = name
        self.field_bytes = field_bytes
        self._complete = False
        self._parts = 0
        self._header, self._header_value = b"", b""
        self._disposition: str = ""
        self._field: str | None = None
        """The present part's; None in the file."""
        self._value = bytearray()
        self._handed_on: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_more,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Those of its bytes that are the file's. Raises ApiError 400."""
        if not self._complete:  # else an epilogue, which means nothing
            try:
                self._parser.write(chunk)
            except MultipartParseError as error:
                raise _not_a_form(str(error)) from None
        handed_on, self._handed_on = self._handed_on, []
        return handed_on

    def finish(self) -> None:
        """Raises ApiError 400 where something is missing."""
        if not self._complete:
            raise _not_a_form("it ends before its last boundary")
        if self.filename is None:
            raise bad_value(
                self.name, f"Missing required parameter: '{self.name}'.", "missing_required_parameter"
            )

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _not_a_form(f"it has more than {MOST_PARTS} parts")
        self._disposition = ""
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_more(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._header_value.decode("latin-1")
        self._header, self._header_value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = _text(options.get(b"name", b""))
        if name != self.name:
            self._field = name
            return
        if self.filename is not None:
            raise bad_value(self.name, f"There is more than one '{self.name}' in the form.")
        if b"filename" not in options:
            raise bad_value(self.name, f"'{self.name}' has to be a file, with a filename.")
        self._field, self.filename = None, _text(options[b"filename"])

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._handed_on.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > self.field_bytes:
            message = f"'{self._field[:80]}' is longer than {self.field_bytes} bytes."
            raise bad_value(self._field[:80], message)

    def _part_end(self) -> None:
        if self._field is not None:
            self.fields[self._field] = _text(bytes(self._value))

    def _end(self) -> None:
        self._complete = True


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _not_a_form(reason: str) -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        f"The body has to be multipart/form-data: {reason}.",
        code="invalid_multipart",
    )
