"""What can be limited, for whom, in which windows and when it is charged: worked by hand."""

from typing import Any

import pytest

from sim.platform.budget import Budgets
from sim.platform.meter import Rate
from sim.platform.rate_limit import Cost, Grant, Limit, Limiter, Refusal, headroom, reserve, wait_ps
from sim.run.world import World
from sim.scenario.limits import Limits
from sim.scenario.schema import Scenario
from tests.support.limiting import Let, Owner
from traffic.request import Request

S = 10**12


def granted(answer: Grant | Refusal) -> Grant:
    assert isinstance(answer, Grant), answer
    return answer


def refused(answer: Grant | Refusal | Let) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


def request(
    *, project: str = "p", key: str = "k", tier: str = "", batch: bool = False, cap: int | None = None
) -> Request:
    return Request(
        0, "m", 10, 1, cap, 0, "here", "me", project, key, "source", "tenant", batch=batch, tier=tier
    )


def ask(budgets: Budgets, one: Request, now_ps: int = 0) -> Grant | Refusal:
    return reserve(budgets.limiters(one, now_ps), now_ps, budgets.cost(one))


def test_a_quantised_bucket_gives_a_portion_back_at_each_turn_of_its_quantum_and_nothing_between() -> None:
    limiter = Owner("quantised", 1000, 60)  # 10 every 10 s
    assert isinstance(limiter.reserve(3 * S, 60), Let)
    assert refused(limiter.reserve(3 * S, 1)).retry_after_ps == 7 * S
    assert refused(limiter.reserve(10 * S - 1, 1)).retry_after_ps == 1
    assert limiter.room(10 * S).remaining == 10
    assert refused(limiter.reserve(12 * S, 11)).retry_after_ps == 8 * S
    assert limiter.room(19 * S).reset_ps == 41 * S


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window", "quantised"])
def test_windows_may_be_shorter_than_a_minute(algorithm: str) -> None:
    limiter = Owner(algorithm, 1000, 10, window_ps=10 * S)
    assert isinstance(limiter.reserve(0, 10), Let)
    assert refused(limiter.reserve(0, 10)).retry_after_ps == 10 * S
    assert isinstance(limiter.reserve(10 * S, 10), Let)


def test_input_and_output_are_limited_apart_and_the_one_that_refuses_is_named() -> None:
    limiter = Limiter([Limit.of("input_tokens", Rate(100)), Limit.of("output_tokens", Rate(20))])
    grant = granted(reserve([limiter], 0, Cost(30, 20)))
    assert refused(reserve([limiter], 0, Cost(30, 1))) == Refusal("output_tokens", 20, 20, 1, 3 * S)
    grant.settle(0, Cost(30, 5))
    assert refused(reserve([limiter], 0, Cost(80, 1))) == Refusal("input_tokens", 100, 30, 80, 6 * S)
    assert headroom([limiter], 0) == {
        "input_tokens": (100, 70, 18 * S),
        "output_tokens": (20, 15, 15 * S),
    }


def test_whoever_can_never_fit_is_told_so_whatever_else_would_make_it_wait() -> None:
    limiter = Limiter([Limit.of("requests", Rate(1)), Limit.of("tokens", Rate(10))])
    granted(reserve([limiter], 0, Cost(1, 0)))
    assert refused(reserve([limiter], 0, Cost(11, 0))) == Refusal("tokens", 10, 1, 11, None)
    assert wait_ps([limiter], 0, Cost(11, 0)) is None
    assert wait_ps([limiter], 0, Cost(1, 0)) == 60 * S


def test_cached_input_counts_in_one_bucket_and_not_in_the_other() -> None:
    limiter = Limiter([Limit.of("tokens", Rate(100)), Limit.of("uncached_tokens", Rate(60))])
    granted(reserve([limiter], 0, Cost(50, 10))).settle(0, Cost(50, 10, cached_tokens=40))
    room = headroom([limiter], 0)
    assert room is not None
    assert (room["tokens"].remaining, room["uncached_tokens"].remaining) == (40, 40)


