"""Makes moto's server what the vendor's side is: moto_setup.py ENDPOINT BUCKET ACCOUNT_ID.

Prints the keys of a writer, and temporary credentials that read one account's folder only. From
then on the server checks every signature, session token and permission.
"""

import json
import sys
import urllib.request

import boto3

endpoint, bucket, account_id = sys.argv[1:]


def client(service, **keys):
    keys = keys or {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)


def policy(*statements):
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


client("s3").create_bucket(Bucket=bucket)
iam = client("iam")
iam.create_user(UserName="writer")
iam.put_user_policy(UserName="writer", PolicyName="all", PolicyDocument=policy(("*", "*")))
writer = iam.create_access_key(UserName="writer")["AccessKey"]
reader = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=policy(("sts:AssumeRole", "*")))["Role"]
folder = f"arn:aws:s3:::{bucket}/v1/account_id={account_id}/*"
reading = policy(("s3:GetObject", folder), ("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=reading)
# The count of unchecked calls that are left; as a form, urllib's default, it would not be read.
unchecked = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
urllib.request.urlopen(unchecked).read()

keys = {"aws_access_key_id": writer["AccessKeyId"], "aws_secret_access_key": writer["SecretAccessKey"]}
issued = client("sts", **keys).assume_role(RoleArn=reader["Arn"], RoleSessionName="export")["Credentials"]
print(json.dumps({
    "writer": {"accessKeyId": writer["AccessKeyId"], "secretAccessKey": writer["SecretAccessKey"]},
    "reader": {
        "accessKeyId": issued["AccessKeyId"],
        "secretAccessKey": issued["SecretAccessKey"],
        "sessionToken": issued["SessionToken"],
        "expiration": int(issued["Expiration"].timestamp() * 1000),
    },
}))
