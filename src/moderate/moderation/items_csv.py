"""Export of items as CSV (RFC 4180) for spreadsheets and programs, read in pages, so that its size has no limit.

UTF-8 with a byte order mark, by which spreadsheets recognise it. Texts of readers cannot become formulas,
wherever a spreadsheet believes that a cell ends; see `disarmed`.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING

from flask import Response, stream_with_context

from moderate.http.language import for_moderators, language
from moderate.http.operation import CSV, CURSOR, Operation, Reply, query, whole
from moderate.i18n import translator
from moderate.model import MAX_ID
from moderate.moderation.access import signed_in
from moderate.moderation.views import FILTER, item_filter
from moderate.reading.views import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from flask.typing import ResponseReturnValue

    from moderate.i18n import Translator
    from moderate.model import Item, ItemFilter
    from moderate.store.store import Store

#: Items that are read in one transaction and held in memory at a time.
PAGE = 500

COLUMNS = (
    "id", "kind", "status", "awaiting", "article", "article_title", "article_url", "parent", "author", "email", "url",
    "source_url", "title", "blog_name", "text", "changed_text", "ip", "user_agent", "created_at", "edited_at",
    "decided_by", "version", "findings", "passed",
)  # fmt: skip

#: First characters of formulas (OWASP, "CSV Injection"), and their compatibility forms: Japanese spreadsheets
#: accept the full-width ones.
TRIGGERS = (
    "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
    "\u207a\u207b\u207c\u208a\u208b\u208c\u2a75\u2a76\ufb29"
)  # fmt: skip

#: Characters that programs skip at the start of a cell: blanks, quotes, and invisible ones.
TRIMMED = (
    "\\s\"'`\u2018\u2019\u201c\u201d\uff02\uff07\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
)

#: Separators after which a cell begins for programs that split by them, as spreadsheets do in some countries.
#: Such a program takes our quotes for a part of the cell.
ENDS = ";\t\r\n"

FORMULA = f"[{TRIMMED}]*[{TRIGGERS}]"
AT_START = re.compile(f"{FORMULA}|'*[\t\r\n]")
#: Looks no further than the next separator, so that each character is read once.
AT_END = re.compile(f"(?<=[{ENDS}])(?=(?:(?![{ENDS}])[{TRIMMED}])*[{TRIGGERS}])")

#: Control characters, which could command a terminal.
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def disarmed(cell: str) -> str:
    """Return the text with an apostrophe before everything that a spreadsheet could take for a formula.

    To undo it, remove one apostrophe wherever one would be put; `docs/moderating.md` shows how.
    """
    shown = CONTROLS.sub(" ", cell)
    guarded = AT_END.sub("'", shown)
    return f"'{guarded}" if AT_START.match(shown) else guarded


@Operation(
    "GET",
    "/moderation/items.csv",
    "moderation_items_csv",
    "All items that match as a file for spreadsheets, newest first",
    parameters=(*FILTER, CURSOR, query("limit", whole(MAX_ID), "The most items in the file; all without it.")),
    replies=(Reply(200, "The file.", types=(CSV,), headers=("Content-Disposition",)),),
    is_for_moderators=True,
)
def items() -> ResponseReturnValue:
    state, _ = signed_in()
    which = item_filter()
    pages = pages_of(
        state.desk.store, which, cursor=number("cursor", None, MAX_ID), limit=number("limit", None, MAX_ID)
    )
    # The first page is read before anything is sent, so that an outage is answered with an error.
    first = next(pages)
    for_moderators()
    lines = lines_of(chain((first,), pages), translator(language()))
    response = Response(stream_with_context(lines), mimetype="text/csv")
    name = f"items-{which.status.value if which.status else 'all'}-{state.desk.clock.now():%Y-%m-%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    return response


def pages_of(
    store: Store, which: ItemFilter, *, cursor: int | None = None, limit: int | None = None
) -> Iterator[tuple[Item, ...]]:
    """Yield pages of items, at least one. Each is read on demand, in a short transaction of its own.

    An item that changes meanwhile appears once, as it was when its page was read.
    """
    left = limit
    while left is None or left > 0:
        page = store.queue.page(which, cursor=cursor, limit=PAGE if left is None else min(left, PAGE))
        yield page.items
        cursor = page.next
        if cursor is None:
            return
        left = None if left is None else left - len(page.items)


def lines_of(pages: Iterable[tuple[Item, ...]], words: Translator) -> Iterator[bytes]:
    """Yield the file, page by page. Only the findings of checks are translated, by *words*."""
    yield ("\ufeff" + written([COLUMNS])).encode()
    for page in pages:
        yield written(row(item, words) for item in page).encode("utf-8", "replace")


def written(rows: Iterable[Iterable[object]]) -> str:
    # All texts are quoted, because some programs also split unquoted ones at semicolons.
    place = io.StringIO()
    csv.writer(place, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return place.getvalue()


def row(item: Item, words: Translator) -> list[object]:
    """Return the cells of an item in the order of `COLUMNS`."""
    values = {
        "kind": item.kind.value,
        "status": item.status.value,
        "awaiting": item.awaiting.value if item.awaiting else "",
        "changed_text": (item.proposed or {}).get("text"),
        "created_at": moment(item.created_at),
        "edited_at": moment(item.edited_at),
        "findings": " · ".join(f"{found.check}: {words.translate(found.reason)}" for found in item.findings),
        "passed": " · ".join(item.passed),
    }
    return [cell(values[name] if name in values else getattr(item, name)) for name in COLUMNS]


def cell(value: object) -> object:
    if isinstance(value, int):
        return value
    return "" if value is None else disarmed(str(value))


def moment(at: datetime | None) -> str:
    """Return a time in UTC, in a form that spreadsheets recognise as a date."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
