"""Named random streams: every part draws from its own, so adding a part leaves the others' draws alone."""

from collections.abc import Iterator
from hashlib import blake2b

from numpy.random import PCG64DXSM, BitGenerator, Generator, SeedSequence


class Stream(Generator):
    """Knows the streams that were split off it."""

    def __init__(self, bit_generator: BitGenerator) -> None:
        super().__init__(bit_generator)
        self._split_off: list[Stream] = []

    def spawn(self, n_children: int) -> list[Generator]:
        made = [Stream(bits) for bits in self.bit_generator.spawn(n_children)]
        self._split_off += made
        return list[Generator](made)

    def family(self) -> Iterator[Generator]:
        """It and all that came from it, in the order of their making."""
        yield self
        for child in self._split_off:
            yield from child.family()


class Streams:
    """The streams of one replication, by name."""

    def __init__(self, seed: int, replication: int, *, kept: bool = True) -> None:
        """Unless `kept` they are forgotten with whoever draws from them, and have no digest."""
        self._seed, self._replication = seed, replication
        self._made: list[tuple[str, Stream]] | None = [] if kept else None

    def stream(self, name: str) -> Generator:
        """A fresh one at each call: two of one name have the same draws."""
        made = stream(self._seed, self._replication, name)
        if self._made is not None:
            self._made.append((name, made))
        return made

    def digest(self) -> str:
        """Of one draw from every stream: how far each of them got. Nothing may be drawn after it."""
        assert self._made is not None, "these streams are not kept"
        told = blake2b(digest_size=8)
        for name, made in sorted(self._made, key=lambda one: one[0]):
            for one in made.family():
                told.update(f"{name} {one.bit_generator.random_raw()} ".encode())
        return told.hexdigest()


def stream(seed: int, replication: int, name: str) -> Stream:
    """The generator of one purpose, such as `traffic/chat/arrivals`, in one replication.

    The key is a hash of the name, not an order of creation. Variants share it: common random numbers.
    """
    digest = blake2b(name.encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return Stream(PCG64DXSM(SeedSequence([seed, replication, *words])))
