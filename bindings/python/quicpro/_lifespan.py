"""The lifespan of an application: startup before the first request, shutdown after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from . import errors
from ._exchange import ASGIApp, Message

__all__ = ["Lifespan", "LifespanError"]

logger = logging.getLogger("quicpro.server")


class LifespanError(errors.QuicproError, RuntimeError):
    """The application's startup failed."""


class Lifespan:
    """The lifespan protocol: startup before the first request, shutdown after the last."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._supported = True
        self._error: Exception | None = None

    async def startup(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("startup")
        if answer["type"] == "lifespan.startup.failed":
            await self._task
            raise LifespanError(f"the application failed to start: {answer.get('message', '')}")

    async def shutdown(self) -> None:
        if not self._supported or self._task is None:
            return
        answer = await self._ask("shutdown")
        if answer["type"] == "lifespan.shutdown.failed":
            logger.error("the application failed to shut down: %s", answer.get("message", ""))
        elif self._error is not None:
            logger.error("the application failed to shut down", exc_info=self._error)
        await self._task

    async def _ask(self, what: str) -> Message:
        await self._inbox.put({"type": f"lifespan.{what}"})
        return await self._answers.get()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._inbox.get, self._answers.put)
        except Exception as e:
            # An application that knows no lifespan raises: that is its right (ASGI, "Lifespan").
            logger.debug("no lifespan: %r", e)
            self._error = e
        self._supported = False
        await self._answers.put({"type": "lifespan.unsupported"})
