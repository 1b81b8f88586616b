"""boto3 over objects that cannot be read: refused_client.py BUCKET KEY... prints the code of each GET's error."""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions

bucket, *keys = sys.argv[1:]
client = boto3.client("s3", config=botocore.config.Config(retries={"max_attempts": 0}))


def code(key):
    try:
        client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        return [error.response["Error"]["Code"], type(error).__name__]
    return None


print(json.dumps([code(key) for key in keys]))
