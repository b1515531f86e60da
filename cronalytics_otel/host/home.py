"""Where a Hermes home keeps its files, and where ours stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLUGIN_FOLDER = "cronalytics-otel"


@dataclass(frozen=True, slots=True)
class Home:
    """One Hermes home, which is one profile: `~/.hermes` or `<root>/profiles/<name>`."""

    path: Path

    @property
    def profile(self) -> str:
        """The profile's name; `default` for the root home."""
        return self.path.name if self.path.parent.name == "profiles" else "default"

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
    """Return the home that the user means: `--home`, else `HERMES_HOME`, else `~/.hermes`."""
    chosen = explicit or environ.get("HERMES_HOME") or "~/.hermes"
    return Home(Path(chosen).expanduser().resolve())


def profile_homes(home: Home) -> list[Home]:
    """Return the homes of all profiles of an installation: the root, then `profiles/*` by name."""
    is_profile = home.path.parent.name == "profiles"
    root = home.path.parent.parent if is_profile else home.path
    folders = sorted(path for path in (root / "profiles").glob("*") if path.is_dir())
    return [each for each in map(Home, (root, *folders)) if each.looks_like_hermes]
