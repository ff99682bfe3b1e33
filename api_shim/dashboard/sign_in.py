"""Coming in and going out.

The token stands behind the `#` of the address that is said at the start: browsers do not send that.
"""

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from math import ceil
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api_shim.dashboard.pages import (
    ROOT,
    SIGN_IN,
    SignedForm,
    cookie_name,
    form_of,
    own_page,
    page,
    page_router,
    see_other,
    session_of,
    sessions_of,
)
from api_shim.dashboard.sessions import SESSION_S, TooManyGuessesError, WrongTokenError
from api_shim.routes.described import TheShim
from reports.html.palette import css_variables

ASSETS = {"dashboard.css": "text/css", "dashboard.js": "text/javascript"}
router = page_router()


@router.get("/sign-in")
async def sign_in_page(request: Request, shim: TheShim) -> Response:
    wanted = own_page(request.query_params.get("next", ROOT))
    if session_of(request, shim) is not None:
        return see_other(wanted)
    return await page(request, shim, "sign_in.html", wanted=wanted, wrong=None)


@router.post("/sign-in")
async def sign_in(
    request: Request, shim: TheShim, form: Annotated[dict[str, str], Depends(form_of)]
) -> Response:
    client = request.scope.get("client")
    wanted = own_page(form.get("next", ROOT))
    try:
        cookie = sessions_of(request).sign_in(
            form.get("token", "").strip(), client[0] if client else "", shim.clock.unix_s()
        )
    except WrongTokenError:
        wrong = "That is not the token of this server's present start."
        return await page(request, shim, "sign_in.html", HTTPStatus.FORBIDDEN, wanted=wanted, wrong=wrong)
    except TooManyGuessesError as error:
        wait_s = ceil(error.retry_after_s)
        wrong = f"Too many wrong tokens came from your address: try again in {wait_s} s."
        status = HTTPStatus.TOO_MANY_REQUESTS
        response = await page(request, shim, "sign_in.html", status, wanted=wanted, wrong=wrong)
        response.headers["retry-after"] = str(wait_s)
        return response
    response = see_other(wanted)
    response.set_cookie(
        cookie_name(request),
        cookie,
        max_age=int(SESSION_S),
        path=ROOT,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/sign-out")
async def sign_out(request: Request, form: SignedForm) -> Response:
    del form
    name = cookie_name(request)
    sessions_of(request).sign_out(request.cookies[name])
    response = see_other(SIGN_IN)
    response.delete_cookie(name, path=ROOT, httponly=True, samesite="strict")
    return response


@router.get("/assets/{name}")
async def asset(name: str) -> Response:
    """For everybody: the page to sign in has a style, too."""
    if name not in ASSETS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(_asset(name), media_type=ASSETS[name], headers={"cache-control": "max-age=3600"})


@cache
def _asset(name: str) -> str:
    own = (files("api_shim.dashboard") / "assets" / name).read_text(encoding="utf-8")
    if name != "dashboard.css":
        return own
    report = (files("reports") / "assets" / "report.css").read_text(encoding="utf-8")
    return f"{css_variables()}\n{report}\n{own}"  # reports and dashboard are one product
