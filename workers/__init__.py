"""The workers: Celery tasks over plain functions, fast tier, LLM tier, de-identification."""
