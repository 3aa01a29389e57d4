"""More than one processor: processes that share a port, each with its own copy of the app, and a database for the data they share.

python3 workers.py 8080 4        (or PORT=8080 python3 workers.py; 0 takes a free port)
"""

import functools
import os
import sqlite3
import sys
import tempfile
import threading
from typing import Optional

from hasty import App, Request

folder = tempfile.TemporaryDirectory(prefix="hasty-workers-")
local = threading.local()
app = App()


def database() -> sqlite3.Connection:
    """The connection of this thread, opened on first use: one from before the fork would be shared, and break."""
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(f"{folder.name}/visits.db", isolation_level=None)
        local.connection.execute("create table if not exists visits (number integer primary key)")
    connection: sqlite3.Connection = local.connection
    return connection


@app.get("/")
def visit(req: Request) -> dict[str, Optional[int]]:
    number = database().execute("insert into visits default values").lastrowid
    return {"visit": number, "process": os.getpid()}


@functools.lru_cache(maxsize=None)
def ways(steps: int) -> int:
    """This computes; each process keeps what it has found for itself."""
    return 1 if steps < 2 else ways(steps - 1) + ways(steps - 2)


@app.get("/ways/:steps")
def climb(req: Request) -> dict[str, int]:
    return {"ways": ways(min(int(req.params["steps"]), 300))}


if __name__ == "__main__":
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080"))
    app.listen(port, workers=int(sys.argv[2] if len(sys.argv) > 2 else 2))
    folder.cleanup()
