"""Writes to a bucket and reads it: bucket.py VERB ENDPOINT BUCKET ...

create; put PREFIX FOLDER; remove KEY...; hashes PREFIX, which prints the SHA-256 of each object by its key.
"""

import concurrent.futures
import hashlib
import json
import pathlib
import sys

import boto3

verb, endpoint, bucket, *rest = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


def put(prefix, folder):
    folder = pathlib.Path(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]

    def put_one(path):
        key = prefix + path.relative_to(folder).as_posix()
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put_one, files))


def hashes(prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [listed["Key"] for page in pages for listed in page.get("Contents", [])]

    def hash_one(key):
        return hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print(json.dumps(dict(zip(keys, pool.map(hash_one, keys)))))


if verb == "create":
    s3.create_bucket(Bucket=bucket)
elif verb == "put":
    put(*rest)
elif verb == "hashes":
    hashes(*rest)
else:
    for key in rest:
        s3.delete_object(Bucket=bucket, Key=key)
