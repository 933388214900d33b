# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that stay ours from here to the end of the test, whoever listens on them, and also while nobody does. One that the kernel has given us
and that we give back is given to the next who asks for any; so these are none of those, and of all tests that run at the same time only one gets
each: the name of an abstract socket says that it is taken."""

import random
import socket

claims = []


def own_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low, high = map(int, f.read().split())
    ports = [p for p in range(10000, 65536) if not low <= p <= high] or range(10000, 65536)
    for port in random.sample(ports, len(ports)):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind(f"\0mgmt-test-port-{port}")
                s.bind(("", port))
            except OSError:
                claim.close()
                continue
        claims.append(claim)
        return port
    raise OSError("all ports are taken")
