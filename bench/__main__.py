"""Runs the benchmarks beside this file: all, or those named.

    python -m bench [NAME …]

A benchmark is a module of this folder with `main()`, which prints its own table; the first line of its
docstring is the heading. One that fails is reported at the end and does not keep the others from running.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOLDER = Path(__file__).parent


def benchmarks(wanted: Sequence[str] = ()) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Name, heading and `main` of each benchmark, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]))
    unknown = set(wanted) - set(names)
    if unknown:
        raise SystemExit(f"There is no benchmark called {', '.join(sorted(unknown))}. There are: {', '.join(names)}")
    for name in wanted or names:
        if name == "__main__":
            continue
        module = importlib.import_module(f"bench.{name}")
        if hasattr(module, "main"):
            yield name, (module.__doc__ or name).strip().splitlines()[0], module.main


def run(name: str, heading: str, main: Callable[[], object]) -> bool:
    """Print one benchmark's table; return False when it fails."""
    print(f"\n{name}: {heading}\n", flush=True)
    try:
        main()
    except Exception:  # noqa: BLE001 - the others are to run all the same
        traceback.print_exc()
        return False
    return True


def main(wanted: Sequence[str]) -> int:
    done = {name: run(name, heading, bench) for name, heading, bench in benchmarks(wanted)}
    failed = [name for name, well in done.items() if not well]
    print(f"\n{len(done) - len(failed)} benchmarks, {len(failed)} failed {' '.join(failed)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
