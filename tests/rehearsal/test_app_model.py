"""What a rehearsal tells of an application, from calls that are written down here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_shim.rehearsal.app_model import AppModel, app_model
from api_shim.rehearsal.measured import MeasuredCall, MeasuredPlace, MeasuredVisit
from e80sim.mistakes import UserError

Span = tuple[float, float]


def call(span: Span, prompt: int = 7, output: int = 2, *, model: str = "llama") -> MeasuredCall:
    return MeasuredCall("POST /", 200, False, [("decode", *span)], model, prompt, output)


def place(*visits: list[MeasuredCall], app_cpu_ms: float = 0, **parts_ms: float) -> MeasuredPlace:
    made = [
        MeasuredVisit(number, 0, 200, "", 50.0, 50.0, dict(parts_ms), calls, len(calls), [])
        for number, calls in enumerate(visits)
    ]
    return MeasuredPlace("edge", "", "", made, 1, app_cpu_ms, 1.0, {}, [])


def of_spans(*spans: Span) -> AppModel:
    return app_model([place([call(span) for span in spans])], 1.0, 1.0)


@pytest.mark.parametrize(
    ("spans", "rounds", "fans_out"),
    [
        ([(0, 5)], 1, False),
        ([(0, 5), (5, 9), (9, 12)], 3, False),
        ([(0, 5), (0, 9), (1, 12)], 1, True),
        ([(0, 5), (5, 9), (5, 12), (5, 13), (6, 14)], 2, True),  # one, then four at once
        ([(0, 5), (4, 9), (9, 12), (12, 13)], 3, False),
    ],
)
def test_calls_that_overlap_are_a_fan_out(spans: list[Span], rounds: float, fans_out: bool) -> None:
    model = of_spans(*spans)
    assert (model.rounds, model.fans_out, model.rounded_calls) == (rounds, fans_out, len(spans))
    assert model.cpu_per_call_ms == (len(spans) if fans_out else 1)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=8))
def test_work_is_the_same_however_calls_are_made(begun_and_lasting: list[tuple[int, int]]) -> None:
    model = of_spans(*((began, began + lasts) for began, lasts in begun_and_lasting))
    count = len(begun_and_lasting)
    assert 1 <= model.rounds <= count
    assert model.cpu_ms + model.cpu_per_call_ms * (1 if model.fans_out else count) == 1 + count


def test_measured_work_is_that_of_a_whole_core_in_equal_parts() -> None:
    """48 ms at half speed are 24, for two requests and four answers, one of which is no model's."""
    file = MeasuredCall("GET /v1/files", 200, cold=True, bars=[("platform", 9, 15)])
    model = app_model(
        [place([call((0, 5)), call((5, 8), 9, 4)], [call((0, 5)), file], app_cpu_ms=48, platform=3, app=50)],
        None,
        2.0,
    )
    assert model.message_cpu_ms == 48 / 2 / 6
    assert (model.calls, model.mean_calls, model.other_calls) == ([2, 1], 1.5, 0.5)
    assert model.cpu_ms == 4 * 1.5
    assert (model.prompt_tokens, model.output_tokens) == ([7, 9, 7], [2, 4, 2])
    assert model.elsewhere_ms == 3
    assert model.idle_ms == 50 - 4 * 2 * (1 + 0.5 + 1.5)


def test_an_application_that_asks_no_model_has_no_model() -> None:
    with pytest.raises(UserError, match="no request was answered with the help of a model"):
        app_model([place([call((0, 5), model="")])], 1.0, 1.0)
