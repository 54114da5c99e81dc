"""A real WordPress from Debian's package: PHP's own server and a MariaDB that it reaches by a file.

Needs the packages php-cli, php-mysql, php-mbstring, php-xml, php-curl and mariadb-server-core to be
installed. WordPress itself is only downloaded and unpacked, so that no web server comes with it.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.interop.programs import FOLDER
from tests.servers import HOST, Server, ServerFailed, dies_with_us, program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.mariadb_servers import MariaDB

CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{socket}'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', '{url}'); define('WP_SITEURL', '{url}');
define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT',
  'LOGGED_IN_SALT', 'NONCE_SALT'] as $name) define($name, 'for tests only');
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
error_reporting(E_ERROR);
require_once ABSPATH . 'wp-settings.php';
"""

#: WordPress talks to no private address by itself; here both sides are on this machine, and nobody else is asked.
PLUGIN = """<?php
add_filter('http_request_host_is_external', fn($is, $host) => $host === '127.0.0.1', 10, 2);
add_filter('http_allowed_safe_ports', fn($ports) => array_merge($ports, range(1024, 65535)));
add_filter('pre_http_request', fn($answer, $arguments, $url) =>
  parse_url($url, PHP_URL_HOST) === '127.0.0.1' ? $answer : new WP_Error('offline', 'no network'), 10, 3);
"""

THEME = """<?php the_post(); ?><!doctype html><html><head><meta charset="utf-8">
<title><?php the_title(); ?></title></head><body><h1><?php the_title(); ?></h1><?php the_content(); ?></body></html>
"""

INSTALL = """define('WP_INSTALLING', true); require 'wp-load.php';
function wp_new_blog_notification() {}
require 'wp-admin/includes/upgrade.php';
wp_install('A WordPress', 'ann', 'ann@wp.example', true, '', 'for tests only');
switch_theme('plain'); echo $wp_version;"""

#: Writes a post, sends its pings as the scheduled task would, and tells its address and whom it believes reached.
POST = """require 'wp-load.php';
[, $title, $link, $to_ping, $flag] = $argv;
update_option('default_pingback_flag', $flag);
$id = wp_insert_post(['post_title' => $title, 'post_status' => 'publish', 'post_author' => 1, 'to_ping' => $to_ping,
  'post_excerpt' => 'Café & more 日本語',
  'post_content' => '<p>We read <a href="' . $link . '">about the ferries</a> over breakfast.</p>'], true);
if (is_wp_error($id)) { echo $id->get_error_message(); exit(1); }
do_all_pings(); clean_post_cache($id);
echo get_permalink($id), "\\n", str_replace("\\n", ' ', get_post_field('pinged', $id));"""


class WordPress(Server):
    """The blog, on PHP's own server. It is written by single commands, so one process is enough."""

    def __init__(self, database: MariaDB, port: int) -> None:
        super().__init__("wordpress")
        self.root, self.database, self.port = self.folder / "site", database, port
        shutil.copytree(unpacked(), self.root, symlinks=True)
        self.write("wp-config.php", CONFIG.format(socket=database.socket, url=self.url))
        self.write("wp-content/mu-plugins/loopback.php", PLUGIN)
        self.write("wp-content/themes/plain/style.css", "/* Theme Name: Plain */")
        self.write("wp-content/themes/plain/index.php", THEME)
        self.run(
            "mysqli_connect('localhost', 'root', '', '', 0, $argv[1])->query('CREATE DATABASE wordpress');",
            database.socket,
        )
        #: As WordPress tells it.
        self.version = self.run(INSTALL)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, script: str, *arguments: str | Path) -> str:
        return call([php(), "-d", "display_errors=stderr", "-r", script, *arguments], self.root)

    def post(self, title: str, link: str, *, trackback_to: str = "", pingback: bool) -> tuple[str, str]:
        """Write a post and send its pings. Returns its address, and the addresses that WordPress notes as pinged."""
        address, _, pinged = self.run(POST, title, link, trackback_to, "1" if pingback else "0").partition("\n")
        return address, pinged.strip()

    def command(self) -> Sequence[str | Path]:
        return [php(), "-S", f"{HOST}:{self.port}", "-t", self.root]


def php() -> Path:
    return program("php", "php-cli")


def unpacked() -> Path:
    """WordPress as Debian's package has it, downloaded once."""
    folder = FOLDER / "wordpress"
    site = folder / "root/usr/share/wordpress"
    if not site.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        call(["apt-get", "download", "-q", "wordpress"], folder)
        (package,) = folder.glob("wordpress_*.deb")
        call(["dpkg", "-x", package, folder / "root"], folder)
    return site


def call(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [*dies_with_us(), *command], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise ServerFailed(f"{command[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout.strip()
