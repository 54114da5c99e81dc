"""Valid and invalid requests generated from the OpenAPI document: no answer is a server error or undocumented."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from moderate.http.blueprint import build_blueprint
from moderate.model import MAX_ID
from moderate.protocols import PROTOCOLS
from tests.sites import Host

if TYPE_CHECKING:
    from schemathesis import Case

    from moderate.http.operation import Operation

#: All that is described; see `tests/web/test_openapi.py`.
OPERATIONS = [operation for operation in build_blueprint(PROTOCOLS).operations if operation.summary]

#: The same requests in each run, however busy the machine is.
steady = settings(
    max_examples=int(os.environ.get("MODERATE_TEST_EXAMPLES", "4")),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

#: These answer any request with 200, or check less of it than the document says.
LENIENT = ("/trackback/{article}", "/pingback")


#: What is too long is refused as such, with 413.
REFUSALS = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A site with a few items in every status but trash."""
    mails = {"SERVER": "file:mails", "FROM": "news@mail.example"}
    host = Host(
        tmp_path_factory.mktemp("site"),
        MODERATE_LIMITS={},
        MODERATE_SITE_URL="http://localhost",
        MODERATE_CONFIRM_EMAIL=True,
        **{f"MODERATE_MAIL_{name}": value for name, value in mails.items()},
    )
    for number in range(1, 6):
        host.comment(f"The river froze {number} times.")
    for number, decision in ((1, "approve"), (2, "approve"), (3, "spam")):
        host.decide(number, decision)
    return host


@pytest.fixture(scope="module")
def document(host: Host) -> Any:
    made = schemathesis.openapi.from_wsgi("/discuss/openapi.json", host.app, config=REFUSALS)
    made.hook("map_path_parameters")(known)
    return made


def known(_: object, given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of what is asked for is there: guessed keys and numbers would all end in 404."""
    for name, value in (given or {}).items():
        if name == "article" and re.fullmatch(r"\w+", str(value), re.ASCII) and len(value) % 2:
            given[name] = "thaw"
        elif name == "item_id" and isinstance(value, int) and 6 < value <= MAX_ID:
            given[name] = value % 7
    return given


def run(document: Any, operation: Operation, mode: GenerationMode, **sent: Any) -> None:
    made = document[operation.path][operation.method]

    @steady
    @given(case=made.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        case.call_and_validate(excluded_checks=excluded(case), **sent)

    check()


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_requests_of_moderators_match_the_document(document: Any, host: Host, operation: Operation) -> None:
    token = host.token()
    run(document, operation, GenerationMode.POSITIVE, headers=token)
    # Where every text is a valid one, nothing wrong can be made up.
    with contextlib.suppress(Unsatisfiable):
        run(document, operation, GenerationMode.NEGATIVE, headers=token)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_requests_of_anonymous_clients_match_the_document(document: Any, operation: Operation) -> None:
    run(document, operation, GenerationMode.POSITIVE)


def excluded(case: Case) -> list[Any]:
    """Return the checks to leave out: a schema cannot state all rules for texts, addresses and secrets."""
    found = [] if case.method == "GET" and "token" not in case.operation.path else [checks.positive_data_acceptance]
    is_lenient = case.operation.path in LENIENT or "token" in case.operation.path
    return [*found, checks.negative_data_rejection] if is_lenient else found
