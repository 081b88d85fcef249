"""The rule engine: which fault strikes which request, and how often. What a fault does is in `fault_kinds`.

A reply is made in stages; at each stage the first rule that selects the request wins, and rules of different stages
compose. Rules come from a TOML file or as JSON; both hold a list named `rules`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from media_pipeline.sandbox.wire import OPERATIONS, Operation

T = TypeVar("T")
Params = Mapping[str, Any]

SELECTORS = frozenset({"fault", "on", "match", "share", "ids", "times"})


class RuleError(ValueError):
    """A rule that cannot be understood, said so that its author can mend it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request as the rules see it."""

    operation: Operation
    recording_id: str | None = None
    ranged: bool = False
    credential: str = ""
    """The token or link signature; a fault that ends a credential ends it for ever."""
    target: str = ""
    """Path and query of the request, for a redirect to itself."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of fault: the stage it acts at, where it acts unless told, what it does to the stage's value."""

    stage: str
    on: tuple[Operation, ...]
    apply: Callable[[Params, Call, Any], Any] | None = None
    """None = the listing reads the rule itself."""
    params: Params = dataclasses.field(default_factory=dict)
    """Parameters with their defaults; a default's type is the parameter's."""
    choices: Mapping[str, tuple[object, ...]] = dataclasses.field(default_factory=dict)
    anywhere: bool = False
    """Whether `on` may name other operations."""
    only_ranged: bool = False
    ends_credentials: bool = False
    spare_uses: str = ""
    """The parameter that says how many uses a credential has before it ends."""


@dataclasses.dataclass
class Rule:
    """One rule with its counters."""

    fault: str
    kind: Kind
    seed: int
    on: tuple[Operation, ...]
    match: str | None
    share: float | None
    ids: frozenset[str] | None
    times: int
    params: Params
    hits: Counter[str] = dataclasses.field(default_factory=Counter)
    _uses: Counter[str] = dataclasses.field(default_factory=Counter)
    _ended: set[str] = dataclasses.field(default_factory=set)

    def selects(self, recording_id: str | None) -> bool:
        """Whether the rule means this recording; a rule that names recordings means no request without one."""
        if recording_id is None:
            return self.match is None and self.share is None and self.ids is None
        if self.ids is not None and recording_id not in self.ids:
            return False
        if self.match is not None and not fnmatch.fnmatchcase(recording_id, self.match):
            return False
        return self.share is None or self._draw(recording_id) < self.share

    def strikes(self, call: Call) -> bool:
        """Whether the fault happens to this request; counts it."""
        if call.operation not in self.on or not self.selects(call.recording_id):
            return False
        if self.kind.only_ranged and not call.ranged:
            return False
        if call.credential in self._ended:
            return True
        if self.kind.spare_uses:
            self._uses[call.credential] += 1
            if self._uses[call.credential] <= self.params[self.kind.spare_uses]:
                return False
        key = call.recording_id or call.operation
        if self.times and self.hits[key] >= self.times:
            return False
        self.hits[key] += 1
        if self.kind.ends_credentials:
            self._ended.add(call.credential)
        return True

    def described(self) -> dict[str, object]:
        """The rule as written, with how often it struck."""
        written = {"on": list(self.on), "match": self.match, "share": self.share, "times": self.times}
        ids = sorted(self.ids) if self.ids is not None else None
        return {"fault": self.fault, **written, "ids": ids, **self.params, "hits": self.hits.total()}

    def _draw(self, recording_id: str) -> float:
        """A number in [0, 1) that depends on seed, fault and recording only."""
        text = f"{self.seed} {self.fault} {recording_id}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 2**32


