"""The OpenAPI document: complete, true of real answers, and cheap to ask for."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import TypeAdapter

import moderate
from moderate.http import item_json
from moderate.http.answers import Problem
from moderate.http.operation import Route
from moderate.moderation import articles_views, bulk_views, queue
from moderate.moderation import views as moderation
from moderate.monitoring import health
from moderate.reading import views as reading
from moderate.rules import views as rules
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.routing import Rule

    from moderate.http.blueprint import ApiBlueprint

NOT_DESCRIBED = {"moderate.static", "moderate.nothing_here", "moderate.nothing_at_the_desk"}


def document(host: Host) -> Any:
    answer = host.client.get("/discuss/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return answer.json


def methods(host: Host, rule: Rule) -> set[str]:
    """Return the methods that an address allows, without those that all addresses allow."""
    path = re.sub(r"<int:\w+>", "1", rule.rule)
    answer = host.client.options(re.sub(r"<[^>]+>", "x", path), headers=host.token())
    return {name.strip() for name in answer.headers["Allow"].split(",")} - {"HEAD", "OPTIONS"}


def test_every_route_has_a_description_and_every_description_a_route(host: Host) -> None:
    rules = [
        rule
        for rule in host.app.url_map.iter_rules()
        if rule.endpoint.startswith("moderate.") and rule.endpoint not in NOT_DESCRIBED
    ]
    there = {
        (method, re.sub(r"<(?:[^:>]+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/discuss")))
        for rule in rules
        for method in methods(host, rule)
    }
    described = {(method.upper(), path) for path, found in document(host)["paths"].items() for method in found}
    assert sorted(there - described) == [], "these have no summary in their declaration"
    assert sorted(described - there) == [], "these are described, but nothing answers there"


def test_every_route_has_a_declaration(host: Host) -> None:
    routes = {rule.endpoint for rule in host.app.url_map.iter_rules() if rule.endpoint.startswith("moderate.")}
    declared = {f"moderate.{operation.endpoint}" for operation in operations_of(host)}
    assert routes - declared == NOT_DESCRIBED


def test_every_declared_view_is_mounted(host: Host) -> None:
    """A module of views that `moderate.http.blueprint.VIEWS` does not name would be forgotten else."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(moderate.__path__, "moderate.")
        if ".migrations" not in found.name
    ]
    declared = {route.operation for module in modules for route in vars(module).values() if isinstance(route, Route)}
    assert {str(one) for one in declared} - {str(one) for one in operations_of(host)} == set()


def test_exactly_the_routes_declared_for_moderators_refuse_unauthenticated_clients(host: Host) -> None:
    """Below /moderation these are all routes except signed links, which have a token in their address."""
    host.comment("Hello")
    for operation in operations_of(host):
        path = re.sub(r"<int:\w+>", "1", operation.rule).replace("<path:article>", "thaw").replace("<token>", "x")
        answer = host.client.open(f"/discuss{path}", method=operation.method, json={})
        assert (str(operation), answer.status_code == 401) == (str(operation), operation.is_for_moderators)
        if operation.rule.startswith("/moderation/") and "<token>" not in operation.rule:
            assert operation.is_for_moderators, str(operation)


def operations_of(host: Host) -> Any:
    return cast("ApiBlueprint", host.app.blueprints["moderate"]).operations


def test_the_document_names_the_mount_point_of_the_app(host: Host) -> None:
    assert document(host)["servers"] == [{"url": "/discuss"}]
    below = host.client.get("/discuss/openapi.json", environ_overrides={"SCRIPT_NAME": "/news"})
    assert below.json["servers"] == [{"url": "/news/discuss"}]
    assert document(host)["servers"] == [{"url": "/discuss"}]


