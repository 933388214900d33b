# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium without a screen, driven by the WebDriver protocol. One process for all cases of a script; each case opens windows."""

import atexit
import base64
import http.client
import json
import re
import shutil
import signal
import subprocess
import tempfile

from harness import SECONDS, Failed, Skipped, wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"         # the key under which the protocol hides an element
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.*"]


class Driver:
    """chromedriver, and one session of it."""

    def __init__(self):
        for name in "chromium", "chromedriver":
            if not shutil.which(name):
                raise Skipped(f"needs {name}")
        self.profile = tempfile.mkdtemp(prefix="mgmt-test-browser.")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        start_new_session=True)
        atexit.register(self.end)
        port = None
        for line in self.process.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                port = int(found[1])
                break
        if not port:
            raise Skipped("chromedriver does not start here")
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * SECONDS)
        options = {"args": [*FLAGS, f"--user-data-dir={self.profile}"], "binary": shutil.which("chromium")}
        got = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "timeouts": {"script": 2000 * SECONDS}, "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.path = f"/session/{got['sessionId']}"

    def end(self):
        try:
            self.call("DELETE", self.path)
        except (OSError, AttributeError, http.client.HTTPException, Failed):
            pass
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, path, body=None):
        self.connection.request(method, path, None if method != "POST" else json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = json.loads(self.connection.getresponse().read())["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise Failed(f"the browser says: {answer['error']}: {answer.get('message', '')}")
        return answer

    def __call__(self, method, path, body=None):
        return self.call(method, self.path + path, body)


_driver = None


def driver():
    global _driver
    if not _driver:
        _driver = Driver()
    return _driver


class Window:
    """A tab. What is asked of it happens there, whichever tab was used last."""

    def __init__(self, url, width=1000, height=900):
        self.driver = driver()
        self.handle = self.driver("POST", "/window/new", {"type": "window"})["handle"]
        self.here()
        self.driver("POST", "/window/rect", {"width": width, "height": height})
        self.open(url)
        self.complaints()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.here()
        self.driver("DELETE", "/window")
        self.driver("POST", "/window", {"handle": self.driver("GET", "/window/handles")[0]})

    def here(self):
        self.driver("POST", "/window", {"handle": self.handle})

    def open(self, url):
        self.here()
        self.driver("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What an expression gives. Its arguments are arguments[0] and so on."""
        self.here()
        return self.driver("POST", "/execute/sync", {"script": f"return {script}", "args": list(arguments)})

    def element(self, selector):
        self.here()
        return self.driver("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        e = self.element(selector)
        self.driver("POST", f"/element/{e}/click")

    def keys(self, selector, text):
        """Types at the end of what is there."""
        e = self.element(selector)
        self.driver("POST", f"/element/{e}/value", {"text": text})

    def press(self, text):
        """Keys, wherever the focus is."""
        self.here()
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.driver("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def drag(self, selector, *parts):
        """Takes the middle of a slider's thumb through these parts of its way (0 to 1), and lets go."""
        box = self.run("(({ x, y, width, height }) => [x, y, width, height])(document.querySelector(arguments[0]).getBoundingClientRect())",
                       selector)
        point = lambda part: {"type": "pointerMove", "duration": 30, "x": round(box[0] + 13 + (box[2] - 26) * part), "y": round(box[1] + box[3] / 2)}
        actions = [point(parts[0]), {"type": "pointerDown", "button": 0}, *map(point, parts[1:]), {"type": "pointerUp", "button": 0}]
        self.here()
        self.driver("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def text(self, selector):
        return self.run("document.querySelector(arguments[0])?.textContent", selector)

    def wait(self, script, what, *arguments):
        """Until a script gives something true; the seconds it took."""
        return wait_until(lambda: self.run(script, *arguments), what)

    def devtools(self, command, **parameters):
        self.here()
        return self.driver("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def accessible(self):
        """What a screen reader is told of the page: of each thing that is neither passed over nor a mere text, its role, its name, and its state."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        of = lambda node, key: str(node.get(key, {}).get("value", ""))
        return [(of(n, "role"), of(n, "name"), {p["name"]: p["value"].get("value") for p in n.get("properties", ())}) for n in nodes if not n["ignored"] and "Text" not in of(n, "role")]

    def dark(self, dark):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def phone(self):
        self.devtools("Emulation.setDeviceMetricsOverride", width=375, height=812, deviceScaleFactor=2, mobile=True)

    def scripts(self, enabled):
        self.devtools("Emulation.setScriptExecutionDisabled", value=not enabled)

    def screenshot(self, path):
        """The whole page."""
        got = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as f:
            f.write(base64.b64decode(got["data"]))

    def complaints(self):
        """What the browser complained of since it was asked last: errors of scripts, what the page's policy forbids."""
        self.here()
        return [e["message"] for e in self.driver("POST", "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]
