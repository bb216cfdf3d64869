"""The peer of serving.py: the bundle behind LitServe. `python -m bench.serving_peer PORT`."""

from __future__ import annotations

import sys

import litserve

from workers.fast_tier.tier import SHIPPED, FastTier


class Triage(litserve.LitAPI):  # type: ignore[misc]  # litserve is not where lint runs
    """One message a request, scored as a fast worker does."""

    def setup(self, device: str) -> None:  # noqa: ARG002  its interface
        """Load the model in the process that runs it."""
        self._tier = FastTier.load(SHIPPED)

    def decode_request(self, request: dict[str, str]) -> str:
        """The message's text."""
        return request["text"]

    def predict(self, text: str) -> list[float]:
        """Scores of the categories."""
        return list(self._tier.score(text).category_probabilities)

    def encode_response(self, found: list[float]) -> dict[str, list[float]]:
        """As JSON."""
        return {"categories": found}


def main() -> None:
    """Serve until told to stop."""
    server = litserve.LitServer(Triage(), accelerator="cpu", workers_per_device=1)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="error"
    )


if __name__ == "__main__":
    main()
