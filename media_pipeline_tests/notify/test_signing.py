"""Signatures as others read them: the specification's own library verifies what we sign."""

import base64
import secrets
import time

import pytest
from standardwebhooks import Webhook as Witness
from standardwebhooks import WebhookVerificationError

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.notify.signing import parse_keys, signed_headers
from media_pipeline.notify.webhooks import parse_webhooks, post_now


def new_key() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def test_the_example_of_the_specification_gets_its_signature():
    keys = parse_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_keys_rotate_receivers_with_either_key_can_verify(receiver):
    new, old, foreign = new_key(), new_key(), new_key()
    (webhook,) = parse_webhooks(receiver.url, f"{new}, {old}")
    body = '{"text": "Größe"}'.encode()
    assert post_now(webhook, "msg_1", body).problem is None
    (post,) = receiver.posts
    assert post.body == body
    assert post.id == "msg_1"
    assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < 5
    for key in (new, old):
        assert Witness(key).verify(post.body, post.headers) == {"text": "Größe"}
    with pytest.raises(WebhookVerificationError):
        Witness(foreign).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Witness(new).verify(post.body + b" ", post.headers)


def test_without_a_key_there_is_an_id_and_no_signature(receiver):
    (webhook,) = parse_webhooks(receiver.url)
    assert post_now(webhook, "msg_1", b"{}").problem is None
    (post,) = receiver.posts
    assert post.id == "msg_1"
    assert "webhook-signature" not in post.headers


@pytest.mark.parametrize("text", ["whsec_c2hvcnQ=", "whsec_Zm9v!YmFy", "hunter2", "whsec_" + "A" * 88])
def test_a_key_that_is_none_is_named_by_its_place_and_never_shown(text):
    with pytest.raises(ConfigurationError, match="MEDIA_WEBHOOK_KEY: entry 2 is neither whsec_") as error:
        parse_keys(f"{new_key()} {text}")
    assert text not in str(error.value)
    assert "openssl rand -base64 32" in str(error.value)


def test_a_key_without_the_prefix_is_used_as_it_is_written():
    text = "a text of another system".replace(" ", "-")
    headers = signed_headers(parse_keys(text), "msg_1", int(time.time()), b"{}")
    assert Witness(text.encode()).verify(b"{}", headers) == {}


def test_keys_and_urls_do_not_print(receiver):
    key = new_key()
    (webhook,) = parse_webhooks(receiver.url, key)
    assert "SECRET" not in repr(webhook)
    assert "keys" not in repr(webhook)
