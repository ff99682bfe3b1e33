"""The time between a caller's place and the platform: regions, hops, paths, connections. No SimPy in here."""

from sim.network.connections import Departure, Link
from sim.network.keep_alive import KeepAlive
from sim.network.network import Network
from sim.network.path import Path
from sim.network.regions import rtt_between

__all__ = ["Departure", "KeepAlive", "Link", "Network", "Path", "rtt_between"]
