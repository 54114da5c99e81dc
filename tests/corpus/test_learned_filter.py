"""The learned filter on 1,956 real comments that people have labelled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.spam import evaluate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpus


def figures(corpora: Path, part: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    evaluate([str(corpora / "spam" / "youtube_spam_collection.jsonl"), "--parts", part, "--no-speed", "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)["parts"]
    return printed


def test_the_filter_finds_most_spam_while_it_learns(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(corpora, "online", capsys)["online"]
    assert found["f1"] >= 0.95
    # Most of this spam names a channel and has no sign besides its words.
    assert found["spam_marked"] >= 0.15
    assert found["good_marked"] <= 0.005


def test_the_filter_classifies_unseen_texts(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(corpora, "folds", capsys)["unseen authors, 5 folds"]["f1"] >= 0.95


def test_the_filter_classifies_texts_of_another_source(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(corpora, "sources", capsys)["unseen source"]["f1"] >= 0.94
