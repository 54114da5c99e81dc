"""Publish and subscribe over Redis, by which processes that add tasks wake the workers of other processes.

Not a list: a message that no worker receives need not be kept, because the work itself is in the database, where
every worker looks every few seconds anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as failures

from moderate.errors import ServiceDown
from moderate.outbound.failures import CircuitBreaker, trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.ports import Clock

#: Seconds that a subscriber waits for a message before it asks whether it is to end.
WAIT = 1.0
#: redis-py raises ValueError, its oldest versions AttributeError, where another thread closes the client, as at the end
#: of the process.
_FAILURES = (failures.RedisError, failures.RedisClusterException, OSError, ValueError, AttributeError)


class WorkerChannel:
    """The channel on which workers are woken. A message that is missed costs a few seconds, until the next poll.

    *client* is a redis-py client with short time-outs and no retries; see `moderate.limits.redis.bounded`.
    *channel* returns the channel's name, and raises `ServiceDown` where it cannot be known yet. *is_ours* lets
    `close` close the client.
    """

    def __init__(self, client: Any, clock: Clock, channel: Callable[[], str], *, is_ours: bool = False) -> None:
        self._client = client
        self._channel = channel
        self._is_ours = is_ours
        # A request must not wait for a Redis that is down, not even the quarter of a second of a time-out.
        self._breaker = CircuitBreaker("redis", clock, failures=1, rest=10, most=60)

    def close(self) -> None:
        """Close the connections, unless the host has made them."""
        if self._is_ours:
            self._client.close()

    def publish(self) -> None:
        """Wake the workers. Never raises, and never waits for long."""
        try:
            self._breaker.enter()
            self._client.publish(self._channel(), b"")
        except ServiceDown:
            # Woken or not, workers find the task.
            return
        except _FAILURES:
            self._breaker.failed()
        else:
            self._breaker.succeeded()

    def subscribe(self, on_message: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Call *on_message* at each message until *is_over*, called every second, is True. Raises `ServiceDown`."""
        channel = self._channel()
        subscription = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(channel)
            # A message may have been published just before.
            on_message()
            while not is_over():
                if subscription.get_message(timeout=WAIT) is not None:
                    on_message()
        except _FAILURES as error:
            raise ServiceDown("redis", trouble(error, type(error).__name__)) from error
        finally:
            subscription.close()
