"""A folder of files: index, listing, types, caching, conditions and ranges come with one call; a download with another.

python3 static.py 8080 examples-c/public        (or PORT=8080 python3 static.py; 0 takes a free port)
"""

import os
import sys

from hasty import App, Request, Response

folder = sys.argv[2] if len(sys.argv) > 2 else "examples-c/public"
app = App()
app.static("/", folder, cache_control="max-age=60", list=True)
app.static("/assets", folder, cache_control="max-age=31536000, immutable")
app.static("/app", folder, fallback="index.html")  # one page, whose script does the routing


@app.get("/report")  # a route of its own wins over the folder at "/"
def report(req: Request) -> Response:
    # The program chooses this path. Paths that clients choose are for app.static(), which never leaves its folder.
    return Response.download(f"{folder}/notes/alpha.txt", "Résumé of letters.txt")


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
