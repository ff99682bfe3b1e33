"""Why one request took as long as it did, from the tables of its run alone."""

from reports.explained.chain import Chain, Said, chain_of
from reports.explained.phases import Phase
from reports.explained.scene import Scene, scenes_of

__all__ = ["Chain", "Phase", "Said", "Scene", "chain_of", "scenes_of"]
