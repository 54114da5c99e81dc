"""Signs of a text that hold whatever its words are: a link, a website of the author, a contact, disguised letters.

Short thanks, praise and questions have none of them in any language. Words alone are a poor reason to hold or to mark
a comment on a site that has seen few; these signs are what spam is sent for. All functions are linear in the length of
the text.
"""

from __future__ import annotations

import enum
import html
import re
from functools import lru_cache
from itertools import islice

from moderate.i18n import Message
from moderate.text.similarity import APART, LOOKALIKES, compiled


class Sign(enum.StrEnum):
    """A sign besides words."""

    LINK = "link"
    #: The author gave a website, or a ping names its page.
    SITE = "site"
    CONTACT = "contact"
    #: Letters that look like others, so that filters do not see the words that people read.
    DISGUISE = "disguise"

    @property
    def label(self) -> Message:
        """The sign in words for moderators."""
        return SIGN_LABELS[self]


SIGN_LABELS = {
    Sign.LINK: Message("a link"),
    Sign.SITE: Message("a website of the author"),
    Sign.CONTACT: Message("a contact"),
    Sign.DISGUISE: Message("disguised letters"),
}

# --- links ----------------------------------------------------------------------------------------

#: Last labels of host names without a scheme. Names with others are too often those of files or parts of code.
ENDINGS = (
    "com|net|org|info|biz|ru|uk|co|tv|io|ly|cn|xyz|top|site|online|shop|club|eu|fr|tk|pro|live|store|blog|app|dev"
    "|website|space|icu|vip|link|click|bet|casino|su|ua|pl|cz|nl|ch|jp|kr|br|рф|example"
    # Names in other letters, as programs write them.
    "|xn--[a-z0-9-]{2,59}"
)
#: Last labels that are words in some language: "gracias.de nada" lacks a blank and is no address.
WORDS = "de|me|us|be|in|to|it|at|es|ai|gg|cc"
#: A scheme, "www." and the markup of links, each after what it has in it, which is quicker to look for.
MARKUP = {"://": r"://\S", "www.": r"\bwww\.[^\s.]", "[url": r"\[url\b", "[link": r"\[link\b", "href": r"\bhref\s?="}
#: The end of a host name. `logging.info(` and `this.site` are none.
HOST_END = re.compile(
    rf"\.(?<=\w\.)(?<!\basp\.)(?<!\bvb\.)(?<!\bself\.)(?<!\bthis\.)(?<!\bwindow\.)"
    rf"(?:(?:{ENDINGS})(?![\w(=-]|\.\w)|(?:{ENDINGS}|{WORDS})(?:/\w|:\d))"
)
#: A host name that is written apart: `name . com`, `name (dot) com`, `name[.]com`.
LINK_APART = re.compile(rf"(?<=\w{{4}}) ?(?:\[\.\]|\(\.\)|[\[(] ?dot ?[\])]| dot | \. ) ?(?:{ENDINGS})(?!\w)")

#: Other characters for blanks, dots, hyphens and the rest of ASCII, and invisible ones: an address or a number that has
#: them is read, and copied, as one.
MASKS = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    **dict.fromkeys((0xAD, 0x34F, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)),
    **dict.fromkeys(range(0xFE00, 0xFE10)),
    0x2024: ".",
}
MASK = re.compile(f"[{''.join(map(chr, MASKS))}]")
#: The full stop of Chinese and Japanese, which browsers read as a dot. After their letters it ends a sentence.
FULL_STOP = re.compile(r"[\u3002\uff61](?<=[^\W\u3040-\u30ff\u3400-\u9fff].)(?=\w)")

# --- contacts -------------------------------------------------------------------------------------

