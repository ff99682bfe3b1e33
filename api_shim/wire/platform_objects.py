"""What 8080's client calls the platform: secrets, artifacts, jobs; and the pages that list them."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from api_shim.store.artifacts import Artifact
from api_shim.store.deployments import Deployment, DeploymentPage, DeploymentStatus
from api_shim.store.secrets import Secret, SecretPage
from api_shim.wire.body import Body
from api_shim.wire.paging import Page

MOST_LISTED = 1000
LISTED = 100
MOST_VARIABLES = 1000
MOST_LEVELS = 100
"""Of what a secret of JSON holds. Answers are written to some 250."""
SecretName = Annotated[str, StringConstraints(pattern=r"^[^/\x00-\x1f\x7f]{1,256}$")]
SecretText = Annotated[str, StringConstraints(max_length=64 * 1024)]
VariableText = Annotated[str, StringConstraints(max_length=64 * 1024, pattern=r"^[^\x00]*$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]{1,256}$")]
SecretType = Literal["string", "json", "openai"]
Megabytes = Annotated[int, Field(ge=1, le=2**20)]


class PageQuery(Body):
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = LISTED
    page: Annotated[int, Field(ge=1, le=10**9)] = 1

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class SecretsQuery(PageQuery):
    local: Annotated[
        Literal["true", "false"] | None, Field(description="only those for development, or only the others")
    ] = None


class OpenAiCredentials(Body):
    """Of another platform that speaks OpenAI's API."""

    url: SecretText
    api_key: SecretText


