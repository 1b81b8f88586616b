"""Writes to a bucket: bucket.py put ENDPOINT BUCKET PREFIX FOLDER, bucket.py remove ENDPOINT BUCKET KEY..."""

import concurrent.futures
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


if verb == "put":
    put(*rest)
else:
    for key in rest:
        s3.delete_object(Bucket=bucket, Key=key)
