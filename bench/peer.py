"""The peer: what one would write instead of Carelane, kept as simple as one would write it.

One Celery task per message with the message's text on SQS, Hugging Face's `text-classification`
pipeline in PyTorch, one insert per message. Where a naive choice would only slow it down without
being the point (Celery's polling interval of a second, PyTorch threads that fight over the cores,
a database connection per task, a second model for the second head), the peer gets the better one.
With PEER_AS_IT_COMES=1 the first two are left as Celery and PyTorch come.

    python -m bench.peer PROCESSES        the worker; reads PEER_DATABASE_DSN and PEER_SQS_ENDPOINT
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import psycopg2
from celery import Celery
from celery.signals import worker_process_init

from shared.contracts import Urgency
from shared.taxonomy import Taxonomy

TASK: Final = "peer.classify"
QUEUE: Final = "peer"
#: Tokens after which a text is cut, as in Carelane's bundle.
MAX_TOKENS: Final = 256
TABLE: Final = """
    CREATE TABLE IF NOT EXISTS peer_labels (
        message_id uuid PRIMARY KEY, category text NOT NULL, urgency text NOT NULL,
        model_ms real NOT NULL, labelled_at timestamptz NOT NULL DEFAULT clock_timestamp())
"""
_INSERT: Final = (
    "INSERT INTO peer_labels (message_id, category, urgency, model_ms) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)


def make_app(sqs_endpoint: str) -> Celery:
    """The Celery app, for the worker and for whoever sends."""
    app = Celery("peer", broker=sqs_endpoint.replace("http://", "sqs://test:test@"))
    app.conf.update(
        broker_transport_options={
            "region": "us-east-1",
            "is_secure": False,
            "predefined_queues": {
                QUEUE: {
                    "url": f"{sqs_endpoint}/000000000000/{QUEUE}",
                    "access_key_id": "test",
                    "secret_access_key": "test",
                }
            },
            **({} if _as_it_comes() else {"polling_interval": 0.05, "wait_time_seconds": 2}),
        },
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=True,
        worker_enable_remote_control=False,
    )
    return app


def _as_it_comes() -> bool:
    return os.environ.get("PEER_AS_IT_COMES") == "1"


class Labeller:
    """One worker process's model and database connection."""

    def __init__(self, dsn: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        from training.network import base_folder

        if not _as_it_comes():
            # A process per core: more threads than that only fight.
            torch.set_num_threads(1)
        taxonomy = Taxonomy.load()
        self._names = [*taxonomy.category_names, *Urgency]
        self._categories = len(taxonomy.category_names)
        folder = base_folder("minilm-l6")
        # One head for categories and urgency: one forward pass per message. Its weights are
        # random: the answer is worthless, and takes exactly as long as a trained head's.
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=len(self._names), problem_type="multi_label_classification"
        )
        model.config.id2label = dict(enumerate(self._names))
        self._classify: Any = pipeline(
            "text-classification",
            model=model,
            tokenizer=AutoTokenizer.from_pretrained(folder),
            top_k=None,
        )
        self._database = psycopg2.connect(dsn)
        self._database.autocommit = True

    def label(self, message_id: str, text: str) -> None:
        """Classify and insert."""
        started = time.perf_counter()
        [answer] = self._classify([text], truncation=True, max_length=MAX_TOKENS)
        model_ms = (time.perf_counter() - started) * 1000
        scores = {each["label"]: each["score"] for each in answer}
        category = max(self._names[: self._categories], key=scores.__getitem__)
        urgency = max(self._names[self._categories :], key=scores.__getitem__)
        with self._database.cursor() as cursor:
            cursor.execute(_INSERT, (message_id, category, urgency, model_ms))


def main() -> None:
    """Run the worker with so many processes."""
    processes = sys.argv[1]
    app = make_app(os.environ["PEER_SQS_ENDPOINT"])
    labellers: list[Labeller] = []

    @worker_process_init.connect(weak=False)
    def load(**_: object) -> None:
        labellers.append(Labeller(os.environ["PEER_DATABASE_DSN"]))

    @app.task(name=TASK)
    def classify(message_id: str, text: str) -> None:
        labellers[0].label(message_id, text)

    app.worker_main(["worker", "--concurrency", processes, "--loglevel", "WARNING", "-Q", QUEUE])


if __name__ == "__main__":
    main()
