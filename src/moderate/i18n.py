"""Translations: messages that remember how they were made, and the catalogs of other languages.

The code and the templates hold the English texts, which are the message ids. Every other language is one file,
``locale/LANGUAGE/LC_MESSAGES/moderate.po``, in the format of GNU gettext. A wheel holds it compiled to
``moderate.mo`` (see ``tools/catalogs.py``); a checkout has no such file and compiles it in memory, so that it is
never out of date. This module imports nothing of the package, because the build loads it alone.
"""

from __future__ import annotations

import ast
import gettext
import json
import re
import struct
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCALE = Path(__file__).with_name("locale")

#: The tags of all languages: a folder below ``locale`` is a language.
LANGUAGES = ("en", *sorted(path.name for path in LOCALE.iterdir() if path.is_dir()))

#: The context of the names of checks in a catalog, since some of them are ordinary words as well.
CHECK = "check"

#: A place in a message that a value fills: ``{name}``.
PLACE = re.compile(r"\{(\w+)\}")

#: A number as messages hold it.
NUMBER = re.compile(r"\d[\d,.]*")

#: Stored sentences longer than this are not looked up by pattern.
LONGEST = 1000


class Message(str):
    """An English sentence that can be translated later, since it keeps its message id and its values.

    ``Message("{n} link", "{n} links", n=3)`` equals ``"3 links"``. The second argument is for sentences about a
    number, which they have under ``n``. A value is a string or a number, which stay as they are, another message,
    which is translated too, or a list of these, which are joined by commas. The value ``check`` is the name of a
    check. A sentence without values needs no `Message`: it is its own message id.
    """

    id: str
    plural: str | None
    values: Mapping[str, Any]

    def __new__(cls, id: str, plural: str | None = None, /, **values: Any) -> Message:  # noqa: A002 - gettext's word
        template = id if plural is None or values["n"] == 1 else plural
        english = dict(values)
        for name, value in values.items():
            if isinstance(value, list):
                english[name] = ", ".join(value)
        self = super().__new__(cls, template.format(**english) if values else template)
        self.id, self.plural, self.values = id, plural, values
        return self

    @classmethod
    def of(cls, sentence: str) -> Message:
        """Return a sentence as a message, so that it is translated where it is the value of another one."""
        return sentence if isinstance(sentence, Message) else cls(sentence)


#: Messages that only stored rows still hold. When you reword a finding, add its old message here.
FORMER: tuple[Message, ...] = ()


def encode(value: Any) -> Any:
    """Return a message, or a value of one, as it is stored in JSON; `decode` is the reverse."""
    if isinstance(value, list):
        return [encode(each) for each in value]
    if not isinstance(value, Message):
        return value
    values = dict(value.values)
    for name, each in values.items():
        # Most values are numbers and names, which stay as they are.
        if isinstance(each, Message | list):
            values[name] = encode(each)
    plural = {} if value.plural is None else {"plural": value.plural}
    return {"id": value.id, **plural, "values": values}


