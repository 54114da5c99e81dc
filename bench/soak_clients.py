"""The people and programs of `bench.soak`: who comments, pings, reads and decides, and what each was answered."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
import xmlrpc.client
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.soak_site import ARTICLES
from tests.servers import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.blogs import Blog
    from tests.servers import Gunicorn

SYLLABLES = ("ba", "con", "di", "fer", "gu", "ham", "jo", "kil", "lo", "mus", "ne", "pil", "ra", "sto", "ti", "wen")
WORDS = ["".join(three) for three in itertools.product(SYLLABLES, repeat=3)]
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
#: Pingback says with 200 that it does not work for the moment.
PINGBACK_UNAVAILABLE = "<name>faultCode</name><value><int>50</int></value>"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Ledger:
    """The answers that the clients got. Safe for threads."""

    #: Ids and texts of acknowledged comments, by their idempotency keys.
    comments: dict[str, tuple[int, str]] = field(default_factory=dict)
    #: Protocols of acknowledged pings, by their sources.
    pings: dict[str, str] = field(default_factory=dict)
    #: Moderator, item and version of each acknowledged decision, and of each undo.
    decisions: list[tuple[str, int, int]] = field(default_factory=list)
    #: Texts of comments that were given up without an answer when the time was over.
    given_up: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    #: Answers that no outage explains.
    odd: list[str] = field(default_factory=list)
    #: Seconds of the longest time without a good answer, by the ports of web servers.
    outages: dict[int, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        with self.lock:
            self.counts[name] += 1

    def note_outage(self, port: int, seconds: float) -> None:
        with self.lock:
            self.outages[port] = max(self.outages.get(port, 0.0), seconds)


class Client:
    """One program that sends requests to one web server, and measures for how long it gets no good answer."""

    def __init__(self, ledger: Ledger, server: Gunicorn, address: str, token: str = "") -> None:
        self.ledger = ledger
        self._server = server
        # As the proxy in front of the site would send it.
        self._fields = {"Connection": "close", "X-Forwarded-For": address}
        if token:
            self._fields["Authorization"] = f"Bearer {token}"
        self._failing_since: float | None = None

    def ask(
        self, method: str, path: str, body: str | None = None, fields: Mapping[str, str] = {}
    ) -> tuple[int, str] | None:
        """Return status and text of the answer; None where there was none, or it was to try again later (503)."""
        began = time.monotonic()
        answer = self._exchange(method, path, body, {**self._fields, **fields})
        if answer is None or answer[0] == HTTPStatus.SERVICE_UNAVAILABLE or PINGBACK_UNAVAILABLE in answer[1]:
            self.ledger.count("no answer" if answer is None else "503")
            self._failing_since = self._failing_since or began
            return None
        if self._failing_since is not None:
            self.ledger.note_outage(self._server.port, time.monotonic() - self._failing_since)
            self._failing_since = None
        if answer[0] >= 500:
            self.odd(method, path, answer)
        return answer

    def odd(self, method: str, path: str, answer: tuple[int, str]) -> None:
        self.ledger.odd.append(f"{method} {path}: {answer[0]} {answer[1][:300]}")

    def json(self, method: str, path: str, sent: object, **fields: str) -> tuple[int, Any] | None:
        answer = self.ask(method, path, json.dumps(sent) if sent is not None else None, {**JSON, **fields})
        return None if answer is None else (answer[0], json.loads(answer[1]))

    def _exchange(self, method: str, path: str, body: str | None, fields: Mapping[str, str]) -> tuple[int, str] | None:
        line = http.client.HTTPConnection(HOST, self._server.port, timeout=60)
        try:
            line.request(method, f"/discuss{path}", body.encode() if body is not None else None, dict(fields))
            answer = line.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()


class Crowd:
    """Threads that comment, ping, read and decide until they are stopped."""

    def __init__(self, ledger: Ledger, blog: Blog, pace: float) -> None:
        """*pace* is how many seconds a client waits between two of its acts, on average."""
        self._ledger, self._blog, self._pace = ledger, blog, pace
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def add(self, act: Callable[[], None]) -> None:
        """Have *act* repeated in a thread."""
        self._threads.append(threading.Thread(target=self._repeat, args=(act,), daemon=True))

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a client never got an answer"
        if self._errors:
            raise self._errors[0]

    def _repeat(self, act: Callable[[], None]) -> None:
        try:
            while not self._over.is_set():
                act()
                self._over.wait(random.expovariate(1 / self._pace))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._errors.append(error)

    def _tries(self) -> Iterator[None]:
        """Tries until there is an answer, some more of them after the end so that nothing stays open."""
        yield
        until: float | None = None
        while until is None or time.monotonic() < until:
            if until is None and self._over.is_set():
                until = time.monotonic() + 60
            time.sleep(random.uniform(0.1, 0.6))
            yield
        self._ledger.given_up += 1

    def commenter(self, client: Client) -> Callable[[], None]:
        """Send a comment until it is acknowledged, always under its one key, and now and then once more."""

        def comment() -> None:
            text = sentence(40)
            key = f"key-{random.getrandbits(64):x}"
            sent = {"author": f"Mika {random.randrange(1000)}", "text": text}
            path = f"/comments/{random.choice(list(ARTICLES))}"
            self._ledger.count("comments sent")
            for _ in self._tries():
                answer = client.json("POST", path, sent, **{"Idempotency-Key": key})
                if answer is None:
                    continue
                if answer[0] not in {201, 202}:
                    client.odd("POST", path, (answer[0], str(answer[1])))
                    return
                known = self._ledger.comments.setdefault(key, (answer[1]["id"], text))
                if known[0] != answer[1]["id"]:
                    client.odd("POST", path, (answer[0], f"stored as {known[0]} and {answer[1]['id']}"))
                if random.random() > 0.1:
                    return

        return comment

    def blogger(self, client: Client) -> Callable[[], None]:
        """Write a post that links to an article, and send a ping about it by one of the three protocols."""

        def ping() -> None:
            article = ARTICLES[random.choice(list(ARTICLES))]
            source = self._blog.write(
                f"/post-{random.getrandbits(64):x}",
                f'<title>{sentence(4)}</title><p>{sentence(20)} <a href="{article.url}">there</a> {sentence(20)}</p>',
            )
            protocol = random.choice(["trackback", "pingback", "webmention"])
            path, body, fields, success = call_of(protocol, source, article.key, article.url)
            self._ledger.count("pings sent")
            for _ in self._tries():
                answer = client.ask("POST", path, body, fields)
                if answer is None:
                    continue
                if success in answer[1] and answer[0] in {200, 201}:
                    self._ledger.pings[source] = protocol
                else:
                    client.odd("POST", path, answer)
                return

        return ping

    def reader(self, client: Client) -> Callable[[], None]:
        def read() -> None:
            client.ask("GET", f"/comments/{random.choice(list(ARTICLES))}")
            client.ask("GET", "/counts?" + urlencode([("article", key) for key in ARTICLES]))
            client.ask("GET", "/health")

        return read

    def moderator(self, client: Client, name: str) -> Callable[[], None]:
        """Look at the newest of what waits, decide on one or on several, and take every fourth decision back."""

        def decide() -> None:
            found = client.json("GET", "/moderation/items?status=pending&awaiting=moderator&limit=20", None)
            if found is None or not found[1]["items"]:
                return
            some = random.sample(found[1]["items"], min(len(found[1]["items"]), random.randint(1, 3)))
            sent = {
                "decision": random.choice(["approve", "approve", "spam", "trash"]),
                "items": [{"id": item["id"], "version": item["version"]} for item in some],
            }
            answer = client.json("POST", "/moderation/decisions", sent)
            changed = self._note(name, answer, "decided")
            # Others may have decided on all of it before.
            if answer is not None and changed and random.random() < 0.25:
                undone = client.json("POST", "/moderation/undo", {"batch": answer[1]["batch"]})
                self._note(name, undone, "undone")

        return decide

    def _note(self, name: str, answer: tuple[int, Any] | None, act: str) -> int:
        """Note what was decided or undone, and return how many items that has changed."""
        if answer is None:
            return 0
        if answer[0] != HTTPStatus.OK:
            self._ledger.odd.append(f"{act}: {answer}")
            return 0
        changed = [one for one in answer[1][act] if one["changed"]]
        with self._ledger.lock:
            self._ledger.decisions += [(name, one["id"], one["version"]) for one in changed]
            self._ledger.counts[act] += len(changed)
        return len(changed)


def call_of(protocol: str, source: str, key: str, target: str) -> tuple[str, str, Mapping[str, str], str]:
    """Return path, body, header fields and the sign of success of a ping."""
    if protocol == "trackback":
        body = urlencode({"url": source, "title": sentence(4), "excerpt": sentence(20)})
        return f"/trackback/{key}", body, FORM, "<error>0</error>"
    if protocol == "pingback":
        call = xmlrpc.client.dumps((source, target), "pingback.ping")
        return "/pingback", call, {"Content-Type": "text/xml"}, "<params>"
    return "/webmention", urlencode({"source": source, "target": target}), FORM, ""


def sentence(words: int) -> str:
    """A text like no other: repeats would be held as such."""
    return " ".join(random.choices(WORDS, k=words))
