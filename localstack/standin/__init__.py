"""A stand-in for the LLM: an OpenAI-compatible server that answers from the labelled corpus.

    python -m localstack.standin --port 8002

It is there so that everything around an LLM can be run, measured and broken on purpose without
one. Its answers say `"system_fingerprint": "standin"`, and pages say that the LLM is simulated.

What it understands of a request (all else of the API is accepted and ignored):

- The last user message holds JSON with the messages to label: a list of objects with `id` and
  `text`, anywhere in it, e.g. `{"items": [{"id": "k7", "text": "..."}]}`. Without JSON the content
  as a whole is one message. Earlier messages are the fixed prompt, and only count as tokens.
- `response_format` of type `json_schema`: the answer is built by walking the schema. An array of
  objects, or an object whose properties are the ids, gets one entry per message; a property named
  `id` gets the id; a value whose `enum` holds category codes or names gets the category (an array
  of them: all categories); the same for urgencies; a value whose `enum` holds category and urgency
  codes run together (`A3`) gets both; a free string gets a sentence; a number 0.9.
- `json_object` or no format: `{"items": [{"id": "k7", "c": ["A"], "u": "3"}]}`.
- `stream`, `stream_options.include_usage`, `max_tokens`, `max_completion_tokens`, `model`.

Codes are those of shared/taxonomy.yaml. Behaviour is set by knobs (knobs.py): by environment at
start and by POST /standin/knobs while it runs. GET /standin/requests is its own log, a witness for
tests; POST /standin/reset puts both back to the start.
"""
