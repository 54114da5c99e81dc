"""Every message is in every catalog; stored messages are translated; text of users is never taken for a message."""

from __future__ import annotations

import ast
import gettext
import json
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from moderate.checks.order import CHECKS
from moderate.http.language import count, say, translated
from moderate.i18n import (
    LANGUAGES,
    LOCALE,
    LONGEST,
    PLACE,
    Message,
    compiled,
    decode,
    encode,
    entries,
    from_text,
    to_text,
    translator,
)
from moderate.store.rows import finding_from_json, finding_to_json
from tests.servers import ROOT
from tests.sites import Host
from tests.timing import quickly
from tools.messages import CALLS, PACKAGE, Key, messages, name_of, untranslated, updated

if TYPE_CHECKING:
    from pathlib import Path

CATALOGS = {
    language: (LOCALE / language / "LC_MESSAGES" / "moderate.po").read_text(encoding="utf-8")
    for language in LANGUAGES
    if language != "en"
}
MESSAGES = messages()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LANGUAGE="ja")


def test_the_messages_of_templates_checks_and_refusals_are_found() -> None:
    assert len(MESSAGES) > 450
    assert {
        Key("Nobody has commented yet. Yours would be the first."),
        Key("{n} item waits for a moderator", "{n} items wait for a moderator"),
        Key("{count} links, where up to {most} pass"),
        Key("the field that people cannot see was filled in"),
        Key("Some fields are invalid."),
        Key("its certificate has expired, or this machine's clock is wrong"),
        Key("honeypot", context="check"),
    } <= set(MESSAGES)
    assert {check.name for check in CHECKS} | {"article", "task", "link", "premoderation"} == {
        key.id for key in MESSAGES if key.context == "check"
    }


@pytest.mark.parametrize("language", CATALOGS)
def test_no_message_is_missing_from_a_catalog_and_none_is_obsolete(language: str) -> None:
    """If this fails, run ``python tools/messages.py`` and translate the empty entries."""
    assert updated(CATALOGS[language], MESSAGES) == CATALOGS[language]


@pytest.mark.parametrize("language", CATALOGS)
def test_every_message_is_translated_and_no_translation_is_fuzzy(language: str) -> None:
    assert untranslated(CATALOGS[language]) == []
    assert [entry.id for entry in entries(CATALOGS[language]) if entry.is_fuzzy] == []


@pytest.mark.parametrize("language", CATALOGS)
def test_the_placeholders_of_a_message_are_the_same_in_every_language(language: str) -> None:
    odd = [
        entry.id
        for entry in entries(CATALOGS[language])
        if entry.id
        and {frozenset(PLACE.findall(text)) for text in entry.translations} != {frozenset(PLACE.findall(entry.id))}
    ]
    assert odd == []


def test_no_sentence_is_assembled_before_translation() -> None:
    """A message id is a literal; values go into its places afterwards."""
    made = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and len(node.args) > CALLS.get(name_of(node), len(node.args))
        and isinstance(node.args[CALLS[name_of(node)]], ast.JoinedStr | ast.BinOp)
    ]  # fmt: skip
    assert made == []


def test_a_new_message_gets_an_empty_entry_and_an_obsolete_one_is_removed() -> None:
    catalog = 'msgid ""\nmsgstr "Language: xx\\n"\n\n#. A note.\nmsgid "kept"\nmsgstr "k"\n\nmsgid "lost"\nmsgstr "l"\n'
    expected = (
        'msgid ""\nmsgstr "Language: xx\\n"\n\n#. A note.\nmsgid "kept"\nmsgstr "k"\n\n'
        'msgctxt "check"\nmsgid "new"\nmsgstr ""\n\nmsgid "{n} day"\nmsgid_plural "{n} days"\nmsgstr[0] ""\n'
    )
    assert updated(catalog, [Key("kept"), Key("new", context="check"), Key("{n} day", "{n} days")]) == expected


def test_a_language_with_two_plural_forms_needs_both() -> None:
    header = 'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    day = Key("{n} day", "{n} days")
    entry = 'msgid "{n} day"\nmsgid_plural "{n} days"\nmsgstr[0] "{n} Tag"\n'
    assert updated(header, [day]).endswith('msgid_plural "{n} days"\nmsgstr[0] ""\nmsgstr[1] ""\n')
    assert untranslated(header + entry) == ["{n} day"]
    assert untranslated(f'{header}{entry}msgstr[1] ""\n') == ["{n} day"]
    assert untranslated(f'{header}{entry}msgstr[1] "{{n}} Tage"\n') == []


