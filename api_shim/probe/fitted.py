"""The report of a probe that lies in a directory, with the fit to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api_shim.probe.page import render
from api_shim.probe.record import ProbedRequest, RoundTrip
from e80sim.mistakes import UserError
from hwmodels.calibrate.endpoint.fit import fit_endpoint
from hwmodels.calibrate.endpoint.seen import read_seen


def page(
    directory: Path,
    about: Mapping[str, Any],
    chats: Sequence[ProbedRequest],
    trips: Sequence[RoundTrip],
) -> str:
    try:
        return render(about, chats, trips, fit_endpoint(read_seen(directory)))
    except UserError as error:  # nothing was answered, which the report is to say
        return render(about, chats, trips, None, str(error))
