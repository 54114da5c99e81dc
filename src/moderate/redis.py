"""Redis: its clients, the rate limits that all processes and hosts share, and the channel that wakes workers.

Clients never repeat a command: one that timed out may have been carried out, and would then be counted twice.
"""

from __future__ import annotations

import contextlib
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import ConnectionPool, Redis
from redis import exceptions as failures
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from moderate.errors import ServiceDown
from moderate.limits.rates import SECOND, Taken
from moderate.outbound.failures import CircuitBreaker, tls_trouble, trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from moderate.limits.rates import Bucket
    from moderate.ports import Clock


TIMEOUT = 0.25
"""Seconds that one answer of Redis may take, and that a connection may take to open."""

#: Part of Redis's ``maxmemory`` from which its memory counts as nearly full.
NEARLY_FULL = 0.9

_SCRIPT = resources.files("moderate.limits").joinpath("take.lua").read_text("utf-8")
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


def connect(url: str) -> Redis:
    """Return a client for ``redis://``, ``rediss://`` (TLS) or ``unix://`` with short time-outs and no retries.

    Nothing is sent yet. Query arguments such as ``?socket_timeout=0.5&max_connections=20`` override the
    defaults. Raises `ValueError` for any other scheme or argument, and for a password with an unencoded @: the
    rest of it would be taken for a host, and shown in errors.
    """
    parts = urlsplit(url)
    if "@" in f"{parts.path}?{parts.query}#{parts.fragment}":
        raise ValueError("percent-encode the password")
    client = Redis.from_url(
        url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        # Without retries a health check could not save a command, only add a round trip of its own.
        health_check_interval=0,
    )
    pool = client.connection_pool
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError:
        raise ValueError("unknown argument") from None
    return client


def refuse_client(client: object) -> None:
    """Raise `TypeError` for a *client* from a host that cannot be used, with what is accepted."""
    kind = type(client)
    is_async = any(base.__module__.startswith("redis.asyncio") for base in kind.__mro__)
    if is_async or isinstance(client, type) or not callable(getattr(client, "evalsha", None)):
        name = f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(
            f"Moderate(redis={name}) is not usable: accepted is a redis-py client (plain, of a Sentinel or "
            "RedisCluster; not one of redis.asyncio), a callable without arguments that returns one, or an "
            "address such as 'redis://host:6379/0'"
        )


