"""How the checks do on labelled texts: what is held, what is marked as spam, and how far the probabilities hold.

    python -m bench.spam [FILE …] [--parts online,folds,sources,young,cold] [--json]

Without a FILE it judges `bench/comments.jsonl`. See bench/README.md for what each part is, and for files of your own.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import unicodedata
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from bench.spam_figures import Judged, figures, print_reliability, print_table, reliability
from moderate.checks.base import Services, judge
from moderate.errors import Refused
from moderate.hooks import Moderator
from moderate.learned.check import Learned, learn_writing, opinion_of
from moderate.learned.labelled import COLUMNS, UTF_8, Format, Mistake, NoSuchColumn, encoding, labels, read
from moderate.learned.tokens import Writing, features
from moderate.lifecycle import Premoderation
from moderate.model import Client, Decision, Kind, Lean, Raw, Status
from moderate.moderation.decide import DecisionRequest, decide_one
from moderate.submit.submit import accept, facts_for
from moderate.text.clean import clean
from tests.sites import Host
from tests.stand_ins import MemoryTokenCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from moderate.checks.base import Facts
    from moderate.learned.labelled import Labelled
    from moderate.model import Submission
    from moderate.ports import TokenCounts

OWN = Path(__file__).with_name("comments.jsonl")
PARTS = ("online", "folds", "sources", "young", "cold")
#: The values of MODERATE_PREMODERATION, the loosest first.
SETTINGS = tuple(reversed(get_args(Premoderation)))
FOLDS = 5
#: Numbers of decisions of each kind that a young site has learned from.
YOUNG = (20, 100)
#: The longest good text, in characters, that has a line of its own: thanks, praise, questions.
SHORT = 60
UP_TO = f" up to {SHORT} characters"
#: Columns by which texts are ordered, the first that every row has.
TIMES = ("t", "time", "date", "created_at", "comment_date_gmt", "comment_date")
KEY = b"bench"
ARTICLE = "thaw"


class Example(NamedTuple):
    """A labelled text as the site would judge it."""

    number: int
    raw: Raw
    submission: Submission
    is_spam: bool
    source: str
    language: str
    #: The author and the folded text, each of which keeps examples in one group.
    keys: tuple[Hashable, ...]

    @property
    def is_short(self) -> bool:
        return not self.is_spam and len(self.raw.text) <= SHORT


# --- what judges --------------------------------------------------------------------------------------


class Filter:
    """The learned filter alone, with its counts in memory; the contract tests hold these to those of the databases."""

    def __init__(self, facts: Facts, counts: TokenCounts | None = None) -> None:
        self.counts = counts or MemoryTokenCounts(KEY)
        self.facts = replace(facts, services=Services(tokens=self.counts))
        self.check = Learned()

    def learn(self, example: Example) -> None:
        learn_writing(self.counts, example.number, Writing.of(example.submission), example.is_spam)

    def judge(self, example: Example) -> Judged:
        started = time.process_time()
        finding = self.check.look(example.submission, self.facts)
        took = time.process_time() - started
        tokens = features(Writing.of(example.submission), self.counts.key())
        opinion = opinion_of(tokens, self.counts.lookup(tokens.keys()))
        lean = finding.lean if finding else None
        return Judged(
            example,
            is_found=lean is not None,
            is_marked=lean is Lean.SPAM,
            probability=opinion.probability if opinion else None,
            ms=took * 1000,
        )


class Site:
    """A whole site on SQLite: all checks, and moderators whose decisions are learned from by the worker's tasks."""

    def __init__(self, folder: Path) -> None:
        self.host = Host(folder, MODERATE_LIMITS={})
        self.desk = self.host.state.desk

    def learn(self, examples: Sequence[Example]) -> None:
        """Take the comments in, decide on each, and do the tasks of the decisions."""
        with self.host.app.app_context():
            for example in examples:
                self.host.clock.advance(hours=1)
                item = accept(self.desk, example.raw).item
                decision = Decision.SPAM if example.is_spam else Decision.APPROVE
                request = DecisionRequest(decision=decision, items={item.id: item.version}, by=Moderator("mori"))
                decide_one(self.desk, request)
            self.host.state.worker.drain()

    def facts(self, example: Example, premoderation: str = "none") -> Facts:
        desk = replace(self.desk, settings=replace(self.desk.settings, premoderation=premoderation))
        return facts_for(desk, example.raw, self.host.articles[ARTICLE], example.submission)

    def judge(self, example: Example, premoderation: str) -> Judged:
        with self.host.app.app_context():
            started = time.process_time()
            facts = self.facts(example, premoderation)
            status = judge(example.submission, facts, self.desk.checks, remote=False).status
            took = time.process_time() - started
        return Judged(example, is_found=status is not Status.APPROVED, is_marked=status is Status.SPAM, ms=took * 1000)


