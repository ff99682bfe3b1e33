"""The table of sessions: of each conversation and each closed-loop user, how far it came and how it ended."""

from functools import cache

from reports.record import SESSION_COLUMNS
from sim.platform.recorder import Recorder
from sim.time.timeline import Timeline


class Talk:
    """One session that has begun. `turns` grows with each question."""

    __slots__ = ("began_ps", "number", "planned", "source", "tenant", "turns")

    def __init__(self, source: str, tenant: str, number: int, planned: int, began_ps: int) -> None:
        """`planned` turns, -1 for who goes on until the horizon."""
        self.source = source
        self.tenant = tenant
        self.number = number
        self.planned = planned
        self.began_ps = began_ps
        self.turns = 0


class SessionRecords:
    """All sessions of a run."""

    def __init__(self, env: Timeline) -> None:
        self.env = env
        self.records = Recorder(SESSION_COLUMNS)
        self.inside: dict[tuple[str, int], Talk] = {}
        codes = self.records.labels.codes
        self._codes = cache(lambda s, t, e: codes(source=s, tenant=t, ending=e))  # there are few of them

    def begin(self, source: str, tenant: str, number: int, planned: int) -> Talk:
        talk = Talk(source, tenant, number, planned, self.env.now)
        self.inside[source, number] = talk
        return talk

    def end(self, talk: Talk, ending: str, ended_ps: int) -> None:
        """Nothing more comes of it; -1: the run was over before it was."""
        del self.inside[talk.source, talk.number]
        self.records.add(
            (
                talk.number,
                *self._codes(talk.source, talk.tenant, ending),
                talk.turns,
                talk.planned,
                talk.began_ps,
                ended_ps,
            )
        )

    def record_unfinished(self) -> None:
        for talk in list(self.inside.values()):
            self.end(talk, "unfinished", -1)
