"""Secrets in a text, recognised and masked. Pure functions.

By shape: the keys of well-known services, PEM blocks, JWTs, URLs with a password. By context: a value
after a word such as `password` or `Authorization`. It cannot know every secret; what it lets through
on purpose is prose, numbers, UUIDs and git hashes. Of encodings it knows JSON's and that of URLs: a
secret in base64 is not seen.

Every rule is linear in the length of the text, whatever the text is: none can be made to backtrack
over a long run, since what an agent reads is written by strangers.
"""

from __future__ import annotations

import re

from .keys import KEY_FORMS, START

MASK = "[masked]"

_QUOTE = r"""\\*["'`]"""
"""A quote, also inside JSON inside JSON."""

_UNMASKED = r"(?!\[masked\]|\*{3})"

_COLOURS = re.compile(
    r"(?:\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)|[()][0-9A-Z])?"
    r"|(?<!\\)\\+(?:u001[bB]|x1[bB]|0?33|e)\[[0-9;:]{0,64}[mK])+"
)
_SHOWN_COLOUR = re.compile(r"\\(?:u001[bB]|x1[bB]|0?33|e)\[")
"""What makes a terminal's colours, links and movements, also as a JSON text or Python shows it."""

_BLOCKS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)


def _cased(*words: str) -> str:
    """Spelt out in three cases: the regex engine is ten times slower when told to ignore case."""
    return "|".join(spelt for word in words for spelt in (word, word.capitalize(), word.upper()))


_IN_KEY = r"[A-Za-z0-9_.$/:~+=%-]"
_LONG = re.compile(rf"(?<!{_IN_KEY}){_IN_KEY}{{9,}}+")
"""Whatever may hold a key: in most texts that is little, and the rule above is a long one."""

_HOOK_URLS = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/"
    r"|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/|api\.telegram\.org/(?:file/)?bot"
    r"|webhook\.office\.com/webhookb2/|hooks\.zapier\.com/hooks/catch/|hc-ping\.com/"
    r"|maker\.ifttt\.com/trigger/[\w-]{1,64}/(?:json/)?with/key/|open\.feishu\.cn/open-apis/bot/"
    # Mattermost
    r"|[\w-]/hooks/(?=[a-z0-9]{26}(?!\w)))"
    rf"{_UNMASKED}[^\s\"'<>\\]+",
    re.IGNORECASE,
)
_HOOK_HOSTS = (
    "hooks.slack", "discord", "api.telegram", "webhook.office", "hooks.zapier", "hc-ping",
    "maker.ifttt", "open.feishu", "/hooks/",
)  # fmt: skip

_URL_USERINFO = re.compile(
    # A user name may be an e-mail address. At the end of a text the `@` may have been cut off.
    r"(?<=://)(?:[^\s/:\"'<>\\]{0,256}:[^\s/\"'<>\\]{1,1024}(?=@)|[^\s/@:\"'<>\\]{16,1024}(?=@)"
    r"|[^\s/:\"'<>\\]{0,256}:(?!\d{0,5}(?:\Z|[^\w%]))[^\s/\"'<>\\]{1,1024}\Z)"
)

_DSN = re.compile(
    r"(?:(?<![\w.\\-])|(?<=\\[nrtbf]))[\w.-]{1,64}:[^\s@\"'<>\\]{1,256}(?=@(?:tcp|unix)\()"
)
"""Of Go's database drivers: `user:password@tcp(host)`, without a scheme."""

_URL_QUERY = re.compile(
    r"([?&](?:[\w.-]{0,40}(?:key|sig|signature|credential|auth)"
    # A country or a status is no code of OAuth's.
    r"|code(?!=\w{1,3}(?:[&;#\s\"'<>\\,)\]}]|\Z))|session|pwd)=)"
    rf"{_UNMASKED}[^&;\s\"'<>\\]+",
    re.IGNORECASE,
)
_SESSIONS = re.compile(
    rf"((?:phpsessid|jsessionid|connect\.sid|sessionid)=){_UNMASKED}[^&;\s\"'<>\\]+", re.IGNORECASE
)

