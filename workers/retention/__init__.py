"""What is old enough goes: messages, labels that no longer count, LLM calls, audit rows."""
