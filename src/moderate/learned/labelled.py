"""Texts that people have labelled as spam or as good, from a file in CSV (RFC 4180) or JSON Lines.

The file is read row by row, and no row may be longer than `LONGEST`, so that a file of any size needs little memory.
A row that cannot be read becomes a `Mistake`, which names the line.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

#: The most characters of one line.
LONGEST = 1_000_000

#: The fields of a row, and the names of columns in which each is looked for. The first that the file has is taken.
COLUMNS = {
    "text": ("text", "content", "comment_content", "comment", "body", "message"),
    "label": ("is_spam", "label", "class", "spam", "status"),
    "author": ("author", "comment_author", "name"),
    "url": ("url", "comment_author_url", "website"),
    "email": ("email", "comment_author_email"),
    "title": ("title",),
}
UTF_8 = "utf-8"
#: The fields without which nothing can be learned.
NEEDED = ("text", "label")
#: The fields that are learned. Their order is part of each row's number, which sites have stored.
PARTS = ("text", "author", "url", "email", "title")

#: Labels, in any case.
SPAM = frozenset({"spam", "1", "true", "yes", "junk"})
GOOD = frozenset({"ham", "good", "0", "false", "no", "legit", "legitimate", "approved", "not spam"})

#: Characters between the cells of a row, of which the first line has the most.
DELIMITERS = ",;\t"


def labels(words: Iterable[str]) -> frozenset[str]:
    """Return labels in the spelling in which they are compared."""
    return frozenset(" ".join(word.lower().split()) for word in words)


def encoding(name: str) -> str:
    """Return the usual name of an encoding of text. Raises `ValueError` for an unknown one."""
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"{name!r} is no encoding of text, such as {UTF_8}, cp1252 or shift_jis") from None
    return codecs.lookup(name).name


class NoSuchColumn(ValueError):
    """The file has no column for a field; `field` names it, and the text names the columns that there are."""

    def __init__(self, field: str, wanted: str, there: Iterable[str]) -> None:
        names = ", ".join(name[:40] for name in list(there)[:30]) or "none"
        super().__init__(f"there is no column {wanted}; the columns are: {names}")
        self.field = field


class Mistake(NamedTuple):
    """A line that cannot be read, and the reason."""

    line: int
    reason: str


class Labelled(NamedTuple):
    """A text with its label; `is_spam` is None where the label is one that is left out.

    `row` has all columns of the file as text, by name.
    """

    line: int
    text: str
    is_spam: bool | None
    author: str
    url: str
    email: str
    title: str
    row: Mapping[str, str]

    def number(self, key: bytes) -> int:
        """Return a number for what is learned of the row: below 0, so that no item has it.

        It is a digest of text, author, addresses and title under the site's *key*. So a row is known again in any
        file, whatever its label, and the same row is learned once.
        """
        parts = json.dumps([getattr(self, name) for name in PARTS])
        return -1 - (int.from_bytes(blake2b(parts.encode(), key=key[:64], digest_size=8).digest(), "big") >> 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The names of a file's columns by field, for those that are not among `COLUMNS`, and the words of its labels.

    Where *spam* or *good* is given, rows with any other label are left out, and are no mistake.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    spam: frozenset[str] = frozenset()
    good: frozenset[str] = frozenset()
    encoding: str = UTF_8

    def is_spam(self, label: str) -> bool | None:
        """Return what a label means, None where it is left out. Raises `ValueError` for an unknown one."""
        (word,) = labels([label])
        spam, good = (self.spam, self.good) if self.spam or self.good else (SPAM, GOOD)
        if word in spam:
            return True
        if word in good:
            return False
        if self.spam or self.good:
            return None
        raise ValueError(
            f"the label {label[:40]!r} is none of {', '.join(sorted(SPAM))} (spam), {', '.join(sorted(GOOD))}"
        )


def read(path: Path, form: Format) -> Iterator[Labelled | Mistake]:
    """Yield the rows of a file.

    Raises `NoSuchColumn`, `OSError` where the file cannot be opened, and `UnicodeError` where it is not at all in the
    encoding.
    """
    # Bytes that cannot be decoded become lone surrogates, which are found row by row.
    skips_mark = "utf-8-sig" if form.encoding == UTF_8 else form.encoding
    with path.open(encoding=skips_mark, errors="surrogateescape", newline="") as file:
        # One array of everything, as other programs write it, is named as what cannot be read.
        is_json = file.read(1000).lstrip()[:1] in {"{", "["}
        file.seek(0)
        rows = json_rows(file) if is_json else csv_rows(file)
        chosen: dict[str, str] | None = None
        for line, row in rows:
            if isinstance(row, str):
                yield Mistake(line, row)
                continue
            # Each row of JSON Lines has columns of its own.
            if chosen is None or is_json:
                chosen = columns_of(row, form)
            yield labelled(line, row, chosen, form)


def columns_of(row: Mapping[str, str], form: Format) -> dict[str, str]:
    """Return the column of each field that *row* has. Raises `NoSuchColumn`."""
    chosen = {}
    for name, usual in COLUMNS.items():
        wanted = (form.columns[name],) if form.columns.get(name) else usual
        found = next((column for column in wanted if column in row), None)
        if found is not None:
            chosen[name] = found
        elif name in NEEDED:
            raise NoSuchColumn(name, " or ".join(map(repr, wanted)), row)
    return chosen


def labelled(line: int, row: Mapping[str, str], columns: Mapping[str, str], form: Format) -> Labelled | Mistake:
    values = {name: row[column] for name, column in columns.items()}
    try:
        "".join(values.values()).encode()
    except UnicodeEncodeError:
        return Mistake(line, f"these bytes are not {form.encoding}")
    try:
        is_spam = form.is_spam(values.pop("label"))
    except ValueError as error:
        return Mistake(line, str(error))
    if not values["text"].strip():
        return Mistake(line, f"the column {columns['text']!r} is empty")
    parts = {name: values.get(name, "") for name in PARTS}
    return Labelled(line=line, is_spam=is_spam, row=row, **parts)


#: The number of a line, and its columns or the reason that it cannot be read.
Row = tuple[int, "Mapping[str, str] | str"]


def json_rows(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(bounded(file), 1):
        if not line.strip():
            continue
        if len(line) > LONGEST:
            yield number, too_long()
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield number, {name: written(value) for name, value in found.items()}
        else:
            yield number, "this is no JSON object on one line"


def too_long() -> str:
    return f"it has more than {LONGEST:,} characters"


def written(value: object) -> str:
    return "" if value is None else str(value)


def csv_rows(file: TextIO) -> Iterator[Row]:
    # Python refuses cells of an eighth of that, whatever reads them, and has no such limit of one reader.
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    lines = Counted(bounded(file))
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    if not names:
        return
    twice = [name for name, number in Counter(names).items() if name and number > 1]
    if twice:
        yield 1, f"two columns have the name {twice[0][:40]!r}"
    while True:
        number = lines.number + 1
        lines.longest = 0
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield number, too_long() if lines.longest > LONGEST else f"this is no row of CSV ({error})"
            continue
        if cells is None:
            return
        if lines.longest > LONGEST:
            yield number, too_long()
        elif len(cells) > len(names):
            yield number, f"it has {len(cells)} cells, and the first line {len(names)}"
        elif cells:
            # Some programs leave out empty cells at the end.
            yield number, dict(zip(names, [*cells, *[""] * len(names)], strict=False))


def bounded(file: TextIO) -> Iterator[str]:
    """Yield lines; of one that is too long only a beginning, still longer than `LONGEST`."""
    while line := file.readline(LONGEST + 1):
        rest = line
        while len(rest) > LONGEST and not rest.endswith(("\n", "\r")):
            rest = file.readline(LONGEST + 1)
        yield line


class Counted:
    """An iterator of lines that knows how many it has given, and the length of the longest."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = self.longest = 0

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.longest = max(self.longest, len(line))
        return line
