"""The learned filter on 1,956 real comments that people have labelled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.spam import evaluate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpus


def figures(corpora: Path, protocol: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    evaluate([str(corpora / "spam" / "youtube_spam_collection.jsonl"), "--protocol", protocol, "--no-speed"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_the_filter_finds_most_spam_while_it_learns(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(corpora, "online", capsys)
    assert found["f1"] >= 0.94
    assert found["auto_spam"]["recall"] >= 0.85
    assert found["auto_spam"]["false_positive_rate"] <= 0.02


def test_the_filter_classifies_unseen_texts(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(corpora, "kfold", capsys)["f1"] >= 0.96


def test_the_filter_classifies_texts_of_another_source(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(corpora, "by-source", capsys)["f1"] >= 0.93
