"""Every word of our pages is there in every language, and nothing that somebody sent is taken for words of ours."""

from __future__ import annotations

import ast
import re
from time import process_time
from typing import TYPE_CHECKING

import pytest

from moderate.checks.order import CHECKS
from moderate.http.words import count, found, say
from moderate.i18n import LANGUAGES, LOCALE, LONGEST, PLACE, entries, pattern_of, translator
from tests.servers import ROOT
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "src" / "moderate"
TEMPLATES = [path for path in sorted(PACKAGE.rglob("templates/**/*")) if path.suffix in {".html", ".txt"}]
QUOTED = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
OTHERS = sorted(set(LANGUAGES) - {"en"})

CATALOGS = {
    language: list(entries((LOCALE / language / "LC_MESSAGES" / "moderate.po").read_text(encoding="utf-8")))
    for language in OTHERS
}


def told_by(language: str) -> dict[str, str]:
    """The messages of a catalog, those about a number by their plural, with what stands for them."""
    return {
        entry.plural or entry.id: entry.translations[-1]
        for entry in CATALOGS[language]
        if entry.id and entry.context is None
    }


def words_of_ours() -> Iterator[str]:
    """Whatever stands in a call that translates, in templates and in code."""
    for paths, one, many in (
        (TEMPLATES, r"moderate_say\(\s*", r"moderate_count\([^'\"]*"),
        (PACKAGE.rglob("*.py"), r"\bsay\(\s*", r"\bcount\([^'\"]*"),
    ):
        for path in paths:
            text = path.read_text(encoding="utf-8")
            yield from (ast.literal_eval(match[1]) for match in re.finditer(one + QUOTED, text))
            yield from (ast.literal_eval(match[2]) for match in re.finditer(f"{many}{QUOTED},\\s*{QUOTED}", text))


def text_of_the_package() -> str:
    """All of our code as one text, with sentences that were broken into several strings joined again."""
    found = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    found += [path.read_text(encoding="utf-8") for path in TEMPLATES]
    return "\n".join(found)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LANGUAGE="ja")


@pytest.mark.parametrize("tongue", OTHERS)
def test_no_word_is_missing(tongue: str) -> None:
    ours = set(words_of_ours())
    assert len(ours) > 180
    assert sorted(ours - set(told_by(tongue))) == []


@pytest.mark.parametrize("tongue", OTHERS)
def test_no_word_is_there_that_nobody_says(tongue: str) -> None:
    """What is no word of a page is a sentence of the code: the parts between its places stand there."""
    said, code = set(words_of_ours()), text_of_the_package()
    months = {key for key, told in told_by(tongue).items() if re.fullmatch(r"\d+月", told)}
    unsaid = set(told_by(tongue)) - said - months
    lost = [words for words in unsaid if any(part.strip() and part not in code for part in PLACE.sub("\0", words).split("\0"))]  # fmt: skip  # noqa: E501
    assert sorted(lost) == []


@pytest.mark.parametrize("tongue", OTHERS)
def test_the_places_of_a_sentence_are_the_same_in_every_language(tongue: str) -> None:
    odd = {key: told for key, told in told_by(tongue).items()
           if sorted(PLACE.findall(key)) != sorted(PLACE.findall(told))}  # fmt: skip
    assert odd == {}


def test_sentences_with_places_are_known_by_the_words_around_them(host: Host) -> None:
    with host.app.test_request_context():
        assert found("3 links, where up to 2 pass") == "リンクが3個（2個まで可）"
        assert (
            found("Use at most 8000 characters; this has 9001.") == "8000文字以内で入力してください（現在9001文字）。"
        )
        told = found("nearly the same text came 3 times before within a day, 2 of them spam")
        assert told == "ほぼ同じ文章が1日のうちに以前3回届きました（うち2件はスパム）"
        assert found("something that a check of the host's own says") == "something that a check of the host's own says"