def test_entries_are_parsed_with_plurals_contexts_escapes_and_flags() -> None:
    source = (
        'msgid ""\nmsgstr ""\n"Language: xx\\n"\n\n'
        '#, fuzzy\nmsgctxt "check"\nmsgid "a \\"b\\""\nmsgstr ""\n"one "\n"two"\n\n'
        '#~ msgid "old"\n#~ msgstr "gone"\n\nmsgid "{n} day"\nmsgid_plural "{n} days"\nmsgstr[0] "d"\nmsgstr[1] "ds"\n'
    )
    assert list(entries(source)) == [
        ("", None, None, ["Language: xx\n"], False),
        ('a "b"', None, "check", ["one two"], True),
        ("{n} day", "{n} days", None, ["d", "ds"], False),
    ]


def test_a_catalog_is_compiled_with_all_plural_forms_and_without_fuzzy_and_empty_entries() -> None:
    source = (
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
        '"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 ? 1 : 2);\\n"\n\n'
        'msgid "{n} day"\nmsgid_plural "{n} days"\nmsgstr[0] "dzień"\nmsgstr[1] "dni "\nmsgstr[2] "dni"\n\n'
        'msgctxt "check"\nmsgid "links"\nmsgstr "łącza"\n\n#, fuzzy\nmsgid "One"\nmsgstr "Jeden"\n\n'
        'msgid "Two"\nmsgstr ""\n'
    )
    catalog = gettext.GNUTranslations(BytesIO(compiled(source)))
    assert [catalog.ngettext("{n} day", "{n} days", number) for number in (1, 3, 5)] == ["dzień", "dni ", "dni"]
    assert (catalog.pgettext("check", "links"), catalog.gettext("links")) == ("łącza", "links")
    assert (catalog.gettext("One"), catalog.gettext("Two")) == ("One", "Two")


