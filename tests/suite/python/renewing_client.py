"""Lists pages with one client for as long as lines come in: renewing_client.py BUCKET PREFIX.

Prints the keys of a page as JSON, and waits for a line before it asks for the next.
"""

import json
import sys

import boto3

bucket, prefix = sys.argv[1:]
s3 = boto3.session.Session(profile_name="optimizely").client("s3")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 10})
for page in pages:
    print(json.dumps([entry["Key"] for entry in page["Contents"]]), flush=True)
    sys.stdin.readline()
