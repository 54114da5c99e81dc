"""The premoderation "links": what waits under it, what does not, and that it is never laxer than it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.checks import base
from moderate.checks.base import Services, judge
from moderate.checks.premoderation import AGAIN, ENOUGH, LASTS, PublicScripts
from moderate.model import Body, Finding, Kind, Lean, Status, Submission
from moderate.testing import ManualClock
from moderate.text.sanitizer import render
from moderate.text.similarity import scripts_of
from moderate.text.tags import Policy
from tests.unit.checks.cases import Past, comment, facts, ping


class Says:
    """A check that says the same of everything."""

    version, remote, kinds = 1, False, frozenset(Kind)

    def __init__(self, name: str, lean: Lean) -> None:
        self.name, self.lean = name, lean

    def look(self, *_: object) -> Finding:
        return Finding(self.name, self.lean, "says so")


def verdict(
    submission: Submission, *leans: Lean, premoderation: Any = "links", services: Services | None = None
) -> Any:
    checks = [Says(f"check {number}", lean) for number, lean in enumerate(leans)]
    given = facts(premoderation=premoderation, services=services or Services())
    return judge(submission, given, checks, remote=True)


@pytest.mark.parametrize(
    ("submission", "reason"),
    [
        (comment("See https://a.example/b", links=["https://a.example/b"]), "it carries a link"),
        (comment("It stands on timetables.example/ferry"), "it carries a link"),
        (comment("[url=x]here[/url]"), "it carries a link"),
        (comment(url="https://asa.example/"), "it carries a website of the author"),
        (comment("Write to ferry@mail.example"), "it carries a contact"),
        (comment("Call +46 8 123 456 78 tonight"), "it carries a contact"),
        (comment("C A S I N O", author="Åsa"), "it carries disguised letters"),
        (comment(author="cheap-pills.example"), "it carries a link"),
        (comment("Here: www.a.example", url="https://b.example/"), "it carries a link, a website of the author"),
        (ping(), "a ping is a link to another site"),
    ],
)
def test_what_carries_something_waits_and_says_why(submission: Submission, reason: str) -> None:
    found = verdict(submission)
    assert (found.status, found.awaiting) == (Status.PENDING, "moderator")
    assert [(one.check, one.lean, one.reason) for one in found.findings] == [("premoderation", Lean.HOLD, reason)]


@pytest.mark.parametrize(
    "text",
    [
        "Thank you, great article!",
        "What time does it leave, 17.30 or 18.45?",
        "Node.js and asp.net and e.g. 3.5 litres.",
        "素晴らしい記事をありがとうございます。",
        "👍👍👍",
        "It cost me 1,250.00 in 2019, or 12 % more.",
    ],
)
def test_other_texts_are_public_at_once(text: str) -> None:
    found = verdict(comment(text))
    assert (found.status, found.findings, found.passed) == (Status.APPROVED, (), ("premoderation",))


def cleaned(text: str, policy: Policy) -> Submission:
    shown = render(text, policy)
    return replace(comment(), body=Body(raw=text, html=shown.html, policy=policy.name, links=shown.links))


POLICIES = [Policy(), Policy(markup="text"), Policy(markup="markdown")]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.markup)
@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Nice ``` cheap-pills.example", "a link"),
        ("Nice: `cheap-pills.example`", "a link"),
        ("```\nCall +46 8 123 456 78\n```", "a contact"),
    ],
)
def test_backticks_hide_nothing_that_people_see(text: str, sign: str, policy: Policy) -> None:
    assert [one.reason for one in verdict(cleaned(text, policy)).findings] == [f"it carries {sign}"]


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("cheap-pills<i>.</i>example", "html"),
        ("cheap-pills\\.example", "markdown"),
    ],
)
def test_markup_inside_an_address_hides_it_from_nobody(text: str, markup: str) -> None:
    found = verdict(cleaned(text, Policy(markup=markup)))
    assert [one.reason for one in found.findings] == ["it carries a link"]


def test_numbers_on_lines_of_their_own_are_no_contact() -> None:
    text = "<b>Departures:</b>\n\n1030\n1145\n<ul><li>1215</li><li>1330</li></ul>"
    assert verdict(cleaned(text, Policy())).status is Status.APPROVED


PIECES = st.sampled_from(
    [
        *("https://", "http:", "www.", "a.de", "a.example", "//", "/x", "<a href=", "'", '"', ">", "</a>", "[x](", ")"),
        *("mailto:", "x@y.de", "`", "```", "\n", " ", "&#46;", "\u200b", "。", "[r]: ", "[r]", "例え.jp", "<b>", "<"),
    ]
)


@given(text=st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join), policy=st.sampled_from(POLICIES))
def test_every_text_that_is_shown_with_a_link_waits(text: str, policy: Policy) -> None:
    submission = cleaned(text, policy)
    if "<a " in submission.body.html:
        assert verdict(submission).status is Status.PENDING


@pytest.mark.parametrize("premoderation", ["all", "strangers", "none"])
def test_nothing_of_it_is_asked_under_another_premoderation(premoderation: str) -> None:
    found = verdict(comment(url="https://asa.example/"), premoderation=premoderation)
    assert (found.findings, found.passed) == ((), ())


def test_a_check_that_trusts_lets_links_pass_and_one_that_marks_spam_is_enough() -> None:
    linked = comment(url="https://asa.example/")
    assert verdict(linked, Lean.TRUST).status is Status.APPROVED
    assert verdict(linked, Lean.HOLD, Lean.TRUST).status is Status.PENDING
    marked = verdict(linked, Lean.SPAM)
    assert (marked.status, [name for name, _ in marked.skipped]) == (Status.SPAM, ["premoderation"])


def test_what_cannot_be_looked_at_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(base, "why_it_waits", fails)
    found = verdict(comment())
    assert (found.status, found.awaiting) == (Status.PENDING, "checks")


def test_a_hold_for_a_link_does_not_make_spam_of_a_form_that_a_browser_filled() -> None:
    trap = [Says("honeypot", Lean.HOLD)]
    found = judge(comment(url="https://asa.example/"), facts(premoderation="links"), trap, remote=True)
    assert found.status is Status.PENDING


def test_a_value_of_a_newer_version_holds_strangers() -> None:
    assert verdict(comment(), premoderation="votes").status is Status.PENDING
    assert verdict(comment(), Lean.TRUST, premoderation="votes").status is Status.APPROVED


STRICTNESS = {Status.APPROVED: 0, Status.PENDING: 1, Status.SPAM: 2}
PARTS = st.sampled_from(
    ["thaw ", "https://a.example ", "+46 8 123 456 78 ", "привет ", "ありがとう ", "V1agr4 ch3ap ", "\u200b", "<b>"]
)


@given(
    text=st.lists(PARTS | st.text(max_size=9), max_size=6).map("".join),
    fields=st.fixed_dictionaries(
        {
            "url": st.none() | st.just("https://asa.example/"),
            "author": st.text(max_size=9),
            "kind": st.sampled_from(Kind),
        }
    ),
    said=st.lists(
        st.tuples(st.sampled_from(["honeypot", "crowd", "links", "learned"]), st.sampled_from(Lean)), max_size=4
    ),
    public=st.lists(PARTS, max_size=2),
)
def test_each_premoderation_is_at_least_as_strict_as_the_one_before(
    text: str, fields: dict[str, Any], said: list[tuple[str, Lean]], public: list[str]
) -> None:
    past, clock = Past(), ManualClock()
    past.public = public * ENOUGH
    checks = [Says(*each) for each in said]
    services = Services(scripts=PublicScripts(past, clock))
    ranks = []
    for premoderation in ("none", "links", "strangers", "all"):
        given = facts(premoderation=premoderation, services=services)
        ranks.append(STRICTNESS[judge(comment(text, **fields), given, checks, remote=True).status])
    assert ranks == sorted(ranks)


# --- scripts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Thaw", {"LATIN"}),
        ("Спасибо", {"CYRILLIC"}),
        ("Спасибо, Ferry", {"CYRILLIC", "LATIN"}),
        ("日本語とカナ", {"HAN", "KANA"}),
        ("時々", {"HAN"}),
        ("п\u02bcять", {"CYRILLIC"}),
        ("Ｔｈａｗ", {"LATIN"}),
        ("Tags are none: <b class=latin>спасибо</b>", {"CYRILLIC", "LATIN"}),
        ("<b class=latin>спасибо</b>", {"CYRILLIC"}),
        ("&#1089;&#1087;&#1072;&#1089;&#1080;&#1073;&#1086;", {"CYRILLIC"}),
        ("A layer of 5 µm and an angle α are all that one letter in so long a sentence is about.", {"LATIN"}),
        ("12:30 👍 — …", set()),
    ],
)
def test_the_scripts_of_a_text_are_those_of_more_than_a_few_letters(text: str, scripts: set[str]) -> None:
    assert scripts_of(text) == scripts


@pytest.fixture
def past() -> Past:
    return Past()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def waits(text: str, scripts: PublicScripts) -> str | None:
    return next((one.reason for one in verdict(comment(text), services=Services(scripts=scripts)).findings), None)


def test_a_script_of_no_public_item_waits_once_there_are_enough(past: Past, clock: ManualClock) -> None:
    past.public = ["Thaw"] * (ENOUGH - 1)
    assert waits("Спасибо", PublicScripts(past, clock)) is None
    past.public = ["Thaw"] * ENOUGH
    scripts = PublicScripts(past, clock)
    assert waits("Спасибо", scripts) == "no public item is in this script: Cyrillic"
    assert waits("Thank you", scripts) is None


def test_a_script_is_known_soon_after_an_item_in_it_became_public(past: Past, clock: ManualClock) -> None:
    past.public = ["Thaw"] * ENOUGH
    scripts = PublicScripts(past, clock)
    assert waits("Спасибо", scripts)
    past.public.append("Спасибо")
    clock.advance(seconds=AGAIN)
    assert waits("Спасибо", scripts) is None
    # A decision that is taken back takes the script with it.
    del past.public[-1]
    clock.advance(seconds=LASTS)
    assert waits("Спасибо", scripts)


def test_known_scripts_are_not_looked_up_again_for_minutes_and_others_for_seconds(
    past: Past, clock: ManualClock
) -> None:
    looks = 0

    class Counted(Past):
        def newest_public(self, most: int) -> Any:
            nonlocal looks
            looks += 1
            return past.public

    past.public = ["Thaw"] * ENOUGH
    scripts = PublicScripts(Counted(), clock)
    for _ in range(3):
        waits("Thank you", scripts)
        waits("Спасибо", scripts)
    assert looks == 1
    clock.advance(seconds=AGAIN)
    waits("Thank you", scripts)
    assert looks == 1
    waits("Спасибо", scripts)
    waits("Спасибо", scripts)
    assert looks == 2
