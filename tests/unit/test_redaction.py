"""What is masked in a text, and what is left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.redaction import MASK, mask
from tests.support.secrets import BARE_SECRETS

SECRETS_IN_CONTEXT = [
    ("Authorization: Bearer {}", "abcdef.ghi-jkl"),
    ("authorization: Basic {}", "dXNlcjpwYXNz"),
    ('"Authorization": "Bearer {}"', "abcdefghi"),
    ("{{'authorization': 'token {}'}}", "abcdefghi"),
    ("curl -H 'Authorization: {}' https://x.example", "abcdefghi"),
    ("sent with bearer {} and failed", "s3cr3tvalue"),
    ("Basic {}", "YWxhZGRpbjpvcGVuc2VzYW1l1"),
    ("X-Api-Key: {}", "abcdef"),
    ("Cookie: {}", "session=abc; theme=dark"),
    ("OPENAI_API_KEY={}", "abc"),
    ("export AWS_SECRET_ACCESS_KEY={}", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("TELEGRAM_BOT_TOKEN = {}", "short-one"),
    ("accessToken: '{}'", "abc"),
    ('{{"api_key": "{}", "x": 1}}', "with spaces in it"),
    ('{{"password": {}, "x": 1}}', "123456"),
    ('{{"token": "{}"}}', "opensesame"),
    (r"{{\"password\": \"{}\", \"ok\": 1}}", "hunter2"),
    ('{{"client_secret": "{}"}}', "correct horse battery staple"),
    ("password: {}", "swordfish"),
    ("passwd={}", "x"),
    ("passphrase := {}", "swordfish"),
    ("credentials='{}'", "user and pass"),
    ("Incorrect API key provided: {}.", "abcd1234"),
    ("the token is {}", "3f2ab4c19fceb02d0ae598e95dc970b74767"),
    ("password is {}", "hunter2"),
    ("secret 'dGhpcyBpcyBub3QgYSBzZWNyZXQ1'{}", ""),
    ("token={}", "abcdef"),
    ("token: {}", "a1b2c3d4"),
    ("postgres://admin:{}@db.internal:5432/x", "p@ss:word"),
    ("https://{}@api.example.com/", "0123456789abcdef0123"),
    ("redis://:{}@cache:6379", "pw"),
    ("GET /v1?key={}&q=1", "abcdef"),
    ("GET /v1?q=1&X-Amz-Signature={}", "abcdef0123"),
    ("mysql --password {} -e x", "hunter2"),
    ("tool --api-key {}", "abc"),
    ("curl -u {} https://x.example", "alice:hunter2"),
    ("DB_PASS={}", "hunter2secret"),
    ("DB_PASS={}", "1234"),
    ("SMTP_PASS: '{}'", "abc def"),
    ("dbPass: {}", "swordfish"),
    ("user=bob pass={}", "swordfish"),
    ("pass: {}", "hunter2"),
    ('{{"user": "bob", "pass": "{}"}}', "swordfish"),
    ("GET /login?user=bob&pass={}&x=1", "swordfish"),
    ("AUTH={}", "xyz123456"),
    ("REDIS_AUTH={}", "swordfish"),
    ("X-Auth: {}", "a1b2c3d4"),
    ("proxyAuth: {}", "a1b2c3d4"),
    ('{{"auth": "{}"}}', "xyz123456"),
    ("npm_config__auth={}", "dXNlcjpwYXNz"),
    ("//registry.example/:_auth={}", "dXNlcjpwYXNzd29yZA=="),
    ("sshpass -p {} ssh host", "S3cret"),
    ("sshpass -p '{}' ssh host", "my S3cret"),
    (r'{{"command": "sshpass -p \"{}\" ssh host"}}', "my S3cret"),
    ("Command '['sshpass', '-p', '{}', 'ssh']' returned 5", "S3cret"),
    ("mysql -p{}", "S3cretPass"),
    ("mysqldump -h db-prod -u root -p'{}' shop", "S3cret Pass"),
    ("Command '['mysql', '-u', 'root', '-p{}']' returned 1", "S3cretPass"),
    ("tool --pass {}", "hunter2"),
    ("smtp://{}@mailhost:587", "me@gmail.com:abcdwxyz1234"),
    ("Authorization: Bot {}", "abcdefghijklmnopqrst"),
    ("Authorization: SSWS {}, retried", "00a1b2c3d4"),
    ("Authorization: DeepL-Auth-Key {}", "9f3ac27b-e1d8-4546-af1b-7c92d3e8065f:fx"),
    ("Authorization: Klaviyo-API-Key {}", "pk_9f3ac27be1d80546"),
    (
        'Authorization: Hawk id="dh37", ts="1", mac="{}"',
        "6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE=",
    ),
    ("curl -su {} https://x.example", "u:pw"),
    ("curl -u{} https://x.example", "u:pw"),
    ("curl 'https://x.example/?a=1&b=2' \\\n -su {}", "u:pw"),
    ("curl -u '{}' https://x.example", "u:my pw"),
    ("curl --user={} https://x.example", "u:pw"),
    ("curl --proxy-user {} https://x.example", "u:pw"),
    ("curl -u {} https://x.example", "root:root"),
    ('["curl","-u","{}"]', "u:pw"),
    ('["--password","{}"]', "x1"),
    ("cmd['tool', '--api-key', '{}', '-v']", "x1"),
    ('("X-API-Key","{}")', "x1"),
    ("[(b'x-api-key', b'{}')]", "x1"),
    ("<password>{}</password>", "hunter2"),
    ("<db:apiKey type='a'>{}</db:apiKey>", "hunter2"),
    ('<add key="Password" value="{}" />', "hunter2"),
    ('{{"name": "DB_PASSWORD", "value": "{}"}}', "hunter2"),
    ("- name: DB_PASSWORD\n  value: {}", "hunter2"),
    ("https://x.example/?next=password%3D{}", "hunter2"),
    ("https://x.example/?next=password%253D{}", "hunter2"),
    ("Authorization%3A%20Bearer%20{}", "abcdefgh1"),
    ("%22password%22%3A%22{}%22", "hunter2"),
    ("https%3A%2F%2Fme%3A{}%40x.example%2F", "hunter2"),
    ("password=b'{}'", "hunter2"),
    ("PASSWORD=$'{}'", "hunter2"),
    ('password = """{}"""', "hunter2"),
    ("X-Vault-Token: {}", "abcdefghijk"),
    ("secret_id: {}", "9f3ac27b-e1d8-4546-af1b-7c92d3e8065f"),
    ("sshPass: {}", "swordfish"),
    ("\x1b[1mpassword\x1b[0m: {}", "swordfish"),
    ("https://hooks.slack.com/services/{}", "T000/B000/XXXX"),
    ("https://discord.com/api/webhooks/{}", "123/abc"),
    ("https://api.telegram.org/bot{}", "12:ab/sendMessage"),
]

ORDINARY = [
    "unexpected token: identifier",
    "Unexpected token '}' in JSON at position 42",
    "Unexpected token: '}'",
    "max_tokens=4096, prompt tokens: 1500, token count = 5, token: 512",
    '{"tokens": {"input": 850, "output": 50}, "total_tokens": 900}',
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 of main",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "a bearer token is required; Bearer authentication failed",
    "basic information about the system",
    "the secret of success is to show up",
    "password required; password: required; password=None",
    "the key question: what is the key to it, key=value, monkey: banana",
    "author: Bob, tokenizer: bpe, secretary: Ann",
    "pwd: /home/user, PWD=/root, cd $(pwd)",
    "docker run -u 1000:1000 image",
    "bypass=1, DB_BYPASS=everything1, compass: north1234, passthrough=all",
    "passed=3, pass=3 fail=1, pass: 12/15, pass=97.5%, spf=pass dkim=pass",
    '{"pass": 12, "fail": 3, "auth": {"type": "none"}}',
    "PASS: test_login_2",
    "--- PASS: TestParse2Things (0.00s)",
    "first pass: parsing the file",
    "if db_pass == expected1 and auth == expected2",
    "author=Jane, authority: abc12345, author: Jane1234",
    "the oauth flow: failed; OAuth: denied; oauth=abc123456; oauth2: x",
    "auth=basic, auth: oauth2, auth=scram-sha-256, SMTP_AUTH=LOGIN, auth: required",
    "auth: AuthenticationFailedException at 2026-11-21; auth: 2026-11-21T11:01:57",
    "requests.get(url, auth=auth), auth=HTTPBasicAuthentication('x')",
    "mysql -p shop, mysql -P3306, docker run --name mysql -p3306:3306 mysql",
    '["mysql -p", "x"], {"command": "sshpass -p", "n": 1}',
    "ffmpeg --pass 1 in, tool --bypass foo",
    "https://user@host:8080/path, ssh://git@host:22/x",
    "git@github.com:owner/repository.git",
    "https://example.com:8080/a/b?page=2#top",
    "risk-assessment-of-things-2024, task-1234567890, sk-learn",
    "RuntimeError: HTTP 500: upstream exploded",
    "Script exited with code 3\nstderr:\nboom",
    "cron_6c583f72f2e8_20261121_110151",
    "call_9ce59031 finished in 0.17 s at 2026-11-21T11:01:57.835924+00:00",
    "import React from 'react'; @app.route('/x') pkg@1.2.3",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "anthropic/claude-sonnet-4.5, gpt-4o-2024-08-06, claude-3-5-sonnet@20240620, o3-mini-high",
    "accounts/fireworks/models/llama-v3p1-405b-instruct, us.anthropic.claude-opus-4-1-20250805-v1:0",
    "npm_package_dependencies_typescript, hf_hub_download_with_retries, gsk_render_node_get_bounds",
    "secret_manager_client_for_tests, re_compile_patterns_once, pat_matching, EAAccess, SKIPPED",
    "*/5 9-17 * * 1-5, every 30m, 0 0 1,15 * *, @daily, 2026-11-21T11:01:57+01:00",
    "/usr/lib/python3.11/site-packages/hermes_state.py:4101, C:\\Users\\bob\\key.txt, ~/.ssh/id_ed25519",
    "connect to http://localhost:4318, https://[::1]:4318 or redis://cache:6379",
    r'{"path": "C:\\dir\\new", "re": "\\d+\\/\\d+", "text": "caf\u00e9 \u2026"}',
    "toolu_01A09q90qw90lq917835lq9, call_VSPygqKTWdrhaFErNvMV18Yl, chatcmpl-9J3uIL87gldCFtiIbyaOvTeYBRA3l",
    "req_011CSHoEeqs5C35K2UUqR7Fy, resp_68b1f0c2d3e4819f9a7b, msg_01XFDUDYJgAACzvnptvVoYEL",
    "sk-learn-nightly-benchmark, sk-assessment-of-everything-weekly, task-sk-2024-report",
    "api_org_membershipreport1, r8_reviewsoftheweek12345, nfp_payrollsreport2024monthly123",
    "Basic Weekly2024Report, fw_update_for_routers, pat-na1-report, sl.something.long",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:my-db-AbCdEf, secret_id: db-main",
    "token=12.5k, --max-token 4096, ?code=404, https://example.com/?q=monkey&code=de",
    "docker run --user node:node x\npython -u script.py:main",
    "sort -u file:1, systemctl --user -u foo:bar, journalctl --user -u hermes:gateway",
    "Authorization: required, Authorization: none, credentials: missing, authorization: not found",
    "sshpass: command not found, https://x.example/hooks/pre-commit",
    "['--password', '--host'], required: ['user', 'password'], ('password', 'user', 'x')",
    "https://example.com/?u=https%3A%2F%2Fa.example%2Fb%3Fc%3Dd, 100%, a%20b%3D",
    '{"a": "<password>", "b": "x</y>"}, PromisedPassword>x</a>',
    "<token>identifier</token>, List<Token>, token value: identifier",
    "naïve café 日本語 🚀",
    "",
]


@pytest.mark.parametrize("name", BARE_SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "failed with {} today", "({})", "a\n{}\nb", '"{}"', "k={},"]
)
def test_a_secret_is_known_by_its_shape(name: str, around: str) -> None:
    secret = BARE_SECRETS[name]
    masked = mask(around.format(secret))
    assert MASK in masked
    for piece in _tell_tale(secret):
        assert piece not in masked


@pytest.mark.parametrize(("around", "secret"), SECRETS_IN_CONTEXT)
def test_a_secret_is_known_by_what_stands_before_it(around: str, secret: str) -> None:
    masked = mask(around.format(secret))
    assert MASK in masked
    for piece in _tell_tale(secret):
        assert piece not in masked


def _tell_tale(secret: str) -> list[str]:
    """Parts of a secret that would give it away, the fixed words of its format aside."""
    fixed = ("BEGIN", "PRIVATE", "session=")
    return [p for p in secret.split() if p and not any(word in p for word in fixed)]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_what_stands_around_a_secret_stays_readable() -> None:
    assert mask("db login failed (password=hunter2, user=bob)") == (
        f"db login failed (password={MASK}, user=bob)"
    )
    assert mask("postgres://bob:pw@db:5432/app refused") == f"postgres://{MASK}@db:5432/app refused"
    assert mask("Authorization: Bearer abcdefgh") == f"Authorization: Bearer {MASK}"


def test_a_quote_inside_a_value_does_not_end_it() -> None:
    value = 'Hun"ter2xyz\\'
    once = json.dumps({"password": value, "n": 1})
    twice = json.dumps({"text": once})
    assert json.loads(mask(once)) == {"password": MASK, "n": 1}
    assert json.loads(json.loads(mask(twice))["text"]) == {"password": MASK, "n": 1}
    assert mask(r"password='Hun\'ter2xyz' x") == f"password='{MASK}' x"


@pytest.mark.parametrize("escape", ["\x1b", r"\x1b", r"\u001b", r"\033"])
def test_colours_go_and_hide_no_key(escape: str) -> None:
    key = BARE_SECRETS["github classic"]
    assert mask(f"{escape}[1;31m{key}{escape}[0m refused") == f"{MASK} refused"
    assert mask(f"done{escape}[31m{key}") == f"done {MASK}"
    assert mask(f"gr{escape}[01;31m{escape}[Kep{escape}[m: x") == "grep: x"


def test_a_colour_that_lost_its_escape_character_hides_no_key() -> None:
    assert mask(f"[31m{BARE_SECRETS['slack bot']}[0m") == f"[31m{MASK}[0m"


def test_of_a_header_with_an_unknown_scheme_what_follows_stays() -> None:
    assert mask("Authorization: Bot abcdefgh12345678, retried twice") == (
        f"Authorization: {MASK}, retried twice"
    )
    assert mask("Authorization: Bearer abcdefgh refused for run 12345678") == (
        f"Authorization: Bearer {MASK} refused for run 12345678"
    )


def test_what_is_encoded_is_decoded_only_where_a_secret_is_in_it() -> None:
    assert mask("https://a.example/x%20y%3Dz https://b.example/?n=password%3Dhunter2%26b") == (
        f"https://a.example/x%20y%3Dz https://b.example/?n=password={MASK}&b"
    )


def test_a_value_is_masked_as_a_whole_before_it_is_decoded() -> None:
    text = "https://a.example/?password=hunter2%26swordfish&next=password%3Dhunter3"
    assert mask(text) == f"https://a.example/?password={MASK}&next=password={MASK}"


def test_json_stays_json() -> None:
    text = '{"password": 123456, "api_key": "a \\"b\\" c", "token": "t", "n": 1, "secret": null}'
    assert json.loads(mask('{"password": 123456, "api_key": "abc", "token": "t", "n": 1}')) == {
        "password": MASK, "api_key": MASK, "token": MASK, "n": 1,
    }  # fmt: skip
    assert "123456" not in mask(text)


@given(st.lists(st.sampled_from([*ORDINARY, *BARE_SECRETS.values(),
                                 *(a.format(s) for a, s in SECRETS_IN_CONTEXT)]), max_size=6),
       st.sampled_from([" ", "\n", ", ", "; "]))  # fmt: skip
def test_masking_twice_changes_nothing_more(pieces: list[str], between: str) -> None:
    once = mask(between.join(pieces))
    assert mask(once) == once


@given(st.text(max_size=200), st.sampled_from(sorted(BARE_SECRETS)), st.text(max_size=200))
def test_a_secret_is_found_in_any_text(before: str, name: str, after: str) -> None:
    secret = BARE_SECRETS[name]
    masked = mask(f"{before} {secret} {after}")
    assert secret not in masked


@pytest.mark.parametrize(
    "unit",
    ["pass", "pass ", "auth=", "auth: a-", "AUTH ", "DB_PASS='", 'pass="\n', "a_", "sshpass ",
     "sshpass -p", "sshpass', '", "mysql ", "mysql -p", "mysql -p'", "--a-pass", "://a@", "://a@b:",
     "hvs.", "lin_api_", "\\", " ", "1", "x", "@", "-----BEGIN A ", "-----BEGIN PRIVATE KEY", "\\u002",
     "\\u003d", "\\/", ":\\/\\/", "login a password ", "identified by '", "a:b@tcp", "a:", "@a.", "a@b.c",
     "pat", "s.", "s.a1", "eyJ.", "eyJa", "xoxb-", "MTE.", "re_1", "access_token$a", "%20", ".atlasv1.",
     "Q~", "1Q~", "sk-", "sk-1", "a.", "-a", "\\n", "://:", "a:APA91b", "cookie: ", "bearer ", "token is ",
     "password='\\", 'password=\\"', "password: '****\\", "<password>", "<password ", "-u", "curl -u a", "-u 'a:",
     "%3D", "%25", "password%3D", "\x1b[", "\x1b]", "\\x1b[", "a\x1b[0m", "Authorization: a='", "authorization: a b=",
     "a=b, ", "Basic Abcdef", "secret value", "('password','", "password\\n", "sk-a-", "[31m", "password=$'"],
)  # fmt: skip
def test_a_secret_is_found_after_100_000_characters_of_whatever_a_stranger_wrote(unit: str) -> None:
    """With a rule that is not linear in the text's length this does not come to an end."""
    strange = (unit * 100_000)[:100_000]
    masked = mask(f"{strange}\nDB_PASS=hunter2secret\n{strange}")
    assert "hunter2secret" not in masked
    assert MASK in masked
