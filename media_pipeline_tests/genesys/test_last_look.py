"""The last look before a request that cannot be taken back: behind all waiting, and before each try."""

import pytest

from media_pipeline.genesys.connect import CREDENTIAL_STYLES
from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport


class Waiting(Pacer):
    """A rate budget that notes when it was waited for."""

    def __init__(self, noted):
        super().__init__(0)
        self._noted = noted

    def acquire(self):
        self._noted.append("waited")


@pytest.fixture
def noted():
    return []


@pytest.fixture
def transport(org, noted):
    made = Transport(
        Endpoints.of(region="mypurecloud.com", base_url=org.url, login_url=""),
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        credential_style=CREDENTIAL_STYLES["guide"],
        pacer=Waiting(noted),
        stats=CallStats(),
        patience=Patience(first_wait_seconds=0.01),
        connections=1,
    )
    yield made
    made.close()


def test_it_comes_after_the_wait_for_the_budget_and_again_before_each_try(org, transport, noted):
    org.break_with({"fault": "server_error", "on": ["attachment_delete"], "times": 2})
    with pytest.raises(NotFound):
        transport.call(
            "attachment_delete",
            "DELETE",
            "/api/v2/media/attachments/nothing",
            permission="none",
            last_look=lambda: noted.append("looked"),
        )
    assert noted == ["waited", *["waited", "looked"] * 3], "a token without a look, then three tries"


def test_what_it_raises_keeps_the_request_back(org, transport):
    def held():
        raise LookupError

    transport.get_json("quota", "/api/v2/recordings/quota", permission="none")
    org.forget_stats()
    with pytest.raises(LookupError):
        transport.call("attachment_delete", "DELETE", "/api/v2/media/attachments/x", permission="none", last_look=held)
    assert org.stats()["requests"] == {}


def test_a_renewed_token_is_followed_by_another_look(org, transport, noted):
    transport.get_json("quota", "/api/v2/recordings/quota", permission="none")
    org.break_with({"fault": "revoke_token", "after_calls": 0, "times": 1})
    noted.clear()
    with pytest.raises(NotFound):
        transport.call(
            "attachment_delete",
            "DELETE",
            "/api/v2/media/attachments/x",
            permission="none",
            last_look=lambda: noted.append("looked"),
        )
    assert noted == ["waited", "looked", "waited", "waited", "looked"]
