"""Label unlabelled messages with an LLM: several votes each, and only agreement is kept.

The prompt, the answer's schema and its reader are those of the LLM tier, so a student learns
from exactly the voice that it will stand in for. Texts are de-identified first, unless the
caller says that they are invented.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shared.errors import CarelaneError, DeidError, LanguageModelBadAnswer
from shared.taxonomy import Taxonomy
from training.corpus import Example
from workers.llm_tier import answer as answers
from workers.llm_tier import prompt as prompts

Mask = Callable[[str], str]


class Asker(Protocol):
    """One question to a language model."""

    def __call__(self, prefix: str, question: str, schema: Any) -> str:
        """The answer's text."""
        ...


@dataclass(frozen=True, kw_only=True)
class TeachOptions:
    """How many are asked, and how many must agree."""

    votes: int = 3
    agreement: float = 0.66  # least share of the votes for the kept label
    workers: int = 8  # questions in flight


@dataclass(frozen=True, kw_only=True)
class Taught:
    """One message's outcome: labelled, or the reason why not."""

    example: Example
    share: float  # of the votes for the label
    reason: str = ""  # "", "no agreement", "no answer", "de-identification"


def teach(
    examples: Sequence[Example],
    taxonomy: Taxonomy,
    ask: Asker,
    mask: Mask,
    options: TeachOptions,
) -> Iterator[Taught]:
    """Outcomes in the order of the messages."""
    prefix = prompts.make_prompt(taxonomy, prompts.load_examples(taxonomy)).prefix
    codes = answers.label_codes(taxonomy)
    schema = answers.schema(codes)

    def one(example: Example) -> Taught:
        try:
            text = mask(example.text)
        except DeidError:
            return Taught(example=example, share=0.0, reason="de-identification")
        votes = [_vote(ask, prefix, text, codes, schema) for _ in range(options.votes)]
        return decide(example, [v for v in votes if v is not None], options)

    with ThreadPoolExecutor(options.workers) as pool:
        yield from pool.map(one, examples)


def _vote(ask: Asker, prefix: str, text: str, codes: Any, schema: Any) -> answers.Answer | None:
    (message_id,) = prompts.new_ids(1)
    question = prompts.question([prompts.Asked(id=message_id, text=text)])
    try:
        return answers.read(ask(prefix, question, schema), [message_id], codes)[message_id]
    except LanguageModelBadAnswer:
        return None


def decide(example: Example, votes: Sequence[answers.Answer], options: TeachOptions) -> Taught:
    """The label that most votes share, in primary category and urgency, if enough do."""
    if not votes:
        return Taught(example=example, share=0.0, reason="no answer")
    heads = Counter((vote.categories[0], vote.urgency) for vote in votes)
    (primary, urgency), count = heads.most_common(1)[0]
    share = count / options.votes
    if share < options.agreement:
        return Taught(example=example, share=share, reason="no agreement")
    further = Counter(
        name for vote in votes if vote.categories[0] == primary for name in vote.categories[1:]
    )
    members = [name for name, n in further.most_common() if n / count >= options.agreement]
    labelled = replace(example, categories=(primary, *members), urgency=urgency)
    return Taught(example=labelled, share=share)


def openai_asker(model: str, *, api_key: str, base_url: str | None, timeout_s: float) -> Asker:
    """Questions over the openai client; errors that stay after its retries end the run."""
    import openai

    client = openai.OpenAI(api_key=api_key, base_url=base_url, timeout=timeout_s, max_retries=5)

    def ask(prefix: str, question: str, schema: Any) -> str:
        try:
            reply = client.chat.completions.create(
                model=model,
                temperature=0.7,  # votes must be able to differ
                max_tokens=answers.max_tokens(1),
                messages=[
                    {"role": "system", "content": prefix},
                    {"role": "user", "content": question},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": answers.SCHEMA_NAME, "schema": schema, "strict": True},
                },
            )
        except openai.OpenAIError as error:
            raise CarelaneError(
                f"the LLM at {base_url or 'OpenAI'} did not answer: {error}. Check OPENAI_API_KEY, "
                "OPENAI_BASE_URL and --llm."
            ) from error
        return reply.choices[0].message.content or ""

    return ask
