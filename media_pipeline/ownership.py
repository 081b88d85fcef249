"""Who looks after an asset, and what it does to others: owners and tags to select and to filter by in the Dagster UI.

`dagster asset list --select 'tag:"media_pipeline/changes_the_org"'` names what may write to the customer's org.
"""

from __future__ import annotations

import dagster as dg

ENGINEERS, ANALYSTS = "team:data-engineering", "team:analytics"
GENESYS_POOL = "genesys"
"""Steps of long runs that call Genesys Cloud; unlimited unless `dagster instance concurrency set genesys N`. All
processes share one rate budget anyway: a limit only keeps steps from waiting for it together."""
CALLS_GENESYS = "media_pipeline/calls_genesys"
CHANGES_THE_ORG = "media_pipeline/changes_the_org"
"""Nothing is written without MEDIA_ALLOW_WRITE_BACK=1, nothing deleted without MEDIA_ALLOW_REMOTE_DELETE=1."""
PERSONAL_DATA = "media_pipeline/personal_data"
"""`original`: objects hold what was said or sent; `redacted`: text whose personal data is replaced by placeholders."""

_CHANGING = {
    "metadata_annotations": "write_back",
    "guest_uploads": "write_back",
    "voice_messages": "write_back",
    "media_retention": "remote_delete",
}
_PERSONAL = {
    "recording_audio": "original",
    "recording_thumbnails": "original",
    "guest_uploads": "original",
    "diarized_transcripts": "redacted",
    "conversation_events": "redacted",
    "transcript_search": "redacted",
}


def owned(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The same assets with owners and tags."""
    calls = {CALLS_GENESYS: "true"} if "genesys" in assets.required_resource_keys else {}
    return assets.map_asset_specs(
        lambda spec: spec.replace_attributes(owners=[ENGINEERS], tags={**spec.tags, **calls, **_tags(spec.key)})
    )


def _tags(key: dg.AssetKey) -> dict[str, str]:
    name = key.to_user_string()
    marked = {CHANGES_THE_ORG: _CHANGING.get(name), PERSONAL_DATA: _PERSONAL.get(name)}
    return {tag: value for tag, value in marked.items() if value is not None}
