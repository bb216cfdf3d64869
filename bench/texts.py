"""Message texts for load: the corpus's, marks stripped, in an order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator

from shared.taxonomy import Taxonomy
from training.corpus import SPLITS, read_clean


def message_texts(seed: int) -> Iterator[str]:
    """Texts of train and dev without end, none twice before all came once.

    The model was trained on some of them, which makes it surer than on new ones: shares per tier
    come from its card, not from here. A text's time in the model does not depend on it.
    """
    taxonomy = Taxonomy.load()
    texts = [
        example.text
        for split in ("train", "dev")
        for example in read_clean(SPLITS[split], taxonomy)
    ]
    shuffle = random.Random(seed)
    while True:
        shuffle.shuffle(texts)
        yield from texts
