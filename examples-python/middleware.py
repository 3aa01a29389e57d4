"""What surrounds handlers: middleware that answers or lets pass, a value for the handler, a header on every answer, an access log.

python3 middleware.py 8080        (or PORT=8080 python3 middleware.py; 0 takes a free port)
"""

import logging
import os
import sys
import time

from hasty import App, Request, Response

logging.basicConfig(level=logging.INFO, format="%(message)s")
app = App()
app.secure_headers()
app.access_log("combined")


@app.use("/")  # runs first: it was registered first, for everything
def start_clock(req: Request) -> None:
    req.locals["start"] = time.perf_counter()


@app.use("/members")  # it runs before the body is read, so that strangers cannot upload
def members_only(req: Request) -> "Response | None":
    if req.headers.get("Authorization") == "Bearer open-sesame":
        req.locals["user"] = "Ada"
        return None  # let it pass
    return Response("members only", 401, {"WWW-Authenticate": "Bearer"})


@app.get("/")
def home(req: Request) -> str:
    return "open to all"


@app.get("/members/me")
def me(req: Request) -> str:
    return f"welcome, {req.locals['user']}"


@app.after  # every answer, also a 401 and a 404
def stop_clock(req: Request, res: Response) -> None:
    start = req.locals.get("start")
    if start is not None:  # a malformed path, such as /%zz, is answered before start_clock
        res.header("Server-Timing", f"total;dur={(time.perf_counter() - start) * 1000:.3f}")
    res.header("X-Request-ID", req.id)


@app.on_error  # what the library itself answers with
def error_as_json(req: Request, res: Response) -> None:
    res.json({"error": res.status_code})


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
