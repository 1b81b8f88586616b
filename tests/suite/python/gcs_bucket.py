"""Writes to a bucket of Google's: gcs_bucket.py VERB ENDPOINT BUCKET ...

create; put PREFIX FOLDER; remove KEY...; generation KEY, which prints the object's newest.
"""

import concurrent.futures
import pathlib
import sys

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

verb, endpoint, bucket_name, *rest = sys.argv[1:]
client = storage.Client("tests", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
bucket = client.bucket(bucket_name)


def put(prefix, folder):
    folder = pathlib.Path(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]

    def put_one(path):
        key = prefix + path.relative_to(folder).as_posix()
        bucket.blob(key).upload_from_string(path.read_bytes(), "application/octet-stream")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put_one, files))


if verb == "create":
    client.create_bucket(bucket)
elif verb == "put":
    put(*rest)
elif verb == "remove":
    for key in rest:
        bucket.delete_blob(key)
else:
    print(bucket.get_blob(*rest).generation)
