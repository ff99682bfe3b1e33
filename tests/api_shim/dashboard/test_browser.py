"""The dashboard of a real server in a real browser: click, filter, read; by everybody, offline."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, expect, sync_playwright

from tests.api_shim.dashboard.sample_traces import MARKUP
from tests.support.batches import CHAT, lines, requests
from tests.support.chromium import CHROMIUM, IN_CHROMIUM, QUIET
from tests.support.live import LLAMA, chat
from tests.support.served import serve

pytestmark = [*IN_CHROMIUM, pytest.mark.realtime]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


class Site:
    """A server with one trace, one file and any key taken."""

    def __init__(self, folder: Path) -> None:
        self.server = serve(folder, "--state", str(folder / "state"), limits=LIMITS)
        self.url = self.server.urls[0]
        self.home = f"{self.url}/dashboard"
        self.token = (folder / "state" / "dashboard-token").read_text().strip()
        self.request("req-first", log=True, content=MARKUP)
        upload = {"file": (f"{MARKUP.replace('/', '')}.jsonl", b"{}\n")}
        httpx.post(
            f"{self.url}/v1/files", headers=key("me"), files=upload, data={"purpose": "batch"}
        ).raise_for_status()
        self.batch(2)

    def batch(self, count: int, **fields: Any) -> str:
        """One of `count` requests; its id."""
        with httpx.Client(base_url=f"{self.url}/v1", headers=key("me")) as client:
            upload = {"file": ("in.jsonl", lines(requests(count, **fields)))}
            file = client.post("/files", files=upload, data={"purpose": "batch"}).json()
            body = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
            id_: str = client.post("/batches", json=body).json()["id"]
        return id_

    def request(self, request_id: str, *, name: str = "me", content: str = "hello", **fields: Any) -> int:
        headers = key(name) | {"x-request-id": request_id}
        body = chat(content, max_tokens=4, **fields)
        return httpx.post(f"{self.url}/v1/chat/completions", headers=headers, json=body).status_code


LIMITS = {"requests_per_minute": 1000, "tokens_per_minute": 100_000, "algorithm": "sliding_window"}


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer sk-{name}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("dashboard"))
    yield made
    assert made.server.end() == 0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert CHROMIUM, "CI must have Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Seen:
    """What no page may do: complain, ask, or reach for another host."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.complaints: list[str] = []
        self._home = home
        context.on("console", lambda message: self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", self._dialog)
        context.on("request", self._request)

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._home):
            self.complaints.append(request.url)


@pytest.fixture
def page(site: Site, chromium: Browser) -> Iterator[Page]:
    """Signed in, by the address that `serve` says on a terminal."""
    context = chromium.new_context()
    seen = Seen(context, site.home)
    opened = context.new_page()
    sign_in(opened, site)
    yield opened
    context.close()
    assert seen.complaints == []


def sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.home}#token={site.token}")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_the_said_address_signs_in_and_leaves_no_token_behind(site: Site, page: Page) -> None:
    assert page.url == site.home
    assert page.evaluate("document.cookie") == ""
    page.go_back()
    assert site.token not in page.url
    page.goto(site.home)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{site.home}/traces")
    page.get_by_label("Token").fill(site.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Traces")).to_be_visible()


def test_the_overview_follows_what_happens_until_it_is_paused(site: Site, page: Page) -> None:
    answered = page.locator("dt", has_text=re.compile("^Answered$")).locator("+ dd")
    before = int(answered.inner_text())
    page.get_by_role("region", name=f"Nodes of {LLAMA}").focus()
    assert site.request("req-live", name="watched") == 200
    expect(answered).to_have_text(str(before + 1))
    limits = page.get_by_role("region", name="Rate limits in use")
    expect(limits.get_by_role("row").filter(has_text="key_").first).to_contain_text("of 1,000")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Nodes of {LLAMA}"
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-live-state]")).to_have_text("Paused")
    assert site.request("req-unseen") == 200
    page.wait_for_timeout(1500)
    assert answered.inner_text() == str(before + 1)
    page.get_by_role("button", name="Pause").click()
    expect(answered).to_have_text(str(before + 2))


