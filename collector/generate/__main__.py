"""`make views`: write all generated files of this folder anew."""

from __future__ import annotations

from pathlib import Path

from .files import generated_files

FOLDER = Path(__file__).parent.parent


def main() -> None:
    for name, text in generated_files().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
