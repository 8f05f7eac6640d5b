"""The sites that pages are looked at on: real `ringback` processes with something to look at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from running_site import Site
from sandbox_site import new_sandbox, used_sandbox
from server_site import new_server, old_server, used_server

SITES: Mapping[str, Callable[[], contextlib.AbstractContextManager[Site]]] = {
    "new sandbox": new_sandbox,
    "sandbox": used_sandbox,
    "new server": new_server,
    "server": used_server,
}
# What pictures are taken of has a past, which takes its time.
PICTURED = {**SITES, "server": old_server}
