"""The values that are sent to a spam service and that it answers."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamSample:
    """A submission as a spam service gets it, with the field names of Akismet's comment-check.

    It is stored with the item as it was sent, because feedback must repeat each field. It holds personal data and is
    deleted after the site's retention time. Times are ISO 8601 in UTC.
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
        """Return the fields that are not empty, for ``json.dumps``."""
        filled = {name: value for name, value in asdict(self).items() if value or name == "user_ip"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> SpamSample:
        """Return the sample that `to_json` was called on. Unknown names, of another version, are left out."""
        known = {field.name for field in fields(cls)}
        values: dict[str, object] = {name: value for name, value in stored.items() if name in known}
        context = values.get("comment_context", ())
        values["comment_context"] = tuple(str(part) for part in context) if isinstance(context, list | tuple) else ()
        return cls(**{"user_ip": "", **values})  # type: ignore[arg-type]


class SpamWord(enum.StrEnum):
    """The verdict of a spam service."""

    HAM = "ham"
    SPAM = "spam"
    #: Spam beyond doubt, which the service advises to drop unseen.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamAnswer:
    """An answer of the service. With `recheck_after` (seconds), "ham" is provisional until it is asked again.

    `guid` is the service's id of this check. `alert_code` and `alert_msg` are about the account (over its limit,
    unpaid, suspended), for moderators.
    """

    word: SpamWord
    recheck_after: float | None = None
    guid: str = ""
    alert_code: str = ""
    alert_msg: str = ""
    debug: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamUsage:
    """The number of calls of this month that are used. `limit` is None for a plan without one."""

    limit: int | None
    used: int
    percentage: float
    throttled: bool