_WORD = r"[^\s\"'`\\,;<>]+"
_STATE = (
    r"(?!(?:required|optional|missing|none|null|empty|unset|invalid|expired|failed|denied|refused"
    r"|rejected|forbidden|unauthori[sz]ed|not|is|was)(?:[\s.,;!?)\]}\"'`\\<]|\Z))"
)
_PARAMETER = rf"[A-Za-z][\w-]{{0,31}}=(?:{_QUOTE}[^\"'`\\\n]{{0,512}}(?:{_QUOTE})?|[^\s\"'`\\,<>]+)"
_PARAMETERS = rf"{_PARAMETER}(?:(?:,\s*+|\s++){_PARAMETER})*+"
"""Of Digest or AWS: `Credential=x, SignedHeaders=host;date, Signature=y`."""

_HEADERS = re.compile(
    rf"(authorization(?:{_QUOTE})?\s*+[:=]\s*+(?:{_QUOTE})?+"
    r"(?P<scheme>(?:bearer|basic|token|digest|apikey|aws4-hmac-sha256|negotiate)\s++)?+)"
    # With a scheme that is not known, the word after it is the secret.
    rf"{_UNMASKED}{_STATE}(?:{_PARAMETERS}|{_WORD}"
    rf"(?(scheme)|(?:[ \t]++(?:{_PARAMETERS}"
    rf"|(?={_WORD[:-1]}{{6}})(?=[^\s\"'`\\,;<>\d]{{0,64}}\d|{_WORD[:-1]}{{16}}){_WORD}))?+))"
    rf"|((?:set-)?cookie(?:{_QUOTE})?\s*+:\s*+(?:{_QUOTE})?+){_UNMASKED}[^\n\"'`\\<>]+"
    rf"|(x-honeycomb-team(?:(?:{_QUOTE})?\s*+[:=]\s*+(?:{_QUOTE})?+|{_QUOTE},\s*+[bu]?{_QUOTE}))"
    rf"{_UNMASKED}{_WORD}",
    re.IGNORECASE,
)

_SCHEMES = re.compile(
    r"(bearer\s++)"
    # Words of prose that stand after `bearer`.
    r"(?!(?:tokens?|auth\w*|headers?|schemes?|credentials?|realm|format|prefix|of|is|was|not|and|or|"
    r"required|missing|invalid|expired|error\w*|method|security)\b)"
    r"[A-Za-z0-9._~+/=-]{6,}"
    r"|(basic\s++)(?:(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{12,}={0,2}|[A-Za-z0-9+/]{6,}={1,2})",
    re.IGNORECASE,
)
_NAME = re.compile(r"[Bb]asic\s+(?:[A-Z]?[a-z]{3,}+|(?:19|20)\d\d)++\Z")
"""`Basic Weekly2024Report`: words and a year."""

_SPOKEN = re.compile(
    # SQL, and a .netrc: a word, a blank, the value.
    rf"((?:identified\s++by|with\s++password|encrypted\s++password)\s++{_QUOTE}"
    r"|\blogin\s++\S{1,128}\s++password\s++)"
    rf"{_UNMASKED}[^\s\"'\\]+",
    re.IGNORECASE,
)

_FLAGS = re.compile(
    r"((?<![\w-])--(?!-)[\w-]{0,40}"
    r"(?:passw(?:or)?d|passphrase|(?<!by)pass|(?<!max-)(?<!min-)token|secret|api-?key)"
    r"\s++[\"']?)"
    rf"(?![-|&;<>]|\d(?:\s|\Z)){_UNMASKED}[^\s\"'\\]+",
    re.IGNORECASE,
)

