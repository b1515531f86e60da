"""YAML as people read it: keys in their order, texts of several lines as blocks, a header of comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import yaml

_COLUMNS = 118


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base's signature
        """Write a value anew wherever it stands."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def yaml_text(header: str, document: Mapping[str, object]) -> str:
    """Return the document as YAML below a comment; each line of the header is a paragraph."""
    comment = "".join(f"{line}\n" for line in _comment_lines(header))
    body = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, indent=2
    )
    return f"{comment}\n{body}"


def _comment_lines(header: str) -> list[str]:
    lines = []
    for line in header.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        wrapped = textwrap.wrap(line, _COLUMNS, subsequent_indent=indent) or [""]
        lines += [f"# {part}".rstrip() for part in wrapped]
    return lines
