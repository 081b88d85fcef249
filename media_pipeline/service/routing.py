"""Routes that answer HEAD wherever they answer GET, as every server has to (RFC 9110, section 9.1)."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send


class Route(APIRoute):
    """FastAPI's route; uvicorn leaves out the body of a reply to HEAD."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._takes(scope["method"]) else match), child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._takes(scope["method"]):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._taken()))})
        await self.app(scope, receive, send)

    def _takes(self, method: str) -> bool:
        return method in self._taken()

    def _taken(self) -> set[str]:
        methods = set(self.methods or ())
        return methods | {"HEAD"} if "GET" in methods else methods
