"""A WSGI application, such as one of Flask or Django; in front of it a new route and a folder of files.

python3 wsgi.py 8080        (or PORT=8080 python3 wsgi.py; 0 takes a free port)
"""

import os
import sys
from html import escape
from typing import Any

import hasty.wsgi
from hasty import Request


def old(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Stands for an existing application."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [f"<h1>The old shop: {escape(environ['PATH_INFO'])}</h1>\n".encode("latin-1")]


app = hasty.wsgi.as_app(old, threads=4)  # four threads call it
app.static("/assets", os.path.join(os.path.dirname(__file__), "../examples-c/public"))


@app.get("/stock/:item")  # what is more specific comes first: so it moves, route by route
def stock(req: Request) -> dict[str, Any]:
    return {"item": req.params["item"], "left": 7}


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