def test_a_logged_request_is_found_by_filters_opened_and_read(site: Site, page: Page) -> None:
    assert site.request("find-me", log=True, content="Where is Turin?") == 200
    assert site.request("find-me-not", log=True, model="no/such/model") == 404
    page.get_by_role("link", name="Traces").click()
    page.get_by_label("Request id begins with").fill("find-me")
    page.get_by_label("Status").fill("200")
    page.get_by_role("button", name="Filter").click()
    rows = page.get_by_role("region", name="Traces").get_by_role("row")
    expect(rows).to_have_count(2)  # with the head
    shared = page.url
    assert "request_id=find-me" in shared
    other = page.context.new_page()
    other.goto(shared)
    expect(other.get_by_label("Status")).to_have_value("200")
    expect(other.get_by_role("region", name="Traces").get_by_role("row")).to_have_count(2)
    rows.nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", name="Messages")).to_be_visible()
    expect(page.locator(".messages")).to_contain_text("Where is Turin?")
    expect(page.get_by_role("region", name="Request body")).to_contain_text('"max_tokens": 4')
    expect(page.get_by_role("region", name="Response body")).to_contain_text('"finish_reason": "length"')
    spans = page.get_by_role("region", name="Where the time went")
    for name in ("network", "queue", "prefill", "decode", "return"):
        expect(spans.get_by_role("rowheader", name=name)).to_be_visible()
    prefill, decode = (spans.locator(f".phase-{name}").bounding_box() for name in ("prefill", "decode"))
    assert prefill
    assert decode
    assert decode["width"] > 2 * prefill["width"]  # 30 ms and 14
    assert abs(prefill["x"] + prefill["width"] - decode["x"]) < 2


def test_markup_of_clients_is_read_as_text(site: Site, page: Page) -> None:
    page.goto(f"{site.home}/traces?request_id=req-first")
    page.get_by_role("region", name="Traces").get_by_role("link").click()
    expect(page.locator(".messages")).to_contain_text(MARKUP)
    page.goto(f"{site.home}/files")
    expect(page.get_by_role("region", name="Files")).to_contain_text("<script>alert(1)<script>")
    page.goto(f"{site.home}/traces?status={MARKUP}&model={MARKUP}")
    expect(page.get_by_label("Model")).to_have_value(MARKUP)


def test_a_script_that_got_into_a_page_would_not_run(site: Site, chromium: Browser) -> None:
    """The second line of defence: the policy that comes with the page."""
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, site)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    def smuggle(route: Any) -> None:
        answer = route.fetch()
        body = answer.text().replace("</h1>", "</h1><script>document.title = 'smuggled'</script>")
        route.fulfill(response=answer, body=body)

    page.route("**/scenario", smuggle)
    page.goto(f"{site.home}/scenario")
    assert "smuggled" in page.content()
    assert page.title() != "smuggled"
    assert any("Content Security Policy" in complaint for complaint in complaints)
    context.close()


def test_a_key_is_made_shown_once_used_and_revoked(tmp_path: Path, chromium: Browser) -> None:
    """On a server of its own: after that it takes no other key."""
    site = Site(tmp_path)
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, site)
    expect(page.get_by_role("note").filter(has_text="Any API key is taken")).to_be_visible()
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Project").fill("mine")
    page.get_by_label("Label").fill("laptop")
    page.get_by_role("button", name="Make").click()
    secret = page.locator("#secret").inner_text()
    assert site.request("a", name=secret.removeprefix("sk-")) == 200
    assert site.request("b") == 401
    page.goto(f"{site.home}/keys")
    assert secret not in page.content()
    row = page.get_by_role("row").filter(has_text="laptop")
    expect(row).to_contain_text("valid")
    row.locator("summary").click()
    row.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_role("row").filter(has_text="laptop")).to_contain_text("revoked")
    assert site.request("c", name=secret.removeprefix("sk-")) == 401
    context.close()
    assert site.server.end() == 0


def test_a_file_is_uploaded_read_and_deleted(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "batch.jsonl"
    file.write_text('{"custom_id": "1"}\n')
    page.get_by_role("link", name="Files").click()
    page.get_by_label("Project").fill("mine")
    page.get_by_label("File, at most").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    row = page.get_by_role("row").filter(has_text="batch.jsonl")
    expect(row).to_contain_text("mine")
    with page.expect_download() as download:
        row.get_by_role("link", name="batch.jsonl").click()
    assert download.value.path().read_text() == file.read_text()
    row.locator("summary").click()
    row.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("row").filter(has_text="batch.jsonl")).to_have_count(0)


