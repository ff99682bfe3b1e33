"""API keys: made, listed and revoked. A key is on one page, once, and kept nowhere."""

from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_shim.accounts.new_key import LONGEST_LABEL, NotAKeyError, make_key
from api_shim.dashboard.pages import ROOT, SignedForm, SignedIn, page, page_router, see_other
from api_shim.routes.described import TheShim
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.store.keys import MOST_KEYS, Keys, StoredKey, TooManyKeysError
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value, no_room

router = page_router()


@router.get("/keys")
async def list_keys(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    return await _page(request, shim)


@router.post("/keys")
async def create_key(request: Request, shim: TheShim, form: SignedForm) -> Response:
    project, label = form.get("project", "").strip(), form.get("label", "").strip()
    make = partial(make_key, _keys(shim), project, label, shim.clock.unix_s())
    try:
        secret, made = await shim.clock.aside(make)
    except NotAKeyError as error:
        wrong = f"The {error}."
        return await _page(
            request, shim, HTTPStatus.BAD_REQUEST, wrong=wrong, project=project[:LONGEST_ECHO], label=label
        )
    except TooManyKeysError:
        wrong = f"There are {MOST_KEYS:,} keys, those revoked included, which is all that the server keeps."
        return await _page(request, shim, HTTPStatus.CONFLICT, wrong=wrong)
    except StorageFullError:
        raise no_room() from None
    return await _page(request, shim, secret=secret, made=made)


@router.post("/keys/{name}/revoke")
async def revoke_key(shim: TheShim, form: SignedForm, name: str) -> Response:
    del form
    keys, now_s = _keys(shim), shim.clock.unix_s()
    try:
        if not await shim.clock.aside(lambda: keys.revoke(name, now_s)):
            raise ApiError(HTTPStatus.NOT_FOUND, "There is no valid key of this name.")
    except StorageFullError:
        raise no_room() from None
    return see_other(f"{ROOT}/keys")


async def _page(
    request: Request,
    shim: Shim,
    status: int = HTTPStatus.OK,
    *,
    secret: str | None = None,
    made: StoredKey | None = None,
    wrong: str | None = None,
    project: str = "default",
    label: str = "",
) -> Response:
    listed = [] if shim.store.keys is None else await shim.clock.aside(Keys(shim.store.database).all)
    return await page(
        request,
        shim,
        "keys.html",
        status,
        keys=list(reversed(listed)),
        can_be_made=shim.store.keys is not None,
        of_scenario=len(shim.world.scenario.serve.keys),
        secret=secret,
        made=made,
        wrong=wrong,
        project=project,
        label=label,
        longest_label=LONGEST_LABEL,
    )


def _keys(shim: Shim) -> Keys:
    """Through the connection that is used aside: that of `Store.keys` notices what others write.

    Raises ApiError where the server keeps nothing.
    """
    if shim.store.keys is None:
        raise bad_value("state", "The server keeps nothing (`--state :memory:`), hence no keys either.")
    return Keys(shim.store.database)
