"""The paper's articles, from a file beside this one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Story:
    """One article of the paper. `key` is what the discussion knows it by."""

    key: str
    category: str
    headline: str
    japanese: str
    published_at: datetime
    text: str
    comments_open: bool = True

    @property
    def title(self) -> str:
        return f"{self.headline} {self.japanese}"

    @property
    def paragraphs(self) -> list[str]:
        return self.text.split("\n\n")

    @property
    def stamp(self) -> str:
        """Day, month and time as the paper has always printed them: 13/1 20:22."""
        at = self.published_at
        return f"{at.day}/{at.month} {at:%H:%M}"


def read_stories() -> tuple[Story, ...]:
    """Return the stories in the order of the file, newest first."""
    text = Path(__file__).with_name("articles.toml").read_text(encoding="utf-8")
    return tuple(Story(**entry) for entry in tomllib.loads(text)["story"])


STORIES = read_stories()
BY_KEY = {story.key: story for story in STORIES}
