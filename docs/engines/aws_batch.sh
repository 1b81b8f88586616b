#!/bin/sh
# A backfill by an array job of AWS Batch: sh aws_batch.sh
# The queue, the roles, the image and the secret are your own. Each child is told its number and the array's size by
# Batch (AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE), which `--shard auto` reads.
set -eu

aws batch register-job-definition --cli-input-json '{
  "jobDefinitionName": "e3sync",
  "type": "container",
  "containerProperties": {
    "image": "registry.example.com/e3sync:0.1",
    "command": ["e3sync", "sync", "s3://my-lake/optimizely",
                "--from", "2026-01-01", "--to", "2026-03-31", "--shard", "auto"],
    "jobRoleArn": "arn:aws:iam::123456789012:role/e3sync",
    "executionRoleArn": "arn:aws:iam::123456789012:role/e3sync-start",
    "environment": [{"name": "AWS_REGION", "value": "eu-central-1"}],
    "secrets": [{"name": "OPTIMIZELY_API_TOKEN",
                 "valueFrom": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:optimizely"}],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
  },
  "retryStrategy": {
    "attempts": 5,
    "evaluateOnExit": [
      {"onStatusReason": "Host EC2*", "action": "RETRY"},
      {"onExitCode": "75", "action": "RETRY"},
      {"onExitCode": "137", "action": "RETRY"},
      {"onExitCode": "143", "action": "RETRY"},
      {"onExitCode": "*", "action": "EXIT"}
    ]
  }
}'

aws batch submit-job --job-name e3sync-backfill --job-queue spot --job-definition e3sync --array-properties size=8
