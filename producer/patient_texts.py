"""What a patient may read about their message: where it is, never what Carelane made of it.

The one exception is danger: when the message reads as if minutes counted, the patient is told at
once to call for help, in words that name no illness.
"""

from __future__ import annotations

from shared.contracts import PROCESSING, Status, Urgency

PROCESSING_TEXT = "Response received, processing…"
_WITH_TEAM = "Received. Your care team has it."
_DONE = "Your care team has dealt with your message."


def status_text(status: Status) -> str:
    """One sentence about where the message is."""
    if status in PROCESSING:
        return PROCESSING_TEXT
    return _DONE if status is Status.DONE else _WITH_TEAM


def emergency_text(
    status: Status, urgency_rank: int, *, flagged: bool, emergency_number: str
) -> str | None:
    """What to show above everything else, if anything.

    `urgency_rank` is the message's own (never above the floor of its red flags, unless a person
    said so). What only the model takes for urgent is the care team's business; what a rule
    flagged also gets words for the patient.
    """
    if status is Status.DONE:
        return None
    if urgency_rank == Urgency.EMERGENT.rank:
        return (
            f"Do not wait for an answer here. If this may be an emergency, call "
            f"{emergency_number} now or go to the nearest emergency room. "
            "Messages are not watched every minute."
        )
    if flagged and urgency_rank == Urgency.URGENT.rank:
        return (
            "Your message is marked for the care team to see soon. If you get worse or feel "
            f"unsafe while you wait, call {emergency_number} or your clinic's telephone line."
        )
    return None
