"""Where callers and apps are, as a scenario says it, and the hops between any two of them."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from e80sim.choices import OneOf, by_kind
from sim.network.catalogue import LEAST_MBIT_PER_S, MOST_MBIT_PER_S, NetworkFacts, network_facts
from sim.network.globe import BOUNDS, is_point, point_name
from sim.network.hops import Atlas, Hop, catalogued, inter_region, metro
from sim.network.jitter import Gamma, Jitter, Lognormal
from sim.network.path import Path
from sim.network.regions import region_table


def _named(given: object) -> object:
    """Coordinates as the name that stands for them; everything else as it is."""
    if not isinstance(given, dict):
        return given
    if given.keys() != BOUNDS.keys() or not all(_is_number(value) for value in given.values()):
        raise ValueError("coordinates are written as {lat: 52.52, lon: 13.4}, in degrees")
    return point_name(given["lat"], given["lon"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(region: str) -> str:
    return region_table().region(region).name


_COORDINATES = {axis: {"type": "number", "minimum": -most, "maximum": most} for axis, most in BOUNDS.items()}

RegionName = Annotated[
    str,
    BeforeValidator(_named),
    AfterValidator(_known),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": _COORDINATES,
                    "required": list(BOUNDS),
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A region of the table, such as `aws:us-east-1`, or coordinates, which are kept as `@52.52,13.4`."""


class Attachment(NamedTuple):
    """Where the network's common part begins for a place."""

    region: str | None
    """None in the platform's own datacenter."""
    in_cloud: bool = False
    """A machine of the region itself, not somebody outside who reaches it first."""
    private: bool = False
    """A private interconnect instead of the metro's public path."""

    @property
    def outward(self) -> int:
        """0 at the accelerators, more the farther out."""
        return 0 if self.region is None else 1 if self.in_cloud else 2


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class PlaceSpec(_Spec, ABC):
    """An end of a path. Two of equal settings are two callers of one kind, and apart."""

    kind: str
    resolver: ClassVar[str] = "edge_ms"
    """The catalogue's value for a DNS lookup from here."""

    @property
    @abstractmethod
    def label(self) -> str:
        """For people who read a report."""

    @property
    @abstractmethod
    def attachment(self) -> Attachment: ...

    def access_hops(self, facts: NetworkFacts) -> tuple[Hop, ...]:
        """From the device outwards, as far as the attachment."""
        del facts
        return ()

    @property
    def whole_way(self) -> Hop | None:
        """One hop that stands for all of the way to anywhere, where the place states it."""
        return None

    @property
    def states_dns(self) -> bool:
        """The place has a lookup time of its own, whatever holds for the others."""
        return False

    def lookup_ms(self, facts: NetworkFacts) -> float:
        return facts.dns_lookup[self.resolver].value


class EdgePlace(PlaceSpec):
    """In the fabric beside the accelerators."""

    kind: Literal["edge"]

    @property
    def attachment(self) -> Attachment:
        return Attachment(None)

    @property
    def label(self) -> str:
        return "Edge, beside the accelerators"


class RegionPlace(PlaceSpec):
    """A virtual machine or a container in a cloud region."""

    kind: Literal["region"]
    resolver: ClassVar[str] = "region_ms"
    region: RegionName = Field(
        description="such as aws:us-east-1, azure:eastus or gcp:us-east4; or {lat: 52.52, lon: 13.4}"
    )
    private: bool = Field(False, description="a private interconnect instead of the metro's public path")

    @property
    def label(self) -> str:
        if is_point(self.region):
            return f"a machine at {_written(self.region)}"
        return f"{_written(self.region)} ({region_table().region(self.region).city})"

    @property
    def attachment(self) -> Attachment:
        return Attachment(self.region, in_cloud=True, private=self.private)


class InternetPlace(PlaceSpec):
    """A user's device on an access network."""

    kind: Literal["internet"]
    resolver: ClassVar[str] = "internet_ms"
    access: Literal["fibre", "cable", "dsl", "wifi", "4g", "5g"]
    near: RegionName = Field(
        description="what the access network reaches first: a region, or {lat: 52.52, lon: 13.4}"
    )
    line: Literal["fibre", "cable", "dsl"] | None = Field(
        None, description="the line behind a WiFi; absent: cable"
    )

    @model_validator(mode="after")
    def _line_behind_wifi(self) -> Self:
        if self.line is not None and self.access != "wifi":
            raise ValueError(f"line is {self.line!r}, but only access wifi has a line behind it")
        return self

    @property
    def label(self) -> str:
        titles = network_facts().hops
        return f"Internet, {titles[self.access].title} near {_written(self.near)}"

    @property
    def attachment(self) -> Attachment:
        return Attachment(self.near)

    def access_hops(self, facts: NetworkFacts) -> tuple[Hop, ...]:
        if self.access == "wifi":
            return catalogued(facts, "wifi"), catalogued(facts, self.line or "cable")
        return (catalogued(facts, self.access),)


class JitterSpec(_Spec, ABC):
    kind: str

    @property
    @abstractmethod
    def jitter(self) -> Jitter | None:
        """None for none at all."""


class NoJitter(JitterSpec):
    kind: Literal["none"]

    @property
    def jitter(self) -> Jitter | None:
        return None


class GammaJitter(JitterSpec):
    kind: Literal["gamma"]
    shape: float = Field(1.0, ge=0.01, le=100, description="1 is exponential")
    scale_ms: float = Field(gt=0, le=60_000)

    @property
    def jitter(self) -> Jitter | None:
        return Gamma(self.shape, self.scale_ms)


