"""The official SDK against the sandbox: paths, parameters and field names are the published ones, or it sees nothing.

The SDK validates no answer (GENESYS_API.md, section 4), so every test looks at parsed values.
"""

from __future__ import annotations

import datetime as dt
from typing import get_args

import httpx
import pytest

from media_pipeline.sandbox.running import RunningSandbox
from media_pipeline.sandbox.wire import S3_OPERATIONS, PlatformOperation

DAY = "2026-11-20T00:00:00.000Z/2026-11-21T00:00:00.000Z"
RECORDED = {"type": "and", "predicates": [{"type": "dimension", "dimension": "recording", "value": "true"}]}
OUTDATED = "outdated_sdk_version"
"""What the SDK makes of a value its enumerations do not have."""


@pytest.fixture
def truth(sandbox: RunningSandbox) -> list[dict]:
    return httpx.get(f"{sandbox.url}/_sandbox/truth", params={"date": "2026-11-20"}).json()


@pytest.fixture
def call(truth) -> dict:
    """An ordinary recording with a transcript, alone in its conversation."""
    plain = (each for each in truth if (each["kind"], each["transcript"]) == ("ordinary", "available"))
    found = (each for each in plain if not each["platform"]["sensitive"] and each["platform"]["files"] == 1)
    ids = [each["platform"]["conversation_id"] for each in truth]
    return next(each for each in found if ids.count(each["platform"]["conversation_id"]) == 1)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def finished_batch(sdk, client, requests: list[tuple[str, str | None]]):
    body = sdk.BatchDownloadJobSubmission()
    body.batch_download_request_list = []
    for conversation_id, recording_id in requests:
        request = sdk.BatchDownloadRequest()
        request.conversation_id, request.recording_id = conversation_id, recording_id
        body.batch_download_request_list.append(request)
    api = sdk.RecordingApi(client)
    job = api.post_recording_batchrequests(body)
    states = [api.get_recording_batchrequest(job.id) for _ in range(2)]
    assert [each.status for each in states] == ["InProgress", "Completed"]
    assert states[0].result_count < states[1].result_count == states[1].expected_result_count
    assert states[1].job_id == job.id
    return states[1]


def details(sdk, client) -> list:
    api = sdk.AnalyticsApi(client)
    query = sdk.AsyncConversationQuery()
    query.interval, query.order, query.order_by = DAY, "asc", "conversationStart"
    predicate = sdk.SegmentDetailQueryPredicate()
    predicate.type, predicate.dimension, predicate.operator, predicate.value = (
        "dimension",
        "recording",
        "matches",
        "true",
    )
    segment_filter = sdk.SegmentDetailQueryFilter()
    segment_filter.type, segment_filter.predicates = "and", [predicate]
    query.segment_filters = [segment_filter]
    job_id = api.post_analytics_conversations_details_jobs(query).job_id
    states = [api.get_analytics_conversations_details_job(job_id) for _ in range(2)]
    assert [each.state for each in states] == ["PENDING", "FULFILLED"]
    assert states[1].submission_date <= states[1].completion_date < states[1].expiration_date
    found, cursor = [], None
    while True:
        named = {"page_size": 15} if cursor is None else {"page_size": 15, "cursor": cursor}
        page = api.get_analytics_conversations_details_job_results(job_id, **named)
        assert page.data_availability_date >= moment("2026-11-21T00:00:00+00:00")
        found += page.conversations
        cursor = page.cursor
        if cursor is None:
            return found


def test_a_token_is_given_for_basic_and_says_whose_it_is(sdk, client, sandbox):
    me = sdk.TokensApi(client).get_tokens_me()
    assert me.o_auth_client.id == "sandbox-client"
    assert me.organization.name == "Sandbox"
    assert "recordings" in me.authorized_scope
    assert sdk.TokensApi(client).head_tokens_me() is None
    with pytest.raises(sdk.rest.ApiException) as wrong:
        sdk.api_client.ApiClient().get_client_credentials_token("sandbox-client", "wrong")
    assert wrong.value.status == 401


