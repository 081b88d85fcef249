"""Rules of faults: which recordings they hit, how they compose, and what is refused."""

from __future__ import annotations

import pytest

from media_pipeline.sandbox.fault_kinds import KINDS
from media_pipeline.sandbox.faults import RuleError, Rules

# The rules


def test_faults_of_different_stages_compose_and_of_one_stage_the_first_wins(sandbox, fetch):
    whole = fetch().content
    sandbox.break_with(
        {"fault": "corrupt"},
        {"fault": "wrong_content_range", "shift": 3},
        {"fault": "wrong_content_range", "shift": 9},
        {"fault": "changed_etag"},
        {"fault": "slow_drip", "bytes_per_second": 1_000},
    )
    answer = fetch(Range="bytes=0-9")
    assert answer.headers["content-range"] == f"bytes 3-12/{len(whole)}"
    assert answer.headers["etag"] != fetch().headers["etag"]
    assert answer.content != whole[:10]


def test_a_share_hits_the_same_recordings_each_time_and_about_as_many_as_asked(sandbox, api, ids):
    def hit() -> list[str]:
        sandbox.break_with({"fault": "not_found", "share": 0.5})
        return [id_ for id_ in ids if api.get(f"/api/v2/media/{id_}").status_code == 404]

    first = hit()
    assert hit() == first
    assert 0.2 * len(ids) < len(first) < 0.8 * len(ids)


def test_a_glob_selects_recordings(sandbox, api, ids):
    sandbox.break_with({"fault": "not_found", "match": f"{ids[0][:8]}*"})
    assert [api.get(f"/api/v2/media/{id_}").status_code for id_ in ids[:2]] == [404, 200]


def test_rules_come_over_http_as_json_and_are_shown_with_their_hits(sandbox, api, ids):
    written = {"rules": [{"fault": "not_found", "on": ["media"], "times": 1}]}
    assert api.put("/_sandbox/rules", json=written).status_code == 200
    api.get(f"/api/v2/media/{ids[0]}")
    (shown,) = api.get("/_sandbox/rules").json()["rules"]
    assert (shown["fault"], shown["on"], shown["times"], shown["hits"]) == ("not_found", ["media"], 1, 1)
    api.put("/_sandbox/rules", json=written)
    assert api.get("/_sandbox/rules").json()["rules"][0]["hits"] == 0


def test_rules_come_from_a_toml_file(tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text('[[rules]]\nfault = "rate_limit"\non = ["media", "link"]\nshare = 0.1\nwait = 3\n')
    rules = Rules(KINDS, seed=7)
    rules.load(file)
    assert [(rule.fault, rule.on, rule.params["wait"]) for rule in rules.active] == [
        ("rate_limit", ("media", "link"), 3)
    ]
    file.write_text("[[rules]\n")
    with pytest.raises(RuleError, match=r"rules\.toml"):
        rules.load(file)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"fault": "gremlins"}, "unknown fault 'gremlins'"),
        ({"fault": "corrupt", "on": "list"}, "on must be among file"),
        ({"fault": "rate_limit", "on": []}, "on must be among token"),
        ({"fault": "rate_limit", "until": 3}, "rate_limit has no parameter until"),
        ({"fault": "rate_limit", "wait": "long"}, "wait must be a int"),
        ({"fault": "rate_limit", "retry_after": "soon"}, "retry_after must be one of seconds"),
        ({"fault": "server_error", "code": 200}, "code must be one of 500"),
        ({"fault": "not_found", "share": 2}, "share is a number"),
        ({"fault": "not_found", "times": -1}, "times is a count"),
        ({"fault": "not_found", "ids": "one"}, "ids is a list"),
        ("corrupt", "a rule is a table"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(sandbox, api, rule, said):
    sandbox.break_with({"fault": "not_found"})
    answer = api.put("/_sandbox/rules", json={"rules": [{"fault": "corrupt"}, rule]})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"rule 2: {said}")
    assert [each.fault for each in sandbox.state.rules.active] == ["not_found"]
