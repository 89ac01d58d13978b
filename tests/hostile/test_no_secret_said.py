"""No secret of a made list comes out of anything that is said or kept, whatever carries it."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.scenes import item
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.redaction import keep_log_clean, redacted, redacted_values, sayable, without_secrets
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.stac.frozen import freeze
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import read

pytestmark = pytest.mark.hostile

MARK = "xSECRETx"
SECRETS = [
    MARK,
    f"{MARK}/a+b=",
    f"wJalr/{MARK}/bPxRfiCY",
    f"a:{MARK}",
    f"{MARK}==",
    f"eyJ0.{MARK}.sig-_",
    f"0{MARK}9~x",
]

NAMES = [
    *("sig", "signature", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature", "Policy"),
    *("token", "access_token", "session_token", "aws_session_token", "refresh_token", "sas_token", "id-token"),
    *("secret", "client_secret", "aws_secret_access_key", "AccountKey", "AWSAccessKeyId", "aws_access_key_id"),
    *("password", "passwd", "passphrase", "api_key", "apikey", "X-Api-Key", "subscription-key", "private_key"),
    *("SharedKey_secret", "Ocp-Apim-Subscription-Key", "credential", "SECRET_KEY", "MY_APP_TOKEN", "account key"),
]
NAMED = [
    *("{name}={secret}", "{name}%3D{secret}", "?a=b&{name}={secret}&c=d", "x;{name}={secret};y", "{name} = '{secret}'"),
    *('{{"{name}": "{secret}"}}', "{{'{name}': '{secret}'}}", "'{name}'='{secret}'"),
    '{{\\"{name}\\": \\"{secret}\\"}}',
    "GET /a.tif?{name}={secret} HTTP/1.1 refused",
    "https://host/a.tif?x=1&{name}={secret}#f",
]
CARRIERS = [
    *("https://user:{secret}@host/a.tif", "s3://KEY:{secret}@bucket/run", "s3a://AKIA:{secret}@bucket"),
    *("//u:p https://u:{secret}@h", "error at 's3://KEY:{secret}@b/c'", "https://{bare}@host/a"),
    *("https://user:{secret}", "ftp://me:{secret}@host:21/x", "password: {secret}", "token: {secret}"),
    *("Authorization: Bearer {secret}", "authorization: Basic {secret}", "('Authorization', 'Bearer {secret}')"),
    *("Bearer {secret}", "aws_secret_access_key : {secret}", '"Authorization": "Bearer {secret}"'),
    "AWS4-HMAC-SHA256 Credential={secret}, SignedHeaders=host, Signature={secret}",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={secret};EndpointSuffix=core.windows.net",
    "curl -H 'x-api-key: {secret}' https://host:8080/",
]


def carried() -> st.SearchStrategy[str]:
    """Texts in which something carries a secret; bare ones have none of the signs that end a user's name."""
    by_name = st.builds(
        lambda form, name, secret: form.format(name=name, secret=secret),
        *map(st.sampled_from, (NAMED, NAMES, SECRETS)),
    )
    by_form = st.builds(
        lambda form, secret: form.format(secret=secret, bare=MARK), *map(st.sampled_from, (CARRIERS, SECRETS))
    )
    around = st.sampled_from(["", "cannot be read (", "ClientError: ", "é ", "a\nb ", "x" * 300 + " "])
    return st.builds(lambda before, text, after: f"{before}{text}{after}", around, by_name | by_form, around)


@given(carried())
def test_no_secret_is_said(text: str):
    assert MARK not in without_secrets(text)
    assert MARK not in sayable(text)
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@given(carried(), st.integers(0, 6000))
def test_no_half_of_a_secret_is_said_where_a_text_is_cut(text: str, before: int):
    assert MARK[:4] not in sayable("a " * before + text + " b" * 3000)


@given(carried())
def test_no_error_says_one_nor_its_pickle(text: str):
    error = InvalidInputError(text, expected=text, cure=text, file=text).at(key=text)
    assert MARK not in f"{error} {error!r} {error.where}"
    assert MARK.encode() not in pickle.dumps(error)


@given(carried(), st.sampled_from(NAMES), st.sampled_from(SECRETS))
def test_no_value_that_is_kept_holds_one(text: str, name: str, secret: str):
    kept = json.dumps(redacted_values({"a": [text, {name: secret}], "b": {"c": (text,)}}), ensure_ascii=False)
    assert MARK not in kept


def test_no_log_holds_one(caplog: pytest.LogCaptureFixture):
    keep_log_clean("hostile.library")
    for form in CARRIERS:
        logging.getLogger("hostile.library").warning("%s", form.format(secret=MARK, bare=MARK))
    assert MARK not in caplog.text


def test_no_frozen_item_holds_one(tmp_path: Path):
    said = {f"x{number}": form.format(secret=MARK, bare=MARK) for number, form in enumerate(CARRIERS)}
    made = item("S2A_1", assets={"red": f"https://host/a.tif?sig={MARK}"})
    run = RunDirectory(str(tmp_path / "run"))
    freeze(run, [made | {"properties": made["properties"] | said | {"api_key": MARK}}])
    assert MARK not in str(pq.read_table(tmp_path / "run" / "scenes.parquet").to_pylist())


PLACES = ["s3://KEY:abc/def@bucket/run", "s3://KEY:a?b#c@bucket/run", "s3://KEY:a@b@bucket/run"]


@pytest.mark.parametrize("url", PLACES)
def test_user_information_is_cut_up_to_the_last_sign_that_ends_it(url: str):
    assert redacted(url) == without_secrets(url) == "s3://bucket/run"


PLAIN = [
    *("http://127.0.0.1:8080/a@b/c", "http://[::1]:90/a", "s3://bucket/a:b@c", "http://127.0.0.1:9: refused"),
    *("is it there? yes", "/plain/path.tif", "key catalog.url: found 7; expected: a text", "tokens: 3", "author: me"),
    *("the policy: none", "basic: yes", "passed: 3", "https://host:443/x, https://host", "a@b.example", "12:30:00"),
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str):
    assert without_secrets(text) == text


BROKEN = {
    "two colons": f"a: b\n  password: {MARK}: y",
    "an open quote": f'token: "{MARK}',
    "an open list": f"a: [1\npassword: {MARK}",
    "an address without its end": f"url: https://user:{MARK}\n bad: : x",
    "an alias": f"password: *{MARK}",
    "an anchor twice": f"a: &{MARK} 1\n b: &{MARK} 2",
    "a directive": f"%{MARK}",
    "a sign": f"a: @{MARK}",
    "a control character": f"a: \x01{MARK}",
    "a tab": f"a:\n\t{MARK}: b",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_configuration_that_is_no_yaml_is_named_by_line_and_not_quoted(name: str):
    with pytest.raises(InvalidConfigError) as caught:
        read(ScanConfig, BROKEN[name], source="scan.yaml")
    assert MARK not in str(caught.value)
    assert "line " in str(caught.value) or name == "a control character"
    assert caught.value.__cause__ is None


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["://", "a", "token", "://a:", "?a", "'token'", "password: ", "https://a:b@", "%3D"])
def test_a_text_without_end_is_cleaned_in_little_time(piece: str):
    said = sayable(piece * (1_000_000 // len(piece)))
    assert said.endswith(" characters)")
    assert len(said) < 1000
