"""Render the templates of the package, independently of the settings of the host's Jinja environment.

The package's own templates are compiled in an environment of their own: usual delimiters, autoescaping, no
extensions, Jinja's own filters and tests. A host's template that replaces one of them is compiled in an overlay
of the host's environment with the usual delimiters and autoescaping, so that it can use the host's filters, globals
and extensions. Every other template, such as the ``base.html`` which such a replacement extends, comes from the host's
environment as it is.
"""

from __future__ import annotations

from collections import ChainMap
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app, render_template, request, url_for
from jinja2 import BaseLoader, Environment, FileSystemLoader, TemplateNotFound
from jinja2.defaults import (
    BLOCK_END_STRING,
    BLOCK_START_STRING,
    COMMENT_END_STRING,
    COMMENT_START_STRING,
    DEFAULT_NAMESPACE,
    VARIABLE_END_STRING,
    VARIABLE_START_STRING,
)
from jinja2.runtime import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from types import CodeType

    from jinja2 import Template

FOLDER = str(Path(__file__).parent / "templates")

#: What the names of the package's templates begin with.
PREFIX = "moderate/"


class Templates:
    """The templates of one app by name. The environments are made once, at the first request for one.

    *functions* are the globals of the package's templates beside Jinja's own, ``url_for`` and ``request``.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.functions = {**DEFAULT_NAMESPACE, "url_for": url_for, "request": request, **functions}

    def render(self, name: str, /, **values: Any) -> str:
        """Render ``moderate/NAME.html`` with *values*, which take precedence over the host's context processors."""
        template = self.get(name)
        if isinstance(template.environment, ShippedEnvironment):
            template.environment.follow()
        return render_template(template, **values)

    def get(self, name: str) -> Template:
        """Return the template ``moderate/NAME.html``: the host's where it has one, else the package's."""
        return self._environment.get_template(f"{PREFIX}{name}.html")

    def are_shipped(self, names: Iterable[str]) -> bool:
        """Return True where the host replaces none of the templates *names*."""
        return all(self.get(name).environment is self._environment for name in names)

    @cached_property
    def _environment(self) -> Environment:
        return ShippedEnvironment(current_app.jinja_env, self.functions)


class ShippedContext(Context):
    """Resolves the names of the package's functions first, so that no variable of the host can replace one."""

    environment: ShippedEnvironment

    def resolve_or_missing(self, key: str) -> Any:
        functions = self.environment.functions
        return functions[key] if key in functions else super().resolve_or_missing(key)


class ShippedEnvironment(Environment):
    """The environment of the package's own templates, beside the one of the *host*."""

    context_class = ShippedContext

    def __init__(self, host: Environment, functions: Mapping[str, Any]) -> None:
        super().__init__(autoescape=True, auto_reload=host.auto_reload)
        self.functions = functions
        # A template renders synchronously in here, also where it is part of a page that renders asynchronously.
        self.host = host.overlay(enable_async=False, bytecode_cache=None) if host.is_async else host
        self.follow()
        self.replacements = replacements_environment(host, functions)
        self.loader = self.replacements.loader = Loader(self)

    def follow(self) -> None:
        """Take the host's globals as they are now, for replacements that a shipped template includes or imports."""
        self.globals |= {**self.host.globals, **self.functions}


def replacements_environment(host: Environment, functions: Mapping[str, Any]) -> Environment:
    """Return the overlay of *host* in which its replacements of the package's templates are compiled."""
    overlay = host.overlay(
        block_start_string=BLOCK_START_STRING,
        block_end_string=BLOCK_END_STRING,
        variable_start_string=VARIABLE_START_STRING,
        variable_end_string=VARIABLE_END_STRING,
        comment_start_string=COMMENT_START_STRING,
        comment_end_string=COMMENT_END_STRING,
        line_statement_prefix=None,
        line_comment_prefix=None,
        autoescape=True,
        # Code of the same source under other delimiters must not be taken for this one's.
        bytecode_cache=None,
        enable_async=False,
    )
    overlay.globals = ChainMap({}, host.globals, dict(functions))  # type: ignore[assignment]
    return overlay


@lru_cache(maxsize=128)
def compiled(source: str, name: str, filename: str) -> CodeType:
    """Return the code of one of the package's own templates, the same one for all apps of the process.

    Nothing of a host takes part in compiling it.
    """
    return Environment(autoescape=True).compile(source, name, filename)


class Loader(BaseLoader):
    """Find a template where the host's loader has it, and compile it in the environment that it belongs to."""

    def __init__(self, shipped: ShippedEnvironment) -> None:
        self.shipped = shipped
        self.fallback = FileSystemLoader(FOLDER)

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002
    ) -> Template:
        if not name.startswith(PREFIX):
            return self.shipped.host.get_template(name)
        source, filename, is_up_to_date = self.get_source(environment, name)
        is_shipped = filename is not None and filename.startswith(FOLDER)
        fitting = self.shipped if is_shipped else self.shipped.replacements
        code = compiled(source, name, filename) if is_shipped else fitting.compile(source, name, filename)
        return fitting.template_class.from_code(fitting, code, fitting.make_globals(None), is_up_to_date)

    def get_source(self, environment: Environment, template: str) -> Any:
        """Return source, file name and check for changes. A host's own loader may not know Flask's blueprints."""
        host = self.shipped.host
        if host.loader is not None:
            try:
                return host.loader.get_source(host, template)
            except TemplateNotFound:
                pass
        return self.fallback.get_source(environment, template)
