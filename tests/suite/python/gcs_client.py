"""Google's own client over an export: gcs_client.py VERB ..., with the account's folder in PREFIX.

What `e3sync auth --source gcs --format json` printed stands in ANSWER. Each verb prints JSON.
"""

import hashlib
import json
import os
import subprocess
import sys

import google.api_core.exceptions
import google.auth.credentials
from google.cloud import storage


class Token(google.auth.credentials.Credentials):
    """The token of the answer; a new one, by the command in E3SYNC where there is one, when it is refused."""

    def __init__(self):
        super().__init__()
        self.token = json.loads(os.environ["ANSWER"])["token"]
        self.renewals = 0

    def refresh(self, request):
        if "E3SYNC" in os.environ:
            call = [os.environ["E3SYNC"], "auth", "--source", "gcs", "--format", "json"]
            self.token = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)["token"]
            self.renewals += 1


verb, *arguments = sys.argv[1:]
token = Token()
client = storage.Client("tests", token, client_options={"api_endpoint": os.environ["ENDPOINT"]})
bucket = client.bucket(json.loads(os.environ["ANSWER"])["uri"].split("/")[2])
prefix = os.environ["PREFIX"]


def describe(blob):
    content = blob.download_as_bytes(checksum="md5" if blob.md5_hash else "crc32c")
    return {"size": blob.size, "sha256": hashlib.sha256(content).hexdigest()}


def read():
    """Every object, its bytes verified by the client."""
    pages = client.list_blobs(bucket, prefix=prefix, page_size=7).pages
    listed = [list(page) for page in pages]
    return {"pages": len(listed), "objects": {blob.name: describe(blob) for page in listed for blob in page}}


def folders():
    """The folders directly below the account's, by pages of one."""
    blobs = client.list_blobs(bucket, prefix=prefix, delimiter="/", page_size=1)
    return {"objects": [blob.name for blob in blobs], "folders": sorted(blobs.prefixes)}


def versions(key):
    """A part of the bytes, and what is answered for another generation."""
    blob = bucket.get_blob(key)
    same = bucket.blob(key, generation=blob.generation)
    whole = same.download_as_bytes()
    is_part_right = same.download_as_bytes(start=10, end=99) == whole[10:100]
    other = bucket.blob(key, generation=blob.generation - 1)
    return {
        "part": is_part_right and same.download_as_bytes(start=len(whole) - 5) == whole[-5:],
        "other": outcome(other.download_as_bytes),
        "unmatched": outcome(lambda: blob.download_as_bytes(if_generation_match=blob.generation - 1)),
        "matched": outcome(lambda: blob.download_as_bytes(if_generation_match=blob.generation)),
    }


def download(key):
    """How the download of an object ends, checked against each checksum."""
    return [outcome(lambda: bucket.blob(key).download_as_bytes(checksum=kind)) for kind in ["crc32c", "md5"]]


def renew():
    """Lists page by page; whoever reads a line may end the token before the next."""
    keys = []
    for page in client.list_blobs(bucket, prefix=prefix, page_size=20).pages:
        keys.extend(blob.name for blob in page)
        print(flush=True)
        sys.stdin.readline()
    return {"keys": keys, "renewals": token.renewals}


def outcome(call):
    try:
        call()
    except google.api_core.exceptions.GoogleAPICallError as error:
        return [error.code, error.message]
    except Exception as error:
        return type(error).__name__
    return "done"


def listing():
    """How a listing ends."""
    return outcome(lambda: list(client.list_blobs(bucket, prefix=prefix)))


print(json.dumps(globals()[verb](*arguments)))
