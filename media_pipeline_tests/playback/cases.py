"""Range and precondition cases: what is asked, and what RFC 9110 makes of it. Facts also from Go, nginx and the WPT.

In fields, `{N}` is the file's size, also `{N-1}`; `{E}` its entity tag; `{L}` its Last-Modified, also `{L-1}` in
seconds. Spans are first and last position, as in Content-Range; several make a multipart reply.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from email.utils import formatdate

WHOLE, PART, SAME, FAILED, UNSATISFIABLE = 200, 206, 304, 412, 416
PAST, FUTURE = "Thu, 01 Jan 1970 00:00:10 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@dataclass(frozen=True)
class Case:
    method: str
    fields: tuple[tuple[str, str], ...]
    status: int
    spans: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = "; ".join(f"{name}: {value if len(value) < 60 else value[:60] + '...'}" for name, value in self.fields)
        return f"{self.method} {said or 'plain'} -> {self.status}"


def ranged(value: str, status: int, *spans: str) -> Case:
    return Case("GET", (("Range", value),), status, spans)


def asked(status: int, *spans: str, method: str = "GET", **fields: str) -> Case:
    pairs = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Case(method, pairs, status, spans)


def _every_other(count: int, *, backwards: bool = False) -> str:
    numbers = list(range(0, 3 * count, 3))
    return "bytes=" + ",".join(f"{n}-{n}" for n in (reversed(numbers) if backwards else numbers))


_SINGLE = [
    ranged("bytes=0-0", PART, "0-0"),
    ranged("bytes=0-4", PART, "0-4"),
    ranged("bytes=1-1", PART, "1-1"),
    ranged("bytes=2-", PART, "2-{N-1}"),
    ranged("bytes=3-7", PART, "3-7"),
    ranged("bytes=0-499", PART, "0-499"),
    ranged("bytes=500-999", PART, "500-999"),
    ranged("bytes=500-", PART, "500-{N-1}"),
    ranged("bytes=0-", PART, "0-{N-1}"),
    ranged("bytes=-1", PART, "{N-1}-{N-1}"),
    ranged("bytes=-5", PART, "{N-5}-{N-1}"),
    ranged("bytes=-500", PART, "{N-500}-{N-1}"),
    ranged("bytes=-{N-1}", PART, "1-{N-1}"),
    ranged("bytes=-{N}", PART, "0-{N-1}"),
    ranged("bytes=-{N+1}", PART, "0-{N-1}"),
    ranged("bytes=-999999999999", PART, "0-{N-1}"),
    ranged("bytes=-99999999999999999999999999", PART, "0-{N-1}"),
    ranged("bytes={N-1}-", PART, "{N-1}-{N-1}"),
    ranged("bytes={N-1}-{N-1}", PART, "{N-1}-{N-1}"),
    ranged("bytes={N-2}-", PART, "{N-2}-{N-1}"),
    ranged("bytes=0-{N-2}", PART, "0-{N-2}"),
    ranged("bytes=0-{N-1}", PART, "0-{N-1}"),
    ranged("bytes=0-{N}", PART, "0-{N-1}"),
    ranged("bytes=0-{N+1}", PART, "0-{N-1}"),
    ranged("bytes=10-{N+10}", PART, "10-{N-1}"),
    ranged("bytes=5-1000000000", PART, "5-{N-1}"),
    ranged("bytes=0-4294967296", PART, "0-{N-1}"),
    ranged("bytes=0-18446744073709551616", PART, "0-{N-1}"),
    ranged("bytes=7-99999999999999999999999999999999", PART, "7-{N-1}"),
    ranged("bytes={N-5}-{N+1000}", PART, "{N-5}-{N-1}"),
    ranged("bytes=65279-65280", PART, "65279-65280"),
    ranged("bytes=65280-65280", PART, "65280-65280"),
    ranged("bytes=0-65279", PART, "0-65279"),
    ranged("bytes=65280-130559", PART, "65280-130559"),
    ranged("bytes=130559-130561", PART, "130559-130561"),
    ranged("bytes=65279-", PART, "65279-{N-1}"),
    ranged("bytes=100000-400000", PART, "100000-400000"),
    ranged("bytes=0000-0004", PART, "0-4"),
    ranged("bytes=-0005", PART, "{N-5}-{N-1}"),
    ranged("bytes=00-", PART, "0-{N-1}"),
    ranged("bytes=000000000000000000000000001-2", PART, "1-2"),
    ranged("Bytes=0-4", PART, "0-4"),
    ranged("BYTES=0-4", PART, "0-4"),
    ranged("bytes= 0-4", PART, "0-4"),
    ranged("bytes=0-4 ", PART, "0-4"),
    ranged("bytes=\t0-4", PART, "0-4"),
    ranged("bytes=0 - 4", PART, "0-4"),
    ranged("bytes=0-4,", PART, "0-4"),
    ranged("bytes=,0-4", PART, "0-4"),
    ranged("bytes= ,, 0-4 ,,", PART, "0-4"),
]
_OUTSIDE = [
    ranged("bytes={N}-", UNSATISFIABLE),
    ranged("bytes={N}-{N}", UNSATISFIABLE),
    ranged("bytes={N}-{N+10}", UNSATISFIABLE),
    ranged("bytes={N+1}-", UNSATISFIABLE),
    ranged("bytes=999999999999-", UNSATISFIABLE),
    ranged("bytes=9007199254740992-", UNSATISFIABLE),
    ranged("bytes=99999999999999999999999999-", UNSATISFIABLE),
    ranged("bytes=-0", UNSATISFIABLE),
    ranged("bytes=-000", UNSATISFIABLE),
    ranged("bytes={N}-,{N+5}-", UNSATISFIABLE),
    ranged("bytes={N}-,-0", UNSATISFIABLE),
    ranged("bytes={N}-,0-4", PART, "0-4"),
    ranged("bytes=0-4,{N}-", PART, "0-4"),
    ranged("bytes=-0,0-4", PART, "0-4"),
    ranged("bytes=0-4,{N+5}-{N+9},10-14", PART, "0-4", "10-14"),
]
_MALFORMED = [
    ranged(f"bytes={text}", UNSATISFIABLE)
    for text in (
        "abc", "7", " 7 ", "a-", "a-b", "A-Z", "1-a", "--1", "1--2", "5-4", "0-2,5-4", "2-5,4-3", "--5,4--3", "-", "- ",
        "0x01-0x02", "1.0-2", "+1-2", "-+5", "0-4;5-6", "0-4 5-6", "0-1-2", "=0-4", "bytes=0-4", "0-4,abc", "Ran-dom",
        "0-4,-", "1 2-3", "{N-1}-0", "*", "*/{N}", "0-4/{N}",
    )
]  # fmt: skip
_NOT_BYTES = [
    ranged(text, WHOLE)
    for text in (
        "items=0-4", "seconds=1-2", "octets=0-1", "bytesx=0-4", "xbytes=0-4", "none", "bytes", "bytes 0-4", "bytes:0-4",
        "0-4", "=0-4", "bytes=", "bytes=,", "bytes= , ,", "",
    )
]  # fmt: skip
_SEVERAL = [
    ranged("bytes=0-0,-1", PART, "0-0", "{N-1}-{N-1}"),
    ranged("bytes=0-0,-2", PART, "0-0", "{N-2}-{N-1}"),
    ranged("bytes=-1,0-0", PART, "{N-1}-{N-1}", "0-0"),
    ranged("bytes=0-1,5-8", PART, "0-1", "5-8"),
    ranged("bytes=0-1,5-", PART, "0-1", "5-{N-1}"),
    ranged("bytes=0-4,10-14,20-24", PART, "0-4", "10-14", "20-24"),
    ranged("bytes=20-24,0-4", PART, "20-24", "0-4"),
    ranged("bytes=20-24,0-4,10-14", PART, "20-24", "0-4", "10-14"),
    ranged("bytes=500-600,601-999", PART, "500-999"),
    ranged("bytes=500-700,601-999", PART, "500-999"),
    ranged("bytes=601-999,500-700", PART, "500-999"),
    ranged("bytes=0-9,5-14,100-109", PART, "0-14", "100-109"),
    ranged("bytes=100-109,0-9,5-14", PART, "100-109", "0-14"),
    ranged("bytes=5-14,100-109,0-9", PART, "0-14", "100-109"),
    ranged("bytes=0-99,10-19", PART, "0-99"),
    ranged("bytes=0-0,0-0,0-0", PART, "0-0"),
    ranged("bytes=0-0 ,2-2, 7-8", PART, "0-0", "2-2", "7-8"),
    ranged("bytes=  1-2 , 4-5 , 7-8 , ,,", PART, "1-2", "4-5", "7-8"),
    ranged("bytes=0-65279,130560-130600", PART, "0-65279", "130560-130600"),
    ranged("bytes=65270-65290,130550-130570,-10", PART, "65270-65290", "130550-130570", "{N-10}-{N-1}"),
    ranged("bytes=0-,0-", WHOLE),
    ranged("bytes=0-{N-1},0-0", WHOLE),
    ranged("bytes=0-,1-,2-,3-,4-", WHOLE),
    ranged("bytes=-{N},-{N}", WHOLE),
    ranged("bytes=" + ",".join(["0-"] * 60), WHOLE),
    ranged(_every_other(16, backwards=True), PART, *(f"{n}-{n}" for n in range(45, -1, -3))),
    ranged(_every_other(64), PART, *(f"{n}-{n}" for n in range(0, 192, 3))),
    ranged(_every_other(17, backwards=True), UNSATISFIABLE),
    ranged(_every_other(65), UNSATISFIABLE),
    ranged(_every_other(1000), UNSATISFIABLE),
    ranged("bytes=" + "0-0," * 2000, UNSATISFIABLE),
    ranged("bytes=" + "," * 4000 + "0-0", UNSATISFIABLE),
    ranged("bytes=" + "9" * 5000 + "-", UNSATISFIABLE),
]
_R = "bytes=0-4"
_MATCH = [
    asked(WHOLE),
    asked(WHOLE, If_Match="{E}"),
    asked(WHOLE, If_Match="*"),
    asked(WHOLE, If_Match='"a", {E}, "b"'),
    asked(WHOLE, If_Match='"a",{E}'),
    asked(WHOLE, If_Match=', ,"a",, {E}'),
    asked(FAILED, If_Match='"a"'),
    asked(FAILED, If_Match='"a", "b"'),
    asked(FAILED, If_Match="W/{E}"),
    asked(FAILED, If_Match="unquoted"),
    asked(FAILED, If_Match='""'),
    asked(WHOLE, If_Match='"a,b", {E}'),
    asked(PART, "0-4", If_Match="{E}", Range=_R),
    asked(PART, "0-4", If_Match="*", Range=_R),
    asked(FAILED, If_Match='"a"', Range=_R),
    asked(FAILED, If_Match='"a"', Range="bytes={N}-"),
    asked(SAME, If_None_Match="{E}"),
    asked(SAME, If_None_Match="W/{E}"),
    asked(SAME, If_None_Match="*"),
    asked(SAME, If_None_Match='"a", {E}'),
    asked(SAME, If_None_Match='W/"a", W/{E}'),
    asked(WHOLE, If_None_Match='"a"'),
    asked(WHOLE, If_None_Match='"a", W/"b"'),
    asked(WHOLE, If_None_Match="unquoted"),
    asked(WHOLE, If_None_Match=""),
    asked(SAME, If_None_Match="{E}", Range=_R),
    asked(SAME, If_None_Match="{E}", Range="bytes={N}-"),
    asked(PART, "0-4", If_None_Match='"a"', Range=_R),
    asked(UNSATISFIABLE, If_None_Match='"a"', Range="bytes={N}-"),
    Case("GET", (("If-Match", '"a"'), ("If-Match", "{E}")), WHOLE),
    Case("GET", (("If-None-Match", '"a"'), ("If-None-Match", "{E}")), SAME),
]
_SINCE = [
    asked(SAME, If_Modified_Since="{L}"),
    asked(SAME, If_Modified_Since="{L+1}"),
    asked(SAME, If_Modified_Since=FUTURE),
    asked(WHOLE, If_Modified_Since="{L-1}"),
    asked(WHOLE, If_Modified_Since=PAST),
    asked(WHOLE, If_Modified_Since="Friday, 01-Jan-99 00:00:10 GMT"),
    asked(WHOLE, If_Modified_Since="Thu Jan  1 00:00:10 1970"),
    asked(SAME, If_Modified_Since="Fri Jan  1 00:00:00 2100"),
    asked(WHOLE, If_Modified_Since="yesterday"),
    asked(WHOLE, If_Modified_Since="0"),
    asked(WHOLE, If_Modified_Since="4102444800"),
    asked(WHOLE, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 UTC"),
    asked(WHOLE, If_Modified_Since="Fri, 31 Feb 2100 00:00:00 GMT"),
    asked(WHOLE, If_Modified_Since="Fri, 01 Jan 2100 25:00:00 GMT"),
    asked(WHOLE, If_Modified_Since="2100-01-01T00:00:00Z"),
    asked(SAME, If_Modified_Since="{L}", Range=_R),
    asked(PART, "0-4", If_Modified_Since="{L-1}", Range=_R),
    asked(WHOLE, If_Unmodified_Since="{L}"),
    asked(WHOLE, If_Unmodified_Since="{L+1}"),
    asked(WHOLE, If_Unmodified_Since=FUTURE),
    asked(FAILED, If_Unmodified_Since="{L-1}"),
    asked(FAILED, If_Unmodified_Since=PAST),
    asked(WHOLE, If_Unmodified_Since="never"),
    asked(FAILED, If_Unmodified_Since="{L-1}", Range=_R),
    asked(FAILED, If_Unmodified_Since=PAST, Range="bytes={N}-"),
    asked(PART, "0-4", If_Unmodified_Since="{L}", Range=_R),
]
_ORDER = [
    asked(WHOLE, If_Match="{E}", If_Unmodified_Since=PAST),
    asked(WHOLE, If_Match="*", If_Unmodified_Since=PAST),
    asked(FAILED, If_Match='"a"', If_Unmodified_Since=FUTURE),
    asked(FAILED, If_Match='"a"', If_None_Match="{E}"),
    asked(FAILED, If_Match='"a"', If_Modified_Since="{L}"),
    asked(SAME, If_Match="{E}", If_None_Match="{E}"),
    asked(SAME, If_Match="{E}", If_Modified_Since="{L}"),
    asked(WHOLE, If_Match="{E}", If_None_Match='"a"', If_Modified_Since="{L}"),
    asked(WHOLE, If_None_Match='"a"', If_Modified_Since="{L}"),
    asked(WHOLE, If_None_Match='"a"', If_Modified_Since=FUTURE),
    asked(SAME, If_None_Match="{E}", If_Modified_Since=PAST),
    asked(FAILED, If_Unmodified_Since=PAST, If_None_Match="{E}"),
    asked(FAILED, If_Unmodified_Since=PAST, If_None_Match='"a"'),
    asked(SAME, If_Unmodified_Since=FUTURE, If_None_Match="{E}"),
    asked(SAME, If_Unmodified_Since="{L}", If_Modified_Since="{L}"),
    asked(PART, "0-4", If_Match="{E}", If_None_Match='"a"', If_Range="{E}", Range=_R),
    asked(SAME, If_None_Match="{E}", If_Range="{E}", Range=_R),
    asked(FAILED, If_Match='"a"', If_Range="{E}", Range=_R),
    asked(SAME, If_Modified_Since="{L}", If_Range='"a"', Range=_R),
]
_IF_RANGE = [
    asked(PART, "0-4", If_Range="{E}", Range=_R),
    asked(PART, "{N-5}-{N-1}", If_Range="{E}", Range="bytes=-5"),
    asked(PART, "0-0", "10-14", If_Range="{E}", Range="bytes=0-0,10-14"),
    asked(UNSATISFIABLE, If_Range="{E}", Range="bytes={N}-"),
    asked(WHOLE, If_Range='"a"', Range=_R),
    asked(WHOLE, If_Range='"a"', Range="bytes=0-0,10-14"),
    asked(WHOLE, If_Range='"a"', Range="bytes={N}-"),
    asked(WHOLE, If_Range='"a"', Range="bytes=abc"),
    asked(WHOLE, If_Range="W/{E}", Range=_R),
    asked(WHOLE, If_Range='{E}, "a"', Range=_R),
    asked(WHOLE, If_Range="*", Range=_R),
    asked(WHOLE, If_Range="unquoted", Range=_R),
    asked(PART, "0-4", If_Range="{L}", Range=_R),
    asked(UNSATISFIABLE, If_Range="{L}", Range="bytes={N}-"),
    asked(WHOLE, If_Range="{L-1}", Range=_R),
    asked(WHOLE, If_Range="{L+1}", Range=_R),
    asked(WHOLE, If_Range=FUTURE, Range=_R),
    asked(WHOLE, If_Range="{E}"),
    asked(WHOLE, If_Range='"a"'),
    asked(WHOLE, If_Range="{E}", Range="items=0-4"),
    Case("GET", (("Range", "bytes=0-4"), ("Range", "bytes=10-14")), WHOLE),
    Case("GET", (("Range", "bytes=0-4"), ("Accept-Encoding", "gzip, br")), PART, ("0-4",)),
]
_HEAD = [
    asked(WHOLE, method="HEAD"),
    *(
        asked(WHOLE, method="HEAD", Range=value)
        for value in ("bytes=0-4", "bytes=-5", "bytes={N}-", "bytes=abc", "bytes=0-0,10-14", "bytes=" + "0-," * 500)
    ),
    asked(WHOLE, method="HEAD", If_Range="{E}", Range=_R),
    asked(WHOLE, method="HEAD", If_Match="{E}"),
    asked(FAILED, method="HEAD", If_Match='"a"'),
    asked(SAME, method="HEAD", If_None_Match="{E}"),
    asked(SAME, method="HEAD", If_None_Match="{E}", Range=_R),
    asked(SAME, method="HEAD", If_Modified_Since="{L}"),
    asked(WHOLE, method="HEAD", If_Modified_Since=PAST),
    asked(FAILED, method="HEAD", If_Unmodified_Since=PAST),
]
CASES = (
    _SINGLE + _OUTSIDE + _MALFORMED + _NOT_BYTES + _SEVERAL + _MATCH + _SINCE + _ORDER + _IF_RANGE + _HEAD
)  # fmt: skip

_NUMBER = re.compile(r"\{N([+-]\d+)?\}")
_MOMENT = re.compile(r"\{L([+-]\d+)?\}")


def filled(text: str, size: int, etag: str, modified: int) -> str:
    """A field or span with the file's own figures."""
    text = _NUMBER.sub(lambda found: str(size + int(found[1] or 0)), text).replace("{E}", etag)
    return _MOMENT.sub(lambda found: formatdate(modified + int(found[1] or 0), usegmt=True), text)


def moment(text: str) -> int:
    """Seconds since 1970 of a Last-Modified."""
    return int(dt.datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=dt.UTC).timestamp())
