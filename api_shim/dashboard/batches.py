"""The batches of all projects, with how far they are and where their results are."""

from functools import partial
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api_shim.batches.runner import CANCELLABLE
from api_shim.dashboard.pages import ROOT, SignedForm, SignedIn, page, page_router, see_other
from api_shim.routes.batches import TheRunner, batch_of, cancelled
from api_shim.routes.described import TheShim
from api_shim.shim import Shim
from api_shim.store.batches import UNFINISHED
from api_shim.wire.batch_objects import BatchObject

PER_PAGE = 20
MOST_PAGES = 10**6
PageNumber = Annotated[int, Query(alias="page", ge=1, le=MOST_PAGES)]
router = page_router()


@router.get("/batches")
async def list_batches(
    request: Request, shim: TheShim, session: SignedIn, number: PageNumber = 1
) -> Response:
    del session
    return await _page(request, shim, "batches.html", number)


@router.get("/batches/live")
async def live_batches(
    request: Request, shim: TheShim, session: SignedIn, number: PageNumber = 1
) -> Response:
    """Only what changes."""
    del session
    return await _page(request, shim, "batches_live.html", number)


@router.post("/batches/{batch_id}/cancel")
async def cancel_batch(shim: TheShim, runner: TheRunner, form: SignedForm, batch_id: str) -> Response:
    del form
    await cancelled(runner, await batch_of(shim, None, batch_id))
    return see_other(f"{ROOT}/batches")


async def _page(request: Request, shim: Shim, template: str, number: int) -> Response:
    listing = partial(shim.store.batches.page, None, PER_PAGE, (number - 1) * PER_PAGE)
    listed = await shim.clock.aside(listing)
    return await page(
        request,
        shim,
        template,
        batches=listed.batches,
        objects={batch.id: BatchObject.of(batch, to_8080=False) for batch in listed.batches},
        total=listed.total,
        number=number,
        has_more=listed.offset + len(listed.batches) < listed.total,
        cancellable=CANCELLABLE,
        unfinished=UNFINISHED,
    )
