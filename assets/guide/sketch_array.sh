#!/bin/bash
# A SLURM array that sketches the adapters of a list, a share a task: sbatch sketch_array.sh sources.txt sketches/
# A task that was killed is submitted again as it is: what its file holds is not sketched again.
#SBATCH --job-name=sketch
#SBATCH --array=0-7
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=01:00:00
set -euo pipefail

list=$1
parts=$2
mkdir -p "$parts"
inspector sketch "@$list" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --out "$parts/part-$SLURM_ARRAY_TASK_ID.parquet"

# When all tasks are done, anywhere:
#   inspector atlas sketches/part-*.parquet --out atlas.html
