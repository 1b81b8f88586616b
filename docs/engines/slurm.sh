#!/bin/bash
# A backfill by an array of eight jobs: sbatch slurm.sh
# --shard auto reads the array's numbers, wherever they begin and whatever their step is. The mirror lies on a file
# system that all nodes share, with locks (Lustre: mounted with -o flock).
#SBATCH --job-name=e3sync
#SBATCH --array=0-7
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --time=24:00:00
#SBATCH --requeue
set -u

export E3SYNC_TOKEN_FILE="${E3SYNC_TOKEN_FILE:-$HOME/.optimizely-token}"

# A job that is stopped an hour before its limit ends in order, and what it began goes on later.
e3sync sync "${MIRROR:-/lustre/shared/events}" --from 2026-01-01 --to 2026-03-31 --shard auto --max-duration 23h
status=$?

# 75 says that another attempt is worth it.
if [ "$status" -eq 75 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
