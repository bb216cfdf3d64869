"""The LLM tier: prompt, call, answer. Pure parts apart from `client`, which talks to the LLM."""
