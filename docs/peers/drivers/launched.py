"""SAID COMMAND...: runs it with what it says in the file SAID, and prints what it took as JSON.

A process of its own, and a small one: to Linux the peak of a process is never below what its parent held
as it was made.
"""

import json
import os
import sys
import time  # noqa: TID251 -- it measures

said, *command = sys.argv[1:]
began = time.perf_counter()
child = os.posix_spawn(
    command[0],
    command,
    os.environ,
    file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ],
)
_, status, usage = os.wait4(child, 0)
print(  # noqa: T201 -- to who started it
    json.dumps(
        {
            "exit": os.waitstatus_to_exitcode(status),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "wall_s": time.perf_counter() - began,
            "peak_mb": usage.ru_maxrss / 1024,
        }
    )
)
