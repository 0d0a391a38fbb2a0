"""Drop a row that holds a key, a token or a private key: a model may learn it by heart.

"Set AWS_ACCESS_KEY_ID=AKIA..." with a real key is dropped: `AWS Access Key in the response: "AKIA…"`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module

import polars as pl

from curate.pool import Pool
from curate.protocol import said_where, unless_found

DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
"""Detectors of `detect-secrets` that know a form. Those that guess by entropy or a variable's name are noise here."""

MORE = {
    "Private Key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\\n|[\s>#])*([A-Za-z0-9+/=:,\-\s\\]{80,})",
    "Google API Key": r"\b(AIza[0-9A-Za-z_-]{35})\b",
    "Hugging Face Token": r"\b(hf_[A-Za-z]{34})\b",
    "Anthropic Key": r"\b(sk-ant-[A-Za-z0-9_-]{32,})",
    "OpenAI Key": r"\b(sk-proj-[A-Za-z0-9_-]{40,})",
}
"""Forms that it doesn't know, or, as of private keys, takes for found by their first line alone."""

CANDIDATE = (
    r"(?:AKIA|ABIA|ACCA|ASIA|A3T[A-Z0-9])[0-9A-Z]{16}|(?i:aws)[^\n]{0,60}['\"][0-9a-zA-Z/+]{40}['\"]|AccountKey=[A-Za-z0-9+/=]{88}|"
    r"gh[pousr]_[A-Za-z0-9_]{36}|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[A-Za-z0-9_-]{20,}|GR1348941[A-Za-z0-9_-]{20,}|"
    r"eyJ[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_.+/=-]{8,}|//[^\s]+:_authToken=\s*[^\s]+|sk-[A-Za-z0-9_-]{32,}|pypi-Ag[A-Za-z0-9_-]{80,}|"
    r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|(?i:xox[abposr])-[0-9]+-[A-Za-z0-9-]+|https://hooks\.slack\.com/services/[^\s]+|"
    r"sq0csp-[A-Za-z0-9\\_-]{43}|[rs]k_live_[A-Za-z0-9]{24}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z]{34}|(?:AC|SK)[a-z0-9]{32}|"
    r"[0-9]{8,10}:[A-Za-z0-9_-]{35}|[0-9a-z]{32}-us[0-9]{1,2}|://[^\s/@:]+:[^\s/@]+@|[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\."
    r"[A-Za-z0-9_-]{27}|-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=:,\s\\>#-]{80,}"
)
"""What may be a secret, by an engine whose time is linear; only that is shown to the library."""

LONGEST = 5000
"""Characters of a candidate that are looked at."""

PLACEHOLDER = re.compile(
    r"(?i)example|x{4}|your|dummy|fake|sample|placeholder|redacted|1234567|abcdef|\*{3}|\.{3}|<|"
    r"^(?:pass(?:word|wd)?|pwd|secret|postgres|root|admin|test|user(?:name)?|guest|changeme|mypass\w*|token|key)\d*$"
)
FEW_CHARACTERS = 6
"""A secret of fewer different characters is made up."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Keys, tokens and private keys in the prompt or the response, by the forms that `detect-secrets` knows.

    What documentation writes in their place (AKIAIOSFODNN7EXAMPLE, xxxx, user:password@host) is none.
    """

    per_row = True
    reads = ("prompt", "response")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        said = [said_where(rows, pl.col(side).str.contains(CANDIDATE), partial(_said, side)) for side in self.reads]
        return pl.select(secret=pl.coalesce(said))

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "secret")


def _said(side: str, held: pl.DataFrame) -> list[str | None]:
    return [_first(candidates, side) for candidates in held[side].str.extract_all(CANDIDATE)]


def _first(candidates: Iterable[str], side: str) -> str | None:
    """Kind and first letters of the first secret among candidates; None: there is none."""
    for candidate in candidates:
        for kind, secret in secrets_in(candidate[:LONGEST]):
            return f'{kind} in the {side}: "{secret[:4]}…"'
    return None


def secrets_in(text: str) -> Iterator[tuple[str, str]]:
    """Kind and value of each secret in a short text."""
    for kind, form, is_sound in _forms():
        for found in form.finditer(text):
            secret = found[1] if kind in ("Basic Auth Credentials", "Private Key") else found[0]
            if is_sound(secret) and _is_real(secret):
                yield kind, secret


def _is_real(secret: str) -> bool:
    return not PLACEHOLDER.search(secret) and len(set(secret)) >= FEW_CHARACTERS


@cache
def _forms() -> list[tuple[str, re.Pattern[str], Callable[[str], bool]]]:
    """Kind and form of each secret, and what else tells a sound one."""
    sound: Callable[[str], bool] = bool
    forms = [(kind, re.compile(form), sound) for kind, form in MORE.items()]
    for name, detector_class in DETECTORS.items():
        detector = getattr(import_module(f"detect_secrets.plugins.{name}"), detector_class)()
        is_sound = getattr(detector, "is_formally_valid", bool)
        forms += [(detector.secret_type, form, is_sound) for form in detector.denylist]
    return forms
