"""Which files of guests are kept: by content, whole, and nothing besides; whatever the guest says of them."""

import io
import struct
import zipfile
import zlib
from fractions import Fraction

import av
import pytest

from media_pipeline.messaging.file_types import Unfit
from media_pipeline.messaging.shown_names import SHOWN_CHARACTERS, masked, shown
from media_pipeline.messaging.upload_policy import MAX_BYTES, check_content, check_declared
from media_pipeline.sandbox.messaging.samples import jpeg, pdf, png

PNG, JPEG, PDF = png(1), jpeg(1), pdf(1)
KINDS = {"png": (PNG, "image/png"), "jpeg": (JPEG, "image/jpeg"), "pdf": (PDF, "application/pdf")}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind, data):
    """The picture with a chunk of its own before its end."""
    return PNG[:-12] + chunk(kind, data) + PNG[-12:]


def archive():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("evil.class", b"\xca\xfe\xba\xbe" * 8)
    return made.getvalue()


def with_segment(marker, data):
    """The JPEG with a segment behind its SOI."""
    return JPEG[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + JPEG[2:]


def filled(size):
    """A PNG of exactly so many bytes."""
    return with_chunk(b"prVt", b"\1" * (size - len(PNG) - 12))


def judged(data, name="x.png", declared="image/png"):
    check_declared(name, declared)
    return check_content(io.BytesIO(data), len(data), name, declared)


def refused(*arguments):
    with pytest.raises(Unfit) as unfit:
        judged(*arguments)
    assert str(unfit.value).endswith(".")
    return unfit.value.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 7, 300])
def test_a_whole_file_of_an_accepted_type_is_kept(kind, number):
    data = {"png": png, "jpeg": jpeg, "pdf": pdf}[kind](number)
    assert judged(data, f"x.{kind}", KINDS[kind][1]) == KINDS[kind][1]


@pytest.mark.parametrize(("codec", "kind"), [("png", "png"), ("mjpeg", "jpeg")])
def test_pictures_of_a_real_encoder_are_kept(codec, kind):
    made = av.CodecContext.create(codec, "w")
    made.width, made.height, made.time_base = 640, 480, Fraction(1)
    made.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
    frame = av.VideoFrame(640, 480, made.pix_fmt)
    for number, plane in enumerate(frame.planes):
        plane.update(bytes((n * (number + 3)) % 251 for n in range(plane.buffer_size)))
    data = b"".join(bytes(packet) for packet in [*made.encode(frame), *made.encode(None)])
    assert len(data) > 1_000
    assert judged(data, f"photo.{kind}", f"image/{kind}") == f"image/{kind}"


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("PHOTO.JPG", "image/jpeg"),
        ("photo.jfif", "IMAGE/JPG; charset=binary"),
        ("a.b.jpeg", None),
        (None, "image/pjpeg"),
        (None, None),
        ("名前 é 👩‍👩‍👧.jpg", "image/jpeg"),
    ],
)
def test_what_the_guest_says_may_be_missing_or_a_synonym(name, declared):
    assert judged(JPEG, name, declared) == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "name", "declared", "reason"),
    [
        (PNG, "x.png", "image/jpeg", "name_mismatch"),
        (PNG, "x.jpg", "image/jpeg", "type_mismatch"),
        (PNG, "x.jpg", None, "type_mismatch"),
        (PNG, None, "application/pdf", "type_mismatch"),
        (PNG, "x", "image/png", "name_mismatch"),
        (PNG, "x.pdf.exe", "image/png", "name_mismatch"),
        (PNG, "x.png", "image/svg+xml", "type_not_allowed"),
        (b"MZ\x90\0" * 99, "x.png", "image/png", "type_not_allowed"),
        (b"GIF89a" + bytes(99), "x.png", "image/png", "type_not_allowed"),
        (b"<html><script>1</script>", "x.png", "image/png", "type_not_allowed"),
        (archive(), "x.pdf", "application/pdf", "type_not_allowed"),
        (b"", "x.png", "image/png", "empty"),
        (b"\x89PNG", "x.png", "image/png", "type_not_allowed"),
    ],
)
def test_name_declared_type_and_content_must_agree(data, name, declared, reason):
    assert refused(data, name, declared) == reason


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.png", "..\\x.png", "/x.png", "x\0.png", "gnp.\u202efdp.png", "x\r\nSet-Cookie: a.png", "..", " ",
     "a" * 5_000 + ".png", "\u2066x.png", "x\x1b[2J.png"],
)  # fmt: skip
def test_a_name_that_misleads_is_refused_and_shown_harmless(name):
    assert refused(PNG, name, "image/png") == "hostile_name"
    text = shown(name)
    assert text.isprintable()
    assert len(text) <= SHOWN_CHARACTERS


def test_a_name_is_shown_as_it_was_given_without_personal_data():
    assert shown("Übersicht (2).pdf") == "Übersicht (2).pdf"
    assert shown(None) is None
    assert shown("a\u202eb\0c") == "a\\u202eb\\x00c"
    for personal in ("4111 1111 1111 1111.png", "card_4111_1111_1111_1111_.png", "jane.doe@example.com.pdf"):
        assert "1111" not in shown(personal)
        assert "jane" not in shown(personal)


