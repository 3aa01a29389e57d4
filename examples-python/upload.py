"""A form with files: fields and files of a multipart body, saved under names of our own, and given back.

python3 upload.py 8080 uploads        (or PORT=8080 python3 upload.py; 0 takes a free port)
"""

import itertools
import os
import sys
from typing import Any

from hasty import App, Request, Response

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Upload</title>
<form method="post" action="/upload" enctype="multipart/form-data">
<p><input name="title" placeholder="A title">
<p><input type="file" name="files" multiple>
<p><button>Upload</button>
</form>
"""

folder = sys.argv[2] if len(sys.argv) > 2 else "uploads"
os.makedirs(folder, 0o700, exist_ok=True)
numbers = itertools.count(1)
app = App()
app.static("/saved", folder)


@app.get("/")
def form(req: Request) -> Response:
    return Response.html(PAGE)


@app.post("/upload", max_body_bytes=100 << 20)
def upload(req: Request) -> dict[str, Any]:
    files = []
    for _, file in req.files.pairs():
        # A file name is client input: it may be shown, but never used as a path.
        number = next(numbers)
        file.save(f"{folder}/{number}")  # a copy; the temporary file is removed with the request
        files.append({"name": file.filename, "type": file.content_type, "bytes": file.size, "saved": number})
    return {"title": req.form.get("title"), "files": files}


if __name__ == "__main__":
    app.listen(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8080")))