def test_the_details_job_lists_the_day_with_its_people(sdk, client, truth):
    found = {each.conversation_id: each for each in details(sdk, client)}
    todays = {each["platform"]["conversation_id"] for each in truth if each["platform"]["date"] == "2026-11-20"}
    begun = {id_ for id_, each in found.items() if each.conversation_start >= moment("2026-11-20T00:00:00+00:00")}
    assert begun == todays
    assert len(found) > len(begun)  # what crossed the midnight before
    for record in truth:
        conversation = found[record["platform"]["conversation_id"]]
        assert conversation.conversation_start == moment(record["platform"]["conversation_start"])
        assert conversation.division_ids
        sessions = {s.session_id: s for p in conversation.participants if p.purpose == "customer" for s in p.sessions}
        session = sessions[record["platform"]["communication_id"]]
        assert session.recording is True
        assert OUTDATED not in (session.media_type, session.direction)
        length = session.segments[0].segment_end - session.segments[0].segment_start
        assert length.total_seconds() == pytest.approx(record["duration_seconds"], abs=1e-6)
        assert session.segments[0].segment_start == moment(record["created_time"])
        assert [segment.queue_id for segment in session.segments] == record["platform"]["queue_ids"]
        agents = {p.user_id for p in conversation.participants if p.purpose == "agent"}
        assert agents >= set(record["platform"]["agent_ids"])
        assert all(p.participant_id and p.purpose != OUTDATED for p in conversation.participants)


def test_the_availability_date_and_the_query_by_pages(sdk, client, truth):
    api = sdk.ConversationsApi(client)
    available = api.get_analytics_conversations_details_jobs_availability()
    assert available.data_availability_date >= moment("2026-11-21T00:00:00+00:00")
    body = sdk.ConversationQuery()
    body.interval, body.segment_filters = DAY, [RECORDED]
    found = []
    for number in (1, 2, 3):
        body.paging = sdk.PagingSpec()
        body.paging.page_size, body.paging.page_number = 20, number
        page = api.post_analytics_conversations_details_query(body)
        found += [each.conversation_id for each in page.conversations or []]
        if number == 1:
            total = page.total_hits
    assert len(found) == total
    assert set(found) == {
        each["platform"]["conversation_id"] for each in truth if each["platform"]["date"] == "2026-11-20"
    }


def test_a_batch_delivers_the_bytes_of_the_guide_side(sdk, client, truth, files):
    ids = sorted({each["platform"]["conversation_id"] for each in truth})
    results = finished_batch(sdk, client, [(id_, None) for id_ in ids]).results
    by_id: dict[str, list] = {}
    for result in results:
        by_id.setdefault(result.recording_id, []).append(result)
    for record in truth:
        found = by_id.get(record["id"], [])
        expected = record["platform"]["file_state"]
        if expected == "DELETED":
            assert found == []
        elif expected != "AVAILABLE":
            assert [bool(each.error_msg) for each in found] == [True]
            assert found[0].result_url is None
        else:
            assert len(found) == record["platform"]["files"]
            assert {each.content_type for each in found} == {record["platform"]["content_type"]}
            urls = sorted((each.result_url for each in found), key=lambda url: httpx.URL(url).path)
            assert len(files.get(urls[0]).content) == record["size"]
            assert files.get(urls[0]).headers["etag"] == f'"{record["md5"]}"'
            if len(urls) == 2:
                assert files.get(urls[1]).headers["etag"] == f'"{record["second_file"]["md5"]}"'
    assert max(len(each) for each in by_id.values()) == 2