def test_an_unchanged_document_gets_304(host: Host) -> None:
    tag = host.client.get("/discuss/openapi.json").headers["ETag"]
    assert host.client.get("/discuss/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def test_limits_and_fields_match_the_settings_of_the_site(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_MAX_LENGTH=123, MODERATE_HONEYPOT="fax", MODERATE_REQUIRE_AUTHOR=False)
    found = document(site)["components"]["schemas"]
    assert found["CommentIn"]["properties"]["text"]["maxLength"] == 123
    assert found["CommentInForm"]["properties"]["fax"]["type"] == "string"
    assert found["CommentIn"]["required"] == ["text"]
    strict = Host(tmp_path / "strict", MODERATE_REQUIRE_AUTHOR=True)
    assert document(strict)["components"]["schemas"]["CommentIn"]["required"] == ["text", "author"]


def test_a_comment_is_described_also_with_the_hidden_field_of_the_site(host: Host) -> None:
    comment = document(host)["components"]["schemas"]["CommentIn"]
    assert "homepage" in comment["properties"]
    assert "A verified author and a status are never taken from it." in comment["description"]


def test_form_fields_are_never_null(host: Host) -> None:
    found = document(host)["components"]["schemas"]
    forms = {name: schema for name, schema in found.items() if name.endswith("Form")}
    assert forms
    assert '"null"' not in json.dumps(forms)


def test_all_references_can_be_resolved(host: Host) -> None:
    text = host.client.get("/discuss/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names
    assert names <= set(document(host)["components"]["schemas"])


def test_changes_need_a_token_or_a_login_with_a_csrf_token(host: Host) -> None:
    paths = document(host)["paths"]
    assert paths["/moderation/items"]["get"]["security"] == [{"bearer": []}, {"login": []}]
    assert paths["/moderation/undo"]["post"]["security"] == [{"bearer": []}, {"login": [], "csrf": []}]
    assert "security" not in paths["/comments/{article}"]["post"]


PUBLIC_ANSWERS = [
    ("/comments/thaw", reading.ThreadOut),
    ("/items/1", item_json.PublicItem),
    ("/counts?article=thaw&article=none", reading.CountsOfArticles),
    ("/health", health.HealthOut),
    ("/health?deep=1", health.HealthOut),
]
MODERATORS_ANSWERS = [
    ("/moderation/items", moderation.ItemsOut),
    ("/moderation/items/1", item_json.ModeratorItemWhole),
    ("/moderation/history", moderation.HistoryOut),
    ("/moderation/rules", rules.RulesOut),
    ("/moderation/articles/thaw", articles_views.ArticleOut),
    ("/moderation/queue/news", queue.NewsOut),
]


@pytest.fixture
def busy(host: Host) -> Host:
    """A site on which much has happened: comments, a ping, decisions, an undo, a rule."""
    rule = {"kind": "word", "value": "casino", "effect": "spam"}
    headers = host.token()
    assert host.client.post("/discuss/moderation/rules", json=rule, headers=headers).status_code == 201
    for text in ("One", "Two", "A casino"):
        host.comment(text, email="mika@mail.example")
    with host.app.app_context():
        host.moderate.submit("thaw", "About ice", kind="trackback", source_url="https://blog.example/1", title="Ice")
    host.decide(1, "approve")
    many = {"decision": "trash", "items": [{"id": 2, "version": 1}, {"id": 99, "version": 1}]}
    answer = host.client.post("/discuss/moderation/decisions", json=many, headers=headers)
    assert_is(bulk_views.DecisionsOut, answer)
    undone = host.client.post("/discuss/moderation/undo", json={"batch": answer.json["batch"]}, headers=headers)
    assert_is(bulk_views.UndoOut, undone)
    return host


def assert_is(model: Any, answer: Any) -> None:
    """Assert that the answer has exactly the members of the model, and no additional one."""
    assert answer.status_code in {200, 201, 202}, answer.text
    TypeAdapter(model).validate_json(answer.data)


@pytest.mark.parametrize(("path", "model"), [*PUBLIC_ANSWERS, *MODERATORS_ANSWERS])
def test_real_responses_match_their_description(busy: Host, path: str, model: Any) -> None:
    assert_is(model, busy.client.get(f"/discuss{path}", headers=busy.token()))


def test_responses_to_submissions_and_previews_match_their_description(host: Host) -> None:
    assert_is(item_json.ReceivedItem, host.comment())
    assert_is(reading.PreviewOut, host.client.post("/discuss/preview", json={"text": "Hello"}))


def test_a_dry_run_of_a_rule_matches_its_description(busy: Host) -> None:
    rule = {"kind": "word", "value": "two", "effect": "hold"}
    answer = busy.client.post("/discuss/moderation/rules?dry_run=1", json=rule, headers=busy.token())
    assert_is(rules.TrialOut, answer)
    assert answer.json["items"]


def test_problem_documents_match_their_description(busy: Host) -> None:
    conflict = busy.decide(1, "spam", 1)
    answers = [
        conflict,
        busy.client.get("/discuss/nowhere"),
        busy.client.get("/discuss/comments/thaw?limit=x"),
        busy.client.delete("/discuss/moderation/items/1", headers=busy.token()),
    ]
    assert [answer.json["code"] for answer in answers] == ["decided-meanwhile", "not-found", "invalid", "not-allowed"]
    for answer in answers:
        TypeAdapter(Problem).validate_json(answer.data)
