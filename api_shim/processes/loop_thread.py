"""A thread with an event loop of its own, for what lives in real time.

In there time is real, whatever the model's clock does meanwhile, and a busy model delays nothing. The kernel
can be told to kill a process with the thread that made it, hence also when the server is killed.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in there. To be awaited with `Clock.elsewhere`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def soon(self, act: Callable[[], object]) -> None:
        """Done in there, of which nobody hears."""
        self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        """When nothing is left to do in there."""
        self.submit(self._loop.shutdown_asyncgens()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
