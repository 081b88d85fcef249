"""Redaction of transcripts: placeholders and counts, and values that are said over several segments."""

import pytest

from media_pipeline.privacy.segments import COUNT_COLUMNS, redact_segments

A, B = ("agent", 1), ("customer", 0)


def rows(*said):
    """Segments of two seconds each, one after another."""
    return [
        {"speaker": who[0], "channel": who[1], "text": text, "start_ms": 2000 * n, "end_ms": 2000 * n + 1900}
        for n, (who, text) in enumerate(said)
    ]


def texts(*said):
    return [row["text"] for row in redact_segments(rows(*said))]


def test_a_value_gives_way_to_its_type_and_is_counted():
    (row,) = redact_segments(rows((B, "Call 415-555-0132 or write to jane@example.com, or 202-555-0147.")))
    assert row["text"] == "Call [PHONE_NUMBER] or write to [EMAIL_ADDRESS], or [PHONE_NUMBER]."
    assert {name: row[name] for name in COUNT_COLUMNS} == {
        "pii_redacted": 3,
        "pii_phone_number": 2,
        "pii_email_address": 1,
        "pii_credit_card": 0,
        "pii_us_ssn": 0,
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([(B, "It's four one five"), (B, "five five five oh one three two.")], ["It's [P]", "[P]."]),
        (
            [(B, "It's four one five"), (A, "mm-hm"), (B, "five five five oh one three two")],
            ["It's [P]", "mm-hm", "[P]"],
        ),
        ([(B, "415"), (A, "okay"), (B, "555"), (A, "got it"), (B, "0132")], ["[P]", "okay", "[P]", "got it", "[P]"]),
        (
            [(B, "four one five"), (A, "four one five"), (B, "five five five"), (A, "five five five"), (B, "0132")],
            ["[P]", "four one five", "[P]", "five five five", "[P]"],
        ),
        (
            [(B, "My card is 4111 1111"), (A, "Yes."), (B, "1111 1111, thanks")],
            ["My card is [C]", "Yes.", "[C], thanks"],
        ),
        (
            [(B, "four one one one"), (B, "um"), (B, "one one one one one one"), (B, "and one one one one one one")],
            ["[C]", "um", "[C]", "[C]"],
        ),
        ([(B, "my social is 529"), (A, "go ahead"), (B, "12 8844")], ["my social is [S]", "go ahead", "[S]"]),
        ([(B, "It's jane dot doe"), (A, "uh-huh"), (B, "at example dot com")], ["It's [E]", "uh-huh", "[E]"]),
        ([(B, "jane.doe at"), (B, "example.com")], ["[E]", "[E]"]),
        ([(B, "jane.doe"), (B, "@example.com")], ["[E]", "[E]"]),
        ([(B, "jane.doe@"), (B, "example.com")], ["[E]", "[E]"]),
        ([(B, "jane.doe\uff20"), (B, "example.com")], ["[E]", "[E]"]),
        ([(B, "jane.doe\uff20example.com")], ["[E]"]),
        ([(B, "jane.doe@example"), (B, "dot com")], ["[E]", "[E]"]),
        ([(B, "jane.doe@example."), (A, "okay"), (B, "com")], ["[E]", "okay", "[E]"]),
        ([(B, "my card is 4111-1111-"), (B, "1111-1111")], ["my card is [C]", "[C]"]),
        ([(B, "My card is 4111 1111."), (B, "1111 1111.")], ["My card is [C]", "[C]."]),
        ([(B, "my social is 529-12-"), (B, "8844")], ["my social is [S]", "[S]"]),
        ([(B, "My social is 529."), (B, "12."), (B, "8844.")], ["My social is [S]", "[S]", "[S]."]),
        (
            [
                (B, "four one five five five five"),
                (A, "so that was four one five five five five right"),
                (B, "oh one three two"),
            ],
            ["[P]", "so that was four one five five five five right", "[P]"],
        ),
        ([(A, "And your social security number?"), (B, "529128844")], ["And your social security number?", "[S]"]),
        ([(A, "Which number can we reach you on?"), (B, "867-5309")], ["Which number can we reach you on?", "[P]"]),
    ],
)
def test_what_is_said_over_several_segments_is_found_in_each(said, expected):
    letters = {"[P]": "[PHONE_NUMBER]", "[C]": "[CREDIT_CARD]", "[S]": "[US_SSN]", "[E]": "[EMAIL_ADDRESS]"}
    for letter, kind in letters.items():
        expected = [text.replace(letter, kind) for text in expected]
    assert texts(*said) == expected


@pytest.mark.parametrize(
    ("question", "digits", "kind"),
    [
        ("And the card?", "4111111111111111", "[CREDIT_CARD]"),
        ("And your phone number?", "4155550132", "[PHONE_NUMBER]"),
        ("And your social?", "529128844", "[US_SSN]"),
    ],
)
def test_a_number_may_be_said_one_digit_a_segment(question, digits, kind):
    answers = [part for digit in digits for part in ((B, digit), (A, "mm-hm"))]
    assert texts((A, question), *answers) == [question, *[kind, "mm-hm"] * len(digits)]


@pytest.mark.parametrize("lead", [18, 38, 39, 58])
def test_a_number_is_found_wherever_in_a_long_series_it_lies(lead):
    said = texts(*[(B, "nine")] * lead, (B, "nine, my card is 4111"), *[(B, "1111")] * 3)
    assert said == [*["nine"] * lead, "nine, my card is [CREDIT_CARD]", *["[CREDIT_CARD]"] * 3]


@pytest.mark.parametrize(
    "said",
    [
        [(B, "I have four"), (A, "okay"), (B, "five or six of them")],
        [(B, "four one five"), (A, "two four six oh one three two")],
        [
            (B, "It is four one five"),
            (A, "I am sorry, could you say all of that again please?"),
            (B, "two four six 0132"),
        ],
        [(A, "What is the order number?"), (B, "It is order number 73 04 19."), (B, "From the 4th of May 2026.")],
        [(B, "look"), (B, "at the dot on the map")],
        [(B, ""), (A, "")],
    ],
)
def test_what_belongs_to_nobody_stays(said):
    assert texts(*said) == [text for _, text in said]


def test_a_pause_of_a_minute_ends_a_number():
    said = rows((B, "four one five"), (B, "five five five oh one three two"))
    said[1]["start_ms"] += 60_000
    assert redact_segments(said)[0]["text"] == "four one five"


def test_redacting_again_changes_nothing():
    once = redact_segments(
        rows((B, "four one five"), (A, "mm-hm"), (B, "five five five oh one three two"), (B, "a@b.co"))
    )
    assert redact_segments(once) == once


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [
        ("+1 415-555-2671", "[PHONE_NUMBER]"),
        ("Ann <ann@example.com>", "Ann <[EMAIL_ADDRESS]>"),
        ("agent-1", "agent-1"),
        ("unknown", "unknown"),
        ("9f1c2d3e-0000-4000-8000-123456789012", "9f1c2d3e-0000-4000-8000-123456789012"),
    ],
)
def test_a_speaker_who_is_called_by_a_number_or_an_address_keeps_neither(speaker, expected):
    (row,) = redact_segments(rows(((speaker, 0), "hello")))
    assert row["speaker"] == expected
    assert not any(row[column] for column in COUNT_COLUMNS)
    assert redact_segments([row]) == [row]