class SecretBody(Body):
    name: SecretName
    is_local: bool = Field(False, description="for development: no deployment gets it")
    type: SecretType = "string"
    value: SecretText | dict[str, Any] = Field(
        description="of the type `string` a string, of `openai` an object with `url` and `api_key`, "
        "of `json` any object",
        repr=False,
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Its messages hold nothing of the value."""
        if (self.type == "string") is not isinstance(self.value, str):
            raise ValueError("a secret of the type `string` has a string as value, any other an object")
        if self.type == "openai" and not (
            isinstance(self.value, dict)
            and isinstance(self.value.get("url"), str)
            and isinstance(self.value.get("api_key"), str)
        ):
            raise ValueError("a secret of the type `openai` has `url` and `api_key`, both strings")
        try:
            json.dumps(self.value, allow_nan=False)
        except ValueError:
            raise ValueError("it holds NaN or infinity, which JSON has not") from None
        if _depth(self.value) > MOST_LEVELS:
            raise ValueError(f"its value has more than {MOST_LEVELS} levels")
        return self

    def secret(self) -> Secret:
        return Secret(self.name, self.is_local, self.type, self.value)


def _depth(value: object) -> int:
    levels, inner = 0, [value]
    while inner:
        levels += 1
        kept = [one for one in inner if isinstance(one, dict | list)]
        inner = [part for one in kept for part in (one.values() if isinstance(one, dict) else one)]
    return levels


class SecretObject(BaseModel):
    object: Literal["secret"] = "secret"
    name: str
    is_local: bool
    type: SecretType
    value: str | dict[str, Any] = Field(repr=False)

    @classmethod
    def of(cls, secret: Secret) -> Self:
        return cls.model_validate(
            {"name": secret.name, "is_local": secret.is_local, "type": secret.type, "value": secret.value}
        )


class SecretNamed(BaseModel):
    """What making and changing one answer: without its value."""

    object: Literal["secret"] = "secret"
    name: str
    is_local: bool
    type: SecretType

    @classmethod
    def of(cls, secret: Secret) -> Self:
        return cls.model_validate({"name": secret.name, "is_local": secret.is_local, "type": secret.type})


class SecretDeleted(BaseModel):
    object: Literal["secret"] = "secret"
    name: str
    deleted: Literal[True] = True


class SecretList(Page):
    data: list[SecretObject]

    @classmethod
    def of(cls, page: SecretPage, limit: int) -> Self:
        data = [SecretObject.of(secret) for secret in page.secrets]
        return cls(data=data, **cls.around([one.name for one in data], page.offset, page.total, limit))


class OlderSecret(BaseModel):
    name: str
    type: SecretType
    value: str | dict[str, Any] = Field(repr=False)


class OlderSecretList(BaseModel):
    secrets: list[OlderSecret]

    @classmethod
    def of(cls, page: SecretPage) -> Self:
        return cls.model_validate(
            {"secrets": [{"name": one.name, "type": one.type, "value": one.value} for one in page.secrets]}
        )


class ArtifactMetadata(Body):
    python_version: Annotated[str, StringConstraints(max_length=100)]


class ArtifactConfig(Body):
    """What the project's file states of its deployment."""

    artifact_metadata: ArtifactMetadata
    entrypoint: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    cpu_count: Annotated[int, Field(ge=1, le=10**7)] | None = Field(
        None, description="the file's `cpu_mhz`: megahertz, in spite of the name"
    )
    gpu_count: Annotated[int, Field(ge=0, le=1024)] | None = None
    memory_size_mb: Megabytes | None = None
    env_vars: dict[EnvironmentName, VariableText] | None = Field(None, max_length=MOST_VARIABLES)
    env_secrets: dict[EnvironmentName, SecretName] | None = Field(
        None, max_length=MOST_VARIABLES, description="variable: name of a secret"
    )

    def kept(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class UploadBody(Body):
    config: ArtifactConfig


class ArtifactObject(BaseModel):
    object: Literal["artifact"] = "artifact"
    artifact_id: str
    size_bytes: int = Field(description="so far")
    complete: bool
    sha256: str | None

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        return cls(
            artifact_id=artifact.id,
            size_bytes=artifact.size_bytes,
            complete=artifact.digest is not None,
            sha256=artifact.digest,
        )


class PartObject(BaseModel):
    artifact_id: str
    part_num: int
    size_bytes: int


class JobBody(Body):
    artifact_id: Annotated[str, StringConstraints(max_length=200)]


class DeploymentMade(BaseModel):
    deployment_id: str


class JobObject(BaseModel):
    id: str
    artifact_id: str
    status: DeploymentStatus
    reason: str = Field(description="why it has that status")
    created_at: str
    started_at: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        return cls(
            id=deployment.id,
            artifact_id=deployment.artifact,
            status=deployment.status,
            reason=deployment.reason,
            created_at=date_of(deployment.created_s),
            started_at=None if deployment.started_s is None else date_of(deployment.started_s),
        )


class JobList(BaseModel):
    object: Literal["list"] = "list"
    jobs: list[JobObject]


class JobHistory(BaseModel):
    id: str
    artifact_id: str
    status: DeploymentStatus
    reason: str
    started_at: str = Field(description="of one that has not been started: when it was made")
    ended_at: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        started_s = deployment.created_s if deployment.started_s is None else deployment.started_s
        return cls(
            id=deployment.id,
            artifact_id=deployment.artifact,
            status=deployment.status,
            reason=deployment.reason,
            started_at=date_of(started_s),
            ended_at=None if deployment.ended_s is None else date_of(deployment.ended_s),
        )


class JobHistoryList(Page):
    data: list[JobHistory]

    @classmethod
    def of(cls, page: DeploymentPage, limit: int) -> Self:
        data = [JobHistory.of(one) for one in page.deployments]
        return cls(data=data, **cls.around([one.id for one in data], page.offset, page.total, limit))


def date_of(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


class Membership(BaseModel):
    organization_id: str
    organization_name: str
    organization_slug: str
    membership: int = Field(1, description="8080's number for the kind; here all are of one kind")

    @classmethod
    def of(cls, slug: str) -> Self:
        return cls(organization_id=f"org_{slug}", organization_name=slug, organization_slug=slug)


class MembershipList(BaseModel):
    memberships: list[Membership]


class ProjectBody(Body):
    project_name: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ProjectMade(BaseModel):
    project_id: str
    project_slug: str


class OlderConfig(Body):
    """A project's file as clients up to 0.1.0a11 send it."""

    entrypoint: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    cpu_mhz: Annotated[int, Field(ge=1, le=10**7)] | None = None
    gpu_count: Annotated[int, Field(ge=0, le=1024)] | None = None
    memory_size_mb: Megabytes | None = None
    env_vars: dict[EnvironmentName, VariableText] | None = Field(None, max_length=MOST_VARIABLES)


class OlderUploadBody(Body):
    config: OlderConfig
    artifact_metadata: ArtifactMetadata

    def newer(self) -> ArtifactConfig:
        return ArtifactConfig(
            artifact_metadata=self.artifact_metadata,
            entrypoint=self.config.entrypoint,
            cpu_count=self.config.cpu_mhz,
            gpu_count=self.config.gpu_count,
            memory_size_mb=self.config.memory_size_mb,
            env_vars=self.config.env_vars,
        )
