"""The shared corpora over `moderate.text`: nothing hostile is left, nothing legitimate is lost."""

from __future__ import annotations

import base64
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from moderate.errors import Invalid
from moderate.model import Article, Client, Kind, Raw, Submission
from moderate.text.characters import is_storable
from moderate.text.clean import clean
from moderate.text.sanitizer import canonical, render, sanitized, verified
from moderate.text.tags import Policy
from tests.timing import quickly
from tests.unit.clean.dom import is_stable, meaning, strangers, text_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpus

POLICIES = pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(sanitizer="nh3"),
        Policy(markup="markdown"),
        Policy(sanitizer="nh3", markup="markdown"),
        Policy(markup="text"),
    ],
    ids=lambda policy: policy.name,
)
#: The corpus has a legitimate text of 10,000 characters, more than the default takes.
ROOMY = Policy(max_length=10_000)
ARTICLE = Article("1", "An article", "https://news.example/1")
FIELDS = {"name": "author", "email": "email", "url": "url", "body": "text"}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def value_of(row: dict[str, Any]) -> str:
    if "gen" in row:
        gen = row["gen"]
        return gen.get("prefix", "") + gen["repeat"] * gen["count"] + gen.get("suffix", "")
    if "value_b64" in row:
        return base64.b64decode(row["value_b64"]).decode("utf-8", "surrogateescape")
    return str(row["value"])


def submitted(field: str, value: str) -> Submission:
    values = {"author": "Mika", "text": "Hello", field: value}
    return clean(Raw(kind=Kind.COMMENT, client=Client(), **values), ARTICLE, ROOMY)


def submission_or_errors(field: str, value: str) -> Submission | set[str]:
    try:
        return submitted(field, value)
    except Invalid as error:
        return {found.field for found in error.errors}


@POLICIES
def test_no_payload_leaves_markup_outside_the_policy(corpora: Path, policy: Policy) -> None:
    payloads = rows(corpora / "xss" / "xss_payloads.jsonl")
    assert len(payloads) > 300
    for row in payloads:
        html = render(row["payload"], policy).html
        assert strangers(html, policy) == [], row["id"]
        assert is_stable(html), row["id"]
        assert meaning(sanitized(html, policy)) == meaning(html), row["id"]
        assert not html or verified(html, policy) is not None, row["id"]


@POLICIES
def test_html_that_needs_no_sanitizer_is_what_one_returns(corpora: Path, policy: Policy) -> None:
    texts = [row["payload"] for row in rows(corpora / "xss" / "xss_payloads.jsonl")]
    texts += [row["text"] for row in rows(corpora / "load" / "comments.jsonl")[:1000]]
    texts += json.loads((corpora / "input" / "blns.json").read_text(encoding="utf-8"))
    unsanitized = 0
    for text in texts:
        # The payload itself, and what is made of it, between tags as well: plain text takes a shorter way.
        for html in (text, render(text, policy).html, render(f"<b>a</b> {text}", policy).html):
            if html and canonical(html, policy):
                unsanitized += 1
                assert sanitized(html, policy) == html, text
    assert unsanitized > len(texts), "most texts of a corpus are not hostile once they are escaped"


def test_both_sanitizers_show_every_payload_alike(corpora: Path) -> None:
    for row in rows(corpora / "xss" / "xss_payloads.jsonl"):
        one, other = (render(row["payload"], Policy(sanitizer=name)).html for name in ("bleach", "nh3"))
        assert meaning(one) == meaning(other), row["id"]


def test_payloads_in_the_other_fields_are_stored_as_plain_words_or_refused(corpora: Path) -> None:
    for row in rows(corpora / "xss" / "xss_payloads.jsonl"):
        for field in ("author", "email", "url"):
            try:
                submission = submitted(field, row["payload"])
            except Invalid:
                continue
            # As an address a payload is at most a blank field.
            assert field == "author" or (submission.email, submission.url) == (None, None), row["id"]
            assert "\n" not in submission.author, row["id"]


def test_fields_are_accepted_and_refused_as_expected(corpora: Path) -> None:
    fields = rows(corpora / "input" / "fields.jsonl")
    assert len(fields) > 200
    for row in fields:
        with quickly((row["id"], row["why"])):
            outcome = submission_or_errors(FIELDS[row["field"]], value_of(row))
        if isinstance(outcome, Submission):
            assert row["expect"] != "reject", (row["id"], row["why"])
            stored = [outcome.author, outcome.email, outcome.url, outcome.body.raw, outcome.body.html]
            assert all(is_storable(value or "") for value in stored), row["id"]
        else:
            assert row["expect"] != "accept", (row["id"], row["why"])
            assert outcome == {FIELDS[row["field"]]}, row["id"]


def test_legitimate_texts_are_shown_as_they_were_typed(corpora: Path) -> None:
    for row in rows(corpora / "input" / "fields.jsonl"):
        # The one text with written entities means the characters that they encode.
        if row["category"] != "legit-body" or "&amp;" in row["value"]:
            continue
        shown = text_of(submitted("text", row["value"]).body.html)
        assert shown.split() == unicodedata.normalize("NFC", row["value"]).split(), row["id"]


def test_naughty_strings_are_stored_or_refused_and_never_fail(corpora: Path) -> None:
    for value in json.loads((corpora / "input" / "blns.json").read_text(encoding="utf-8")):
        for field in FIELDS.values():
            try:
                submission = submitted(field, value)
            except Invalid:
                continue
            assert strangers(submission.body.html, ROOMY) == []
            assert is_stable(submission.body.html)


def test_ordinary_comments_keep_every_word(corpora: Path) -> None:
    for row in rows(corpora / "load" / "comments.jsonl")[:3000]:
        shown = text_of(render(row["text"], ROOMY).html)
        if "&" not in row["text"] and "<" not in row["text"]:
            assert shown.split() == row["text"].split(), row["id"]
