"""``flask moderate teach`` and ``spam-report`` on each database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, database_url: str) -> Iterator[Host]:
    made = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=database_url)
    yield made
    made.close()


def report(host: Host, *words: str) -> dict[str, Any]:
    result = host.app.test_cli_runner().invoke(args=["moderate", *words, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_texts_of_a_file_are_learned_once_and_taken_back(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    texts = [{"text": f"cheap watches number{n} 烏龍茶", "label": "spam" if n % 2 else "ham"} for n in range(24)]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    assert report(host, "teach", str(path))["learned"] == 24
    assert report(host, "teach", str(path))["known"] == 24
    learned = report(host, "spam-report")["filter"]
    assert (learned["spam"], learned["good"], learned["from_files"], learned["is_in_use"]) == (12, 12, 24, True)
    assert report(host, "teach", str(path), "--forget")["forgotten"] == 24
    learned = report(host, "spam-report")["filter"]
    assert (learned["spam"], learned["good"], learned["from_files"], learned["tokens"]) == (0, 0, 0, 0)


def test_agreement_with_checks_is_reported(host: Host) -> None:
    for number in range(3):
        host.trapped(f"Spam {number}")
    host.decide(1, "approve")
    host.decide(2, "trash")
    (line,) = report(host, "spam-report")["checks"]
    assert line == {"check": "honeypot", "status": "spam", "items": 3, "agreed": 1, "disagreed": 1, "undecided": 1}
