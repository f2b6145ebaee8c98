"""Applications called from batches of events (src/asgi)."""

from typing import Any

class Exchange:
    stream: int
    task: Any

class Core:
    templates: dict[int, dict[str, Any]]

    def __init__(
        self,
        *,
        loop: int,
        server: Any,
        app: Any,
        event_loop: Any,
        exchange_type: type[Exchange],
        make_task: Any,
        schedule_flush: Any,
        requests: dict[int, Any],
        state: dict[str, Any],
        client_certs: bool,
        fields: tuple[bytes, ...],
        date: bool,
        start: Any = None,
    ) -> None: ...
    @property
    def current(self) -> Exchange | None: ...
    def on_batch(self, address: int) -> bool: ...
