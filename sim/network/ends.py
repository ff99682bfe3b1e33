"""Places as a person names them on a command line."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import get_args

from e80sim.mistakes import UserError
from sim.network.globe import is_point
from sim.network.places import GATEWAY, EdgePlace, InternetPlace, Place, PlaceSpec, RegionPlace
from sim.network.regions import region_table

ACCESS: tuple[str, ...] = get_args(InternetPlace.model_fields["access"].annotation)
FORMS = (
    "edge, gateway, a region such as aws:us-east-1, coordinates as @52.52,13.4, internet:cable:aws:us-east-1"
)


def end_named(text: str, places: Mapping[str, Place]) -> PlaceSpec:
    """One of `places`, `edge`, `gateway`, a region or coordinates, `internet:ACCESS:REGION`; else ValueError.

    Two ends written alike are two hosts of one kind, but a name in `places` twice is one host.
    """
    if text in places:
        return places[text]
    if text == "gateway":
        return GATEWAY
    if text == "edge":
        return EdgePlace(kind="edge")
    kind, _, rest = text.partition(":")
    if kind == "internet":
        return _internet(text, rest)
    if not rest and not is_point(text):
        raise UserError(_unknown(text, list(places)))
    return RegionPlace.model_validate({"kind": "region", "region": region_table().region(text).name})


def _internet(text: str, rest: str) -> InternetPlace:
    access, _, near = rest.partition(":")
    if access not in ACCESS:
        raise UserError(f"{text!r}: the access is {access!r}; it can be {', '.join(ACCESS)}")
    if not near:
        raise UserError(f"{text!r} names no region; write it as internet:{access}:aws:us-east-1")
    region = region_table().region(near).name
    return InternetPlace.model_validate({"kind": "internet", "access": access, "near": region})


def _unknown(text: str, places: list[str]) -> str:
    close = get_close_matches(text, [*places, "edge", "gateway"], n=1, cutoff=0.6)
    close += [name for name in region_table().regions if name.endswith(f":{text}")]
    if close:
        return f"there is no place {text!r}; did you mean {close[0]}?"
    known = f", or of the scenario {', '.join(places)}" if places else ""
    return f"there is no place {text!r}; places are {FORMS}{known}"
