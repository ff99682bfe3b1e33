"""Sandboxes on the wire: what 8080's clients state and read, of the versions that do either."""

from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, field_validator

from api_shim.sandboxes.service import Made, SandboxPlan, Took
from api_shim.store.sandboxes import OpenPort, SandboxPage, SandboxRow
from api_shim.wire.body import Body

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
"""Of a command, or a variable's value: the system ends both at a NUL."""
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
MOST_ENTRIES = 100
MOST_LISTED = 1000
LISTED = 100


class SandboxImage(Body):
    docker_image_name: Word | None = None
    entrypoint: Annotated[list[Word], Field(max_length=MOST_ENTRIES)] | None = Field(
        None, description="a command that is started in the sandbox and left running"
    )
    environment_variables: dict[VariableName, Word] | None = Field(None, max_length=MOST_ENTRIES)


class SandboxResources(Body):
    memory_mb: Annotated[int, Field(ge=32, le=1_048_576)] | None = None
    milli_cpus: Annotated[int, Field(ge=10, le=256_000)] | None = None


class SandboxBody(Body):
    """Of 8080's client 0.1.0a14: `image` and `resources`. Of its elders: `memory_mb` and `cpu_mhz`."""

    image: SandboxImage | None = None
    resources: SandboxResources | None = None
    memory_mb: Annotated[int, Field(ge=32, le=1_048_576)] | None = None
    cpu_mhz: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    labels: dict[Word, Word] | None = Field(None, max_length=MOST_ENTRIES)

    @field_validator("labels")
    @classmethod
    def _short(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        if labels is not None and any(len(name) > 256 for name in labels):
            raise ValueError("names of labels have at most 256 letters")
        return labels

    def plan(self, reference_mhz: float) -> SandboxPlan:
        image, resources = self.image or SandboxImage(), self.resources or SandboxResources()
        of_mhz = None if self.cpu_mhz is None else max(10, round(self.cpu_mhz / reference_mhz * 1000))
        return SandboxPlan(
            memory_mb=resources.memory_mb or self.memory_mb,
            milli_cpus=resources.milli_cpus or of_mhz,
            image=image.docker_image_name,
            entrypoint=tuple(image.entrypoint or ()),
            environment=tuple((image.environment_variables or {}).items()),
            labels=tuple((self.labels or {}).items()),
        )


class PortPair(Body):
    target_port: PortNumber
    as_port: PortNumber


class ExposeBody(Body):
    ports: list[PortNumber | PortPair] = Field(max_length=MOST_ENTRIES)

    def opened(self) -> list[OpenPort]:
        return [
            OpenPort(port, port) if isinstance(port, int) else OpenPort(port.target_port, port.as_port)
            for port in self.ports
        ]


class RunBody(Body):
    code: Annotated[str, StringConstraints(max_length=2**20)]
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(60.0, description="real seconds")


class PackagesBody(Body):
    dependencies: Annotated[list[Word], Field(max_length=MOST_ENTRIES)]


class RunAnswer(BaseModel):
    exit_code: int = Field(description="0: it went well; that of a signal is negative")
    message: str = Field(description="what it wrote")
    error: str = Field(description="what it wrote to its error stream, or why it was ended")
    simulated_ms: float = Field(description="what it took by the model's clock")
    wall_ms: float = Field(description="what it really took")
    cpu_ms: float = Field(description="of the processor")


class PortObject(BaseModel):
    target_port: int
    as_port: int


class StatedImage(BaseModel):
    docker_image_name: str | None = None
    entrypoint: list[str] | None = None


class SandboxResourcesObject(BaseModel):
    memory_mb: int
    milli_cpus: int


class SandboxObject(BaseModel):
    id: str
    object: Literal["sandbox"] = "sandbox"
    created: str
    terminated: str | None
    status: Literal["active", "finished", "pending"]
    ports: list[PortObject]
    image: StatedImage | None = Field(description="as stated")
    resources: SandboxResourcesObject
    labels: dict[str, str]
    ended_by: str | None = Field(description="why it has ended")

    @classmethod
    def of(cls, row: SandboxRow) -> Self:
        return cls(**_members(row))


class CreatedSandbox(SandboxObject):
    address: str = Field(description="where the sandbox itself answers")
    auth_token: str = Field(description="for it; shown once")
    simulated_ms: float = Field(description="what it took by the model's clock, as the scenario says")
    wall_ms: float = Field(description="what it really took")

    @classmethod
    def made(cls, took: Took[Made], address: str) -> Self:
        return cls(
            **_members(took.value.row),
            address=address,
            auth_token=took.value.token,
            simulated_ms=took.simulated_ms,
            wall_ms=took.wall_ms,
        )


class SandboxQuery(Body):
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = LISTED
    page: Annotated[int, Field(ge=1, le=10**9)] = 1


class SandboxHistory(BaseModel):
    object: Literal["list"] = "list"
    data: list[SandboxObject]
    total: int
    total_pages: int
    page: int
    limit: int
    offset: int
    has_more: bool
    has_previous: bool
    next_page: int | None
    previous_page: int | None


class SandboxList(SandboxHistory):
    """A page for some clients, `sandboxes` for others."""

    sandboxes: list[SandboxObject]


def page_members(page: SandboxPage, query: SandboxQuery) -> dict[str, object]:
    has_more = page.offset + len(page.rows) < page.total
    return {
        "data": [SandboxObject.of(row) for row in page.rows],
        "total": page.total,
        "total_pages": ceil(page.total / query.limit),
        "page": query.page,
        "limit": query.limit,
        "offset": page.offset,
        "has_more": has_more,
        "has_previous": page.offset > 0,
        "next_page": query.page + 1 if has_more else None,
        "previous_page": query.page - 1 if query.page > 1 else None,
    }


def _members(row: SandboxRow) -> dict[str, object]:
    return {
        "id": row.id,
        "created": _date(row.created_s),
        "terminated": None if row.terminated_s is None else _date(row.terminated_s),
        "status": "active" if row.terminated_s is None else "finished",
        "ports": [PortObject(**port._asdict()) for port in row.ports],
        "image": StatedImage(**row.image) if row.image else None,
        "resources": SandboxResourcesObject(memory_mb=row.memory_mb, milli_cpus=row.milli_cpus),
        "labels": row.labels,
        "ended_by": row.ended_by,
    }


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()