def test_a_recording_is_transcoded_before_its_media_are_shown(sdk, client, call, files):
    api, conversation_id = sdk.RecordingApi(client), call["platform"]["conversation_id"]
    client.last_response = None
    states = []
    for _ in range(2):
        one = api.get_conversation_recording(conversation_id, call["id"], format_id="WAV")
        states.append(client.last_response.status)
    assert states == [202, 200]
    assert (one.id, one.conversation_id, one.file_state, one.media) == (
        call["id"],
        conversation_id,
        "AVAILABLE",
        "audio",
    )
    assert one.creation_time == moment(call["created_time"])
    assert one.output_duration_ms == round(call["duration_seconds"] * 1_000)
    assert one.output_size_in_bytes == call["size"]
    assert [files.get(each.media_uri).headers["etag"] for each in one.media_uris.values()] == [f'"{call["md5"]}"']
    assert OUTDATED not in (one.recording_file_role, one.media_subtype)
    several = api.get_conversation_recordings(conversation_id, max_wait_ms=0, format_id="WAV")
    assert [each.id for each in several] == [call["id"]]


def test_metadata_have_a_state_and_no_times_of_audio(sdk, client, truth, call):
    api = sdk.RecordingApi(client)
    listed = api.get_conversation_recordingmetadata(call["platform"]["conversation_id"])
    one = api.get_conversation_recordingmetadata_recording_id(call["platform"]["conversation_id"], call["id"])
    assert [each.id for each in listed] == [one.id] == [call["id"]]
    assert (one.file_state, one.media, one.media_subtype, one.region) == ("AVAILABLE", "audio", "Trunk", "us-east-1")
    assert one.session_id == call["platform"]["communication_id"]
    assert one.delete_date == moment(call["platform"]["delete_date"])
    assert one.start_time is None
    assert one.max_allowed_restorations_for_org == 5
    for kind, state in (("processing", "UPLOADING"), ("no_file", "ARCHIVED"), ("missing", "DELETED")):
        record = next(each for each in truth if each["kind"] == kind)
        found = api.get_conversation_recordingmetadata_recording_id(record["platform"]["conversation_id"], record["id"])
        assert found.file_state == state
        assert (found.archive_medium == "CLOUDARCHIVE") == (state == "ARCHIVED")
    screen = next(each for each in truth if each["kind"] == "screen")
    found = api.get_conversation_recordingmetadata_recording_id(screen["platform"]["conversation_id"], screen["id"])
    assert moment(found.start_time) == moment(screen["created_time"])


def test_retention_lists_everything_older_than_the_threshold(sdk, client, sandbox):
    sandbox.state.clock.offset_seconds = 3_000_000.0
    client = sdk.api_client.ApiClient().get_client_credentials_token("sandbox-client", "sandbox-secret")
    api = sdk.RecordingApi(client)
    found, cursor = [], None
    while True:
        named = {"page_size": 50} if cursor is None else {"page_size": 50, "cursor": cursor}
        page = api.get_recordings_retention_query(1, **named)
        found += page.entities
        if page.next_uri is None:
            break
        cursor = httpx.URL(page.next_uri).params["cursor"]
    assert len({each.recording_id for each in found}) == len(found) == 120
    assert all(each.creation_time < each.delete_date and each.conversation_id for each in found)
    assert {each.archive_medium for each in found} == {None, "CLOUDARCHIVE"}


def test_settings_name_the_life_of_links_in_minutes_and_can_be_changed(sdk, client, call):
    api = sdk.RecordingApi(client)
    settings = api.get_recording_settings()
    assert (settings.recording_playback_url_ttl, settings.recording_batch_download_url_ttl) == (60, 60)
    settings.recording_batch_download_url_ttl = 2
    assert api.put_recording_settings(settings).recording_batch_download_url_ttl == 2
    requests = [(call["platform"]["conversation_id"], call["id"]), (call["platform"]["conversation_id"], None)]
    results = finished_batch(sdk, client, requests).results
    assert {httpx.URL(each.result_url).params["X-Amz-Expires"] for each in results} == {"120"}


