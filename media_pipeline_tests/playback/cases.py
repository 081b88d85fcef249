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


def _ranged(value: str, status: int, *spans: str) -> Case:
    return Case("GET", (("Range", value),), status, spans)


def _if(status: int, *spans: str, method: str = "GET", **fields: str) -> Case:
    pairs = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Case(method, pairs, status, spans)


def _every_other(count: int, *, backwards: bool = False) -> str:
    numbers = list(range(0, 3 * count, 3))
    return "bytes=" + ",".join(f"{n}-{n}" for n in (reversed(numbers) if backwards else numbers))


_SINGLE = [
    _ranged("bytes=0-0", PART, "0-0"),
    _ranged("bytes=0-4", PART, "0-4"),
    _ranged("bytes=1-1", PART, "1-1"),
    _ranged("bytes=2-", PART, "2-{N-1}"),
    _ranged("bytes=3-7", PART, "3-7"),
    _ranged("bytes=0-499", PART, "0-499"),
    _ranged("bytes=500-999", PART, "500-999"),
    _ranged("bytes=500-", PART, "500-{N-1}"),
    _ranged("bytes=0-", PART, "0-{N-1}"),
    _ranged("bytes=-1", PART, "{N-1}-{N-1}"),
    _ranged("bytes=-5", PART, "{N-5}-{N-1}"),
    _ranged("bytes=-500", PART, "{N-500}-{N-1}"),
    _ranged("bytes=-{N-1}", PART, "1-{N-1}"),
    _ranged("bytes=-{N}", PART, "0-{N-1}"),
    _ranged("bytes=-{N+1}", PART, "0-{N-1}"),
    _ranged("bytes=-999999999999", PART, "0-{N-1}"),
    _ranged("bytes=-99999999999999999999999999", PART, "0-{N-1}"),
    _ranged("bytes={N-1}-", PART, "{N-1}-{N-1}"),
    _ranged("bytes={N-1}-{N-1}", PART, "{N-1}-{N-1}"),
    _ranged("bytes={N-2}-", PART, "{N-2}-{N-1}"),
    _ranged("bytes=0-{N-2}", PART, "0-{N-2}"),
    _ranged("bytes=0-{N-1}", PART, "0-{N-1}"),
    _ranged("bytes=0-{N}", PART, "0-{N-1}"),
    _ranged("bytes=0-{N+1}", PART, "0-{N-1}"),
    _ranged("bytes=10-{N+10}", PART, "10-{N-1}"),
    _ranged("bytes=5-1000000000", PART, "5-{N-1}"),
    _ranged("bytes=0-4294967296", PART, "0-{N-1}"),
    _ranged("bytes=0-18446744073709551616", PART, "0-{N-1}"),
    _ranged("bytes=7-99999999999999999999999999999999", PART, "7-{N-1}"),
    _ranged("bytes={N-5}-{N+1000}", PART, "{N-5}-{N-1}"),
    _ranged("bytes=65279-65280", PART, "65279-65280"),
    _ranged("bytes=65280-65280", PART, "65280-65280"),
    _ranged("bytes=0-65279", PART, "0-65279"),
    _ranged("bytes=65280-130559", PART, "65280-130559"),
    _ranged("bytes=130559-130561", PART, "130559-130561"),
    _ranged("bytes=65279-", PART, "65279-{N-1}"),
    _ranged("bytes=100000-400000", PART, "100000-400000"),
    _ranged("bytes=0000-0004", PART, "0-4"),
    _ranged("bytes=-0005", PART, "{N-5}-{N-1}"),
    _ranged("bytes=00-", PART, "0-{N-1}"),
    _ranged("bytes=000000000000000000000000001-2", PART, "1-2"),
    _ranged("Bytes=0-4", PART, "0-4"),
    _ranged("BYTES=0-4", PART, "0-4"),
    _ranged("bytes= 0-4", PART, "0-4"),
    _ranged("bytes=0-4 ", PART, "0-4"),
    _ranged("bytes=\t0-4", PART, "0-4"),
    _ranged("bytes=0 - 4", PART, "0-4"),
    _ranged("bytes=0-4,", PART, "0-4"),
    _ranged("bytes=,0-4", PART, "0-4"),
    _ranged("bytes= ,, 0-4 ,,", PART, "0-4"),
]
_OUTSIDE = [
    _ranged("bytes={N}-", UNSATISFIABLE),
    _ranged("bytes={N}-{N}", UNSATISFIABLE),
    _ranged("bytes={N}-{N+10}", UNSATISFIABLE),
    _ranged("bytes={N+1}-", UNSATISFIABLE),
    _ranged("bytes=999999999999-", UNSATISFIABLE),
    _ranged("bytes=9007199254740992-", UNSATISFIABLE),
    _ranged("bytes=99999999999999999999999999-", UNSATISFIABLE),
    _ranged("bytes=-0", UNSATISFIABLE),
    _ranged("bytes=-000", UNSATISFIABLE),
    _ranged("bytes={N}-,{N+5}-", UNSATISFIABLE),
    _ranged("bytes={N}-,-0", UNSATISFIABLE),
    _ranged("bytes={N}-,0-4", PART, "0-4"),
    _ranged("bytes=0-4,{N}-", PART, "0-4"),
    _ranged("bytes=-0,0-4", PART, "0-4"),
    _ranged("bytes=0-4,{N+5}-{N+9},10-14", PART, "0-4", "10-14"),
]
_MALFORMED = [
    _ranged(f"bytes={text}", UNSATISFIABLE)
    for text in (
        "abc", "7", " 7 ", "a-", "a-b", "A-Z", "1-a", "--1", "1--2", "5-4", "0-2,5-4", "2-5,4-3", "--5,4--3", "-", "- ",
        "0x01-0x02", "1.0-2", "+1-2", "-+5", "0-4;5-6", "0-4 5-6", "0-1-2", "=0-4", "bytes=0-4", "0-4,abc", "Ran-dom",
        "0-4,-", "1 2-3", "{N-1}-0", "*", "*/{N}", "0-4/{N}",
    )
]  # fmt: skip
_NOT_BYTES = [
    _ranged(text, WHOLE)
    for text in (
        "items=0-4", "seconds=1-2", "octets=0-1", "bytesx=0-4", "xbytes=0-4", "none", "bytes", "bytes 0-4", "bytes:0-4",
        "0-4", "=0-4", "bytes=", "bytes=,", "bytes= , ,", "",
    )
]  # fmt: skip
_SEVERAL = [
    _ranged("bytes=0-0,-1", PART, "0-0", "{N-1}-{N-1}"),
    _ranged("bytes=0-0,-2", PART, "0-0", "{N-2}-{N-1}"),
    _ranged("bytes=-1,0-0", PART, "{N-1}-{N-1}", "0-0"),
    _ranged("bytes=0-1,5-8", PART, "0-1", "5-8"),
    _ranged("bytes=0-1,5-", PART, "0-1", "5-{N-1}"),
    _ranged("bytes=0-4,10-14,20-24", PART, "0-4", "10-14", "20-24"),
    _ranged("bytes=20-24,0-4", PART, "20-24", "0-4"),
    _ranged("bytes=20-24,0-4,10-14", PART, "20-24", "0-4", "10-14"),
    _ranged("bytes=500-600,601-999", PART, "500-999"),
    _ranged("bytes=500-700,601-999", PART, "500-999"),
    _ranged("bytes=601-999,500-700", PART, "500-999"),
    _ranged("bytes=0-9,5-14,100-109", PART, "0-14", "100-109"),
    _ranged("bytes=100-109,0-9,5-14", PART, "100-109", "0-14"),
    _ranged("bytes=5-14,100-109,0-9", PART, "0-14", "100-109"),
    _ranged("bytes=0-99,10-19", PART, "0-99"),
    _ranged("bytes=0-0,0-0,0-0", PART, "0-0"),
    _ranged("bytes=0-0 ,2-2, 7-8", PART, "0-0", "2-2", "7-8"),
    _ranged("bytes=  1-2 , 4-5 , 7-8 , ,,", PART, "1-2", "4-5", "7-8"),
    _ranged("bytes=0-65279,130560-130600", PART, "0-65279", "130560-130600"),
    _ranged("bytes=65270-65290,130550-130570,-10", PART, "65270-65290", "130550-130570", "{N-10}-{N-1}"),
    _ranged("bytes=0-,0-", WHOLE),
    _ranged("bytes=0-{N-1},0-0", WHOLE),
    _ranged("bytes=0-,1-,2-,3-,4-", WHOLE),
    _ranged("bytes=-{N},-{N}", WHOLE),
    _ranged("bytes=" + ",".join(["0-"] * 60), WHOLE),
    _ranged(_every_other(16, backwards=True), PART, *(f"{n}-{n}" for n in range(45, -1, -3))),
    _ranged(_every_other(64), PART, *(f"{n}-{n}" for n in range(0, 192, 3))),
    _ranged(_every_other(17, backwards=True), UNSATISFIABLE),
    _ranged(_every_other(65), UNSATISFIABLE),
    _ranged(_every_other(1000), UNSATISFIABLE),
    _ranged("bytes=" + "0-0," * 2000, UNSATISFIABLE),
    _ranged("bytes=" + "," * 4000 + "0-0", UNSATISFIABLE),
    _ranged("bytes=" + "9" * 5000 + "-", UNSATISFIABLE),
]
_R = "bytes=0-4"
_MATCH = [
    _if(WHOLE),
    _if(WHOLE, If_Match="{E}"),
    _if(WHOLE, If_Match="*"),
    _if(WHOLE, If_Match='"a", {E}, "b"'),
    _if(WHOLE, If_Match='"a",{E}'),
    _if(WHOLE, If_Match=', ,"a",, {E}'),
    _if(FAILED, If_Match='"a"'),
    _if(FAILED, If_Match='"a", "b"'),
    _if(FAILED, If_Match="W/{E}"),
    _if(FAILED, If_Match="unquoted"),
    _if(FAILED, If_Match='""'),
    _if(WHOLE, If_Match='"a,b", {E}'),
    _if(PART, "0-4", If_Match="{E}", Range=_R),
    _if(PART, "0-4", If_Match="*", Range=_R),
    _if(FAILED, If_Match='"a"', Range=_R),
    _if(FAILED, If_Match='"a"', Range="bytes={N}-"),
    _if(SAME, If_None_Match="{E}"),
    _if(SAME, If_None_Match="W/{E}"),
    _if(SAME, If_None_Match="*"),
    _if(SAME, If_None_Match='"a", {E}'),
    _if(SAME, If_None_Match='W/"a", W/{E}'),
    _if(WHOLE, If_None_Match='"a"'),
    _if(WHOLE, If_None_Match='"a", W/"b"'),
    _if(WHOLE, If_None_Match="unquoted"),
    _if(WHOLE, If_None_Match=""),
    _if(SAME, If_None_Match="{E}", Range=_R),
    _if(SAME, If_None_Match="{E}", Range="bytes={N}-"),
    _if(PART, "0-4", If_None_Match='"a"', Range=_R),
    _if(UNSATISFIABLE, If_None_Match='"a"', Range="bytes={N}-"),
    Case("GET", (("If-Match", '"a"'), ("If-Match", "{E}")), WHOLE),
    Case("GET", (("If-None-Match", '"a"'), ("If-None-Match", "{E}")), SAME),
]
_SINCE = [
    _if(SAME, If_Modified_Since="{L}"),
    _if(SAME, If_Modified_Since="{L+1}"),
    _if(SAME, If_Modified_Since=FUTURE),
    _if(WHOLE, If_Modified_Since="{L-1}"),
    _if(WHOLE, If_Modified_Since=PAST),
    _if(WHOLE, If_Modified_Since="Friday, 01-Jan-99 00:00:10 GMT"),
    _if(WHOLE, If_Modified_Since="Thu Jan  1 00:00:10 1970"),
    _if(SAME, If_Modified_Since="Fri Jan  1 00:00:00 2100"),
    _if(WHOLE, If_Modified_Since="yesterday"),
    _if(WHOLE, If_Modified_Since="0"),
    _if(WHOLE, If_Modified_Since="4102444800"),
    _if(WHOLE, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 UTC"),
    _if(WHOLE, If_Modified_Since="Fri, 31 Feb 2100 00:00:00 GMT"),
    _if(WHOLE, If_Modified_Since="Fri, 01 Jan 2100 25:00:00 GMT"),
    _if(WHOLE, If_Modified_Since="2100-01-01T00:00:00Z"),
    _if(SAME, If_Modified_Since="{L}", Range=_R),
    _if(PART, "0-4", If_Modified_Since="{L-1}", Range=_R),
    _if(WHOLE, If_Unmodified_Since="{L}"),
    _if(WHOLE, If_Unmodified_Since="{L+1}"),
    _if(WHOLE, If_Unmodified_Since=FUTURE),
    _if(FAILED, If_Unmodified_Since="{L-1}"),
    _if(FAILED, If_Unmodified_Since=PAST),
    _if(WHOLE, If_Unmodified_Since="never"),
    _if(FAILED, If_Unmodified_Since="{L-1}", Range=_R),
    _if(FAILED, If_Unmodified_Since=PAST, Range="bytes={N}-"),
    _if(PART, "0-4", If_Unmodified_Since="{L}", Range=_R),
]
_ORDER = [
    _if(WHOLE, If_Match="{E}", If_Unmodified_Since=PAST),
    _if(WHOLE, If_Match="*", If_Unmodified_Since=PAST),
    _if(FAILED, If_Match='"a"', If_Unmodified_Since=FUTURE),
    _if(FAILED, If_Match='"a"', If_None_Match="{E}"),
    _if(FAILED, If_Match='"a"', If_Modified_Since="{L}"),
    _if(SAME, If_Match="{E}", If_None_Match="{E}"),
    _if(SAME, If_Match="{E}", If_Modified_Since="{L}"),
    _if(WHOLE, If_Match="{E}", If_None_Match='"a"', If_Modified_Since="{L}"),
    _if(WHOLE, If_None_Match='"a"', If_Modified_Since="{L}"),
    _if(WHOLE, If_None_Match='"a"', If_Modified_Since=FUTURE),
    _if(SAME, If_None_Match="{E}", If_Modified_Since=PAST),
    _if(FAILED, If_Unmodified_Since=PAST, If_None_Match="{E}"),
    _if(FAILED, If_Unmodified_Since=PAST, If_None_Match='"a"'),
    _if(SAME, If_Unmodified_Since=FUTURE, If_None_Match="{E}"),
    _if(SAME, If_Unmodified_Since="{L}", If_Modified_Since="{L}"),
    _if(PART, "0-4", If_Match="{E}", If_None_Match='"a"', If_Range="{E}", Range=_R),
    _if(SAME, If_None_Match="{E}", If_Range="{E}", Range=_R),
    _if(FAILED, If_Match='"a"', If_Range="{E}", Range=_R),
    _if(SAME, If_Modified_Since="{L}", If_Range='"a"', Range=_R),
]
_IF_RANGE = [
    _if(PART, "0-4", If_Range="{E}", Range=_R),
    _if(PART, "{N-5}-{N-1}", If_Range="{E}", Range="bytes=-5"),
    _if(PART, "0-0", "10-14", If_Range="{E}", Range="bytes=0-0,10-14"),
    _if(UNSATISFIABLE, If_Range="{E}", Range="bytes={N}-"),
    _if(WHOLE, If_Range='"a"', Range=_R),
    _if(WHOLE, If_Range='"a"', Range="bytes=0-0,10-14"),
    _if(WHOLE, If_Range='"a"', Range="bytes={N}-"),
    _if(WHOLE, If_Range='"a"', Range="bytes=abc"),
    _if(WHOLE, If_Range="W/{E}", Range=_R),
    _if(WHOLE, If_Range='{E}, "a"', Range=_R),
    _if(WHOLE, If_Range="*", Range=_R),
    _if(WHOLE, If_Range="unquoted", Range=_R),
    _if(PART, "0-4", If_Range="{L}", Range=_R),
    _if(UNSATISFIABLE, If_Range="{L}", Range="bytes={N}-"),
    _if(WHOLE, If_Range="{L-1}", Range=_R),
    _if(WHOLE, If_Range="{L+1}", Range=_R),
    _if(WHOLE, If_Range=FUTURE, Range=_R),
    _if(WHOLE, If_Range="{E}"),
    _if(WHOLE, If_Range='"a"'),
    _if(WHOLE, If_Range="{E}", Range="items=0-4"),
    Case("GET", (("Range", "bytes=0-4"), ("Range", "bytes=10-14")), WHOLE),
    Case("GET", (("Range", "bytes=0-4"), ("Accept-Encoding", "gzip, br")), PART, ("0-4",)),
]
_HEAD = [
    _if(WHOLE, method="HEAD"),
    *(
        _if(WHOLE, method="HEAD", Range=value)
        for value in ("bytes=0-4", "bytes=-5", "bytes={N}-", "bytes=abc", "bytes=0-0,10-14", "bytes=" + "0-," * 500)
    ),
    _if(WHOLE, method="HEAD", If_Range="{E}", Range=_R),
    _if(WHOLE, method="HEAD", If_Match="{E}"),
    _if(FAILED, method="HEAD", If_Match='"a"'),
    _if(SAME, method="HEAD", If_None_Match="{E}"),
    _if(SAME, method="HEAD", If_None_Match="{E}", Range=_R),
    _if(SAME, method="HEAD", If_Modified_Since="{L}"),
    _if(WHOLE, method="HEAD", If_Modified_Since=PAST),
    _if(FAILED, method="HEAD", If_Unmodified_Since=PAST),
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
