"""More of Redis for the tests of limits: pausing, passwords, sockets, replicas, a Cluster, Sentinel.

Everything is a real redis-server of the test's own, as `tests.servers` starts them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Self

import redis

from tests.servers import HOST, Redis, free_port, program, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


#: The end of an address for tests in which Redis is to answer, however long the machine pauses.
PATIENT = "?socket_timeout=10&socket_connect_timeout=10"


class PausableRedis(Redis):
    """A redis-server that can hang (SIGSTOP) and wake up again, and listens on a unix socket as well."""

    @property
    def socket_path(self) -> Path:
        return self.folder / "redis.sock"

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "--unixsocket", str(self.socket_path)]

    def answers(self) -> bool:
        # A server with a password says NOAUTH, and is up.
        with contextlib.suppress(OSError):
            return self._say(b"PING").startswith((b"+PONG", b"-NOAUTH"))
        return False

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def client(self, **settings: object) -> redis.Redis:
        """A plain client with patience, for looking into the server."""
        return redis.Redis(host=HOST, port=self.port, socket_timeout=5, **settings)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
        super().stop()


class RedisCluster(contextlib.ExitStack):
    """Three primaries that share all slots, on this machine."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.nodes = [self._node() for _ in range(3)]
        addresses = [f"{HOST}:{node.port}" for node in self.nodes]
        cli = program("redis-cli", "redis-tools")
        made = [cli, "--cluster", "create", *addresses, "--cluster-yes"]
        subprocess.run(made, check=True, capture_output=True, timeout=60)
        wait_until(lambda: all(self._is_ready(node) for node in self.nodes), within=30)
        return self

    @property
    def port(self) -> int:
        return self.nodes[0].port

    def _node(self) -> Redis:
        # Its bus has the port that is higher by 10,000, which is none that the kernel gives out by itself either.
        node = Redis("--cluster-enabled", "yes", "--cluster-node-timeout", "30000")
        node.port = free_port()
        return self.enter_context(node)

    @staticmethod
    def _is_ready(node: Redis) -> bool:
        with redis.Redis(host=HOST, port=node.port) as client:
            facts = client.cluster("INFO")
        return facts["cluster_state"] == "ok" and facts["cluster_slots_ok"] == "16384"


class Sentinel(Redis):
    """A Sentinel that watches one primary under the name ``main`` and fails over within a second or two."""

    def __init__(self, primary_port: int) -> None:
        super().__init__()
        self._primary_port = primary_port

    def command(self) -> Sequence[str | Path]:
        conf = self.folder / "sentinel.conf"
        conf.write_text(
            f"port {self.port}\nbind {HOST}\ndir {self.folder}\n"
            f"sentinel monitor main {HOST} {self._primary_port} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        return [self.program, conf, "--sentinel"]


@contextlib.contextmanager
def monitored(client: redis.Redis) -> Iterator[list[str]]:
    """The commands that clients sent in the meantime, as MONITOR saw them; what a script calls is left out."""
    seen: list[str] = []
    with client.monitor() as monitor:
        client.echo("from here")
        heard = (entry for entry in monitor.listen() if entry["client_type"] != "lua")
        next(entry for entry in heard if entry["command"] == "ECHO from here")
        yield seen
        client.echo("to here")
        commands = (entry["command"] for entry in heard)
        seen.extend(itertools.takewhile(lambda command: command != "ECHO to here", commands))
