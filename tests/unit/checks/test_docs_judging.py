"""The page about judging says what the code does."""

from __future__ import annotations

import re

from moderate import wave_ended, wave_started
from moderate.checks import history
from moderate.checks.order import CHECKS
from moderate.learned import check as learned
from moderate.tasks.run import FIRST_RETRY, PATIENCE
from moderate.tasks.scheduler import LEASE
from moderate.tasks.worker import POLL
from moderate.text.similarity import LEAST_WORDS
from moderate.waves import watch as waves
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "judging.md").read_text(encoding="utf-8")


def test_the_page_names_every_check_in_its_order() -> None:
    table = PAGE.partition("## The checks, in their order")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == [check.name for check in CHECKS]


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    said = [
        f"{waves.ON_ARTICLE} such items came on one article",
        f"nearly the same text came {waves.OF_TEXT} times",
        f"{waves.OF_SENDERS} different senders",
        f"{waves.ON_SITE} came on the whole site",
        "four fifths",
        "counted for ten minutes",
        "Half an hour after",
        "shrink to a quarter",
        "within three seconds",
        f"in the last {history.RECORD.days} days",
        "from the third nearly equal one on",
        "spam when it was posted on five articles",
        "A text of eight or more words of four letters or more",
        "until it has learned from ten decisions of each kind",
        "the first time within 20 minutes",
        "after three days it goes to a moderator",
        "leases it for two minutes",
    ]
    assert [words for words in said if words not in PAGE] == []
    assert "look every five seconds" in (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    numbers = (waves.SHARE, waves.WINDOW, waves.LASTS.seconds, waves.STRICTER, waves.FRESH)
    assert (*numbers, history.NEARLY, history.FLOOD) == (0.8, 600, 1800, 4, 3, 2, 5)
    assert (LEAST_WORDS, learned.LEAST, FIRST_RETRY.seconds, PATIENCE.days, LEASE, POLL) == (
        8,
        10,
        1200,
        3,
        120,
        5,
    )


def test_the_example_of_the_page_runs() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "docs/judging.md", "exec"), names)
    assert names["tell"] in [receiver() for receiver in wave_started.receivers.values()]
    wave_started.disconnect(names["tell"])  # type: ignore[arg-type]
    assert wave_ended.name == "moderate-wave-ended"