#: Reasons as the checks of a running site have written them, with a part of what they are in Japanese.
REASONS = {
    "82% like spam, going by 12 spam and 30 good ones that moderators decided on; "
    "for spam: “pills”, a link to pills.example, links: 3; against: nothing": (
        "スパムらしさ82%（管理者が処理したスパム12件と正常30件から）。"
        "スパム寄り：“pills”、pills.exampleへのリンク、リンク3個。正常寄り：なし"
    ),
    "the site is under a spam wave: nearly the same text came 12 times within 10 minutes": (
        "スパムが押し寄せています：10分以内、ほぼ同じ文章が12回"
    ),
    "30 of 40 items within 10 minutes look like spam": "10分以内に届いた40件のうち30件がスパムらしいもの",
    "8 items that look like spam came on one article within 10 minutes": "10分以内、1つの記事にスパムらしいものが8件",
    "9 different senders brought what looks like spam within 10 minutes": "10分以内、スパムらしいものの送信元が9か所",
    "Akismet says: spam; it also warns (code 10006): no message": (
        "Akismetの判定：スパム。警告あり（コード10006）：説明なし"
    ),
    "akismet: it answered with status 503": "Akismet：ステータス503が返りました",
    "a moderator's rule: the word “pill*” (here: “pills”) – no pills – ever": (
        "管理者のルール：言葉“pill*”（ここでは“pills”） – no pills – ever"
    ),
    "a moderator's rule: the network “192.0.2.0/24”": "管理者のルール：ネットワーク“192.0.2.0/24”",
    "honeypot was certain (spam)": "隠し欄が確定（スパム）",
    "the judge task failed (KeyError)": "処理（judge）が失敗しました（KeyError）",
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_the_checks_say_is_told_in_japanese(reason: str) -> None:
    assert translator("ja").found(reason) == REASONS[reason]
    assert translator("en").found(reason) == reason


def test_a_number_is_not_looked_for_in_words() -> None:
    assert translator("ja").found("within no less than 5 minutes") == "within no less than 5 minutes"
    assert translator("ja").found("within 5 minutes") == "5分以内"


@pytest.mark.parametrize("tongue", OTHERS)
def test_every_check_has_a_name(tongue: str) -> None:
    ours = {check.name for check in CHECKS} | {"article", "task"}
    assert {entry.id for entry in CATALOGS[tongue] if entry.context == "check"} == ours
    assert translator(tongue).check("our-own") == "our-own"


def test_the_longest_reason_is_looked_through_in_no_time() -> None:
    text = ("a moderator's rule: " + "nearly the same text came 3 times within " * 40)[:LONGEST]
    started = process_time()
    for _ in range(10):
        translator("ja").found(text)
    assert process_time() - started < 5


@pytest.mark.parametrize("hostile", ["{0}", "{name.__class__}", "{", "%s", "<b>", "{n}" * 400])
def test_what_somebody_sent_is_never_read_as_a_sentence_with_places(host: Host, hostile: str) -> None:
    with host.app.test_request_context():
        assert hostile in say("By {name}", name=hostile)
        assert found(f"the page could not be read: {hostile}").endswith(hostile)
        assert found(hostile) == hostile


def test_markup_in_one_place_does_not_make_markup_of_another(host: Host) -> None:
    from markupsafe import Markup

    with host.app.test_request_context():
        told = say("{kind} from {source}, {time}", kind="<i>", source=Markup("<b>x</b>"), time="now")
    assert told == "&lt;i&gt;：<b>x</b>、now"


def test_a_pattern_takes_no_time_on_text_that_was_made_to_fit_badly() -> None:
    pattern = pattern_of("sent {age} seconds after the form was opened; for this length we expect {least} or more")
    assert pattern.fullmatch("sent " + " seconds after" * 40) is None


def test_numbers_have_their_plural_in_english_only(tmp_path: Path) -> None:
    english = Host(tmp_path / "en")
    with english.app.test_request_context():
        assert [count(n, "{n} hour", "{n} hours") for n in (1, 2, 2000)] == ["1 hour", "2 hours", "2,000 hours"]
    japanese = Host(tmp_path / "ja", MODERATE_LANGUAGE="ja")
    with japanese.app.test_request_context():
        assert count(1, "{n} hour", "{n} hours") == "1時間"