def test_ten_mebibytes_are_kept_and_one_byte_more_is_not():
    whole = filled(MAX_BYTES)
    assert len(whole) == 10 * 1024 * 1024
    assert judged(whole) == "image/png"
    assert refused(filled(MAX_BYTES + 1)) == "too_large"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_anywhere_is_refused(kind):
    data, declared = KINDS[kind]
    for length in range(12, len(data) - 2):
        assert refused(data[:length], f"x.{kind}", declared) in ("broken", "type_not_allowed"), length


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "tail", [archive(), b"<script>alert(1)</script>", b"Rar!\x1a\x07\1\0", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4\n", b"x"]
)
def test_something_appended_is_refused(kind, tail):
    data, declared = KINDS[kind]
    assert refused(data + tail, f"x.{kind}", declared) in ("polyglot", "broken")


@pytest.mark.parametrize("prefix", [archive(), b"<html>", b"/*", b"GIF89a", b"\n", JPEG])
def test_a_document_behind_something_else_is_refused(prefix):
    assert refused(prefix + PDF, "x.pdf", "application/pdf") in ("type_not_allowed", "type_mismatch")


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (with_chunk(b"tEXt", b"Comment\0<script>alert(1)</script>"), "image/png"),
        (with_chunk(b"tEXt", b"Comment\0<?php system($_GET[0]); ?>"), "image/png"),
        (with_chunk(b"prVt", archive()), "image/png"),
        (with_chunk(b"prVt", b"7z\xbc\xaf\x27\x1c" + bytes(40)), "image/png"),
        (with_segment(0xFE, b"<HTML ><body>"), "image/jpeg"),
        (with_segment(0xFE, archive()), "image/jpeg"),
        (with_segment(0xE1, bytes(253 - 2) + b"ustar\0" + bytes(40)), "image/jpeg"),
        (PDF.replace(b"%\xe2", b"%<script>1</script>\xe2").replace(b"\n375\n", b"\n393\n"), "application/pdf"),
        (PDF.replace(b"trailer", b"%" + archive() + b"\ntrailer"), "application/pdf"),
    ],
    ids=["script", "php", "zip in png", "7z", "html", "zip in jpeg", "tar", "script in pdf", "zip in pdf"],
)
def test_a_second_format_inside_a_whole_file_is_refused(data, declared):
    assert refused(data, None, declared) == "polyglot"


def test_markup_is_found_across_the_pieces_that_are_read():
    for offset in range(256 * 1024 - 60, 256 * 1024 + 10, 3):
        text = b"\1" * (offset - len(PNG)) + b"<script>"
        assert refused(with_chunk(b"prVt", text)) == "polyglot"


def test_broken_structures_are_refused():
    flipped = bytearray(PNG)
    flipped[40] ^= 1
    assert refused(bytes(flipped)) == "broken"
    assert refused(PNG[:8] + PNG[-12:]) == "broken"
    assert refused(PNG[:33] + PNG[-12:]) == "broken"
    assert refused(with_segment(0xE0, b"")[:9] + b"\xff\xd9", None, "image/jpeg") == "broken"
    assert refused(PDF.replace(b"startxref\n", b"startxref\n9"), None, "application/pdf") == "broken"
    assert refused(PDF.replace(b"%PDF-1.4", b"%PDF-x.y"), None, "application/pdf") == "broken"


def test_what_phones_add_to_their_pictures_is_kept_where_the_picture_announces_it():
    announced = with_segment(0xE2, b"MPF\0" + bytes(20))
    assert judged(announced + JPEG, None, "image/jpeg") == "image/jpeg"
    assert judged(JPEG + bytes(512), None, "image/jpeg") == "image/jpeg"
    assert refused(JPEG + JPEG, None, "image/jpeg") == "polyglot"
    assert refused(announced + JPEG + b"MotionPhoto_Data", None, "image/jpeg") == "polyglot"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("john.doe@example.com.pdf", "[EMAIL_ADDRESS].pdf"),
        ("scan_415-555-2671.PNG", "scan_[PHONE_NUMBER].PNG"),
        ("jane@example.com", "[EMAIL_ADDRESS]"),
        ("a/../b\u202efdp.png", "a/../b\u202efdp.png"),
        ("holiday 2026-11-20.jpg", "holiday 2026-11-20.jpg"),
    ],
)
def test_a_noticed_name_loses_personal_data_and_nothing_else(name, expected):
    assert masked(name) == expected


DOCUMENT = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF"


@pytest.mark.parametrize(
    ("data", "name", "declared"),
    [
        (PNG[:33] + chunk(b"teXt", DOCUMENT) + PNG[33:], "x.png", "image/png"),
        (with_segment(0xFE, DOCUMENT), "x.jpg", "image/jpeg"),
        (with_segment(0xFE, bytes(900) + DOCUMENT), "x.jpg", "image/jpeg"),
    ],
)
def test_a_picture_with_a_document_in_its_comments_is_refused(data, name, declared):
    assert refused(data, name, declared) == "polyglot"


@pytest.mark.parametrize(
    ("data", "name", "declared"),
    [
        (JPEG[:-2] + b"\xff\xda\x00\x02" * 2_000_000 + JPEG[-2:], "x.jpg", "image/jpeg"),
        (JPEG[:2] + b"\xff" * 8_000_000 + JPEG[2:], "x.jpg", "image/jpeg"),
        (PNG[:-12] + chunk(b"prVt", b"") * 600_000 + PNG[-12:], "x.png", "image/png"),
    ],
)
def test_a_picture_of_endless_parts_is_left_in_time(data, name, declared):
    class Counting(io.BytesIO):
        taken = 0

        def read(self, *size):
            data = super().read(*size)
            self.taken += len(data)
            return data

    file = Counting(data)
    with pytest.raises(Unfit) as unfit:
        check_content(file, len(data), name, declared)
    assert unfit.value.reason == "broken"
    assert file.taken < 100_000_000, "a scan each four bytes would have 256 KB read for each"
