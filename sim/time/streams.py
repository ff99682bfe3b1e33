"""Named random streams: every part draws from its own, so adding a part leaves the others' draws alone."""

from hashlib import blake2b

from numpy.random import PCG64DXSM, Generator, SeedSequence


def stream(seed: int, replication: int, name: str) -> Generator:
    """The generator of one purpose, such as `traffic/chat/arrivals`, in one replication.

    The key is a hash of the name, not an order of creation. Variants share it: common random numbers.
    """
    digest = blake2b(name.encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return Generator(PCG64DXSM(SeedSequence([seed, replication, *words])))
