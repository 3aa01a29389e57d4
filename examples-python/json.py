"""JSON in, JSON out, and helpful errors: a malformed body is answered 400 with line and column.

python3 json.py 8080        (or PORT=8080 python3 json.py; 0 takes a free port)
"""

import os
import sys

if __name__ == "json":
    # Python looks beside the running script first, so every `import json` in this folder finds this file.
    # The standard json was meant: search this folder last from now on, and return that module.
    sys.path.append(sys.path.pop(0))
    del sys.modules["json"]
    import json  # noqa: F401


def main() -> None:
    from hasty import App, Request, Response, Result

    app = App()

    @app.get("/users/:id")
    def user(req: Request) -> Result:
        if req.params["id"] != "7":
            return {"error": "no such user"}, 404
        return {"id": 7, "name": "Ada", "languages": ["en", "fr"]}

    @app.post("/echo")
    def echo(req: Request) -> Response:
        return Response.json(req.json())

    @app.post("/sum")
    def total(req: Request, res: Response) -> None:
        data = req.json()  # if malformed, the JsonError is not caught here and becomes a 400
        numbers = data.get("numbers") if isinstance(data, dict) else None
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            res.status(422).json({"error": "numbers must be an array of integers"})
        else:
            res.json({"count": len(numbers), "sum": sum(numbers)})

    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))


if __name__ == "__main__":
    main()
