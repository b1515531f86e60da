"""Each rule of redaction by itself: what it must mask, and what it must leave alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cronalytics_otel.redaction import MASK, mask
from cronalytics_otel.redaction.rules import RULES
from tests.support.secrets import SECRETS

BY_NAME = {rule.name: rule for rule in RULES}
KEY = SECRETS["github classic"].text


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    masks: str
    """What stands in double brackets is masked, and nothing else."""
    leaves: str

    @property
    def secret(self) -> str:
        return self.masks.replace("⟦", "").replace("⟧", "")

    @property
    def masked(self) -> str:
        """The text with each pair of brackets as a mask."""
        head, *parts = self.masks.split("⟦")
        return head + "".join(MASK + part.partition("⟧")[2] for part in parts)


ROWS = {
    "private key": Row(
        masks="key: ⟦-----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----⟧ end",
        leaves="-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY----- of a private key",
    ),
    "user and password in a URL": Row(
        masks="postgres://⟦app:vK4xW9qTz2⟧@db:5432/app", leaves="ssh://git@host:22/x, http://h:80/"
    ),
    "user and password of a Go database": Row(
        masks="open ⟦app:vK4xW9qTz2⟧@tcp(127.0.0.1:3306)/app", leaves="app@tcp(127.0.0.1:3306)"
    ),
    "webhook": Row(
        masks="https://hooks.slack.com/services/⟦T0/B0/x1y2z3⟧ failed",
        leaves="https://x.example/hooks/pre-commit",
    ),
    "header": Row(
        masks="Authorization: Bearer ⟦abcdefgh⟧, Cookie: ⟦sid=1; theme=dark⟧",
        leaves="Authorization: required, authorization: not found",
    ),
    "credentials after their scheme": Row(
        masks="sent Bearer ⟦abcdef123⟧ and Basic ⟦dXNlcjpwYXNz==⟧",
        leaves="a bearer token is required; Basic Weekly2024Report",
    ),
    "assignment": Row(
        masks='DB_PASS=⟦hunter2⟧ api_key: ⟦x1⟧, {"token": "⟦a b⟧"}, <password>⟦x⟧</password>',
        leaves="pass=12, token: identifier, key=value, auth=basic, pwd: /home, password=None",
    ),
    "value in prose": Row(
        masks="the token is ⟦3f2ab4c1⟧ and the secret ⟦dGhpcyBpcyBub3QgYSBzZWNyZXQ1⟧",
        leaves="the secret of success is to show up; the password is wrong",
    ),
    "password of SQL or a .netrc": Row(
        masks="IDENTIFIED BY '⟦x1⟧'; machine h login me password ⟦x1⟧",
        leaves="identified by a cookie, login with a password here",
    ),
    "secret option": Row(
        masks="tool --db-password ⟦x1⟧ --api-key '⟦x2⟧'",
        leaves="tool --max-token 4096 --password --host h --bypass foo",
    ),
    "user option": Row(
        masks="curl -sSu ⟦me:x1⟧ https://a.example; tool --user ⟦me:x2⟧",
        leaves="docker run -u 1000:1000 a; systemctl -u foo:bar; python -u script.py:main",
    ),
    "password of sshpass": Row(
        masks="sshpass -p ⟦x1⟧ ssh h; ['sshpass', '-p', '⟦x2⟧']",
        leaves='sshpass -f file ssh h; "sshpass -p", "n"',
    ),
    "password of mysql": Row(
        masks="mysql -u root -p⟦x1⟧ app; mysqldump -p⟦x2⟧",
        leaves="mysql -p shop, docker run --name mysql -p3306:3306; ssh -p22 h",
    ),
    "query parameter": Row(
        masks="GET /v1?key=⟦abcdef⟧&X-Amz-Signature=⟦0f⟧&q=1", leaves="GET /v1?q=monkey&code=404"
    ),
    "session id": Row(masks="PHPSESSID=⟦a1b2⟧; x", leaves="session=3, sessionid: none"),
    "key of a service": Row(
        masks=f"sent ⟦{KEY}⟧ twice",
        leaves="sk-learn-nightly-benchmark, commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    ),
    "e-mail address": Row(
        masks="to ⟦vera.x+cron@mail.example.org⟧ and",
        leaves="git@github.com:o/r, @daily, pkg@1.2.3",
    ),
}


def test_each_rule_has_a_row_and_a_name_of_its_own() -> None:
    assert list(ROWS) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_masks_its_secrets_and_nothing_else(name: str) -> None:
    row, rule = ROWS[name], BY_NAME[name]

    assert any(hint in row.secret.lower() for hint in rule.hints)
    assert rule.apply(row.secret) == row.masked


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_leaves_alone_what_only_looks_like_its_secrets(name: str) -> None:
    row, rule = ROWS[name], BY_NAME[name]

    assert rule.apply(row.leaves) == row.leaves


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_changes_nothing_more_when_it_is_applied_again(name: str) -> None:
    row, rule = ROWS[name], BY_NAME[name]

    assert rule.apply(row.masked) == row.masked


# --- faults that showed when masking twice changed more -------------------------------------------


def test_a_password_does_not_swallow_the_end_of_its_command() -> None:
    text = "curl -u me:x1; docker run --user node:node app"
    assert mask(text) == f"curl -u {MASK}; docker run --user node:node app"


@pytest.mark.parametrize("password", ["a|b", "'a | b'", "a&&b"])
def test_what_ends_a_command_means_nothing_inside_a_password(password: str) -> None:
    quote = "'" if password.startswith("'") else ""
    text = f"curl -u {quote}me:{password.strip(quote)}{quote} -u you:x2 https://a.example"

    assert mask(text) == f"curl -u {quote}{MASK}{quote} -u {MASK} https://a.example"


def test_a_command_hides_no_other_command_behind_it() -> None:
    text = "mysql --host h sshpass -p x1 ssh h mysql -px2"
    assert mask(text) == f"mysql --host h sshpass -p {MASK} ssh h mysql -p{MASK}"


def test_every_password_of_a_command_is_masked() -> None:
    assert mask("mysql -px1 app -px2") == f"mysql -p{MASK} app -p{MASK}"
    assert mask("tool -p'mysql -px1'") == f"tool -p'mysql -p{MASK}'"


@pytest.mark.parametrize("secret", [KEY, SECRETS["e-mail"].text])
def test_a_password_and_a_secret_after_it_are_no_sentence(secret: str) -> None:
    assert mask(f"sshPass: swordfish {secret}") == f"sshPass: {MASK} {MASK}"
    assert mask("sshpass: command not found") == "sshpass: command not found"