MAIL = re.compile(r"(?<=[\w+-])(?:@| ?[\[(]at[\])] ?)(?:[\w-]{1,63}\.){1,5}[^\W\d_]{2,24}", re.IGNORECASE)
#: International numbers; national ones with their separators; long ones in one run. What may stand before one is tested
#: after the first character, because a pattern that begins with a set of characters is found in half the time.
PHONE = re.compile(
    r"[\d+(](?<![A-Za-z0-9_.,].)(?:(?<=\+) ?\d(?:[ ().\-]{0,2}\d){6,14}|(?<=\()\d{2,5}\)(?:[ .\-/]?\d){5,10}"
    r"|(?<=0)\d{2,4}[ \-/]\d{3,}(?:[ -]?\d){2,8}|(?<=\d)(?:\d{2}[ .-]\d{3,4}[ .-]\d{4}|\d{10,12}))(?![\w.,]?\d)"
)
#: Names of messengers. They are a contact beside a handle or a number; many people just talk about them.
MESSENGERS = (
    *("whatsapp", "whats app", "telegram", "t.me/", "wa.me/", "wechat", "we chat", "kakao", "viber", "snapchat"),
    *("skype", "on insta", "instagram:", "line id", "lineid", "dm me", "dm @", "pm me"),
    *("微信", "微 信", "加微", "薇信", "电报", "ไลน์", "ライン", "카톡", "카카오", "텔레그램"),
    *("ватсап", "вотсап", "вацап", "телеграм", "скайп", "واتس", "تليجرام", "تيليجرام", "تلغرام"),
)
HANDLE = re.compile(r"@\w{3}|(?<![^\W_])[A-Za-z]\w*[\d_][\w]{2,}|\d(?:[ ().-]?\d){5}|\b(?:t|wa)\.me/\w", re.ASCII)
CONTACT = re.compile(r"(?<![\w.+-])[\w.+-]{0,64}@[\w.-]{2,80}")
#: The number of contacts of each sort that are read.
MOST_CONTACTS = 4

# --- disguised letters ----------------------------------------------------------------------------

#: Letters of other styles in a row: mathematical, in circles, small capitals. One alone is a symbol.
STYLED = (
    "[\U0001d400-\U0001d7cb\u2102\u210a-\u2115\u2118-\u211d\u2124-\u2138\u24b6-\u24e9\U0001f110-\U0001f149"
    "\U0001f150-\U0001f169\U0001f170-\U0001f189\u1d00-\u1d22]{3}"
)
#: Letters with strokes through them, and invisible characters between Latin letters.
BROKEN = "(?:\\w[\u0334-\u0338]+){3}|(?<=[A-Za-z])[\u200b-\u200d\u2060]+(?=[A-Za-z])"
#: Full width, which only Chinese and Japanese texts use for Latin letters.
FULL_WIDTH = "[\uff21-\uff3a\uff41-\uff5a]{3}"
EAST_ASIAN = "[\u3040-\u30ff\u3400-\u9fff]"
LATIN, OTHER = "A-Za-z\u00c0-\u024f", "\u0370-\u03ff\u0400-\u052f"
SWITCH = f"(?<=[{LATIN}])(?=[{OTHER}])|(?<=[{OTHER}])(?=[{LATIN}])"
#: The characters without which none of these is there: one search instead of four.
SUSPECT = (
    f"[{OTHER}\u0334-\u0338\u1d00-\u1d22\u200b-\u200d\u2060\u2102-\u2138\u24b6-\u24e9\uff21-\uff3a\uff41-\uff5a"
    "\U0001d400-\U0001d7cb\U0001f110-\U0001f189]"
)
CYRILLIC = "[\u0400-\u052f]"
#: Cyrillic letters that no Latin letter looks like, which words of Cyrillic languages have.
OWN_CYRILLIC = re.compile(
    "".join(["[", *(chr(code) for code in range(0x430, 0x450) if code not in LOOKALIKES), "]"]), re.IGNORECASE
)
LATIN_TWINS = re.compile("[aceopxyABCEHKMOPTX]+")
#: Digits and signs in place of letters, inside a word. Names such as `log4j` have one too: two words are asked for.
LEET = re.compile(r"(?<![\w@$])[a-z]+[01345@$][a-z0-9@$]*[a-z](?![\w@$.])", re.IGNORECASE)
LEET_PARTS = re.compile(r"[01345@$]+")
#: A part of each such word.
LEET_HINT = re.compile(r"[01345@$](?<=[A-Za-z].)[01345@$]*[A-Za-z]")
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
#: A part of each run of letters apart that is a disguise.
APART_HINT = re.compile(r"[ .\-_*·]\w[ .\-_*·]\w[ .\-_*·]\w")
#: The number of letters apart from which on it is a disguise: people spell names and shout N E V E R.
APART_LETTERS = 6


@lru_cache(maxsize=64)
def signs_of(text: str, site: str | None = None) -> tuple[Sign, ...]:
    """Return the signs of a text as it was typed, and of the website that the author gave, each once."""
    read = html.unescape(text) if "&" in text else text
    if "`" in read:
        read = CODE.sub(" ", read)
    plain = read if read.isascii() else unmasked(read)
    without_mail = without_addresses(plain)
    found = {
        Sign.LINK: has_link(without_mail.lower()),
        Sign.SITE: site,
        Sign.CONTACT: without_mail != plain or has_contact(plain),
        Sign.DISGUISE: is_disguised(without_mail if plain == read else without_addresses(read)),
    }
    return tuple(sign for sign, is_there in found.items() if is_there)


