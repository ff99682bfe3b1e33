"""What a plan came to, as `plan.json` has it: data alone, from which text and report are made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.run_directory import replace_file
from reports.sweep.rows import CellRecord, Row, row_of
from reports.targets import FAIL, INCONCLUSIVE, PASS
from sim.plan.headroom import Headroom
from sim.plan.line import Found, Line
from sim.plan.planning import Means
from sim.plan.question import Question
from sim.study.design import short_names
from sim.study.store import CellStore
from sim.workers.version import version

PLAN = "plan.json"
FORMAT = 1
Json = dict[str, Any]


def result_of(question: Question, way: str, lines: Sequence[Line], means: Means) -> Json:
    """Everything but what is asked of the answer afterwards."""
    base = question.base
    return {
        "format": FORMAT,
        "scenario": base.name,
        "title": base.title or base.name,
        "question": base.question,
        "seed": base.run.seed,
        "horizon_s": base.run.horizon_s,
        "replications": means.replications,
        "most_replications": means.most_replications,
        "version": version(),
        "objectives": [one.text for one in question.targets],
        "searched": question.searched,
        "short": short_names(list(question.fields)),
        "direction": way,
        "models": list(base.models),
        "sources": list(base.traffic),
        "notes": list(_notes(question)),
        "lines": [line_json(line, means.store) for line in lines],
    }


def line_json(line: Line, store: CellStore) -> Json:
    return {
        "name": line.name,
        "variant": line.variant,
        "verdict": line.verdict,
        "answer": line.answer(),
        "by_closed_form": line.by_closed_form,
        "disorders": [[line.values[place] for place in pair] for pair in line.disorders()],
        "values": [
            {
                "value": value,
                "closed": _closed(line, place),
                "simulated": _simulated(line.found.get(place), store),
            }
            for place, value in enumerate(line.values)
        ],
    }


def _closed(line: Line, place: int) -> Json:
    """Ladders whole where they are read; of the other points what binds."""
    closed = line.closed[place]
    whole = place in {line.answer(), line.by_closed_form} or place in line.found
    ladders = closed.ladders if whole else [{**one, "rungs": one["rungs"][:1]} for one in closed.ladders]
    return {**closed._asdict(), "ladders": ladders}


def _simulated(found: Found | None, store: CellStore) -> Json | None:
    if found is None:
        return None
    result = store.read(found.key)
    row = row_of(CellRecord(found.key, {}, "", result, found.failure))
    return {
        "key": found.key,
        "replications": found.replications,
        "verdict": found.verdict,
        "failure": found.failure,
        "held": [one.json() for one in found.held],
        "row": row,
        "refused": 0.0 if result is None else _refused(result),
        "queue_s": {} if result is None else dict(_queues(result)),
    }


def _refused(result: Mapping[str, Any]) -> float:
    """The share of what was offered."""
    counts = result["counts"]
    refused = sum(count for name, count in counts.items() if name.startswith("rejected_"))
    return refused / counts["offered"] if counts["offered"] else 0.0


def _queues(result: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for source in result["sources"]:
        waited = source["metrics"]["queue"]["mean"].get("value")
        if waited is not None:
            yield source["name"], waited


def headroom_json(found: Headroom | None, store: CellStore) -> Json | None:
    if found is None:
        return None
    return {"arrivals_per_s": found.arrivals_per_s, "line": line_json(found.line, store)}


def settle(result: Json) -> None:
    """Say which line is the best: of those with an answer the cheapest, or that of the largest value.

    Without prices, the first of them.
    """
    column = _priced(result)
    for line in result["lines"]:
        line["cost"] = None if column is None or line["answer"] is None else _cost(result, line, column)
    answered = [i for i, line in enumerate(result["lines"]) if line["answer"] is not None]
    verdicts = {line["verdict"] for line in result["lines"]}
    order = (PASS, INCONCLUSIVE, FAIL)
    result["verdict"] = next(one for one in order if one in verdicts)
    result["priced_by"] = column
    result["best"] = min(answered, key=lambda i: _worth(result, result["lines"][i]), default=None)


def _worth(result: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[float, float]:
    """The less the better."""
    largest = result["direction"] == "largest" and result["searched"] is not None
    return (-answer_of(line)["value"] if largest else 0.0, line["cost"] or 0.0)


def answer_of(line: Mapping[str, Any]) -> Json:
    """The value that is the answer of a line which has one."""
    found: Json = line["values"][line["answer"]]
    return found


def _priced(result: Mapping[str, Any]) -> str | None:
    """By the hour, or by the token where only that is known of all answers; None where not even that is."""
    columns = ("nodes_usd_per_hour", "usd_per_1m_output_tokens")
    answered = [line for line in result["lines"] if line["answer"] is not None]
    return next(
        (one for one in columns if all(_cost(result, line, one) is not None for line in answered)), None
    )


def _cost(result: Mapping[str, Any], line: Mapping[str, Any], column: str) -> float | None:
    """Of all models."""
    row: Row = answer_of(line)["simulated"]["row"]
    found = [row.get(f"{model}.{column}") for model in result["models"]]
    return None if None in found else float(sum(value for value in found if value is not None))


def _notes(question: Question) -> Iterator[str]:
    """What of the scenario goes for every choice, although it may not be meant to."""
    for field in question.fields:
        model = field.removeprefix("models.").removesuffix(".hardware.preset")
        if field == f"models.{model}.hardware.preset" and model in question.base.models:
            price = getattr(question.base.models[model].hardware, "usd_per_hour", None)
            if price is not None:
                yield (
                    f"models.{model}.hardware.usd_per_hour is {price:g} for every preset: vary hardware and "
                    f"price, as in 'models.{model}.hardware={{preset: h100_vllm, usd_per_hour: 3}},...'"
                )


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Raises RunDirectoryError."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(folder / PLAN, text)
