"""The files of `examples/deploy`: their commands are run as systemd and compose would, with what these give them."""

from __future__ import annotations

import http.client
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.redis_servers import PATIENT
from tests.servers import HOST, ROOT, Redis, connects, dies_with_us, free_port, program, wait_until
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import PostgreSQL

DEPLOY = ROOT / "examples" / "deploy"
UNITS = DEPLOY / "systemd"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
GRACEFUL = runpy.run_path(str(DEPLOY / "gunicorn.conf.py"))["graceful_timeout"]
PASSWORD = "secret"
#: Runs the rest of its arguments as systemd does with an open socket: as file 3, and with their own process id.
WITH_SOCKET = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


def unit(name: str) -> dict[str, list[str]]:
    """Return the directives of a unit, with those that all services share; each may stand there several times."""
    files = [UNITS / name, *((UNITS / "news-.service.d").glob("*.conf") if name.endswith(".service") else ())]
    found: dict[str, list[str]] = {}
    for line in "\n".join(path.read_text(encoding="utf-8") for path in files).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def seconds(duration: str) -> int:
    return int(re.fullmatch(r"(\d+)s?", duration)[1])


class Site:
    """A folder laid out as the README says, and the processes that were started in it by their names."""

    def __init__(self, folder: Path, postgresql: PostgreSQL, redis: Redis) -> None:
        self.postgresql, self.redis = postgresql, redis
        self.folder, self.state, self.log_path = folder / "news", folder / "state", folder / "log"
        self.folder.mkdir()
        for path in (DEPLOY / "wsgi.py", DEPLOY / "gunicorn.conf.py", ROOT / "config" / "production.toml"):
            shutil.copy(path, self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.files = set(self.folder.iterdir())
        self.port = free_port()
        #: How many workers were started so far.
        self.workers = 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        url = f"postgresql://news:{PASSWORD}@{HOST}:{postgresql.port}/news"
        self.host = Host(folder, MODERATE_DATABASE_URL=url)

    @cached_property
    def token(self) -> dict[str, str]:
        return self.host.token()

    def service(self, name: str) -> tuple[list[str], dict[str, str], int]:
        """Return a service's command, its environment and the seconds that it is given to end."""
        raise AssertionError(f"{type(self).__name__} has no services")

    def spawn(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen([*dies_with_us(), *command], cwd=self.folder, env=env, stdout=log, stderr=log)

    def start(self, name: str) -> None:
        command, env, _ = self.service(name)
        self.processes[name] = self.spawn(command, env)
        self.workers += name == "worker"

    def stop(self, name: str) -> None:
        """Ask a process to end, as both do by SIGTERM. One that was killed for taking too long would not end with 0."""
        if name == "worker":
            # Until it says so, the signal ends it as it does any program, which is clean too, but not 0.
            wait_until(lambda: self.log().count("End it by Ctrl+C or SIGTERM.") == self.workers, within=180)
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(self.service(name)[2]) == 0, self.log()

    def run(self, name: str) -> int:
        """Run a service that ends by itself."""
        command, env, _ = self.service(name)
        return self.spawn(command, env).wait(180)

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def env(self, given: dict[str, str]) -> dict[str, str]:
        """Add to the environment of the examples where the sources and the test's servers are, and nothing else."""
        assert re.fullmatch(r"redis://[\w.]+", given["MODERATE_REDIS_URL"])
        # libpq uses these with any host in the address.
        ways = {"PGHOSTADDR": HOST, "PGPORT": str(self.postgresql.port), "MODERATE_REDIS_URL": self.redis.url + PATIENT}
        return {"PATH": f"{sys.prefix}/bin:{os.defpath}", "PYTHONPATH": str(ROOT / "src"), **given, **ways}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Send one request as a reverse proxy does, over a connection of its own."""
        sent = {"Host": "www.example.org", "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", **headers}
        if isinstance(body, dict):
            body, sent["Content-Type"] = json.dumps(body), "application/json"
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=300)) as line:
            line.request(method, path, body, sent)
            answer = line.getresponse()
            return answer.status, answer.read().decode()

    def mention(self, number: int) -> int:
        """Send a Webmention from a blog and an address of its own; a worker will not read the page at that port."""
        form = {"source": f"http://blog{number}.example:8080/", "target": "https://www.example.org/articles/first"}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": f"203.0.113.{number}"}
        return self.ask("POST", "/discuss/webmention", urlencode(form), **headers)[0]

    def untouched(self) -> int:
        """Return how many pings no worker has looked at."""
        answer = self.host.client.get("/discuss/moderation/items?status=pending&limit=100", headers=self.token)
        reasons = [finding["reason"] for item in answer.json["items"] for finding in item["findings"]]
        return reasons.count("not asked yet")


def filled_in() -> dict[str, str]:
    """Return what environment.example sets, with its secrets."""
    lines = (DEPLOY / "environment.example").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert found["SECRET_KEY"] == found["PGPASSWORD"] == "", "the template holds no secrets"
    return {**found, "SECRET_KEY": "for tests only", "PGPASSWORD": PASSWORD}


class Systemd(Site):
    """The site of the units, with its socket open from beginning to end."""

    def __init__(self, folder: Path, postgresql: PostgreSQL, redis: Redis) -> None:
        super().__init__(folder, postgresql, redis)
        assert unit("news-web.socket")["ListenStream"] == ["127.0.0.1:8000"]
        self.listener = socket.create_server((HOST, self.port), backlog=512)

    def service(self, name: str) -> tuple[list[str], dict[str, str], int]:
        found = unit(self.unit_of(name))
        command, *_ = self.commands(name, "ExecStart")
        return command, self.environment(name), seconds(found.get("TimeoutStopSec", ["90"])[0])

    def unit_of(self, name: str) -> str:
        return f"news-{name}{'@' if name == 'worker' else ''}.service"

    def environment(self, name: str) -> dict[str, str]:
        found = unit(self.unit_of(name))
        assert found["EnvironmentFile"] == ["/etc/news.env"]
        own = dict(word.split("=", 1) for line in found["Environment"] for word in shlex.split(line))
        main = {"MAINPID": str(self.processes[name].pid)} if name in self.processes else {}
        return {**self.env({**own, **filled_in()}), **main}

    def commands(self, name: str, directive: str) -> list[list[str]]:
        """Return the words of each command, after what systemd replaces in them."""
        env, found = self.environment(name), []
        for line in unit(self.unit_of(name))[directive]:
            placed = line.replace("/srv/news", str(self.folder)).replace("%S", str(self.state)).replace("%%", "%")
            found.append([re.sub(r"\$\{(\w+)\}", lambda match: env[match[1]], word) for word in shlex.split(placed)])
        return found

    def run_all(self, name: str, directive: str) -> int:
        """Run the commands one after another, up to the first that fails."""
        for command in self.commands(name, directive):
            if code := self.spawn(command, self.environment(name)).wait(180):
                return code
        return 0

    def spawn(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        if command[0].endswith("/gunicorn") and "--check-config" not in command:
            fd = self.listener.fileno()
            command = [sys.executable, "-c", WITH_SOCKET, str(fd), *command]
            with self.log_path.open("ab") as log:
                pipes: dict[str, Any] = {"stdout": log, "stderr": log, "pass_fds": [fd]}
                return subprocess.Popen([*dies_with_us(), *command], cwd=self.folder, env=env, **pipes)
        return super().spawn(command, env)

    def kill(self) -> None:
        super().kill()
        self.listener.close()


class Compose(Site):
    """The site of the compose file, without containers."""

    def service(self, name: str) -> tuple[list[str], dict[str, str], int]:
        found = COMPOSE[name]
        assert (found["env_file"], found["environment"]["PORT"]) == (".env", "8000")
        env = self.env({"PYTHONDONTWRITEBYTECODE": "1", **filled_in(), **found["environment"]})
        grace = seconds(found.get("stop_grace_period", "10s"))
        return shlex.split(found["command"]), {**env, "PORT": str(self.port)}, grace

    def start(self, name: str) -> None:
        super().start(name)
        if name == "web":
            check = [word.replace(":8000", f":{self.port}") for word in COMPOSE["web"]["healthcheck"]["test"][1:]]
            wait_until(lambda: connects(self.port), within=180)
            subprocess.run(check, env=self.service("web")[1], check=True)


@contextmanager
def deployed(kind: type[Site], folder: Path, postgresql: PostgreSQL, redis: Redis) -> Iterator[Site]:
    """Run a site on an empty database that belongs to an ordinary user; end it as it should end."""
    postgresql.run(f"CREATE ROLE news LOGIN PASSWORD '{PASSWORD}'")
    postgresql.run("CREATE DATABASE news OWNER news TEMPLATE template0 STRATEGY file_copy")
    site = kind(folder, postgresql, redis)
    try:
        assert site.run("migrate") == 0, site.log()
        for name in ("web", "worker"):
            site.start(name)
        yield site
        for name in ("web", "worker"):
            site.stop(name)
        # Nothing is written beside the code, which may be read-only.
        assert set(site.folder.iterdir()) == site.files
    finally:
        site.kill()
        postgresql.run("DROP DATABASE news WITH (FORCE)")
        postgresql.run("DROP ROLE news")


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql: PostgreSQL,
    redis_server: Redis,
) -> Iterator[Site]:
    redis_server.flush()
    with deployed(request.param, tmp_path_factory.mktemp("deployed"), postgresql, redis_server) as running:
        yield running


@pytest.mark.parametrize("site", [Compose, Systemd], indirect=True)
def test_a_site_with_production_toml_accepts_comments_and_pings(site: Site) -> None:
    before = len(site.log())
    assert "river" not in site.ask("GET", "/articles/first")[1]
    assert site.mention(1) == 201
    status, text = site.ask("POST", "/discuss/comments/first", {"author": "Mika", "text": "The river froze."})
    assert status == 202
    item = json.loads(text)["id"]
    decision = {"decision": "approve", "version": 1}
    assert site.ask("POST", f"/discuss/moderation/items/{item}/decisions", decision, **site.token)[0] == 200
    assert "The river froze." in site.ask("GET", "/articles/first")[1]
    wait_until(lambda: site.untouched() == 0, within=180)
    well = {"akismet": "not used", "database": "ok", "redis": "ok", "status": "ok", "tasks": "ok"}
    assert json.loads(site.ask("GET", "/discuss/health")[1]) == well
    assert "moderate_items" in site.ask("GET", "/discuss/metrics", **site.token)[1]
    assert "Traceback" not in site.log()[before:]
    assert "X-Forwarded-For" not in site.log(), "the warning about a missing ProxyFix"


@pytest.mark.parametrize("site", [Systemd], indirect=True)
def test_check_config_reports_no_fault_in_the_documented_environment(site: Systemd) -> None:
    flask, *_ = site.commands("migrate", "ExecStart")[0]
    done = subprocess.run(
        [flask, "moderate", "check-config"], cwd=site.folder, env=site.environment("migrate"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "database: ok. postgresql, news at 127.0.0.1.\nredis: ok. Redis" in done.stdout
    assert "SECRET_KEY" not in done.stdout


@pytest.mark.parametrize("site", [Systemd], indirect=True)
def test_processes_are_replaced_without_refused_requests_or_lost_tasks(site: Systemd) -> None:
    answers: list[object] = []
    is_over = threading.Event()

    def visit(first: int) -> None:
        for number in range(first, 10_000):
            if is_over.wait(0.1):
                return
            try:
                answers.append(site.ask("GET", "/articles/first")[0])
                # Within the limits of production.toml: 60 a minute for each article.
                if number % 4 == 0 and number < first + 60:
                    answers.append(site.mention(number))
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)

    def workers() -> set[str]:
        pid = site.processes["web"].pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())

    visitors = [threading.Thread(target=visit, args=(first,)) for first in (10, 110)]
    for visitor in visitors:
        visitor.start()
    try:
        before = workers()
        assert site.run_all("web", "ExecReload") == 0, site.log()
        wait_until(lambda: len(workers()) == 2 and not workers() & before, within=180)
        for name in ("worker", "web"):
            site.stop(name)
            site.start(name)
        seen = len(answers)
        wait_until(lambda: len(answers) > seen + 10, within=180)
    finally:
        is_over.set()
        for visitor in visitors:
            visitor.join()
    assert set(answers) == {200, 201}
    wait_until(lambda: site.untouched() == 0, within=180)


@pytest.mark.parametrize("site", [Systemd], indirect=True)
def test_a_reload_of_a_broken_site_changes_nothing(site: Systemd) -> None:
    path = site.folder / "wsgi.py"
    works = path.read_text(encoding="utf-8")
    path.write_text(works.replace("import click", "import no_such_module"), encoding="utf-8")
    try:
        assert site.run_all("web", "ExecReload") == 1
    finally:
        path.write_text(works, encoding="utf-8")
    assert site.ask("GET", "/articles/first")[0] == 200


@pytest.mark.parametrize("site", [Systemd], indirect=True)
def test_the_backup_is_complete_and_old_ones_are_deleted(site: Systemd) -> None:
    assert unit("news-backup.service")["StateDirectory"] == ["news-backup"]
    folder = site.state / "news-backup"
    folder.mkdir(parents=True)
    for name, days in (("2026-01-01.dump", 16), ("2026-01-02.dump", 3)):
        (folder / name).touch()
        moment = time.time() - days * 86_400
        os.utime(folder / name, (moment, moment))
    assert site.run_all("backup", "ExecStart") == 0, site.log()
    kept, new = sorted(path.name for path in folder.iterdir())
    assert kept == "2026-01-02.dump"
    restore = program("pg_restore", "postgresql")
    listed = subprocess.run([restore, "--list", folder / new], capture_output=True, text=True, check=True).stdout
    assert "moderate_items" in listed


def test_a_missing_environment_is_reported_in_one_line(tmp_path: Path) -> None:
    for path in (DEPLOY / "wsgi.py", ROOT / "config" / "production.toml"):
        shutil.copy(path, tmp_path)
    env = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "src"), "SECRET_KEY": "for tests only"}
    command = [sys.executable, "-m", "flask", "moderate", "check-config"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    names = "MODERATE_DATABASE_URL, MODERATE_REDIS_URL"
    assert done.stderr == f"Error: Not set in the environment: {names}. See environment.example.\n"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for path in folder.rglob("*.service"):
        text = path.read_text(encoding="utf-8").replace("/srv/news", str(tmp_path / "news"))
        path.write_text(text, encoding="utf-8")
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / ".venv").symlink_to(sys.prefix)
    names = [path.name.replace("@", "@1") for path in folder.iterdir() if path.is_file()]
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
    paths = [folder / name for name in names]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths]
    verified = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    for name in names:
        if name.endswith(".service"):
            # 10 is no protection at all, as for a unit without any of these directives.
            command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", folder / name]
            graded = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            assert graded.returncode == 0, graded.stdout


def test_stop_timeouts_leave_processes_the_time_to_finish() -> None:
    assert seconds(*unit("news-web.service")["TimeoutStopSec"]) > GRACEFUL
    assert seconds(COMPOSE["web"]["stop_grace_period"]) > GRACEFUL
    # A worker's task may wait for a mail server or a webhook, ten seconds for each answer.
    assert seconds(*unit("news-worker@.service")["TimeoutStopSec"]) >= 60
    assert seconds(COMPOSE["worker"]["stop_grace_period"]) >= 60
    for name in ("web", "worker@"):
        assert unit(f"news-{name}.service")["Restart"] == ["always"]
        # SIGTERM, which both finish their work at.
        assert "KillSignal" not in unit(f"news-{name}.service")
    assert all("stop_signal" not in service for service in COMPOSE.values())


@pytest.mark.parametrize("name", sorted(COMPOSE))
def test_services_of_the_compose_file_restart_and_wait_for_their_dependencies(name: str) -> None:
    service = COMPOSE[name]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert name in {"migrate", "worker"} or "healthcheck" in service
    for other, wanted in service.get("depends_on", {}).items():
        does_end = wanted["condition"] == "service_completed_successfully"
        assert does_end == (other == "migrate")
        assert does_end or (wanted["condition"] == "service_healthy" and "healthcheck" in COMPOSE[other])
    # Only the reverse proxy of this host may ask.
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for key, value in service.get("environment", {}).items():
        assert "PASSWORD" not in key or value.startswith("${"), "secrets stand in .env"


def test_the_image_holds_everything_that_the_package_is_built_from(tmp_path: Path) -> None:
    build = COMPOSE["web"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    text = (context / build["dockerfile"]).read_text(encoding="utf-8")
    workdir = Path("/")
    for word, *rest in (shlex.split(line) for line in text.splitlines() if line and not line.startswith("#")):
        if word == "WORKDIR":
            workdir = Path(*rest)
        elif word == "COPY":
            *sources, target = rest
            place = tmp_path / (workdir / target).relative_to("/")
            for source in (context / name for name in sources):
                if source.is_dir():
                    shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, place)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    built = subprocess.run(command, cwd=tmp_path / "src", capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert "moderate/monitoring/health.py" in wheel.namelist()
    assert {"wsgi.py", "gunicorn.conf.py", "production.toml"} == set(os.listdir(tmp_path / "srv" / "news"))


def test_redis_starts_with_the_command_of_the_compose_file() -> None:
    name, *options = shlex.split(COMPOSE["redis"]["command"])
    assert name == "redis-server"
    with Redis(*options) as server:
        check = COMPOSE["redis"]["healthcheck"]["test"]
        assert check == ["CMD", "redis-cli", "ping"]
        done = subprocess.run(["redis-cli", "-p", str(server.port), "ping"], capture_output=True, check=False)
        assert done.stdout == b"PONG\n"
