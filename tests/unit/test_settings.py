"""Settings are the same in the code, in config/default.toml and in the documentation."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from moderate import Moderate
from moderate.errors import ConfigError
from moderate.settings import PREFIX, SECRETS, Settings, names
from moderate.tasks.scheduler import LEASE
from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = ROOT / "config"
DEFAULTS = tomllib.loads((CONFIG / "default.toml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (MODERATE_\w+)\n\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
NAMES = [PREFIX + name for name in names()]


def written(name: str) -> object:
    """The default as the code has it, in the terms of the file: none is an empty text, a tuple a list."""
    default = next(entry.metadata["default"] for entry in fields(Settings) if PREFIX + entry.name.upper() == name)
    if default is None:
        return ""
    if name == "MODERATE_LIMITS":
        return {row: list(limits) for row, limits in default.items()}
    return default


def test_the_file_has_every_setting_and_no_other() -> None:
    assert sorted(DEFAULTS) == sorted(NAMES)


def test_the_page_has_a_heading_for_every_setting_and_no_other() -> None:
    assert sorted(SECTIONS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_has_the_default_of_the_code(name: str) -> None:
    assert DEFAULTS[name] == written(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_defaults_and_the_accepted_values(name: str) -> None:
    section = SECTIONS[name]
    block = re.search(r"Default:\n\n```toml\n(.*?)```", section, re.DOTALL)
    line = re.match(r"Default `([^`]+)`\.", section)
    told = tomllib.loads(block[1]) if block else tomllib.loads(f"value = {line[1]}" if line else "")["value"]
    assert told == DEFAULTS[name]
    assert "Accepted: " in section


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_of_the_file_has_one_sentence_above_it(name: str) -> None:
    lines = (CONFIG / "default.toml").read_text(encoding="utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if re.match(rf"\[?{name}\b", line))
    assert re.fullmatch(r"# .+\.", lines[at - 1])
    assert not lines[at - 2].strip()


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_the_page_says_which_settings_may_come_from_the_environment(name: str) -> None:
    assert "environment" in SECTIONS[PREFIX + name]


@pytest.mark.parametrize("value", [60.1, 120, 1e9])
def test_a_fetch_must_end_long_before_the_lease_of_its_task(value: float) -> None:
    with pytest.raises(ConfigError, match=r"MODERATE_FETCH_TIMEOUT.*from 0\.1 to 60"):
        Settings.from_config({"MODERATE_FETCH_TIMEOUT": value})
    assert Settings.from_config({"MODERATE_FETCH_TIMEOUT": 60}).fetch_timeout * 2 <= LEASE


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"pool": 5}, "a table of numbers with the names pool_size, max_overflow, pool_timeout"),
        (20, "a table of numbers"),
        ({"pool_size": 0}, "pool_size as a whole number from 1 to 1000"),
        ({"max_overflow": -1}, "max_overflow as a whole number from 0"),
        ({"connect_timeout": 2.5}, "connect_timeout as a whole number"),
        ({"pool_recycle": True}, "pool_recycle as a whole number"),
        ({"pool_size": 1, "max_overflow": 0}, "2 or more together"),
    ],
)
def test_invalid_database_options_stop_the_start_with_a_message(value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"MODERATE_DATABASE_OPTIONS.*{words}"):
        Settings.from_config({"MODERATE_DATABASE_OPTIONS": value})


def test_omitted_database_options_keep_their_defaults() -> None:
    options = Settings.from_config({"MODERATE_DATABASE_OPTIONS": {"pool_size": 2}}).database_options
    assert options._asdict() == {**DEFAULTS["MODERATE_DATABASE_OPTIONS"], "pool_size": 2}


def test_the_defaults_of_the_file_are_accepted_and_change_nothing() -> None:
    assert repr(Settings.from_config(DEFAULTS)) == repr(Settings.from_config({}))


@pytest.mark.parametrize("name", ["default.toml", "development.toml", "production.toml"])
def test_each_file_is_loaded_by_flask_itself_and_starts_a_site(tmp_path: Path, name: str) -> None:
    app = Flask("site", root_path=str(CONFIG), instance_path=str(tmp_path))
    assert app.config.from_file(name, load=tomllib.load, text=False)
    Moderate(app)
    settings: Any = app.extensions["moderate"].settings
    assert settings == Settings.from_config(tomllib.loads((CONFIG / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["development.toml", "production.toml"])
def test_the_other_files_hold_only_differences(name: str) -> None:
    changed = tomllib.loads((CONFIG / name).read_text(encoding="utf-8"))
    assert changed
    assert [key for key, value in changed.items() if value == DEFAULTS[key]] == []
