"""Secrets on a command line, in a shell's syntax or as Python and JSON show a list of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .rule import MASK, Edit
from .syntax import QUOTE, UNMASKED, WORD_START, word_started

PASSWORD_IN_PROSE = re.compile(
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
"""The text between two arguments in a list."""

# --- options whose meaning depends on the command ------------------------------------------


def _judged(
    matches: Iterator[re.Match[str]],
    edit: Callable[[re.Match[str], str], Edit | None],
    command_chars: int,
) -> Iterator[Edit]:
    """Yield the edits that `edit` makes, given an option and the `command_chars` characters before it.

    These characters are masked already. The unmasked text will not do: a password may hold a `|`, which
    ends a command, and masking hides it. Masking twice would then change more than masking once.
    """
    masked, done = "", 0
    for match in matches:
        text, at = match.string, match.start()
        if at < done:
            continue
        before = (masked + text[max(done, at - command_chars) : at])[-command_chars:]
        found = edit(match, before)
        if found is not None:
            yield found
            start, done, replacement = found
            masked = before + text[at:start] + replacement


USER_OPTION = re.compile(
    rf"(-(?:(?<=[\s\"']-)(?P<letters>[A-Za-z#]{{0,8}}?)[uU]|-(?:proxy-)?user(?=[\s=\"'\\]))"
    rf"(?P<gap>{_NEXT}|\s++|=)?+)"
    rf"(?!\d+:\d+\b)(?:(?P<quote>{QUOTE}){UNMASKED}(?P<user>[^\s:\"'\\]{{1,256}}):[^\n]{{1,256}}?(?P=quote)"
    # A character that ends a command is not part of a password.
    rf"|\\*[\"']?{UNMASKED}(?P<bare>[^\s:\"'\\]{{1,256}}):(?P<password>[^\s\"'\\]*[^\s\"'\\|;&]))"
)
"""`-u me:x`, `--user me:x`, `--proxy-user=me:x`; of curl also `-sSu me:x`, `-ume:x`, `['-u', 'me:x']`."""

_CURL = re.compile(r"curl(?![\w-])(?:[^\n|;&]|(?<=\\)\n|[;&](?![\s&]))*\Z")
"""The command is curl, also when it goes on in the next line."""
_OTHER_MEANING_OF_U = re.compile(
    r"\b(?:systemctl|journalctl)\s[^\n|;&]{0,160}\Z|\b(?:python[\d.]{0,5}|sort|uvicorn)\s+\Z"
)
"""Commands for which `-u` means a unit, unbuffered or unique."""
_USER_AND_GROUP = re.compile(r"\b(?:docker|podman|ls|chown|install)\s[^\n|;&]{0,160}\Z")
"""Commands for which `me:x` means a user and a group."""
_USER_COMMAND_CHARS = 1024


def mask_users(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each user with a password."""
    return _judged(matches, _mask_user, _USER_COMMAND_CHARS)


def _mask_user(match: re.Match[str], before: str) -> Edit | None:
    """Mask all forms of the option after curl, and after other commands only the forms with no other meaning."""
    if not _CURL.search(before):
        if match["letters"] or not match["gap"] or _OTHER_MEANING_OF_U.search(before):
            return None
        if match["bare"] == match["password"] and _USER_AND_GROUP.search(before):
            return None
    if match["quote"]:
        return match.end("quote"), match.end() - len(match["quote"]), MASK
    return match.start("bare"), match.end(), MASK


_ARGUMENT = (
    rf"{UNMASKED}(?!{QUOTE}(?:[\s,)}}\]]|\Z))"
    rf"(?:(?P<quote>{QUOTE})[^\n]{{1,256}}?(?P=quote)|\\*[\"']?[^\s\"'\\]++)"
)

SSHPASS_OPTION = re.compile(
    WORD_START + r"(sshpass\s++(?:-v\s++)?+-p\s*+"
    rf"|sshpass{_NEXT}(?:-v{_NEXT})?+-p(?:{_NEXT})?+){_ARGUMENT}"
)
"""`sshpass -p x`."""

MYSQL_OPTION = re.compile(
    # `-p 3306` is not a password of mysql, and `-p3306:3306` is a port of docker.
    rf"-p(?<=[\s\"']-p)(?!\s|\d+:\d)(?=(?P<argument>{_ARGUMENT}))"
)
"""`-px`, if the command is mysql. The argument is not consumed, since a command may be in its quotes."""

_MYSQL = re.compile(
    # The regex engine finds a first letter fast, and a place between letters slowly.
    rf"m{word_started('m')}(?:ysql|ariadb)[\w-]{{0,20}}[\s\"'][^\n|;&]{{0,200}}\Z"
)
_MYSQL_COMMAND_CHARS = 256


def mask_mysql_passwords(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each password of mysql, mysqldump or mariadb."""
    return _judged(matches, _mask_mysql_password, _MYSQL_COMMAND_CHARS)


def _mask_mysql_password(match: re.Match[str], before: str) -> Edit | None:
    if _MYSQL.search(before):
        return match.start("argument"), match.end("argument"), MASK
    return None
