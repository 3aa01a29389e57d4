"""Handlers that wait, beside one that does not: each has a thread of its own, and holds up no other.

python3 blocking.py 8080        (or PORT=8080 python3 blocking.py; 0 takes a free port)
"""

import os
import sys
import threading

from hasty import App, Request, Result

app = App()
change = threading.Condition()
news: "list[str]" = []  # guarded by the condition, since blocking handlers run on many threads


@app.get("/news/:seen", blocking=True)
def wait(req: Request) -> Result:
    """What comes after as many news as the client has seen, as soon as it is there: a long poll."""
    seen = int(req.params["seen"])
    with change:
        if not change.wait_for(lambda: len(news) > seen, timeout=30):
            return None  # 204: nothing yet, ask again
        return news[seen:]


@app.post("/news")
def publish(req: Request) -> Result:
    with change:
        news.append(req.text)
        change.notify_all()
        return {"news": len(news)}, 201


@app.get("/")
def quick(req: Request) -> str:
    return "nobody keeps me waiting"


@app.error(ValueError)
def no_number(error: ValueError) -> Result:
    return f"{error}", 400


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
