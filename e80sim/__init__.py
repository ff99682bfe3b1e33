"""What all packages of the simulator rest on; itself it rests on nothing of theirs."""

from e80sim.build import install

install()
