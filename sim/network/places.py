"""Where callers and apps are, as a scenario says it, and the hops between any two of them."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sim.network.catalogue import LEAST_MBIT_PER_S, MOST_MBIT_PER_S, NetworkFacts, network_facts
from sim.network.hops import Atlas, Hop, catalogued, inter_region, metro
from sim.network.jitter import Gamma, Jitter, Lognormal
from sim.network.path import Path
from sim.network.regions import region_table


def _known(region: str) -> str:
    region_table().region(region)
    return region


RegionName = Annotated[str, AfterValidator(_known)]
"""A region of the table, such as `aws:us-east-1`."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class EdgePlace(_Spec):
    """In the fabric beside the accelerators."""

    kind: Literal["edge"]

    @property
    def label(self) -> str:
        return "Edge, beside the accelerators"


class RegionPlace(_Spec):
    """A virtual machine or a container in a cloud region."""

    kind: Literal["region"]
    region: RegionName = Field(description="such as aws:us-east-1 or gcp:us-east4")
    private: bool = Field(False, description="a private interconnect instead of the metro's public path")

    @property
    def label(self) -> str:
        return f"{_written(self.region)} ({region_table().region(self.region).city})"


class InternetPlace(_Spec):
    """A user's device on an access network."""

    kind: Literal["internet"]
    access: Literal["fibre", "cable", "dsl", "wifi", "4g", "5g"]
    near: RegionName = Field(description="the region that the access network reaches first")
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

    def access_hops(self, facts: NetworkFacts) -> tuple[Hop, ...]:
        """From the device outwards."""
        if self.access == "wifi":
            return catalogued(facts, "wifi"), catalogued(facts, self.line or "cable")
        return (catalogued(facts, self.access),)


class NoJitter(_Spec):
    kind: Literal["none"]

    @property
    def jitter(self) -> Jitter | None:
        return None


class GammaJitter(_Spec):
    kind: Literal["gamma"]
    shape: float = Field(1.0, ge=0.01, le=100, description="1 is exponential")
    scale_ms: float = Field(gt=0, le=60_000)

    @property
    def jitter(self) -> Jitter | None:
        return Gamma(self.shape, self.scale_ms)


class LognormalJitter(_Spec):
    kind: Literal["lognormal"]
    median_ms: float = Field(gt=0, le=60_000)
    sigma: float = Field(gt=0, le=3)

    @property
    def jitter(self) -> Jitter | None:
        return Lognormal(self.median_ms, self.sigma)


class CustomPlace(_Spec):
    """A place whose network you state: one hop that stands for the whole way to anywhere."""

    kind: Literal["custom"]
    rtt_ms: float = Field(ge=0, le=60_000, description="round-trip floor to every other place")
    jitter: Annotated[NoJitter | GammaJitter | LognormalJitter, Field(discriminator="kind")] = NoJitter(
        kind="none"
    )
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
    def hop(self) -> Hop:
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


class GatewayEnd:
    """The platform's own door, the other end of every model request."""

    label = "the gateway"


GATEWAY = GatewayEnd()

Place = Annotated[EdgePlace | RegionPlace | InternetPlace | CustomPlace, Field(discriminator="kind")]
End = EdgePlace | RegionPlace | InternetPlace | CustomPlace | GatewayEnd


def path_between(a: End, b: End, site: str, facts: NetworkFacts | None = None) -> Path:
    """From a caller at `a` to a server at `b`. The same place twice is one machine: no hop and no DNS.

    Without `facts` the catalogue's hold.
    """
    facts = facts or network_facts()
    hops = hops_between(a, b, site, facts)
    return Path(hops, _dns_lookup_ms(a, facts) if hops else 0.0)


def _dns_lookup_ms(caller: End, facts: NetworkFacts) -> float:
    if isinstance(caller, CustomPlace):
        return caller.dns_lookup_ms
    lookup = facts.dns_lookup
    if isinstance(caller, InternetPlace):
        return lookup["internet_ms"].value
    return lookup["region_ms" if isinstance(caller, RegionPlace) else "edge_ms"].value


def hops_between(a: End, b: End, site: str, facts: NetworkFacts | None = None) -> tuple[Hop, ...]:
    """In order from `a`; the platform's datacenter is next to the region `site`.

    The same place is the same object: two places of equal settings are two callers of one kind, and apart.
    """
    if a is b:
        return ()
    if isinstance(a, CustomPlace) or isinstance(b, CustomPlace):
        ends = (
            a.hop if isinstance(a, CustomPlace) else None,
            _back(b) if isinstance(b, CustomPlace) else None,
        )
        return tuple(hop for hop in ends if hop is not None)
    atlas = Atlas(region_table(), facts or network_facts())
    if isinstance(a, InternetPlace):
        return a.access_hops(atlas.facts) + _onward(atlas, a, b, site)
    if isinstance(b, InternetPlace):
        return tuple(hop.reversed() for hop in reversed(hops_between(b, a, site, facts)))
    return _cloud_hops(atlas, a, b, site)


def _back(place: CustomPlace) -> Hop:
    return place.hop.reversed()


def _onward(atlas: Atlas, a: InternetPlace, b: End, site: str) -> tuple[Hop, ...]:
    """Behind the access network, which ends in the region nearby."""
    if isinstance(b, InternetPlace):
        between = () if a.near == b.near else _between_regions(atlas, a.near, b.near, private=False)
        return between + tuple(hop.reversed() for hop in reversed(b.access_hops(atlas.facts)))
    if isinstance(b, RegionPlace):
        return () if a.near == b.region else _between_regions(atlas, a.near, b.region, private=False)
    return _to_site(atlas, a.near, site, private=False)


def _cloud_hops(atlas: Atlas, a: End, b: End, site: str) -> tuple[Hop, ...]:
    if isinstance(a, RegionPlace) and isinstance(b, RegionPlace):
        if a.region == b.region:
            return (catalogued(atlas.facts, "cross_az"),)
        return _between_regions(atlas, a.region, b.region, a.private and b.private)
    if isinstance(a, RegionPlace):
        return _to_site(atlas, a.region, site, a.private)
    if isinstance(b, RegionPlace):
        return tuple(hop.reversed() for hop in reversed(_to_site(atlas, b.region, site, b.private)))
    return (catalogued(atlas.facts, "fabric"),)


def _between_regions(atlas: Atlas, a: str, b: str, private: bool) -> tuple[Hop, ...]:
    if atlas.table.same_metro(a, b):
        return (metro(atlas, a, private),)
    return (inter_region(atlas, a, b),)


def _to_site(atlas: Atlas, region: str, site: str, private: bool) -> tuple[Hop, ...]:
    """The datacenter is beside the site's region, across the metro from it and from its neighbour."""
    last = metro(atlas, site, private)
    if region == site or atlas.table.same_metro(region, site):
        return (last,)
    return inter_region(atlas, region, site), last


def _written(region: str) -> str:
    cloud, _, code = region.partition(":")
    return f"{cloud.upper()} {code}"
