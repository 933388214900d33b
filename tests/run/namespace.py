# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace in which loopback, bridges and links are ours, and which takes all of them along when it goes."""

import os
import subprocess
import sys


def enter_network_namespace():
    """Runs the script again in one, before anything else; where that is not allowed there is nothing to do."""
    if os.environ.get("MGMT_TEST_NAMESPACE") == "1":
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--"]
    tried = subprocess.run([*unshare, "true"], text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if tried.returncode:
        print(f"1..0 # SKIP no network namespace of our own: {tried.stderr.strip()}")
        sys.exit(0)
    os.environ["MGMT_TEST_NAMESPACE"] = "1"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
