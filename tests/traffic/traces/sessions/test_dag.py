"""AIPerf's conversations that fork and spawn others."""

import json
from pathlib import Path

import pytest

from traffic.tokens import vocabulary
from traffic.traces import TraceError, read_recording, read_trace
from traffic.traces.formats.table import recognised
from traffic.traces.recording import RecordedSession

MS = 10**9

Json = dict[str, object]
SYSTEM = "You are a careful planner of long journeys."


def turn(text: str, max_tokens: int = 8, **more: object) -> Json:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, **more}


def talk(session_id: str, *turns: Json, **more: object) -> Json:
    return {"session_id": session_id, "turns": list(turns), **more}


def written(folder: Path, *rows: Json) -> Path:
    path = folder / "dag.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder: Path, *rows: Json) -> list[RecordedSession]:
    return list(read_recording(written(folder, *rows)).sessions)


def waits(session: RecordedSession) -> list[tuple[tuple[int, ...], int]]:
    return [(one.after, one.delay_ps // MS) for one in session.turns]


def tokens(text: str) -> int:
    return vocabulary("llama3").count(text)


def test_turns_follow_each_other_and_say_all_again(tmp_path: Path) -> None:
    (session,) = read(tmp_path, talk("a", turn(SYSTEM, 8), turn("Go on.", 9, delay=250)))
    first, second = session.turns
    assert waits(session) == [((), 0), ((0,), 250)]
    assert (first.prompt_tokens, first.output_tokens) == (tokens(SYSTEM), 8)
    assert (second.prompt_tokens, second.output_tokens) == (tokens(SYSTEM) + 8 + tokens("Go on."), 9)
    assert session.start_ps is None
    assert second.prefix[:2] == first.prefix, "its prompt begins with the first one's and the answer to it"
    assert [end for _, end in first.prefix] == [tokens(SYSTEM), tokens(SYSTEM) + 8]


def test_forks_go_on_with_what_was_said_and_spawns_begin_anew(tmp_path: Path) -> None:
    rows = (
        talk("root", turn(SYSTEM, spawns=["help"], forks=["left", "right"])),
        talk("left", turn("Turn left.", delay=3)),
        talk("right", turn("Turn right.")),
        talk("help", turn("Turn right.")),
    )
    (session,) = read(tmp_path, *rows)
    assert waits(session) == [((), 0), ((0,), 0), ((0,), 3), ((0,), 0)]
    root, spawned, left, right = session.turns
    said = root.prompt_tokens + root.output_tokens
    assert left.prompt_tokens == said + tokens("Turn left.")
    assert (left.prefix[:2], right.prefix[:2]) == (root.prefix, root.prefix)
    assert spawned.prompt_tokens == tokens("Turn right.")


def test_a_turn_waits_for_what_was_spawned_and_then_for_its_delay(tmp_path: Path) -> None:
    rows = (
        talk(
            "root",
            turn("Plan.", spawns=[{"children": ["slow"], "join_at": 2}, "quick"]),
            turn("Look."),
            turn("Sum up.", delay=40, spawns=["after"]),
        ),
        talk("slow", turn("One."), turn("Two.", delay=7)),
        talk("quick", turn("Three.")),
        talk("after", turn("Nobody waits for this.")),
    )
    (session,) = read(tmp_path, *rows)
    # Plan; slow 0, slow 1, quick; Look (waits for Plan and quick); Sum up (for Look and slow 1); after
    assert waits(session) == [
        ((), 0),
        ((0,), 0),
        ((1,), 7),
        ((0,), 0),
        ((0, 3), 0),
        ((2, 4), 40),
        ((5,), 0),
    ]


def test_who_waits_for_a_conversation_waits_for_its_last_turn_and_not_for_what_that_forks(
    tmp_path: Path,
) -> None:
    rows = (
        talk("root", turn("Plan.", spawns=["child"]), turn("Sum up.")),
        talk("child", turn("Split.", forks=["x", {"child": "y", "background": True}])),
        talk("x", turn("X.")),
        talk("y", turn("Y.")),
    )
    (session,) = read(tmp_path, *rows)
    # Plan, Split, X, Y, Sum up
    assert waits(session) == [((), 0), ((0,), 0), ((1,), 0), ((1,), 0), ((0, 1), 0)]


PLAYED = Path(__file__).with_name("aiperf_dag.json")
"""A graph with all that the format has, each turn with its own `max_tokens`, and how aiperf 0.13 played it
with one worker, against a server that took 0.25 s for each answer: of each request its last message, as a
text, when it came, when its answer left, and all its messages."""


def test_turns_wait_for_what_aiperf_waits_for_and_say_what_it_says(tmp_path: Path) -> None:
    """It asks within 0.1 s after the last answer that it needs; the next answer may come 0.1 s later."""
    played = json.loads(PLAYED.read_text(encoding="utf-8"))
    authored = [one for row in played["rows"] for one in row.get("turns", [])]
    text_of = {one["max_tokens"]: one["messages"][0]["content"] for one in authored}
    tokens_of_answer = {f"A({text})": number for number, text in text_of.items()}
    seen = {text: (came_s, left_s, said) for text, came_s, left_s, said in played["seen"]}
    sessions = read(tmp_path, *played["rows"])
    assert len(seen) == len(authored) == sum(len(session.turns) for session in sessions)
    for session in sessions:
        texts = [text_of[one.output_tokens] for one in session.turns]
        for text, one in zip(texts, session.turns, strict=True):
            came_s, _, said = seen[text]
            free_s = max((seen[texts[before]][1] for before in one.after), default=0.0)
            assert 0 <= came_s - free_s <= 0.1, text
            assert one.prompt_tokens == sum(tokens_of_answer.get(each) or tokens(each) for each in said), text


def test_a_conversation_may_be_spawned_by_several(tmp_path: Path) -> None:
    rows = (talk("a", turn("A.", spawns=["c"])), talk("b", turn("B.", spawns=["c"])), talk("c", turn("C.")))
    assert [len(session.turns) for session in read(tmp_path, *rows)] == [2, 2]
    twice = (talk("a", turn("A.", spawns=["c"]), turn("B.", spawns=["c"])), talk("c", turn("C.")))
    (session,) = read(tmp_path, *twice)
    assert waits(session) == [((), 0), ((0,), 0), ((0, 1), 0), ((2,), 0)]


def test_an_orchestrator_asks_nothing_itself(tmp_path: Path) -> None:
    rounds = [{"spawns": ["a", "b"]}, {"spawns": ["c"], "think_time_ms": 30}]
    rows = (
        {"session_id": "spine", "orchestrator": True, "rounds": rounds, "think_time_ms": 5},
        *(talk(name, turn(name)) for name in "abc"),
    )
    (session,) = read(tmp_path, *rows)
    assert waits(session) == [((), 5), ((), 5), ((0, 1), 30)]
    again = {"session_id": "spine", "orchestrator": True, "rounds": 3, "spawns": ["a"]}
    (session,) = read(tmp_path, again, talk("a", turn("a")))
    assert waits(session) == [((), 0), ((0,), 0), ((1,), 0)]


def test_whole_arrays_say_nothing_again(tmp_path: Path) -> None:
    (session,) = read(
        tmp_path,
        talk("a", turn("One."), turn("Something else."), context_mode="message_array_with_responses"),
    )
    assert session.turns[1].prompt_tokens == tokens("Something else.")
    assert waits(session) == [((), 0), ((0,), 0)]


def test_tools_and_parts_count_and_what_is_no_text_is_told(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    asked: Json = {"messages": [{"role": "user", "content": parts}], "max_tokens": 2}
    tools = [{"type": "function", "function": {"name": "look"}}]
    recording = read_recording(written(tmp_path, talk("a", asked), talk("b", asked | {"tools": tools})))
    plain, with_tools = (session.turns[0] for session in recording.sessions)
    assert plain.prompt_tokens == tokens("What is this?")
    assert with_tools.prompt_tokens == plain.prompt_tokens + tokens(json.dumps(tools))
    assert "Parts of messages that are no text, not counted: 'image_url'." in recording.notes


def test_it_is_known_by_its_keys_and_has_no_times_to_replay(tmp_path: Path) -> None:
    path = written(tmp_path, talk("a", turn("One.")))
    assert recognised(path) == "dag_jsonl"
    with pytest.raises(TraceError, match="does not say when its turns were sent"):
        read_trace(path)


ONE = turn("One.")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [talk("a", turn("A.", forks=["b"])), talk("b", turn("B.", forks=["a"]))],
            "line 1: sessions come out of each other: 'a' of 'b' of 'a'",
        ),
        ([talk("a", turn("A.", spawns=["b"]))], "line 1: session_id 'a' forks or spawns 'b', which is the"),
        ([talk("a", ONE), talk("a", ONE)], "line 2: session_id 'a' stands in line 1, too"),
        (
            [talk("a", ONE, {"messages": [{"role": "user", "content": "x"}]})],
            "line 1: turn 1: max_tokens is missing",
        ),
        ([talk("a", turn("A.", True))], "line 1: turn 0: max_tokens is True, expected a whole number"),
        (
            [talk("a", turn("A.", forks=["b"]), ONE), talk("b", ONE)],
            "turn 0: it forks 'b' and is not the last",
        ),
        (
            [talk("a", turn("A.", spawns=[{"children": ["b"], "join_at": 2}]), ONE), talk("b", ONE)],
            "turn 0: join_at is 2, expected a turn from 1 to 1",
        ),
        ([talk("a", turn("A.", delay=-1))], "turn 0: delay is -1, expected a number of ms from 0 on"),
        ([talk("a", turn(""))], "line 1: 'a turn 0' has a prompt of 0 tokens"),
        ([talk("a")], "line 1: turns is empty, and only an `orchestrator` has none"),
        ([{"session_id": "a", "orchestrator": True, "spawns": []}], "line 1: spawns is empty"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, rows: list[Json], sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        read(tmp_path, *rows)


def test_sessions_that_double_with_each_level_are_refused(tmp_path: Path) -> None:
    levels = [
        talk(f"s{n}", turn("x", spawns=[f"s{n + 1}"]), turn("y", spawns=[f"s{n + 1}"])) for n in range(20)
    ]
    with pytest.raises(TraceError, match="line 1: of session_id 's0' come more than 10,000 turns"):
        read(tmp_path, *levels, talk("s20", ONE))


def test_levels_are_bounded(tmp_path: Path) -> None:
    levels = [talk(f"s{n}", turn("x", spawns=[f"s{n + 1}"])) for n in range(201)]
    with pytest.raises(TraceError, match="sessions are more than 200 levels deep"):
        read(tmp_path, *levels, talk("s201", ONE))
