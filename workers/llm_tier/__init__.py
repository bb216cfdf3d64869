"""The LLM tier: prompt, call, answer. Pure, apart from `client` (the LLM) and `gate` (Postgres)."""
