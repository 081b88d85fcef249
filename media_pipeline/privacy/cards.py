"""Payment card numbers: issuer prefix, length and the Luhn digit must all agree (ISO/IEC 7812-1)."""

from __future__ import annotations

from typing import NamedTuple

MIN_DIGITS, MAX_DIGITS = 13, 19
"""Of the numbers that are looked for; 12-digit Maestro numbers are too much like other numbers."""


class _Issuer(NamedTuple):
    first: int
    last: int
    lengths: frozenset[int]


def _lengths(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


_LONG = _lengths(16, 17, 18, 19)
_ISSUERS = [
    _Issuer(4, 4, _lengths(13, 16, 18, 19)),  # Visa
    _Issuer(51, 55, _lengths(16)),  # Mastercard
    _Issuer(2221, 2720, _lengths(16)),
    _Issuer(34, 34, _lengths(15)),  # American Express
    _Issuer(37, 37, _lengths(15)),
    _Issuer(300, 305, _lengths(14, 16, 19)),  # Diners Club
    _Issuer(3095, 3095, _lengths(14, 16, 19)),
    _Issuer(36, 36, _lengths(14, 16, 19)),
    _Issuer(38, 39, _lengths(14, 16, 19)),
    _Issuer(6011, 6011, _LONG),  # Discover
    _Issuer(644, 659, _LONG),  # with RuPay, Troy, Verve
    _Issuer(3528, 3589, _LONG),  # JCB
    _Issuer(1800, 1800, _lengths(15)),
    _Issuer(2131, 2131, _lengths(15)),
    _Issuer(620, 629, _LONG),  # UnionPay
    _Issuer(810, 829, _LONG),
    _Issuer(50, 50, _LONG),  # Maestro, Dankort, Verve, Elo
    _Issuer(56, 58, _LONG),
    _Issuer(6304, 6304, _LONG),
    _Issuer(6331, 6334, _lengths(16, 18, 19)),  # Switch, Solo
    _Issuer(639, 639, _LONG),
    _Issuer(67, 67, _LONG | _lengths(13, 14, 15)),
    _Issuer(606282, 606282, _lengths(16, 19)),  # Hipercard
    _Issuer(636, 638, _LONG),  # InterPayment, InstaPayment
    _Issuer(2200, 2205, _LONG),  # Mir, Borica
    _Issuer(9792, 9792, _lengths(16)),  # Troy
    _Issuer(122, 122, _lengths(15)),  # UATP: AirPlus
]
_GROUPINGS = {
    (4, 4, 4, 4),
    (4, 6, 5),
    (4, 6, 4),
    (4, 4, 4, 4, 3),
    (4, 4, 4, 3),
    (4, 4, 4, 2),
    (4, 4, 4, 4, 2),
    (4, 4, 5),
}
_GROUPINGS |= {(4, 4, 4, 1), (6, 4, 5), (4, 5, 6), (6, 10), (6, 13), (8, 8)}
_LARGEST_GROUP = 6
"""In a grouping that is not among these: orders have groups of 7 digits (503-1234567-1234567)."""


def is_card(digits: str) -> bool:
    """Whether 13 to 19 ASCII digits are a card number that an issuer may have given out."""
    return MIN_DIGITS <= len(digits) <= MAX_DIGITS and _luhn(digits) and len(set(digits)) > 1 and _issued(digits)


def card_windows(groups: list[str]) -> list[tuple[int, int]]:
    """Which neighbouring groups of digits, groups[first:last], are cards; whole numbers before parts of longer ones.

    A part of a longer series counts only when it is grouped as cards are printed: what stands beside it may be an
    expiry date or another card.
    """
    sizes = tuple(map(len, groups))
    if (len(sizes) == 1 or sizes in _GROUPINGS or max(sizes) <= _LARGEST_GROUP) and is_card("".join(groups)):
        return [(0, len(groups))]
    if len(groups) > 5 and len(groups) % 4 != 0 and set(sizes) == {4}:
        return []  # one number of groups of four, longer than any card
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(groups):
        last = _window(groups, first)
        if last:
            found.append((first, last))
        first = last or first + 1
    return found


def _window(groups: list[str], first: int) -> int:
    """The end of the longest card that begins with a group; 0 without one."""
    for last in range(min(len(groups), first + 5), first, -1):
        sizes = tuple(map(len, groups[first:last]))
        printed = sizes in _GROUPINGS or len(sizes) == 1
        if printed and is_card("".join(groups[first:last])):
            return last
    return 0


def _issued(digits: str) -> bool:
    return any(
        len(digits) in issuer.lengths and issuer.first <= int(digits[: len(str(issuer.first))]) <= issuer.last
        for issuer in _ISSUERS
    )


def _luhn(digits: str) -> bool:
    total = sum(int(digit) for digit in digits[-1::-2])
    for digit in digits[-2::-2]:
        total += sum(divmod(2 * int(digit), 10))
    return total % 10 == 0
