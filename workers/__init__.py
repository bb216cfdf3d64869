"""The workers: Celery tasks over plain functions, the fast tier, the LLM tier, de-identification."""
