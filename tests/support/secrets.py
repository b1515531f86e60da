"""Secrets of many kinds, invented, in the forms that services give them; put together here so that no
scanner takes a test for a leak."""

from __future__ import annotations

from dataclasses import dataclass

_LETTERS = "Zq7Wm2Xk9Rt4Yb6Nc1Vd8Hs3Jf5Gp0La"
"""Letters and digits in turn: no piece of it stands in a name or in prose."""
_HEX = "9f3ac27be1d80546af1b7c92d3e8065f4b1c"
_UUID = "9f3ac27b-e1d8-4546-af1b-7c92d3e8065f"


def _body(length: int, alphabet: str = _LETTERS) -> str:
    return (alphabet * (length // len(alphabet) + 1))[:length]


def _hex(length: int) -> str:
    return _body(length, _HEX)


def _upper(length: int) -> str:
    return _body(length).upper()


@dataclass(frozen=True, slots=True)
class Secret:
    """`text` is how it stands in a text; of `core`, no piece of `PIECE_CHARS` characters may leave."""

    text: str
    core: str

    def leaks_into(self, text: str) -> str | None:
        """The first piece of the secret in `text`; None when nothing of it is there."""
        for at in range(max(1, len(self.core) - PIECE_CHARS + 1)):
            piece = self.core[at : at + PIECE_CHARS]
            if piece in text:
                return piece
        return None


PIECE_CHARS = 7


def _bare(prefix: str, core: str) -> Secret:
    return Secret(prefix + core, core)


def _in(around: str, core: str) -> Secret:
    return Secret(around.replace("{}", core), core)


_PASSWORD = "vK4xW9qTz2"
_PEM = "MIIEowIBAAKCAQEAq7Wm2Xk9Rt4Yb6Nc1Vd8"
_JWT = f"{_body(24)}.{_body(32)}.{_body(28)}"
_SAS = f"sv=2024-11-04&ss=b&srt=co&sp=rl&se=2027-01-01T00:00:00Z&sig={_body(32)}%2F{_body(9)}%3D"

SECRETS = {
    "openai": _bare("sk-", _body(48)),
    "openai project": _bare("sk-proj-", _body(60)),
    "openai service account": _bare("sk-svcacct-", _body(40)),
    "anthropic": _bare("sk-ant-api03-", _body(90) + "-AA"),
    "openrouter": _bare("sk-or-v1-", _hex(64)),
    "hugging face": _bare("hf_", _body(34)),
    "groq": _bare("gsk_", _body(52)),
    "xai": _bare("xai-", _body(80)),
    "perplexity": _bare("pplx-", _body(48)),
    "replicate": _bare("r8_", _body(37)),
    "nvidia": _bare("nvapi-", _body(64)),
    "tavily": _bare("tvly-", "dev-" + _body(32)),
    "elevenlabs": _bare("sk_", _hex(48)),
    "firecrawl": _bare("fc-", _hex(32)),
    "brave": _bare("BSA", _body(28)),
    "langsmith": _bare("lsv2_pt_", f"{_hex(32)}_{_hex(10)}"),
    "langfuse": _bare("sk-lf-", _UUID),
    "pinecone": _bare("pcsk_", f"{_body(6)}_{_body(60)}"),
    "together": _bare("tgp_v1_", _body(43)),
    "cerebras": _bare("csk-", _body(48).lower()),
    "fireworks": _bare("fw_", _body(24)),
    "bedrock": _bare("ABSK", _body(100)),
    "github classic": _bare("ghp_", _body(36)),
    "github oauth": _bare("gho_", _body(36)),
    "github app": _bare("ghs_", _body(36)),
    "github fine grained": _bare("github_pat_", f"{_body(22)}_{_body(59)}"),
    "gitlab": _bare("glpat-", _body(20)),
    "gitlab runner": _bare("glrt-", _body(20)),
    "docker": _bare("dckr_pat_", _body(27)),
    "npm": _bare("npm_", _body(36)),
    "npmrc": _in("//registry.npmjs.org/:_authToken={}", _UUID),
    "pypi": _bare("pypi-", "AgEIcHlwaS5vcmc" + _body(80)),
    "rubygems": _bare("rubygems_", _hex(48)),
    "nuget": _bare("oy2", _body(43).lower()),
    "terraform": _bare(_body(14) + ".atlasv1.", _body(67)),
    "pulumi": _bare("pul-", _hex(40)),
    "postman": _bare("PMAK-", f"{_hex(24)}-{_hex(34)}"),
    "figma": _bare("figd_", _body(40)),
    "atlassian": _bare("ATATT3", _body(60) + "=1A2B3C4D"),
    "bitbucket": _bare("ATBB", _body(32)),
    "buildkite": _bare("bkua_", _hex(40)),
    "aws key id": _bare("AKIA", _upper(16)),
    "aws session key id": _bare("ASIA", _upper(16)),
    "aws secret key": _in("aws_secret_access_key = {}", _body(40)),
    "aws session token": _in("AWS_SESSION_TOKEN={}", _body(200)),
    "alibaba": _bare("LTAI", _body(20)),
    "google api": _bare("AIza", "SyB" + _body(32)),
    "google access": _bare("ya29.", _body(80)),
    "google client": _bare("GOCSPX-", _body(28)),
    "google refresh": _bare("1//0", _body(60)),
    "firebase": _bare(_body(11) + ":APA91b", _body(134)),
    "azure client": _bare(_body(3) + "8Q~", _body(34)),
    "azure account key": _in(
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core.windows.net",
        _body(86) + "==",
    ),
    "azure bus": _in(
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={}",
        _body(43) + "=",
    ),
    "azure sas": Secret(f"https://x.blob.core.windows.net/c/b?{_SAS}", _body(32)),
    "azure subscription": _in("Ocp-Apim-Subscription-Key: {}", _hex(32)),
    "digitalocean": _bare("dop_v1_", _hex(64)),
    "heroku": _in("HEROKU_API_KEY={}", _UUID),
    "heroku, spoken": _in("the api key is {} and wrong", _UUID),
    "heroku, new": _bare("HRKU-", _body(58)),
    "fly": _bare("fm2_", _body(120)),
    "render": _bare("rnd_", _body(28)),
    "netlify": _bare("nfp_", _body(36)),
    "cloudflare": _in("CLOUDFLARE_API_TOKEN={}", _body(40)),
    "cloudflare, new": _bare("cfut_", _body(40)),
    "vercel": _bare("vcp_", _body(56)),
    "vault": _bare("hvs.", _body(90)),
    "vault, old": _bare("s.", _body(24)),
    "databricks": _bare("dapi", _hex(32)),
    "doppler": _bare("dp.st.", "prd." + _body(40)),
    "supabase": _bare("sbp_", _hex(40)),
    "planetscale": _bare("pscale_tkn_", _body(43)),
    "neon": _bare("npg_", _body(12)),
    "dropbox": _bare("sl.u.", _body(130)),
    "airtable": _bare("pat" + _body(14) + ".", _hex(64)),
    "age": _bare("AGE-SECRET-KEY-1", _upper(58)),
    "tailscale": _bare("tskey-auth-", f"{_body(12)}-{_body(32)}"),
    "grafana": _bare("glsa_", f"{_body(32)}_{_hex(8)}"),
    "grafana cloud": _bare("glc_", _body(100)),
    "sentry": _bare("sntrys_", _body(100)),
    "new relic": _bare("NRAK-", _upper(27)),
    "posthog": _bare("phx_", _body(40)),
    "new relic license": Secret(_hex(36) + "NRAL", _hex(36)),
    "honeycomb": _bare("hcaik_01", _body(56).lower()),
    "honeycomb header": _in("x-honeycomb-team: {}", _body(22)),
    "logfire": _bare("pylf_v1_eu_", _body(43)),
    "signoz": _in("signoz-ingestion-key: {}", _UUID),
    "datadog application": _in("DD-APPLICATION-KEY: {}", _hex(40)),
    "datadog": _in("DD-API-KEY: {}", _hex(32)),
    "stripe": _bare("sk_live_", _body(24)),
    "stripe restricted": _bare("rk_live_", _body(24)),
    "stripe hook": _bare("whsec_", _body(32)),
    "square": _bare("sq0csp-", _body(43)),
    "shopify": _bare("shpat_", _hex(32)),
    "braintree": _bare("access_token$production$", f"{_body(16).lower()}${_hex(32)}"),
    "facebook": _bare("EAA", _body(120)),
    "plaid": _bare("access-sandbox-", _UUID),
    "hubspot": _bare("pat-na1-", _UUID),
    "slack bot": _bare("xoxb-", f"123456789012-{_body(24)}"),
    "slack user": _bare("xoxp-", f"123456789012-{_body(32)}"),
    "slack app": _bare("xapp-", f"1-A0123-456-{_hex(64)}"),
    "slack config": _bare("xoxe.xoxp-", f"1-{_body(60)}"),
    "slack hook": _bare("https://hooks.slack.com/services/", f"T0/B0/{_body(24)}"),
    "discord bot": _bare("MTE", f"{_body(23)}.{_body(6)}.{_body(38)}"),
    "discord hook": _bare("https://discord.com/api/webhooks/", f"1234567890/{_body(68)}"),
    "teams hook": _bare("https://x.webhook.office.com/webhookb2/", f"{_UUID}@{_UUID}"),
    "zapier hook": _bare("https://hooks.zapier.com/hooks/catch/", f"123456/{_body(7)}"),
    "mattermost hook": _bare("https://mm.example.com/hooks/", _hex(26)),
    "matrix": Secret(f"syt_dXNlcg_{_body(20)}_1abcde", _body(20)),
    "ntfy": _bare("tk_", _body(29).lower()),
    "telegram": _bare("123456789:", "AA" + _body(33)),
    "telegram url": _bare("https://api.telegram.org/bot", f"123456789:AA{_body(33)}/sendMessage"),
    "twilio": _bare("SK", _hex(32)),
    "twilio auth": _in("TWILIO_AUTH_TOKEN={}", _hex(32)),
    "sendgrid": _bare("SG.", f"{_body(22)}.{_body(43)}"),
    "mailgun": _bare("key-", _hex(32)),
    "mailchimp": Secret(_hex(32) + "-us21", _hex(32)),
    "brevo": _bare("xkeysib-", f"{_hex(64)}-{_body(16)}"),
    "resend": _bare("re_", f"{_body(8)}_{_body(24)}"),
    "linear": _bare("lin_api_", _body(40)),
    "notion": _bare("ntn_", _body(46)),
    "notion, old": _bare("secret_", _body(43)),
    "jwt": _bare("eyJ", _JWT),
    "pem": Secret(f"-----BEGIN RSA PRIVATE KEY-----\n{_PEM}\n-----END RSA PRIVATE KEY-----", _PEM),
    "pem cut off": Secret(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_PEM}", _PEM),
    "pgp": Secret(
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{_PEM}\n-----END PGP PRIVATE KEY BLOCK-----", _PEM
    ),
    "bearer header": _in("Authorization: Bearer {}", _body(20)),
    "basic header": _in("Authorization: Basic {}", _body(24) + "=="),
    "bearer": _in("sent with Bearer {} and refused", _body(20)),
    "token header": _in("authorization: token {}", _body(20)),
    "unknown scheme": _in("Authorization: Splunk {}", _UUID),
    "digest": _in('Authorization: Digest username="me", realm="r", response="{}"', _hex(32)),
    "signature header": _in(
        "Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/s3/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature={}", _hex(64)
    ),
    "private token": _in("PRIVATE-TOKEN: {}", "vkxwqtzjhgbnm"),
    "header of a list": _in("('X-API-Key', '{}')", _body(20)),
    "key header": _in("X-Api-Key: {}", _body(20)),
    "cookie": _in("Cookie: sid={}; theme=dark", _body(20)),
    "set cookie": _in("Set-Cookie: JSESSIONID={}; Path=/", _body(20)),
    "session": _in("PHPSESSID={}", _body(20)),
    "postgres": _in("postgres://app:{}@db.internal:5432/app", _PASSWORD),
    "mysql": _in("mysql://app:{}@db/app", _PASSWORD),
    "mongodb": _in("mongodb+srv://app:{}@c0.mongodb.net/?w=majority", _PASSWORD),
    "redis": _in("redis://:{}@cache:6379/0", _PASSWORD),
    "amqp": _in("amqps://app:{}@mq:5671/%2F", _PASSWORD),
    "go mysql": _in("app:{}@tcp(127.0.0.1:3306)/app", _PASSWORD),
    "jdbc": _in("jdbc:postgresql://db/app?user=app&password={}&ssl=true", _PASSWORD),
    "ado": _in("Server=db;Database=app;User Id=app;Password={};Encrypt=True", _PASSWORD),
    "url": _in("https://me:{}@example.com/x", _PASSWORD),
    "url, token": _in("https://{}@example.com/x.git", _body(40)),
    "signed url": _in("https://s3.example/x?X-Amz-Date=1&X-Amz-Signature={}", _hex(64)),
    "query key": _in("https://maps.example/json?q=Rome&key={}", _body(30)),
    "password": _in("password={}", _PASSWORD),
    "password in JSON": _in('{"user": "app", "password": "{}"}', _PASSWORD),
    "password with a quote": Secret(
        '{"password": "' + _PASSWORD[:3] + '\\"' + _PASSWORD + '", "n": 1}', _PASSWORD
    ),
    "password in XML": _in("<password>{}</password>", _PASSWORD),
    "password by name": _in('{"name": "DB_PASSWORD", "value": "{}"}', _PASSWORD),
    "password in a URL": _in("https://x.example/?next=password%3D{}%26a", _PASSWORD),
    "password in colour": _in("\x1b[1mpassword\x1b[0m: \x1b[32m{}\x1b[0m", _PASSWORD),
    "key in colour": _in("\x1b[31mghp_{}\x1b[0m", _body(36)),
    "password, spoken": _in("my password is {}!", _PASSWORD),
    "pg password": _in("PGPASSWORD={} psql", _PASSWORD),
    "flag": _in("mysqldump --password {} app", _PASSWORD),
    "short flag": _in("mysql -u root -p{} app", _PASSWORD),
    "curl user": _in("curl -u me:{} https://x.example", _PASSWORD),
    "curl, short": _in("curl -sSu me:{} https://x.example", _PASSWORD),
    "curl, glued": _in("curl -ume:{} https://x.example", _PASSWORD),
    "curl, long": _in("curl --user=me:{} https://x.example", _PASSWORD),
    "curl, list": _in('["curl", "-u", "me:{}"]', _PASSWORD),
    "flag, list": _in('["--password", "{}"]', _PASSWORD),
    "sshpass": _in("sshpass -p {} ssh host", _PASSWORD),
    "netrc": _in("machine x.example login me password {}", _PASSWORD),
    "sql": _in("CREATE USER me IDENTIFIED BY '{}'", _PASSWORD),
    "e-mail": Secret("vera.qwxz+cron@mail.example.co.uk", "vera.qwxz+cron@mail.example"),
}  # fmt: skip

BARE_SECRETS = {
    "openai": "sk-" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "openai project": "sk-proj-" + "AbCd_1234-efGH5678ijKL",
    "openai, short": "sk-" + "fake1234",
    "anthropic": "sk-ant-api03-" + "Zz9" * 20 + "-AA",
    "openrouter": "sk-or-v1-" + "0123456789abcdef" * 4,
    "github classic": "ghp_" + "A1b2C3d4E5f6G7h8I9j0" * 2,
    "github oauth": "gho_" + "A1b2C3d4E5f6G7h8I9j0",
    "github fine grained": "github_pat_" + "11ABCDEFG0_" + "a1b2c3d4e5" * 5,
    "gitlab": "glpat-" + "a1b2c3d4e5f6g7h8i9j0",
    "aws key id": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws session key id": "ASIA" + "IOSFODNN7EXAMPLE",
    "google": "AIza" + "SyA-1234567890abcdefghijklmnopqrstu",
    "google oauth": "ya29." + "a0AfH6SMBx1234567890",
    "slack bot": "xoxb-" + "123456789012-abcdefghijkl",
    "slack user": "xoxp-" + "123456789012-abcdefghijkl",
    "slack app": "xapp-" + "1-A0123-456-abcdef",
    "hugging face": "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "groq": "gsk_" + "abcdefghijklmnop0123456789",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "sendgrid": "SG." + "ngeVfQFYQlKU0ufo8x5d1A" + "." + "TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc",
    "npm": "npm_" + "a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6g7h8",
    "telegram bot": "123456789:" + "AAabcdefghijklmnopqrstuvwxyz0123456",
    "vault": "hvs." + "CAESIJ1a2b3c4d5e6f7g8h9",
    "vault batch": "hvb." + "AAAAAQJ1a2b3c4d5e6f7g8h9",
    "linear": "lin_api_" + "a1b2c3d4e5f6g7h8i9j0",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----",
    "pem in JSON": "-----BEGIN PRIVATE KEY-----\\nMIIEow\\n-----END PRIVATE KEY-----\\n",
    "pem cut off": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA",
    "e-mail": "bob.smith+cron@mail.example.co.uk",
}
"""Texts that are a secret as a whole and known by their shape, e-mail addresses among them."""
