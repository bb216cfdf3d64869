"""Before a worker starts: can it open what the intake seals now?

One old text under a lost key must not stop all work, so only the newest counts. A worker that
cannot open that one could open none, and would keep every message from the workers that can.
"""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import text

from shared.database import make_engine, transaction
from shared.errors import SettingsError, StoreUnavailable
from shared.sealed_columns import sealing
from shared.sealed_text import SEALED_PATTERN, key_of
from shared.settings import Settings

logger = logging.getLogger(__name__)

#: Of the last messages the newest that is sealed, its key's id and no more.
_NEWEST: Final = text(
    """
    SELECT head FROM (
        SELECT left(text, 64) AS head, received_at, id FROM messages
        ORDER BY received_at DESC, id DESC LIMIT 100
    ) AS last WHERE head ~ :sealed ORDER BY received_at DESC, id DESC LIMIT 1
    """
)


def check_text_keys(settings: Settings, kind: str) -> None:
    """Refuse to start without the key of the newest sealed message.

    Raises:
        SettingsError: it is not among CARELANE_TEXT_KEYS; the text names its id.
    """
    engine = make_engine(settings, f"carelane-{kind} start", pool_size=1)
    try:
        with transaction(engine) as connection:
            head = connection.execute(_NEWEST, {"sealed": SEALED_PATTERN}).scalar_one_or_none()
    except StoreUnavailable as error:
        # A worker may start before its database; what it cannot open then, it leaves alone.
        logger.warning("text keys not checked", extra={"reason": str(error)})
        return
    finally:
        keys = sealing(engine).keys
        engine.dispose()
    key_id = key_of(head) if head else None
    if key_id is not None and key_id not in keys.ids:
        raise SettingsError(
            f"the newest messages are sealed under the key {key_id!r}, which is not among "
            "CARELANE_TEXT_KEYS here. A worker that cannot open them would label none: add the "
            "key, and give every process the same keys"
        )