_NEXT = rf"{_QUOTE},\s*+{_QUOTE}"
_USERS = re.compile(
    # `-u me:x`, and of curl also `-sSu me:x`, `-ume:x`, `['-u', 'me:x']`.
    rf"(-(?:(?<=[\s\"']-)(?P<letters>[A-Za-z#]{{0,8}}?)[uU]|-(?:proxy-)?user(?=[\s=\"'\\]))"
    rf"(?P<gap>{_NEXT}|\s++|=)?+)"
    rf"(?!\d+:\d+\b)(?:(?P<quote>{_QUOTE}){_UNMASKED}(?P<user>[^\s:\"'\\]{{1,256}}):[^\n]{{1,256}}?(?P=quote)"
    rf"|\\*[\"']?{_UNMASKED}(?P<bare>[^\s:\"'\\]{{1,256}}):(?P<password>[^\s\"'\\]++))"
)
_CURL = re.compile(r"curl(?![\w-])(?:[^\n|;&]|(?<=\\)\n|[;&](?![\s&]))*\Z")
"""The same command, on more than one line."""
_NO_USERS = re.compile(
    r"\b(?:systemctl|journalctl)\s[^\n|;&]{0,160}\Z|\b(?:python[\d.]{0,5}|sort|uvicorn)\s+\Z"
)
"""Of these, `-u` is a unit, or for unbuffered or unique."""
_GROUPS = re.compile(r"\b(?:docker|podman|ls|chown|install)\s[^\n|;&]{0,160}\Z")
"""Of these, a user and a group."""
_SHORT_FLAGS = re.compile(
    # In a shell's line, or as Python shows a list: `['sshpass', '-p', 'x']`.
    START + r"(sshpass\s++(?:-v\s++)?+-p\s*+"
    rf"|sshpass{_NEXT}(?:-v{_NEXT})?+-p(?:{_NEXT})?+"
    # `-p 3306` is no password of mysql's, and `-p3306:3306` is a port of docker's.
    r"|(?:mysql|mariadb)[\w-]{0,20}[\s\"'][^\n|;&]{0,200}?(?<=[\s\"'])-p(?!\s|\d+:\d))"
    rf"{_UNMASKED}(?!{_QUOTE}(?:[\s,)}}\]]|\Z))"
    rf"(?:(?P<quote>{_QUOTE})[^\n]{{1,256}}?(?P=quote)|\\*[\"']?[^\s\"'\\]++)"
)

_NEAR = re.compile(
    # `the token is 3f2a...`: a long value of letters and digits, or after `is` a shorter one.
    rf"((?:{_cased('secret', 'token', 'password', 'passwd', 'credential')}"
    rf"|{_cased('api key', 'api-key', 'apikey', 'access key', 'private key')}|API key)s?"
    r"(?i:\s+(?:hash|value|provided|used|of|for))?(?:\s+(?P<is>is|was))?[\s:=(\"'`]{1,4})"
    r"(?=[A-Za-z+/_!-]{0,64}\d)"
    r"(?:[A-Za-z0-9+/_-]{20,}={0,2}|(?(is)(?=\d*[A-Za-z])[^\s\"'`\\]{6,}|(?!)))"
)

_AT_HOST = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_MAILBOX = re.compile(r"[\w.%+-]{1,64}\Z")
_JSON_ESCAPE = re.compile(r"(?<=\\)(?:[nrtbf]|u[0-9a-fA-F]{4})(?=.)")

_ESCAPED = re.compile(
    r"\\+u00(2[1346-9a-f]|3[0-9a-f]|40|5[bdf]|[46][1-9a-f]|[57][0-9a]|7e)", re.IGNORECASE
)
"""Plain characters that a JSON text need not escape, and some do: `\u0026`; no quote, no backslash."""
_ESCAPED_URL = re.compile(r":(?:\\+/){2}")
_ESCAPED_SLASH = re.compile(r"\\+/")