def test_cached_input_that_is_free_comes_back_when_its_request_has_ended() -> None:
    limiter = Limiter([Limit.of("input_tokens", Rate(100), cached_free=True)])
    grant = granted(reserve([limiter], 0, Cost(80, 10)))
    assert headroom([limiter], 0) == {"input_tokens": (100, 20, 48 * S)}
    grant.settle(0, Cost(80, 10, cached_tokens=64))
    assert headroom([limiter], 0) == {"input_tokens": (100, 84, 96 * S // 10)}


def test_a_reservation_that_is_charged_is_never_corrected() -> None:
    for algorithm in ("token_bucket", "sliding_window", "fixed_window", "quantised"):
        limiter = Owner(algorithm, 10, 100, "reserved")
        for used in (0, 90):
            let = limiter.reserve(0, 50)
            assert isinstance(let, Let)
            let.settle(0, used)
        assert limiter.room(0).remaining == 0


def test_charged_at_the_end_everybody_is_let_in_while_anything_is_left_and_what_is_too_much_is_owed() -> None:
    for algorithm in ("token_bucket", "sliding_window", "fixed_window", "quantised"):
        limiter = Owner(algorithm, 10, 100, "actual")
        first, second = limiter.reserve(0, 10**6), limiter.reserve(0, 10**6)
        assert isinstance(first, Let)
        assert isinstance(second, Let)
        first.settle(0, 99)
        third = limiter.reserve(0, 10**6)
        assert isinstance(third, Let), algorithm
        second.settle(0, 101)
        refusal = refused(limiter.reserve(0, 10**6))
        assert (refusal.cause, refusal.used, refusal.limit) == ("tokens", 200, 100)
        assert not limiter.is_as_new(10**6 * S), "the third is still to be charged"
        third.settle(180 * S, 0)
        assert limiter.is_as_new(180 * S)


def test_a_request_counts_as_one_when_it_comes_however_tokens_are_charged() -> None:
    for charge in ("settled", "reserved", "actual"):
        limiter = Owner("token_bucket", 1, 100, charge)
        assert isinstance(limiter.reserve(0, 1), Let)
        assert refused(limiter.reserve(0, 1)).cause == "requests"


def test_limits_of_a_key_and_of_its_project_are_taken_together_or_not_at_all() -> None:
    budgets = Limits.model_validate(
        {
            "requests_per_minute": 3,
            "also": [{"requests_per_minute": 2, "scope": "key"}, {"tokens_per_minute": 45, "scope": "tier"}],
        }
    ).budgets()
    granted(ask(budgets, request(key="a", cap=5)))
    granted(ask(budgets, request(key="a", cap=5)))
    assert refused(ask(budgets, request(key="a", cap=5))).limit == 2
    granted(ask(budgets, request(key="b", cap=5)))  # the refused one took nothing of the project's three
    assert refused(ask(budgets, request(key="b", cap=5))).limit == 3
    assert refused(ask(budgets, request(project="other", key="c", cap=5))).cause == "tokens"
    granted(ask(budgets, request(project="other", key="c", cap=5, tier="paid")))


def test_a_tier_has_rates_of_its_own_and_shares_what_else_there_is() -> None:
    budgets = Limits.model_validate(
        {
            "requests_per_minute": 1,
            "tiers": {"paid": {"requests_per_minute": 2}},
            "also": [{"requests_per_minute": 4, "scope": "key"}],
            "batch": {"tokens_per_minute": 1000},
        }
    ).budgets()
    granted(ask(budgets, request()))
    assert refused(ask(budgets, request())).limit == 1
    for _ in range(2):
        granted(ask(budgets, request(tier="paid")))
    assert refused(ask(budgets, request(tier="paid"))).limit == 2
    granted(ask(budgets, request(project="other")))
    assert refused(ask(budgets, request(project="third"))).limit == 4
    granted(ask(budgets, request(batch=True)))
    assert [of for of, _ in budgets.named()] == ["", "", "paid", "batch"]


def test_the_headers_tell_of_the_limit_that_has_least_left() -> None:
    budgets = Limits.model_validate(
        {"requests_per_minute": 100, "also": [{"requests_per_minute": 3, "scope": "key"}]}
    ).budgets()
    granted(ask(budgets, request()))
    assert headroom(budgets.limiters(request(), 0), 0) == {"requests": (3, 2, 20 * S)}
    assert headroom([], 0) is None


@pytest.mark.parametrize(
    ("limits", "used"),
    [
        ({"tokens_per_minute": 1000}, {"tokens": 52}),
        ({"tokens_per_minute": 1000, "cached_tokens": "free"}, {"tokens": 32}),
        (
            {"tokens_per_minute": 1000, "uncached_tokens_per_minute": 999},
            {"tokens": 52, "uncached_tokens": 32},
        ),
    ],
)
def test_what_the_prefix_cache_of_a_node_held_counts_as_the_limits_say(
    limits: dict[str, Any], used: dict[str, int]
) -> None:
    """Two prompts of 25 tokens with an answer of 1: the second finds 20 of them, five blocks of 4."""
    chip = {"kind": "hardwired_asic", "decode_step_ms": 1, "prefill_ms_per_token": 0.1, "kv_pool_tokens": 400}
    model = {
        "id": "m",
        "llm": "llama3.1-8b",
        "hardware": chip,
        "context_tokens": 100,
        "batching": {"block_size": 4, "enable_prefix_caching": True},
        "limits": {**limits, "algorithm": "fixed_window"},
    }
    world = World(
        Scenario.model_validate(
            {
                "name": "cached",
                "models": {"m": model},
                "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0}}},
                "traffic": {
                    "s": {
                        "place": "here",
                        "model": "m",
                        "arrivals": {"kind": "poisson", "rate_per_s": 1},
                        "lengths": {
                            "prompt": {"kind": "fixed", "tokens": 25},
                            "output": {"kind": "fixed", "tokens": 1},
                        },
                    }
                },
                "run": {"horizon_s": 10, "replications": 1},
            }
        ),
        1,
        0,
        engine="fast",
        sources=False,
    )
    for number, at_s in enumerate((0, 1)):
        world.run_to(at_s * S)
        one = Request(
            number, "m", 25, 1, None, at_s * S, "here", "key/k", "p", "k", "s", "t", prefix=(("common", 20),)
        )
        world.platform.submit(one)
    world.run_to(5 * S)
    budgets = world.platform.gateway.admissions["m"].budgets
    assert budgets is not None
    ((_, budget),) = budgets.named()
    (limiter,) = budget.limiters.values()
    assert {limit.quantity: limit.meter.used(5 * S) for limit in limiter.limits} == used
