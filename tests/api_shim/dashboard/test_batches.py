"""Batches as whoever runs the server sees them, of all projects."""

import re

from tests.api_shim.dashboard.conftest import Browser
from tests.support.batches import CHAT, create, line, requests, run
from tests.support.live import chat


def test_a_batch_shows_how_far_it_is_and_its_results_can_be_read(operator: Browser) -> None:
    """Three of four are answered; 11 prompt tokens and 1 of output each."""
    batch = run(operator.wire, [*requests(3), line("long", chat("a " * 3000))], metadata={"night": "run"})
    page = operator.get("/dashboard/batches").body.decode()
    assert batch["id"] in page
    for text in (">completed<", "of 4 requests", "1 failed", "33, 3", "night run", CHAT):
        assert text in page
    for name, field in {
        "input": "input_file_id",
        "results": "output_file_id",
        "errors": "error_file_id",
    }.items():
        assert f'/dashboard/files/{batch[field]}/content" download aria-label="{name} of' in page
    results = operator.get(f"/dashboard/files/{batch['output_file_id']}/content").body
    assert len(results.splitlines()) == 3
    assert "/cancel" not in page


def test_what_is_wrong_with_a_file_is_said_with_its_line(operator: Browser) -> None:
    run(operator.wire, b'{"custom_id": "a"}\n')
    page = operator.get("/dashboard/batches").body.decode()
    assert ">failed<" in page
    assert re.search(r"line 1: \w+", page)


def test_a_running_batch_of_any_project_can_be_cancelled_once(operator: Browser) -> None:
    made = create(operator.wire, requests(50, max_tokens=100))
    assert made.json["project_id"] not in {"", "default"}
    path = f"/dashboard/batches/{made.json['id']}/cancel"
    assert path in operator.get("/dashboard/batches/live").body.decode()
    form = {"csrf": operator.csrf}
    assert operator.post(path, form).status == 303
    assert re.search(r">cancell(ing|ed)<", operator.get("/dashboard/batches").body.decode())
    assert path not in operator.get("/dashboard/batches").body.decode()
    operator.wire.platform.run(operator.wire.platform.app.state.batches.stop())
    assert operator.post("/dashboard/batches/batch_x/cancel", form).status == 404


def test_batches_are_listed_page_by_page(operator: Browser) -> None:
    made = [run(operator.wire, requests(1))["id"] for _ in range(21)]
    pages = [operator.get(f"/dashboard/batches?page={number}").body.decode() for number in (1, 2, 3)]
    listed = [list(dict.fromkeys(re.findall(r"<code>(batch_\w+)</code>", page))) for page in pages]
    assert listed == [made[:0:-1], made[:1], []]
    assert ['rel="next"' in page for page in pages] == [True, False, False]