@contextmanager
def new_site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            yield site
        finally:
            site.host.close()


# --- what is judged -----------------------------------------------------------------------------------


class Loaded(NamedTuple):
    """The examples of a file in their order, the column that this is by, and the number of rows not taken."""

    examples: list[Example]
    order: str
    left_out: int
    mistakes: list[Mistake]
    refused: int


def load(path: Path, site: Site, args: argparse.Namespace) -> Loaded:
    names = {name: given for name in COLUMNS if (given := getattr(args, name))}
    form = Format(columns=names, spam=labels(args.spam), good=labels(args.good), encoding=args.encoding)
    rows: list[Labelled] = []
    mistakes: list[Mistake] = []
    left_out = 0
    for row in read(path, form):
        if isinstance(row, Mistake):
            mistakes.append(row)
        elif row.is_spam is None:
            left_out += 1
        else:
            rows.append(row)
    if mistakes and not rows:
        raise SystemExit(f"{path}, line {mistakes[0].line}: {mistakes[0].reason}")
    order = args.order or next((name for name in TIMES if all(row.row.get(name) for row in rows)), "")
    if order:
        rows.sort(key=lambda row: moment(path, row, order))
    found = [made for number, row in enumerate(rows) if (made := example_of(number, row, site, args))]
    return Loaded(found, order, left_out, mistakes, len(rows) - len(found))


def moment(path: Path, row: Labelled, column: str) -> float:
    """Return a number or an ISO 8601 time as a number, by which rows are ordered."""
    value = row.row.get(column, "")
    try:
        return float(value)
    except ValueError:
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            raise SystemExit(f"{path}, line {row.line}: {value!r} is neither a number nor a time") from None


def example_of(number: int, row: Labelled, site: Site, args: argparse.Namespace) -> Example | None:
    """Return a row as the site takes it, None where it would be refused, such as for its length."""
    raw = Raw(
        kind=Kind.COMMENT,
        client=Client(""),
        article=ARTICLE,
        author=row.author or "A reader",
        url=row.url,
        email=row.email,
        text=row.text,
    )
    try:
        submission = clean(raw, site.host.articles[ARTICLE], site.desk.policy)
    except Refused:
        return None
    folded = " ".join(unicodedata.normalize("NFKC", row.text).casefold().split())
    group = row.row.get(args.group, "") if args.group else row.author
    keys = (("text", folded), *([("group", group.casefold())] if group else []))
    return Example(
        number,
        raw,
        submission,
        bool(row.is_spam),
        row.row.get(args.source, ""),
        row.row.get(args.language, ""),
        keys,
    )


