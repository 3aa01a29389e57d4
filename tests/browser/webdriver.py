"""A browser to test with: Chromium without a window, driven over HTTP as the WebDriver specification says."""

import base64
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

# The name under which WebDriver hands out elements.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class BrowserError(Exception):
    """What the driver says went wrong."""


class Browser:
    """One window. `with Browser() as browser: browser.open(url)`."""

    def __init__(self, driver="chromedriver", width=1280, height=900, seconds=30):
        self.seconds = seconds
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            [driver, "--port=0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "HOME": self._profile.name, "TMPDIR": self._profile.name},
        )
        try:
            self._base = f"http://127.0.0.1:{self._port()}"
            arguments = [
                "--headless=new",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--no-proxy-server",
                "--hide-scrollbars",
                f"--user-data-dir={self._profile.name}",
                f"--window-size={width},{height}",
            ]
            # Its sandbox is not to be had for root, nor inside many containers. All pages here are our own.
            without = [*arguments, "--no-sandbox"]
            try:
                answer = self._begin(without if os.geteuid() == 0 else arguments)
            except BrowserError:
                answer = self._begin(without)
            self._session = f"/session/{answer['sessionId']}"
            self._send("POST", self._session + "/timeouts", {"script": seconds * 1000, "pageLoad": seconds * 1000})
            self.resize(width, height)
        except BaseException:
            self._end()
            raise

    def _begin(self, arguments):
        options = {"args": arguments, "binary": os.environ.get("CHROMIUM", shutil.which("chromium"))}
        return self._send("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})

    def _port(self):
        """The driver tells its port on standard output, among other lines."""
        said = ""
        while select.select([self._driver.stdout], [], [], self.seconds)[0]:
            line = self._driver.stdout.readline()
            said += line
            told = re.search(r"started successfully on port (\d+)", line)
            if told:
                return int(told[1])
            if not line:
                break
        raise BrowserError(f"the driver does not start: {said.strip()}")

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.seconds + 30) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise BrowserError(f"{value['error']}: {value['message'].splitlines()[0]}") from None

    def open(self, url):
        """Loads a page, and waits until it has loaded."""
        self._send("POST", self._session + "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs the body of a function in the page; `return` gives its value, a promise's once it is there."""
        return self._send("POST", self._session + "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, condition, *arguments):
        """Waits until an expression in the page is true, asking again and again. Its value."""
        script = f"""
            const end = performance.now() + {self.seconds - 5} * 1000, given = [...arguments];
            const condition = (...given) => {condition};
            return (async () => {{
                for (;;) {{
                    const value = condition(...given);
                    if (value) return value;
                    if (performance.now() > end) throw new Error('it did not come true');
                    await new Promise(again => setTimeout(again, 10));
                }}
            }})()"""
        try:
            return self.run(script, *arguments)
        except BrowserError as error:
            raise BrowserError(f"{condition}: {error}") from None

    def find(self, selector):
        return self._send("POST", self._session + "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        """Clicks as a person does, who brings it to the middle first: what is hidden or covered cannot be clicked."""
        self.run("document.querySelector(arguments[0])?.scrollIntoView({ block: 'center', behavior: 'instant' })", selector)
        self._send("POST", f"{self._session}/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        """Types; for a file input, `text` is the paths, a line each."""
        self._send("POST", f"{self._session}/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self._send("GET", f"{self._session}/element/{self.find(selector)}/text")

    def said(self):
        """What the console has been told since the last call, warnings and errors only."""
        return [entry["message"] for entry in self._send("POST", self._session + "/se/log", {"type": "browser"})]

    def resize(self, width, height, scheme="light"):
        """A window of that size inside, in pixels, and a person who prefers that colour scheme, and no motion."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self._command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self._command("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    def _command(self, name, **parameters):
        return self._send("POST", self._session + "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def screenshot(self, path, whole=False):
        """Writes what is seen to `path`, as PNG; with `whole` the page from its top to its end."""
        options = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
            options["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        data = base64.b64decode(self._command("Page.captureScreenshot", **options)["data"])
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)
        return data

    def look(self, png):
        """What is on a picture: width, height, mean brightness (0 to 255), how many colours, and how much is the commonest."""
        script = """
            const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
            return createImageBitmap(new Blob([bytes], { type: 'image/png' })).then(picture => {
                const { width, height } = picture, canvas = new OffscreenCanvas(width, height), brush = canvas.getContext('2d');
                brush.drawImage(picture, 0, 0);
                const pixels = new Uint32Array(brush.getImageData(0, 0, width, height).data.buffer), seen = new Map();
                let sum = 0;
                for (const pixel of pixels) {
                    seen.set(pixel, (seen.get(pixel) ?? 0) + 1);
                    sum += (pixel & 255) + (pixel >> 8 & 255) + (pixel >> 16 & 255);
                }
                const commonest = Math.max(...seen.values()) / pixels.length;
                return { width, height, brightness: sum / 3 / pixels.length, colours: seen.size, commonest };
            })"""
        return self.run(script, base64.b64encode(png).decode())

    def close(self):
        try:
            self._send("DELETE", self._session)
        except (BrowserError, OSError):
            pass  # a browser that died has closed as well
        self._end()

    def _end(self):
        self._driver.terminate()
        try:
            self._driver.wait(10)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait()
        self._driver.stdout.close()
        self._profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
