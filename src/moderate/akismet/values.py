"""What is sent to a spam service, and what it answers: values only, so that both can be stored."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamSample:
    """One submission as a spam service sees it; the names are those of Akismet's comment-check.

    Kept with the item exactly as it was sent, because feedback must repeat it field by field.
    Holds personal data: it expires with the site's retention. Times are ISO 8601 in UTC.
    """

    user_ip: str
    user_agent: str = ""
    referrer: str = ""
    permalink: str = ""
    comment_type: str = "comment"
    comment_author: str = ""
    comment_author_email: str = ""
    comment_author_url: str = ""
    comment_content: str = ""
    comment_date_gmt: str = ""
    comment_post_modified_gmt: str = ""
    comment_parent: str = ""
    comment_context: tuple[str, ...] = ()
    honeypot_field_name: str = ""
    honeypot_value: str = ""
    user_role: str = ""
    blog_lang: str = ""
    recheck_reason: str = ""

    def to_json(self) -> dict[str, object]:
        """All fields that hold something, ready for ``json.dumps``."""
        filled = {name: value for name, value in asdict(self).items() if value or name == "user_ip"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> SpamSample:
        """The sample back again; names that a later version no longer knows are left out."""
        known = {field.name for field in fields(cls)}
        values: dict[str, object] = {name: value for name, value in stored.items() if name in known}
        context = values.get("comment_context", ())
        values["comment_context"] = tuple(str(part) for part in context) if isinstance(context, list | tuple) else ()
        return cls(**{"user_ip": "", **values})  # type: ignore[arg-type]


class SpamWord(enum.StrEnum):
    """The three things that a spam service can say."""

    HAM = "ham"
    SPAM = "spam"
    #: Spam so blatant that the service advises to drop it unseen.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamAnswer:
    """What the service said. With `recheck_after` (seconds) "ham" is provisional: ask again then.

    `guid` is the service's own id of this check. `alert_code` and `alert_msg` are about the
    account (over its limit, unpaid, suspended), for moderators to see.
    """

    word: SpamWord
    recheck_after: float | None = None
    guid: str = ""
    alert_code: str = ""
    alert_msg: str = ""
    debug: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamUsage:
    """How much of the plan's monthly calls is used. `limit` is None where the plan has none."""

    limit: int | None
    used: int
    percentage: float
    throttled: bool
