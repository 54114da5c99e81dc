"""Words to people, in the languages that we speak: for pages, mails and spreadsheets.

Templates and code hold the English words; a catalogue has what stands for them in another language.
Words that a catalogue lacks stay English, and a test holds that it lacks none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from moderate.words.ja import JAPANESE
from moderate.words.ja_checks import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUES: Mapping[str, Mapping[str, str]] = {"en": {}, "ja": JAPANESE}

#: The names of checks, for people. Programs get them as they stand in the code.
CHECK_NAMES: Mapping[str, Mapping[str, str]] = {"ja": NAMES}

#: A place in a sentence that is filled in: ``{name}``.
PLACE = re.compile(r"\{(\w+)\}")

#: A place for a number, and the end of the name of a place for several things with commas between them.
NUMBER, SEVERAL = "n", "_list"

#: Longer sentences are none of ours, and are not looked at.
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language, such as ``en``."""

    language: str

    def template(self, words: str) -> str:
        """The words with their places still open."""
        return CATALOGUES[self.language].get(words, words)

    def say(self, words: str, **values: object) -> str:
        """The words, with *values* in their places."""
        told = self.template(words)
        return told.format(**values) if values else told

    def number(self, number: int, one: str, many: str) -> str:
        """Which of the two English forms stands for a number; other languages have theirs under the plural."""
        return one if number == 1 and self.language == "en" else many

    def count(self, number: int, one: str, many: str, **values: object) -> str:
        """Words about a number; their place for it is ``{n}``."""
        return self.say(self.number(number, one, many), n=f"{number:,}", **values)

    def found(self, sentence: object) -> str:
        """A sentence that was put together elsewhere: a check's reason, a refusal.

        It is looked up as a whole, then by the sentences with places that it may have been made from.
        Unknown sentences, those of a host's own checks say, stay as they are.
        """
        text = str(sentence)
        catalogue = CATALOGUES[self.language]
        if not catalogue or text in catalogue or len(text) > LONGEST:
            return catalogue.get(text, text)
        for pattern, told in patterns(self.language):
            match = pattern.fullmatch(text)
            if match is not None:
                return told.format(**{name: self._part(name, part) for name, part in match.groupdict().items()})
        return text

    def _part(self, place: str, part: str) -> str:
        # A part may be a sentence of ours again; it is shorter, so this comes to an end.
        if place == "check":
            return self.check(part)
        if place.endswith(SEVERAL):
            return self.template(", ").join(self.found(each) for each in part.split(", "))
        return self.found(part)

    def check(self, name: str) -> str:
        """What people call a check; one of the host's own goes by the name that it has."""
        return CHECK_NAMES.get(self.language, {}).get(name, name)


#: The words of each language, by its tag.
SPOKEN: Mapping[str, Words] = {language: Words(language) for language in CATALOGUES}


@cache
def patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The sentences with places, as patterns; those with the most words of their own first."""
    templates = [words for words in CATALOGUES[language] if PLACE.search(words)]
    templates.sort(key=lambda words: -len(PLACE.sub("", words)))
    return tuple((pattern_of(words), CATALOGUES[language][words]) for words in templates if is_telling(words))


def is_telling(words: str) -> bool:
    """Whether a sentence has enough words of its own to be known by them."""
    return len(PLACE.sub("", words).strip()) >= 4


def pattern_of(words: str) -> re.Pattern[str]:
    parts = PLACE.split(words)
    source = "".join(place_of(part) if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(source, re.DOTALL)


def place_of(name: str) -> str:
    """A number is known as one, or "5 calls within 10 minutes" would be taken for so many minutes."""
    return rf"(?P<{name}>\d[\d,.]*)" if name == NUMBER else f"(?P<{name}>.+?)"
