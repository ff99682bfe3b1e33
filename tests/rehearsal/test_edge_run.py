"""`e80sim edge run`: a real process beside a real server."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

CHAT = Path(__file__).parents[2] / "examples" / "chat"


@pytest.mark.realtime
def test_an_example_runs_beside_the_platform_and_answers() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sim", "edge", "run", str(CHAT), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "models:" in line:
                break
        [address] = re.findall(r"http://[\d.:]+/hosted/chat/", said)
        body = {
            "model": "8080/taalas/llama3.1-8b-instruct",
            "messages": [{"role": "user", "content": "Hello"}],
        }
        answer = httpx.post(
            f"{address}v1/chat/completions",
            json=body,
            headers={"authorization": "Bearer sk-me"},
            timeout=60,
        )
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 0, said + rest
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["usage"]["prompt_tokens"] > 20  # the shop's own prompt went before it
