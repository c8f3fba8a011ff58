"""One upload with tuspy, told by a JSON object as the only argument; prints
{"url", "offset"} or {"status"} of the refusal as JSON.

endpoint, file, metadata; chunk_size; checksum (an algorithm's name, or "wrong"
for a false sha1); stop_at; storage (a file that remembers URLs); run_async.
"""
import asyncio
import hashlib
import json
import sys

from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader.baseuploader import BaseUploader


def algorithm(name):
    if name == "wrong":
        return ("sha1", lambda data: hashlib.sha1(data + b"!"))
    return (name, getattr(hashlib, name))


def main(task):
    options = {"metadata": task["metadata"]}
    if "chunk_size" in task:
        options["chunk_size"] = task["chunk_size"]
    if "checksum" in task:
        BaseUploader.CHECKSUM_ALGORITHM_PAIR = algorithm(task["checksum"])
        options["upload_checksum"] = True
    if "storage" in task:
        options.update(store_url=True, url_storage=FileStorage(task["storage"]))
    client = TusClient(task["endpoint"])
    if task.get("run_async"):
        uploader = client.async_uploader(task["file"], **options)
    else:
        uploader = client.uploader(task["file"], **options)
    answer = {"start": uploader.offset}
    try:
        running = uploader.upload(stop_at=task.get("stop_at"))
        if running is not None:
            asyncio.run(running)
    except TusUploadFailed as refusal:
        answer["status"] = refusal.status_code
    answer.update(url=uploader.url, offset=uploader.offset)
    print(json.dumps(answer))


main(json.loads(sys.argv[1]))
