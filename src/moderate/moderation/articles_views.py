"""The moderators' JSON about articles, and the settings there that override the host's."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, model_validator

from moderate.http.answers import unstored
from moderate.http.operation import Answer, Count, Moment, Operation, Reply
from moderate.lifecycle import Premoderation  # noqa: TC001 - pydantic reads the annotations
from moderate.model import Client, Kind, Raw
from moderate.moderation.access import signed_in
from moderate.moderation.views import STRICT, json_body
from moderate.submit.submit import find_article

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.lifecycle import Overrides
    from moderate.model import Article


class OverridesIn(BaseModel):
    """Settings of an article; null returns one to the host, and one that is left out stays as it is."""

    model_config = STRICT

    comments_open: bool | None = None
    pings_open: bool | None = None
    premoderation: Premoderation | None = None

    @property
    def set_here(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in OverridesIn.model_fields if name in self.model_fields_set}


class OlderIn(OverridesIn):
    """The same for all known articles published before a moment, or a day; without a time zone it means UTC."""

    older_than: datetime | date

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.set_here:
            raise ValueError("say what to set: comments_open, pings_open or premoderation")
        return self

    @property
    def before(self) -> datetime:
        moment = self.older_than
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class HostsWord(Answer):
    comments_open: bool
    pings_open: bool
    premoderation: Premoderation
    published_at: Moment | None


class ArticleOut(Answer):
    """The settings of moderators for an article, null where there are none, and those of the host."""

    article: str
    title: str
    url: str
    comments_open: bool | None
    pings_open: bool | None
    premoderation: Premoderation | None
    host: HostsWord

    @classmethod
    def of(cls, state: State, found: Article, overrides: Overrides) -> Self:
        host = HostsWord(
            comments_open=found.comments_open,
            pings_open=found.pings_open,
            premoderation=state.settings.premoderation,
            published_at=found.published_at,
        )
        return cls(article=found.key, title=found.title, url=found.url, **overrides._asdict(), host=host)


class ChangedOut(Answer):
    changed: Count


@Operation(
    "GET",
    "/moderation/articles/<path:article>",
    "moderation_article",
    "What moderators set for an article, and what the host itself says",
    replies=(Reply(200, "The article.", ArticleOut),),
    is_for_moderators=True,
)
def article(article: str) -> ResponseReturnValue:
    state, _ = signed_in()
    found = known(state, article)
    return unstored(ArticleOut.of(state, found, state.desk.store.articles.overrides(found.key)))


@Operation(
    "PUT",
    "/moderation/articles/<path:article>",
    "moderation_article",
    "Override the host's word on an article; null gives it back, what is left out stays",
    body=OverridesIn,
    replies=(Reply(200, "The article.", ArticleOut),),
    is_for_moderators=True,
)
def change(article: str) -> ResponseReturnValue:
    state, _ = signed_in()
    found = known(state, article)
    sent = json_body(OverridesIn)
    wanted = state.desk.store.articles.overrides(found.key)._replace(**sent.set_here)
    state.desk.store.articles.set_overrides(found.key, wanted, state.desk.clock.now())
    return unstored(ArticleOut.of(state, found, wanted))


@Operation(
    "POST",
    "/moderation/articles",
    "moderation_articles",
    "Override the host's word on all known articles that are older than a moment",
    body=OlderIn,
    replies=(Reply(200, "How many changed.", ChangedOut),),
    is_for_moderators=True,
)
def change_older() -> ResponseReturnValue:
    state, _ = signed_in()
    sent = json_body(OlderIn)
    changed = state.desk.store.articles.override_older(sent.before, sent.set_here, state.desk.clock.now())
    return unstored(ChangedOut(changed=changed))


def known(state: State, key: str) -> Article:
    """Return the host's article. Raises `UnknownArticle`."""
    return find_article(state.desk, Raw(kind=Kind.COMMENT, client=Client(), article=key))