#: Reasons as rows from before messages were stored hold them, and what they are in Japanese.
SENTENCES: dict[str, str] = json.loads((ROOT / "tests" / "unit" / "stored_sentences.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_stored_sentence_is_translated(sentence: str) -> None:
    finding = finding_from_json({"check": "any", "lean": "hold", "reason": sentence})
    assert finding.reason == sentence
    assert translator("ja").translate(finding.reason) == SENTENCES[sentence]
    assert translator("en").translate(finding.reason) == sentence
    assert translator("ja").translate(from_text(sentence)) == SENTENCES[sentence]


MADE = [
    Message("{count} links, where up to {most} pass", count=3, most=2),
    Message("the article is gone"),
    Message("more came in than usual ({names})", names="article, site"),
    Message(
        "{what} came {times} before within a day, {spam} of them spam",
        what=Message("nearly the same text"), times=Message("{n} times", n=3), spam=2,
    ),
    Message(
        "{share} like spam, going by {seen}; for spam: {for_list}; against: {against_list}",
        share="82%",
        seen=Message("{spam} spam and {good} good ones that moderators decided on", spam=12, good=30),
        for_list=["“pills”", Message("a link to {host}", host="pills.example"), Message("links: {n}", n="3")],
        against_list=Message("nothing"),
    ),
    Message(
        "the site is under a spam wave: {why}",
        why=Message("nearly the same text came {n} times within {minutes} minutes", n=12, minutes=10),
    ),
    Message(
        "{said}; it also warns (code {code}): {message}",
        said=Message("Akismet says: spam"), code="10006", message=Message("no message"),
    ),
    Message(
        "a moderator's rule: {rule} – {note}",
        rule=Message("{rule} (here: “{found}”)", rule=Message("the word “{value}”", value="pill*"), found="pills"),
        note="no pills – ever",
    ),
    Message("{check} was certain ({lean})", check="honeypot", lean=Message("spam")),
]  # fmt: skip


@pytest.mark.parametrize("message", MADE)
def test_a_message_has_the_same_english_text_before_and_after_storage(message: Message) -> None:
    finding = finding_from_json({"check": "any", "lean": "hold", "reason": message})
    stored = json.loads(json.dumps(finding_to_json(finding)))
    for known in (message, decode(json.loads(json.dumps(encode(message)))), from_text(to_text(message)),
                  finding_from_json(stored).reason):  # fmt: skip
        assert known == message
        assert translator("ja").translate(known) == SENTENCES[message]
        assert translator("en").translate(known) == message


def test_a_value_is_not_translated() -> None:
    rule = Message("a moderator's rule: {rule}", rule=Message("the word “{value}”", value="spam"))
    assert translator("ja").translate(rule) == "管理者のルール：言葉“spam”"
    named = Message("the host name {host} could not be found (DNS)", host="{host.__class__}")
    assert named == "the host name {host.__class__} could not be found (DNS)"
    assert translator("ja").translate(named) == "ホスト名{host.__class__}が見つかりません（DNS）"


def test_a_sentence_without_values_is_its_own_message_id() -> None:
    assert Message("100 {percent") == "100 {percent"
    assert translator("ja").translate("Approve") == "承認"
    assert translator("ja").translate("") == ""


def test_a_message_about_a_number_has_two_forms_in_english() -> None:
    waits = [Message("{n} second", "{n} seconds", n=number) for number in (1, 40)]
    assert waits == ["1 second", "40 seconds"]
    assert [translator("ja").translate(wait) for wait in waits] == ["1秒", "40秒"]
    assert [decode(encode(wait)) for wait in waits] == waits
    assert translator("ja").translate(decode(encode(waits[1]))) == "40秒"


def test_a_number_is_not_searched_for_in_words() -> None:
    assert translator("ja").translate("no less than 5 times") == "no less than 5 times"
    assert translator("ja").translate("5 times") == "5回"


def test_a_custom_check_is_shown_by_its_name() -> None:
    assert translator("ja").check("honeypot") == "隠し欄"
    assert translator("ja").check("our-own") == "our-own"


def test_the_longest_reason_is_matched_quickly() -> None:
    text = ("a moderator's rule: " + "nearly the same text came 3 times within " * 40)[:LONGEST]
    with quickly():
        for _ in range(10):
            translator("ja").translate(text)


@pytest.mark.parametrize("hostile", ["{0}", "{name.__class__}", "{", "%s", "<b>", "{n}" * 400])
def test_user_text_is_never_read_as_a_sentence_with_placeholders(host: Host, hostile: str) -> None:
    with host.app.test_request_context():
        assert hostile in say("By {name}", name=hostile)
        assert translated(f"the page could not be read: {hostile}").endswith(hostile)
        assert translated(hostile) == hostile


def test_markup_in_one_placeholder_does_not_affect_another(host: Host) -> None:
    from markupsafe import Markup

    with host.app.test_request_context():
        told = say("{kind} from {source}, {time}", kind="<i>", source=Markup("<b>x</b>"), time="now")
    assert told == "&lt;i&gt;：<b>x</b>、now"


def test_adversarial_text_is_translated_quickly() -> None:
    words = translator("ja")
    for message in (
        "{kind} from {source}, {time}",
        "{used} calls this month, of {most} ({percent} %)",
        "{share} like spam, going by {seen}; for spam: {for_list}; against: {against_list}",
        "sent {age} seconds after the form was opened; for this length we expect {least} or more",
    ):
        parts = PLACE.split(message)[::2]
        with quickly():
            words.translate("".join((part + "x") * 40 for part in parts)[:990] + "~")
            words.translate((PLACE.sub("x", message) * 100)[:990] + "~")


def test_plural_forms_of_numbers_are_applied_in_english_only(tmp_path: Path) -> None:
    english = Host(tmp_path / "en")
    with english.app.test_request_context():
        assert [count(n, "{n} hour", "{n} hours") for n in (1, 2, 2000)] == ["1 hour", "2 hours", "2,000 hours"]
    japanese = Host(tmp_path / "ja", MODERATE_LANGUAGE="ja")
    with japanese.app.test_request_context():
        assert count(1, "{n} hour", "{n} hours") == "1時間"
        # Another app that is asked within the same request has a language of its own.
        with english.app.app_context():
            assert count(1, "{n} hour", "{n} hours") == "1 hour"
