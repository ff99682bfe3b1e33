"""Strings of the formats that JSON Schema names. Dates are of the years 2020 to 2029."""

from collections.abc import Callable
from random import Random  # noqa: TID251 -- seeded by its caller; the model never sees these draws
from uuid import UUID

from api_shim.content.synthetic import NOUNS


def _date(rng: Random) -> str:
    return f"202{rng.randint(0, 9)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _time(rng: Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"


def _word(rng: Random) -> str:
    return rng.choice(NOUNS)


def _path(rng: Random) -> str:
    return f"/{_word(rng)}/{_word(rng)}"


def _host(rng: Random) -> str:
    return f"{_word(rng)}.example.com"


FORMATS: dict[str, Callable[[Random], str]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda rng: f"{_date(rng)}T{_time(rng)}",
    "duration": lambda rng: f"PT{rng.randint(1, 59)}M",
    "email": lambda rng: f"{_word(rng)}@example.com",
    "idn-email": lambda rng: f"{_word(rng)}@example.com",
    "hostname": _host,
    "idn-hostname": _host,
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": lambda rng: f"2001:db8::{rng.randint(1, 0xFFFF):x}",
    "uri": lambda rng: f"https://{_host(rng)}{_path(rng)}",
    "iri": lambda rng: f"https://{_host(rng)}{_path(rng)}",
    "uri-reference": _path,
    "iri-reference": _path,
    "uri-template": _path,
    "json-pointer": _path,
    "relative-json-pointer": lambda rng: f"{rng.randint(0, 9)}{_path(rng)}",
    "regex": lambda rng: f"^{_word(rng)}$",
    "uuid": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
}
