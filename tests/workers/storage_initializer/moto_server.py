"""An S3 server with users, keys and signatures that are checked: run by the Python of object_store.py's environment.

Prints one line of JSON (port, key, secret) when it is ready, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys

import boto3
import moto.core.responses
import moto.settings
from moto.server import ThreadedMotoServer

READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
LIST = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"], "Resource": "*"}


def connect(service, url: str):
    keys = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)


def user(iam, name: str, statement: dict) -> dict[str, str]:
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"ACCESS_KEY_ID": key["AccessKeyId"], "SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def main() -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    url = f"http://127.0.0.1:{port}"
    s3, iam = connect("s3", url), connect("iam", url)
    s3.create_bucket(Bucket="models")
    for key, data in json.loads(sys.stdin.readline()).items():
        s3.put_object(Bucket="models", Key=key, Body=data.encode("latin-1"))
    upload = s3.create_multipart_upload(Bucket="models", Key="parts.bin")
    place = {"Bucket": "models", "Key": "parts.bin", "UploadId": upload["UploadId"]}
    etags = [s3.upload_part(**place, PartNumber=n, Body=bytes([n]) * 5 * 2**20)["ETag"] for n in (1, 2)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    users = {"reader": user(iam, "reader", LIST), "getter": user(iam, "getter", READ)}
    users["nobody"] = user(iam, "nobody", {**READ, "Effect": "Deny"})
    moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    moto.core.responses.ActionAuthenticatorMixin.request_count = 0
    print(json.dumps({"port": port, "users": users}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