class Rules:
    """The rules in force."""

    def __init__(self, kinds: Mapping[str, Kind], seed: int) -> None:
        self._kinds = kinds
        self._seed = seed
        self.active: tuple[Rule, ...] = ()
        self.version = 0
        """Rises with each replacement, so that what was derived from the rules can be dropped."""

    def replace(self, document: object) -> None:
        """Put these rules in force, all counters at zero. Raises RuleError and keeps the old ones."""
        if not isinstance(document, Mapping) or set(document) - {"rules"}:
            raise RuleError("Rules are an object with one list, 'rules' (in TOML: [[rules]] tables).")
        entries = document.get("rules", [])
        if not isinstance(entries, list):
            raise RuleError("'rules' must be a list of rules.")
        self.active = tuple(self._parse(number, entry) for number, entry in enumerate(entries, 1))
        self.version += 1

    def load(self, path: Path) -> None:
        """Put a TOML file's rules in force. Raises RuleError."""
        try:
            self.replace(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise RuleError(f"{path} cannot be read ({error.strerror}).") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RuleError(f"{path}: {error}") from error
        except RuleError as error:
            raise RuleError(f"{path}: {error}") from error

    def at(self, stage: str) -> Rule | None:
        """The first rule of a stage, for the listing's own use; counts nothing."""
        return next((rule for rule in self.active if rule.kind.stage == stage), None)

    def through(self, stages: Iterable[str], call: Call, value: T) -> T:
        """The value after each stage's first striking rule has changed it."""
        if not self.active:
            return value
        for stage in stages:
            for rule in self.active:
                if rule.kind.stage == stage and rule.kind.apply is not None and rule.strikes(call):
                    value = rule.kind.apply(rule.params, call, value)
                    break
        return value

    def _parse(self, number: int, entry: object) -> Rule:
        try:
            if not isinstance(entry, Mapping):
                raise RuleError("a rule is a table")
            return self._rule(entry)
        except RuleError as error:
            raise RuleError(f"rule {number}: {error}.") from error

    def _rule(self, entry: Mapping[str, Any]) -> Rule:
        kind = self._kinds.get(str(entry.get("fault")))
        if kind is None:
            raise RuleError(f"unknown fault {entry.get('fault')!r}; known are {', '.join(sorted(self._kinds))}")
        share, times, match, ids = (entry.get(name) for name in ("share", "times", "match", "ids"))
        if share is not None and not (_is_number(share) and 0 <= share <= 1):
            raise RuleError("share is a number from 0 to 1")
        if times is not None and not (isinstance(times, int) and times >= 0):
            raise RuleError("times is a count, 0 = for ever")
        if match is not None and not isinstance(match, str):
            raise RuleError("match is a glob on the recording id")
        if ids is not None and not (isinstance(ids, list) and all(isinstance(each, str) for each in ids)):
            raise RuleError("ids is a list of recording ids")
        return Rule(
            fault=entry["fault"],
            kind=kind,
            seed=self._seed,
            on=_operations(entry.get("on"), kind),
            match=match,
            share=share,
            ids=None if ids is None else frozenset(ids),
            times=times or 0,
            params=_parameters(entry, kind),
        )


def _operations(wanted: object, kind: Kind) -> tuple[Operation, ...]:
    if wanted is None:
        return kind.on
    named = [wanted] if isinstance(wanted, str) else wanted
    allowed = OPERATIONS if kind.anywhere else kind.on
    if not isinstance(named, list) or not named or set(map(str, named)) - set(allowed):
        raise RuleError(f"on must be among {', '.join(allowed)}")
    return tuple(cast(list[Operation], named))


def _parameters(entry: Mapping[str, Any], kind: Kind) -> Params:
    given = {name: value for name, value in entry.items() if name not in SELECTORS}
    unknown = sorted(set(given) - set(kind.params))
    if unknown:
        known = ", ".join(sorted(kind.params)) or "none"
        raise RuleError(f"{entry['fault']} has no parameter {', '.join(unknown)}; it has: {known}")
    for name, value in given.items():
        default = kind.params[name]
        fits = _is_number(value) if isinstance(default, float) else type(value) is type(default)
        if not fits:
            raise RuleError(f"{name} must be a {type(default).__name__}, like {default!r}")
        if value not in kind.choices.get(name, (value,)):
            raise RuleError(f"{name} must be one of {', '.join(map(str, kind.choices[name]))}")
    return {**kind.params, **given}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