def decode(stored: Any) -> Any:
    """Return what `encode` was given. A plain sentence, as older rows and hosts' checks have it, stays one."""
    if isinstance(stored, list):
        return [decode(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    values = dict(stored["values"])
    for name, each in values.items():
        if isinstance(each, dict | list):
            values[name] = decode(each)
    return Message(stored["id"], stored.get("plural"), **values)


def to_text(sentence: str) -> str:
    """Return a sentence for a column of text: a message as JSON, any other as it is."""
    return json.dumps(encode(sentence), ensure_ascii=False) if isinstance(sentence, Message) else sentence


def from_text(stored: str) -> str:
    """Return the sentence that `to_text` was given."""
    return decode(json.loads(stored)) if stored.startswith('{"id": ') else stored


# --- one language -------------------------------------------------------------------------------------


class Translator:
    """The texts of the package in the language with this tag. Use `translator`, which reads each catalog once."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalog = gettext.NullTranslations() if language == "en" else read_catalog(language)

    def template(self, message: str) -> str:
        """Return the translation of a message id with its places still open; of an unknown one the id itself."""
        # The empty id has the header of the catalog.
        return self._catalog.gettext(message) if message else message

    def plural(self, number: int, one: str, many: str) -> str:
        """Return the form for a number of the message *one*, whose English plural is *many*; see `template`."""
        return self._catalog.ngettext(one, many, number)

    def say(self, message: str, **values: object) -> str:
        """Translate a message id, and put *values* into its places."""
        template = self.template(message)
        return template.format(**values) if values else template

    def count(self, number: int, one: str, many: str, **values: object) -> str:
        """Translate a message about a number, which fills the place ``{n}``."""
        return self.plural(number, one, many).format(n=f"{number:,}", **values)

    def check(self, name: str) -> str:
        """Return what people call a check; one of the host's own keeps its name."""
        return self._catalog.pgettext(CHECK, name)

    def translate(self, sentence: object) -> str:
        """Translate a sentence that was made elsewhere: a check's reason, a refusal. Unknown ones stay English."""
        if self.language == "en":
            return str(sentence)
        if isinstance(sentence, Message) and sentence.values:
            return self._filled(sentence)
        text = str(sentence)
        translation = self.template(text)
        return self._by_pattern(text) if translation == text and len(text) <= LONGEST else translation

    def _filled(self, message: Message) -> str:
        if message.plural is None:
            template = self.template(message.id)
        else:
            template = self.plural(message.values["n"], message.id, message.plural)
        return template.format(**{name: self._value(name, value) for name, value in message.values.items()})

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return self.template(", ").join(str(self._value(name, each)) for each in value)
        if isinstance(value, Message):
            return self.translate(value)
        return self.check(value) if name == "check" else value

    # Rows from before messages were stored with their values hold the English sentence alone.

    def _by_pattern(self, text: str) -> str:
        for message, template in self._patterns:
            values = values_in(text, message)
            if values is not None:
                return template.format(**{name: self._part(name, part) for name, part in values.items()})
        return text

    def _part(self, place: str, part: str) -> str:
        if place == "check":
            return self.check(part)
        if place.endswith("_list"):
            return self.template(", ").join(self.translate(each) for each in part.split(", "))
        # It may have been made by another message; it is shorter, so this comes to an end.
        return self.translate(part)

    @cached_property
    def _patterns(self) -> list[tuple[str, str]]:
        """All messages with places and their translations; those with the most words of their own first."""
        # Keys that are no strings are those of messages about a number.
        known = [key for key in vars(self._catalog)["_catalog"] if isinstance(key, str) and PLACE.search(key)]
        own = {message: len(PLACE.sub("", message).strip()) for message in known}
        ranked = sorted((message for message in known if own[message] >= 4), key=lambda message: -own[message])
        return [(message, self.template(message)) for message in ranked]


def values_in(text: str, message: str) -> dict[str, str] | None:
    """Return the values with which *message* becomes *text*, each as short as possible; None where it cannot.

    Takes linear time, unlike a regular expression with several open places: *text* may be a stranger's.
    """
    first, *rest = PLACE.split(message)
    if not text.startswith(first):
        return None
    values: dict[str, str] = {}
    start = len(first)
    for at in range(0, len(rest), 2):
        name, after = rest[at], rest[at + 1]
        if at == len(rest) - 2:
            end = len(text) - len(after) if text.endswith(after) else -1
        else:
            end = text.find(after, start + 1)
        # A number is known as one, or "5 calls within 10 minutes" would be taken for so many minutes.
        if end <= start or (name == "n" and not NUMBER.fullmatch(text, start, end)):
            return None
        values[name] = text[start:end]
        start = end + len(after)
    return values


translator = cache(Translator)


# --- catalogs -----------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One message of a ``.po`` file, with its translations: one, or one for each plural form."""

    id: str
    plural: str | None
    context: str | None
    translations: list[str]
    is_fuzzy: bool


def read_catalog(language: str) -> gettext.NullTranslations:
    """Return the catalog of a language: the compiled one of a wheel, or the source of a checkout."""
    folder = LOCALE / language / "LC_MESSAGES"
    source = folder / "moderate.po"
    made = compiled(source.read_text("utf-8")) if source.is_file() else (folder / "moderate.mo").read_bytes()
    return gettext.GNUTranslations(BytesIO(made))


def entries(source: str) -> Iterator[Entry]:
    """Parse the text of a ``.po`` file. Entries stand apart by empty lines; the first one is the header."""
    for block in re.split(r"\n\s*\n", source):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        texts: dict[str, str] = {}
        for line in lines:
            if not line.startswith('"'):
                keyword = line.partition(" ")[0]
                texts[keyword] = ""
            texts[keyword] += ast.literal_eval(line.removeprefix(keyword).strip())
        if texts:
            translations = [text for keyword, text in sorted(texts.items()) if keyword.startswith("msgstr")]
            is_fuzzy = any(line.startswith("#,") and "fuzzy" in line for line in block.splitlines())
            yield Entry(texts["msgid"], texts.get("msgid_plural"), texts.get("msgctxt"), translations, is_fuzzy)


def compiled(source: str) -> bytes:
    """Compile the text of a ``.po`` file to a ``.mo`` file (GNU gettext manual, 10.3); fuzzy entries are left out."""
    texts: dict[bytes, bytes] = {}
    for entry in entries(source):
        if all(entry.translations) and not entry.is_fuzzy:
            key = entry.id if entry.context is None else f"{entry.context}\4{entry.id}"
            key = key if entry.plural is None else f"{key}\0{entry.plural}"
            texts[key.encode()] = "\0".join(entry.translations).encode()
    keys = sorted(texts)
    start = 28 + 16 * len(keys)
    tables, strings = b"", b""
    for table in (keys, [texts[key] for key in keys]):
        for text in table:
            tables += struct.pack("<II", len(text), start + len(strings))
            strings += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, start)
    return header + tables + strings