def test_a_transcript_has_the_offsets_of_the_guide_side(sdk, client, sandbox, api, call, files):
    stt = sdk.SpeechTextAnalyticsApi(client)
    ids = (call["platform"]["conversation_id"], call["platform"]["communication_id"])
    url = stt.get_speechandtextanalytics_conversation_communication_transcripturl(*ids).url
    several = stt.get_speechandtextanalytics_conversation_communication_transcripturls(*ids)
    assert (several.conversation.id, several.communication_id) == ids
    assert [each.recording.id for each in several.urls] == [call["id"]]
    assert httpx.URL(url).params["X-Amz-Expires"] == "600"
    document = files.get(url).json()
    assert document == files.get(several.urls[0].url).json()
    start = document["startTime"]
    assert start == round(moment(call["created_time"]).timestamp() * 1_000)
    phrases = [phrase for transcript in document["transcripts"] for phrase in transcript["phrases"]]
    segments = api.get(f"/api/v2/recordings/{call['id']}/transcript").json()["segments"]
    side = {"external": "customer", "internal": "agent", None: None}
    assert [
        (
            phrase["startTimeMs"] - start,
            phrase["startTimeMs"] - start + phrase["duration"]["milliseconds"],
            phrase["text"],
            side[phrase.get("participantPurpose")],
            {word.get("confidence") for word in phrase["words"]},
        )
        for phrase in phrases
    ] == [
        (
            segment["startOffsetInMilliseconds"],
            segment["endOffsetInMilliseconds"],
            segment["text"],
            segment.get("speaker"),
            {segment.get("confidence")},
        )
        for segment in segments
    ]
    agents = [each for each in document["participants"] if each["participantPurpose"] == "agent"]
    assert [each["userId"] for each in agents] == call["platform"]["agent_ids"]
    assert agents[0]["startTimeMs"] == start


def test_usage_limits_and_deletion_protection(sdk, client, call):
    usage = sdk.ContentManagementApi(client).get_contentmanagement_usage()
    recordings = next(each for each in usage.types if each.type == "RECORDING")
    assert recordings.total_document_byte_count > 0
    assert recordings.total_document_count == 120
    organization = sdk.OrganizationApi(client)
    for limits in (
        organization.get_organizations_limits_namespace("platform.api"),
        organization.get_organizations_limits_namespace_defaults("platform.api"),
    ):
        rates = {each.key: each.value for each in limits.entities}
        assert rates["client.credentials.token.rate.per.minute"] == 300
        assert {each.namespace for each in limits.entities} == {"platform.api"}
    assert "platform.api" in str(organization.get_organizations_limits_namespaces())
    api, body = sdk.RecordingApi(client), sdk.ConversationDeletionProtectionQuery()
    body.conversation_ids = [call["platform"]["conversation_id"]]
    assert api.post_recordings_deletionprotection(body) == []
    api.put_recordings_deletionprotection(protect=True, body=body)
    assert [each.id for each in api.post_recordings_deletionprotection(body)] == body.conversation_ids
    api.put_recordings_deletionprotection(protect=False, body=body)
    assert api.post_recordings_deletionprotection(body) == []


def test_attributes_of_a_participant_are_merged_and_seen_in_the_conversation(sdk, client, sandbox, call):
    api, conversation_id = sdk.ConversationsApi(client), call["platform"]["conversation_id"]
    before = api.get_conversation(conversation_id)
    assert before.id == conversation_id
    customer = next(each for each in before.participants if each.purpose == "customer")
    assert not customer.attributes
    listed = next(each for each in details(sdk, client) if each.conversation_id == conversation_id)
    assert {each.participant_id for each in listed.participants} == {each.id for each in before.participants}
    for attributes in ({"tier": "gold", "case": "1"}, {"case": ""}):
        body = sdk.ParticipantAttributes()
        body.attributes = attributes
        assert api.patch_conversation_participant_attributes(conversation_id, customer.id, body) is None
        assert client.last_response.status == 202
    after = next(each for each in api.get_conversation(conversation_id).participants if each.id == customer.id)
    assert after.attributes == {"tier": "gold", "case": ""}
    shown = httpx.get(f"{sandbox.url}/_sandbox/annotations").json()
    assert shown["attributes"] == {conversation_id: {customer.id: {"tier": "gold"}}}
    assert [each["body"]["attributes"] for each in shown["writes"]] == [{"tier": "gold", "case": "1"}, {"case": ""}]
    with pytest.raises(sdk.rest.ApiException) as unknown:
        api.patch_conversation_participant_attributes(conversation_id, "nobody", body)
    assert unknown.value.status == 404


