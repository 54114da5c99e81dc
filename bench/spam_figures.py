"""The figures of `bench.spam` for a number of judged texts, and how they are printed."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TENTHS = 10


class Judged(NamedTuple):
    """What became of an example: whether it was held or marked, or marked as spam; a filter also has a probability."""

    example: Any
    is_found: bool
    is_marked: bool
    probability: float | None = None
    ms: float = 0.0


def figures(judged: Sequence[Judged]) -> dict[str, float | int | None]:
    """Return the line of a table. Shares of nothing are None."""
    spam = [one for one in judged if one.example.is_spam]
    good = [one for one in judged if not one.example.is_spam]
    hits, alarms = sum(one.is_found for one in spam), sum(one.is_found for one in good)
    return {
        "texts": len(judged),
        "spam": len(spam),
        "f1": rounded(2 * hits, hits + alarms + len(spam)) if spam and good else None,
        "spam_found": rounded(hits, len(spam)),
        "good_held": rounded(alarms, len(good)),
        "spam_marked": rounded(sum(one.is_marked for one in spam), len(spam)),
        "good_marked": rounded(sum(one.is_marked for one in good), len(good)),
        "calibration_error": calibration_error(judged),
        "ms": round(statistics.median(one.ms for one in judged), 3) if judged else None,
    }


def rounded(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def reliability(judged: Iterable[Judged]) -> list[tuple[int, float, float]]:
    """Return for each tenth of probability how many texts are in it, the mean probability, and the share of spam."""
    tenths: list[list[Judged]] = [[] for _ in range(TENTHS)]
    for one in judged:
        if one.probability is not None:
            tenths[min(int(one.probability * TENTHS), TENTHS - 1)].append(one)
    return [
        (
            len(tenth),
            statistics.fmean(one.probability or 0.0 for one in tenth) if tenth else 0.0,
            sum(one.example.is_spam for one in tenth) / len(tenth) if tenth else 0.0,
        )
        for tenth in tenths
    ]


def calibration_error(judged: Sequence[Judged]) -> float | None:
    """Return the expected calibration error: how far probability and share of spam are apart, over all tenths."""
    tenths = reliability(judged)
    whole = sum(number for number, _, _ in tenths)
    return round(sum(number * abs(mean - share) for number, mean, share in tenths) / whole, 4) if whole else None


HEADS = {
    "texts": "texts",
    "spam": "spam",
    "f1": "F1 at hold",
    "spam_found": "spam held or marked",
    "good_held": "good held or marked",
    "spam_marked": "spam marked",
    "good_marked": "good marked",
    "calibration_error": "calibration error",
    "ms": "ms",
}


def print_table(lines: Sequence[tuple[str, dict[str, float | int | None]]]) -> None:
    width = max(len(name) for name, _ in lines)
    print(" " * width, *HEADS.values(), sep="  ")
    for name, row in lines:
        cells = [shown(key, row[key]).rjust(len(head)) for key, head in HEADS.items()]
        print(name.ljust(width), *cells, sep="  ")


def shown(key: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    if key in {"texts", "spam"}:
        return str(value)
    return f"{value:.2f}" if key == "ms" else f"{value:.3f}" if key in {"f1", "calibration_error"} else f"{value:.1%}"


def print_reliability(name: str, tenths: Sequence[tuple[int, float, float]]) -> None:
    if any(number for number, _, _ in tenths):
        print(f"\nprobability, {name}:")
        for tenth, (number, mean, share) in enumerate(tenths):
            if number:
                print(f"  .{tenth} to {(tenth + 1) / 10:.1f}: {number:5} texts, mean {mean:.2f}, {share:.0%} spam")
