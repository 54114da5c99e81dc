"""The parts of an operation that are derived from its declaration."""

from __future__ import annotations

import pytest

from moderate.http.operation import CURSOR, EDIT_TOKEN, FORM, JSON, Answer, Operation, Reply, routes_in


class TextIn(Answer):
    text: str


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        (Operation("GET", "/feed", "feed"), {"unavailable"}),
        (Operation("GET", "/feed", "feed", needs_database=False), set()),
        (Operation("GET", "/feed/<path:article>", "feed"), {"unknown-article", "unavailable"}),
        (Operation("GET", "/items/<int:item_id>", "item"), {"unknown-item", "not-found", "unavailable"}),
        (Operation("GET", "/rules/<int:rule_id>", "rule"), {"unknown-rule", "not-found", "unavailable"}),
        (Operation("GET", "/items", "items", parameters=(CURSOR,)), {"invalid", "unavailable"}),
        # Any text may be asked for by it.
        (Operation("GET", "/items", "items", parameters=(EDIT_TOKEN,)), {"unavailable"}),
        (
            Operation("POST", "/items", "items", body=TextIn),
            {"invalid", "too-large", "unsupported-media-type", "unavailable"},
        ),
        (
            Operation("POST", "/items", "items", body=TextIn, is_body_required=False),
            {"invalid", "too-large", "unavailable"},
        ),
        (Operation("POST", "/items", "items", body={FORM: TextIn}), {"invalid", "too-large", "unavailable"}),
        (
            Operation("POST", "/items", "items", body={FORM: TextIn}, is_body_required=False),
            {"too-large", "unavailable"},
        ),
        (Operation("GET", "/items", "items", is_for_moderators=True), {"unauthorized", "rate-limited", "unavailable"}),
        (
            Operation("DELETE", "/items", "items", is_for_moderators=True),
            {"unauthorized", "forbidden", "rate-limited", "unavailable"},
        ),
        (Operation("POST", "/ping", "ping", body={JSON: TextIn}, answers_errors=True), set()),
    ],
)
def test_usual_problems_are_derived_from_the_operation(operation: Operation, codes: set[str]) -> None:
    assert set(operation.codes()) == codes


def test_declared_codes_come_first_without_duplicates() -> None:
    operation = Operation("POST", "/x", "x", body=TextIn, problems=("closed", "invalid"))
    assert operation.codes() == ("closed", "invalid", "too-large", "unsupported-media-type", "unavailable")


def test_path_parameters_are_derived_from_the_rule() -> None:
    operation = Operation("GET", "/a/<path:article>/<token>", "a", link="As in the mail.", parameters=(CURSOR,))
    found = [(one["name"], one["in"]) for one in operation.all_parameters()]
    assert (operation.path, found) == (
        "/a/{article}/{token}",
        [("article", "path"), ("token", "path"), ("cursor", "query")],
    )


def test_an_etag_adds_its_header_fields_and_status_304() -> None:
    operation = Operation("GET", "/x", "x", replies=(Reply(200, "All.", headers=("Location",)),), has_etag=True)
    assert [(reply.status, reply.headers) for reply in operation.all_replies()] == [
        (200, ("ETag", "Location")),
        (304, ("ETag",)),
    ]
    assert [one["name"] for one in operation.all_parameters()] == ["If-None-Match"]


def test_a_module_has_the_routes_that_it_declares_without_imported_ones() -> None:
    from moderate.http import blueprint
    from moderate.reading import views

    assert views.thread in routes_in(views)
    assert list(routes_in(blueprint)) == []
