"""Wakes workers of other processes through Redis.

Publish and subscribe, not a list: what nobody hears needs no keeping, because the work itself stands
in the database and every worker looks there every few seconds anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as failures

from moderate.errors import ServiceDown
from moderate.outbound.breaker import CircuitBreaker
from moderate.outbound.failures import trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.ports import Clock

#: Seconds for which a listener waits before it asks whether it is over.
PATIENCE = 1.0
#: redis-py raises ValueError, its oldest versions AttributeError, where another thread closes the client, as at the end
#: of the process.
_FAILURES = (failures.RedisError, failures.RedisClusterException, OSError, ValueError, AttributeError)


class RedisBell:
    """Wakes workers in other processes. A signal that is missed costs a few seconds, until the next poll.

    *client* is a redis-py client that neither waits long nor repeats; see `moderate.limits.redis.bounded`.

    *channel* returns the channel's name, and raises `ServiceDown` where it cannot be known yet; *is_ours* says that
    `close` may close the client.
    """

    def __init__(self, client: Any, clock: Clock, channel: Callable[[], str], *, is_ours: bool = False) -> None:
        self._client = client
        self._channel = channel
        self._is_ours = is_ours
        # A request must not wait for a Redis that is away, not even the quarter of a second of a time-out.
        self._breaker = CircuitBreaker("redis", clock, failures=1, rest=10, most=60)

    def close(self) -> None:
        """Close the connections, unless the host has made them."""
        if self._is_ours:
            self._client.close()

    def ring(self) -> None:
        """Signal that there is work. Never raises, and never waits for long."""
        try:
            self._breaker.enter()
            self._client.publish(self._channel(), b"")
        except (ServiceDown, *_FAILURES) as error:
            if not isinstance(error, ServiceDown):
                self._breaker.failed()
        else:
            self._breaker.succeeded()

    def listen(self, heard: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Call *heard* at each signal, until *is_over*, called every second, is True. Raises `ServiceDown`."""
        channel = self._channel()
        line = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            line.subscribe(channel)
            # Somebody may have rung before we were there to hear it.
            heard()
            while not is_over():
                if line.get_message(timeout=PATIENCE) is not None:
                    heard()
        except _FAILURES as error:
            raise ServiceDown("redis", trouble(error, type(error).__name__)) from error
        finally:
            line.close()
