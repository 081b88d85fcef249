"""What is found: precision and recall on labelled strings, and what holds for any text whatever."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.privacy import CREDIT_CARD, EMAIL_ADDRESS, PHONE_NUMBER, TYPES, US_SSN, detect
from media_pipeline_tests.privacy.tables import ALONE, MIXED, TABLES, counts, labelled

MIN_STRINGS = 200
MIN_SHARE = 0.95
"""Precision and recall that are promised, for each type."""

SECRETS = ["(415) 555-0132", "jane.doe@example.com", "4111 1111 1111 1111", "529-12-8844"]
SECRETS += ["four one five, double five five, oh one three two", "jane dot doe at example dot com"]
NOISE = [
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "e\u0301",
    "\u202eabc\u202c",
    "\x00",
    "\n",
    " call ",
    "one",
    "@",
    "+",
    "(",
    "5",
    "-",
    ".",
]
NOISE += ["\uff15", "\u0665", "\u00b2", "\u2460", "sip:", "at", "dot", "ssn ", "\u00a0"]
texts = st.lists(st.one_of(st.sampled_from([*SECRETS, *NOISE]), st.text(max_size=8)), max_size=12).map("".join)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_large_enough_to_say_something(table):
    strings = list(labelled(table))
    assert len({string.text for string in strings}) >= MIN_STRINGS
    assert sum(not string.expected for string in strings) >= MIN_STRINGS // 10


@pytest.mark.parametrize("tables", [[*TABLES, *MIXED], *([table] for table in ALONE)])
def test_precision_and_recall_are_high_for_each_type(tables):
    by_type, wrong = counts(tables)
    for kind, count in by_type.items():
        assert count["true"] >= MIN_SHARE * (count["true"] + count["too many"]), (kind, wrong)
        assert count["true"] >= MIN_SHARE * (count["true"] + count["missed"]), (kind, wrong)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_findings_of_any_text_are_sorted_within_it_and_apart(text):
    end = 0
    for finding in detect(text):
        assert finding.type in TYPES
        assert end <= finding.start < finding.end <= len(text)
        end = finding.end


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SECRETS), st.text(alphabet="\U0001f600\U0001f468 \u0301\u00e9\n", max_size=20))
def test_offsets_count_code_points_whatever_stands_before(secret, before):
    text = f"{before}\n{secret}\n{before}"
    (finding,) = detect(text)
    assert text[finding.start : finding.end] == secret
    assert unicodedata.normalize("NFD", text[: finding.start]).endswith("\n")


@pytest.mark.parametrize("pause", [" ", " ... ", " and ", " dash ", " um ", ", ", "- ", ". ", "/", "; "])
@pytest.mark.parametrize(
    ("lead", "pieces", "kind"),
    [
        ("My card number is ", ["3782", "822463", "10005"], CREDIT_CARD),
        ("My card number is ", ["4539", "2373", "0163", "1479"], CREDIT_CARD),
        ("My phone number is ", ["415", "555", "0132"], PHONE_NUMBER),
        ("My social security number is ", ["536", "22", "8145"], US_SSN),
    ],
)
def test_pauses_within_a_number_are_a_part_of_it(lead, pieces, kind, pause):
    value = pause.join(pieces)
    assert [(one.type, one.start, one.end) for one in detect(f"{lead}{value}. Thanks.")] == [
        (kind, len(lead), len(lead) + len(value))
    ]


@pytest.mark.parametrize("mark", [" ", ", ", "-", ". "])
@pytest.mark.parametrize(
    ("lead", "digits", "kind"),
    [
        ("My card is ", "4539237301631479", CREDIT_CARD),
        ("My phone is ", "4155550132", PHONE_NUMBER),
        ("My social is ", "536228145", US_SSN),
    ],
)
def test_digits_may_come_one_by_one(lead, digits, kind, mark):
    value = mark.join(digits)
    assert [(one.type, one.start, one.end) for one in detect(lead + value)] == [(kind, len(lead), len(lead + value))]


@pytest.mark.parametrize(
    "text",
    [
        "$415, 555, 2671",
        "5.3.6.2.2.8.1.4.5",
        "<sips:312-867-5309@example.com>",
        "In 2019, 415, 555, 2671",
        "chapters 310, 455 and 1024",
        "room 415, 555, 2671",
        "see 415, 555, 2671, 12345",
        "the code is 5-3-6-2-2-8-1-4-5",
    ],
)
def test_lists_of_numbers_are_not_one_number(text):
    assert detect(text) == []


@pytest.mark.parametrize(
    "value",
    [
        "jane.doe @example.com",
        "jane.doe@ example.com",
        "jane@ example.com",
        "jane@example dot com",
        "jane@mail dot example dot com",
    ],
)
def test_an_address_may_be_torn_at_its_mark_or_its_dots(value):
    (found,) = detect(f"It is {value}, thanks")
    assert (found.type, found.start, found.end) == (EMAIL_ADDRESS, 6, 6 + len(value))


@pytest.mark.parametrize("text", ["follow us @example.com", "it costs $3 @shop. It is", "jane@mail. It is"])
def test_other_uses_of_the_mark_are_no_address(text):
    assert detect(text) == []


@pytest.mark.parametrize("hidden", ["\u00ad", "\u200b", "\u200d", "\u2060", "\ufeff"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("415*-555*-0132", PHONE_NUMBER),
        ("4539*2373*0163*1479", CREDIT_CARD),
        ("536*-22*-8145", US_SSN),
        ("jane*.doe*@exam*ple.com", EMAIL_ADDRESS),
    ],
)
def test_what_is_not_seen_hides_nothing(value, kind, hidden):
    value = value.replace("*", hidden)
    assert [(one.type, one.start, one.end) for one in detect(f"{hidden}It is {value}{hidden}, yes")] == [
        (kind, 7, 7 + len(value))
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("4\ufe0f\u20e31\ufe0f\u20e35\ufe0f\u20e3-555-0132", PHONE_NUMBER),
        ("415\u2212555\u22120132", PHONE_NUMBER),
        ("4539\u22122373\u22120163\u22121479", CREDIT_CARD),
        ("536\u221222\u22128145", US_SSN),
        ("jane\uff20example.com", EMAIL_ADDRESS),
        ("jane\uff20example\uff0ecom", EMAIL_ADDRESS),
    ],
)
def test_look_alikes_are_read_as_what_they_look_like(value, kind):
    (found,) = detect(f"It is {value}, yes")
    assert (found.type, found.start, found.end) == (kind, 6, 6 + len(value))


def test_what_is_not_seen_may_part_words():
    (found,) = detect("call\u200b415-555-0132\u200bnow")
    assert (found.start, found.end) == (5, 17)


@pytest.mark.parametrize(
    "text",
    [
        "Call-ID: a84b4c76e66710@pc33.example.com",
        "I found it cheaper at example dot com",
        "I saw two at example dot com",
        "Via: SIP/2.0\r\ni: a84b4c76e66710@pc33.example.com",
        "check status at example dot com",
        "it's at example dot com",
        "more info at example dot com",
        "ordered at example dot com last week",
        "pay your bill at example dot com",
        "we're at example dot com",
    ],
)
def test_a_place_on_the_web_is_no_address_of_somebody(text):
    assert detect(text) == []


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("", "ann at example dot com", ""),
        ("", "support at example dot com", " please write there"),
        ("I gave you my e-mail, that is the one of ", "ann at example dot com", ""),
        ("Sure, it's ", "ann at example dot com", ""),
        ("Use the one of my wife ", "ann at gmail dot com", ""),
        ("that would be under ", "ann at example dot com", ", my e-mail"),
        ("we used ", "ann dot lee at example dot com", ""),
        ("we used ", "ann seven two at example dot com", ""),
        ("we used ", "ann72 at example dot com", ""),
    ],
)
def test_an_address_that_is_said_is_known_by_its_words(before, value, after):
    (found,) = detect(before + value + after)
    assert (found.type, found.start, found.end) == (EMAIL_ADDRESS, len(before), len(before + value))


def test_national_notation_is_that_of_the_region():
    (found,) = detect("020 7946 0958", region="GB")
    assert (found.type, found.start, found.end) == (PHONE_NUMBER, 0, 13)
    assert detect("020 7946 0958", region="US") == []


@pytest.mark.parametrize("unit", ["1 ", "a@", "(", "+1", "five ", "at dot ", "a.", "1-", '"', "0f", "double ", "4155 "])
def test_no_text_takes_long(unit):
    detect(unit * 20_000)


def test_spaces_without_end_do_not_take_long():
    assert detect("at" + " " * 200_000 + "dot") == []


def test_many_values_do_not_take_long():
    assert len(detect("415-555-0132, " * 20_000)) == 20_000


def test_a_region_may_be_in_small_letters():
    assert detect("415-555-0132", region="us") == detect("415-555-0132") != []


@pytest.mark.parametrize("region", ["", "USA", "XX", "ZZ"])
def test_an_unknown_region_is_refused(region):
    with pytest.raises(ValueError, match="two letters of a country"):
        detect("415-555-0132", region=region)


@pytest.mark.parametrize(
    "text",
    [
        "interaction 4155552671",
        "job 4155552671",
        "media 4155552671",
        "member id 457-55-5461",
        "policy number 312-86-7530",
        "rec 4155552671",
        "recordings: 4155552671",
        "segments 4155552671",
    ],
)
def test_numbers_of_things_are_nobodys(text):
    assert detect(text) == []


@pytest.mark.parametrize("text", ["Call me at my job, 415-555-2671", "Call this one from my files 415-555-2671"])
def test_a_number_that_is_to_be_called_is_found_whatever_else_is_named(text):
    (found,) = detect(text)
    assert (found.type, found.end) == (PHONE_NUMBER, len(text))
