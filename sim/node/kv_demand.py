"""How many KV blocks the decoding sequences take in the steps ahead, without looking at each of them.

A decoding sequence caches one token per step, so it takes a block in one step of every `block_size`.
`demand[r]` counts those that do so in the steps whose number is r modulo the block size, `len(demand)`.
"""


def blocks_in(demand: list[int], first_step: int, steps: int, sequences: int) -> int:
    """Blocks that all the `sequences` take in `steps` steps from number `first_step` on."""
    size = len(demand)
    rounds, rest = divmod(steps, size)
    blocks = rounds * sequences
    if rest:
        first = first_step % size
        end = first + rest
        blocks += sum(demand[first:end])
        if end > size:
            blocks += sum(demand[: end - size])
    return blocks


def steps_with(demand: list[int], first_step: int, steps: int, sequences: int, free: int) -> int:
    """As many of `steps` as `free` blocks allow. The work is bounded by the block size."""
    rounds, free = divmod(free, sequences)
    fitting = rounds * len(demand)
    while fitting < steps:
        free -= demand[(first_step + fitting) % len(demand)]
        if free < 0:
            return fitting
        fitting += 1
    return steps
