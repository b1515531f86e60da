"""The dashboards, rules, alerts and boards of `collector/` are what their sources generate."""

from __future__ import annotations

from pathlib import Path

from collector.generate.files import generated_files

FOLDER = Path(__file__).parents[2] / "collector"


def test_the_committed_files_are_what_their_sources_generate() -> None:
    generated = generated_files()
    committed = {name: (FOLDER / name).read_text() for name in generated}
    changed = [name for name, text in generated.items() if committed[name] != text]

    assert changed == [], "run `make views`"
