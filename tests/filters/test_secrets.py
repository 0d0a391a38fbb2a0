"""`secrets`: real forms go, what documentation writes in their place stays, and no reason shows one whole."""

import random
import string
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
from conftest import Reasons

from filters.secrets import CANDIDATE, DETECTORS, Secrets

chance = random.Random(7)


def drawn(n: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choices(letters, k=n))  # drawn here, so that no scanner takes this file for a leak


UPPER = string.ascii_uppercase + string.digits
LOWER = string.ascii_lowercase + string.digits
REAL = {
    "AWS Access Key": f"AKIA{drawn(16, UPPER)}",
    "GitHub Token": f"ghp_{drawn(36)}",
    "GitLab Token": f"glpat-{drawn(20)}",
    "Slack Token": f"xoxb-{drawn(11, string.digits)}-{drawn(24, LOWER)}",
    "Stripe Access Key": f"sk_live_{drawn(24)}",
    "SendGrid API Key": f"SG.{drawn(22)}.{drawn(43)}",
    "Twilio API Key": f"SK{drawn(32, LOWER)}",
    "Telegram Bot Token": f"{drawn(9, '123456789')}:{drawn(35)}",
    "PyPI Token": f"pypi-AgEIcHlwaS5vcmc{drawn(80)}",
    "Mailchimp Access Key": f"{drawn(32, LOWER)}-us12",
    "Azure Storage Account access key": f"AccountKey={drawn(88)}",
    "Basic Auth Credentials": f"postgresql://kim:{drawn(12)}@db.shop.co.kr:5432/shop",
    "Google API Key": f"AIza{drawn(35)}",
    "Hugging Face Token": f"hf_{drawn(34, string.ascii_letters)}",
    "Anthropic Key": f"sk-ant-{drawn(40)}",
    "Private Key": f"-----BEGIN RSA PRIVATE KEY-----\n{drawn(64)}\n{drawn(64)}\n-----END RSA PRIVATE KEY-----",
}
MADE_UP = [
    'aws_access_key_id="AKIAIOSFODNN7EXAMPLE"',
    f"token = ghp_{'x' * 36}",
    "postgresql://user:password@localhost:5432/db",
    "redis://:changeme@redis:6379",
    "Save it as -----BEGIN RSA PRIVATE KEY----- and go on.",
    "api_key = 'YOUR_API_KEY'",
    f"AKIA{'0' * 16}",
    "아시아(ASIA)의 나라들을 말해 주세요.",
    "See https://example.com:8080/@kim",
]


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("text", ["{}", "Use {} for it.", "열쇠는 `{}` 입니다."])
def test_a_real_form_is_found_and_never_shown_whole(reasons: Reasons, kind: str, text: str) -> None:
    answered, asked, _ = reasons(
        [("?", text.format(REAL[kind])), (text.format(REAL[kind]), "Yes."), ("?", "!")], "secrets"
    )
    assert answered is not None
    assert asked is not None
    assert (kind in answered, kind in asked) == (True, True)
    assert answered.replace("in the response", "in the prompt") == asked
    assert len(answered) < len(kind) + 35


def test_what_documentation_writes_is_no_secret(reasons: Reasons) -> None:
    assert reasons([("?", text) for text in MADE_UP], "secrets") == [None] * len(MADE_UP)


def test_every_form_is_a_candidate() -> None:
    assert pl.Series([f"a {secret} b" for secret in REAL.values()]).str.contains(CANDIDATE).all()


def test_it_finds_what_the_library_finds_when_shown_every_row(real_data: Path) -> None:
    """Recall, with secrets planted in every tenth real text, against detect-secrets run over every line of all."""
    detectors = [getattr(import_module(f"detect_secrets.plugins.{name}"), kind)() for name, kind in DETECTORS.items()]

    def by_library(text: str) -> bool:
        lines = text.splitlines()
        return any(
            detector.is_formally_valid(secret) if hasattr(detector, "is_formally_valid") else True
            for detector in detectors
            for line in lines
            for secret in detector.analyze_string(line)
        )

    found = missed = 0
    for file, field in (("alpaca_gpteacher/codegen.jsonl", "response"), ("code_python_origin/files.jsonl", "content")):
        text = pl.read_ndjson(real_data / file)[field].fill_null("")
        kinds = list(REAL.values())
        text = text + pl.Series([f"\n{kinds[k // 10 % len(kinds)]}" if k % 10 == 0 else "" for k in range(len(text))])
        told = Secrets().measure(pl.DataFrame({"prompt": [""] * len(text), "response": text}))["secret"]
        theirs = pl.Series([by_library(each) for each in text])
        found += theirs.sum()
        missed += (theirs & told.is_null()).sum()
    assert found > 350
    assert missed / found <= 0.01


def test_every_detector_named_is_one_of_the_library() -> None:
    for name, kind in DETECTORS.items():
        assert hasattr(import_module(f"detect_secrets.plugins.{name}"), kind)


@pytest.mark.parametrize("text", ["a@" * 500_000, "eyJ" * 300_000, "1" * 1_000_000, "://a:" * 200_000])
def test_a_million_characters_of_the_worst_are_no_secret(reasons: Reasons, text: str) -> None:
    assert reasons([("?", text)], "secrets") == [None]
