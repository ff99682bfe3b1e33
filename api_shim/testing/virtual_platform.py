"""For the tests of applications: the platform in virtual time, behind an unmodified `openai.AsyncOpenAI`.

    client = virtual_client("scenario.yaml", place="edge")
    answer = client.platform.run(my_agent(client))
    assert client.platform.now_s < 0.4

Nothing sleeps and nothing varies. Everything that the agent awaits must be asyncio's, or the model's.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from api_shim.accounts.callers import PLACE_HEADER
from api_shim.app import create_app
from api_shim.clocks.virtual_loop import VirtualClock, VirtualLoop
from api_shim.content.plan import Content
from api_shim.node_ports import settle
from api_shim.settings import BASE_FLUSH_MS, ServerSettings
from api_shim.shim import Shim
from api_shim.store.store import Store
from api_shim.testing.asgi_transport import make_transport
from api_shim.tracing.tracer import Export
from sim.run.world import World
from sim.scenario.load import load
from sim.scenario.schema import Scenario
from sim.time.units import s_of_ps

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
BASE_URL = "http://e80sim.invalid/v1"
FIRST_OPENAI_ON_HTTPX2 = 3
OURS = ("sim", "traffic", "reports", "hwmodels", "e80sim")


def check_packages() -> None:
    """`sim`, `traffic` and `reports` are common names: say so if some other package has taken one of them.

    Raises ImportError.
    """
    home = Path(__file__).resolve().parents[2]
    for name in OURS:
        file = import_module(name).__file__
        if file is None or Path(file).resolve().parent.parent != home:
            raise ImportError(
                f"`import {name}` finds {file or 'a folder without code'} instead of e80sim's package in "
                f"{home}: rename that one, or keep its folder off sys.path"
            )


class VirtualPlatform:
    """A scenario's platform on a virtual clock, with an event loop of its own.

    A context manager; without `with`, call `close`.
    """

    def __init__(
        self,
        scenario: Scenario | Path | str,
        *,
        variant: str | None = None,
        overrides: Iterable[str] = (),
        seed: int | None = None,
        content: Content | None = None,
        settings: ServerSettings | None = None,
        store: Store | None = None,
        loop: VirtualLoop | None = None,
        node_ports: Iterable[str] = (),
        export: Export | None = None,
    ) -> None:
        """`overrides` are `a.b.c=value`, as after `--set`. Without a `store` nothing is kept.

        `loop` by default one of its own; `node_ports` as after `--node-ports`, for clients with a `port`;
        `export` hears of every trace.
        """
        check_packages()
        spec = _scenario(scenario, variant, overrides)
        self.loop = loop or VirtualLoop()
        self.world = World(
            spec,
            spec.run.seed if seed is None else seed,
            0,
            engine="fast",
            keep_schedule=True,
            sources=False,
            env=self.loop.timeline,
        )
        self.app = create_app(
            self.world,
            VirtualClock(self.loop.timeline),
            replace(
                settings or ServerSettings(flush_ms=BASE_FLUSH_MS),
                node_of_port={node.port: node for node in settle(spec, node_ports)},
            ),
            content,
            store=store,
            export=export,
        )
        self.shim: Shim = self.app.state.shim

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return s_of_ps(self.world.env.now)

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """To its end, in virtual time. May be called again; the clock goes on from where it stands."""
        return self.loop.run_until_complete(story)

    def client(
        self,
        *,
        api_key: str = "sk-test",
        place: str | None = None,
        port: int | None = None,
        **options: Any,  # noqa: ANN401 -- the client's own
    ) -> "AsyncOpenAI":
        """Unmodified, of whichever major of openai is installed; it comes in on `port`, if that is given."""
        from openai import AsyncOpenAI  # noqa: PLC0415 -- only who asks for it needs it

        httpx = client_library()
        http_client = httpx.AsyncClient(transport=make_transport(httpx, self.app, port))
        headers = dict(options.pop("default_headers", None) or {})
        if place is not None:
            headers[PLACE_HEADER] = place
        return AsyncOpenAI(
            api_key=api_key, base_url=BASE_URL, http_client=http_client, default_headers=headers, **options
        )

    def close(self) -> None:
        """End what is still running in the loop, and the loop."""
        if self.loop.is_closed():
            return
        self.loop.run_until_complete(_end(asyncio.all_tasks(self.loop)))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.shim.sandboxes.close()
        self.shim.store.close()
        self.loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def virtual_client(
    scenario: Scenario | Path | str,
    *,
    api_key: str = "sk-test",
    place: str | None = None,
    variant: str | None = None,
    overrides: Iterable[str] = (),
    content: Content | None = None,
    **options: Any,  # noqa: ANN401 -- the client's own
) -> Any:  # noqa: ANN401 -- an AsyncOpenAI with one attribute more
    """Talks to `scenario` in virtual time; `client.platform` is the `VirtualPlatform` behind it."""
    platform = VirtualPlatform(scenario, variant=variant, overrides=overrides, content=content)
    client: Any = platform.client(api_key=api_key, place=place, **options)
    client.platform = platform
    return client


def client_library() -> ModuleType:
    """What the installed openai sends with: httpx up to 2.x, httpx2 from 3.x on."""
    major = int(version("openai").split(".")[0])
    return import_module("httpx2" if major >= FIRST_OPENAI_ON_HTTPX2 else "httpx")


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _scenario(scenario: Scenario | Path | str, variant: str | None, overrides: Iterable[str]) -> Scenario:
    if isinstance(scenario, Scenario):
        return scenario
    return load(Path(scenario), overrides).variant(variant)
