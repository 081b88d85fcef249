"""Callables of the deployment's own that hear of events in the process in which they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.redaction import redact
from media_pipeline.notify.events import EVENT_TYPES, Event

Callback = Callable[[Event], object]


class Callbacks:
    """Who hears of which type of event; what a callable raises is reported and stops nothing."""

    def __init__(self, by_type: Mapping[str, Callback | Iterable[Callback]] | None = None) -> None:
        """One callable or several for each type; raises ConfigurationError for a type that does not exist."""
        unknown = sorted(set(by_type or {}) - set(EVENT_TYPES))
        if unknown:
            raise ConfigurationError(
                f"There is no event {', '.join(unknown)} to call back for; the events are {', '.join(EVENT_TYPES)}."
            )
        self._by_type = {
            event_type: (given,) if callable(given) else tuple(given) for event_type, given in (by_type or {}).items()
        }

    def hear(self, event_type: str) -> bool:
        """Whether anybody wants to hear of this type."""
        return bool(self._by_type.get(event_type))

    def tell(self, event: Event, report: Callable[[str], None]) -> None:
        """Call all of the event's type, one after the other."""
        for callback in self._by_type.get(event.type, ()):
            try:
                callback(event)
            except Exception as error:  # whatever it is, it is the callback's own trouble
                name = getattr(callback, "__qualname__", type(callback).__name__)
                report(
                    f"The callback {name} failed on {event.type} {event.id} ({type(error).__name__}: "
                    f"{redact(str(error))}); the run goes on, and the event is not told to it again."
                )
