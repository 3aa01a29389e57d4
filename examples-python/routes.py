"""Every kind of pattern, and what a request carries: query, form, cookies; a redirect; automatic 404 and 405.

python3 routes.py 8080        (or PORT=8080 python3 routes.py; 0 takes a free port)
"""

import os
import sys

from hasty import App, Request, Response

app = App()

@app.get("/users/:id")
def user(req: Request) -> str:
    return f"user {req.params['id']}"

@app.get("/users/me")  # a literal wins over a name, whatever the order of registration
def me(req: Request) -> str:
    return "yourself"

@app.get("/users/:id/posts/:post")
def post(req: Request) -> str:
    return f"post {req.params['post']} by user {req.params['id']}"

@app.get("/files/*")
def file(req: Request) -> str:
    return f"file {req.params['*']}"

@app.get("/search")
def search(req: Request) -> str:
    return "\n".join(f"{name} = {value}" for name, value in req.query.pairs()) or "nothing to look for"

@app.post("/greet")
def greet(req: Request, res: Response) -> None:
    name, city = req.form.get("name"), req.form.get("city")
    if name is None or city is None:
        res.status(400).text("name and city, please")
    else:
        res.text(f"{name} from {city}")

@app.get("/visits")
def visits(req: Request, res: Response) -> None:
    before = req.cookies.get("visits", "")
    count = int(before) + 1 if before.isdecimal() else 1
    res.cookie("visits", str(count)).text(f"visit {count}")

@app.get("/home")
def home(req: Request) -> Response:
    return Response.redirect("/users/me")

@app.any("/echo")
def echo(req: Request) -> str:
    return f"{req.method} {req.path}"

if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
