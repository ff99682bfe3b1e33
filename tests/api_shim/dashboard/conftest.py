from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api_shim.accounts.callers import Callers
from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from tests.support.live import Reply, Wire, make_wire, scenario

TOKEN = "the-token-of-this-start"
SITE = {"host": "127.0.0.1:80"}


@dataclass
class Browser:
    """As far as cookies and forms go."""

    wire: Wire
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Reply:
        return self._ask(path, None, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Reply:
        kind = {"content-type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.1:80"}
        return self._ask(path, urlencode(form).encode(), kind | headers)

    def _ask(self, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = SITE | ({"cookie": cookie} if cookie else {}) | headers
        reply = self.wire.ask(path, body, headers=given, key=None)
        if "set-cookie" in reply.headers:
            name, _, value = reply.headers["set-cookie"].split(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def sign_in(self, token: str = TOKEN, **form: str) -> Reply:
        return self.post("/dashboard/sign-in", {"token": token, **form})

    @property
    def csrf(self) -> str:
        """Of the session, as a page has it."""
        page = self.get("/dashboard/keys").body.decode()
        return page.split('name="csrf" value="')[1].split('"')[0]


@pytest.fixture
def browser() -> Iterator[Browser]:
    wire = make_wire(settings=ServerSettings(dashboard_token=TOKEN))
    yield Browser(wire)
    wire.platform.close()


@pytest.fixture
def operator(browser: Browser, tmp_path: Path) -> Iterator[Browser]:
    """Signed in, at a server that keeps what it is given."""
    shim = browser.wire.platform.shim
    shim.store = Store(tmp_path / "state")
    shim.callers = Callers(scenario(), {}, issued=shim.store.keys)
    browser.sign_in()
    yield browser
    shim.store.close()
