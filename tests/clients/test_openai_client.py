"""The official client in both of its majors: each runs the same story in an environment of its own."""

import json
import os
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import ROOT, python_of
from tests.support.live import GPT_OSS, LLAMA

STORY = Path(__file__).with_name("openai_story.py")
OWN_PACKAGES = sysconfig.get_path("purelib")
RUN_BESIDE = (
    "import runpy, sys; sys.path.append(sys.argv[1]); runpy.run_path(sys.argv[2], run_name='__main__')"
)
"""With our own packages behind the client's, so that the client and what it brought come first."""
pytestmark = pytest.mark.parametrize("major", [2, 3])


@cache
def story(major: int) -> Any:
    told = subprocess.run(
        [python_of(f"openai-{major}"), "-W", "error", "-c", RUN_BESIDE, OWN_PACKAGES, STORY],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_it_is_the_client_and_the_http_library_that_it_should_be(major: int) -> None:
    assert story(major)["openai"].startswith(f"{major}.")
    assert story(major)["http"] == {2: "httpx", 3: "httpx2"}[major]


def test_streamed_text_and_usage_equal_the_unstreamed(major: int) -> None:
    seen = story(major)
    assert seen["streamed"] == seen["text"]
    assert seen["stream_usage"] == seen["usage"] == 11 + 40


def test_chunks_arrive_as_they_are_made(major: int) -> None:
    """The end comes 39 tokens of 10 ms after the first; in between a look every 100 ms."""
    assert story(major)["arrivals"] == [0.0, 0.1, 0.2, 0.3, 0.39]


def test_headers_are_within_reach(major: int) -> None:
    seen = story(major)
    assert seen["request_id"].startswith("req_")
    assert seen["remaining"] == "17"
    assert seen["first_seen_ps"] == 11 * 10**9


def test_models_can_be_listed_and_asked_for_by_their_ids_with_slashes(major: int) -> None:
    assert story(major)["models"] == [LLAMA, GPT_OSS]
    assert story(major)["model"] == LLAMA


def test_plain_completions_work(major: int) -> None:
    assert story(major)["legacy"] == 1 + 3


def test_files_are_uploaded_listed_read_and_deleted(major: int) -> None:
    assert story(major)["files"] == {
        "listed": [["upload", 3_000_000, "user_data"], ["in.jsonl", 3, "batch"]],
        "lasts_s": 3600,
        "content": "{}\n",
        "ready": "processed",
        "gone": [True, True],
        "missing": ["NotFoundError", 404, "file_not_found"],
        "refused": ["BadRequestError", 400, "invalid_value"],
    }


def test_batches_are_created_followed_listed_cancelled_and_read(major: int) -> None:
    """The one that is cancelled at once has not begun."""
    assert story(major)["batches"] == {
        "cancelling": "cancelling",
        "ends": ["completed", "cancelled"],
        "counts": {"total": 2, "completed": 1, "failed": 1},
        "tokens": 11 + 2,
        "answers": [11 + 2],
        "errors": ["decimal_above_max_value"],
        "listed": ["story", "story"],
        "missing": ["NotFoundError", 404, "batch_not_found"],
        "late": ["ConflictError", 409, "batch_not_cancellable"],
        "refused": ["BadRequestError", 400, "file_not_found"],
    }


def test_faults_raise_the_clients_own_exceptions(major: int) -> None:
    assert story(major)["errors"] == [
        ["NotFoundError", 404, "model_not_found"],
        ["BadRequestError", 400, "array_below_min_length"],
        ["BadRequestError", 400, "decimal_above_max_value"],
        ["APITimeoutError", None, None],
    ]


def test_a_429_is_retried_after_exactly_the_time_that_it_told(major: int) -> None:
    """11 ms a call; the third is refused at 22 ms, and the bucket has refilled one request at 30 s."""
    assert story(major)["retries"] == [0.011, 0.022, 30.011]


def test_a_503_of_a_full_node_is_retried_by_the_client_itself_at_the_same_address(major: int) -> None:
    """Refused at 10 ms, tried again after 0.375 to 0.5 s: the node is free at 0.41 s."""
    full = story(major)["full"]
    assert full["refused"] == ["InternalServerError", 503, "server_overloaded"]
    assert 0.385 <= full["after_s"] <= 1.6


def test_a_stream_closed_early_leaves_nothing_in_the_model(major: int) -> None:
    assert story(major)["left_inside"] == 0


def test_loops_of_calls_end_and_what_is_made_fits_the_clients_own_models(major: int) -> None:
    assert story(major)["structures"] == {
        "turns": ["tool_calls", "stop"],
        "streamed_call": "Weather",
        "parsed": "Weather",
    }


def test_responses_are_chained_streamed_parsed_awaited_cancelled_and_deleted(major: int) -> None:
    assert story(major)["responses"] == {
        "chain": ["function_call", "message", True],
        "input_items": ["message", "function_call", "function_call_output"],
        "stream": ["response.created", "response.completed", True],
        "parsed": "Weather",
        "background": ["queued", "in_progress", "in_progress", "completed"],
        "told_again": [3, 4],
        "cancelled": "cancelled",
        "deleted": ["NotFoundError", 404, "response_not_found"],
        "broken": ["BadRequestError", 400, "previous_response_not_found"],
        "conversation": [{"c": "d"}, ["user", "user", "assistant"]],
        "gone": True,
    }
