"""What compressing a message saves in tokens, and whether it moves labels.

    python -m bench.compression

dev.jsonl as it is (the corpus has few quotations), and the same messages as e-mail gateways
deliver them: with a quoted thread, a signature block, a disclaimer. Label drift is the share of
messages whose primary category or urgency by the small model differs before and after; tokens are
estimated at four characters each. Where drift is above the bound, compression should be off.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.taxonomy import Taxonomy
from training.corpus import SPLITS, read_clean
from workers.fast_tier.tier import FastTier
from workers.llm_tier.chat import estimated_tokens
from workers.llm_tier.compress import MOST_CHARS, compress

_WRAPPED = """{text}

On Mon, Mar 4, 2024 at 9:12 AM the clinic wrote:
> Thank you for your message. We will answer within two working days.
> If this is an emergency, call 911.
> Your care team
"""
_DISCLAIMER = (
    "\nCONFIDENTIALITY NOTICE: this message is intended only for the addressee and may hold "
    "protected health information. If you received this message in error, delete it."
)
_DRIFT_BOUND = 0.01


def measure(
    name: str,
    before: Sequence[str],
    plain: Sequence[str],
    tier: FastTier,
    most_chars: int | None = None,
) -> str:
    """One line of the table: `before` compressed, against the labels of the plain texts."""
    after = [compress(text, most_chars) for text in before]
    tokens_before = sum(map(estimated_tokens, before))
    tokens_after = sum(map(estimated_tokens, after))
    moved = sum(_label(a, tier) != _label(b, tier) for a, b in zip(plain, after, strict=True))
    drift = moved / len(before)
    verdict = "on" if drift <= _DRIFT_BOUND else "OFF: it drifts"
    saved = 1 - tokens_after / tokens_before
    return (
        f"| {name} | {tokens_before:,} | {tokens_after:,} | {saved:.1%} | {drift:.2%} | {verdict} |"
    )


def _label(text: str, tier: FastTier) -> tuple[str, str]:
    scores = tier.score(text)
    return scores.category_set[0], scores.urgency.value


def main() -> None:
    """Print the table."""
    tier = FastTier.load()
    plain = [each.text for each in read_clean(SPLITS["dev"], Taxonomy.load())]
    print("| messages | tokens before | after | saved | label drift | compression |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(measure("dev as written", plain, plain, tier))
    wrapped = [_WRAPPED.format(text=text) + _DISCLAIMER for text in plain]
    print(measure("dev as e-mail gateways deliver it", wrapped, plain, tier))
    joined = [" ".join(plain[at : at + 12]) for at in range(0, len(plain) - 12, 12)]
    print(measure("twelve at a time, as very long ones", joined, joined, tier))
    print(measure("the same, cut as well", joined, joined, tier, MOST_CHARS))


if __name__ == "__main__":
    main()
