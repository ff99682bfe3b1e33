"""The pages as a server sends them: for whom, under which policy, and what clients wrote as text alone."""

import re
from html.parser import HTMLParser

import pytest

from api_shim.dashboard.pages import POLICY
from tests.api_shim.dashboard.conftest import TOKEN, Browser
from tests.api_shim.dashboard.sample_traces import MARKUP, keep, trace
from tests.support import batches
from tests.support.live import LLAMA, Reply, chat, make_wire, scenario

PAGES = (
    "",
    "/live",
    "/traces",
    f"/traces/{1:032x}",
    "/batches",
    "/apps",
    "/apps/live",
    "/batches/live",
    "/files",
    "/keys",
    "/scenario",
    "/nothing",
)
FORMS = ("/sign-out", "/batches/batch_x/cancel", "/keys", "/keys/key_x/revoke", "/files/file-x/delete")
SCRIPT = {"src": "/dashboard/assets/dashboard.js", "defer": None}


class Elements(HTMLParser):
    """What a browser makes of a page, as (tag, its attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @classmethod
    def of(cls, reply: Reply) -> list[tuple[str, dict[str, str | None]]]:
        parser = cls()
        parser.feed(reply.body.decode())
        return parser.found


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_a_page_without_having_signed_in(browser: Browser, path: str) -> None:
    reply = browser.get(f"/dashboard{path}")
    assert reply.status == 303
    assert not browser.cookies
    assert LLAMA not in reply.body.decode()


@pytest.mark.parametrize("path", [*FORMS, "/files"])
def test_nobody_changes_anything_without_having_signed_in(browser: Browser, path: str) -> None:
    reply = browser.post(f"/dashboard{path}", {"csrf": "guess", "project": "p"})
    assert (reply.status, reply.headers["location"]) == (303, "/dashboard/sign-in")


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "guess"}])
def test_a_form_without_the_secret_of_the_session_is_refused(
    operator: Browser, path: str, form: dict[str, str]
) -> None:
    assert operator.post(f"/dashboard{path}", form).status == 403
    assert operator.get("/dashboard/keys").status == 200


@pytest.mark.parametrize("path", ["/sign-in", *FORMS])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:81"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused_even_if_it_knew_everything(
    operator: Browser, path: str, headers: dict[str, str]
) -> None:
    form = {"csrf": operator.csrf, "token": TOKEN, "project": "p"}
    assert operator.post(f"/dashboard{path}", form, **headers).status == 403


def test_the_cookie_is_for_this_site_alone_and_no_script(browser: Browser) -> None:
    reply = browser.sign_in()
    assert (reply.status, reply.headers["location"]) == (303, "/dashboard")
    name, *attributes = reply.headers["set-cookie"].split("; ")
    assert name.startswith("e80sim-dashboard-80=")
    assert {"HttpOnly", "SameSite=strict", "Path=/dashboard", "Max-Age=43200"} <= set(attributes)
    assert browser.get("/dashboard").status == 200


def test_a_wrong_token_opens_nothing_and_the_eleventh_waits(browser: Browser) -> None:
    for _ in range(10):
        reply = browser.sign_in("a guess")
        assert reply.status == 403
        assert "a guess" not in reply.body.decode()
    reply = browser.sign_in()
    assert (reply.status, reply.headers["retry-after"]) == (429, "60")
    assert not browser.cookies


def test_signing_out_ends_the_session_whoever_has_its_cookie(browser: Browser) -> None:
    browser.sign_in()
    stolen = Browser(browser.wire, dict(browser.cookies))
    assert browser.post("/dashboard/sign-out", {"csrf": browser.csrf}).status == 303
    assert stolen.get("/dashboard").status == 303


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/dashboard/traces?status=429&model=a%2Fb", "/dashboard/traces?status=429&model=a%2Fb"),
        ("/dashboard", "/dashboard"),
        ("https://evil.example", "/dashboard"),
        ("//evil.example", "/dashboard"),
        ("/dashboard.evil.example", "/dashboard"),
        ("/dashboard@evil.example", "/dashboard"),
        ("/dashboard/\\evil.example", "/dashboard"),
        ("/dashboard/\r\nset-cookie: a=b", "/dashboard"),
        ("/dashboard/traces\n", "/dashboard"),
        ("/docs", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
    ],
)
def test_a_sign_in_leads_to_the_page_that_was_asked_for_and_to_no_other_site(
    browser: Browser, wanted: str, leads_to: str
) -> None:
    assert browser.sign_in(next=wanted).headers["location"] == leads_to


def test_who_has_to_sign_in_comes_back_to_the_page_with_its_filters(browser: Browser) -> None:
    reply = browser.get("/dashboard/traces?status=429&model=a%2Fb")
    page = browser.get(reply.headers["location"]).body.decode()
    wanted = re.search(r'name="next" value="([^"]+)"', page)
    assert wanted
    assert wanted[1] == "/dashboard/traces?status=429&amp;model=a%2Fb"


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/assets/dashboard.js", "/assets/secret"])
def test_every_answer_has_the_policy(operator: Browser, path: str) -> None:
    for reply in (operator.get(f"/dashboard{path}"), Browser(operator.wire).get(f"/dashboard{path}")):
        assert reply.headers["content-security-policy"] == POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert ("no-store" in reply.headers["cache-control"]) == ("dashboard.js" not in path)


def test_a_server_without_a_token_has_no_dashboard() -> None:
    wire = make_wire()
    for path in ("", "/sign-in", "/assets/dashboard.js"):
        assert wire.ask(f"/dashboard{path}").status == 404
    wire.platform.close()


def test_the_public_description_does_not_mention_it(browser: Browser) -> None:
    assert "dashboard" not in browser.get("/openapi.json").body.decode()


def test_nothing_that_a_client_can_write_is_markup(operator: Browser) -> None:
    """In traces, files, keys, filters and errors; scripts and handlers of ours are in files alone."""
    shim = operator.wire.platform.shim
    texts = dict.fromkeys(("request_id", "project", "endpoint", "model", "outcome"), MARKUP)
    keep(shim.store, trace(1, shim.clock.unix_s(), **texts))
    writing = shim.store.files.begin()
    shim.store.files.add(
        writing,
        instance="00000000",
        project=MARKUP,
        filename=MARKUP,
        purpose=MARKUP,
        created_s=int(shim.clock.unix_s()),
        expires_s=None,
    )
    batches.run(operator.wire, b'{"custom_id": "<script>"}\n', metadata={MARKUP: MARKUP})
    csrf = operator.csrf
    made = operator.post("/dashboard/keys", {"csrf": csrf, "project": "p", "label": MARKUP})
    wrong = operator.post("/dashboard/keys", {"csrf": csrf, "project": MARKUP, "label": MARKUP})
    assert (made.status, wrong.status) == (200, 400)
    replies = [made, wrong, operator.sign_in(MARKUP)]
    query = "?status=%3Cscript%3E&model=%3Cscript%3E&request_id=%22%3E%3Cscript%3E&since=%3Cscript%3E"
    paths = (
        "/traces",
        f"/traces/{1:032x}",
        "/batches",
        "/files",
        "/keys",
        f"/traces{query}",
        "/traces/%3Cscript%3E",
    )
    replies += [operator.get(f"/dashboard{path}") for path in paths]
    assert all("&lt;script&gt;" in reply.body.decode() for reply in replies[:2] + replies[3:-1])
    for reply in replies:
        elements = Elements.of(reply)
        assert [given for tag, given in elements if tag == "script"] == [SCRIPT]
        assert not {tag for tag, _ in elements} & {"img", "style", "b"}
        assert not {
            name for _, given in elements for name in given if name.startswith("on") or name == "style"
        }


def test_a_key_is_shown_once_and_lets_in_until_it_is_revoked(operator: Browser) -> None:
    callers = operator.wire.platform.shim.callers
    assert "Any API key is taken" in operator.get("/dashboard").body.decode()
    page = operator.post("/dashboard/keys", {"csrf": operator.csrf, "project": "mine", "label": "laptop"})
    (secret,) = set(re.findall(r"sk-[\w-]{43}", page.body.decode()))
    assert callers.caller(f"Bearer {secret}").project == "mine"
    for path in ("", "/keys"):
        after = operator.get(f"/dashboard{path}").body.decode()
        assert secret not in after
        assert "Any API key is taken" not in after
    (name,) = set(re.findall(r"key_[0-9a-f]{12}", operator.get("/dashboard/keys").body.decode()))
    assert operator.wire.ask(body=chat(), key=secret).status == 200
    form = {"csrf": operator.csrf}
    assert operator.post(f"/dashboard/keys/{name}/revoke", form).status == 303
    assert operator.wire.ask(body=chat(), key=secret).status == 401
    assert operator.post(f"/dashboard/keys/{name}/revoke", form).status == 404


def test_a_server_that_keeps_nothing_says_that_it_can_make_no_keys(browser: Browser) -> None:
    browser.sign_in()
    page = browser.get("/dashboard/keys").body.decode()
    assert "none can be made" in page
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    assert browser.post("/dashboard/keys", {"csrf": csrf, "project": "p"}).status == 400


def test_files_of_all_projects_are_listed_read_and_deleted(operator: Browser) -> None:
    csrf = operator.csrf
    body = (
        f'--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n'
        '--x\r\ncontent-disposition: form-data; name="project"\r\n\r\nmine\r\n'
        '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        '--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\n\r\n--x--\r\n'
    )
    headers = {
        "content-type": "multipart/form-data; boundary=x",
        "host": "127.0.0.1:80",
        "cookie": "; ".join(f"{name}={value}" for name, value in operator.cookies.items()),
    }

    def upload(text: str) -> int:
        return operator.wire.ask("/dashboard/files", text.encode(), headers=headers, key=None).status

    assert upload(body.replace(csrf, "guess")) == 403
    assert "Nobody has uploaded" in operator.get("/dashboard/files").body.decode()
    assert upload(body.replace("mine", "No Name")) == 400
    assert upload(body) == 303
    page = operator.get("/dashboard/files").body.decode()
    (file_id,) = set(re.findall(r"file-[0-9a-f]{20}", page))
    content = operator.get(f"/dashboard/files/{file_id}/content")
    assert content.body == b"{}\n"
    assert content.headers["content-disposition"] == "attachment"
    assert content.headers["content-type"] == "application/octet-stream"
    assert operator.post(f"/dashboard/files/{file_id}/delete", {"csrf": csrf}).status == 303
    assert operator.get(f"/dashboard/files/{file_id}/content").status == 404
    assert operator.post(f"/dashboard/files/{file_id}/delete", {"csrf": csrf}).status == 404


def test_the_scenario_is_shown_without_its_keys() -> None:
    from api_shim.dashboard.scenario import scenario_yaml
    from sim.scenario.source_map import parse_yaml

    spec = scenario(serve={"keys": {"sk-secret-of-mine": {"project": "mine"}}})
    text = scenario_yaml(spec)
    assert "sk-secret" not in text
    data, _ = parse_yaml(text, "shown")
    held = {"project": "mine", "tier": None, "place": None, "source": None}
    assert list(data["serve"]["keys"].values()) == [held]
    data["serve"]["keys"] = {"sk-secret-of-mine": {"project": "mine"}}
    assert scenario().model_validate(data) == spec


def test_every_page_works_and_shows_what_is_served(operator: Browser) -> None:
    keep(operator.wire.platform.shim.store, trace(1, operator.wire.platform.shim.clock.unix_s()))
    for path, text in {
        "": LLAMA,
        "/live": LLAMA,
        "/traces": "req_1",
        f"/traces/{1:032x}": "decode",
        "/batches": "Nobody has begun a batch yet",
        "/files": "Upload",
        "/keys": "Make a key",
        "/scenario": "hardwired_asic",
    }.items():
        reply = operator.get(f"/dashboard{path}")
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert text in reply.body.decode()
    for path in (f"/traces/{2:032x}", "/nothing", "/traces/a/b"):
        reply = operator.get(f"/dashboard{path}")
        assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such page." in reply.body.decode()
