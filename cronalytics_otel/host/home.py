"""Where a Hermes home keeps its files, and where ours stand beside them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLUGIN_FOLDER = "cronalytics-otel"

PROFILES = "profiles"
"""The folder of the root home that holds the homes of the other profiles."""

_PROFILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""The host's rule for the names of profiles."""


@dataclass(frozen=True, slots=True)
class Home:
    """One Hermes home, which is one profile: `~/.hermes` or `<root>/profiles/<name>`."""

    path: Path

    @property
    def profile(self) -> str:
        """The profile's name; `default` for the root home."""
        if self.path.parent.name != PROFILES:
            return "default"
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def ledger(self) -> Path:
        return self.path / "cron" / "executions.db"

    @property
    def state_db(self) -> Path:
        return self.path / "state.db"

    @property
    def jobs(self) -> Path:
        return self.path / "cron" / "jobs.json"

    @property
    def outputs(self) -> Path:
        return self.path / "cron" / "output"

    @property
    def plugin_folder(self) -> Path:
        """Our own folder: the journal and the lock. The host may replace what is under `plugins/`."""
        return self.path / PLUGIN_FOLDER

    @property
    def journal(self) -> Path:
        return self.plugin_folder / "journal.db"

    @property
    def lock(self) -> Path:
        return self.plugin_folder / "sync.lock"

    @property
    def looks_like_hermes(self) -> bool:
        """Whether the host was ever here: it has left a file of its own."""
        return any(
            p.exists() for p in (self.path / "config.yaml", self.state_db, self.path / "cron")
        )


def find_home(explicit: str | None, environ: Mapping[str, str]) -> Home:
    """Return the home that the user means: `--home`, else `HERMES_HOME`, else `~/.hermes`.

    As in the host, a profile that was chosen by `hermes profile use` takes the place of the root home,
    unless `--home` names that one. Links are not followed, because a profile has the name of its link. Raises
    RuntimeError for `~nobody`, and for links that lead in a circle.
    """
    chosen = Path(explicit or environ.get("HERMES_HOME") or "~/.hermes").expanduser()
    path = _link_of(chosen.resolve()) or Path(os.path.abspath(chosen))  # noqa: PTH100 - keeps links
    return Home(path if explicit else _active_profile(path) or path)


def _link_of(path: Path) -> Path | None:
    """Return the link in `~/.hermes/profiles` that leads to this folder: the profile has its name."""
    profiles = Path("~/.hermes/profiles").expanduser()
    with contextlib.suppress(OSError, RuntimeError):
        return next(
            (
                link
                for link in sorted(profiles.iterdir())
                if link.is_symlink() and link.resolve() == path
            ),
            None,
        )
    return None


def _active_profile(root: Path) -> Path | None:
    """Return the home of the profile that was chosen by `hermes profile use`; None for the root home."""
    if root.parent.name == PROFILES:
        return None
    try:
        name = (root / "active_profile").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if name == "default" or _PROFILE_NAME.fullmatch(name) is None:
        return None
    home = root / PROFILES / name
    return home if home.is_dir() else None


def profile_homes(home: Home) -> list[Home]:
    """Return the homes of all profiles of an installation: the root, then `profiles/*` by name."""
    is_profile = home.path.parent.name == PROFILES
    root = home.path.parent.parent if is_profile else home.path
    folders = sorted(path for path in (root / PROFILES).glob("*") if path.is_dir())
    return [each for each in map(Home, (root, *folders)) if each.looks_like_hermes]