class LognormalJitter(JitterSpec):
    kind: Literal["lognormal"]
    median_ms: float = Field(gt=0, le=60_000)
    sigma: float = Field(gt=0, le=3)

    @property
    def jitter(self) -> Jitter | None:
        return Lognormal(self.median_ms, self.sigma)


JITTERS: dict[str, type[JitterSpec]] = by_kind(NoJitter, GammaJitter, LognormalJitter)


class CustomPlace(PlaceSpec):
    """A place whose network you state: one hop that stands for the whole way to anywhere."""

    kind: Literal["custom"]
    rtt_ms: float = Field(ge=0, le=60_000, description="round-trip floor to every other place")
    jitter: Annotated[JitterSpec, OneOf(JITTERS)] = NoJitter.model_construct(kind="none")
    loss_per_segment: float = Field(0.0, ge=0, le=0.5)
    up_mbit_per_s: float | None = Field(
        None,
        ge=LEAST_MBIT_PER_S,
        le=MOST_MBIT_PER_S,
        description="of each caller's line, which all of its streams share; absent: no limit",
    )
    down_mbit_per_s: float | None = Field(
        None, ge=LEAST_MBIT_PER_S, le=MOST_MBIT_PER_S, description="the same; absent: no limit"
    )
    dns_lookup_ms: float = Field(0.0, ge=0, le=60_000, description="per new connection")

    @property
    def label(self) -> str:
        return f"{self.rtt_ms:g} ms away"

    @property
    def attachment(self) -> Attachment:
        return Attachment(None)

    @property
    def states_dns(self) -> bool:
        return True

    def lookup_ms(self, facts: NetworkFacts) -> float:
        del facts
        return self.dns_lookup_ms

    @property
    def whole_way(self) -> Hop:
        unlimited = float("inf")
        return Hop(
            name=self.label,
            kind="custom",
            rtt_floor_ms=self.rtt_ms,
            jitter=self.jitter.jitter,
            loss_per_segment=self.loss_per_segment,
            up_mbit_per_s=self.up_mbit_per_s or unlimited,
            down_mbit_per_s=self.down_mbit_per_s or unlimited,
            shared=True,
        )


class GatewayEnd(PlaceSpec):
    """The platform's own, the other end of every model request; no scenario places it."""

    kind: Literal["gateway"] = "gateway"

    @property
    def label(self) -> str:
        return "the gateway"

    @property
    def attachment(self) -> Attachment:
        return Attachment(None)


GATEWAY = GatewayEnd.model_construct()

PLACES: dict[str, type[PlaceSpec]] = by_kind(EdgePlace, RegionPlace, InternetPlace, CustomPlace)
"""By kind. A new one is a class with `label` and `attachment`, and a place here."""
Place = Annotated[PlaceSpec, OneOf(PLACES)]


def path_between(a: PlaceSpec, b: PlaceSpec, site: str, facts: NetworkFacts | None = None) -> Path:
    """From a caller at `a` to a server at `b`. The same place twice is one machine: no hop and no DNS.

    Without `facts` the catalogue's hold.
    """
    facts = facts or network_facts()
    hops = hops_between(a, b, site, facts)
    return Path(hops, a.lookup_ms(facts) if hops else 0.0)


def hops_between(a: PlaceSpec, b: PlaceSpec, site: str, facts: NetworkFacts | None = None) -> tuple[Hop, ...]:
    """In order from `a`; the platform's datacenter is next to the region `site`.

    The same place is the same object.
    """
    if a is b:
        return ()
    stated = a.whole_way, b.whole_way and b.whole_way.reversed()
    if any(stated):
        return tuple(hop for hop in stated if hop is not None)
    if a.attachment.outward < b.attachment.outward:  # ways are known from the outer end
        return _reversed(hops_between(b, a, site, facts))
    atlas = Atlas(region_table(), facts or network_facts())
    between = _between(atlas, a.attachment, b.attachment, site)
    return a.access_hops(atlas.facts) + between + _reversed(b.access_hops(atlas.facts))


def _reversed(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    return tuple(hop.reversed() for hop in reversed(hops))


def _between(atlas: Atlas, a: Attachment, b: Attachment, site: str) -> tuple[Hop, ...]:
    """`a` is at least as far out as `b`."""
    if a.region is None:
        return (catalogued(atlas.facts, "fabric"),)
    if b.region is None:
        return _to_site(atlas, a.region, site, a.private)
    if a.region == b.region:
        return (catalogued(atlas.facts, "cross_az"),) if a.in_cloud else ()
    private = a.private and b.private
    if atlas.in_one_metro(a.region, b.region):
        return (metro(atlas, a.region, private, b.region),)
    return (inter_region(atlas, a.region, b.region),)


def _to_site(atlas: Atlas, region: str, site: str, private: bool) -> tuple[Hop, ...]:
    """The datacenter is beside the site's region, across the metro from it and from its neighbour.

    A site of coordinates is the datacenter itself.
    """
    last = metro(atlas, site, private)
    if region == site or atlas.in_one_metro(region, site):
        return (last,)
    between = inter_region(atlas, region, site)
    return (between,) if is_point(site) else (between, last)


def _written(region: str) -> str:
    if is_point(region):
        return region_table().region(region).city
    cloud, _, code = region.partition(":")
    return f"{cloud.upper()} {code}"
