"""The page about writing a check holds what it promises: its code runs, and the check in it works."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from moderate.checks.base import judge
from moderate.checks.order import CHECKS
from moderate.model import Lean, Status
from tests.servers import ROOT
from tests.unit.checks.cases import EXAMPLES, WRITING_A_CHECK, comment, facts, run_examples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return run_examples(tmp_path, monkeypatch)


def test_the_check_on_the_page_gives_the_documented_verdicts(example: dict[str, Any]) -> None:
    shouting = example["Shouting"]()
    verdict = judge(comment("WHO HAS TAKEN THE FERRY AWAY?!"), facts(), (shouting,), remote=True)
    assert (verdict.status, verdict.findings[0].lean) == (Status.PENDING, Lean.HOLD)
    assert verdict.findings[0].reason == "100% of the letters are capitals"
    assert judge(comment("Who has taken the ferry away?"), facts(), (shouting,), remote=True).passed == ("shouting",)


def test_the_page_names_every_lean(example: dict[str, Any]) -> None:
    table = set(re.findall(r"^\| `([A-Z]+)` \|", WRITING_A_CHECK, re.MULTILINE))
    assert table == {lean.name for lean in Lean}
    assert len(EXAMPLES) == 4


def test_every_built_in_check_has_a_unique_name_and_a_documented_place_in_the_order() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    source = (ROOT / "src" / "moderate" / "checks" / "order.py").read_text(encoding="utf-8")
    listed = source.partition("CHECKS: tuple[Check, ...] = (\n")[2].partition("\n)\n")[0].splitlines()
    assert len(listed) == len(CHECKS)
    assert all(re.search(r"\),  # \w", line) for line in listed)
