"""Names from outside become names inside, never paths."""

import datetime as dt
import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.tables.paths import MAX_KEY_BYTES, object_stem, safe_name


def test_ids_keep_their_plain_characters_and_escape_the_rest():
    assert safe_name("0a1b-2c_3D") == "0a1b-2c_3D"
    assert safe_name("../../etc/passwd") == "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd"
    assert safe_name("a b~ü") == "a%20b%7E%C3%BC"
    assert safe_name("..") == "%2E%2E"


def test_a_long_id_becomes_a_prefix_and_a_digest():
    name = safe_name("x" * 300)
    assert name.endswith("-" + hashlib.sha256(b"x" * 300).hexdigest()[:16])
    assert len(name) == MAX_KEY_BYTES


@given(st.text())
def test_every_id_becomes_a_safe_name_of_bounded_length(identifier):
    name = safe_name(identifier)
    assert re.fullmatch(r"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})*", name)
    assert len(name) <= MAX_KEY_BYTES


@given(st.text(), st.text())
def test_different_ids_get_different_names(one, other):
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_a_file_index_stands_in_the_name_only_when_there_are_several_files():
    day = dt.date(2026, 11, 20)
    assert object_stem(day, "id", 0, several_files=False) == "audio/date=2026-11-20/id"
    assert object_stem(day, "id", 1, several_files=True) == "audio/date=2026-11-20/id.1"
