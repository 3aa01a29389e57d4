"""The smallest server there is: an app, a parameter, a clean shutdown.

python3 hello.py 8080        (or PORT=8080 python3 hello.py; 0 takes a free port)
"""

import os
import sys

from hasty import App, Request

app = App()


@app.get("/")
def hello(req: Request) -> str:
    return "Hello, World!"


@app.get("/hello/:name")
def hello_name(req: Request) -> str:
    return f"Hello, {req.params['name']}!"


if __name__ == "__main__":
    # Until Ctrl-C or `kill`.
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
