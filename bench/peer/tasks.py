"""The other half of that stack: the celery worker that made the looks of 2014. Here it waits, for its memory."""

import os

import celery

worker = celery.Celery("tasks", broker="redis+socket://" + os.environ["PEER_REDIS"])


@worker.task
def look(container_id):
    """Nothing calls it."""
