"""Secrets on a command line, in a shell's syntax or as Python and JSON show a list of arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .rule import MASK, Edit
from .syntax import QUOTE, UNMASKED, WORD_START

SPOKEN_PASSWORD = re.compile(
    rf"((?:identified\s++by|with\s++password|encrypted\s++password)\s++{QUOTE}"
    r"|\blogin\s++\S{1,128}\s++password\s++)"
    rf"{UNMASKED}[^\s\"'\\]+",
    re.IGNORECASE,
)
"""A keyword, a blank, the value, as in SQL and in a .netrc: `IDENTIFIED BY 'x'`."""

SECRET_OPTION = re.compile(
    r"((?<![\w-])--(?!-)[\w-]{0,40}"
    r"(?:passw(?:or)?d|passphrase|(?<!by)pass|(?<!max-)(?<!min-)token|secret|api-?key)"
    r"\s++[\"']?)"
    rf"(?![-|&;<>]|\d(?:\s|\Z)){UNMASKED}[^\s\"'\\]+",
    re.IGNORECASE,
)
"""`--password x`; `--password=x` is an assignment."""

_NEXT = rf"{QUOTE},\s*+{QUOTE}"
"""What stands between two arguments in a list."""

USER_OPTION = re.compile(
    rf"(-(?:(?<=[\s\"']-)(?P<letters>[A-Za-z#]{{0,8}}?)[uU]|-(?:proxy-)?user(?=[\s=\"'\\]))"
    rf"(?P<gap>{_NEXT}|\s++|=)?+)"
    rf"(?!\d+:\d+\b)(?:(?P<quote>{QUOTE}){UNMASKED}(?P<user>[^\s:\"'\\]{{1,256}}):[^\n]{{1,256}}?(?P=quote)"
    rf"|\\*[\"']?{UNMASKED}(?P<bare>[^\s:\"'\\]{{1,256}}):(?P<password>[^\s\"'\\]++))"
)
"""`-u me:x`, `--user me:x`, `--proxy-user=me:x`; of curl also `-sSu me:x`, `-ume:x`, `['-u', 'me:x']`."""

_CURL = re.compile(r"curl(?![\w-])(?:[^\n|;&]|(?<=\\)\n|[;&](?![\s&]))*\Z")
"""The command is curl, also when it goes on in the next line."""
_NO_PASSWORD = re.compile(
    r"\b(?:systemctl|journalctl)\s[^\n|;&]{0,160}\Z|\b(?:python[\d.]{0,5}|sort|uvicorn)\s+\Z"
)
"""The command means a unit by `-u`, or unbuffered, or unique."""
_USER_AND_GROUP = re.compile(r"\b(?:docker|podman|ls|chown|install)\s[^\n|;&]{0,160}\Z")
"""The command means a user and a group by `me:x`."""
_COMMAND_CHARS = 1024


def users_masked(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each user with a password.

    All forms of the option count in a curl command. In other commands only those count that have no
    other meaning there.
    """
    for match in matches:
        before = match.string[max(0, match.start() - _COMMAND_CHARS) : match.start()]
        if not _CURL.search(before):
            if match["letters"] or not match["gap"] or _NO_PASSWORD.search(before):
                continue
            if match["bare"] == match["password"] and _USER_AND_GROUP.search(before):
                continue
        if match["quote"]:
            start, end = match.end("quote"), match.end() - len(match["quote"])
        else:
            start, end = match.start("bare"), match.end()
        yield start, end, MASK


SHORT_PASSWORD_OPTION = re.compile(
    WORD_START + r"(sshpass\s++(?:-v\s++)?+-p\s*+"
    rf"|sshpass{_NEXT}(?:-v{_NEXT})?+-p(?:{_NEXT})?+"
    # `-p 3306` is no password of mysql's, and `-p3306:3306` is a port of docker's.
    r"|(?:mysql|mariadb)[\w-]{0,20}[\s\"'][^\n|;&]{0,200}?(?<=[\s\"'])-p(?!\s|\d+:\d))"
    rf"{UNMASKED}(?!{QUOTE}(?:[\s,)}}\]]|\Z))"
    rf"(?:(?P<quote>{QUOTE})[^\n]{{1,256}}?(?P=quote)|\\*[\"']?[^\s\"'\\]++)"
)
"""`sshpass -p x`, `mysql -px`."""
