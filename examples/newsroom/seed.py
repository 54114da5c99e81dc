"""Comments and pings for a new site: threads, pings of each kind, and a morning's work for the moderator.

Everything goes in by moderate's own door, `submit` and `decide`, under a clock that stands at the moment of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from examples.newsroom.app import create_app
from examples.newsroom.articles import BY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moderate import Moderate

EDITOR = "Aoki Ren"

TRAM = "2026/01/13/night-tram"
SNOW = "2026/01/13/first-snow"
TWENTY = "2026/01/12/coming-of-age"
LIBRARY = "2026/01/11/sento"
YUZU = "2026/01/10/yuzu"
BOARDS = "2026/01/09/repair-cafe"
MARKET = "2026/01/08/market"


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing that came in. `minutes` count from the article's publication; without them it came this morning."""

    article: str
    text: str
    author: str = ""
    minutes: int | None = None
    decision: str | None = "approve"
    #: Names this one, or the one that it answers.
    name: str = ""
    answers: str = ""
    more: tuple[tuple[str, str], ...] = ()


def ping(kind: str, article: str, source_url: str, title: str, text: str, **where: Any) -> Sent:
    more = (("kind", kind), ("source_url", source_url), ("title", title), *where.pop("more", ()))
    return Sent(article, text, more=more, **where)


SENT: Sequence[Sent] = (
    Sent(
        TRAM,
        "I close a kitchen at the pier at half past midnight and have walked home over the bridge for nine years. "
        "Whoever did this: <strong>thank you</strong>.",
        "Hoshino",
        minutes=14,
        name="kitchen",
    ),
    Sent(
        TRAM,
        "Which kitchen? Asking because I will need somewhere to wait for the tram now.",
        "Tegata resident",
        minutes=31,
        name="which",
        answers="kitchen",
    ),
    Sent(
        TRAM,
        "The one with the blue lantern, under the old crane. 青い提灯の店です。",
        "Hoshino",
        minutes=52,
        answers="which",
    ),
    Sent(
        TRAM,
        "The article says the city expects two hundred passengers a night:\n\n"
        "<blockquote>¥48 million for the trial</blockquote>\n\n"
        "Over six months that is about ¥1,300 a ride. A taxi voucher would be cheaper. Has anybody seen the numbers? "
        "The council papers ought to be at https://tsukimori.example/council/2026-01.",
        "K. Brandt",
        minutes=75,
        name="numbers",
        more=(("url", "https://brandt.example/"),),
    ),
    Sent(
        TRAM,
        "They are in appendix 4. The ¥48 million include the rubber pads, which stay when the trial ends.",
        "Depot watcher",
        minutes=140,
        answers="numbers",
        name="appendix",
    ),
    Sent(TRAM, "Good. I take back half of it.", "K. Brandt", minutes=155, answers="appendix"),
    Sent(TRAM, "夜勤明けに助かります。できれば土曜だけでも朝まで走ってほしい。", "潮見の看護師", minutes=680),
    ping(
        "trackback",
        TRAM,
        "https://pierkitchen.example/journal/after-midnight",
        "After midnight",
        "From February our last guests can stay for the second pot of tea. The Times has the timetable.",
        minutes=240,
        more=(("blog_name", "Pier Kitchen Journal"),),
    ),
    ping(
        "pingback",
        TRAM,
        "https://rails.example/2026/01/14/tsukimori-line-2",
        "Tsukimori's Line 2 will run late",
        "[…] one car, one driver, every thirty minutes: the smallest night service in the country […]",
        minutes=900,
    ),
    ping(
        "webmention",
        TRAM,
        "https://hoshi.example/notes/118",
        "Note 118",
        "I will be on that first tram on 1 February. Bring a lantern.",
        minutes=1300,
    ),
    Sent(SNOW, "You can see it from the roof of the library. Bring gloves.", "Matsuda", minutes=40),
    Sent(SNOW, "Latest since 1931, and the plum in our yard has buds. 梅のつぼみがもう。", "Yone", minutes=95),
    Sent(
        TWENTY,
        "My grandmother came. It was four hundred metres. That was the best part of the day.",
        "Sakura T.",
        minutes=30,
        name="grandmother",
    ),
    Sent(
        TWENTY,
        "Ours too! She had not seen a ceremony since my uncle's in 1979.",
        "Emi",
        minutes=55,
        answers="grandmother",
    ),
    Sent(
        LIBRARY,
        "I learned to swim in that tub, more or less. Glad that Fuji-san stays.",
        "Former regular",
        minutes=200,
    ),
    ping(
        "trackback",
        LIBRARY,
        "https://tiles.example/matsunoyu",
        "The tiles of Matsu-no-yu",
        "Forty photographs of the painted wall, taken the week before the shelves came. 松の湯のタイル絵。",
        minutes=2000,
        more=(("blog_name", "Tile Diary タイル日記"),),
    ),
    Sent(
        YUZU, "“Only the smell” is a fair verdict and I will not hear a word against it.", "Lunch monitor", minutes=25
    ),
    Sent(
        BOARDS,
        "The line was <code>minutes = seconds // 60</code>. I have three of these in my own program.",
        "m_ota",
        minutes=12,
    ),
    # This morning's work.
    Sent(
        TRAM,
        "Will the 00:40 wait for the ferry from Awashima? It has been late every evening this week.",
        "Ferry passenger",
        decision=None,
        more=(("email", "ferry@example.org"),),
    ),
    Sent(
        TRAM,
        "My cousin sells LED lanterns for night walkers, see https://lanterns.example/shop, "
        "https://lanterns.example/sale and https://lanterns.example/wholesale. Mention the Times for five per cent.",
        "Lantern Lee",
        decision=None,
        more=(("url", "https://lanterns.example/"),),
    ),
    Sent(
        LIBRARY,
        "Does the chimney really smoke on the tenth of October? 10月10日、本当に煙が出ますか。",
        "Curious",
        decision=None,
    ),
    ping(
        "trackback",
        YUZU,
        "https://citrus.example/news/crooked-fruit",
        "Crooked fruit",
        "A short note on what happens to a third of the harvest.",
        decision=None,
        more=(("blog_name", "Citrus Letter"),),
    ),
    Sent(
        BOARDS,
        "CHEAP WATCHES best price!!! https://watches.example/a https://watches.example/b https://watches.example/c "
        "https://watches.example/d",
        "Best Watches",
        decision="spam",
    ),
    ping(
        "pingback",
        SNOW,
        "https://win-big.example/casino",
        "Win big tonight",
        "[…] first snow, first bonus, first win […]",
        decision="spam",
    ),
    Sent(TWENTY, "test test", "asdf", decision="trash"),
)


class SeedClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def seed(config: Mapping[str, Any]) -> None:
    """Fill an empty site."""
    clock = SeedClock()
    # One after the other and all at once: without limits, and without a worker that would fetch the pings' pages.
    app = create_app({**config, "MODERATE_LIMITS": {}, "MODERATE_WORKER": "external"}, clock=clock)
    moderate: Moderate = app.extensions["newsroom.moderate"]
    with app.app_context():
        send_all(moderate, clock)


def send_all(moderate: Moderate, clock: SeedClock) -> None:
    ids: dict[str, int] = {}
    recent = datetime.now(UTC) - timedelta(hours=3)
    for number, sent in enumerate(SENT):
        if sent.minutes is None:
            recent += timedelta(minutes=17)
            clock.moment = recent
        else:
            clock.moment = BY_KEY[sent.article].published_at.astimezone(UTC) + timedelta(minutes=sent.minutes)
        item_id = send(moderate, sent, number, ids.get(sent.answers))
        if sent.name:
            ids[sent.name] = item_id


def send(moderate: Moderate, sent: Sent, number: int, parent: int | None) -> int:
    # Addresses from the range that is reserved for examples (RFC 5737).
    receipt = moderate.submit(
        sent.article,
        sent.text,
        author=sent.author,
        parent=parent,
        ip=f"192.0.2.{number + 10}",
        user_agent="Mozilla/5.0 (example)",
        **dict[str, Any](sent.more),
    )
    if sent.decision:
        moderate.decide(receipt.item.id, sent.decision, version=receipt.item.version, by=EDITOR)
    return receipt.item.id
