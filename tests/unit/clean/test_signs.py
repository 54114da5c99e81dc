"""Signs besides words: what has them, and what people write that only looks similar."""

from __future__ import annotations

import json
from itertools import product

import pytest

from bench.spam import OWN
from moderate.text.signs import Sign, signs_of

SHORT = (
    "Thank you, great article!",
    "Sorry, I don't buy it. Twelve samples is nothing.",
    "Danke, sehr hilfreich! Am 12.11.2025 um 18:30 Uhr?",
    "Petite erreur : c'est 1,4 milliard d'années, pas million.",
    "¡Mil gracias por la receta!De nada.",
    "gracias.de nada",
    "Em 3.º lugar, a 1ª edição",
    "Спасибо, очень помогло!",
    "Спасибо, с VPNом и в Instagramе работает.",
    "ありがとうございます、助かりました。",
    "ＮＨＫの番組で見ました。ＰＣでもｄｖｄでも。",
    "ｶﾀｶﾅ 谢谢分享,写得真好! 真 的 很 好 真 的",
    "감사합니다, 덕분에 해결했어요.",
    "شكراً جزيلاً على هذا المقال المفيد",
    "ขอบคุณมากครับ บทความดีมาก",
    "धन्यवाद, बहुत अच्छा लेख",
    "می‌خواهم بدانم",
    "@Dorian P. I disagree, see page 12.",
    "WhatsApp and Telegram should be regulated.",
    "The casino paid 1,000,000 in 1998-2003, or 12 345 678 per year.",
    "Call 112 or 911. Bus 38 leaves at 06:40, costs 38.50.",
    "Works in sqlite3 and utf8mb4, log4j or H2O, sha256sum too. ASP.NET does not; see readme.md and `logging.info(x)`.",
    "logging.info(x) and self.site = window.top, see config.py",
    "N E V E R again. U.S.S.R., S.P.Q.R., Y-M-C-A",
    "1 2 3 4 5 6 7 8",
    "The area is 3 µm × 5 kΩ, Δx = 2, x² + ﬁnal ½, 𝑓(𝑥)",
    "lol 👍🏽❤️ +1 10/10 24/7",
    "the dot com bubble",
    "谢谢。app 很好用。shop也不错",
)


@pytest.mark.parametrize("text", SHORT)
def test_short_thanks_and_questions_have_no_sign(text: str) -> None:
    assert signs_of(text) == ()


def test_genuine_comments_have_hardly_a_sign_but_their_links_and_websites() -> None:
    """Of the good texts of the benchmarks; one of them gives a telephone number."""
    rows = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
    good = [(row["text"], signs_of(row["text"], row.get("url"))) for row in rows if not row["is_spam"]]
    assert sum(Sign.DISGUISE in signs or Sign.CONTACT in signs for _, signs in good) <= 2
    assert all("://" in text for text, signs in good if Sign.LINK in signs)
    spam = [signs_of(row["text"], row.get("url")) for row in rows if row["is_spam"]]
    assert sum(map(bool, spam)) >= 0.9 * len(spam)


@pytest.mark.parametrize(
    "text",
    [
        "see https://shop.example/x",
        "visit us: www.rent-a-van.biz",
        "bigspinn.com is best",
        "更多内容：http://例え.jp/",
        "заходи на казино.рф",
        "bit.ly/3xYz",
        "[url=//a.b]x[/url]",
        '<a href="/x">x</a>',
        "pharmadoor . com",
        "leatherhaus dot com (remove space)",
        "leatherhaus[.]com",
        "http&#58;//shop.example",
        "shop。com",
        "shop｡com",
        "shop․com",
        "素晴らしい ｓｈｏｐ．ｃｏｍ",
        "shop.\u00adcom",
        "shop\u2060.com",
        "pharmadoor\xa0.\xa0com",
        "xn--80aaf7a.xn--p1ai",
    ],
)
def test_links_are_found_however_they_are_written(text: str) -> None:
    assert Sign.LINK in signs_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Write me: anfelisa.sweet@mail.test, I send photos",
        "anfelisa (at) mail.test",
        "WhatsApp: +1 555 0133",
        "Text me: 555-123-4567",
        "+46\xa08\xa0123\xa0456\xa078",
        "+46–8–123–456–78",
        "+46\u200b8123456789",
        "anfelisa＠mail.test",
        "电话+1 555 0164",
        "ledger_phoenix on Telegram proved me wrong",
        "詳しくはLINE ID: rich_tanuki まで",
        "加 微 信 xk0000yy,兼职刷单",
        "Пиши в телеграм @casino_bot",
    ],
)
def test_contacts_are_found(text: str) -> None:
    assert signs_of(text) == (Sign.CONTACT,)


@pytest.mark.parametrize(
    "text",
    [
        "ch3ap pi11s no pr3scription",
        "c@s1no b0nus w1thout",
        "A E R O 8 8",
        "V-i-g-o-r-a-m-a-x cheap",
        "C A S I N O  O N L I N E",
        "c·a·s·i·n·o",
        "c*a*s*i*n*o, c.a.s.i.n.o",
        "카 지 노 사 이 트 추 천",
        "𝐕𝐢𝐠𝐨𝐫 for men",
        "ⓒⓐⓢⓘⓝⓞ",
        "ＯＮＬＩＮＥ　ＣＡＳＩＮＯ",
        "Веst оnlinе саsinо",
        "лучшее кaзинo онлайн",
        "cαsinο",
        "c\u0336a\u0336s\u0336ino",
        "ca\u200bsino",
    ],
)
def test_disguised_letters_are_found(text: str) -> None:
    assert signs_of(text) == (Sign.DISGUISE,)


def test_the_authors_website_is_a_sign_of_its_own() -> None:
    assert signs_of("Nice.", "https://shop.example") == (Sign.SITE,)
    assert signs_of("Nice: shop.com", "https://shop.example") == (Sign.LINK, Sign.SITE)
    assert signs_of("Nice.", "") == signs_of("", None) == ()


@pytest.mark.parametrize(
    "unit",
    ["a", "a.", "a ", "a@", "+1", "1 ", "(1)", "a1", "aа", "`", "a\u0335", "a\u200b", "@", " ", "&amp", "a-", "0",
     "x@a.", "telegram", "[", "(at)", "\U0001d400x", "".join(map(chr, range(0x20, 0xD800)))],
)  # fmt: skip
def test_hostile_texts_take_linear_time(unit: str) -> None:
    """Quadratic work on so long a text would not end before the suite's time is up."""
    assert len(signs_of(unit * (300_000 // len(unit)))) <= len(Sign)


def test_many_different_words_of_two_alphabets_take_linear_time() -> None:
    words = map("".join, product("асеоруху", repeat=5))
    assert signs_of(" ".join(f"{word}b" for word in words) + " ж") == ()
