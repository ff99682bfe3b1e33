"""The least of many values, found without looking at all of them."""

from hypothesis import given
from hypothesis import strategies as st

from sim.platform.least import FEW, SPARE_ENTRIES, Least, LeastOfGrowing

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["toggle", "rise", "rise", "fall", "fall"]), st.integers(0, 3), st.integers(1, 3)
    ),
    min_size=5,
    max_size=60,
)


@given(MOVES, st.sampled_from([0, FEW - 3, FEW]))
def test_it_is_what_looking_at_all_would_find(moves: list[tuple[str, int, int]], idle: int) -> None:
    """The first four come and go: among few, among many, and across the limit of the two."""
    values = [0] * 4 + [2] * idle
    inside = {*range(1, 4 + idle)}
    least, told = LeastOfGrowing(values.__getitem__), Least()
    for index in inside:
        least.add(index)
        told.add(index, values[index])
    for move, index, amount in moves:
        if move == "toggle":
            if index in inside:
                least.remove(index)
                told.remove(index)
            else:
                least.add(index)
                told.add(index, values[index])
            inside ^= {index}
        elif move == "rise":
            values[index] += amount
            told.put(index, values[index])
        else:
            values[index] = max(0, values[index] - amount)
            least.lowered(index)
            told.put(index, values[index])
        if inside:
            assert told.least() == least.least() == min(inside, key=lambda i: (values[i], i))
        assert {index: told[index] for index in range(4 + idle) if index in told} == {
            i: values[i] for i in inside
        }
        assert max(len(least._heap), len(told._heap)) <= 2 * len(inside) + SPARE_ENTRIES + 1


def looks_per_decision(nodes: int) -> float:
    """Values looked at, where every node has some work and requests come and go in turns."""
    values, looks = [1] * nodes, 0

    def value(index: int) -> int:
        nonlocal looks
        looks += 1
        return values[index]

    least = LeastOfGrowing(value)
    for index in range(nodes):
        least.add(index)
    looks, rounds = 0, 4000
    for number in range(rounds):
        values[least.least()] += 1
        done = number * 7919 % nodes
        if values[done]:
            values[done] -= 1
            least.lowered(done)
    return looks / rounds


def test_a_decision_looks_at_as_many_values_among_8000_as_among_8() -> None:
    assert looks_per_decision(8) < 4
    assert looks_per_decision(8000) < 4