def groups(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples in groups: those that share an author or a text are in one, through others as well."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for example in examples:
        for key in example.keys[1:]:
            parent[root(key)] = root(example.keys[0])
    found: dict[Hashable, list[Example]] = defaultdict(list)
    for example in examples:
        found[root(example.keys[0])].append(example)
    return list(found.values())


# --- the parts ----------------------------------------------------------------------------------------

#: A line of the table: what it is about, and what was judged.
Line = tuple[str, "list[Judged]"]


def online(examples: Sequence[Example], make: Callable[[], Filter]) -> Iterator[Line]:
    """Judge each with what was learned of those before it."""
    learner = make()
    judged = []
    for example in examples:
        judged.append(learner.judge(example))
        learner.learn(example)
    yield "online", judged


def folds(examples: Sequence[Example], make: Callable[[], Filter]) -> Iterator[Line]:
    """Judge each fold with what was learned of the others; groups are whole."""
    fold_of = {}
    for group in groups(examples):
        digest = sha256(repr(min(example.keys[0] for example in group)).encode("utf-8", "surrogatepass")).digest()
        fold_of.update({example.number: digest[0] % FOLDS for example in group})
    judged = apart(examples, lambda example: fold_of[example.number], make)
    yield f"unseen authors, {FOLDS} folds", judged
    yield f"unseen authors, good{UP_TO}", [one for one in judged if one.example.is_short]
    named = sorted({one.example.language for one in judged})
    if len(named) > 1:
        for language in named:
            yield (
                f"unseen authors, {language or 'no language'}",
                [one for one in judged if one.example.language == language],
            )


def sources(examples: Sequence[Example], make: Callable[[], Filter]) -> Iterator[Line]:
    """Judge each source with what was learned of the others."""
    named = sorted({example.source for example in examples})
    if len(named) < 2:
        return
    judged = apart(examples, lambda example: example.source, make)
    yield "unseen source", judged
    for source in named:
        yield f"unseen source, {source or 'no source'}", [one for one in judged if one.example.source == source]


def apart(
    examples: Sequence[Example], part_of: Callable[[Example], Hashable], make: Callable[[], Filter]
) -> list[Judged]:
    judged = []
    for part in sorted({part_of(example) for example in examples}, key=str):
        learner = make()
        for example in examples:
            if part_of(example) != part:
                learner.learn(example)
        judged += [learner.judge(example) for example in examples if part_of(example) == part]
    return judged


def young(loaded: Loaded, values: Sequence[str], seeds: int) -> Iterator[Line]:
    """Judge by a whole site that has had few decisions: the first in time, else of groups chosen at random."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for seed in range(1 if loaded.order else seeds):
        in_turn = groups(loaded.examples)
        if not loaded.order:
            random.Random(seed).shuffle(in_turn)
        rest = [example for group in in_turn for example in group]
        if loaded.order:
            rest.sort(key=lambda example: example.number)
        with new_site() as site:
            learned: list[Example] = []
            for number in YOUNG:
                chosen = first_of_each(rest, number, learned)
                if chosen is None:
                    break
                site.learn(chosen)
                learned += chosen
                seen = {key for example in learned for key in example.keys}
                unseen = [example for example in rest if not seen.intersection(example.keys)]
                for name, judged in verdicts(site, unseen, values):
                    found[f"young {number}+{number}, {name}"] += judged
    for name, judged in found.items():
        yield name, judged
        yield f"{name}, good{UP_TO}", [one for one in judged if one.example.is_short]


def first_of_each(examples: Sequence[Example], number: int, before: Sequence[Example]) -> list[Example] | None:
    """Return what is to be learned so that it is *number* of each kind, None where there are too few."""
    chosen = []
    known = {example.number for example in before}
    for is_spam in (True, False):
        of_kind = [example for example in examples if example.is_spam is is_spam][:number]
        if len(of_kind) < number:
            return None
        chosen += [example for example in of_kind if example.number not in known]
    # In the order in which they came, not one kind after the other.
    place = {example.number: at for at, example in enumerate(examples)}
    return sorted(chosen, key=lambda example: place[example.number])


def cold(examples: Sequence[Example], values: Sequence[str]) -> Iterator[Line]:
    """Judge by a whole site that nobody has decided anything on."""
    with new_site() as site:
        for name, judged in verdicts(site, examples, values):
            yield f"cold, {name}", judged


def verdicts(site: Site, examples: Sequence[Example], values: Sequence[str]) -> Iterator[Line]:
    for premoderation in values:
        yield f"PREMODERATION {premoderation}", [site.judge(example, premoderation) for example in examples]


def speed(examples: Sequence[Example], facts: Facts, site: Site, *, length: int = 600, texts: int = 200) -> str:
    """Measure the processor time to learn a text and to judge one of *length* characters, on SQLite.

    Learned is every other text, and judged are texts made of the rest: nothing is judged that was learned.
    """
    learner = Filter(facts, site.desk.services.tokens)
    known, rest = examples[::2], examples[1::2]
    started = time.process_time()
    for example in known:
        learner.learn(example)
    learned = (time.process_time() - started) / max(len(known), 1) * 1000
    whole = " ".join(example.raw.text for example in rest)
    made = [whole[start : start + length] for start in range(0, len(whole), length)][:texts]
    took = [
        learner.judge(
            rest[0]._replace(submission=replace(rest[0].submission, body=replace(rest[0].submission.body, raw=text)))
        ).ms
        for text in made * 3
    ]
    judged = statistics.median(took) if took else 0.0
    return (
        f"CPU on SQLite: {judged:.2f} ms for the filter to judge {length} characters, {learned:.2f} ms to learn a text"
    )


# --- the command --------------------------------------------------------------------------------------


def evaluate(argv: Sequence[str] | None = None) -> None:
    """Print the figures of each file."""
    args = parsed(argv)
    for path in args.files or [OWN]:
        with new_site() as site:
            try:
                loaded = load(path, site, args)
            except NoSuchColumn as error:
                raise SystemExit(f"{path}: {error}. Name it with --{error.field}.") from None
            except OSError as error:
                raise SystemExit(f"{path} cannot be read: {error.strerror}") from None
            except UnicodeError:
                raise SystemExit(f"{path} cannot be read as {args.encoding}.") from None
            facts = site.facts(loaded.examples[0]) if loaded.examples else None
            if facts is None:
                raise SystemExit(f"{path}: there is nothing to judge.")
            lines = [(name, figures(judged), judged) for name, judged in lines_of(loaded, facts, args)]
            told = speed(loaded.examples, facts, site) if args.speed else ""
        about = {
            "file": path.name,
            "order": loaded.order or "the file's",
            "left_out": loaded.left_out,
            "mistakes": len(loaded.mistakes),
            "refused": loaded.refused,
        }
        if args.json:
            print(json.dumps({**about, "parts": {name: row for name, row, _ in lines}, "speed": told}))
            continue
        first = "".join(f" (line {line}: {reason}, …)" for line, reason in loaded.mistakes[:1])
        print(f"{path.name}: {len(loaded.examples)} texts, in the order of {about['order']}; left out: ", end="")
        print(f"{loaded.left_out} with other labels, {len(loaded.mistakes)} that cannot be read{first}, ", end="")
        print(f"{loaded.refused} that the site would refuse\n")
        print_table([(name, row) for name, row, _ in lines])
        for name, _, judged in lines:
            if name in {"online", f"unseen authors, {FOLDS} folds"}:
                print_reliability(name, reliability(judged))
        print(f"\n{told}\n" if told else "")


def main() -> None:
    """Print the table of the repository's own texts, for `make bench`."""
    evaluate([])


def lines_of(loaded: Loaded, facts: Facts, args: argparse.Namespace) -> Iterable[Line]:
    examples = loaded.examples

    def make() -> Filter:
        return Filter(facts)

    parts = {
        "online": lambda: online(examples, make),
        "folds": lambda: folds(examples, make),
        "sources": lambda: sources(examples, make),
        "young": lambda: young(loaded, args.premoderation, args.seeds),
        "cold": lambda: cold(examples, args.premoderation),
    }
    for part in args.parts:
        yield from parts[part]()


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.spam", description=__doc__.splitlines()[0])
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="CSV with a first line of names, or JSON Lines"
    )
    for name, usual in COLUMNS.items():
        parser.add_argument(f"--{name}", default="", metavar="COLUMN", help=f"default: {' or '.join(usual)}")
    parser.add_argument("--spam", action="append", default=[], metavar="LABEL", help="a label of spam")
    parser.add_argument("--good", action="append", default=[], metavar="LABEL", help="a label of good texts")
    parser.add_argument(
        "--order", default="", metavar="COLUMN", help=f"default: {' or '.join(TIMES)}, else the file's order"
    )
    parser.add_argument(
        "--group", default="", metavar="COLUMN", help="what is kept whole beside equal texts; default: the author"
    )
    parser.add_argument("--source", default="source", metavar="COLUMN", help="default: source")
    parser.add_argument("--language", default="language", metavar="COLUMN", help="default: language")
    parser.add_argument("--encoding", default=UTF_8, type=encoding, help=f"default: {UTF_8}")
    parser.add_argument("--parts", default=PARTS, type=some_of(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--premoderation",
        default=[value for value in SETTINGS if value != "all"],
        type=some_of(SETTINGS),
        help=f"values for whole sites, some of {','.join(SETTINGS)}; without it, all but all",
    )
    parser.add_argument("--seeds", default=5, type=int, help="how often a young site is tried; default: 5")
    parser.add_argument("--no-speed", dest="speed", action="store_false", help="leave out the times on SQLite")
    parser.add_argument("--json", action="store_true", help="one JSON object for each file")
    return parser.parse_args(argv)


def some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def chosen(value: str) -> list[str]:
        if unknown := set(value.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
        return value.split(",")

    return chosen


if __name__ == "__main__":
    evaluate()