def unmasked(text: str) -> str:
    """Return *text* with `MASKS` and full stops inside names as the ASCII characters that they are read as."""
    if MASK.search(text):
        text = text.translate(MASKS)
    return FULL_STOP.sub(".", text)


def without_addresses(text: str) -> str:
    """Return *text* with a blank in place of each mail address."""
    return MAIL.sub(" ", text) if "@" in text or "at)" in text or "at]" in text else text


def contacts(text: str) -> list[str]:
    """Return the first mail addresses, handles and telephone numbers of a text, each in one spelling."""
    numbers = ("".join(filter(str.isdigit, match.group())) for match in islice(PHONE.finditer(text), MOST_CONTACTS))
    return [*(name.lower() for name in CONTACT.findall(text)[:MOST_CONTACTS]), *numbers]


def has_link(lowered: str) -> bool:
    """Return True for the address of a page, also one without a scheme or with blanks in it."""
    if any(part in lowered and re.search(pattern, lowered) for part, pattern in MARKUP.items()):
        return True
    if HOST_END.search(lowered):
        return True
    return any(part in lowered for part in ("dot", " . ", "[.]", "(.)")) and bool(LINK_APART.search(lowered))


def has_contact(text: str) -> bool:
    """Return True for a telephone number, or the name of a messenger beside a handle or a number."""
    if PHONE.search(text):
        return True
    lowered = text.lower()
    return any(name in lowered for name in MESSENGERS) and bool(HANDLE.search(text))


def is_disguised(text: str) -> bool:
    """Return True where letters are replaced, styled or set apart so that a filter cannot read the words."""
    if not text.isascii() and has_foreign_letters(text):
        return True
    apart = [match.group()[::2] for match in APART.finditer(text)] if APART_HINT.search(text) else []
    if any(len(word) >= APART_LETTERS and len(set(word)) > 2 and is_lettered(word) for word in apart):
        return True
    if not LEET_HINT.search(text):
        return False
    parts = [len(LEET_PARTS.findall(word)) for word in leet_words(text)]
    return len(parts) > 1 or max(parts, default=0) > 1


def leet_words(text: str) -> set[str]:
    """Return the words with digits or signs in place of letters: five characters or more."""
    found = {match.group() for match in LEET.finditer(text)}
    return {word for word in found if len(word) > 4 and sum(map(str.isalpha, word)) > 2}


def is_lettered(word: str) -> bool:
    """Return True for mostly letters, of other scripts than Chinese and Japanese, in which a letter may be a word."""
    letters = sum(map(str.isalpha, word))
    return letters > len(word) / 2 and not compiled(EAST_ASIAN).search(word)


def has_foreign_letters(text: str) -> bool:
    """Return True for letters of another style or width, or of two scripts within one word."""
    if not compiled(SUSPECT).search(text):
        return False
    if compiled(STYLED).search(text) or compiled(BROKEN).search(text):
        return True
    if compiled(FULL_WIDTH).search(text) and not compiled(EAST_ASIAN).search(text):
        return True
    words = mixed_words(text)
    is_cyrillic = bool(words) and bool(OWN_CYRILLIC.search(text))
    return any(is_mixed(word, is_cyrillic) for word in words)


def mixed_words(text: str) -> set[str]:
    """Return the words in which a Latin letter is beside a Greek or Cyrillic one."""
    if not compiled(SWITCH).search(text):
        return set()
    return {word for word in compiled(r"[^\W\d_]+").findall(text) if compiled(SWITCH).search(word)}


def is_mixed(word: str, is_cyrillic: bool) -> bool:
    """Return True for a word of two scripts that is neither a foreign name with an ending nor a unit.

    *is_cyrillic* tells that the text has words of a Cyrillic language.
    Russian puts its endings on Latin names (`VPNом`); Greek letters stand for quantities (`Δx`).
    """
    if len(compiled(SWITCH).findall(word)) > 1:
        return True
    if not compiled(CYRILLIC).search(word):
        return False
    if not is_cyrillic:
        return True
    latin = compiled(f"[{LATIN}]+").findall(word)
    return all(map(LATIN_TWINS.fullmatch, latin)) and sum(map(len, latin)) * 2 < len(word)