def test_a_batch_is_watched_cancelled_and_its_results_read(site: Site, page: Page) -> None:
    page.get_by_role("link", name="Batches").click()
    done, running = site.batch(3), site.batch(1000, max_tokens=100, ignore_eos=True)
    row = page.get_by_role("row").filter(has_text=done)
    expect(row).to_contain_text("completed")
    expect(row).to_contain_text("3 of 3 requests")
    with page.expect_download() as download:
        row.get_by_role("link", name="results").click()
    assert len(download.value.path().read_text().splitlines()) == 3
    row = page.get_by_role("row").filter(has_text=running)
    row.locator("summary").click()
    page.wait_for_timeout(1500)  # a refresh later
    row.get_by_role("button", name="Cancel for good").click()
    expect(page.get_by_role("row").filter(has_text=running)).to_contain_text(
        "cancell"
    )  # what is under way ends first


def test_all_works_without_scripts(site: Site, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.home}/traces?request_id=req-first")
    page.locator("#token").fill(site.token)
    page.locator("button.primary").click()
    assert page.url == f"{site.home}/traces?request_id=req-first"
    assert page.locator("tbody tr").count() == 1
    page.locator("#request_id").fill("nothing-begins-so")
    page.locator(".filters button").click()
    assert page.locator(".empty").inner_text() == "No trace fits these filters."
    page.goto(site.home)
    assert LLAMA in page.locator("main").inner_text()
    page.locator("header form button").click()
    assert page.url == f"{site.home}/sign-in"
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_for_everybody_and_fits(site: Site, chromium: Browser, scheme: Any, width: int) -> None:
    """Axe finds nothing, and nothing but a table scrolls sideways."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"{site.home}/sign-in")
    found = {"sign-in": faults(page)}
    sign_in(page, site)
    page.wait_for_timeout(1200)  # a refresh later
    found["overview"] = faults(page)
    for path in ("traces", "traces?status=599", "batches", "files", "keys", "scenario", "nothing"):
        page.goto(f"{site.home}/{path}")
        found[path] = faults(page)
    page.goto(f"{site.home}/traces?request_id=req-first")
    page.get_by_role("region", name="Traces").get_by_role("link").click()
    found["trace"] = faults(page)
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_a_name_of_one_long_word_leaves_the_other_columns_in_sight(site: Site, page: Page) -> None:
    upload = {"file": ("x" * 200, b"{}")}
    httpx.post(
        f"{site.url}/v1/files", headers=key("me"), files=upload, data={"purpose": "batch"}
    ).raise_for_status()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{site.home}/files")
    assert page.get_by_role("region", name="Files").evaluate("it => it.scrollWidth <= it.clientWidth")


def test_a_long_label_of_a_narrow_row_takes_lines_and_no_room_of_its_value(site: Site, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{site.home}/keys")
    heights = page.evaluate(
        """labels => labels.map(label => {
            const table = document.createElement("table");
            table.className = "stacked-rows";
            table.innerHTML = `<tr><td class="number" data-label="${label}">1</td></tr>`;
            document.body.append(table);
            return table.querySelector("td").getBoundingClientRect().height;
        })""",
        ["Its time, p50", "Added by this server, p50, p99"],
    )
    assert heights[1] > 1.5 * heights[0]


def faults(page: Page) -> list[str]:
    page.evaluate(AXE)
    results = page.evaluate("axe.run()")
    assert len(results["passes"]) > 10
    wrong = [
        f"{rule['id']}: {json.dumps(node['html'])}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        wrong.append("wider than the screen")
    return wrong


@pytest.mark.parametrize("choice", ["Allow", "Deny"])
def test_the_page_of_a_login_leads_back_to_the_waiting_command_line(
    site: Site, chromium: Browser, choice: str
) -> None:
    """Browsers hold what follows a form to the policy of its page."""
    back = f"http://localhost:{site.url.rpartition(':')[2]}/health"  # somebody must answer there
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/accounts/login/oauth?{urlencode({'redirect_uri': back})}")
    page.evaluate(AXE)
    assert page.evaluate("axe.run()")["violations"] == []
    page.get_by_role("button", name=choice).click()
    page.wait_for_url(f"{back}?*")
    given = dict(parse_qsl(urlsplit(page.url).query))
    assert sorted(given) == (["code", "state"] if choice == "Allow" else ["error", "state"])
    context.close()
