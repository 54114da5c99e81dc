"""How commands fail: one line that says what is wrong, and no traceback."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from moderate.errors import ConfigError, ModerateError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failed(click.ClickException):
    """One of our errors, in one line instead of a traceback."""

    def __init__(self, error: ModerateError) -> None:
        super().__init__(str(error))


class WrongSetting(ConfigError, click.ClickException):
    """A setting is wrong, and a command is waiting for the app: it ends in one line, `flask run` included."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(error.key, error.value, error.accepted)
        click.ClickException.__init__(self, str(error))


@contextmanager
def settings_explained() -> Iterator[None]:
    """Let the command that builds the app tell a wrong setting in words; elsewhere the error goes through."""
    try:
        yield
    except ConfigError as error:
        if click.get_current_context(silent=True) is None:
            raise
        # Without the cause: a traceback of ours would tell nothing that the words do not.
        raise WrongSetting(error) from None
