"""Streams: a clock whose watchers, however many, share one thread, and a count that is sent bit by bit.

python3 stream.py 8080        (or PORT=8080 python3 stream.py; 0 takes a free port)
"""

import os
import sys
import threading
import time
from typing import Iterator

from hasty import App, Event, Exchange, HastyError, Request, Response

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Clock</title>
<h1 id="clock">...</h1>
<script>
new EventSource('/clock').addEventListener('time', event => { clock.textContent = event.data; });
</script>
"""

app = App()
watchers: list[Exchange] = []
done = threading.Event()


@app.get("/")
def home(req: Request) -> Response:
    return Response.html(PAGE)


@app.get("/clock")
def watch(req: Request) -> None:
    # Deferred: the ticking thread owns the exchange from now on, and no thread waits.
    watchers.append(req.defer())


def tick() -> None:
    while not done.wait(1 - time.time() % 1):  # to the full second
        now = Event("time", data=time.strftime("%H:%M:%S", time.gmtime()))
        for watcher in watchers[:]:
            try:
                watcher.write(now)  # never waits: it fails if the watcher left or lags behind
            except HastyError:
                watchers.remove(watcher)


@app.get("/ten")
def to_ten(req: Request) -> Iterator[str]:
    for number in range(1, 11):
        yield f"{number}\n"


if __name__ == "__main__":
    threading.Thread(target=tick, daemon=True).start()
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
    done.set()
