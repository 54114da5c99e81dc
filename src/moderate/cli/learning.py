"""Commands about the filter that learns: to teach it from a file, and to see how the checks do on this site."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from moderate.http.state import current_state
from moderate.learned import labelled
from moderate.learned.check import ENOUGH, LEAST, learn_writing
from moderate.learned.labelled import COLUMNS, PARTS, UTF_8, Format, Labelled, Mistake, NoSuchColumn, labels, read
from moderate.learned.tokens import Writing
from moderate.model import Article, Body, Client, Kind, Submission
from moderate.text.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from moderate.monitoring.sql import Tallies
    from moderate.ports import TokenCounts

#: Rows that are looked up in one query.
PAGE = 500
#: Lines that a message names.
NAMED = 10
#: Lines of the history that are counted in one query.
LINES = 10_000


# --- teaching from a file -----------------------------------------------------------------------------


@dataclass(slots=True)
class Lines:
    """Some lines of a file: how many there are, and the first of them, with words about each."""

    number: int = 0
    named: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, words: str = "") -> None:
        self.number += 1
        if len(self.named) < NAMED:
            self.named.append((line, words))

    def __str__(self) -> str:
        more = ", …" if self.number > len(self.named) else ""
        return ", ".join(str(line) for line, _ in self.named) + more


class Examples:
    """The rows of a file, each text once, in a database of its own on the disk, which is gone when it is closed.

    They come back by their numbers, which is an order that has nothing to do with the file's: a filter that was taught
    all spam first and all good texts last would believe the last ones too much.
    """

    def __init__(self, path: Path, form: Format, key: bytes) -> None:
        self._conn = sqlite3.connect("")
        self._conn.execute("CREATE TABLE examples (number INTEGER PRIMARY KEY, line, is_spam, parts)")
        self.read = self.left_out = self.repeated = 0
        self.mistakes, self.otherwise = Lines(), Lines()
        try:
            for row in read(path, form):
                if isinstance(row, Mistake):
                    self.mistakes.add(row.line, row.reason)
                else:
                    self._add(row, key)
        except BaseException:
            self.close()
            raise

    def _add(self, row: Labelled, key: bytes) -> None:
        self.read += 1
        if row.is_spam is None:
            self.left_out += 1
            return
        parts = json.dumps([getattr(row, name) for name in PARTS])
        values = (row.number(key), row.line, row.is_spam, parts)
        if self._conn.execute("INSERT OR IGNORE INTO examples VALUES (?, ?, ?, ?)", values).rowcount:
            return
        before = self._conn.execute("SELECT is_spam FROM examples WHERE number = ?", values[:1]).fetchone()
        if bool(before[0]) is row.is_spam:
            self.repeated += 1
        else:
            self.otherwise.add(row.line)

    def count(self, is_spam: bool) -> int:
        query = "SELECT count(*) FROM examples WHERE is_spam = ?"
        return int(self._conn.execute(query, (is_spam,)).fetchone()[0])

    def pages(self) -> Iterator[list[tuple[int, int, bool, str]]]:
        rows = self._conn.execute("SELECT number, line, is_spam, parts FROM examples ORDER BY number")
        while page := rows.fetchmany(PAGE):
            yield [(number, line, bool(is_spam), parts) for number, line, is_spam, parts in page]

    def close(self) -> None:
        self._conn.close()


def column_options(command: Any) -> Any:
    for name, usual in reversed(COLUMNS.items()):
        about = f"The column of the {name}, where it is none of {', '.join(usual)}."
        command = click.option(f"--{name}", default="", metavar="COLUMN", help=about)(command)
    return command


def encoding_of(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return labelled.encoding(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("teach", short_help="Teach the filter from a file of labelled texts.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--forget", is_flag=True, help="Take back what was learned of the rows of FILE, whatever their labels.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
@click.option("--spam", multiple=True, metavar="LABEL", help="A label that means spam; other labels are left out.")
@click.option("--good", multiple=True, metavar="LABEL", help="A label that means good; other labels are left out.")
@click.option(
    "--encoding", default=UTF_8, show_default=True, metavar="NAME", help="The encoding of FILE.", callback=encoding_of
)
@column_options
@with_appcontext
def teach(
    file: Path,
    *,
    forget: bool,
    dry_run: bool,
    as_json: bool,
    spam: tuple[str, ...],
    good: tuple[str, ...],
    encoding: str,
    **columns: str,
) -> None:
    """Teach the filter from FILE: a CSV file with a first line of names, or JSON Lines.

    A row has a text and a label (spam, ham, 1, 0, true, false, …), and perhaps author, url, email and title. Each text
    is learned once, however often it comes: the same file again changes nothing. Exits with 1, and teaches nothing,
    where a line of FILE cannot be read.
    """
    counts = current_state().desk.services.tokens
    if counts is None:
        raise click.ClickException("This site has no filter that learns.")
    form = Format(columns=columns, spam=labels(spam), good=labels(good), encoding=encoding)
    try:
        examples = Examples(file, form, counts.key())
    except NoSuchColumn as error:
        raise click.UsageError(f"{printable(str(error))}. Name it with --{error.field}.") from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise click.ClickException(f"{file} cannot be read as {encoding}.") from error
    with closing(examples):
        refuse_mistakes(examples)
        done, known, otherwise = work_through(examples, counts, forget=forget, dry_run=dry_run)
        report = {
            "read": examples.read,
            "spam": examples.count(True),
            "good": examples.count(False),
            "left_out": examples.left_out,
            "repeated": examples.repeated,
            "forgotten" if forget else "learned": done,
            "known": known,
            "labelled_otherwise": examples.otherwise.number + otherwise.number,
            "examples": dict(zip(("spam", "good"), counts.lookup(()).messages, strict=True)),
            "dry_run": dry_run,
        }
        if as_json:
            click.echo(json.dumps(report))
        else:
            for line in told(report, forget, examples.otherwise, otherwise):
                click.echo(line)


def refuse_mistakes(examples: Examples) -> None:
    mistakes = examples.mistakes
    if mistakes.number:
        for line, reason in mistakes.named:
            click.echo(f"line {line}: {printable(reason)}", err=True)
        more = f", of which these are the first {NAMED}" if mistakes.number > NAMED else ""
        raise click.ClickException(f"Nothing was changed: {mistakes.number} lines cannot be read{more}.")


def work_through(examples: Examples, counts: TokenCounts, *, forget: bool, dry_run: bool) -> tuple[int, int, Lines]:
    """Learn or forget the examples; return how many, how many were as they should be, and those learned otherwise."""
    done = known = 0
    otherwise = Lines()
    total = examples.count(True) + examples.count(False)
    with click.progressbar(length=total, label="Forgetting" if forget else "Teaching", file=sys.stderr) as bar:
        for page in examples.pages():
            taught = counts.taught([number for number, *_ in page])
            for number, line, is_spam, parts in page:
                before = taught.get(number)
                if (before is None) is not forget:
                    done += 1
                    if not dry_run:
                        learn_writing(counts, number, writing_of(parts), None if forget else is_spam)
                elif forget or before is is_spam:
                    known += 1
                else:
                    otherwise.add(line)
                bar.update(1)
    return done, known, otherwise


def writing_of(parts: str) -> Writing:
    """Return what the filter reads of a comment with these parts."""
    values = dict(zip(PARTS, json.loads(parts), strict=True))
    comment = Submission(
        kind=Kind.COMMENT,
        article=Article("-", "-", "http://localhost/"),
        client=Client(""),
        body=Body(values["text"], "", "", ()),
        author=values["author"],
        email=values["email"] or None,
        url=values["url"] or None,
        title=values["title"] or None,
    )
    return Writing.of(comment)


def told(report: dict[str, Any], forget: bool, repeated: Lines, otherwise: Lines) -> Iterator[str]:
    """Yield the report in sentences."""
    left_out = f" {report['left_out']} with other labels were left out." if report["left_out"] else ""
    again = f" {report['repeated']} came again." if report["repeated"] else ""
    yield f"{report['read']} rows were read: {report['spam']} spam and {report['good']} good texts.{again}{left_out}"
    if repeated.number:
        yield f"{repeated.number} have another label than the same text before them, which counts: lines {repeated}."
    if otherwise.number:
        yield (
            f"{otherwise.number} were learned with the other label before, and stay so: lines {otherwise}. "
            "To change that, forget them first: --forget"
        )
    verb = ("would be" if report["dry_run"] else "were") + (" forgotten" if forget else " learned")
    rest = "were not known" if forget else "were known"
    yield f"{report['forgotten' if forget else 'learned']} {verb}, {report['known']} {rest}."
    examples = report["examples"]
    yield f"The filter has learned from {examples['spam']} spam and {examples['good']} good texts now."
    if min(examples.values()) < LEAST:
        yield f"It finds nothing until it has learned from {LEAST} of each."


# --- how the checks do --------------------------------------------------------------------------------

#: The decisions that agree with where a check has put an item, and those that do not. To hold is neither.
AGREE = {"pending": {"spam", "trash"}, "spam": {"spam", "trash"}, "approved": {"approved"}}
DISAGREE = {"pending": {"approved"}, "spam": {"approved", "pending"}, "approved": {"spam", "trash", "pending"}}


@click.command("spam-report", short_help="Show what the filter has learned, and how the checks do.")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Items judged since then.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
@with_appcontext
def spam_report(days: int, as_json: bool) -> None:
    """Show what the filter has learned, and how often people agreed with each check in the last days.

    A check is counted where it decided on the status of an item: the strongest finding, the first of several.
    """
    desk = current_state().desk
    since = desk.clock.now() - timedelta(days=days)
    found = outcomes_since(desk.store.tallies, since, desk.clock.now())
    report = {
        "days": days,
        "filter": what_is_learned(desk.services.tokens),
        "checks": [line_of(check, status, found) for check, status in sorted({labels[:2] for labels in found})],
        **{name: line_of(None, status, found) for name, status in STATUSES.items()},
    }
    if as_json:
        click.echo(json.dumps(report))
    else:
        for line in report_lines(report):
            click.echo(line)


#: The statuses that items have before a person decides, and their names in the report.
STATUSES = {"held": "pending", "marked": "spam", "published": "approved"}


def outcomes_since(tallies: Tallies, since: datetime, now: datetime) -> dict[tuple[str, ...], int]:
    """Count the outcomes of all judgements since then, a part of the history at a time."""
    found: dict[tuple[str, ...], int] = {}
    # The clock of another process may be ahead.
    first, last = tallies.newest_entry(since), tallies.newest_entry(now + timedelta(days=1))
    with click.progressbar(length=last - first, label="Counting", file=sys.stderr) as bar:
        for start in range(first, last, LINES):
            end = min(start + LINES, last)
            for labels, number in tallies.outcomes(start, end).items():
                found[labels] = found.get(labels, 0) + number
            bar.update(end - start)
    return found


def line_of(check: str | None, status: str, found: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """Return the numbers of a check, or of all together, for the items that it has put into a status."""
    numbers = dict.fromkeys(("", "approved", "pending", "spam", "trash"), 0)
    for (one, after, decided), number in found.items():
        if after == status and check in {None, one}:
            numbers[decided] = numbers.get(decided, 0) + number
    agreed = sum(numbers[decided] for decided in AGREE[status])
    disagreed = sum(numbers[decided] for decided in DISAGREE[status])
    items = sum(numbers.values())
    counts = {"items": items, "agreed": agreed, "disagreed": disagreed, "undecided": items - agreed - disagreed}
    return counts if check is None else {"check": check or None, "status": status, **counts}


def what_is_learned(counts: TokenCounts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    spam, good = counts.lookup(()).messages
    least = min(spam, good)
    use = {"is_in_use": least >= LEAST, "marks_spam": least >= ENOUGH}
    return {"spam": spam, "good": good, **counts.extent()._asdict(), **use}


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    learned = report["filter"]
    if learned is not None:
        of_files = f", {learned['from_files']:,} of them from files" if learned["from_files"] else ""
        yield f"The filter has learned from {learned['spam']:,} spam and {learned['good']:,} good texts{of_files}."
        if not learned["is_in_use"]:
            yield f"It finds nothing until it has learned from {LEAST} of each."
        elif not learned["marks_spam"]:
            yield f"It only holds, and marks nothing as spam until it has learned from {ENOUGH} of each."
        yield (
            f"It knows {learned['tokens']:,} tokens as keyed hashes, so it cannot list them; what counted for an item "
            "stands with the item."
        )
    yield ""
    yield f"Judged in the last {report['days']} days, and what people decided then:"
    yield f"{'check':<20}  {'items':<9}  {'number':>9}  {'agreed':>9}  {'disagreed':>9}  {'undecided':>9}"
    names = {status: name for name, status in STATUSES.items()}
    for line in report["checks"]:
        numbers = "  ".join(f"{line[name]:>9,}" for name in ("items", "agreed", "disagreed", "undecided"))
        yield f"{printable(line['check'] or 'none'):<20}  {names[line['status']]:<9}  {numbers}"
    yield ""
    held, published = report["held"], report["published"]
    yield f"Of {held['items'] - held['undecided']:,} held ones that were decided, {share(held)} were approved."
    yield f"Of {published['items']:,} published ones, {share(published, of='items')} were removed later."


def share(line: Mapping[str, Any], *, of: str = "") -> str:
    whole = line[of] if of else line["agreed"] + line["disagreed"]
    return f"{line['disagreed']:,} ({line['disagreed'] / whole:.1%})" if whole else "0"