_KEY = re.compile(
    r"(?P<word>key|Key|KEY|secret|Secret|SECRET|password|Password|PASSWORD|passwd|Passwd|PASSWD"
    r"|passphrase|Passphrase|PASSPHRASE|passcode|Passcode|PASSCODE|pwd|Pwd|PWD"
    r"|credentials?|Credentials?|CREDENTIALS?|token|Token|TOKEN"
    r"|pass|Pass|PASS|auth|Auth|AUTH)"
    r"(?:[_-]?(?:(?P<id>[iI][dD])|\d{1,2}|hash|HASH|value|VALUE|base64|BASE64))?"
    rf"(?:\s(?:provided|given|supplied))?(?P<quote>{_QUOTE})?"
    rf"(?:\s*+(?::=|=>|[:=])\s*+"
    # `{"name": "DB_PASSWORD", "value": "x"}`
    rf"|[,;]?(?:\s|\\+n)*+(?:{_QUOTE})?[vV]alue(?:{_QUOTE})?\s*+[:=]\s*+"
    # `["--password", "x"]`, `("X-API-Key", "x")`
    rf"|(?P<pair>,\s*+)(?=[bu]?{_QUOTE})"
    # `<password>x</password>`
    r"|(?P<tag>[\w.-]{0,16}(?:\s[^<>\n]{0,128})?>)(?=[^\s<>][^<>]{0,512}<\\*/))"
)
_OPENED_PAIR = re.compile(
    rf"(?:[(\[]\s*+[bu]?{_QUOTE}(?!-)[\w-]{{0,48}}|(?P<flag>{_QUOTE}--?[\w-]{{0,48}}))\Z"
)
_CLOSED_PAIR = re.compile(rf"{_QUOTE}\s*+[)\]]")
_OPENED_TAG = re.compile(r"<(?P<name>[\w:.-]{0,48})\Z")
_OF_AWS = re.compile(r":\d{12}:\Z")
"""`arn:aws:secretsmanager:eu-west-1:123456789012:secret:name`"""
_STRONG_KEY = re.compile(
    r"(?:api|access|account|private|signing|encryption|shared|secret|auth|master|subscription|functions"
    r"|storage|hmac|integration|webhook|deploy|admin|service|application|ingest(?:ion)?|license|insert|write)"
    r"[ _-]?\Z",
    re.IGNORECASE,
)
_STRONG_TOKEN = re.compile(
    r"(?:access|auth|refresh|bearer|bot|id|session|api|oauth|csrf|xsrf|personal|push|device|app|"
    r"user|service|deploy|webhook|security|private|vault|consul|job)[ _-]?\Z",
    re.IGNORECASE,
)
_IN_BARE = r"""[^\s"'`\\,;&<>()\[\]{}]"""
_NO_PASS = re.compile(r"(?:by|com|sur|tres|under|over)\Z", re.IGNORECASE)
"""`bypass`, `compass` and the like."""
_SENTENCE = re.compile(r"[A-Za-z]{1,16} [a-z]{2}")
"""`sshpass: command not found`"""
_PART_OF_NAME = re.compile(r"[A-Za-z0-9_]\Z")
_NO_PASSWORD = re.compile(rf"=|\d{{1,3}}(?:[./]\d+)?[%.:]*(?!{_IN_BARE})")
"""A comparison, a count: `pass == x`, `pass=12`."""
_TEST_NAME = re.compile(r"[Tt]ests?(?![a-z])")
_NPM_AUTH = re.compile(r"(?<![A-Za-z0-9])_\Z")
_NO_AUTH = re.compile(r"[A-Za-z]\Z")
"""`oauth`, `unauth`; `proxyAuth` is told by its case."""
_AUTH_METHOD = re.compile(
    r"(?:=|https?://|(?:basic|bearer|digest|plain|login|token|password|ldap|saml|oidc|ntlm|on|off"
    r"|negotiate|kerberos|enabled|disabled|none"
    r"|(?:[a-z]{1,16}[-_]){0,3}(?:oauth|sha|md|sigv|x|v|http|tls)[-_]?\d{0,3}(?:\.\d{1,2})?)"
    rf"(?!{_IN_BARE}))",
    re.IGNORECASE,
)
"""What stands after `auth` and is no secret: `auth=plain`, `auth: scram-sha-256`."""
_MIXED = re.compile(rf"(?=\d{{0,64}}[A-Za-z])(?={_IN_BARE}{{6}})(?:(?!\d){_IN_BARE}){{0,64}}\d")
"""Six characters or more, of letters and digits."""
_BASE64 = re.compile(
    r"(?=[^A-Z]{0,16}[A-Z])(?=[^a-z]{0,16}[a-z])[A-Za-z0-9+/_-]{16,64}+={0,2}+(?!\()"
)
_OPENING = re.compile(
    # Of Python, also `b'x'` and three quotes; of a shell, `$'x'`.
    r"(?:(?:[bBrRuUfF]{1,2}|\$)(?=\\*[\"'][^\s,;:)}\]]))?"
    rf"(?P<quote>(?P<one>\\*[\"'])(?P=one){{2}}|{_QUOTE})"
)
_CLOSING = re.compile(rf"(?<!\\){_QUOTE}")
_BARE = re.compile(rf"{_IN_BARE}+")
_NO_SECRET = re.compile(
    r"(?:true|false|null|none|nil|undefined|yes|no|required|optional|missing|invalid|expired"
    r"|empty|unset|\*+|\[masked\]?)\Z",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?[kKM]?\Z")
_TOKEN_LIKE = re.compile(r"(?=.{6})(?:[^\s\d]{0,64}\d|\S{16})")


_TELLING_PERCENT = re.compile(r"%(?:25){0,3}(?:3[adAD]|2[027]|40)")
_NOT_ENCODED = " \n\t\r\"'`<>\\"
_REST = re.compile(rf"[^{re.escape(_NOT_ENCODED)}]*+")
_TELLING_WORDS = (
    "key", "secret", "pass", "pwd", "credential", "token", "auth", "bearer", "cookie", "sess", "code", "sig",
    "identified", "%40", "%2540", "%252540", "%25252540",
)  # fmt: skip
"""What a rule that goes by the context may look for."""
_PERCENT = re.compile(r"%(?:25){0,3}(0[9aAdD]|2[0-9a-fA-F]|3[0-9a-fA-F]|40|5[bdfBDF]|7[b-eB-E])")


def mask(text: str) -> str:
    """`text` with every secret that is recognised, and every e-mail address, as `[masked]`.

    Key and punctuation around a value stay, so that an error still reads: `password=[masked]`. The
    colours of a terminal go: the end of one would pass for the beginning of a word.
    """
    if "\\" in text:
        if "\\u00" in text:
            text = _ESCAPED.sub(_unescaped, text)
        if "\\/" in text and _ESCAPED_URL.search(text):
            text = _ESCAPED_SLASH.sub("/", text)
        if _SHOWN_COLOUR.search(text):
            text = _COLOURS.sub(_uncoloured, text)
    if "\x1b" in text:
        text = _COLOURS.sub(_uncoloured, text)
    return _masked(_mask_encoded(text) if "%" in text else text)


def _uncoloured(match: re.Match[str]) -> str:
    """Nothing, since a word may have been coloured in part; a blank before a key known by its form."""
    end = match.end()
    glued = match.string[max(0, match.start() - 1) : match.start()].isalnum()
    return " " if glued and KEY_FORMS.match(match.string[end : end + 256]) else ""


def _mask_encoded(text: str) -> str:
    """What is encoded as in a URL is shown decoded when there is a secret in it."""
    pieces: list[str] = []
    done = 0
    for percent in _TELLING_PERCENT.finditer(text):
        at = percent.start()
        if at < done:
            continue
        start = max(done, max([text.rfind(char, done, at) for char in _NOT_ENCODED]) + 1)
        rest = _REST.match(text, at)
        end = rest.end() if rest else at
        run = text[start:end]
        if any(map(run.lower().__contains__, _TELLING_WORDS)):
            plain = _masked(run)
            masked = _masked(_PERCENT.sub(_decoded, plain))
            run = masked if masked.count(MASK) > plain.count(MASK) else plain
        pieces += (text[done:start], run)
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _decoded(match: re.Match[str]) -> str:
    """With nothing that would end the string of a JSON text."""
    char = chr(int(match[1], 16))
    return " " if char < " " else char.replace('"', "'")


def _masked(text: str) -> str:
    has = text.lower().__contains__
    if has("private key"):
        text = _BLOCKS.sub(MASK, text)
    if has("://"):
        text = _URL_USERINFO.sub(MASK, text)
    if has("@tcp(") or has("@unix("):
        text = _DSN.sub(MASK, text)
    if any(map(has, _HOOK_HOSTS)):
        text = _HOOK_URLS.sub(rf"\1{MASK}", text)
    if has("authorization") or has("cookie") or has("honeycomb-team"):
        text = _HEADERS.sub(_keep_key, text)
    if has("bearer") or has("basic"):
        text = _SCHEMES.sub(_mask_credentials, text)
    if any(map(has, ("key", "secret", "pass", "pwd", "credential", "token", "auth"))):
        text = _mask_assignments(text)
        text = _NEAR.sub(rf"\1{MASK}", text)
    if has("password") or has("identified"):
        text = _SPOKEN.sub(rf"\1{MASK}", text)
    if has("--"):
        text = _FLAGS.sub(rf"\1{MASK}", text)
    if has("curl") or has("-u"):
        text = _USERS.sub(_mask_user, text)
    if has("-p"):
        text = _SHORT_FLAGS.sub(rf"\1{MASK}", text)
    if has("="):
        text = _URL_QUERY.sub(rf"\1{MASK}", text)
        if has("sessid") or has("sessionid") or has("connect.sid"):
            text = _SESSIONS.sub(rf"\1{MASK}", text)
    text = _LONG.sub(_mask_keys, text)
    return _mask_addresses(text) if has("@") else text


def _mask_keys(match: re.Match[str]) -> str:
    """What is known by its own form, in something long."""
    text, done, end = match.string, match.start(), match.end()
    pieces: list[str] = []
    for key in KEY_FORMS.finditer(text, done, end):
        pieces += (text[done : key.start()], MASK)
        done = key.end()
    return "".join((*pieces, text[done:end])) if pieces else match[0]


def _mask_addresses(text: str) -> str:
    """E-mail; `git@` is none."""
    pieces: list[str] = []
    done = 0
    for host in _AT_HOST.finditer(text):
        mailbox = _MAILBOX.search(text, max(done, host.start() - 64), host.start())
        if mailbox is None or mailbox[0] == "git":
            continue
        # In a JSON text the letter after a backslash belongs to that.
        escape = _JSON_ESCAPE.match(text, mailbox.start(), host.start())
        pieces += (text[done : escape.end() if escape else mailbox.start()], MASK)
        done = host.end()
    return "".join((*pieces, text[done:])) if pieces else text


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _keep_key(match: re.Match[str]) -> str:
    """The one group that took part is what stands before the value."""
    return f"{match[match.lastindex or 0]}{MASK}"


def _mask_credentials(match: re.Match[str]) -> str:
    return match[0] if _NAME.match(match[0]) else _keep_key(match)


def _mask_user(match: re.Match[str]) -> str:
    """Of curl in all its forms; of others only what means nothing else."""
    before = match.string[max(0, match.start() - 1024) : match.start()]
    if not _CURL.search(before):
        if match["letters"] or not match["gap"] or _NO_USERS.search(before):
            return match[0]
        if match["bare"] == match["password"] and _GROUPS.search(before):
            return match[0]
    quote = match["quote"] or ""
    opened = "" if quote else match[0][len(match[1]) : match.start("bare") - match.start()]
    return f"{match[1]}{opened}{quote}{MASK}{quote}"


def _mask_assignments(text: str) -> str:
    """`key=value`, `key: value`, `"key": "value"` where the key names a secret."""
    pieces: list[str] = []
    done = 0
    for key in _KEY.finditer(text):
        if key.start() < done:
            continue
        opening = None if key["tag"] else _OPENING.match(text, key.end())
        start = opening.end() if opening else key.end()
        if not _may_be_secret(text, key, start, quoted=opening is not None):
            continue
        if opening:
            end = _quoted_end(text, start, opening["quote"])
        else:
            end = text.index("<", start) if key["tag"] else _bare_end(text, start)
        if end == start or _NO_SECRET.match(text, start, min(end, start + _HEAD)):
            continue
        if key["pair"] and not _is_pair(text, key, start, end):
            continue
        # JSON stays JSON: a bare number beside a quoted key becomes a quoted mask.
        quote = "" if opening or key["tag"] else key["quote"] or ""
        pieces += (text[done:start], quote, MASK, quote)
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


_HEAD = 96
"""Characters of a value that decide whether it is one."""


def _may_be_secret(text: str, key: re.Match[str], start: int, *, quoted: bool) -> bool:
    """By the key and the head of the value that begins at `start`."""
    word = key["word"].lower()
    before = text[max(0, key.start() - 16) : key.start()]
    if key["tag"] and not _is_tag(text, key):
        return False
    if word == "secret":
        # The name of one: `secret_id: db-main`.
        name = key["id"] and not _MIXED.match(text, start, start + _HEAD)
        return not name and _OF_AWS.search(before) is None
    if word == "key":
        return _STRONG_KEY.search(before) is not None
    if word == "pwd":
        # Also the name of the working directory.
        return not text.startswith(("/", "~", "."), start)
    if word == "pass":
        return _may_be_pass(text, key, before, start, quoted=quoted)
    if word == "auth":
        return _may_be_auth(text, key, before, start)
    if word != "token" or _STRONG_TOKEN.search(before) or (key["quote"] and quoted):
        return True
    # `token` alone is also a word of parsers and of bills: `unexpected token: x`, `token = 512`.
    value = _BARE.match(text, start, start + _HEAD)
    if value is None or _NUMBER.match(value[0]):
        return False
    assigned = key[0].endswith("=") and len(value[0]) >= 4
    return assigned or _TOKEN_LIKE.match(value[0]) is not None


def _may_be_pass(text: str, key: re.Match[str], before: str, start: int, *, quoted: bool) -> bool:
    """`DB_PASS=x`, `dbPass: x`; but `pass: x` is also a word of test reports and of prose."""
    if before.endswith("ssh") and "=" not in key[0] and _SENTENCE.match(text, start):
        return False
    if _NO_PASS.search(before) or _NO_PASSWORD.match(text, start):
        return False
    if quoted or "=" in key[0] or _PART_OF_NAME.search(before):
        return True
    return _MIXED.match(text, start, start + _HEAD) is not None and not _TEST_NAME.match(
        text, start
    )


def _may_be_auth(text: str, key: re.Match[str], before: str, start: int) -> bool:
    """`AUTH=x`, `_auth=dXNlcjpwYXNz`, `auth: a1b2c3`; what names a method or an error is none."""
    camel = key["word"] == "Auth" and before[-1:].islower() and before[-1:] != "o"
    if (_NO_AUTH.search(before) and not camel) or _AUTH_METHOD.match(text, start):
        return False
    if _MIXED.match(text, start, start + _HEAD):
        return True
    if key[0].endswith("=") and _NPM_AUTH.search(before):
        return True
    if "=" not in key[0] and not key["quote"]:
        return False
    if key["word"] == "AUTH":
        return _NO_PASSWORD.match(text, start) is None
    return _BASE64.match(text, start, start + _HEAD) is not None


def _is_tag(text: str, key: re.Match[str]) -> bool:
    """Closed by the same name."""
    opened = _OPENED_TAG.search(text, max(0, key.start() - 64), key.start())
    if opened is None:
        return False
    end = text[(at := text.index("<", key.end())) : at + 256].replace("\\", "")
    return end.startswith(f"</{opened['name']}{key['word']}")


def _is_pair(text: str, key: re.Match[str], start: int, end: int) -> bool:
    """A name and its value, and no more; or an option and what follows it."""
    opened = _OPENED_PAIR.search(text, max(0, key.start() - 64), key.start())
    if opened is None or not key["quote"]:
        return False
    return (
        not text.startswith("-", start) if opened["flag"] else bool(_CLOSED_PAIR.match(text, end))
    )


def _bare_end(text: str, start: int) -> int:
    value = _BARE.match(text, start)
    return value.end() if value else start


def _quoted_end(text: str, start: int, quote: str) -> int:
    """Where the quote closes, else the end of the line. A quote behind more backslashes than the one
    that opened is part of the value, unless they come in pairs and no word goes on."""
    end, mark, depth = len(text), quote[-1], len(quote)
    if quote.count(mark) > 1:
        closing = text.find(quote, start)
        end = end if closing < 0 else closing
    else:
        for found in _CLOSING.finditer(text, start):
            more = len(found[0]) - depth
            if found[0][-1] != mark or more < 0 or more % (2 * depth):
                continue
            if not more or not text[found.end() : found.end() + 1].isalnum():
                end = found.end() - depth
                break
    newline = text.find("\n", start, end)
    return end if newline < 0 else newline
