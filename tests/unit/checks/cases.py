"""Submissions and facts for tests of checks, with only what a test is about."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moderate.checks.base import Facts
from moderate.model import Article, Body, Client, Kind, Status, Submission
from moderate.settings import Settings
from moderate.testing import ManualClock
from moderate.text.similarity import Alike
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pytest

    from moderate.text.similarity import NearText

ARTICLE = Article(key="ferry", title="The new ferry", url="https://news.example.org/2026/ferry")
WRITING_A_CHECK = (ROOT / "docs" / "writing-a-check.md").read_text(encoding="utf-8")
#: The blocks of code on that page.
EXAMPLES = re.findall(r"^```python\n(.*?)^```", WRITING_A_CHECK, re.MULTILINE | re.DOTALL)


class Past:
    """The earlier items that a check can see. See the port `Earlier`."""

    def __init__(
        self, seen: Sequence[tuple[Kind, Status, str]] = (), record: Mapping[str, Mapping[Status, int]] | None = None
    ) -> None:
        self.seen = seen
        self.record = record or {}
        self.since: datetime | None = None
        self.alike: list[Alike] = []
        self.public: list[str] = []

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        self.since = since
        return self.seen

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        self.since = since
        same = [Alike(-number, *entry[:2], entry[2], text_key, near.simhash) for number, entry in enumerate(self.seen)]
        return [*same, *self.alike]

    def newest_public(self, most: int) -> Sequence[str]:
        return self.public[-most:]

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        self.since = since
        return self.record.get(author_id, {})


def comment(text: str = "What a day, and what a ferry.", **changes: Any) -> Submission:
    """A comment as the cleaner leaves it."""
    links = changes.pop("links", ())
    client = Client(ip=changes.pop("ip", "203.0.113.9"), user_agent="Mozilla/5.0")
    made = Submission(
        kind=Kind.COMMENT,
        article=ARTICLE,
        client=client,
        body=Body(raw=text, html="", policy="test", links=tuple(links)),
        author="Åsa",
        text_key=hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest(),
    )
    return replace(made, **changes)


def ping(text: str = "[…] they wrote about the ferry […]", **changes: Any) -> Submission:
    """A trackback."""
    given = {"kind": Kind.TRACKBACK, "source_url": "https://blog.example.net/ferry", "author": "", **changes}
    return comment(text, **given)


def settings(**changes: Any) -> Settings:
    return replace(Settings.from_config({}), **changes)


def facts(**changes: Any) -> Facts:
    clock = changes.pop("clock", None) or ManualClock()
    given: dict[str, Any] = {
        "premoderation": "none",
        "now": clock.now(),
        "earlier": Past(),
        "settings": settings(),
        **changes,
    }
    return Facts(article=ARTICLE, clock=clock, **given)


def run_examples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the code of the page about writing a check in *folder*, and return what it defines."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JUDGE_KEY", "a-secret-key")
    names: dict[str, Any] = {"__name__": "example"}
    for block in EXAMPLES:
        exec(compile(block, "docs/writing-a-check.md", "exec"), names)
    return names
