"""What direct tests of the published API stand on: the org's truth and the few calls most of them make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import httpx
import pytest

DETAILS = "/api/v2/analytics/conversations/details"
DAY = "2026-11-20T00:00:00Z/2026-11-21T00:00:00Z"


@dataclasses.dataclass(frozen=True)
class Platform:
    """The published API as a client uses it."""

    api: httpx.Client

    def job(self, **query: Any) -> str:
        answer = self.api.post(f"{DETAILS}/jobs", json={"interval": DAY, **query})
        assert answer.status_code == 202, answer.text
        return answer.json()["jobId"]

    def finished_job(self, **query: Any) -> str:
        job_id = self.job(**query)
        states = [self.api.get(f"{DETAILS}/jobs/{job_id}").json()["state"] for _ in range(2)]
        assert states == ["PENDING", "FULFILLED"]
        return job_id

    def results(self, job_id: str, size: int = 1_000) -> list[list[dict[str, Any]]]:
        pages, arguments = [], {"pageSize": size}
        while True:
            page = self.api.get(f"{DETAILS}/jobs/{job_id}/results", params=arguments).json()
            pages.append(page["conversations"])
            if "cursor" not in page:
                return pages
            arguments["cursor"] = page["cursor"]

    def listed(self, **query: Any) -> list[str]:
        found = [each["conversationId"] for page in self.results(self.finished_job(**query)) for each in page]
        assert len(set(found)) == len(found)
        return found

    def batch(self, *wanted: dict[str, str]) -> str:
        answer = self.api.post("/api/v2/recording/batchrequests", json={"batchDownloadRequestList": list(wanted)})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def batch_state(self, job_id: str) -> dict[str, Any]:
        return self.api.get(f"/api/v2/recording/batchrequests/{job_id}").json()

    def finished_batch(self, *wanted: dict[str, str]) -> dict[str, Any]:
        job_id = self.batch(*wanted)
        return [self.batch_state(job_id) for _ in range(2)][-1]


@pytest.fixture
def platform(api: httpx.Client) -> Platform:
    return Platform(api)


@pytest.fixture
def truth(api: httpx.Client) -> list[dict[str, Any]]:
    return api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()


@pytest.fixture
def of(truth) -> Callable[..., dict[str, Any]]:
    """The first recording of which these facts hold: `of(kind="ordinary", sensitive=False)`."""

    def of(**facts: Any) -> dict[str, Any]:
        return next(each for each in truth if facts.items() <= {**each["platform"], **each}.items())

    return of


def wanted(record: dict[str, Any]) -> dict[str, str]:
    """One request of a batch."""
    return {"conversationId": record["platform"]["conversation_id"], "recordingId": record["id"]}
