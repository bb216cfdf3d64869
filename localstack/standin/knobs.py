"""How the stand-in behaves: set by environment at start and by POST while it runs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from shared.errors import CarelaneError

#: Every way in which a call can go wrong, and what the client then sees.
FAULTS: Final = {
    "rate_limit": "429 with Retry-After",
    "rate_limit_bare": "429 without Retry-After",
    "server_error": "500",
    "overloaded": "503",
    "bad_key": "401",
    "model_not_found": "404",
    "content_filter_prompt": "400, the prompt was filtered (as Azure says it)",
    "slow_headers": "nothing at all for slow_s, then a good answer",
    "stalled_stream": "half of the answer, then nothing for slow_s, then the connection ends",
    "dropped": "half of the answer, then the connection ends",
    "malformed_json": "text that is no JSON",
    "wrong_shape": "JSON of another shape than asked for",
    "missing_id": "one message is left out",
    "doubled_id": "one message comes twice, with two labels",
    "wrong_id": "one message has an id that nobody sent",
    "invalid_code": "one message has a category that does not exist",
    "refusal": "a refusal instead of content",
    "cut_off": "half of the answer, finish_reason length",
    "content_filter": "no content, finish_reason content_filter",
    "empty_choices": "no choices",
}


class KnobError(CarelaneError):
    """A knob that does not exist, or a value that it does not take."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One setting of all knobs. The environment sets each as STANDIN_<NAME>."""

    latency_mean_s: float = 0.0  # until the first token; log-normal
    latency_sigma: float = 0.5  # its spread; 0 makes every call alike
    output_token_s: float = 0.0  # for each token of the answer
    accuracy: float = 1.0  # how often an answer is right where the true label is known
    seed: int = 0  # another seed gets other messages wrong
    retry_after_s: float = 1.0  # what a 429 asks for
    slow_s: float = 60.0  # how long slow_headers and stalled_stream last
    obeys_injections: bool = False  # do what a message says about labels, to itself and to others
    api_key: str = ""  # the only key taken; empty takes any
    models: tuple[str, ...] = ()  # the only models known; empty knows any
    formats: tuple[str, ...] = ("json_schema", "json_object")  # others are refused with 400
    #: Fault name → share of calls, drawn for each call.
    fault_rates: Mapping[str, float] = field(default_factory=dict)
    #: Faults of the next calls in order; "" is a good call. Taken before fault_rates.
    next_faults: tuple[str, ...] = ()
    #: Text → fault of every call that holds it.
    fail_if_text_contains: Mapping[str, str] = field(default_factory=dict)

    def turned(self, values: Mapping[str, Any]) -> Knobs:
        """These knobs with some turned.

        Raises:
            KnobError: no such knob, or not a value for it.
        """
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        changes = {}
        for name, value in values.items():
            if name not in known:
                raise KnobError(f"no knob {name!r}; there are {', '.join(known)}")
            changes[name] = _converted(name, value, known[name])
        made = replace(self, **changes)
        named = {*made.fault_rates, *made.next_faults, *made.fail_if_text_contains.values()} - {""}
        if unknown := named - set(FAULTS):
            raise KnobError(f"no fault {sorted(unknown)}; there are {', '.join(FAULTS)}")
        return made

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Knobs:
        """Knobs from STANDIN_LATENCY_MEAN_S and the like; rates as `refusal=0.01,cut_off=0.02`."""
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = env.get(f"STANDIN_{each.name.upper()}", "").strip()
            if not text:
                continue
            parts = [part.strip() for part in text.split(",")]
            if each.name in ("fault_rates", "fail_if_text_contains"):
                values[each.name] = dict(part.split("=", 1) for part in parts)
            elif each.name in ("models", "formats", "next_faults"):
                values[each.name] = parts
            else:
                values[each.name] = text
        return cls().turned(values)

    def latency_s(self, chance: random.Random) -> float:
        """The time to the first token of one call."""
        if self.latency_mean_s <= 0:
            return 0.0
        mu = math.log(self.latency_mean_s) - self.latency_sigma**2 / 2
        return chance.lognormvariate(mu, self.latency_sigma)

    def fault(self, text: str, chance: random.Random) -> str:
        """What befalls a call with this text by content or chance; empty for nothing."""
        for needle, fault in self.fail_if_text_contains.items():
            if needle in text:
                return fault
        drawn = chance.random()
        for fault, rate in self.fault_rates.items():
            drawn -= rate
            if drawn < 0:
                return fault
        return ""


def _converted(name: str, value: Any, like: Any) -> Any:
    try:
        if isinstance(like, bool):
            return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes")
        if isinstance(like, tuple):
            return tuple(str(each) for each in value)
        if isinstance(like, Mapping):
            as_rate = float if name == "fault_rates" else str
            return {str(key): as_rate(each) for key, each in dict(value).items()}
        return type(like)(value)
    except (TypeError, ValueError) as error:
        raise KnobError(f"knob {name} does not take {value!r}") from error