def test_the_client_and_its_role_tell_what_it_may_do(sdk, client, sandbox):
    oauth = sdk.OAuthApi(client).get_oauth_client("sandbox-client")
    assert oauth.authorized_grant_type == "CLIENT-CREDENTIALS"
    role = sdk.AuthorizationApi(client).get_authorization_role(oauth.role_ids[0])
    held = {f"{p.domain}:{p.entity_name}:{action}" for p in role.permission_policies for action in p.action_set}
    assert held == sandbox.state.permissions
    grants = sdk.AuthorizationApi(client).get_authorization_subjects_me().grants
    policies = [policy for grant in grants for policy in grant.role.policies]
    assert {f"{p.domain}:{p.entity_name}:{action}" for p in policies for action in p.actions} == held


def test_errors_are_the_ones_the_sdk_knows(sdk, client, sandbox):
    httpx.put(f"{sandbox.url}/_sandbox/permissions", json={"lacks": ["recording:recording:view"]})
    with pytest.raises(sdk.rest.ApiException) as refused:
        sdk.RecordingApi(client).get_recordings_retention_query(1)
    assert refused.value.status == 403
    error = refused.value.body if isinstance(refused.value.body, str) else refused.value.body.decode()
    assert "missing.any.permissions" in error or "missing.permissions" in error
    assert "recording:recording:view" in error


def test_the_sdk_reaches_every_published_operation(sdk, client, sandbox, call):
    conversation_id, recording_id = call["platform"]["conversation_id"], call["id"]
    communication = (conversation_id, call["platform"]["communication_id"])
    details(sdk, client)
    finished_batch(sdk, client, [(conversation_id, None)])
    analytics, recording = sdk.AnalyticsApi(client), sdk.RecordingApi(client)
    analytics.get_analytics_conversations_details_jobs_availability()
    analytics.post_analytics_conversations_details_query({"interval": DAY})
    recording.get_conversation_recordings(conversation_id)
    recording.get_conversation_recording(conversation_id, recording_id)
    recording.get_conversation_recordingmetadata(conversation_id)
    recording.get_recordings_retention_query(1)
    recording.get_recording_settings()
    recording.post_recordings_deletionprotection({"conversationIds": [conversation_id]})
    sdk.SpeechTextAnalyticsApi(client).get_speechandtextanalytics_conversation_communication_transcripturl(
        *communication
    )
    sdk.ContentManagementApi(client).get_contentmanagement_usage()
    sdk.OrganizationApi(client).get_organizations_limits_namespaces()
    sdk.TokensApi(client).get_tokens_me()
    sdk.OAuthApi(client).get_oauth_client("sandbox-client")
    conversations = sdk.ConversationsApi(client)
    participant = conversations.get_conversation(conversation_id).participants[0]
    conversations.patch_conversation_participant_attributes(conversation_id, participant.id, {"attributes": {"a": "b"}})
    counted = httpx.get(f"{sandbox.url}/_sandbox/stats").json()["requests"]
    assert set(counted) == {"token", *get_args(PlatformOperation)} - set(S3_OPERATIONS)
    assert all(status < "300" for statuses in counted.values() for status in statuses)
