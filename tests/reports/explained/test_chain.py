"""Chains of requests whose stamps one can follow with a finger. Milliseconds throughout."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from reports.explained import Chain, Scene, chain_of, scenes_of
from reports.explained.text import chart
from reports.run_directory import Run
from reports.tables import fault_table, lifetime_table, stage_table
from tests.support.records import Row, manifest, preempted, preemptions, request, tables

MS = 10**9


def at_node(number: int, came: int, started: int, first: int, last: int, **changes: Any) -> Row:
    """Meant 10 before it came to the node, and its answer is back 5 after its last token."""
    stamps = {"intended": came - 10, "sent": came - 10, "connected": came - 10, "arrived": came - 2}
    stamps |= {"admitted": came, "overhead": 0, "started": started, "first": first, "last": last}
    return request(
        **{"number": number, "ask": number, **stamps, "first_seen": first + 5, "ended": last + 5, **changes}
    )


def scene_of(rows: Sequence[Row], **more: Any) -> Scene:
    made = dataclasses.replace(tables({("edge", 0): rows}), **more)
    (scene,) = scenes_of(Run(made, manifest(), "", None), "edge")
    return scene


def chain(number: int, rows: Sequence[Row], **more: Any) -> Chain:
    scene = scene_of(rows, **more)
    row = scene.row_of(number)
    assert row is not None
    return chain_of(scene, row)


def told(found: Chain) -> str:
    return " ".join(said.sentence for said in found.says)


BEHIND_TWO = [
    at_node(1, came=100, started=100, first=130, last=200),
    at_node(2, came=110, started=200, first=230, last=300),
    at_node(3, came=120, started=300, first=330, last=400),
    at_node(4, came=125, started=250, first=260, last=350),
    at_node(5, came=90, started=95, first=100, last=119),
    at_node(6, came=105, started=310, first=350, last=500),
    at_node(7, came=121, started=200, first=220, last=600, node=1),
]
"""Of node 0, but for the last. To request 3: 1 runs, 2 is ahead, 4 passes it, 5 is gone, it passes 6."""


def test_request_3_waits_behind_1_and_2() -> None:
    found = chain(3, BEHIND_TWO)
    assert [(phase.name, phase.began_ps // MS, phase.lasted_ps // MS) for phase in found.phases] == [
        ("network_out", 110, 8),
        ("admission", 118, 2),
        ("queue", 120, 180),
        ("prefill", 300, 30),
        ("decode", 330, 70),
        ("return", 400, 5),
    ]
    assert found.of("queue") == [
        "Ahead of it in the queue of node 0 was request 2.",
        "Request 4 came later and was in a step before it.",
        "It passed request 6, which waited already.",
        "Request 1 was in the batch when it came.",
        "Its place came free as request 2 left; its first step began at 0.300000 s.",
    ]


def test_who_shared_the_batch_is_counted_by_the_time_shared() -> None:
    """Of the 70 ms of its decode 4 shared 20 and 6 shared 70: 1.3 on average."""
    assert found_in("decode", "It shared its steps at node 0 with 1.3 other requests on average, at most 2.")
    assert found_in("prefill", "Meanwhile request 6 was first in a step, with 0 prompt tokens to compute.")


def found_in(phase: str, sentence: str) -> bool:
    return sentence in chain(3, BEHIND_TWO).of(phase)


def test_a_request_alone_waited_for_nobody() -> None:
    found = chain(1, [at_node(1, came=100, started=104, first=130, last=200)])
    assert found.of("queue") == [
        "Nobody was ahead of it in the queue of node 0.",
        "No request was in the batch when it came.",
    ]
    assert "It had node 0 to itself." in found.of("decode")


def test_one_that_a_limit_refused_names_what_was_let_in_within_the_minute() -> None:
    refused = {"outcome": "rejected_tokens_limit", "finish_reason": "", "node": -1, "output_tokens": 0}
    refused |= dict.fromkeys(("admitted", "overhead", "started", "first", "last", "first_seen"))
    rows = [
        at_node(1, 1_000, 1_000, 1_100, 1_200, prompt_tokens=900, output_tokens=50),
        at_node(2, 2_000, 2_000, 2_100, 2_200, prompt_tokens=300, output_tokens=20),
        at_node(3, 30_000, 30_000, 30_100, 30_200, prompt_tokens=400, output_tokens=10, tenant="globex"),
        request(61_500, number=4, ask=4, prompt_tokens=250, **refused, ended=21),
    ]
    found = chain(4, rows)
    assert [(phase.name, phase.lasted_ps // MS) for phase in found.phases] == [
        ("set_up", 10),
        ("network_out", 5),
        ("admission", 6),
    ]
    why, let_in, untold = found.of("admission")
    assert why == "The limit of tokens per minute had no room for it."
    assert let_in == (
        "In the minute before it came, 1 request of tenant acme was let in, with 320 tokens in and out; its "
        "own prompt has 250."
    )
    assert untold.endswith("the tables do not say.")


def test_refused_ones_are_not_among_those_that_were_let_in_within_the_first_minute() -> None:
    refused = {"outcome": "rejected_tokens_limit", "finish_reason": "", "node": -1, "output_tokens": 0}
    refused |= dict.fromkeys(("admitted", "overhead", "started", "first", "last", "first_seen"))
    rows = [request(at, number=at, ask=at, prompt_tokens=250, **refused, ended=21) for at in (100, 200)]
    assert "0 requests of tenant acme were let in, with 0 tokens" in told(chain(200, rows))


AWAY = [
    at_node(1, came=100, started=100, first=130, last=500),
    at_node(2, came=100, started=110, first=140, last=450, preemptions=1),
    at_node(3, came=250, started=320, first=350, last=400),
]
"""Number 2 lost its blocks to 1 at 200, and was in a step again at 300."""
ONCE = preemptions(preempted(2, 200, 300))


def test_one_that_was_preempted_tells_by_whom_and_for_how_long() -> None:
    found = chain(2, AWAY, preemptions=ONCE)
    told, shared = found.of("decode")[1:3]
    assert told == (
        "It was preempted at 0.200000 s by request 1, whose next tokens found the KV pool full: it waited "
        "100 ms, and computed 40 tokens again."
    )
    # In steps for 210 of 310 ms: with 1 for all of them, with 3 for 80.
    assert shared == "It shared its steps at node 0 with 1.4 other requests on average, at most 2."
    assert found.away_ps == 100 * MS
    assert [one.recomputed_tokens for one in found.absences] == [40]
    assert found.as_json()["preemptions"][0]["by"] == 1


def test_who_is_away_is_neither_in_the_batch_nor_behind_those_who_wait() -> None:
    """Of the 370 ms of the decode of 1, number 2 shared 70 and 150, and number 3 shared 80."""
    said = chain(1, AWAY, preemptions=ONCE).of("decode")
    assert "It shared its steps at node 0 with 0.81 other requests on average, at most 2." in said
    assert chain(3, AWAY, preemptions=ONCE).of("queue")[:3] == [
        "Nobody was ahead of it in the queue of node 0.",
        "Request 2, which had been preempted, was taken in again before it.",
        "Request 1 was in the batch when it came.",
    ]


def test_in_a_terminal_the_time_away_is_a_line_of_its_own() -> None:
    """It lies from 110 to 210 of 365 ms: from a quarter of the bar to a little more than half."""
    line = chart(chain(2, AWAY, preemptions=ONCE))[-1]
    assert line == "  Preempted     100 ms  27.4 %              ▒▒▒▒▒▒▒▒▒▒▒▒"


GROWN = "by request 1, whose next tokens found the KV pool full"


@pytest.mark.parametrize(
    ("row", "by", "then"),
    [
        (
            preempted(2, 200, 300, by=2),
            "as its own next tokens found the KV pool full and it was the first to give way",
            "it waited 100 ms, and computed 40 tokens again",
        ),
        (
            preempted(2, 200, 300, by=3, cause="priority", found_tokens=32),
            "by request 3, which was more urgent and could not enter",
            "it waited 100 ms, and computed 8 tokens again (32 were in the prefix cache)",
        ),
        (
            preempted(2, 200, 300, found_tokens=40),
            GROWN,
            "it waited 100 ms, and the prefix cache still had its tokens",
        ),
        (preempted(2, 200, None), GROWN, "it was not taken in again before it left"),
        (preempted(2, 450, None), GROWN, "it was complete by then"),
    ],
)
def test_each_way_to_be_preempted_has_its_sentence(row: Row, by: str, then: str) -> None:
    at_s = row["lost_ps"] / 10**12
    said = chain(2, AWAY, preemptions=preemptions(row)).of("decode")[1]
    assert said == f"It was preempted at {at_s:.6f} s {by}: {then}."


def test_in_its_prefill_it_is_told_there() -> None:
    rows = [AWAY[0], at_node(2, came=100, started=110, first=400, last=450, preemptions=1)]
    found = chain(2, rows, preemptions=ONCE)
    assert found.of("prefill")[1].startswith("It was preempted at 0.200000 s by request 1")
    assert not [one for one in found.of("decode") if "preempted" in one]


def test_of_many_preemptions_the_longest_are_told_in_order() -> None:
    rows = [AWAY[0], at_node(2, came=100, started=110, first=140, last=450, preemptions=8)]
    times = [preempted(2, 150 + 30 * n, 160 + 30 * n + n) for n in range(8)]
    said = chain(2, rows, preemptions=preemptions(*times)).of("decode")[1:-1]
    assert said[0] == "It was preempted 8 times: it waited 108 ms in all, and computed 320 tokens again."
    assert [one[:13] for one in said[1:-1]] == [f"At 0.{150 + 30 * n}000 s" for n in range(2, 8)]
    assert said[-1] == "The other 2 waits were not longer."


def test_who_pushed_somebody_out_says_so() -> None:
    table = preemptions(preempted(2, 320, 400, by=3, cause="priority"))
    said = chain(3, AWAY, preemptions=table).of("queue")
    assert "It pushed out request 2, which was less urgent." in said


def test_of_a_run_that_does_not_record_preemptions_the_chain_says_so() -> None:
    rows = [
        at_node(1, 100, 100, 130, 500, preemptions=2),
        at_node(2, 101, 101, 140, 450),
    ]
    said = told(chain(1, rows))
    assert "It was preempted 2 times: its KV blocks went to others" in said
    assert "This run does not record when that was, nor to which of them." in said
    assert "preempted" not in told(chain(2, rows))


CRASH = {"number": [0], "fault": [0], "kind": [0], "target": [0], "model": [0], "node": [0]}
CRASH |= {"began_ps": [150 * MS], "ended_ps": [900 * MS], "failed": [1], "moved": [0]}
NAMES = {"fault": ["dead"], "kind": ["node_crash"], "target": ["llama node 0"], "model": ["llama"]}


def test_one_that_meets_a_crashed_node_names_the_fault() -> None:
    lost = {"outcome": "node_lost", "finish_reason": "", "first_seen": 125, "ended": 153}
    rows = [
        at_node(1, 100, 100, 120, 150, **lost),
        at_node(2, 100, 100, 130, 300, node=1),
        at_node(3, 10, 10, 30, 50),
    ]
    faults = fault_table("edge", 0, CRASH, NAMES)
    found = chain(1, rows, faults=faults)
    fault = "Fault dead (node_crash of llama node 0) was on from 0.150000 s to 0.900000 s"
    assert f"{fault}: its own node." in found.of("")
    assert found.phases[-1].ended_here
    assert "Node 0 was lost with it inside." in told(found)
    other = f"{fault}, another node than its own: what that would have served went to the others."
    assert other in chain(2, rows, faults=faults).of("")
    assert "Fault" not in told(chain(3, rows, faults=faults))


@pytest.mark.parametrize(
    ("place", "concern"),
    [("place edge", ": its own place."), ("place home", ", at another place than its own.")],
)
def test_a_fault_of_the_network_concerns_those_of_its_place(place: str, concern: str) -> None:
    cut = CRASH | {"model": [0], "node": [-1]}
    faults = fault_table("edge", 0, cut, NAMES | {"target": [place], "model": [""]})
    assert told(chain(1, [at_node(1, 100, 100, 120, 150)], faults=faults)).count(concern) == 1


def test_nodes_that_were_starting_when_it_came_are_counted() -> None:
    lives = {
        "number": [0, 1],
        "model": [0, 0],
        "node": [0, 1],
        "ordered_ps": [0, 90 * MS],
        "began_ps": [0, 700 * MS],
        "drained_ps": [-1, -1],
        "ended_ps": [-1, -1],
    }
    nodes = lifetime_table("edge", 0, lives, {"model": ["llama"]})
    said = told(chain(1, [at_node(1, 100, 300, 320, 350)], lifetimes=nodes))
    assert (
        "1 node took requests, and 1 more had been ordered, of which the first took requests from 0.700000 s"
        in said
    )


def test_nodes_that_divide_the_work_have_queues_of_their_own() -> None:
    """Request 2 prefills on node 0 behind 1, waits for the decode node 2, and decodes there with 1."""
    rows = [at_node(1, 100, 100, 130, 400, node=2), at_node(2, 110, 130, 160, 450, node=2)]
    kinds = ["prefill", "handover", "transfer", "decode"]
    stages = [
        (1, 0, 0, 100, 130), (1, 2, 2, 130, 140), (1, 3, 2, 140, 400),
        (2, 0, 0, 130, 160), (2, 1, 0, 160, 200), (2, 2, 2, 200, 210), (2, 3, 2, 210, 450),
    ]  # fmt: skip
    table = {
        "number": [one[0] for one in stages],
        "model": [0] * len(stages),
        "stage": [one[1] for one in stages],
        "node": [one[2] for one in stages],
        "began_ps": [one[3] * MS for one in stages],
        "ended_ps": [one[4] * MS for one in stages],
    }
    found = chain(2, rows, stages=stage_table("edge", 0, table, {"model": ["llama"], "stage": kinds}))
    assert "Request 1 was in the batch when it came." in found.of("queue")
    assert "Its place came free as request 1 left; its first step began at 0.130000 s." in found.of("queue")
    assert found.of("decode")[1:] == [
        "From 0.160000 s it waited 40.0 ms for a decode node with room.",
        "From 0.200000 s its KV cache went to node 2, for 10.0 ms.",
        "From 0.210000 s node 2 decoded it, for 240 ms.",
        "It shared its steps at node 2 with 0.79 other requests on average, at most 1.",
    ]


def test_a_wait_at_the_client_names_who_had_its_place() -> None:
    rows = [
        at_node(1, 100, 100, 130, 200),
        at_node(2, 120, 300, 320, 340, sent=205, connected=205, arrived=207, admitted=210),
    ]
    assert chain(2, rows).of("client_wait") == [
        "Its client had 1 other request under way when it was meant.",
        "It was sent at the instant at which request 1 was over.",
    ]


def test_an_attempt_counts_from_its_ask_and_names_the_others() -> None:
    failed = {"outcome": "timeout", "finish_reason": "", "ended": 150}
    rows = [
        at_node(1, 100, 100, 130, 151, **failed),
        at_node(2, 300, 300, 330, 400, ask=1, attempt=1),
    ]
    found = chain(2, rows)
    assert found.phases[0].name == "client_wait"
    assert found.phases[0].lasted_ps == 200 * MS
    assert found.of("client_wait") == ["It is attempt 1 of ask 1; the others are 1 (timeout)."]


def test_a_request_that_left_while_it_waited_ends_in_that_phase() -> None:
    gone = {"outcome": "timeout", "finish_reason": "", "ended": 170}
    never = dict.fromkeys(("started_ps", "first_ps", "first_seen_ps"), -1)
    waits: Row = {**at_node(2, 110, 0, 0, 175, **gone), **never}
    rows = [at_node(1, 100, 100, 130, 400), waits]
    found = chain(2, rows)
    assert found.phases[-1]._asdict() == {
        "name": "queue",
        "began_ps": 110 * MS,
        "lasted_ps": 60 * MS,
        "ended_here": True,
    }
    assert found.lasted_ps == 70 * MS
    assert "Its caller gave up after 70.0 ms, 60.0 ms into this." in found.of("queue")


def test_one_that_had_not_ended_says_since_when() -> None:
    still = {"outcome": "unfinished", "finish_reason": "", "ended": None}
    found = chain(1, [{**at_node(1, 100, 100, 130, 0, **still), "last_ps": -1}])
    assert found.phases[-1].name == "decode"
    assert "It had not ended when the run did, in this phase since 0.130000 s." in found.of("decode")
