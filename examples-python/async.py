"""Coroutines beside plain handlers: a chat room whose listeners hold no thread, and an answer made of two concurrent queries.

python3 async.py 8080        (or PORT=8080 python3 async.py; 0 takes a free port)
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from hasty import App, Event, Request, Response

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="said"></ul>
<form id="form"><input id="words" autofocus autocomplete="off"></form>
<script>
new EventSource('/room').addEventListener('said', event => {
  said.appendChild(document.createElement('li')).textContent = event.data;
});
form.onsubmit = event => { event.preventDefault(); fetch('/room', {method: 'POST', body: words.value}); form.reset(); };
</script>
"""

app = App()
listeners: "set[asyncio.Queue[str]]" = set()


@app.get("/")
def home(req: Request) -> Response:
    return Response.html(PAGE)


@app.get("/room")
async def listen(req: Request) -> AsyncIterator[Event]:
    mine: "asyncio.Queue[str]" = asyncio.Queue()
    listeners.add(mine)
    try:
        yield Event("welcome", data={"listeners": len(listeners)})
        while True:
            yield Event("said", data=await mine.get())
    finally:  # the page was closed, or the server ends
        listeners.remove(mine)


@app.post("/room")
async def say(req: Request) -> dict[str, int]:
    for each in listeners:
        each.put_nowait(req.text)
    return {"heard by": len(listeners)}


async def weather(city: str) -> str:
    await asyncio.sleep(0.1)  # stands for a query to another server
    return f"it rains in {city}"


@app.get("/weather/:here/:there")
async def compare(req: Request) -> list[str]:
    return list(await asyncio.gather(weather(req.params["here"]), weather(req.params["there"])))


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
