"""Two policies for scripts of other origins: one open to all, one for a site that is trusted with cookies.

python3 cors.py 8080 https://app.example.org        (or PORT=8080 python3 cors.py; 0 takes a free port)
"""

import os
import sys

from hasty import App, Cors, Request, Response

trusted = sys.argv[2:] or ["https://app.example.org", "https://*.example.net"]
app = App()
app.cors("/public", Cors(expose=["X-Total-Count"]))  # any origin, and so no cookies
app.cors("/account", Cors(origins=trusted, methods=["GET", "PUT"], headers=["X-Reason"], max_age=600, credentials=True))


@app.get("/public/greeting")
@app.get("/private")  # no policy covers it: other origins cannot read it
def greeting(req: Request) -> dict[str, str]:
    return {"hello": "whoever you are"}


@app.any("/public/notes")
def notes(req: Request) -> Response:
    return Response.json(["a note", "another note"], headers={"X-Total-Count": "2"})


@app.put("/account/login")
def login(req: Request, res: Response) -> None:
    res.status(204).cookie("name", "Ada", max_age=400 * 24 * 60 * 60)


@app.get("/account/me")
def me(req: Request) -> str:
    return f"you are {req.cookies.get('name', 'nobody I know')}"


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
