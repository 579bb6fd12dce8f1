"""Who holds a unit: a name that tells a service on this machine that the owner is dead."""

import os
import socket
import uuid
from pathlib import Path


def _namespace() -> str:
    """Return what tells the processes of this container from those of another of the same host name."""
    try:
        return f"{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return "0"


def owner_name() -> str:
    """Return a name for this service: host, process namespace, process, and a token."""
    return f"{socket.gethostname()}-{_namespace()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def is_dead(owner: str) -> bool:
    """Return whether an owner was a process of this machine that is no more; of others only their lease tells."""
    host, *rest = owner.rsplit("-", 3)
    if host != socket.gethostname() or len(rest) != 3 or rest[0] != _namespace() or not rest[1].isdigit():
        return False
    try:
        os.kill(int(rest[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
