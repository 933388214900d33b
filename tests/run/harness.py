# SPDX-License-Identifier: GPL-3.0-or-later
"""What the run-mode tests share: mgmtctl under a private home, its JSON lines as they come, and a look at what it leaves behind.

Every wait has a limit; a case that fails says what it saw. Output is TAP."""

import fnmatch
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

BUILD = os.environ.get("MGMT_BUILD") or sys.exit("MGMT_BUILD names the build directory")
MGMTCTL = os.path.join(BUILD, "mgmtctl")
SECONDS = 60                                    # patience with what should take milliseconds: only what hangs takes as long
DAEMONS = ["engine", "http", "lang", "virt", "world"]


class Failed(Exception):
    pass


class Skipped(Exception):
    """What the case needs is not here."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def check_equal(got, want, what):
    check(got == want, f"{what} is {got!r}, not {want!r}")


def wait_until(condition, what, seconds=SECONDS):
    """Polls: for what nobody tells us. Returns the seconds it took."""
    start = time.monotonic()
    while not condition():
        check(time.monotonic() - start < seconds, f"not within {seconds} s: {what}")
        time.sleep(0.002)
    return time.monotonic() - start


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return None


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


class Scratch:
    """A directory with a home in it. Processes that were started here carry a mark in their environment, or name it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="mgmt-test-run.")
        self.mark = f"MGMT_TEST_MARK={uuid.uuid4()}"
        self.home, self.tmp = self.at("home"), self.at("tmp")
        os.mkdir(self.home)
        os.mkdir(self.tmp)
        return self

    def __exit__(self, *_):
        for pid in self.processes():
            kill(pid, signal.SIGKILL)
        shutil.rmtree(self.path, ignore_errors=True)

    def at(self, name):
        return os.path.join(self.path, name)

    def program(self, text, name="main.mcl"):
        """Writes a program; $SCRATCH in it stands for this directory."""
        path = self.at(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, text.replace("$SCRATCH", self.path))
        return path

    def environment(self, **more):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("MGMT_", "XDG_", "STATE_", "LISTEN_"))}
        keep.update(HOME=self.home, TMPDIR=self.tmp, XDG_CACHE_HOME=self.at("cache"), STATE_DIRECTORY=self.at("state"), **more)
        name, value = self.mark.split("=")
        return {**keep, name: value}

    def processes(self, pattern="*"):
        """Pids of what still runs of what was started here, by the name of the program."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as e, open(f"/proc/{pid}/cmdline", "rb") as c:
                    ours = self.mark.encode() in e.read().split(b"\0") or self.path.encode() in c.read()
                if not ours:
                    continue
                with open(f"/proc/{pid}/stat") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                        continue
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if fnmatch.fnmatch(name, pattern):
                found[int(pid)] = name
        return found

    def check_clean(self):
        """No process, no private directory, no temporary file. One that was killed is gone when the kernel gets round to it."""
        left = None

        def is_clean():
            nonlocal left
            left = (self.processes(), os.listdir(self.tmp))
            return left == ({}, [])
        try:
            wait_until(is_clean, "all is gone")
        except Failed:
            raise Failed(f"what still runs and what is left in the temporary directory: {left}") from None

    def ctl(self, *arguments, stdin="", seconds=SECONDS, **environment):
        """Runs a command to its end."""
        return subprocess.run([MGMTCTL, *arguments], env=self.environment(**environment), cwd=self.path, input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)


def kill(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def is_pending(pid, number):
    """Whether a signal was sent that the process has not taken yet: a second one of the same number would be lost in it."""
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", read(f"/proc/{pid}/status") or "", re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


class Run:
    """`mgmtctl run --json` in the background."""

    prefix = ()                                 # of the command: where it runs
    command = "run"

    def __init__(self, scratch, *arguments, **environment):
        self.scratch, self.events, self.lines = scratch, [], queue.Queue()
        self.start = time.monotonic()
        self.process = subprocess.Popen([*self.prefix, MGMTCTL, self.command, "--json", *arguments], env=scratch.environment(**environment),
                                        cwd=scratch.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=open(scratch.at("stderr"), "ab"), text=True)
        threading.Thread(target=self.follow, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        if kind:
            self.drain()
            for e in self.events[-30:]:
                print(f"#   {json.dumps(e)}")

    def follow(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def next(self, deadline, what):
        try:
            line = self.lines.get(timeout=max(0.001, deadline - time.monotonic()))
        except queue.Empty:
            raise Failed(f"no event in time: {what}") from None
        if line is None:
            self.lines.put(None)
            raise Failed(f"it ended (status {self.process.wait(SECONDS)}) before: {what}; stderr: {self.stderr()}")
        event = json.loads(line)
        check(isinstance(event, dict) and isinstance(event.get("type"), str), f"not an object with a type: {line}")
        self.events.append(event)
        return event

    def wait_event(self, what, seconds=SECONDS, **fields):
        """The next event with these fields."""
        deadline = time.monotonic() + seconds
        while True:
            event = self.next(deadline, what)
            if all(event.get(k) == v for k, v in fields.items()):
                return event

    def wait_converged(self, seconds=SECONDS):
        return self.wait_event("converged", seconds, type="converged", state="true")

    def wait_end(self, seconds=SECONDS):
        """Its exit status. Events that were left are read."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {seconds} s") from None
        self.drain()
        return code

    def drain(self):
        for line in iter(lambda: self.lines.get(timeout=SECONDS), None):
            self.events.append(json.loads(line))
        self.lines.put(None)

    def end(self, number=signal.SIGTERM, seconds=SECONDS):
        """Asks it to end; the seconds it took."""
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.wait_end(seconds)
        check_equal(code, 0, "exit status")
        return time.monotonic() - start

    def stderr(self):
        return read(self.scratch.at("stderr"))

    def bus(self):
        """The address of the private bus."""
        for e in self.events:
            if e["type"] == "started":
                return e["text"].split(": ", 1)[1]
        raise Failed("it did not say its bus")

    def pid_of(self, daemon):
        pids = list(self.scratch.processes(f"mgmt-{daemon}"))
        return pids[0] if pids else None


def main(*cases):
    """Runs functions that take a Scratch; their doc strings are the names of the cases."""
    wanted = sys.argv[1:]
    cases = [c for c in cases if not wanted or any(fnmatch.fnmatch(c.__name__, w) for w in wanted)]
    n_failed = 0
    for n, case in enumerate(cases, 1):
        problem, skipped = None, ""
        with Scratch() as scratch:
            start = time.monotonic()
            try:
                case(scratch)
            except Skipped as e:
                skipped = f" # SKIP {e}"
            except (Failed, subprocess.TimeoutExpired) as e:
                problem = str(e)
            except Exception:
                problem = traceback.format_exc()
            seconds = time.monotonic() - start
            if problem:
                n_failed += 1
                stderr = read(scratch.at("stderr"))
                print("# " + problem.rstrip().replace("\n", "\n# "))
                if stderr:
                    print("# stderr: " + stderr.rstrip()[-2000:].replace("\n", "\n#   "))
        print(f"{'not ok' if problem else 'ok'} {n} - {case.__doc__.rstrip('.')} ({seconds:.2f} s){skipped}", flush=True)
    print(f"1..{len(cases)}")
    sys.exit(1 if n_failed else 0)
