"""Links to recordings: kept in memory while they live, handed out once, asked for anew a hundred at a time.

Links that a listing learned are handed over to whoever downloads in the same process. For all others, the downloader
says what comes next (`expect`), a batch request goes out, and whoever needs the first link of a batch waits for it on
behalf of all. Nothing here is ever written to disk or shown.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from media_pipeline.genesys.errors import GenesysError
from media_pipeline.genesys.platform_batches import BATCH_ITEMS, Batches, DeliveredFile, Delivery, Job, Key, Wanted
from media_pipeline.genesys.platform_held import HeldLinks
from media_pipeline.genesys.platform_polling import Waiter

MARGIN_SECONDS = 60.0
MARGIN_SHARE = 0.1
"""A link is not handed out in the last min(60 s, 10 %) of its life: the request has to arrive."""
GATHERING_WAITS = 0.2
"""A request nobody announced waits this share of a first wait for others to go with it."""
SMALLEST_BATCH = 10
REFUSALS = 3
"""So many links of one batch that had to be renewed make all links of its age suspect."""
REMEMBERED = 5_000
MOST_AHEAD = 1_000
"""Links asked for before they are needed; halved whenever one died unused."""
_EXPIRES = re.compile(r"[?&]X-Amz-Expires=([0-9]{1,9})(?=[&#]|$)")


@dataclass(frozen=True, slots=True)
class FileWanted:
    """One file of a recording, as a listing knew it: its index, what tells it from others, how many there were.

    Without an identity, the index counts files in the order of their delivery.
    """

    index: int
    identity: str | None = None
    of: int | None = None

    def place(self, files: Mapping[int, DeliveredFile], *, only: bool, stays: bool) -> int | None:
        """Where it is among these; None where none of them surely is it.

        The only file of a recording is known without an identity: the source may keep it elsewhere now. So are as many
        as were listed, by their order, unless some file is known to have stayed where it was (`stays`).
        """
        if self.identity is None:
            return self.index if self.index in files else None
        for place, file in files.items():
            if file.identity == self.identity:
                return place
        if self.of == 1:
            return next(iter(files), None) if only else None
        return self.index if not stays and len(files) == self.of and self.index in files else None


@dataclass(slots=True)
class _Request:
    """A batch that threads wait for: the first one works, the others wait for its lock."""

    keys: list[Key]
    job: Job | None = None
    done: bool = False
    error: GenesysError | None = None
    delivery: Delivery | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Links:
    """Hands out links; safe to use from threads. `lifetime_seconds` is asked for once, if a link does not say it."""

    def __init__(self, batches: Batches, waiter: Waiter, lifetime_seconds: Callable[[], float]) -> None:
        self._batches = batches
        self._waiter = waiter
        self._ask_lifetime = lifetime_seconds
        self._lifetime: float | None = None
        self._lock = threading.Lock()
        self._files_stay = False
        """Whether a file was ever found where a listing knew it: then links are signed anew for the same places."""
        self._held = HeldLinks()
        self._requests: dict[Key, _Request] = {}
        self._open: _Request | None = None
        self._later: dict[Key, None] = {}
        """Expected, not taken and not asked for since, in order; links of some may be held."""
        self._ahead: set[Key] = set()
        """Asked for because expected, and not taken yet."""
        self._handed_out: OrderedDict[tuple[Key, int], float] = OrderedDict()
        """When the links handed out of late were signed."""
        self._refusals: Counter[float] = Counter()
        self._refused_until = float("-inf")
        self._batch_items = BATCH_ITEMS
        self._most_ahead = MOST_AHEAD

    def learn(self, delivery: Delivery) -> None:
        """Keep what a batch delivered."""
        stated = {key: [_stated_lifetime(file.link) for file in files] for key, files in delivery.files.items()}
        silent = any(seconds is None for lives in stated.values() for seconds in lives)
        default = self._lifetime_seconds() if silent else 0.0
        alike: dict[float, dict[Key, list[DeliveredFile]]] = {}
        for key, files in delivery.files.items():
            life = min(default if seconds is None else seconds for seconds in stated[key])
            alike.setdefault(life, {})[key] = files
        with self._lock:
            for life, found in alike.items():
                best_before = delivery.signed_after + life - min(MARGIN_SECONDS, MARGIN_SHARE * life)
                self._held.add(found, delivery.signed_after, best_before, delivery.refused)

    def expect(self, keys: Iterable[Key]) -> None:
        """These will be taken soon: ask for full batches at once, unless as many as can be used in time are under way.

        What is left over is asked for together with the first link of it that is taken.
        """
        with self._lock:
            self._later |= {key: None for key in keys if key not in self._requests}
        while True:
            with self._lock:
                missing = sum(not self._is_held(key) for key in self._later)
                if missing < self._batch_items or len(self._ahead) + self._batch_items > self._most_ahead:
                    return
                request = _Request([])
                self._fill(request)
            with request.lock:
                if request.job is None and not request.done:  # else someone could not wait
                    self._submit(request)

    def take(self, key: Key, wanted: FileWanted) -> DeliveredFile | Delivery:
        """A link that was not handed out before, or the delivery that should have had it; raises GenesysError."""
        with self._lock:
            if (signed_after := self._handed_out.pop((key, wanted.index), None)) is not None:
                self._distrust(signed_after)
            if key in self._ahead and not self._is_held(key) and key not in self._requests:
                self._ask_later()
            self._ahead.discard(key)
            self._later.pop(key, None)
            file = self._taken(key, wanted)
            if file is not None:
                return file
            request = self._requests.get(key) or self._joined(key)
        with request.lock:
            if not request.done:
                self._settle(request)
        if request.error is not None:
            raise request.error
        with self._lock:
            file = self._taken(key, wanted)
        if file is not None:
            return file
        assert request.delivery is not None
        files = dict(enumerate(request.delivery.files.get(key, [])))
        place = self._place(wanted, files, only=len(files) == 1 and key not in request.delivery.refused)
        return request.delivery if place is None else files[place]  # it died while this one waited

    def _taken(self, key: Key, wanted: FileWanted) -> DeliveredFile | None:
        life = self._held.life_of(key)
        if life is None:
            return None
        if not self._is_good(life):
            self._held.drop(key)
            return None
        files, only = self._held.files_of(key)
        place = self._place(wanted, files, only=only)
        file = None if place is None else self._held.take(key, place)
        if file is not None:
            self._hand_out(key, wanted.index, life[0])
        return file

    def _place(self, wanted: FileWanted, files: Mapping[int, DeliveredFile], *, only: bool) -> int | None:
        place = wanted.place(files, only=only, stays=self._files_stay)
        self._files_stay |= place is not None and files[place].identity == wanted.identity
        return place

    def _is_held(self, key: Key) -> bool:
        life = self._held.life_of(key)
        return life is not None and self._is_good(life)

    def _is_good(self, life: tuple[float, float]) -> bool:
        signed_after, best_before = life
        return best_before > self._waiter.now() and signed_after > self._refused_until

    def _hand_out(self, key: Key, file_index: int, signed_after: float) -> None:
        self._handed_out[key, file_index] = signed_after
        while len(self._handed_out) > REMEMBERED:
            self._handed_out.popitem(last=False)

    def _distrust(self, signed_after: float) -> None:
        """A link was no good; after some, no link of that age is: then they are asked for in batches, not one by one
        after each refusal. Called with the lock held."""
        self._refusals[signed_after] += 1
        if self._refusals[signed_after] >= REFUSALS:
            self._refused_until = max(self._refused_until, signed_after)
            self._refusals.clear()

    def _ask_later(self) -> None:
        """A link died before its use: ask for fewer at a time from now on; called with the lock held."""
        if self._most_ahead > self._batch_items:
            self._most_ahead = max(self._most_ahead // 2, self._batch_items)
        else:
            self._batch_items = max(self._batch_items // 2, SMALLEST_BATCH)

    def _joined(self, key: Key) -> _Request:
        """The request that gathers what is needed now; called with the lock held."""
        if self._open is None or len(self._open.keys) >= BATCH_ITEMS:
            self._open = _Request([])
        self._open.keys.append(key)
        self._requests[key] = self._open
        return self._open

    def _fill(self, request: _Request) -> None:
        """Add what is expected and not held, the nearest first; called with the lock held."""
        missing = (key for key in self._later if not self._is_held(key))
        for key in list(islice(missing, max(0, self._batch_items - len(request.keys)))):
            del self._later[key]
            request.keys.append(key)
            self._requests[key] = request
            self._ahead.add(key)

    def _settle(self, request: _Request) -> None:
        """Submit what is not, wait, and keep what came; called with the request's lock held."""
        try:
            if request.job is None and request.error is None:
                unit = self._waiter.patience.first_wait_seconds
                self._waiter.sleep_until(self._waiter.now() + unit * GATHERING_WAITS)
                with self._lock:
                    if self._open is request:
                        self._open = None
                    self._fill(request)
                self._submit(request)
            if request.job is not None:
                request.delivery = self._batches.collect(request.job)
                self.learn(request.delivery)
        except GenesysError as error:
            request.error = error
        finally:
            request.done = True
            with self._lock:
                if self._open is request:
                    self._open = None
                for key in request.keys:
                    self._requests.pop(key, None)

    def _submit(self, request: _Request) -> None:
        try:
            request.job = self._batches.submit([Wanted(*key) for key in request.keys])
        except GenesysError as error:  # told to those who wait for its links
            request.error = error

    def _lifetime_seconds(self) -> float:
        if self._lifetime is None:
            self._lifetime = self._ask_lifetime()
        return self._lifetime


def _stated_lifetime(link: str) -> float | None:
    """Seconds a presigned S3 link says it lives, whatever any clock says; None when it does not say."""
    stated = _EXPIRES.search(link)
    return float(stated[1]) if stated else None
