"""The accuracy of the learned filter on a file of labelled texts.

    python -m bench.spam FILE.jsonl --protocol online|kfold|by-source [--field text --label label]

Prints one JSON object. ``online`` judges each text with what was learned of those before it, in the
order of the file (or of ``--order``, by default the field ``t`` where every row has one), and then
learns it; texts from before the filter has seen enough count as let through. ``kfold`` keeps equal
texts in one fold. ``by-source`` learns all sources but one and judges that one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moderate.learned.check import HOLD_AT, SPAM_AT, opinion_of
from moderate.learned.tokens import Writing, features
from tests.stand_ins import MemoryTokenCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from moderate.ports import TokenCounts

KEY = b"bench"
SPAM_WORDS = {"spam", "1", "true", "yes"}
GOOD_WORDS = {"ham", "good", "0", "false", "no", "legit", "legitimate"}

Judged = list[tuple[float, bool]]


class Row:
    """One labelled text and its tokens."""

    def __init__(self, row: dict[str, Any], args: argparse.Namespace) -> None:
        self.text = str(row[args.field])
        self.is_spam = truth(row[args.label])
        self.source = str(row.get(args.source, ""))
        self.tokens = list(features(Writing(text=self.text), KEY))


def truth(label: object) -> bool:
    word = str(label).strip().lower()
    if word not in SPAM_WORDS | GOOD_WORDS:
        raise SystemExit(f"Label {label!r} is neither of {sorted(SPAM_WORDS)} nor of {sorted(GOOD_WORDS)}.")
    return word in SPAM_WORDS


def read(args: argparse.Namespace) -> list[Row]:
    rows = [json.loads(line) for line in Path(args.file).read_text(encoding="utf-8").splitlines() if line.strip()]
    order = args.order or ("t" if all("t" in row for row in rows) else "")
    if order:
        rows.sort(key=lambda row: row[order])
    return [Row(row, args) for row in rows]


def learn(counts: TokenCounts, rows: Iterable[Row]) -> None:
    for number, row in enumerate(rows):
        counts.teach(number, row.tokens, row.is_spam)


def judge(counts: TokenCounts, row: Row) -> float:
    opinion = opinion_of(row.tokens, counts.lookup(row.tokens))
    return opinion.probability if opinion else 0.0


def online(rows: Sequence[Row]) -> Judged:
    counts = MemoryTokenCounts()
    judged: Judged = []
    for number, row in enumerate(rows):
        judged.append((judge(counts, row), row.is_spam))
        counts.teach(number, row.tokens, row.is_spam)
    return judged


def kfold(rows: Sequence[Row], folds: int = 10) -> Judged:
    return apart(rows, lambda row: fold_of(row.text, folds))


def by_source(rows: Sequence[Row]) -> Judged:
    if len({row.source for row in rows}) < 2:
        raise SystemExit("by-source needs at least two sources; name their field with --source.")
    return apart(rows, lambda row: row.source)


def apart(rows: Sequence[Row], part_of: Callable[[Row], object]) -> Judged:
    """Judge each part with what was learned of all the others."""
    judged: Judged = []
    for part in sorted({part_of(row) for row in rows}, key=str):
        counts = MemoryTokenCounts()
        learn(counts, (row for row in rows if part_of(row) != part))
        judged += [(judge(counts, row), row.is_spam) for row in rows if part_of(row) == part]
    return judged


def fold_of(text: str, folds: int) -> int:
    """The same fold for texts that differ in case, space and compatibility forms only."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return int.from_bytes(hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()[:4], "big") % folds


def at_cut(judged: Judged, cut: float) -> dict[str, float]:
    """Precision, recall, F1 and false-positive rate where everything from *cut* on is called spam."""
    hits = sum(score >= cut for score, is_spam in judged if is_spam)
    alarms = sum(score >= cut for score, is_spam in judged if not is_spam)
    spam = sum(is_spam for _, is_spam in judged)
    precision = hits / (hits + alarms) if hits + alarms else 0.0
    recall = hits / spam if spam else 0.0
    return {
        "cut": cut,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0,
        "false_positive_rate": round(alarms / max(len(judged) - spam, 1), 4),
    }


def recall_at(judged: Judged, allowed: float) -> float:
    """The recall at the lowest cut-off that calls no more than this share of the good ones spam."""
    good = sorted((score for score, is_spam in judged if not is_spam), reverse=True)
    spam = [score for score, is_spam in judged if is_spam]
    worst = int(allowed * len(good))
    bar = good[worst] if worst < len(good) else -1.0
    return round(sum(score > bar for score in spam) / max(len(spam), 1), 4)


@contextmanager
def in_sqlite() -> Iterator[TokenCounts]:
    """Counts in the real table, in a file."""
    from moderate.database.engine import Database
    from moderate.database.migrate import upgrade
    from moderate.learned.sql import SqlTokenCounts

    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/spam.db")
        upgrade(database)
        try:
            yield SqlTokenCounts(database, lambda: KEY)
        finally:
            database.dispose()


def speed(rows: Sequence[Row], *, length: int = 600, texts: int = 200) -> dict[str, float]:
    """Processor time in ms to judge one text of *length* characters, tokens and all, and to learn one.

    Learned is every other row, and judged are texts made of the rest: nothing is judged that was learned.
    """
    known, rest = rows[::2], rows[1::2]
    whole = " ".join(row.text for row in rest if len(row.text) <= length)
    made = [whole[start : start + length] for start in range(0, len(whole), length)][:texts]
    with in_sqlite() as counts:
        started = time.process_time()
        learn(counts, known)
        learned = (time.process_time() - started) / len(known)
        judged = []
        for text in made * 3:
            started = time.process_time()
            tokens = features(Writing(text=text), KEY)
            opinion_of(tokens, counts.lookup(tokens.keys()))
            judged.append(time.process_time() - started)
    judge_ms, learn_ms = statistics.median(judged) * 1000, learned * 1000
    return {"characters": length, "judge_ms": round(judge_ms, 3), "learn_ms": round(learn_ms, 3)}


def report(rows: Sequence[Row], args: argparse.Namespace) -> dict[str, object]:
    judged = {"online": online, "kfold": kfold, "by-source": by_source}[args.protocol](rows)
    figures: dict[str, object] = {
        "protocol": args.protocol,
        "texts": len(rows),
        "spam": sum(row.is_spam for row in rows),
        **at_cut(judged, HOLD_AT),
        "auto_spam": at_cut(judged, SPAM_AT),
        "recall_at_1_percent_false_positives": recall_at(judged, 0.01),
        "recall_at_3_percent_false_positives": recall_at(judged, 0.03),
    }
    return figures if args.no_speed else {**figures, "sqlite": speed(rows)}


def evaluate(argv: Sequence[str] | None = None) -> None:
    """Print the figures of a file. It is no `main`, since `python -m bench` has no file to give."""
    parser = argparse.ArgumentParser(prog="python -m bench.spam", description=__doc__.splitlines()[0])
    parser.add_argument("file", help="one JSON object a line")
    parser.add_argument("--protocol", choices=("online", "kfold", "by-source"), default="online")
    parser.add_argument("--field", default="text", help="the field of the text")
    parser.add_argument("--label", default="label", help="the field that says spam or ham")
    parser.add_argument("--source", default="source", help="the field that by-source goes by")
    parser.add_argument("--order", default="", help="the field that online goes by (default: t, or the file's order)")
    parser.add_argument("--no-speed", action="store_true", help="leave out the measurement with SQLite")
    args = parser.parse_args(argv)
    print(json.dumps(report(read(args), args), indent=2))


if __name__ == "__main__":
    evaluate()
