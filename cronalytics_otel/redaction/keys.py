"""The keys of well-known services, known by their form: a table of prefixes and of what follows them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .rule import MASK, Edit
from .syntax import WORD_START

_RANDOM = r"(?:[A-Za-z]\d|\d[A-Za-z]|[A-Za-z0-9]{16})"
"""Letters and digits in one piece, or a piece longer than a word. Names of jobs have neither."""
_CASES = r"(?=[a-z0-9]{0,24}[A-Z])"
"""A capital after a few small letters or digits. Names in code have none."""

_KEYS = (
    # (the prefixes of a service's keys, what follows a prefix)
    # Models: OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse; ElevenLabs; then by name
    ("sk-", rf"(?=[A-Za-z0-9_-]{{0,64}}?{_RANDOM})[\w-]{{6,}}"),
    ("sk_", r"[0-9a-f]{32,}"),
    ("hf_ api_org_ gsk_ r8_", rf"(?:{_CASES}[A-Za-z0-9]{{16,}}|[A-Za-z0-9]{{24,}})"),
    ("xai- pplx- nvapi- pcsk_ lsv2_pt_ lsv2_sk_ sk-or- tvly-", r"[\w-]{12,}"),
    ("fc-", r"[0-9a-f]{24,}"),
    ("BSA", r"[\w-]{24,}"),
    # Together, Cerebras, Fireworks, Bedrock
    ("tgp_v1_", r"[\w-]{24,}"),
    ("csk-", r"(?=[a-z]{0,47}\d)[a-z0-9]{24,}"),
    ("fw_", rf"{_CASES}[A-Za-z0-9]{{20,}}"),
    ("ABSK", r"[\w+/=-]{32,}"),
    # Code: GitHub, GitLab, Docker, npm, PyPI, RubyGems, NuGet, CI, Pulumi, Postman, Figma, Atlassian,
    # Bitbucket
    ("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"\w{16,}"),
    ("glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- dckr_pat_ dckr_oat_", r"[\w-]{16,}"),
    ("npm_", r"[A-Za-z0-9]{24,}"),
    ("pypi- PMAK- figd_ CCIPAT_", r"[\w-]{24,}"),
    ("rubygems_ bkua_ pul-", r"[0-9a-f]{24,}"),
    ("oy2", r"[a-z0-9]{43}"),
    ("ATATT3 ATCTT3", r"[\w=-]{24,}"),
    ("ATBB", r"[A-Za-z0-9]{24,}"),
    # Clouds: AWS, Alibaba, Google, DigitalOcean, Heroku, Fly, Render, Netlify, Vercel,
    # Cloudflare
    ("AKIA ASIA ABIA ACCA", r"[A-Z0-9]{12,}"),
    ("LTAI", r"[A-Za-z0-9]{12,}"),
    ("AIza", r"[\w-]{24,}"),
    ("ya29. GOCSPX- 1//0", r"[\w.-]{16,}"),
    ("dop_v1_ doo_v1_ dor_v1_ HRKU- fo1_", r"[\w-]{20,}"),
    ("fm1_ fm1r_ fm2_", r"[\w+/=-]{24,}"),
    ("rnd_ nfp_", rf"{_CASES}[A-Za-z0-9]{{24,}}"),
    ("vcp_ vci_ vca_ vcr_ vck_", rf"{_CASES}[A-Za-z0-9]{{20,}}"),
    ("cfut_ cfat_ cfk_", r"(?=[a-z_]{0,24}[A-Z0-9])\w{24,}"),
    # Data and secrets: Vault, Databricks, Doppler, Supabase, PlanetScale, age, Neon, Dropbox,
    # Tailscale
    ("hvs. hvb. hvr. sb_secret_", r"[\w-]{16,}"),
    ("dapi sbp_", r"[0-9a-f]{24,}"),
    ("dp.pt. dp.st. dp.ct. dp.sa. dp.scim. pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.-]{24,}"),
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{24,}"),
    ("npg_", r"(?=[a-z]{0,24}[A-Z0-9])[A-Za-z0-9]{10,}"),
    ("sl.", r"(?:u\.)?[\w-]{60,}"),
    ("tskey-", r"[a-z]{1,12}-[\w-]{12,}"),
    # Monitoring: Grafana, Sentry, New Relic, PostHog, Honeycomb, Logfire
    ("glsa_ glc_ sntrys_ sntryu_", r"[\w+/=-]{24,}"),
    ("NRAK- phx_", r"[A-Za-z0-9]{20,}"),
    ("eu01xx", r"[0-9a-f]{28,}NRAL"),
    ("hcaik_ hcbik_ hccik_ hcaic_ hcamk_ hcbmk_", r"[a-z0-9_]{28,}"),
    ("pylf_v", r"\d_(?:[a-z]{2}_)?[A-Za-z0-9]{24,}"),
    # Money and shops: Stripe, Square, Shopify, Braintree, Facebook, Plaid, HubSpot
    ("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_ whsec_", r"\w{8,}"),
    ("sq0atp- sq0csp- sq0idp- shpat_ shpss_ shpca_ shppa_", r"[\w-]{16,}"),
    ("access_token$", r"\w{1,16}\$\w{1,32}\$[0-9a-f]{32}"),
    ("EAA", r"[\w-]{40,}"),
    ("access-sandbox- access-development- access-production-", r"[0-9a-f-]{32,}"),
    ("pat-na1- pat-na2- pat-eu1- pat-ap1-", r"[0-9a-f-]{32,}"),
    # Messages: Slack, SendGrid, Twilio, Mailgun, Brevo, Resend, ntfy, Matrix
    ("xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe. xapp-", r"[\w.-]{8,}"),
    ("SG.", r"[\w-]{12,}\.[\w-]{12,}"),
    ("SK key-", r"[0-9a-f]{32}"),
    ("xkeysib-", r"[\w-]{32,}"),
    ("re_", r"(?=[A-Za-z_]{0,24}\d)[A-Za-z0-9]{8}_[A-Za-z0-9]{16,}"),
    ("tk_", r"(?=[a-z]{0,28}\d)[a-z0-9]{29}(?!\w)"),
    ("syt_", r"[\w=-]{28,}"),
    # Notes: Linear, Notion
    ("lin_api_ lin_oauth_", r"\w{16,}"),
    ("ntn_ secret_", r"(?:(?=[A-Za-z]{0,48}\d)[A-Za-z0-9]{24,}|[A-Za-z]{40,})"),
    # A JWT, whole or cut
    ("eyJ", r"(?:[\w-]{8,}(?:\.[\w-]*){1,4}|[\w-]{32,})"),
)


def _by_first_letter() -> str:
    """Return one pattern for all keys, with a branch for each first letter.

    At most words of a text, the regex engine then compares one letter and goes on.
    """
    branches: dict[str, list[str]] = {}
    for prefixes, body in _KEYS:
        for prefix in prefixes.split():
            branches.setdefault(prefix[0], []).append(re.escape(prefix[1:]) + body)
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in branches.items())


KEY_FORMS = re.compile(
    WORD_START + "(?:" + _by_first_letter() + r"|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}"  # Discord
    r"|\d{8,10}:[\w-]{34,36}(?![\w-])"  # Telegram bots
    r"|pat[A-Za-z0-9]{14}\.[0-9a-f]{32,}"  # Airtable
    r"|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{32,}"  # Terraform
    r"|[\w~.-]{3}\dQ~[\w~.-]{24,}"  # Azure
    r"|[\w-]{11}:APA91b[\w-]{40,}"  # Firebase
    r"|[0-9a-f]{32}(?:-us\d{1,2}|[0-9a-f]{4}NRAL)"  # Mailchimp, New Relic
    r"|s\.(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}(?![\w.])"  # Vault, until 1.9
    ")"
)

_IN_KEY = r"[A-Za-z0-9_.$/:~+=%-]"
LONG_WORD = re.compile(rf"(?<!{_IN_KEY}){_IN_KEY}{{9,}}+")
"""A stretch of text that is long enough for a key. Most of a text is not, and `KEY_FORMS` is slow."""


def mask_keys(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each key in these long words."""
    for word in matches:
        for key in KEY_FORMS.finditer(word.string, word.start(), word.end()):
            yield key.start(), key.end(), MASK
