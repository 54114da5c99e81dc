"""The rules for all templates: no inline code, only sanitized HTML unescaped, and a prefix for every class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WEB = ROOT / "src" / "moderate" / "http"
MAILS = ROOT / "src" / "moderate" / "notices" / "templates"
TEMPLATES = sorted([*(WEB / "templates" / "moderate").glob("*.html"), *MAILS.glob("*.html")])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_only_sanitized_html_is_inserted_without_escaping(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert set(re.findall(r"[\w.']+\s*\|\s*safe", text)) <= {"item.html|safe", "item.proposed.html|safe"}
    assert "autoescape" not in text
    assert "Markup" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_code_that_a_content_security_policy_refuses(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == []
    assert [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_links_directly_to_an_address_supplied_by_users(template: Path) -> None:
    """Addresses of strangers become links in one place, which looks at their scheme and says nofollow."""
    text = template.read_text(encoding="utf-8")
    direct = re.findall(r'href="{{ (?:item|finding)\.(?!id\b)[\w.]+ }}"', text)
    assert set(direct) <= {'href="{{ item.article_url }}"'}


def test_templates_are_rendered_only_by_the_modules_of_pages_and_mails() -> None:
    direct = re.compile(r"\brender_template|\bstream_template|\.get_template\(|\.from_string\(")
    found = {path.name for path in (ROOT / "src").rglob("*.py") if direct.search(path.read_text(encoding="utf-8"))}
    assert found == {"answers.py", "mail.py"}


def test_the_style_sheet_of_the_thread_does_not_affect_the_host() -> None:
    sheet = re.sub(r"/\*.*?\*/", "", (WEB / "static" / "moderate.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    selectors = [line for line in re.findall(r"^ *([^@{};]+?)\s*{", sheet, re.MULTILINE) if line]
    assert len(selectors) > 40
    parts = [part for line in selectors for part in line.split(",\n")]
    assert [part for part in parts if not part.strip().startswith(".moderate")] == []
    assert "!important" not in sheet
