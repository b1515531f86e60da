"""Secrets in URLs: passwords, signatures, session ids, and URLs that are a secret as a whole."""

from __future__ import annotations

import re

from .syntax import UNMASKED

USER_INFO = re.compile(
    # The user name may be an e-mail address.
    r"(?<=://)(?:[^\s/:\"'<>\\]{0,256}:[^\s/\"'<>\\]{1,1024}(?=@)|[^\s/@:\"'<>\\]{16,1024}(?=@)"
    # The end of the text may have been cut off before the `@`.
    r"|[^\s/:\"'<>\\]{0,256}:(?!\d{0,5}(?:\Z|[^\w%]))[^\s/\"'<>\\]{1,1024}\Z)"
)
"""`user:password` in `postgres://user:password@host/`, and a token without a user before the `@`."""

GO_DATABASE = re.compile(
    r"(?:(?<![\w.\\-])|(?<=\\[nrtbf]))[\w.-]{1,64}:[^\s@\"'<>\\]{1,256}(?=@(?:tcp|unix)\()"
)
"""`user:password@tcp(host)`, as Go's database drivers write it: without a scheme."""

WEBHOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/"
    r"|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/|api\.telegram\.org/(?:file/)?bot"
    r"|webhook\.office\.com/webhookb2/|hooks\.zapier\.com/hooks/catch/|hc-ping\.com/"
    r"|maker\.ifttt\.com/trigger/[\w-]{1,64}/(?:json/)?with/key/|open\.feishu\.cn/open-apis/bot/"
    # Mattermost
    r"|[\w-]/hooks/(?=[a-z0-9]{26}(?!\w)))"
    rf"{UNMASKED}[^\s\"'<>\\]+",
    re.IGNORECASE,
)
"""The path of a URL to which anybody who knows it may post."""

WEBHOOK_HINTS = (
    "hooks.slack", "hooks/", "webhookb2", "api.telegram", "hc-ping", "maker.ifttt", "open.feishu",
)  # fmt: skip

QUERY_PARAMETER = re.compile(
    r"([?&](?:[\w.-]{0,40}(?:key|sig|signature|credential|auth)"
    # A `code` of OAuth is longer than a country or a status.
    r"|code(?!=\w{1,3}(?:[&;#\s\"'<>\\,)\]}]|\Z))|session|pwd)=)"
    rf"{UNMASKED}[^&;\s\"'<>\\]+",
    re.IGNORECASE,
)
"""`?key=x`, `&X-Amz-Signature=x`, `?code=x`."""

SESSION_ID = re.compile(
    rf"((?:phpsessid|jsessionid|connect\.sid|sessionid)=){UNMASKED}[^&;\s\"'<>\\]+", re.IGNORECASE
)
"""`PHPSESSID=x`, in a URL or in a cookie that is quoted without its header."""
