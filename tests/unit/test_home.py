"""Which home is meant, and what its profile is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home, find_home, profile_homes
from cronalytics_otel.lock import SyncBusyError, sync_lock


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`~/.hermes`, with a profile `work` that lies elsewhere and a profile `play`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / ".hermes"
    (root / "profiles" / "play").mkdir(parents=True)
    (tmp_path / "disk" / "w").mkdir(parents=True)
    (root / "profiles" / "work").symlink_to(tmp_path / "disk" / "w")
    for home in (root, root / "profiles" / "play", tmp_path / "disk" / "w"):
        (home / "config.yaml").touch()
    return root


def test_without_any_hint_it_is_the_root_home(root: Path) -> None:
    home = find_home(None, {})

    assert (home.path, home.profile) == (root, "default")


def test_a_profile_behind_a_link_keeps_its_name(root: Path) -> None:
    home = find_home(None, {"HERMES_HOME": str(root / "profiles" / "work")})

    assert home.profile == "work"
    assert [each.profile for each in profile_homes(home)] == ["default", "play", "work"]


def test_a_profile_has_the_name_of_its_link_also_where_its_folder_is_named(root: Path) -> None:
    home = find_home(str(root.parent / "disk" / "w"), {})

    assert (home.profile, home.path) == ("work", root / "profiles" / "work")


def test_the_folder_of_all_profiles_may_be_a_link(root: Path) -> None:
    (root / "profiles").rename(root.parent / "elsewhere")
    (root / "profiles").symlink_to(root.parent / "elsewhere")

    assert find_home(str(root / "profiles" / "play"), {}).profile == "play"


@pytest.mark.parametrize("environ", [{}, {"HERMES_HOME": "{root}"}])
def test_the_profile_that_hermes_uses_is_meant(root: Path, environ: dict[str, str]) -> None:
    """`hermes profile use play`."""
    (root / "active_profile").write_text("play\n")
    given = {name: value.format(root=root) for name, value in environ.items()}

    assert find_home(None, given).profile == "play"
    assert find_home(str(root), given).profile == "default"
    assert find_home(None, {"HERMES_HOME": str(root / "profiles" / "work")}).profile == "work"


@pytest.mark.parametrize("text", ["", "default", "gone", "../play", "play\nwork", "\xff"])
def test_a_choice_that_names_no_profile_is_the_root_home(root: Path, text: str) -> None:
    (root / "active_profile").write_bytes(text.encode("latin-1"))

    assert find_home(None, {}).profile == "default"


def test_links_that_lead_in_a_circle_are_an_error(root: Path) -> None:
    (root.parent / "a").symlink_to(root.parent / "b")
    (root.parent / "b").symlink_to(root.parent / "a")

    with pytest.raises(RuntimeError):
        find_home(str(root.parent / "a"), {})


def test_a_home_that_is_reached_by_two_links_has_one_lock(root: Path) -> None:
    by_link, itself = Home(root / "profiles" / "work"), Home(root.parent / "disk" / "w")

    with sync_lock(by_link.lock), pytest.raises(SyncBusyError), sync_lock(itself.lock):
        pass