def bounded(client: Any) -> Any:
    """Return a redis-py client for the server of a host's *client*, with short time-outs and no retries.

    redis-py's own defaults would hold up a request for many seconds and count it several times. The host's
    client is left as it is. A Cluster client is returned itself, and so is one with time-outs and no retries,
    which the host has chosen.
    """
    settings = _connection_settings(client)
    pool = getattr(client, "connection_pool", None)
    chosen = settings.get("socket_timeout") is not None and not _retries(client, settings)
    if chosen or not isinstance(pool, ConnectionPool):
        return client
    ours = {name: value for name, value in settings.items() if not name.startswith(_BOUND_TO_ITS_POOL)}
    ours |= {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
    ours |= {"retry_on_timeout": False, "retry_on_error": [], "health_check_interval": 0}
    ours["connection_class"] = pool.connection_class
    if isinstance(pool, SentinelConnectionPool):
        ours |= {"is_master": pool.is_master, "check_connection": pool.check_connection}
        make: Callable[..., ConnectionPool] = SentinelConnectionPool
        return Redis.from_pool(make(pool.service_name, pool.sentinel_manager, **ours))
    return Redis.from_pool(ConnectionPool(**ours))


# Settings that a pool adds to those of its connections, and that another pool must not get.
_BOUND_TO_ITS_POOL = ("connection_pool", "maint_notifications", "oss_cluster", "orig_", "himport", "event_dispatcher")


class RedisLimiter:
    """A `Limiter` in Redis: one EVALSHA per decision, whatever the number of buckets.

    All keys carry one hash tag, so that Redis Cluster keeps them on one node.

    A client without time-outs or with retries is replaced by `bounded` connections to the same server; for a
    Cluster client that cannot be done, and `advice` says what to give it. *is_ours* lets `close` close *client*.
    """

    def __init__(self, client: Any, prefix: str = "moderate", *, is_ours: bool = False) -> None:
        if set("{}") & set(prefix):
            raise ValueError("prefix: text without braces")
        self._client = bounded(client)
        self._is_ours = is_ours or self._client is not client
        self._tag = f"{{{prefix}}}:"

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        if not buckets:
            return Taken(0.0)
        keys = [self._tag + bucket.key for bucket in buckets]
        costs = b"".join([bucket.rate.packed for bucket in buckets])
        asked = (*keys, costs) if spend else (*keys, costs, "look")
        try:
            try:
                reply = self._client.evalsha(_SHA, len(keys), *asked)
            except failures.NoScriptError:
                # The server was restarted or its scripts were flushed; nothing has run. EVAL carries the text along.
                reply = self._client.eval(_SCRIPT, len(keys), *asked)
        except _OR_CLOSED as error:
            raise ServiceDown("redis", reason_of(error)) from error
        wait, *debts = map(int, reply.split())
        return Taken(wait / SECOND, buckets, debts)

    def describe(self) -> str:
        """Return the server's name, version, mode and address, without a password.

        For a Redis user who may not run INFO it is the address alone.
        """
        facts = self._facts()
        if not facts:
            return f"Redis at {self._address()}"
        name = "Valkey" if "valkey_version" in facts else "Redis"
        version = facts.get("valkey_version") or facts.get("redis_version", "of unknown version")
        return f"{name} {version} ({_mode(facts)}) at {self._address()}"

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = self._client.info()
        except _FAILURES:
            return {}
        if "redis_version" in facts:
            return facts
        # A Cluster client may answer per node.
        return next((node for node in facts.values() if isinstance(node, dict)), {})

    def advice(self) -> tuple[str, ...]:
        """Return one sentence for each property of the client that could hold up requests or count twice."""
        said = []
        settings = _connection_settings(self._client)
        waits = (settings.get("socket_timeout"), settings.get("socket_connect_timeout"))
        if any(wait is None or wait > 2 * TIMEOUT for wait in waits):
            said.append(f"give the Redis client socket_timeout={TIMEOUT} and socket_connect_timeout={TIMEOUT}")
        if _retries(self._client, settings):
            said.append("give the Redis client retry=Retry(NoBackoff(), 0): a repeated command counts twice")
        if isinstance(self._client, Redis) and _mode(self._facts()) == "cluster":
            said.append(_ONE_NODE)
        return tuple(said)

    def remarks(self) -> tuple[str, ...]:
        """Return what full memory and a restart do to the counts, one sentence each, as far as INFO tells."""
        facts = self._facts()
        return (*on_memory(facts), *self._on_persistence(facts))

    def _on_persistence(self, facts: dict[str, Any]) -> Iterator[str]:
        if facts.get("rdb_last_bgsave_status", "ok") != "ok" or facts.get("aof_last_write_status", "ok") != "ok":
            yield "Warning: its last write to disk failed; it may refuse writes until its disk has room."
        saves, config_get = None, getattr(self._client, "config_get", None)
        if callable(config_get):
            with contextlib.suppress(*_FAILURES):
                saves = config_get("save").get("save")
        if saves == "" and facts.get("aof_enabled") == 0:
            yield "It keeps nothing on disk, which is fine: after a restart the budgets are full again."

    def close(self) -> None:
        """Close the connections, unless they belong to the host's client."""
        if self._is_ours:
            self._client.close()

    def _address(self) -> str:
        settings = _connection_settings(self._client)
        if "path" in settings:
            return f"unix://{settings['path']}"
        if "host" in settings:
            return f"{settings['host']}:{settings.get('port', 6379)}/{settings.get('db') or 0}"
        return type(self._client).__name__


def on_memory(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the effect of full memory (``maxmemory``) on limits, and a warning where it is nearly full."""
    most, used = facts.get("maxmemory", 0), facts.get("used_memory", 0)
    if not most:
        return
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        yield "When its memory is full it refuses writes (noeviction), and MODERATE_LIMITER_OUTAGE holds."
    else:
        yield f"When its memory is full it evicts counts of limits ({policy}), which gives budgets back early."
    if used >= NEARLY_FULL * most:
        yield f"Warning: its memory is nearly full ({used * 100 // most} % of maxmemory)."
    if facts.get("evicted_keys", 0):
        yield f"It has evicted {facts['evicted_keys']} keys since its start."


# --- waking workers -------------------------------------------------------------------------------

#: Seconds that a subscriber waits for a message before it asks whether it is to end.
WAIT = 1.0

#: Seconds after a message in which its process sends no other. Workers look again twice as long after a message, and
#: so find what was written meanwhile.
QUIET = 0.1


class WorkerChannel:
    """The channel by which processes that add tasks wake the workers of other processes.

    Not a list: a message that no worker receives need not be kept, because the work itself is in the database, where
    every worker looks every few seconds anyway.

    *client* is a redis-py client with short time-outs and no retries; see `bounded`.
    *channel* returns the channel's name, and raises `ServiceDown` where it cannot be known yet. *is_ours* lets
    `close` close the client.
    """

    def __init__(self, client: Any, clock: Clock, channel: Callable[[], str], *, is_ours: bool = False) -> None:
        self._client = client
        self._channel = channel
        self._is_ours = is_ours
        # A request must not wait for a Redis that is down, not even the quarter of a second of a time-out.
        self._breaker = CircuitBreaker("redis", clock, failures=1, rest=10, most=60)
        self._clock = clock
        self._quiet_until = float("-inf")

    def close(self) -> None:
        """Close the connections, unless the host has made them."""
        if self._is_ours:
            self._client.close()

    def publish(self) -> None:
        """Wake the workers, unless they were woken within `QUIET`. Never raises, and never waits for long."""
        now = self._clock.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + QUIET
        try:
            self._breaker.enter()
            self._client.publish(self._channel(), b"")
        except ServiceDown:
            # Woken or not, workers find the task.
            return
        except _OR_CLOSED:
            self._breaker.failed()
        else:
            self._breaker.succeeded()

    def subscribe(self, on_message: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Call *on_message* at each message, and soon after it, until *is_over* is True. Raises `ServiceDown`.

        *is_over* is called every second.
        """
        channel = self._channel()
        # The answer to the subscription counts as one: a message may have been published just before.
        subscription = self._client.pubsub()
        try:
            subscription.subscribe(channel)
            is_to_follow = False
            while not is_over():
                is_message = subscription.get_message(timeout=2 * QUIET if is_to_follow else WAIT) is not None
                if is_message or is_to_follow:
                    on_message()
                is_to_follow = is_message
        except _OR_CLOSED as error:
            raise ServiceDown("redis", trouble(error, type(error).__name__)) from error
        finally:
            subscription.close()


# --- failures -------------------------------------------------------------------------------------


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure in words for logs and operators, without any secret."""
    if secured := tls_trouble(error):
        return secured
    for kind, words in _REASONS:
        if isinstance(error, kind):
            return words
    text = str(error)
    for part, words in _BY_TEXT:
        if part in text:
            return words
    if "refused" in text:
        return "the connection was refused: is the server running there?"
    return trouble(error, f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__)


_FAILURES = (failures.RedisError, failures.RedisClusterException, OSError)
# redis-py raises ValueError, its oldest versions AttributeError, where another thread closes the client, as at the end
# of the process.
_OR_CLOSED = (*_FAILURES, ValueError, AttributeError)

_ONE_NODE = "this is one node of a Redis Cluster: hand a RedisCluster client to Moderate(redis=…)"
_NO_RIGHTS = (
    "this user may not run scripts on these keys (NOPERM): check its ACL, which has to allow "
    "+evalsha +eval +time +mget +set ~{moderate}:* (in the braces MODERATE_REDIS_PREFIX where it is set)"
)

# Reasons by a part of the reply's text, for replies without a class of their own.
_BY_TEXT = (
    ("DB index is out of range", "it has no database of that number: check the end of MODERATE_REDIS_URL"),
    ("max number of clients", "it takes no more connections (maxclients)"),
    ("protected mode", "it takes connections from its own machine only (protected mode): give it a password"),
    ("Protocol Error", "what is there does not speak Redis's protocol: check the host and the port"),
    # Without a class in redis-py 5.
    ("MOVED ", _ONE_NODE),
    ("CROSSSLOT", _ONE_NODE),
    ("ACL failure", _NO_RIGHTS),
    ("executing the script can't", _NO_RIGHTS),
    ("has no permissions", _NO_RIGHTS),
    ("MISCONF", "it refuses to be written, because it cannot save to its disk (MISCONF)"),
    ("NOREPLICAS", "it refuses to be written, because it has too few replicas (NOREPLICAS)"),
)

# The first match counts; subclasses come before their parents.
_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (failures.TimeoutError, "no answer in time"),
    (failures.NoPermissionError, _NO_RIGHTS),
    ((failures.MovedError, failures.AskError, failures.ClusterCrossSlotError), _ONE_NODE),
    (
        (failures.AuthenticationError, failures.AuthorizationError, failures.AuthenticationWrongNumberOfArgsError),
        "wrong credentials: check the user and the password",
    ),
    (failures.ReadOnlyError, "this server is a read-only replica (READONLY): give the primary's address"),
    (failures.BusyLoadingError, "it is still loading its data"),
    (failures.MaxConnectionsError, "all connections of the pool are in use"),
    (failures.OutOfMemoryError, "its memory is full (maxmemory)"),
    (failures.MasterDownError, "the replica has lost its primary"),
    (failures.ClusterDownError, "the cluster is down"),
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "the connection was refused: is the server running there?"),
)


def _mode(facts: dict[str, Any]) -> str:
    return str(facts.get("redis_mode") or facts.get("server_mode") or "standalone")


def _connection_settings(client: object) -> dict[str, Any]:
    owner = getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None)
    settings: dict[str, Any] = getattr(owner, "connection_kwargs", {})
    return settings


def _retries(client: object, settings: dict[str, Any]) -> int:
    retry = getattr(client, "retry", None) or settings.get("retry")
    return int(getattr(retry, "_retries", 0)) if retry is not None else 0
